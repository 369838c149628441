"""Which evidence's cause chain ends in a plan, on events made by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
import pytest

from bench.causes import HOPS, Causes
from shared.contracts.envelope import NAMESPACE, Event, Origin, StreamId, envelope
from shared.contracts.evidence import EvidenceAccepted, EvidenceRecorded
from shared.contracts.mastery import Level, LevelChanged
from shared.contracts.pathing import DemandChanged
from shared.contracts.scheduling import DayDemanded, Demand, DemandNoted, PlanAdopted, Status

NOW = datetime(2026, 10, 13, 8, tzinfo=UTC)
SCHOOL, LEARNER, OTHER = (UUID(int=n) for n in (1, 2, 3))
TODAY, TOMORROW = date(2026, 10, 13), date(2026, 10, 14)


@dataclass
class Tape:
    """Events in the order in which they happened, one a second."""

    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)

    def add(self, stream: StreamId, event: Event, cause: str | None = None, position: int | None = None) -> str:
        """Add an event, behind all others unless its place is given, and return its id."""
        version = self.versions[stream.name] = self.versions.get(stream.name, 0) + 1
        origin = Origin(cause or str(uuid4()), str(UUID(int=9)))
        place = len(self.events) if position is None else position
        raw = envelope(
            source=f"/test/{stream.service}", stream=stream, version=version, partition=0, position=place, previous="0" * 64,
            at=NOW, decider="test/1", settings=0, release="test", origin=origin, event=event,
        )  # fmt: skip
        made = orjson.loads(raw)
        self.events.append((float(len(self.events)), made))
        return str(made["id"])

    def answer(self, act: UUID) -> str:
        """Add an act and its record, and return the record's id."""
        common = {"item_id": UUID(int=4), "score_e6": 1_000_000, "occurred_at": NOW}
        told = EvidenceAccepted(act_id=act, alias="a" * 64, **common)
        accepted = self.add(StreamId("evidence", "act", str(act), "a" * 64), told)
        meant = EvidenceRecorded(evidence_id=act, learner_id=LEARNER, competency_ids=("c",), **common)
        return self.add(StreamId("evidence", "recorded", str(act), str(LEARNER)), meant, accepted)

    def level(self, cause: str, competency: str = "c") -> str:
        told = LevelChanged(learner_id=LEARNER, competency_id=competency, level=Level.NEARLY, probability_e6=500_000)
        return self.add(StreamId("mastery", "learner", str(LEARNER)), told, cause)

    def demand(self, cause: str, version: int) -> str:
        """Add a changed demand and scheduling's note of it."""
        told = DemandChanged(learner_id=LEARNER, school_id=SCHOOL, version=1)
        changed = self.add(StreamId("pathing", "learner", str(LEARNER)), told, cause, version - 1)
        noted = DemandNoted(school_id=SCHOOL, demand=Demand(learner_id=LEARNER, version=version))
        self.add(StreamId("scheduling", "demand", f"{SCHOOL}/{LEARNER}", str(SCHOOL)), noted, changed)
        return changed

    def take(self, on: date, version: int, learner: UUID = LEARNER) -> int:
        """Let a day take a demand, and return the version of the day."""
        demands = (Demand(learner_id=learner, version=version),)
        self.add(_day(on), DayDemanded(school_id=SCHOOL, on=on, asked_on=TODAY, demands=demands))
        return self.versions[_day(on).name]

    def plan(self, on: date, base: int) -> float:
        """Let a day adopt a plan that was searched from this version, and return when."""
        adopted = PlanAdopted(
            school_id=SCHOOL, on=on, asked_on=TODAY, base_version=base, resources="0" * 64, inputs_hash="0" * 64, solver="test/1",
            status=Status.REPAIRED, value=0, learners=(LEARNER,), sessions=(), placements=((),), needs=((),),
        )  # fmt: skip
        self.add(_day(on), adopted)
        return self.events[-1][0]

    def seen(self) -> Causes:
        return _seen(iter(self.events))


def _day(on: date) -> StreamId:
    return StreamId("scheduling", "day", f"{SCHOOL}/{on}", str(SCHOOL))


def _seen(events: Iterator[tuple[float, dict[str, Any]]]) -> Causes:
    causes = Causes()
    for at, event in events:
        causes.see(at, event)
    return causes


@pytest.fixture
def tape() -> Tape:
    return Tape()


ACT = uuid5(NAMESPACE, "act")


def test_a_chain_is_followed_from_the_act_to_the_plan(tape: Tape) -> None:
    tape.demand(tape.level(tape.answer(ACT)), 5)
    tape.plan(TODAY, tape.take(TODAY, 5))
    way = tape.seen().way(str(ACT))
    assert dict(way.at) == dict(zip(HOPS, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0), strict=True))
    assert way.named


def test_events_may_be_seen_in_any_order_and_twice(tape: Tape) -> None:
    tape.demand(tape.level(tape.answer(ACT)), 5)
    tape.plan(TODAY, tape.take(TODAY, 5))
    told = tape.seen().way(str(ACT))
    for order in permutations(tape.events):
        assert _seen(iter(order)).way(str(ACT)) == told
    assert _seen(iter([*tape.events, *((at + 100, event) for at, event in tape.events)])).way(str(ACT)) == told


def test_a_chain_may_end_anywhere(tape: Tape) -> None:
    record = tape.answer(ACT)
    assert list(tape.seen().way(str(ACT)).at) == ["accepted", "recorded"]
    level = tape.level(record)
    assert not tape.seen().way(str(ACT)).led_to_demand
    tape.demand(level, 5)
    way = tape.seen().way(str(ACT))
    assert way.led_to_demand
    assert way.planned is None
    assert tape.seen().way("nobody told of it").at == {}


def test_what_another_act_led_to_does_not_count(tape: Tape) -> None:
    other = uuid5(NAMESPACE, "other")
    tape.answer(ACT)
    tape.demand(tape.level(tape.answer(other)), 5)
    planned = tape.plan(TODAY, tape.take(TODAY, 5))
    seen = tape.seen()
    assert not seen.way(str(ACT)).led_to_demand
    assert seen.way(str(other)).planned == planned


def test_a_plan_that_was_searched_before_the_day_took_the_demand_does_not_serve_it(tape: Tape) -> None:
    before = tape.take(TODAY, 4)
    tape.demand(tape.level(tape.answer(ACT)), 5)
    tape.take(TODAY, 5, OTHER)
    taken = tape.take(TODAY, 5)
    tape.plan(TODAY, before)
    assert tape.seen().way(str(ACT)).planned is None
    assert tape.seen().way(str(ACT)).at["taken"] == 7.0
    planned = tape.plan(TODAY, taken)
    tape.plan(TODAY, taken + 2)
    assert tape.seen().way(str(ACT)).planned == planned


def test_the_plan_of_another_day_does_not_serve_what_that_day_has_not_taken(tape: Tape) -> None:
    tape.demand(tape.level(tape.answer(ACT)), 5)
    base = tape.take(TOMORROW, 4)
    tape.take(TODAY, 5)
    tape.plan(TOMORROW, base)
    assert tape.seen().way(str(ACT)).planned is None


def test_the_first_day_counts(tape: Tape) -> None:
    tape.demand(tape.level(tape.answer(ACT)), 5)
    today, tomorrow = tape.take(TODAY, 5), tape.take(TOMORROW, 5)
    first = tape.plan(TOMORROW, tomorrow)
    tape.plan(TODAY, today)
    assert tape.seen().way(str(ACT)).planned == first


def test_a_demand_that_was_replaced_is_served_with_the_newer_one(tape: Tape) -> None:
    tape.demand(tape.level(tape.answer(ACT)), 5)
    planned = tape.plan(TODAY, tape.take(TODAY, 6))
    way = tape.seen().way(str(ACT))
    assert way.planned == planned
    assert not way.named


def test_a_demand_that_one_day_names_was_not_replaced_by_what_another_day_took(tape: Tape) -> None:
    tape.demand(tape.level(tape.answer(ACT)), 5)
    tomorrow = tape.take(TOMORROW, 5)
    tape.plan(TODAY, tape.take(TODAY, 6))
    planned = tape.plan(TOMORROW, tomorrow)
    way = tape.seen().way(str(ACT))
    assert (way.planned, way.named) == (planned, True)


def test_a_demand_that_only_its_own_successor_replaced_is_named(tape: Tape) -> None:
    record = tape.answer(ACT)
    tape.demand(tape.level(record), 5)
    tape.demand(tape.level(record, "d"), 6)
    planned = tape.plan(TODAY, tape.take(TODAY, 6))
    way = tape.seen().way(str(ACT))
    assert (way.planned, way.named) == (planned, True)


def test_of_several_demands_the_one_served_last_counts(tape: Tape) -> None:
    record = tape.answer(ACT)
    tape.demand(tape.level(record), 5)
    tape.plan(TODAY, tape.take(TODAY, 5))
    tape.demand(tape.level(record, "d"), 6)
    assert tape.seen().way(str(ACT)).planned is None
    planned = tape.plan(TODAY, tape.take(TODAY, 6))
    assert tape.seen().way(str(ACT)).planned == planned
