"""The largest day that is allowed fits one event, for every number of periods: otherwise it could never be planned."""

from __future__ import annotations

from bisect import bisect
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest

from services.scheduling.checks import Present, faults_of
from services.scheduling.limits import HEAD_BYTES, MAX_LEARNERS, most_learners, most_learners_of, room_of
from shared.contracts.envelope import MAX_EVENT_BYTES, MAX_INTEGER, Origin, StreamId, canonical, envelope
from shared.contracts.profile import Modality
from shared.contracts.scheduling import PlanAdopted, SchoolResources, Session, Space, Status, Use, Zone, packed, unpacked
from tests.scheduling.school import SCHOOL, TUESDAY, WEDNESDAY, periods

NAMESPACE = UUID(int=1)
ZONES_OF_A_SPACE = 20


def widest(count: int, zones: int) -> SchoolResources:
    """A school with so many zones, whose ids are as long as they may be."""
    listed = [Zone(id=f"{number:064}", seats=500) for number in range(zones)]
    spaces = tuple(
        Space(id=f"s{start:063}", title="", zones=tuple(listed[start : start + ZONES_OF_A_SPACE]))
        for start in range(0, zones, ZONES_OF_A_SPACE)
    )
    long = tuple(period.model_copy(update={"id": f"{number:016}"}) for number, period in enumerate(periods(count)))
    return SchoolResources(school_id=SCHOOL, spaces=spaces, periods=long)


def most_zones(count: int, learners: int = 1_500, adults: int = 0) -> int:
    """The most zones with which resources of so many periods are taken for so many learners."""
    return bisect(range(1, 4_000), -learners, key=lambda zones: -most_learners_of(widest(count, zones), adults))


def largest(school: SchoolResources, learners: int, adults: int) -> PlanAdopted:
    """A plan of so many learners, with a session for each adult, or in each zone, in every period, each with a competency of its own."""
    places = [(space.id, zone.id) for space in school.spaces for zone in space.zones][: adults or None]
    sessions = tuple(
        Session(
            period_id=period.id, space_id=space, zone_id=zone,
            staff_id=uuid5(NAMESPACE, str(number) if adults else f"{period.id}{zone}"),
            use=Use.GROUP, competency_id=str(uuid5(NAMESPACE, f"{period.id}{zone}c")), modality=Modality.SMALL_GROUP,
        )
        for period in school.periods for number, (space, zone) in enumerate(places)
    )  # fmt: skip
    count = len(school.periods)
    placed = tuple(tuple(period * len(places) + who % len(places) for period in range(count)) for who in range(learners))
    return PlanAdopted(
        school_id=SCHOOL, on=WEDNESDAY, asked_on=TUESDAY, begun=count, base_version=MAX_INTEGER, resources="0" * 64, inputs_hash="0" * 64,
        solver="x" * 64, status=Status.FEASIBLE, inside=True, value=-MAX_INTEGER, bound=-MAX_INTEGER,
        learners=tuple(uuid5(NAMESPACE, str(who)) for who in range(learners)), sessions=sessions, placements=placed,
        needs=tuple((11,) * count for _ in range(learners)), moved=learners,
    )  # fmt: skip


def bytes_of(event: PlanAdopted) -> bytes:
    key = str(SCHOOL)
    return envelope(
        source="https://a-district-with-a-long-name.example/cairn/scheduling",
        stream=StreamId("scheduling", "day", f"{key}/{WEDNESDAY}", key), version=MAX_INTEGER,
        partition=1_000, position=MAX_INTEGER, previous="0" * 64, at=datetime(2026, 11, 24, tzinfo=UTC),
        decider="scheduling.day/1", settings=MAX_INTEGER, release="x" * 100, origin=Origin(str(NAMESPACE), str(NAMESPACE)), event=event,
    )  # fmt: skip


@pytest.mark.parametrize(("count", "zones", "adults"), [(1, 500, 0), (4, 250, 0), (6, 200, 0), (6, 265, 200), (8, 149, 110), (12, 90, 90)])
def test_the_largest_plan_that_there_is_room_for_fits_one_event(count: int, zones: int, adults: int) -> None:
    school = widest(count, zones)
    room = most_learners_of(school, adults)
    plan = largest(school, room, adults)
    size = len(bytes_of(plan))
    assert MAX_EVENT_BYTES * 85 // 100 < size <= MAX_EVENT_BYTES
    assert size - len(canonical(plan.body())) < HEAD_BYTES // 2
    assert PlanAdopted.model_validate(plan.body()) == plan
    here = Present(room, frozenset(UUID(int=number) for number in range(adults)))
    assert not faults_of([school], {SCHOOL: here})
    more = faults_of([school], {SCHOOL: replace(here, learners=room + 1)})
    assert [(fault.place, fault.code) for fault in more] == [("/schools/0/spaces", "too-large")]


def test_a_school_of_usual_size_is_far_from_the_limit() -> None:
    assert most_zones(4) > 250
    assert most_zones(6) > 160
    assert most_zones(8) > 110
    assert most_zones(12) > 60
    assert most_learners(6, 22, 1_000) > 3_000


def test_a_large_high_school_has_room() -> None:
    """With a zone for each 12 learners and an adult for each 15."""
    assert most_learners(4, 250, 5_000, 200) > 3_000 == MAX_LEARNERS
    assert most_learners(6, 210, 4_000, 170) > 2_500
    assert most_learners(7, 200, 4_000, 160) > 2_300
    assert most_learners(8, 170, 3_500, 135) > 2_000
    assert most_learners(6, 250, 5_000, 200) < 3_000, "what stands against more: see docs/performance.md"


def test_a_refusal_says_how_many_learners_there_is_room_for() -> None:
    (fault,) = faults_of([widest(12, 90)], {SCHOOL: Present(1_900)})
    assert "90 zones in 12 periods with 0 adults" in fault.detail
    assert f"{most_learners_of(widest(12, 90))} learners, 1900 are there" in fault.remedy
    assert most_learners_of(widest(12, 600)) == -1
    assert room_of(widest(12, 600)) == 0


def test_a_school_is_measured_by_those_who_are_there() -> None:
    school = widest(12, 120)
    room = room_of(school)
    assert 0 < room == most_learners_of(school) < room_of(school, 60) < MAX_LEARNERS
    assert not faults_of([school])
    assert not faults_of([school], {SCHOOL: Present(room), UUID(int=5): Present(MAX_LEARNERS)})
    assert faults_of([school], {SCHOOL: Present(room + 1)})
    assert not faults_of([school], {SCHOOL: Present(room + 1, frozenset(UUID(int=number) for number in range(60)))})
    assert faults_of([widest(12, 600)]), "there is no room for anybody"


@pytest.mark.parametrize(("digits", "most"), [(1, 15), (3, 4095), (4, 65535)])
def test_packed_rows_come_back(digits: int, most: int) -> None:
    rows = [[0, -1, most], [], [1]]
    assert unpacked(packed(rows, digits), digits) == rows
    for wrong in (most + 1, -2):
        with pytest.raises(ValueError, match="is not from -1 to"):
            packed([[wrong]], digits)


@pytest.mark.parametrize("wrong", ["00", "000", "000.0", "00.", "-01.", "00A.", "0-0.", "+01.", "\u0661\u0661\u0661."])
def test_a_text_that_packing_never_gives_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"not rows of 3|invalid literal"):
        unpacked(wrong, 3)


@pytest.mark.parametrize(
    "sessions", [{"rows": ""}, {"rows": 1, "texts": []}, {"rows": ".", "texts": []}, {"rows": "0000" * 7 + ".", "texts": []}]
)
def test_sessions_that_packing_never_gives_are_refused(sessions: Any) -> None:
    plan = largest(widest(1, 2), 20, 0).body() | {"sessions": sessions}
    with pytest.raises(ValueError, match="sessions"):
        PlanAdopted.model_validate(plan)
