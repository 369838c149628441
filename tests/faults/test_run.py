"""What `make faults` says in the end, and its exit code."""

import io
import zipfile
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.items import all_items
from demo.school import school
from services.cli.audit import IDS, Findings
from tests.faults import district
from tests.faults import stage as stages
from tests.faults.district import EVERY, FIRST_DAY, LEARNERS, PARTS, SAID_IN, District
from tests.faults.judge import Verdict, not_looked_at, too_late
from tests.faults.load import Load
from tests.faults.run import run_all
from tests.faults.seeds import quizzes
from tests.faults.stage import LeftOut, Scenario, Stage
from tests.faults.town import REFUSED, SMALL
from tests.faults.wires import met_again

NOWHERE: Any = None
"""Servers that none of these scenarios looks at."""


def leaves_out(stage: Stage) -> None:
    raise LeftOut("this machine has no memory for three brokers")


def holds(stage: Stage) -> None:
    stage.inject("something")


def injects_nothing(stage: Stage) -> None:
    pass


def breaks(stage: Stage) -> None:
    stage.inject("something")
    stage.must(False, "an act is lost")


def breaks_and_is_broken_off(stage: Stage) -> None:
    stage.inject("something")
    stage.verdict.violations.append("an act is lost")
    raise LeftOut("this machine lacks the second half")


def of(act: Any, short: bool = False, whole: bool = False) -> Scenario:
    return Scenario(act.__name__, 1, act, short, whole, "")


@pytest.mark.parametrize(
    ("ci", "scenarios", "code"),
    [
        ("true", [of(holds), of(leaves_out, short=True)], 1),
        ("true", [of(holds), of(leaves_out)], 0),
        ("", [of(holds), of(leaves_out, short=True)], 0),
        ("false", [of(holds), of(leaves_out, short=True)], 0),
        ("", [of(leaves_out)], 1),
        ("", [of(holds, short=True)], 0),
        ("", [of(holds), of(breaks)], 1),
        ("", [of(injects_nothing)], 1),
        ("", [of(holds), of(breaks_and_is_broken_off)], 1),
    ],
)
def test_what_is_left_out_fails_in_ci_only_where_it_is_of_the_short_set(
    ci: str, scenarios: list[Scenario], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    assert run_all(scenarios, NOWHERE, tmp_path, 1) == code
    said = capsys.readouterr().out
    left = [each.name for each in scenarios if each.act is leaves_out]
    assert ("left out: this machine has no memory for three brokers" in said) is bool(left)
    assert ("1 left out: leaves_out" in said) is bool(left)
    wrong = sum(each.act in (breaks, injects_nothing, breaks_and_is_broken_off) for each in scenarios)
    assert said.splitlines()[-1] == f"{len(scenarios) - len(left)} scenarios run, invariant violations = {wrong}"


def test_a_load_that_is_given_up_says_so() -> None:
    town: Any = type("Nobody", (), {"address": lambda self, service: None})()
    patient = Load(town, 1, patience_s=0.3)
    assert patient.tell(next(quizzes(1))) == []
    assert patient.unexpected == ["no acknowledgement within 0.3 s"]
    assert set(patient.answers) == {0}
    with pytest.raises(AssertionError, match="evidence was not taken"):
        patient.end()


SEEN = [(id, "looked at", 1) for id in IDS if id not in ("I8", "I9")]
KEYS = ("I2", "evidence: person_key do not come from the ledger: keys are drawn, not derived")
EMPTY = ("I6", "profile: its ledger is empty, so there is nothing to replay")
NO_ACKS = ("I1", "no log of acknowledgements was given: see --acks")
PURPOSE = {"I1": "nobody tells this scenario anything"}


@pytest.mark.parametrize(
    ("left_out", "lacks", "unseen", "wrong"),
    [
        ([KEYS, EMPTY], (), {}, []),
        ([NO_ACKS], ("I1",), {}, ["I1: not looked at: no log of acknowledgements", "I1: not looked at: there was nothing"]),
        ([NO_ACKS], ("I1",), PURPOSE, []),
        ([], (), PURPOSE, ["I1: said to be left out (nobody tells this scenario anything), and was looked at"]),
        ([("I6", "mastery: its ledger is empty, so there is nothing to replay")], (), {}, ["I6: not looked at: mastery"]),
        ([("I2", "mastery: no address with the owner's role")], (), {}, ["I2: not looked at: mastery"]),
        ([], ("I3",), {}, ["I3: not looked at: there was nothing"]),
    ],
)
def test_what_the_oracle_could_not_look_at_is_a_violation_but_where_the_scenario_says_why(
    left_out: list[tuple[str, str]], lacks: tuple[str, ...], unseen: dict[str, str], wrong: list[str]
) -> None:
    found = Findings(checked=[each for each in SEEN if each[0] not in lacks], left_out=left_out)
    said = not_looked_at(found, IDS, ("evidence", "mastery"), unseen)
    assert len(said) == len(wrong)
    assert all(line.startswith(words) for line, words in zip(said, wrong, strict=True)), said


def test_where_days_are_planned_they_must_be_looked_at() -> None:
    said = not_looked_at(Findings(checked=list(SEEN)), IDS, ("scheduling",), {})
    assert said == ["I8: not looked at: there was nothing that falls under it"]


def test_a_commit_counts_as_unknown_only_where_its_transaction_had_written() -> None:
    recorded, duplicate = ({"acts": [{"act_id": "a", "result": result}]} for result in ("recorded", "duplicate"))
    assert not met_again("batch put back", [recorded, recorded])
    assert met_again("", [recorded, duplicate]) == {"act told again, a duplicate": 1}
    assert met_again(f"{REFUSED}\n{REFUSED}", [recorded]) == {"batch refused, it was written": 2}


@pytest.mark.parametrize(
    ("taken", "rest", "stated", "wrong"),
    [
        (1.0, 9.0, 5.0, []),
        (None, 9.0, None, []),
        (None, 9.0, 5.0, ["I5: no acknowledgement within 5 s after the fault had ended: none came"]),
        (5.1, 9.0, 5.0, ["I5: no acknowledgement within 5 s after the fault had ended: the first came after 5.1 s"]),
        (1.0, 10.1, 5.0, ["I5: not at rest within 10 s after the fault had ended, but after 10.1 s"]),
    ],
)
def test_what_takes_longer_after_the_fault_than_is_stated_is_a_violation(
    taken: float | None, rest: float, stated: float | None, wrong: list[str]
) -> None:
    assert too_late(Verdict(taken_s=taken, rest_s=rest), 10.0, stated) == wrong


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("services", [SMALL, EVERY])
def test_a_scenario_is_whole_where_it_says_so(services: tuple[str, ...], whole: bool, tmp_path: Path, capsys: Any) -> None:
    def meets(stage: Stage) -> None:
        stage.inject("something")
        stage.services.update(services)

    assert run_all([of(meets, whole=whole)], NOWHERE, tmp_path, 1) == int(whole != (services == EVERY))


def test_the_stated_times_begin_when_the_last_fault_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(stages, "judge", lambda town, load, **options: given.append(options["ended"]) or Verdict(taken_s=1.0, rest_s=2.0))
    moments = iter((10.0, 20.0))
    monkeypatch.setattr(stages.time, "monotonic", lambda: next(moments))
    stage = Stage(NOWHERE, tmp_path, 1, "ends")
    stage.fault_ends()
    stage.fault_ends()
    stage.judge(NOWHERE)
    stage.judge(NOWHERE)
    assert given == [20.0, None]
    assert (stage.verdict.taken_s, stage.verdict.rest_s) == (1.0, 2.0)


def test_a_line_says_when_evidence_was_taken_and_all_was_at_rest_after_the_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends(stage: Stage) -> None:
        stage.inject("something")
        stage.verdict.taken_s, stage.verdict.rest_s, stage.verdict.waited = 1.25, 8.0, 30

    assert run_all([of(ends)], NOWHERE, tmp_path, 1) == 0
    said = capsys.readouterr().out
    assert "30 had to wait  from the end of the fault: acknowledged after 1.2 s, at rest after 8.0 s" in said


def test_a_client_that_may_not_tell_yet_tells_later(monkeypatch: pytest.MonkeyPatch) -> None:
    may, told = iter([False, False, True]), Load(NOWHERE, 1, requests=iter([("/evidence", {"items": []})]))
    asked: list[bool] = []

    def answer(client: Any, request: Any) -> list[Any]:
        told._stop.set()
        return []

    told.may_tell = lambda: asked.append(next(may)) or asked[-1]
    monkeypatch.setattr(told, "_tell", answer)
    told._run()
    assert asked == [False, False, True]


def test_a_load_knows_what_had_to_wait_and_when_it_was_first_taken_after_a_moment() -> None:
    told = Load(NOWHERE, 1)
    acts = [[("a", "waiting"), ("b", "recorded")], [("a", "duplicate"), ("c", "waiting")]]
    told.acks = [
        {"status": 200, "at": at, "acts": [{"act_id": id, "result": result} for id, result in some]}
        for at, some in zip((12.0, 11.0), acts, strict=True)
    ]
    assert told.waited == 2
    assert [told.first_after(moment) for moment in (10.0, 11.5, 13.0)] == [11.0, 12.0, None]


def test_every_learner_and_item_becomes_known_in_some_part_also_where_a_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so does the first day, which is said once; what waited for it is counted before it is."""
    town: Any = type("Somewhere", (), {"address": lambda self, service: f"http://{service}"})()
    told = District(town, school(LEARNERS, 1), 1)
    rosters: list[set[str]] = []
    aligned: list[str] = []
    days: list[str] = []
    refused = chain([True], repeat(False))

    def take_roster(url: str, content: bytes, **given: Any) -> httpx.Response:
        users = zipfile.ZipFile(io.BytesIO(content)).read("users.csv").decode()
        rosters.append({each.sourced_id for each in told.school.learners if f"{each.sourced_id}," in users})
        return httpx.Response(200)

    def early(url: str, **given: Any) -> httpx.Response:
        return httpx.Response(200, json={"waiting": {"before-first-day": 0 if days else 3}})

    def put(url: str, json: Any, **given: Any) -> httpx.Response:
        if next(refused):
            return httpx.Response(503)
        if url == "http://evidence/evidence/calendar":
            days.append(json["first_day"])
            return httpx.Response(200)
        aligned.extend(each["item"] for each in json["alignments"])
        return httpx.Response(200)

    monkeypatch.setattr(district.httpx, "post", take_roster)
    monkeypatch.setattr(district.httpx, "get", early)
    monkeypatch.setattr(district.httpx, "put", put)
    assert [told.introduce(0), told.introduce(0)] == [False, True]
    assert all(told.introduce(part) for part in range(1, SAID_IN))
    assert (days, told.early) == ([], 0)
    assert all(told.introduce(part) for part in range(SAID_IN, PARTS + 1))
    assert (days, told.early) == ([FIRST_DAY], 3)
    assert [len(each) for each in rosters] == [LEARNERS // 2, LEARNERS // 2, *range(LEARNERS // 2 + 1, LEARNERS + 1)]
    assert len(aligned) == len(set(aligned)), "no item is aligned in two parts"
    assert set(aligned) == {each.iri for each in all_items()}
