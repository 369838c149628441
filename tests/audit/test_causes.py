"""What time may have asked of a service: days end elsewhere than in UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.cli.audit.causes import _days
from shared.zones import day_in


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Honolulu", "Pacific/Auckland", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_the_sweep_of_a_day_is_known_wherever_the_district_is(zone: str) -> None:
    first = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    for hour in range(48):
        last = first + timedelta(hours=hour)
        days = set(_days(first, last))
        assert {day_in(ZoneInfo(zone), first), day_in(ZoneInfo(zone), last)} <= days
