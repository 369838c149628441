"""A school's day is that of its own time zone: where it is morning, nothing has begun, whatever the time in Greenwich."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from services.scheduling.checks import faults_of
from services.scheduling.hours import begun_periods, local_day, open_days
from shared.contracts.scheduling import Period, SchoolResources
from shared.zones import timezones
from tests.scheduling.school import TUESDAY, WEDNESDAY, made_school

NEW_YORK, AUCKLAND = "America/New_York", "Pacific/Auckland"
SUNDAY_BACK, SUNDAY_ON = date(2026, 11, 1), date(2026, 3, 8)
"""When clocks in New York are set back from 2:00 to 1:00, and forth from 2:00 to 3:00."""


def school_in(timezone: str, *starts: str) -> SchoolResources:
    """A school with periods at eight, ten to nine and twenty to ten, or with these."""
    periods = [Period(id=f"p{number}", starts=start, ends="23:00") for number, start in enumerate(starts)]
    more = {"timezone": timezone} | ({"periods": tuple(periods)} if periods else {})
    return made_school(1, 16, 3, 5).model_copy(update=more)


def at(timezone: str, day: date, hour: int, minute: int = 0, fold: int = 0) -> datetime:
    """What the service's clock shows at this local time."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(timezone), fold=fold).astimezone(UTC)


def test_today_is_planned_while_a_period_is_still_to_come_in_the_school() -> None:
    school = school_in(NEW_YORK)
    assert at(NEW_YORK, TUESDAY, 8, 10).hour == 13
    moments = [(7, 59), (8, 0), (8, 10), (8, 50)]
    assert [begun_periods(school, TUESDAY, at(NEW_YORK, TUESDAY, *moment)) for moment in moments] == [0, 1, 1, 2]
    assert open_days(school, at(NEW_YORK, TUESDAY, 8, 10)) == [TUESDAY, WEDNESDAY]
    assert open_days(school, at(NEW_YORK, TUESDAY, 9, 40)) == [WEDNESDAY]


def test_in_the_evening_it_is_tomorrow_in_greenwich_but_not_in_the_school() -> None:
    now = at(NEW_YORK, TUESDAY, 21)
    assert now.date() == WEDNESDAY
    assert local_day(school_in(NEW_YORK), now) == TUESDAY
    assert open_days(school_in(NEW_YORK), now) == [WEDNESDAY]
    assert begun_periods(school_in(NEW_YORK), WEDNESDAY, now) == 0


def test_in_auckland_tomorrow_begins_while_it_is_today_in_greenwich() -> None:
    school, now = school_in(AUCKLAND), at(AUCKLAND, WEDNESDAY, 7)
    assert now.date() == TUESDAY
    assert local_day(school, now) == WEDNESDAY
    assert open_days(school, now) == [WEDNESDAY, date(2026, 11, 26)]
    assert (begun_periods(school, TUESDAY, now), begun_periods(school, WEDNESDAY, now)) == (3, 0)


def test_periods_begin_once_on_the_day_when_clocks_are_set_back() -> None:
    school = school_in(NEW_YORK, "00:30", "01:30", "08:00")
    moments = [(0, 45, 0), (1, 29, 0), (1, 30, 0), (1, 10, 1), (1, 40, 1), (7, 59, 0), (8, 0, 0)]
    instants = [at(NEW_YORK, SUNDAY_BACK, *moment) for moment in moments]
    assert instants == sorted(instants)
    assert [begun_periods(school, SUNDAY_BACK, now) for now in instants] == [1, 1, 2, 2, 2, 2, 3]
    assert instants[-1].hour == 13


def test_the_school_day_goes_by_the_clocks_as_they_are_set_forth() -> None:
    school = school_in(NEW_YORK, "01:30", "02:30", "08:00")
    moments = [(1, 59), (3, 29), (3, 30), (7, 59), (8, 0)]
    assert [begun_periods(school, SUNDAY_ON, at(NEW_YORK, SUNDAY_ON, *moment)) for moment in moments] == [1, 1, 2, 2, 3]
    assert at(NEW_YORK, SUNDAY_ON, 8).hour == 12


def test_without_a_time_zone_it_is_utc_and_that_is_not_written() -> None:
    school = made_school(1, 16, 3, 5)
    assert "timezone" not in school.model_dump(mode="json", exclude_defaults=True)
    assert begun_periods(school, TUESDAY, datetime(2026, 11, 24, 8, tzinfo=UTC)) == 1


@pytest.mark.parametrize("wrong", ["", "New York", "america/new_york", "../UTC", "localtime", "/etc/passwd"])
def test_a_time_zone_that_is_none_is_refused_with_its_place(wrong: str) -> None:
    assert [(fault.place, fault.code) for fault in faults_of([school_in(wrong)])] == [("/schools/0/timezone", "unknown-timezone")]


def test_every_time_zone_that_is_taken_can_be_told_the_time_in() -> None:
    assert {"UTC", NEW_YORK, AUCKLAND, "US/Pacific"} <= timezones()
    assert all(local_day(school_in(name), datetime(2026, 11, 24, 12, tzinfo=UTC)).year == 2026 for name in sorted(timezones()))
