"""What is wrong with resources beyond their form: places that stand twice, periods that overlap, adults away in no period."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.scheduling.hours import timezones
from services.scheduling.limits import most_learners_of, zones_of
from shared.contracts.envelope import MAX_PAGE_BYTES, canonical
from shared.contracts.scheduling import SchoolResources
from shared.errors import Fault

NOBODY: Final[Mapping[UUID, int]] = MappingProxyType({})


def faults_of(schools: Sequence[SchoolResources], present: Mapping[UUID, int] = NOBODY) -> list[Fault]:
    """Return everything wrong with these schools, in order; places are JSON pointers into `{"schools": [...]}`.

    Args:
        present: how many learners of each school ask for something now.
    """
    found = list(_twice("/schools", "school_id", (school.school_id for school in schools)))
    for number, school in enumerate(schools):
        found.extend(_of_school(school, f"/schools/{number}", present.get(school.school_id, 0)))
    return found


def _of_school(school: SchoolResources, place: str, present: int) -> Iterator[Fault]:
    size = len(canonical(school.model_dump(mode="json", exclude_defaults=True)))
    if size > MAX_PAGE_BYTES - 3:
        yield Fault(place, "too-large", f"the school has {size} bytes", f"send at most {MAX_PAGE_BYTES - 3} for one school")
    if school.timezone not in timezones():
        remedy = "send a name of the IANA time zone database, such as America/New_York"
        yield Fault(f"{place}/timezone", "unknown-timezone", f"there is no time zone {school.timezone!r}", remedy)
    room, needed = most_learners_of(school), max(present, 1)
    if room < needed:
        detail = f"{len(zones_of(school))} zones in {len(school.periods)} periods: the plan of {needed} learners may not fit one event"
        remedy = f"send fewer zones or periods: there is room for {max(room, 0)} learners, {needed} are there"
        yield Fault(f"{place}/spaces", "too-large", detail, remedy)
    yield from _twice(f"{place}/spaces", "id", (space.id for space in school.spaces))
    for number, space in enumerate(school.spaces):
        yield from _twice(f"{place}/spaces/{number}/zones", "id", (zone.id for zone in space.zones))
    yield from _twice(f"{place}/periods", "id", (period.id for period in school.periods))
    yield from _times(school, f"{place}/periods")
    yield from _twice(f"{place}/staff", "staff_id", (member.staff_id for member in school.staff))
    yield from _twice(f"{place}/rules", "modality", (rule.modality for rule in school.rules))
    periods = {period.id for period in school.periods}
    for number, member in enumerate(school.staff):
        for away in member.away:
            if away not in periods:
                yield Fault(f"{place}/staff/{number}/away", "unknown-reference", f"there is no period {away!r}", "name one of the periods")
    for number, rule in enumerate(school.rules):
        if rule.smallest > rule.largest:
            detail = f"smallest {rule.smallest} is above largest {rule.largest}"
            yield Fault(f"{place}/rules/{number}", "out-of-order", detail, "exchange them")


def _times(school: SchoolResources, place: str) -> Iterator[Fault]:
    before = ""
    for number, period in enumerate(school.periods):
        for name, told in (("starts", period.starts), ("ends", period.ends)):
            if not ("00" <= told[:2] <= "23" and told[3:] <= "59"):
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
