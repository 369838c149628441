"""A roster is taken as of the day that it is where the district is."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.profile.app import PARTS
from shared.clock import FixedClock
from shared.keys import school_id_of
from shared.testing import running
from tests.profile.district import District
from tests.profile.test_http import learners, send


@pytest.mark.parametrize(
    ("zone", "at", "school"),
    [
        ("Pacific/Auckland", datetime(2026, 11, 24, 17, tzinfo=UTC), "s2"),  # 06:00 on 25 November.
        ("Pacific/Auckland", datetime(2026, 11, 24, 10, 59, tzinfo=UTC), "s1"),
        ("Pacific/Honolulu", datetime(2026, 11, 25, 9, 59, tzinfo=UTC), "s1"),
        ("Pacific/Honolulu", datetime(2026, 11, 25, 10, 0, tzinfo=UTC), "s2"),
        ("UTC", datetime(2026, 11, 24, 23, 59, tzinfo=UTC), "s1"),
        ("UTC", datetime(2026, 11, 25, 0, 0, tzinfo=UTC), "s2"),
    ],
)
async def test_who_changes_school_on_a_day_has_changed_from_its_midnight_on(zone: str, at: datetime, school: str, database: Any) -> None:
    """Ben's role at the first school ends on 25 November, and one at the second begins then."""
    moving = District().put("roles.csv", "r2", endDate="2026-11-25").put("enrollments.csv", "e3", endDate="2026-11-25")
    moving.rows["roles.csv"].append(
        {
            "sourcedId": "r10",
            "userSourcedId": "u2",
            "roleType": "primary",
            "role": "student",
            "orgSourcedId": "s2",
            "beginDate": "2026-11-25",
        }
    )
    async with running(PARTS, database("profile"), clock=FixedClock(at), time_zone=zone) as profile:
        await send(profile, moving)
        assert (await learners(profile))["Ben"]["school_id"] == str(school_id_of("sis", school))
