"""Scheduling over HTTP: resources in; days, groups and reasons out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from services.scheduling.checks import faults_of
from services.scheduling.hours import local_day
from services.scheduling.queries import ChangeView, LearnerDayView, Queries, SchoolDayView, Seen, UnservedView
from services.scheduling.queries.grid import learner_day, school_day
from services.scheduling.resources import RESOURCES, next_school_day, schools_of
from shared.contracts.envelope import MAX_INTEGER
from shared.contracts.scheduling import SchoolResources
from shared.contracts.topics import Topic
from shared.errors import BadInput, Fault, NotFound, Refused
from shared.http import FIRST_ID, Page, Paging, body_of, events_of, problem_responses, read_model
from shared.parts import Context
from shared.settings_stream import STALE, adopted_id, adoption

MAX_SCHOOLS: Final = 2_000
MAX_TRIES: Final = 5
"""Times that a school's resources are put beside those of others, where others were put in force meanwhile."""

Day = Annotated[
    str, Path(max_length=10, description="`today`, `tomorrow` (the next school day), both in its time zone, or a date such as 2026-11-24.")
]


class Resources(BaseModel):
    """All schools of the district, in place of those before."""

    model_config = ConfigDict(extra="forbid")

    schools: list[SchoolResources] = Field(min_length=1, max_length=MAX_SCHOOLS)


class Adopted(BaseModel):
    """What became of the resources."""

    set_id: str = Field(description="The hash of their content.")
    schools: int
    events: int = Field(description="Events recorded; none where the same resources were in force.")


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the router of scheduling."""
    router = APIRouter()
    _add_resources(router, context)
    _add_days(router, _Days(context, Queries(context.pool)))
    return [router]


def _add_resources(router: APIRouter, context: Context) -> None:
    turn = asyncio.Lock()

    @router.put("/resources", openapi_extra=body_of({"application/json": Resources}))
    async def put_resources(request: Request) -> Adopted:
        """Take the spaces, periods, staff and group sizes of all schools; one that is not named has none any more.

        May be repeated: the same again changes nothing. To change one school, put its own resources.
        """
        told = await read_model(request, Resources)
        faults = faults_of(told.schools)
        if faults:
            raise BadInput(f"the resources cannot be taken: {faults[0]}", faults)
        items = [_lowered(school).model_dump(mode="json", exclude_defaults=True) for school in told.schools]
        commands = adoption(Topic.SCHEDULING, RESOURCES, items)
        events = await events_of(context, commands)
        return Adopted(set_id=adopted_id(commands), schools=len(items), events=len(events))

    @router.put(
        "/schools/{school_id}/resources", openapi_extra=body_of({"application/json": SchoolResources}), responses=problem_responses(409)
    )
    async def put_school_resources(request: Request, school_id: UUID) -> Adopted:
        """Take what one school's days are made of; those of other schools stay as they are, also where theirs come at the same time.

        May be repeated: the same again changes nothing.
        """
        told = await read_model(request, SchoolResources)
        faults = [replace(fault, place=fault.place.removeprefix("/schools/0")) for fault in faults_of([told])]
        if told.school_id != school_id:
            faults.insert(0, Fault("/school_id", "other-school", f"this is school {told.school_id}", "send it under its own address"))
        if faults:
            raise BadInput(f"the resources cannot be taken: {faults[0]}", faults)
        async with turn:  # Of this process; other ones are met by trying again.
            for _ in range(MAX_TRIES):
                parameters = await context.asker.parameters()
                schools = {**schools_of(parameters), school_id: _lowered(told)}
                if len(schools) > MAX_SCHOOLS:
                    fault = Fault(
                        "/school_id", "too-many", f"{MAX_SCHOOLS} schools have resources already", "take out those that are closed"
                    )
                    raise BadInput(f"the resources cannot be taken: {fault}", [fault])
                items = [school.model_dump(mode="json", exclude_defaults=True) for school in schools.values()]
                commands = adoption(Topic.SCHEDULING, RESOURCES, items, base=parameters.id_of(RESOURCES) or "")
                try:
                    events = await events_of(context, commands)
                except Refused as refused:
                    if refused.code != STALE:
                        raise
                    continue
                return Adopted(set_id=adopted_id(commands), schools=len(items), events=len(events))
        raise Refused(STALE, "resources of other schools came meanwhile, time and again: send it again, which is safe")

    @router.get("/resources")
    async def list_resources(paging: Paging) -> Page[SchoolResources]:
        """List what the days of each school are made of, in order of the schools' ids."""
        schools, (after,) = schools_of(await context.asker.parameters()), paging.behind(FIRST_ID)
        found = [schools[school] for school in sorted(schools) if school > after]
        return paging.page(found[: paging.most], lambda school: [school.school_id])


def _lowered(school: SchoolResources) -> SchoolResources:
    """Return the school with its subjects as competencies have them: in lower case, without spaces around them."""
    periods = tuple(period.model_copy(update={"subject": period.subject.strip().lower()}) for period in school.periods)
    taught = [sorted({subject.strip().lower() for subject in member.subjects}) for member in school.staff]
    staff = tuple(member.model_copy(update={"subjects": tuple(found)}) for member, found in zip(school.staff, taught, strict=True))
    return school.model_copy(update={"periods": periods, "staff": staff})


def _add_days(router: APIRouter, days: _Days) -> None:
    @router.get("/learners/{learner_id}/days/{day}")
    async def get_learner_day(learner_id: UUID, day: Day) -> LearnerDayView:
        """Show where a learner is in each period, with which adult, doing what and why; and what she could not have, and why not."""
        school_id = await days.queries.school_of(learner_id)
        if school_id is None:
            raise NotFound("no demand of this learner was heard of yet: it comes with her path")
        school, on = await days.of(school_id, day)
        seen = await days.seen(school, on)
        changed = await days.queries.learner_day(school_id, on, learner_id)
        if changed is None or learner_id not in seen.day.days:
            raise NotFound(f"the plan of {on} does not place this learner: her demand came later or is empty, or the day is full")
        return learner_day(seen, learner_id, on, changed)

    @router.get("/schools/{school_id}/days/{day}")
    async def get_school_day(school_id: UUID, day: Day, paging: Paging) -> SchoolDayView:
        """Show a day as a grid: every session with its zone, period, adult and learners, in pages."""
        school, on = await days.of(school_id, day)
        return school_day(await days.seen(school, on), on, await days.queries.left_out(school, on), paging)

    @router.get("/schools/{school_id}/days/{day}/unserved")
    async def list_unserved(school_id: UUID, day: Day, paging: Paging) -> Page[UnservedView]:
        """List what learners asked of a day and did not get."""
        school, on = await days.of(school_id, day)
        learner_id, number = paging.behind(FIRST_ID, -1)
        rows = await days.queries.lacking(school, on, (learner_id, number), paging.most)
        return paging.page(rows, lambda row: [row.learner_id, row.number], lambda row: row.view())

    @router.get("/schools/{school_id}/days/{day}/changes")
    async def list_changes(school_id: UUID, day: Day, paging: Paging) -> Page[ChangeView]:
        """List whose day became another one, when, and because of which demand; the latest first."""
        school, on = await days.of(school_id, day)
        (before,) = paging.behind(MAX_INTEGER)
        rows = await days.queries.changes(school.school_id, on, before, paging.most)
        return paging.page(rows, lambda row: [row.version], lambda row: row.view())


class _Days:
    """Finds the day that an address names."""

    def __init__(self, context: Context, queries: Queries) -> None:
        self._context, self.queries = context, queries

    async def of(self, school_id: UUID, day: str) -> tuple[SchoolResources, date]:
        """Return the school and the date; raise NotFound or BadInput where there is none."""
        school = schools_of(await self._context.asker.parameters()).get(school_id)
        if school is None:
            raise NotFound("this school has no resources: send them with PUT /scheduling/resources")
        now = local_day(school, self._context.clock.now())
        if day == "today":
            return school, now
        if day == "tomorrow":
            following = next_school_day(school, now)
            if following is None:
                raise NotFound("the school is closed for all days that are planned")
            return school, following
        try:
            return school, date.fromisoformat(day)
        except ValueError:
            fault = Fault("path/day", "no-date", "this is no date", "send today, tomorrow, or a date such as 2026-11-24")
            raise BadInput(str(fault), [fault]) from None

    async def seen(self, school: SchoolResources, on: date) -> Seen:
        """Return the day as it is planned; raise NotFound where it is not."""
        seen = await self.queries.seen(school, on)
        if seen is None:
            raise NotFound(
                f"there is no plan of {on}: today and the next school day are planned, once demands, resources and adults are known"
            )
        return seen
