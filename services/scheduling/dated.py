"""What is otherwise on single dates, as it is changed: one date at a time, kept while it can matter, never of a day that is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from services.scheduling.limits import MAX_SCHOOL_BYTES, bytes_of
from shared.contracts.envelope import canonical, digest
from shared.contracts.scheduling import MAX_DATED, DayResources, Period, SchoolResources, StaffMember
from shared.errors import Refused

REMEMBERED: Final = timedelta(days=400)
"""Time for which it is kept that a day was closed, for those who ask about it when it is over."""
MAX_AHEAD: Final = timedelta(days=400)
CHANGED: Final = "changed"
"""Code of the refusal of a change that was made without knowing the one before."""


def told_of(school: SchoolResources, on: date) -> DayResources:
    """Return what is otherwise on a date; nothing but the date where all is as usual."""
    return next((day for day in school.days if day.on == on), DayResources(on=on))


def base_of(told: DayResources) -> str:
    """Return what names that which is otherwise on a date; the empty text where all is as usual."""
    return "" if _nothing(told) else digest(canonical(told.model_dump(mode="json", exclude_defaults=True)))


def changed(school: SchoolResources, told: DayResources, base: str, today: date) -> SchoolResources:
    """Return the school with this told of a date, in place of what was.

    Args:
        base: what the change was made from; see `base_of`.

    Raises:
        Refused: the date is over or too far ahead, or something else is told of it by now.
    """
    if told.on < today:
        raise Refused("over", f"{told.on} is over in the school: what it was stays as it is")
    if told.on > today + MAX_AHEAD:
        raise Refused("too-far", f"{told.on} is more than {MAX_AHEAD.days} days ahead: tell it when it is nearer")
    before = told_of(school, told.on)
    if told == before:
        return school
    if base != base_of(before):
        raise Refused(CHANGED, f"somebody else said what is otherwise on {told.on}: look at it with GET, and send yours with its base")
    after = school.model_copy(update={"days": _ordered(*(day for day in school.days if day.on != told.on), told)})
    return kept(after, today)


def lost(before: SchoolResources, sent: SchoolResources, today: date) -> list[date]:
    """Return the dates, not over, of which the school as it is sent would take away what was told."""
    dates = {day.on: day for day in sent.days}
    return [day.on for day in before.days if day.on >= today and dates.get(day.on) != day]


def base_of_dates(schools: Iterable[SchoolResources]) -> str:
    """Return what names that which is otherwise on all dates of schools; the empty text where all is as usual."""
    told = {str(school.school_id): [day.model_dump(mode="json", exclude_defaults=True) for day in school.days] for school in schools}
    dated = {school: days for school, days in told.items() if days}
    return digest(canonical(dated)) if dated else ""


def with_past(before: SchoolResources, sent: SchoolResources, today: date) -> SchoolResources:
    """Return a school as it is sent, with what is kept of dates that are over as it was: nobody who sends a whole has to know of it. The
    latest of it stays, as far as there is room beside what is sent."""
    over = {day.on for day in before.days if day.on < today}
    told = [day for day in sent.days if day.on not in over]
    latest = [day for day in reversed(kept(before, today).days) if day.on < today][: max(0, MAX_DATED - len(told))]
    after = sent.model_copy(update={"days": _ordered(*latest, *told)})
    return after if bytes_of(after) <= MAX_SCHOOL_BYTES else sent


def kept(school: SchoolResources, today: date) -> SchoolResources:
    """Return the school without dates that are over, but for those on which it was closed."""
    days = [day for day in school.days if day.on >= today or (day.closed and day.on >= today - REMEMBERED)]
    return school.model_copy(update={"days": _ordered(*days)})


def lowered(school: SchoolResources) -> SchoolResources:
    """Return the school with its subjects as competencies have them: in lower case, without spaces around them."""
    return school.model_copy(
        update={
            "periods": _periods(school.periods),
            "staff": _staff(school.staff),
            "days": _ordered(*map(lowered_day, school.days)),
        }
    )


def lowered_day(told: DayResources) -> DayResources:
    """Return what is otherwise on a date with its subjects likewise."""
    return told.model_copy(
        update={"periods": None if told.periods is None else _periods(told.periods), "staff": _staff(told.staff)},
    )


def _ordered(*days: DayResources) -> tuple[DayResources, ...]:
    return tuple(sorted((day for day in days if not _nothing(day)), key=lambda day: day.on))


def _nothing(told: DayResources) -> bool:
    return told == DayResources(on=told.on)


def _periods(periods: tuple[Period, ...]) -> tuple[Period, ...]:
    return tuple(period.model_copy(update={"subject": period.subject.strip().lower()}) for period in periods)


def _staff(staff: tuple[StaffMember, ...]) -> tuple[StaffMember, ...]:
    taught = [sorted({subject.strip().lower() for subject in member.subjects}) for member in staff]
    return tuple(member.model_copy(update={"subjects": tuple(found)}) for member, found in zip(staff, taught, strict=True))
