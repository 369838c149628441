"""What a district sets while it runs: a published calibration sweeps over the learners; words, waiting evidence, the calendar."""

import csv
import math
import random
from pathlib import Path
from typing import Any

import pytest

from demo import framework, items
from demo.framework import skills
from tests.system.test_chain import District, audited, district, eventually, verified
from tests.system.test_cli import cairn

__all__ = ["district"]
TEACHER = "0a000000-0000-4000-8000-000000000002"
SAID = {"author_id": TEACHER, "role": "teacher", "reason": "shown-in-person"}
SEEN = 6
"""Learners who hand something in."""


def responses(path: Path, seed: int, spread: float) -> Path:
    """Write responses of sixty learners to the district's own items, which are harder or easier than what ships with the release says."""
    draw, every = random.Random(seed), items.all_items()[:24]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["learner", "item", "competencies", "score", "time"])
        for learner in range(60):
            level = draw.gauss(0, 1)
            for number in range(30):
                place = draw.randrange(len(every))
                logit = level + spread * (place % 5 - 2)
                right = draw.random() < 1 / (1 + math.exp(-logit))
                about = skills()[every[place].codes[0]].guid
                writer.writerow([f"l{learner}", every[place].iri, about, int(right), 1_790_000_000 + number * 40_000 + learner])
    return path


def known(district: District, learner: int) -> dict[str, Any]:
    found = district.get(f"/mastery/learners/{district.id(learner)}/competencies")["items"]
    return {view["competency_id"]: view["mean_e6"] for view in found}


@pytest.mark.slow
def test_a_published_calibration_is_a_sweep_of_superseding_decisions(district: District, tmp_path: Path) -> None:
    for learner in range(SEEN):
        district.send(district.answers(learner, 12, right=learner % 2 == 0))
    before = eventually(lambda: all(all_known := [known(district, n) for n in range(SEEN)]) and all_known, "all is estimated")
    old = district.get("/mastery/calibrations/in-force")["set_id"]
    data = responses(tmp_path / "year.csv", 1, 0.9)
    done = cairn(district.home, "mastery", "calibrate", str(data), "--out", str(tmp_path / "made"), "--publish")
    assert done.returncode == 0, done.stdout + done.stderr
    new = district.get("/mastery/calibrations/in-force")["set_id"]
    assert new != old
    assert new in done.stdout
    eventually(lambda: all(known(district, n) != before[n] for n in range(SEEN)), "every learner is weighed again")
    story = cairn(district.home, "replay", "show", "--learner", district.id(0))
    assert "everything weighed again in order" in story.stdout
    first = next(iter(before[0]))
    assert district.get(f"/mastery/learners/{district.id(0)}/competencies/{first}/why")["calibration_id"] == new
    evaluated = cairn(district.home, "mastery", "evaluate", str(responses(tmp_path / "next.csv", 2, 0.9)), "--calibration", new)
    assert "AUC" in evaluated.stdout, evaluated.stderr


@pytest.mark.slow
def test_a_worse_calibration_is_published_only_with_a_reason(district: District, tmp_path: Path) -> None:
    data = responses(tmp_path / "little.csv", 3, 0.0)
    words = ["mastery", "calibrate", str(data), "--out", str(tmp_path / "made"), "--publish"]
    again = cairn(
        district.home, "mastery", "calibrate", str(data), "--out", str(tmp_path / "first"), "--publish", "--force", "--why", "a trial"
    )
    assert again.returncode == 0, again.stderr
    in_force = district.get("/mastery/calibrations/in-force")["set_id"]
    refused = cairn(district.home, *words)
    assert refused.returncode != 0, "held against itself it is no better"
    assert "no better" in refused.stderr
    without_reason = cairn(district.home, *words, "--force")
    assert without_reason.returncode != 0
    assert "--force needs --why" in without_reason.stderr
    assert district.get("/mastery/calibrations/in-force")["set_id"] == in_force


@pytest.mark.slow
def test_a_reason_in_own_words_is_sealed_and_opened_by_profile(district: District) -> None:
    learner, words = district.id(1), "He explained it to Zebulon."
    competency = next(iter(known(district, 1)))
    path = f"/mastery/learners/{learner}/competencies/{competency}/override"
    sealed = district.client.post(f"/profile/learners/{learner}/sealed", json={"use": "mastery.reason", "words": words}).json()
    said = SAID | {"level": "mastered", "until": "2026-12-01T00:00:00Z", "words": sealed}
    answer = district.client.put(path, json=said)
    assert answer.status_code == 200, answer.text
    (override,) = district.get(f"/mastery/learners/{learner}/overrides")
    asked = {"use": "mastery.reason", "sealed": override["words"]}
    assert district.client.post(f"/profile/learners/{learner}/opened", json=asked).json() == {"words": words}


@pytest.mark.slow
def test_what_cannot_count_yet_waits_with_its_remedy_and_is_let_go(district: District) -> None:
    one = district.school.learners[2]
    told = {"source": "gradebook", "learner": one.iri}
    early = told | {"id": "early", "item": items.all_items()[0].iri, "occurred_at": "2026-06-01T09:00:00Z", "score": {"given": 1, "max": 1}}
    unknown = "https://items.example/unknown"
    aligned = {"alignments": [{"item": unknown, "competencies": ["99999999-0000-4000-8000-000000000001"]}]}
    assert district.client.put("/evidence/alignments", json=aligned).status_code == 200
    nowhere = told | {"id": "nowhere", "item": unknown, "occurred_at": "2026-10-12T09:00:00Z", "score": {"given": 1, "max": 1}}
    answer = district.client.post("/evidence", json={"items": [early, nowhere]}).json()
    assert [each["result"] for each in answer["results"]] == ["waiting", "recorded"]
    shown = district.get(f"/evidence/acts/{answer['results'][0]['act_id']}")
    assert shown["reason"] == "before-first-day"
    assert "PUT /evidence/calendar" in shown["remedy"]
    waits = eventually(lambda: district.get("/mastery/waiting")["items"], "it waits for a framework")
    assert waits[0]["competency_ids"] == ["99999999-0000-4000-8000-000000000001"]
    assert district.client.put("/evidence/calendar", json={"first_day": "2026-01-05", "author_id": TEACHER}).status_code == 200
    eventually(lambda: district.get(f"/evidence/acts/{early_id(answer)}")["status"] == "recorded", "it is let go")
    package = framework.package()
    item = dict(package["CFItems"][0]) | {"identifier": "99999999-0000-4000-8000-000000000001", "uri": "urn:x:1"}
    document = dict(package["CFDocument"]) | {"identifier": "99999999-0000-4000-8000-00000000000d"}
    sent = {"CFDocument": document, "CFItems": [item], "CFAssociations": []}
    imported = district.client.post("/mastery/case/packages", json=sent)
    assert imported.status_code == 200, imported.text
    eventually(lambda: not district.get("/mastery/waiting")["items"], "the framework names it")
    eventually(lambda: "99999999-0000-4000-8000-000000000001" in known(district, 2), "and it counts")


def early_id(answer: dict[str, Any]) -> str:
    return str(answer["results"][0]["act_id"])


@pytest.mark.slow
def test_groups_needs_and_policy_answer_from_the_command_line(district: District, tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    rows = [f"{id},{'ab'[n % 2]}" for n, id in enumerate(district.ids.values())]
    groups.write_text("learner_id,lunch\n" + "\n".join(rows) + "\n")
    compared = cairn(district.home, "mastery", "equity", str(groups))
    shown = cairn(district.home, "mastery", "policy", "show")
    assert (compared.returncode, shown.returncode) == (0, 0), compared.stderr + shown.stderr
    needs = district.get(f"/mastery/learners/{district.id(0)}/needs")
    assert sum(needs["counts"].values()) == len(needs["items"]) > 0
    why = district.get(f"/mastery/learners/{district.id(0)}/competencies/{needs['items'][0]['competency_id']}/why")
    assert why["moved_most"]


@pytest.mark.slow
def test_all_of_it_replays_and_adds_up(district: District) -> None:
    assert verified(district) > 0
    assert "0 violations" in audited(district)
