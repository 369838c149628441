"""When it is in a school: instants become days and periods by its own time zone. For the edges only: what a day is asked carries the
day and the periods that have begun, since the time zone database changes and a decision does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from services.scheduling.resources import is_school_day, next_school_day, of_day
from shared.contracts.scheduling import SchoolResources
from shared.errors import Refused


def local_day(school: SchoolResources, now: datetime) -> date:
    """Return the day that it is in the school."""
    return now.astimezone(ZoneInfo(school.timezone)).date()


def begun_periods(school: SchoolResources, on: date, now: datetime) -> int:
    """Return how many of a day's periods have begun.

    A start that clocks show twice, when they are set back, is the first of them; one that they leave out is taken as if they were not
    set yet.
    """
    zone = ZoneInfo(school.timezone)
    starts = (datetime.combine(on, _time(period.starts), zone).astimezone(UTC) for period in of_day(school, on).periods)
    return sum(start <= now for start in starts)


def _time(told: str) -> time:
    """Return a time of day, in the digits of whatever script: older releases took them all."""
    return time(int(told[:2]), int(told[3:]))


def refuse_other_hours(before: SchoolResources, after: SchoolResources, on: date, now: datetime) -> None:
    """Raise Refused where a day's periods that have begun would be other ones, or one that is new would have begun already."""
    was, becomes = of_day(before, on).periods, of_day(after, on).periods
    if was == becomes:
        return
    begun = begun_periods(before, on, now)
    if was[:begun] != becomes[:begun]:
        named = ", ".join(period.id for period in was[:begun])
        remedy = f"send them first, as they were; where only other days become otherwise, tell the periods of {on} in its `days`"
        raise Refused("begun", f"periods {named} have begun on {on} in school {before.school_id}, and stay: {remedy}")
    if begun_periods(after, on, now) > begun:
        raise Refused("begun", f"a period of {on} that is new would have begun already, with nobody in it: let it begin later")


def last_moment(school: SchoolResources, on: date) -> datetime:
    """Return the instant with which a day ends in the school."""
    return datetime.combine(on, time.max, ZoneInfo(school.timezone))


def open_days(school: SchoolResources, now: datetime) -> list[date]:
    """Return the days that are planned now: today while a period is still to come, and the next school day."""
    day = local_day(school, now)
    days = [day] if is_school_day(school, day) and begun_periods(school, day, now) < len(of_day(school, day).periods) else []
    following = next_school_day(school, day)
    return days if following is None else [*days, following]
