"""What the days of a school are made of: the parameter set `resources`, who is there, and which days and periods there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.contracts.scheduling import DayResources, ResourcesAdopted, SchoolResources, StaffMember
from shared.parameters import ParameterKind, Parameters

MAX_CLOSED_DAYS: Final = 100
"""How far ahead the next school day is looked for."""
SATURDAY: Final = 5

Schools = Mapping[UUID, SchoolResources]


def _parse(pages: Sequence[Any]) -> Schools:
    schools = (SchoolResources.model_validate(school) for page in pages for school in page)
    return MappingProxyType({school.school_id: school for school in schools})


RESOURCES: Final[ParameterKind[Schools]] = ParameterKind(ResourcesAdopted, _parse)
_NONE: Final[Schools] = MappingProxyType({})


def schools_of(parameters: Parameters) -> Schools:
    """Return the schools whose resources are in force."""
    return parameters.get(RESOURCES) or _NONE


def school_on(parameters: Parameters, school_id: UUID, on: date) -> SchoolResources | None:
    """Return what a school is on a day, by the resources in force; None where it has none."""
    school = schools_of(parameters).get(school_id)
    return None if school is None else of_day(school, on)


def of_day(school: SchoolResources, on: date) -> SchoolResources:
    """Return what a school is on a day: its periods and spaces are those of the day, and of `days` it keeps who is otherwise there."""
    if not school.days:
        return school
    told = next((day for day in school.days if day.on == on), None)
    if told is None:
        return school.model_copy(update={"days": ()})
    people = DayResources(on=on, absent=told.absent, staff=told.staff)
    return school.model_copy(
        update={
            "periods": told.periods or school.periods,
            "spaces": tuple(space for space in school.spaces if space.id not in told.closed_spaces),
            "days": (people,) if told.absent or told.staff else (),
        }
    )


def adults(school: SchoolResources, roster: Iterable[StaffMember]) -> tuple[StaffMember, ...]:
    """Return the adults of the roster and of the resources, in order of their ids.

    Subjects in the resources are in place of the roster's. An entry without subjects leaves her those of the roster; one that says only
    when she is away makes nobody an adult: who is not on the roster any more, left. So it is with what is told of a day, behind the usual.

    Args:
        school: as it is on the day (`of_day`).
    """
    everybody = {member.staff_id: member for member in roster}
    for told in school.staff:
        _tell(everybody, told)
    for day in school.days:
        for told in day.staff:
            known = everybody.get(told.staff_id)
            away = (*told.away, *(known.away if known else ()))
            _tell(everybody, told.model_copy(update={"away": tuple(sorted(set(away)))}))
        for gone in day.absent:
            everybody.pop(gone, None)
    return tuple(everybody[staff_id] for staff_id in sorted(everybody))


def _tell(everybody: dict[UUID, StaffMember], told: StaffMember) -> None:
    known = everybody.get(told.staff_id)
    if known is not None and not told.subjects:
        everybody[told.staff_id] = known.model_copy(update={"away": told.away})
    elif told.subjects or not told.away:
        everybody[told.staff_id] = told


def days_alike(before: SchoolResources, now: SchoolResources) -> bool:
    """Return whether a day is the same with both: in which time zone it is, and which days are closed, does not tell what a day holds.

    Args:
        before: as it was on the day (`of_day`), and `now` as it is.
    """
    held = [(school.spaces, school.periods, school.staff, school.rules, school.days) for school in (before, now)]
    return held[0] == held[1]


def takes_repair(before: SchoolResources, now: SchoolResources) -> bool:
    """Return whether a plan made with one can be repaired for the other: the same periods, and the same is done in groups."""
    return _frame(before) == _frame(now)


def _frame(school: SchoolResources) -> tuple[object, ...]:
    return [(period.id, period.subject) for period in school.periods], {rule.modality for rule in school.rules}


def is_school_day(school: SchoolResources, day: date) -> bool:
    """Return whether there is school: no Saturday, no Sunday, not named as closed."""
    return day.weekday() < SATURDAY and day not in school.closed and not any(told.closed and told.on == day for told in school.days)


def closed_before(school: SchoolResources, day: date, most: int) -> tuple[date, ...]:
    """Return of so many days before one those without school, or fewer where days begin."""
    days = (day - timedelta(days=back) for back in range(1, min(most, (day - date.min).days) + 1))
    return tuple(each for each in days if not is_school_day(school, each))


def next_school_day(school: SchoolResources, after: date) -> date | None:
    """Return the first school day after this one, or None where there is none within a hundred days, or before days end."""
    days = (after + timedelta(days=ahead) for ahead in range(1, min(MAX_CLOSED_DAYS, (date.max - after).days) + 1))
    return next((day for day in days if is_school_day(school, day)), None)
