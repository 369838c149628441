"""What the days of schools are made of: of all schools at once, or of one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.scheduling.checks import faults_of
from services.scheduling.queries import Queries
from services.scheduling.resources import RESOURCES, Schools, schools_of
from shared.contracts.scheduling import SchoolResources
from shared.contracts.topics import Topic
from shared.errors import BadInput, Fault, Refused
from shared.http import FIRST_ID, Page, Paging, body_of, events_of, problem_responses, read_model
from shared.parts import Context
from shared.settings_stream import STALE, adopted_id, adoption

MAX_SCHOOLS: Final = 2_000
MAX_TRIES: Final = 5
"""Times that resources are put beside those of others, where others were put in force meanwhile."""
MAX_NOTES: Final = 100
"""Schools of which an answer tells what to look at, and words about each."""
MAX_NAMED: Final = 10
"""Schools that a refusal names."""

T = TypeVar("T", str, UUID)
Remove = Annotated[bool, Query(description="Also take away what schools have that are not named, and whose learners ask for something.")]


class Resources(BaseModel):
    """All schools of the district, in place of those before."""

    model_config = ConfigDict(extra="forbid")

    schools: list[SchoolResources] = Field(min_length=1, max_length=MAX_SCHOOLS)


class Note(BaseModel):
    """What to look at in a school's resources: it was taken as it is, and has no effect."""

    school_id: UUID
    unknown_subjects: list[str] = Field(
        default=[], description="Of periods and staff: no learner of the school needs one, so nothing is grouped for it. Written otherwise?"
    )
    unknown_staff: list[UUID] = Field(
        default=[], description="Said to be away, but not of the school by its roster, and without subjects here: nobody's day changes."
    )


class Adopted(BaseModel):
    """What became of the resources."""

    set_id: str = Field(description="The hash of their content.")
    schools: int
    events: int = Field(description="Events recorded; none where the same resources were in force.")
    removed: list[UUID] = Field(default=[], description="Schools that had resources and have none any more.")
    notes: list[Note] = Field(default=[], description=f"What to look at, of at most {MAX_NOTES} schools.")


class Change:
    """Puts resources in force beside what others put in force meanwhile."""

    def __init__(self, context: Context, queries: Queries) -> None:
        self._context, self._queries = context, queries
        self._turn = asyncio.Lock()

    async def put(self, change: Callable[[Schools], Awaitable[Mapping[UUID, SchoolResources]]], told: Collection[UUID]) -> Adopted:
        """Put in force what `change` makes of what is; it is asked again where that changes meanwhile.

        Args:
            told: schools of which the answer says what to look at.

        Raises:
            Refused: others were faster, time and again.
        """
        for _ in range(MAX_TRIES):
            parameters = await self._context.asker.parameters()
            before = schools_of(parameters)
            schools = await change(before)
            items = [school.model_dump(mode="json", exclude_defaults=True) for school in schools.values()]
            commands = adoption(Topic.SCHEDULING, RESOURCES, items, base=parameters.id_of(RESOURCES) or "")
            try:
                events = await events_of(self._context, commands)
            except Refused as refused:
                if refused.code != STALE:
                    raise
                continue
            return Adopted(
                set_id=adopted_id(commands), schools=len(items), events=len(events), removed=sorted(before.keys() - schools.keys()),
                notes=await self._notes([schools[school] for school in told]),
            )  # fmt: skip
        raise Refused(STALE, "resources of other schools came meanwhile, time and again: send it again, which is safe")

    async def of_school(self, school_id: UUID, change: Callable[[SchoolResources | None], Awaitable[SchoolResources]]) -> Adopted:
        """Put in force what `change` makes of one school's resources, and leave those of others."""

        async def beside(before: Schools) -> Mapping[UUID, SchoolResources]:
            schools = {**before, school_id: await change(before.get(school_id))}
            if len(schools) > MAX_SCHOOLS:
                fault = Fault("/school_id", "too-many", f"{MAX_SCHOOLS} schools have resources already", "take out those that are closed")
                raise BadInput(f"the resources cannot be taken: {fault}", [fault])
            return schools

        async with self._turn:  # Schools of this process come one after another; those of other ones are met by trying again.
            return await self.put(beside, [school_id])

    async def _notes(self, schools: Sequence[SchoolResources]) -> list[Note]:
        subjects = await self._queries.unknown_subjects(
            (school.school_id, subject) for school in schools for subject in _subjects(school) if subject
        )
        staff = await self._queries.unknown_staff(
            (school.school_id, member.staff_id) for school in schools for member in school.staff if member.away and not member.subjects
        )
        noted = sorted({school for school, _ in (*subjects, *staff)})[:MAX_NOTES]
        return [Note(school_id=school, unknown_subjects=_of(school, subjects), unknown_staff=_of(school, staff)) for school in noted]


def _of(school: UUID, told: Iterable[tuple[UUID, T]]) -> list[T]:
    return sorted(value for named, value in told if named == school)[:MAX_NOTES]


def _subjects(school: SchoolResources) -> set[str]:
    return {period.subject for period in school.periods} | {subject for member in school.staff for subject in member.subjects}


def add_to(router: APIRouter, context: Context, queries: Queries) -> None:
    """Add the routes of resources."""
    change = Change(context, queries)

    @router.put("/resources", openapi_extra=body_of({"application/json": Resources}), responses=problem_responses(409))
    async def put_resources(request: Request, remove: Remove = False) -> Adopted:
        """Take the spaces, periods, staff and group sizes of all schools; one that is not named has none any more.

        Where learners of such a school ask for something, it is refused: with `remove=true` it is taken, and their days are planned no
        more. May be repeated: the same again changes nothing. To change one school, put its own resources.
        """
        told = await read_model(request, Resources)
        await _refuse_faults(queries, told.schools)
        schools = {school.school_id: _lowered(school) for school in told.schools}

        async def instead(before: Schools) -> Mapping[UUID, SchoolResources]:
            if not remove:
                _refuse_removal(await queries.present(sorted(before.keys() - schools.keys())))
            return schools

        return await change.put(instead, schools)

    @router.put(
        "/schools/{school_id}/resources", openapi_extra=body_of({"application/json": SchoolResources}), responses=problem_responses(409)
    )
    async def put_school_resources(request: Request, school_id: UUID) -> Adopted:
        """Take what one school's days are made of; those of other schools stay as they are, also where theirs come at the same time.

        May be repeated: the same again changes nothing.
        """
        told = await read_model(request, SchoolResources)
        wrong = [] if told.school_id == school_id else [
            Fault("/school_id", "other-school", f"this is school {told.school_id}", "send it under its own address")
        ]  # fmt: skip
        await _refuse_faults(queries, [told], wrong, "/schools/0")

        async def instead(before: SchoolResources | None) -> SchoolResources:
            return _lowered(told)

        return await change.of_school(school_id, instead)

    @router.get("/resources")
    async def list_resources(paging: Paging) -> Page[SchoolResources]:
        """List what the days of each school are made of, in order of the schools' ids."""
        schools, (after,) = schools_of(await context.asker.parameters()), paging.behind(FIRST_ID)
        found = [schools[school] for school in sorted(schools) if school > after]
        return paging.page(found[: paging.most], lambda school: [school.school_id])


async def _refuse_faults(queries: Queries, told: Sequence[SchoolResources], wrong: Sequence[Fault] = (), root: str = "") -> None:
    """Raise BadInput where something is wrong with resources beyond their form; `root` is the part of places that the body lacks."""
    found = faults_of(told, await queries.present([school.school_id for school in told]))
    faults = [*wrong, *(replace(fault, place=fault.place.removeprefix(root)) for fault in found)]
    if faults:
        raise BadInput(f"the resources cannot be taken: {faults[0]}", faults)


def _refuse_removal(gone: Mapping[UUID, int]) -> None:
    if gone:
        named = ", ".join(f"{school} ({gone[school]} learners)" for school in sorted(gone)[:MAX_NAMED])
        more = f" and {len(gone) - MAX_NAMED} more" if len(gone) > MAX_NAMED else ""
        raise Refused(
            "would-remove",
            f"schools whose learners ask for something are not named, and would have no days any more: {named}{more}. Send all schools, or "
            "one with PUT /scheduling/schools/{id}/resources; with ?remove=true these lose their resources",
        )


def _lowered(school: SchoolResources) -> SchoolResources:
    """Return the school with its subjects as competencies have them: in lower case, without spaces around them."""
    periods = tuple(period.model_copy(update={"subject": period.subject.strip().lower()}) for period in school.periods)
    taught = [sorted({subject.strip().lower() for subject in member.subjects}) for member in school.staff]
    staff = tuple(member.model_copy(update={"subjects": tuple(found)}) for member, found in zip(school.staff, taught, strict=True))
    return school.model_copy(update={"periods": periods, "staff": staff})
