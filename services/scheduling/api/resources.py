"""What the days of schools are made of: of all schools at once, or of one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from typing import Annotated, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.scheduling.checks import Present, faults_of, staying_faults
from services.scheduling.dated import CHANGED, base_of_dates, kept, lost, lowered, with_past
from services.scheduling.hours import local_day, open_days, refuse_other_hours
from services.scheduling.queries import Queries
from services.scheduling.resources import RESOURCES, Schools, schools_of
from shared.contracts.scheduling import DayResources, SchoolResources
from shared.contracts.topics import Topic
from shared.errors import BadInput, Fault, Refused
from shared.http import FIRST_ID, Page, Paging, body_of, events_of, problem_responses, read_model
from shared.parts import Context
from shared.settings_stream import STALE, adopted_id, adoption

MAX_SCHOOLS: Final = 2_000
PAGES: Final = 200
"""Pages on which the schools stand, each by itself where there are no more: a change stores its page and the hashes of all."""
MAX_TRIES: Final = 5
"""Times that resources are put beside those of others, where others were put in force meanwhile."""
MAX_NOTES: Final = 100
"""Schools of which an answer tells what to look at, and words about each."""
MAX_NAMED: Final = 10
"""Schools that a refusal names."""

T = TypeVar("T", str, date, UUID)
DryRun = Annotated[bool, Query(description="Say what would change, and store nothing.")]
Base = Annotated[
    str,
    Query(max_length=64, description="The `base` that the dry run answered: where something else was told of dates since, it is refused."),
]
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
    past_days: list[date] = Field(default=[], description="Dates that are over: what was told of them was left out.")
    unknown_staff: list[UUID] = Field(
        default=[], description="Said to be away, but not of the school by its roster, and without subjects here: nobody's day changes."
    )


class DatesLost(BaseModel):
    """What was told of these dates of a school is replaced."""

    school_id: UUID
    days: list[date]


class Adopted(BaseModel):
    """What became of the resources."""

    set_id: str = Field(description="The hash of their content.")
    schools: int
    events: int = Field(description="Events recorded; none where the same resources were in force.")
    base: str = Field(default="", description="Names what is told of dates of the schools that are sent, as it was in force before.")
    replaced: list[DatesLost] = Field(
        default=[], description=f"Dates of which something else was told, in place of which `days` are put, of at most {MAX_NOTES} schools."
    )
    removed: list[UUID] = Field(default=[], description="Schools that had resources and have none any more.")
    notes: list[Note] = Field(default=[], description=f"What to look at, of at most {MAX_NOTES} schools.")


class Change:
    """Puts resources in force beside what others put in force meanwhile."""

    def __init__(self, context: Context, queries: Queries) -> None:
        self._context, self._queries = context, queries
        self._turn = asyncio.Lock()

    async def put(
        self, change: Callable[[Schools], Awaitable[Mapping[UUID, SchoolResources]]], dates: Mapping[UUID, Set[date]], dry_run: bool = False
    ) -> Adopted:
        """Put in force what `change` makes of what is; it is asked again where that changes meanwhile.

        Args:
            dates: of the schools of which the answer says what to look at, those of which something was sent.
            dry_run: say what would change, and store nothing.

        Raises:
            Refused: others were faster, time and again.
        """
        for _ in range(MAX_TRIES):
            parameters = await self._context.asker.parameters()
            before = schools_of(parameters)
            schools = await change(before)
            items = [schools[school].model_dump(mode="json", exclude_defaults=True) for school in sorted(schools)]
            base, together = parameters.id_of(RESOURCES) or "", -(-len(items) // PAGES)
            commands = adoption(Topic.SCHEDULING, RESOURCES, items, base=base, together=together)
            try:
                events = [] if dry_run else await events_of(self._context, commands)
            except Refused as refused:
                if refused.code != STALE:
                    raise
                continue
            return Adopted(
                set_id=adopted_id(commands), schools=len(items), events=len(events), removed=sorted(before.keys() - schools.keys()),
                notes=await self._notes([schools[school] for school in dates], dates),
                base=base_of_dates(before[school] for school in dates if school in before), replaced=self._replaced(before, schools),
            )  # fmt: skip
        raise Refused(STALE, "resources of other schools came meanwhile, time and again: send it again, which is safe")

    async def of_school(
        self, school_id: UUID, change: Callable[[SchoolResources | None], Awaitable[SchoolResources]], dates: Mapping[UUID, Set[date]],
        dry_run: bool = False,
    ) -> Adopted:  # fmt: skip
        """Put in force what `change` makes of one school's resources, and leave those of others."""

        async def beside(before: Schools) -> Mapping[UUID, SchoolResources]:
            schools = {**before, school_id: await change(before.get(school_id))}
            if len(schools) > MAX_SCHOOLS:
                fault = Fault("/school_id", "too-many", f"{MAX_SCHOOLS} schools have resources already", "take out those that are closed")
                raise BadInput(f"the resources cannot be taken: {fault}", [fault])
            return schools

        async with self._turn:  # Schools of this process come one after another; those of other ones are met by trying again.
            return await self.put(beside, dates, dry_run)

    def settled(self, told: SchoolResources, before: SchoolResources | None) -> SchoolResources:
        """Return a school as it is put in force: where it tells of no dates, with what was told of them; without those that are over, but
        for what is kept of them, which stays as it was.

        Raises:
            Refused: periods of today that have begun would be other ones.
        """
        now = self._context.clock.now()
        if before is None:
            return kept(lowered(told), local_day(told, now))
        after = lowered(told if "days" in told.model_fields_set else told.model_copy(update={"days": before.days}))
        today = local_day(before, now)
        if today in {*open_days(before, now), *open_days(after, now)}:
            refuse_other_hours(before, after, today, now)
        return kept(with_past(before, after, local_day(after, now)), local_day(after, now))

    def _replaced(self, before: Schools, after: Schools) -> list[DatesLost]:
        now = self._context.clock.now()
        both = [(before[school], after[school]) for school in sorted(before.keys() & after.keys())]
        found = [DatesLost(school_id=was.school_id, days=lost(was, becomes, local_day(becomes, now))) for was, becomes in both]
        return [one for one in found if one.days][:MAX_NOTES]

    def refuse_lost(self, before: Schools, after: Schools, base: str) -> None:
        """Raise Refused where dates of which others told would be otherwise, and who sends them did not know: `base` names what she knew.

        Args:
            after: the schools that were sent, as they would be in force.
        """
        replaced = self._replaced(before, after)
        if replaced and base != base_of_dates(before[school] for school in after if school in before):
            named = "; ".join(f"school {one.school_id}: {', '.join(map(str, one.days[:MAX_NAMED]))}" for one in replaced[:MAX_NAMED])
            raise Refused(
                CHANGED,
                f"what was told of dates would be replaced ({named}). Leave out `days`, and what is told of dates stays; or look with "
                "?dry_run=true, which answers `base`, and send the same with ?base= and that",
            )

    async def refuse_staying(self, told: Sequence[SchoolResources], after: Schools, root: str = "") -> None:
        """Raise BadInput where dates that stay do not fit what was sent; `root` is the part of places that the body lacks."""
        sent = [(f"/schools/{number}", after[one.school_id]) for number, one in enumerate(told) if "days" not in one.model_fields_set]
        dated = [(place, school) for place, school in sent if school.days]
        present, now = await present_at(self._queries, [school.school_id for _, school in dated]), self._context.clock.now()
        faults = [
            replace(fault, place=fault.place.removeprefix(root))
            for place, school in dated
            for fault in staying_faults(school, place, present[school.school_id], local_day(school, now))
        ]
        if faults:
            raise BadInput(f"the resources cannot be taken: {faults[0]}", faults)

    async def _notes(self, schools: Sequence[SchoolResources], dates: Mapping[UUID, Set[date]]) -> list[Note]:
        subjects = await self._queries.unknown_subjects(
            (school.school_id, subject) for school in schools for subject in _subjects(school) if subject
        )
        staff = await self._queries.unknown_staff((school.school_id, staff_id) for school in schools for staff_id in _away(school))
        past = [(school.school_id, on) for school in schools for on in dates[school.school_id] - _dates(school)]
        noted = sorted({school for school, _ in (*subjects, *staff, *past)})[:MAX_NOTES]
        return [
            Note(school_id=school, unknown_subjects=_of(school, subjects), unknown_staff=_of(school, staff), past_days=_of(school, past))
            for school in noted
        ]


def _of(school: UUID, told: Iterable[tuple[UUID, T]]) -> list[T]:
    return sorted(value for named, value in told if named == school)[:MAX_NOTES]


def _dates(school: SchoolResources) -> set[date]:
    """Return the dates on which something is otherwise."""
    return {day.on for day in school.days if day != DayResources(on=day.on)}


def _subjects(school: SchoolResources) -> set[str]:
    periods = [*school.periods, *(period for day in school.days for period in day.periods or ())]
    staff = [*school.staff, *(member for day in school.days for member in day.staff)]
    return {period.subject for period in periods} | {subject for member in staff for subject in member.subjects}


def _away(school: SchoolResources) -> set[UUID]:
    """Return who is only said to be away, and not to be an adult of the school."""
    staff = [*school.staff, *(member for day in school.days for member in day.staff)]
    told = {member.staff_id for member in staff if member.away and not member.subjects}
    return (told | {gone for day in school.days for gone in day.absent}) - {one.staff_id for one in staff if one.subjects or not one.away}


def add_to(router: APIRouter, context: Context, queries: Queries, change: Change) -> None:
    """Add the routes of resources."""

    @router.put("/resources", openapi_extra=body_of({"application/json": Resources}), responses=problem_responses(409))
    async def put_resources(request: Request, remove: Remove = False, dry_run: DryRun = False, base: Base = "") -> Adopted:
        """Take the spaces, periods, staff and group sizes of all schools; one that is not named has none any more.

        Where learners of such a school ask for something, it is refused: with `remove=true` it is taken, and their days are planned no
        more. Where `days` that are sent would replace what was told of dates, it is refused (409 `changed`) without the `base` of a look
        with `dry_run`; periods of today that have begun stay. May be repeated: the same again changes nothing. To change one school, put
        its own resources.
        """
        told = await read_model(request, Resources)
        await _refuse_faults(queries, told.schools)

        async def instead(before: Schools) -> Mapping[UUID, SchoolResources]:
            if not remove:
                _refuse_removal(await queries.present(sorted(before.keys() - {school.school_id for school in told.schools})))
            after = {school.school_id: change.settled(school, before.get(school.school_id)) for school in told.schools}
            await change.refuse_staying(told.schools, after)
            if not dry_run:
                change.refuse_lost(before, after, base)
            return after

        return await change.put(instead, {school.school_id: _dates(school) for school in told.schools}, dry_run)

    @router.put(
        "/schools/{school_id}/resources", openapi_extra=body_of({"application/json": SchoolResources}), responses=problem_responses(409)
    )
    async def put_school_resources(request: Request, school_id: UUID, dry_run: DryRun = False, base: Base = "") -> Adopted:
        """Take what one school's days are made of; those of other schools stay as they are, also where theirs come at the same time.

        Where `days` that are sent would replace what was told of dates, it is refused (409 `changed`) without the `base` of a look with
        `dry_run`; periods of today that have begun stay. May be repeated: the same again changes nothing.
        """
        told = await read_model(request, SchoolResources)
        wrong = [] if told.school_id == school_id else [
            Fault("/school_id", "other-school", f"this is school {told.school_id}", "send it under its own address")
        ]  # fmt: skip
        await _refuse_faults(queries, [told], wrong, "/schools/0")

        async def instead(before: SchoolResources | None) -> SchoolResources:
            after = change.settled(told, before)
            await change.refuse_staying([told], {school_id: after}, "/schools/0")
            if not dry_run and before is not None:
                change.refuse_lost({school_id: before}, {school_id: after}, base)
            return after

        return await change.of_school(school_id, instead, {school_id: _dates(told)}, dry_run)

    @router.get("/resources")
    async def list_resources(paging: Paging) -> Page[SchoolResources]:
        """List what the days of each school are made of, in order of the schools' ids."""
        schools, (after,) = schools_of(await context.asker.parameters()), paging.behind(FIRST_ID)
        found = [schools[school] for school in sorted(schools) if school > after]
        return paging.page(found[: paging.most], lambda school: [school.school_id])


async def _refuse_faults(queries: Queries, told: Sequence[SchoolResources], wrong: Sequence[Fault] = (), root: str = "") -> None:
    """Raise BadInput where something is wrong with resources beyond their form; `root` is the part of places that the body lacks."""
    found = faults_of(told, await present_at(queries, [school.school_id for school in told]))
    faults = [*wrong, *(replace(fault, place=fault.place.removeprefix(root)) for fault in found)]
    if faults:
        raise BadInput(f"the resources cannot be taken: {faults[0]}", faults)


async def present_at(queries: Queries, schools: Sequence[UUID]) -> dict[UUID, Present]:
    """Return who is at these schools."""
    learners, rosters = await queries.present(schools), await queries.rosters(schools)
    return {school: Present(learners.get(school, 0), rosters.get(school, frozenset())) for school in schools}


def _refuse_removal(gone: Mapping[UUID, int]) -> None:
    if gone:
        named = ", ".join(f"{school} ({gone[school]} learners)" for school in sorted(gone)[:MAX_NAMED])
        more = f" and {len(gone) - MAX_NAMED} more" if len(gone) > MAX_NAMED else ""
        raise Refused(
            "would-remove",
            f"schools whose learners ask for something are not named, and would have no days any more: {named}{more}. Send all schools, or "
            "one with PUT /scheduling/schools/{id}/resources; with ?remove=true these lose their resources",
        )
