"""Days that were read are kept within bounds, and only while they are as they were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from services.scheduling.explain import SchoolDay
from services.scheduling.queries.kept import Kept, PlanRow, Seen
from shared.contracts.scheduling import SchoolResources
from tests.scheduling.school import WEDNESDAY, made_demands, made_school

SCHOOLS = [made_school(1, 16, 3, 5).model_copy(update={"school_id": UUID(int=number)}) for number in range(5)]
PLAN = PlanRow("greedy", "greedy/1", 0, None, datetime(2026, 11, 24, tzinfo=UTC))


def seen(school: SchoolResources, version: int = 1, learners: int = 10) -> Seen:
    return Seen(version, SchoolDay(school, (), made_demands(1, learners), {}), PLAN)


def kept_of(kept: Kept, on: date = WEDNESDAY) -> list[int]:
    return [number for number, school in enumerate(SCHOOLS) if kept.get(school.school_id, on, 1)]


def test_a_day_is_kept_until_its_version_changes() -> None:
    kept, day = Kept(), seen(SCHOOLS[0], version=4)
    kept.put(WEDNESDAY, day)
    assert kept.get(SCHOOLS[0].school_id, WEDNESDAY, 4) is day
    assert kept.get(SCHOOLS[0].school_id, WEDNESDAY, 5) is None
    assert kept.get(SCHOOLS[0].school_id, WEDNESDAY, 3) is None
    assert kept.get(SCHOOLS[0].school_id, WEDNESDAY + timedelta(days=1), 4) is None
    assert kept.get(SCHOOLS[1].school_id, WEDNESDAY, 4) is None


def test_the_days_that_were_asked_for_last_have_room() -> None:
    kept = Kept(most=30)
    for school in SCHOOLS[:3]:
        kept.put(WEDNESDAY, seen(school))
    assert kept_of(kept) == [0, 1, 2]
    assert kept.get(SCHOOLS[0].school_id, WEDNESDAY, 1)
    kept.put(WEDNESDAY, seen(SCHOOLS[3]))
    assert sorted(kept_of(kept)) == [0, 2, 3]


def test_a_day_that_is_read_again_takes_its_own_room() -> None:
    kept = Kept(most=30)
    for version in range(10):
        kept.put(WEDNESDAY, seen(SCHOOLS[0], version))
    kept.put(WEDNESDAY, seen(SCHOOLS[0]))
    kept.put(WEDNESDAY, seen(SCHOOLS[1], learners=20))
    assert kept_of(kept) == [0, 1]
    kept.put(WEDNESDAY, seen(SCHOOLS[2], learners=40))
    assert kept_of(kept) == []
    kept.put(WEDNESDAY, seen(SCHOOLS[3], learners=30))
    assert kept_of(kept) == [3]
