"""Histories recorded by every version of the decider replay to the same bytes, and a later version goes on where an earlier one stopped.

`python -m tests.pathing.test_golden` records that of the newest version, once: a file that is there is never written again.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

from services.pathing.app import PARTS
from services.pathing.catalogue import CATALOGUE, FRAMEWORK
from services.pathing.domain import pathing
from services.pathing.domain.state import MAX_AUTHORS
from shared.contracts.mastery import Level
from shared.contracts.pathing import EVENTS, CatalogueAdopted, FrameworkNoted, PathingPageAdded, WaiversNoted
from shared.contracts.profile import Modality, Role
from shared.decider import Decider
from shared.parts import Parts
from shared.settings_stream import adoption
from tests.mastery import histories
from tests.pathing.district import TODAY, competency
from tests.pathing.test_domain import (
    AUTHOR,
    CATALOGUE_ENTRIES,
    FRAMEWORK_ENTRIES,
    LEARNER,
    OTHER_SCHOOL,
    choose,
    enrolled,
    goals,
    level,
    liked,
    replan,
    waived,
)

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.jsonl"))
STREAM = f"pathing/learner/{LEARNER}"
SINCE = {WaiversNoted: 3}
"""Which version was the first to tell what others did not."""
OF_SETTINGS = {kind.TYPE for kind in (PathingPageAdded, FrameworkNoted, CatalogueAdopted)}


class History(histories.History):
    """A record of pathing."""

    parts: ClassVar[Parts] = PARTS


def read(path: Path) -> History:
    return History(path.read_bytes().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_history_replays_to_its_bytes(path: Path) -> None:
    history = read(path)
    assert history.replay() == []
    assert {event.decider for event in history.of(STREAM)} == {f"pathing.plan/{path.stem.removeprefix('v')}"}


def test_every_version_has_a_golden_history_of_everything_it_says() -> None:
    assert [path.stem for path in FILES] == [f"v{version}" for version in range(1, pathing.version + 1)]
    for version, path in enumerate(FILES, 1):
        told = {event.type for event in read(path).of(STREAM)}
        later = {event.TYPE for event, first in SINCE.items() if first > version}
        assert told == {event.TYPE for event in EVENTS} - OF_SETTINGS - later, path.stem


@pytest.mark.parametrize("path", FILES[:-1], ids=lambda path: path.stem)
def test_a_record_of_an_earlier_version_goes_on_with_the_newest_and_both_replay(path: Path) -> None:
    history = read(path)
    length = len(history.of(STREAM))
    history.ask(pathing, enrolled(version=90, on=TODAY + timedelta(days=90)), level("B", Level.DEVELOPING, 91), goals("T", minute=900))
    told = history.of(STREAM)
    assert {event.decider for event in told[length:]} == {pathing.label}
    assert history.replay() == []


def made(rules: Decider[Any]) -> History:
    """Everything that pathing hears and is told, with a framework that is revised in the middle."""
    history = History().set(*adoption("pathing", FRAMEWORK, FRAMEWORK_ENTRIES), *adoption("pathing", CATALOGUE, CATALOGUE_ENTRIES))
    history.ask(rules, enrolled(), liked(Modality.READING, Modality.VIDEO), level("A"), level("S", Level.NEARLY), goals("C", "T"))
    history.ask(
        rules,
        choose("B", "B-practice"),
        choose("S", "S-practice", minute=1),
        choose("C", "C-video", minute=2),
        level("B", Level.DEVELOPING, 2),
    )
    revised = [entry | ({"assessable": False, "replaced_by": ["D"]} if entry["id"] == "C" else {}) for entry in FRAMEWORK_ENTRIES]
    added = [entry | {"id": "D", "code": "D"} for entry in FRAMEWORK_ENTRIES if entry["id"] == "C"]
    history.set(*adoption("pathing", FRAMEWORK, [*revised, *added]))
    version = history.parameters().version
    history.ask(rules, replan(TODAY + timedelta(days=1), version), goals("T", due=TODAY + timedelta(days=3), minute=30))
    history.ask(rules, replan(TODAY + timedelta(days=9), version), waived("T B", version=2), level("B", Level.MASTERED, 3))
    history.ask(rules, waived(ended=["T B"], version=3), level("D", Level.MASTERED, 4))
    history.ask(rules, level("B", Level.REVERIFY, 5), goals(minute=60), enrolled(OTHER_SCHOOL, version=2), enrolled(grade="06", version=3))
    history.ask(rules, enrolled(active=False, version=4), enrolled(version=5), enrolled(grade="KG", version=6))
    history.set(*adoption("pathing", FRAMEWORK, [*revised, *added, *(competency(f"E{n}") for n in range(5))]))
    history.ask(rules, enrolled(version=7), goals("T", "E0", due=TODAY - timedelta(days=1), minute=90), goals("T", "E0", minute=120))
    history.ask(rules, replan(date(2027, 6, 16), history.parameters().version), enrolled(grade="06", version=8, on=date(2027, 7, 12)))
    withdrawn = [entry | {"assessable": False} if entry["id"] == "B" else entry for entry in FRAMEWORK_ENTRIES]
    history.set(*adoption("pathing", FRAMEWORK, withdrawn))
    history.ask(rules, replan(date(2027, 8, 1), history.parameters().version))
    day = date(2027, 8, 2)
    history.ask(rules, goals("A", "S", due=day, minute=150, on=day), choose("S", "S-reading", minute=160, on=day))
    others = [liked(Modality.VIDEO, author=UUID(int=100 + n), minute=170 + n, role=Role.TEACHER) for n in range(MAX_AUTHORS)]
    return history.ask(
        rules, liked(author=AUTHOR, minute=161), *others, liked(author=others[0].fact.author_id, minute=199, role=Role.TEACHER)
    )


if __name__ == "__main__":
    newest = FOLDER / f"v{pathing.version}.jsonl"
    if not newest.exists():
        newest.write_bytes(b"\n".join(made(pathing).lines) + b"\n")
