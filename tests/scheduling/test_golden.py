"""Days recorded by every version of the decider replay to the same bytes, and a later version goes on where an earlier one stopped.

`python -m tests.scheduling.test_golden` records that of the newest version, once: a file that is there is never written again.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.scheduling.app import PARTS
from services.scheduling.domain import commands, day
from services.scheduling.resources import RESOURCES
from services.scheduling.versions import VERSIONS, v1_commands
from shared.contracts import event_class
from shared.contracts.envelope import Header, Recorded, chain_start, digest, envelope
from shared.contracts.pathing import Option, Reason, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, GroupRule, Period, SchoolResources, Space, StaffMember, Zone
from shared.decider import Command, Decider, Refusal
from shared.replay import Difference, Settings, Verifier
from shared.serve import all_deciders, earlier_deciders
from shared.settings_stream import adoption
from shared.testing import SOME_TIME, SOMEBODY
from shared.versions import v1_settings

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.jsonl"))
SOURCE = "/test/scheduling"
WAYS = (Modality.SMALL_GROUP, Modality.VIDEO)
SCHOOL, ON = UUID(int=77), date(2026, 11, 25)
STREAM = f"scheduling/day/{SCHOOL}/{ON}"
assert PARTS.page_added is not None
SETTINGS = v1_settings.settings_decider("scheduling", PARTS.page_added, PARTS.kinds)
"""As all versions of days had it when they were recorded."""
DECIDERS: dict[int, tuple[Decider[Any], Any]] = {
    **{number: (earlier, v1_commands) for number, earlier in enumerate(VERSIONS, 1)},
    day.version: (day, commands),
}

WAITS_FROM = 4
"""The version from which needs wait, and a day says which periods had begun before a learner was first planned."""


class History:
    """A record of scheduling with one partition."""

    def __init__(self, lines: list[bytes] | None = None) -> None:
        self.lines = lines or []

    def of(self, stream: str) -> list[Recorded[Any]]:
        """Return the events of a stream."""
        found = []
        for header in map(Header.read, self.lines):
            known = event_class(header.event_type)
            assert known is not None
            event = header.decode(known)
            found += [event] if event.stream == stream else []
        return found

    def ask(self, decider: Decider[Any], *asked: Command) -> History:
        """Let a decider answer commands, none of which may be refused, and keep what it says."""
        for command in asked:
            past, told = self.of(command.stream.name), self.of("scheduling/settings")
            state = decider.fold(event.data for event in past)
            answered = decider.decide(command, state, Settings(PARTS.kinds, told).at(len(told)), ())
            assert not isinstance(answered, Refusal), answered.detail
            for version, event in enumerate(answered, len(past) + 1):
                head = digest(self.lines[-1]) if self.lines else chain_start(SOURCE, 0)
                self.lines.append(
                    envelope(
                        source=SOURCE, stream=command.stream, version=version, partition=0, position=len(self.lines), previous=head,
                        at=SOME_TIME, decider=decider.label, settings=len(told), release="test", origin=SOMEBODY, event=event,
                    )
                )  # fmt: skip
        return self

    def replay(self) -> list[Difference]:
        """Decide everything again with the deciders of this release, frozen ones included, and return the differences."""
        verifier = Verifier([*all_deciders(PARTS), *earlier_deciders(PARTS)], Settings(PARTS.kinds, self.of("scheduling/settings")))
        return [
            found for name in ("scheduling/settings", STREAM) for found in verifier.stream(name, [event.raw for event in self.of(name)])
        ]


def school(*staff: StaffMember) -> dict[str, Any]:
    periods = tuple(
        Period(id=f"p{n}", starts=f"0{8 + n}:00", ends=f"0{8 + n}:45", subject=subject) for n, subject in enumerate(("reading", ""))
    )
    spaces = tuple(Space(id=f"s{n}", title="", zones=(Zone(id="z", seats=5),)) for n in range(4))
    rules = (GroupRule(modality=Modality.SMALL_GROUP, smallest=2, largest=4),)
    made = SchoolResources(school_id=SCHOOL, spaces=spaces, periods=periods, staff=staff, rules=rules)
    return made.model_dump(mode="json", exclude_defaults=True)


def demand(number: int, version: int = 1) -> Demand:
    needs = tuple(
        Step(
            competency_id=f"c{(number + place) % 4}", subject="reading", reason=Reason.GOAL, goal_id="g",
            options=tuple(Option(activity_id=f"a{way}", modality=way, minutes=20, score=9) for way in WAYS),
        ) for place in range(version, version + 2)
    )  # fmt: skip
    return Demand(learner_id=UUID(int=1_000 + number), version=version, needs=needs, check_in=number % 3 == 0)


def waiting(number: int) -> Demand:
    """A demand of whose needs the second one waits for the first."""
    made = demand(number)
    return made.model_copy(update={"needs": (made.needs[0], made.needs[1].model_copy(update={"waits": True}))})


def made(version: int) -> History:
    """A day that is planned, then planned again for a demand, for adults and for other resources; from version 4 on also with needs that
    wait, and for learners who come when a period has begun.
    """
    first = (*map(demand, range(14)), *map(waiting, (14, 16) if version >= WAITS_FROM else ()))
    decider, words = DECIDERS[version]
    asked: tuple[Any, ...] = (SCHOOL, ON, ON)
    staff = tuple(StaffMember(staff_id=UUID(int=9_000 + number), subjects=("reading",)) for number in range(4))
    history = History().ask(SETTINGS, *adoption("scheduling", RESOURCES, [school()]))
    history.ask(decider, words.TakeStaff(*asked, 1, staff), words.TakeDemands(*asked, first), words.RepairDay(*asked, 0))
    history.ask(decider, words.TakeDemands(*asked, (demand(3, 2), demand(4, 2))), words.RepairDay(*asked, 0))
    history.ask(decider, words.TakeStaff(*asked, 2, staff[1:]), words.RepairDay(*asked, 0))
    history.ask(SETTINGS, *adoption("scheduling", RESOURCES, [school(StaffMember(staff_id=staff[1].staff_id, away=("p1",)))]))
    history.ask(decider, words.RepairDay(*asked, 1))
    if version < WAITS_FROM:
        return history
    return history.ask(decider, words.TakeDemands(*asked, (demand(17), waiting(19))), words.RepairDay(*asked, 1))


def read(path: Path) -> History:
    return History(path.read_bytes().splitlines())


def test_every_version_has_a_golden_history() -> None:
    assert [path.stem for path in FILES] == [f"v{version}-repaired" for version in range(1, day.version + 1)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_history_replays_to_its_bytes(path: Path) -> None:
    history = read(path)
    assert history.replay() == []
    told = history.of(STREAM)
    assert {event.decider for event in told} == {f"scheduling.day/{path.stem[1]}"}
    assert [event.type for event in told].count("scheduling.plan-adopted.v1") == (4 if int(path.stem[1]) < WAITS_FROM else 5)
    assert history.lines == made(int(path.stem[1])).lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_changed_byte_of_a_golden_history_is_found(path: Path) -> None:
    history = read(path)
    place, raw = next((n, raw) for n, raw in enumerate(history.lines) if b"scheduling.plan-adopted.v1" in raw)
    value = orjson.loads(raw)
    value["data"]["value"] += 1
    history.lines[place] = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert [found.stream for found in history.replay()] == [STREAM]


@pytest.mark.parametrize("earlier", range(1, day.version))
def test_a_day_of_an_earlier_version_goes_on_with_the_newest_and_both_replay(earlier: int) -> None:
    history = read(FOLDER / f"v{earlier}-repaired.jsonl")
    length = len(history.of(STREAM))
    history.ask(day, commands.TakeDemands(SCHOOL, ON, ON, (demand(5, 2),)), commands.RepairDay(SCHOOL, ON, ON, 1))
    assert {event.decider for event in history.of(STREAM)[length:]} == {day.label}
    assert history.replay() == []


if __name__ == "__main__":
    for number in DECIDERS:
        target = FOLDER / f"v{number}-repaired.jsonl"
        if not target.exists():
            target.write_bytes(b"\n".join(made(number).lines) + b"\n")
