"""Histories recorded by every version of the decider replay to the same bytes, and a later version goes on where an earlier one stopped.

`python -m tests.mastery.test_golden` records those of the newest version, once: a file that is there is never written again.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.mastery import domain
from services.mastery.app import PARTS
from services.mastery.calibration import CALIBRATION
from services.mastery.commands import CountEvidence, DeferEvidence, FollowRevision, Recalibrate
from services.mastery.domain import mastery
from services.mastery.framework import FRAMEWORK
from services.mastery.policy import POLICY, read_policies
from shared.contracts.evidence import Kind
from shared.contracts.mastery import EVENTS, CalibrationPublished, FrameworkAdopted, MasteryPageAdded, MembershipNoted, PolicyAdopted
from shared.settings_stream import adoption
from tests.mastery.histories import History
from tests.mastery.samples import LEARNER, MONDAY, competency, entries, evidence, framework
from tests.mastery.test_amended import rescore, void
from tests.mastery.test_domain import strong
from tests.mastery.test_judged import TEACHER, end, give, held_back, waive, withdraw

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.jsonl"))
NOT_OF_A_LEARNER = {
    MembershipNoted.TYPE,
    *(kind.TYPE for kind in (MasteryPageAdded, FrameworkAdopted, CalibrationPublished, PolicyAdopted)),
}
STREAM = f"mastery/learner/{LEARNER}"
VERSION_OF_DAYS = 4
"""Of the decider that has days of a district, and leaves alone what only an unknown competency replaces."""
VERSION_OF_RELEASE = 5
"""Of the decider that asks for nobody any more where work on what comes before let a competency be mastered."""
VERSION_OF_HOLDS = 6
"""Of the decider that looks at all that is mastered where the general level falls, and holds what rests on what is held."""


def read(path: Path) -> History:
    return History(path.read_bytes().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_history_replays_to_its_bytes(path: Path) -> None:
    history = read(path)
    assert history.replay() == []
    version = int(path.stem.partition("-")[0].removeprefix("v"))
    assert {event.decider for event in history.of(STREAM)} == {f"mastery.estimate/{version}"}


def test_every_version_has_golden_histories_of_every_sort_of_answer() -> None:
    for decider in [*PARTS.versions, *PARTS.deciders]:
        if decider.name == mastery.name:
            told = {event.type for path in FILES if path.stem.startswith(f"v{decider.version}-") for event in read(path).of(STREAM)}
            assert {"mastery.estimated.v1", "mastery.re-estimated.v1", "mastery.level-changed.v1"} <= told, decider.label


@pytest.mark.parametrize("version", range(2, mastery.version + 1))
def test_versions_since_2_have_golden_histories_of_all_that_people_say(version: int) -> None:
    told = {event.type for path in FILES if path.stem.startswith(f"v{version}-") for event in read(path).of(STREAM)}
    assert told == {event.TYPE for event in EVENTS if event.TYPE.startswith("mastery.")} - NOT_OF_A_LEARNER


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_changed_byte_of_a_golden_history_is_found(path: Path) -> None:
    history = read(path)
    place, raw = next((n, raw) for n, raw in enumerate(history.lines) if b"mastery.estimated.v1" in raw)
    value = orjson.loads(raw)
    value["data"]["general"]["mean_e6"] += 1
    history.lines[place] = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert [found.stream for found in history.replay()] == [STREAM]


@pytest.mark.parametrize("path", [path for path in FILES if not path.stem.startswith(f"v{mastery.version}-")], ids=lambda path: path.stem)
def test_a_record_of_an_earlier_version_goes_on_with_the_newest_and_both_replay(path: Path) -> None:
    history = read(path)
    length = len(history.of(STREAM))
    history.ask(mastery, CountEvidence(evidence(900, 1, 2, day=90)), CountEvidence(evidence(901, 2, right=False, day=12.3)))
    history.ask(mastery, Recalibrate(LEARNER, history.parameters().version))
    told = history.of(STREAM)
    assert len(told) > length
    assert {event.decider for event in told[length:]} == {mastery.label}
    assert history.replay() == []


def simple(rules: Any) -> History:
    """Evidence of every kind in order and late, repeated items, before anything was adopted."""
    history = History()
    for number in range(24):
        kind = list(Kind)[number % 6]
        history.ask(
            rules.mastery,
            rules.CountEvidence(evidence(number, 1 + number % 4, right=number % 5 != 3, day=number / 2, item=number % 9, kind=kind)),
        )
    history.ask(rules.mastery, rules.CountEvidence(evidence(50, 1, 3, score_e6=333_333, day=2.2)))
    history.ask(rules.mastery, rules.CountEvidence(evidence(51, 2, day=80)))
    return history


def adopted(rules: Any) -> History:
    """A framework with prerequisites, levels up and down, another calibration."""
    history = History().set(
        *adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, framework((1, 2), (2, 3), (4, 5)))
    )
    seen = [evidence(n, 1, 2, day=n // 2 + n / 100) for n in range(18)]
    seen += [evidence(100 + n, 3, day=10 + n // 2 + n / 100, kind=Kind.QUIZ) for n in range(10)]
    seen += [evidence(200 + n, 1, right=False, day=30 + n / 10) for n in range(8)]
    history.ask(rules.mastery, *map(rules.CountEvidence, seen))
    history.set(*adoption("mastery", CALIBRATION, [*entries(gain_right_e6=60_000), known_item(201)]))
    history.ask(rules.mastery, rules.Recalibrate(LEARNER, history.parameters().version))
    return history.ask(
        rules.mastery, rules.CountEvidence(evidence(300, 5, day=35)), rules.CountEvidence(evidence(301, 4, day=33, item=201))
    )


def judged(rules: Any) -> History:
    """What people say, corrections and voids, policies of families, somebody needed, and a revision."""
    history = History().set(
        *adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, framework((1, 2), (2, 3))),
        *adoption("mastery", POLICY, read_policies({"policies": [{"kinds": ["quiz"]}, {"family": "skill", "days": 4}]}, MONDAY)),
    )  # fmt: skip
    kinds = (Kind.ITEM, Kind.QUIZ)
    seen = [evidence(n, 2, day=n // 2 + n / 100, kind=kinds[n % 2]) for n in range(16)]
    seen += [evidence(100 + n, 4, right=False, day=n) for n in range(13)]
    history.ask(rules.mastery, *map(CountEvidence, seen), waive(2, 1), give(4), give(5, until=30))
    history.ask(rules.mastery, *(CountEvidence(evidence(210 + n, 4, day=20 + n / 2, kind=Kind.PROJECT)) for n in range(14)))
    history.ask(rules.mastery, CountEvidence(evidence(200, 4, day=21)), void(103), rescore(104, 1_000_000), end(5, 31), withdraw(2, 1))
    changed = [
        known | {"family": "skill", "replaced_by": [competency(6)]} if n == 1 else known for n, known in enumerate(framework((1, 2)))
    ]
    history.set(*adoption("mastery", FRAMEWORK, changed))
    history.ask(rules.mastery, Recalibrate(LEARNER, history.parameters().version), end(4, 40, TEACHER))
    return history.ask(rules.mastery, *(CountEvidence(evidence(300 + n, 2, 3, day=60 + n, right=n % 3 > 0)) for n in range(9)))


def followed(rules: Any) -> History:
    """Evidence about what no framework names yet, corrected and void while it waits; words that go on after a revision."""
    history = History().set(
        *adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, framework((1, 2), (2, 3))),
    )  # fmt: skip
    history.ask(rules.mastery, *(CountEvidence(evidence(n, 1, 2, day=n // 2 + n / 100)) for n in range(8)))
    history.ask(rules.mastery, *(DeferEvidence(evidence(50 + n, 11, day=3 + n)) for n in range(4)), rescore(51, 0), void(52))
    history.ask(rules.mastery, give(1, until=70), give(3, until=80), waive(2, 1), CountEvidence(evidence(60, 2, day=3.5)))
    changed = framework((11, 2), size=12)
    changed[0] |= {"replaced_by": [competency(11)], "assessable": False}
    history.set(*adoption("mastery", FRAMEWORK, changed))
    version = history.parameters().version
    history.ask(rules.mastery, FollowRevision(LEARNER, version), Recalibrate(LEARNER, version), end(11, 40, TEACHER))
    return history.ask(rules.mastery, *(CountEvidence(evidence(300 + n, 1, 11, day=60 + n, right=n % 3 > 0)) for n in range(6)))


def dated(rules: Any) -> History:
    """Days of a district in the west, before and after it names its time zone; late work, somebody needed, and a successor that no
    framework names."""
    items = framework((2, 3))
    items[0] |= {"replaced_by": [competency(99)]}
    history = History().set(*adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, items))
    evening = 0.35  # Of a day after 14:00 in UTC: 22:24.
    seen = [evidence(n, 1 + n % 2, day=n // 8 + evening + n % 8 / 50) for n in range(32)]
    history.ask(rules.mastery, *map(CountEvidence, seen[:24]))
    west = {"policies": [{"stuck_days": 2}, {"family": "skill", "days": 4}], "timezone": "America/Los_Angeles"}
    history.set(*adoption("mastery", POLICY, read_policies(west, MONDAY)))
    again = Recalibrate(LEARNER, history.parameters().version)
    history.ask(rules.mastery, again, *map(CountEvidence, seen[25:]), CountEvidence(seen[24]))
    stuck = [evidence(100 + n, 4, right=False, day=6 + n // 6 + evening + n % 6 / 40) for n in range(14)]
    return history.ask(rules.mastery, *map(CountEvidence, stuck))


def released(rules: Any) -> History:
    """Good work that moves nothing any more, held back by what comes before, and mastered by work on that: in order, and where its score
    is corrected."""
    history = History().set(*adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, framework((1, 2))))
    history.ask(rules.mastery, *map(CountEvidence, held_back(2, behind=1)), rescore(205, 0), rescore(205, 1_000_000))
    return history.ask(rules.mastery, CountEvidence(evidence(300, 2, day=40)))


def rested(rules: Any) -> History:
    """What rests on what is held while news come about something else, news before a learner's turn, and an item that is about something
    else by now."""
    history = History().set(*adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, framework((1, 2))))
    history.ask(rules.mastery, *map(CountEvidence, strong(0, 1)))
    history.set(*adoption("mastery", CALIBRATION, entries(scored=30)))
    history.ask(rules.mastery, CountEvidence(evidence(490, 6, day=1.5)), Recalibrate(LEARNER, history.parameters().version))
    history.ask(rules.mastery, *map(CountEvidence, strong(100, 2, count=40, from_day=20)))
    history.ask(rules.mastery, CountEvidence(evidence(500, 6, day=3.3)), rescore(500, 0), void(490))
    history.ask(rules.mastery, *(CountEvidence(evidence(600 + n, 5, day=45 + n, item=100 + n % 3)) for n in range(6)))
    return history.ask(rules.mastery, *(CountEvidence(evidence(700 + n, 3 + n % 4, day=52 + n / 2, right=False)) for n in range(40)))


def known_item(number: int) -> dict[str, object]:
    return {"entry": "item", "item_id": str(UUID(int=(1 << 90) + number)), "easiness_e6": -250_000}


def record(rules: Any) -> None:
    """Write the golden histories of a version, given as the module of its rules."""
    since_version_2 = (("judged", judged), ("followed", followed)) if rules.mastery.version > 1 else ()
    since_version_4 = (("dated", dated),) if rules.mastery.version >= VERSION_OF_DAYS else ()
    since_version_5 = (("released", released),) if rules.mastery.version >= VERSION_OF_RELEASE else ()
    since_version_6 = (("rested", rested),) if rules.mastery.version >= VERSION_OF_HOLDS else ()
    since = (*since_version_2, *since_version_4, *since_version_5, *since_version_6)
    for name, make in (("simple", simple), ("adopted", adopted), *since):
        path = FOLDER / f"v{rules.mastery.version}-{name}.jsonl"
        if not path.exists():
            path.write_bytes(b"\n".join(make(rules).lines) + b"\n")


if __name__ == "__main__":
    record(domain)
