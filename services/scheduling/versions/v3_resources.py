"""What the days of a school are made of: the parameter set `resources`, and who is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.contracts.scheduling import DayResources, ResourcesAdopted, SchoolResources, StaffMember
from shared.parameters import ParameterKind, Parameters

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
