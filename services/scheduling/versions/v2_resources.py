"""What the days of a school are made of: the parameter set `resources`, and who is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.contracts.scheduling import ResourcesAdopted, SchoolResources, StaffMember
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


def adults(school: SchoolResources, roster: Iterable[StaffMember]) -> tuple[StaffMember, ...]:
    """Return the adults of the roster and of the resources, in order of their ids.

    Subjects in the resources are in place of the roster's. An entry without subjects leaves her those of the roster; one that says only
    when she is away makes nobody an adult: who is not on the roster any more, left.
    """
    everybody = {member.staff_id: member for member in roster}
    for told in school.staff:
        known = everybody.get(told.staff_id)
        if known is not None and not told.subjects:
            everybody[told.staff_id] = known.model_copy(update={"away": told.away})
        elif told.subjects or not told.away:
            everybody[told.staff_id] = told
    return tuple(everybody[staff_id] for staff_id in sorted(everybody))
