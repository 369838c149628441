"""The largest day that is allowed fits one event, for every number of periods: otherwise it could never be planned."""

from __future__ import annotations

from bisect import bisect
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest

from services.scheduling.checks import faults_of
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


def most_zones(count: int) -> int:
    """The most zones with which resources of so many periods are taken."""
    return bisect(range(1, 4_000), -MAX_LEARNERS, key=lambda zones: -most_learners_of(widest(count, zones)))


def largest(school: SchoolResources) -> PlanAdopted:
    """A plan of the most learners, with a session in every zone and period, each with an adult and a competency that no other has."""
    places = [(space.id, zone.id) for space in school.spaces for zone in space.zones]
    sessions = tuple(
        Session(
            period_id=period.id, space_id=space, zone_id=zone, staff_id=uuid5(NAMESPACE, f"{period.id}{zone}"), use=Use.GROUP,
            competency_id=f"c{period.id[1:]}{zone[-48:]}", modality=Modality.SMALL_GROUP,
        )
        for period in school.periods for space, zone in places
    )  # fmt: skip
    count = len(school.periods)
    placed = tuple(tuple(period * len(places) + who % len(places) for period in range(count)) for who in range(MAX_LEARNERS))
    return PlanAdopted(
        school_id=SCHOOL, on=WEDNESDAY, asked_on=TUESDAY, begun=count, base_version=MAX_INTEGER, resources="0" * 64, inputs_hash="0" * 64,
        solver="x" * 64, status=Status.FEASIBLE, inside=True, value=-MAX_INTEGER, bound=-MAX_INTEGER,
        learners=tuple(uuid5(NAMESPACE, str(who)) for who in range(MAX_LEARNERS)), sessions=sessions, placements=placed,
        needs=tuple((11,) * count for _ in range(MAX_LEARNERS)), moved=MAX_LEARNERS,
    )  # fmt: skip


def bytes_of(event: PlanAdopted) -> bytes:
    key = str(SCHOOL)
    return envelope(
        source="https://a-district-with-a-long-name.example/cairn/scheduling",
        stream=StreamId("scheduling", "day", f"{key}/{WEDNESDAY}", key), version=MAX_INTEGER,
        partition=1_000, position=MAX_INTEGER, previous="0" * 64, at=datetime(2026, 11, 24, tzinfo=UTC),
        decider="scheduling.day/1", settings=MAX_INTEGER, release="x" * 100, origin=Origin(str(NAMESPACE), str(NAMESPACE)), event=event,
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 4, 6, 8, 12])
def test_the_largest_plan_of_resources_that_are_taken_fits_one_event(count: int) -> None:
    zones = most_zones(count)
    school = widest(count, zones)
    plan = largest(school)
    size = len(bytes_of(plan))
    assert MAX_EVENT_BYTES * 9 // 10 < size <= MAX_EVENT_BYTES
    assert size - len(canonical(plan.body())) < HEAD_BYTES // 2
    assert PlanAdopted.model_validate(plan.body()) == plan
    present = {SCHOOL: MAX_LEARNERS}
    assert not faults_of([school], present)
    assert [(fault.place, fault.code) for fault in faults_of([widest(count, zones + 1)], present)] == [("/schools/0/spaces", "too-large")]


def test_a_school_of_usual_size_is_far_from_the_limit() -> None:
    assert most_zones(4) > 250
    assert most_zones(6) > 160
    assert most_zones(8) > 110
    assert most_zones(12) > 60
    assert most_learners(6, 22, 1_000) > 3_000


def test_a_refusal_says_how_many_learners_there_is_room_for() -> None:
    (fault,) = faults_of([widest(12, 90)], {SCHOOL: 1_400})
    assert "90 zones in 12 periods" in fault.detail
    assert f"{most_learners_of(widest(12, 90))} learners, 1400 are there" in fault.remedy
    assert most_learners_of(widest(12, 600)) == -1
    assert room_of(widest(12, 600)) == 0


def test_a_school_is_measured_by_those_who_are_there() -> None:
    school = widest(12, 90)
    assert most_learners_of(school) == room_of(school) < MAX_LEARNERS
    assert not faults_of([school])
    assert not faults_of([school], {SCHOOL: room_of(school), UUID(int=5): MAX_LEARNERS})
    assert faults_of([school], {SCHOOL: room_of(school) + 1})
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
    plan = largest(widest(1, 2)).body() | {"sessions": sessions}
    with pytest.raises(ValueError, match="sessions"):
        PlanAdopted.model_validate(plan)
