"""What is wrong with resources beyond their form: places that stand twice, periods that overlap, adults away in no period."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.scheduling.limits import MAX_SCHOOL_BYTES, bytes_of, most_learners_of, zones_of
from shared.contracts.scheduling import DayResources, Period, SchoolResources, StaffMember
from shared.errors import Fault
from shared.zones import timezones


@dataclass(frozen=True)
class Present:
    """Who is at a school."""

    learners: int = 0
    """How many ask for something."""
    staff: frozenset[UUID] = frozenset()
    """Whom the roster has there."""


NOBODY: Final = Present()


def faults_of(schools: Sequence[SchoolResources], present: Mapping[UUID, Present] = MappingProxyType({})) -> list[Fault]:
    """Return everything wrong with these schools, in order; places are JSON pointers into `{"schools": [...]}`.

    Args:
        present: who is at each school now.
    """
    found = list(_twice("/schools", "school_id", (school.school_id for school in schools)))
    for number, school in enumerate(schools):
        found.extend(_of_school(school, f"/schools/{number}", present.get(school.school_id, NOBODY)))
    return found


def _of_school(school: SchoolResources, place: str, present: Present) -> Iterator[Fault]:
    size = bytes_of(school)
    if size > MAX_SCHOOL_BYTES:
        yield Fault(place, "too-large", f"the school has {size} bytes", f"send at most {MAX_SCHOOL_BYTES} for one school")
    if school.timezone not in timezones():
        remedy = "send a name of the IANA time zone database, such as America/New_York"
        yield Fault(f"{place}/timezone", "unknown-timezone", f"there is no time zone {school.timezone!r}", remedy)
    yield from _size(school, place, present)
    yield from _twice(f"{place}/spaces", "id", (space.id for space in school.spaces))
    for number, space in enumerate(school.spaces):
        yield from _twice(f"{place}/spaces/{number}/zones", "id", (zone.id for zone in space.zones))
    yield from _periods(school.periods, f"{place}/periods")
    yield from _staff(school.staff, school.periods, f"{place}/staff")
    yield from _twice(f"{place}/rules", "modality", (rule.modality for rule in school.rules))
    for number, rule in enumerate(school.rules):
        if rule.smallest > rule.largest:
            detail = f"smallest {rule.smallest} is above largest {rule.largest}"
            yield Fault(f"{place}/rules/{number}", "out-of-order", detail, "exchange them")
    yield from _twice(f"{place}/days", "on", (told.on for told in school.days))
    for number, told in enumerate(school.days):
        yield from day_faults(school, told, f"{place}/days/{number}", present)


def staying_faults(school: SchoolResources, place: str, present: Present, today: date) -> Iterator[Fault]:
    """Yield what is wrong with the dates of a school that were told before, and stay with what is sent: each says its date and remedy."""
    for told in school.days:
        if told.on >= today:
            for fault in day_faults(school, told, f"{place}/days/{told.on}", present):
                remedy = f"keep it, or tell {told.on} otherwise first (PUT /scheduling/schools/{school.school_id}/days/{told.on}/resources)"
                yield replace(fault, detail=f"of {told.on}, which was told before and stays: {fault.detail}", remedy=remedy)
    size = bytes_of(school)
    if size > MAX_SCHOOL_BYTES:
        remedy = f"send at most {MAX_SCHOOL_BYTES} with its dates, or make dates as usual first"
        yield Fault(place, "too-large", f"the school has {size} bytes with the dates that stay", remedy)


def day_faults(school: SchoolResources, told: DayResources, place: str, present: Present) -> Iterator[Fault]:
    """Yield what is wrong with that which is told of one date of a school."""
    if told.periods is not None:
        yield from _periods(told.periods, f"{place}/periods")
        yield from _size(school.model_copy(update={"periods": told.periods}), place, present)
    yield from _staff(told.staff, told.periods or school.periods, f"{place}/staff")
    spaces = {space.id for space in school.spaces}
    for number, space in enumerate(told.closed_spaces):
        if space not in spaces:
            yield Fault(
                f"{place}/closed_spaces/{number}", "unknown-reference", f"there is no space {space!r}", "name one of the school's spaces"
            )


def _size(school: SchoolResources, place: str, present: Present) -> Iterator[Fault]:
    staff = present.staff | {member.staff_id for member in school.staff}
    room, needed = most_learners_of(school, len(staff)), max(present.learners, 1)
    if room < needed:
        size = f"{len(zones_of(school))} zones in {len(school.periods)} periods with {len(staff)} adults"
        detail = f"{size}: the plan of {needed} learners may not fit one event"
        remedy = f"send fewer zones or periods: there is room for {max(room, 0)} learners, {needed} are there"
        yield Fault(f"{place}/spaces", "too-large", detail, remedy)


def _staff(staff: Sequence[StaffMember], periods: Sequence[Period], place: str) -> Iterator[Fault]:
    yield from _twice(place, "staff_id", (member.staff_id for member in staff))
    known = {period.id for period in periods}
    for number, member in enumerate(staff):
        for away in member.away:
            if away not in known:
                yield Fault(f"{place}/{number}/away", "unknown-reference", f"there is no period {away!r}", "name one of the periods")


def _periods(periods: Sequence[Period], place: str) -> Iterator[Fault]:
    yield from _twice(place, "id", (period.id for period in periods))
    yield from _times(periods, place)


def _times(periods: Sequence[Period], place: str) -> Iterator[Fault]:
    before = ""
    for number, period in enumerate(periods):
        for name, told in (("starts", period.starts), ("ends", period.ends)):
            if not (told.isascii() and "00" <= told[:2] <= "23" and told[3:] <= "59"):
                yield Fault(f"{place}/{number}/{name}", "no-time", f"{told!r} is no time of day", "send one from 00:00 to 23:59")
        if period.ends <= period.starts:
            yield Fault(
                f"{place}/{number}/ends", "out-of-order", f"it ends at {period.ends}, not after {period.starts}", "let it end later"
            )
        if period.starts < before:
            detail = f"it starts at {period.starts}, before the one before it ends ({before})"
            yield Fault(f"{place}/{number}/starts", "out-of-order", detail, "send periods in order of time, without overlap")
        before = max(before, period.ends)


def _twice(place: str, name: str, values: Iterable[Hashable]) -> Iterator[Fault]:
    seen: dict[Hashable, int] = {}
    for number, value in enumerate(values):
        if value in seen:
            yield Fault(f"{place}/{number}/{name}", "duplicate", f"it stands at {place}/{seen[value]} already", "send each once")
        seen.setdefault(value, number)
