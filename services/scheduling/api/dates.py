"""What is otherwise in a school on one date: said by itself, beside what is said of other dates and other schools."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from services.scheduling.api.days import date_of
from services.scheduling.api.resources import Change, Note, present_at
from services.scheduling.checks import day_faults, faults_of
from services.scheduling.dated import base_of, changed, lowered_day, told_of
from services.scheduling.hours import local_day, refuse_other_hours
from services.scheduling.queries import Queries
from services.scheduling.resources import is_school_day, schools_of
from shared.contracts.scheduling import MAX_DATED, DayResources, Otherwise, Period, SchoolResources
from shared.errors import BadInput, Fault, NotFound
from shared.http import body_of, problem_responses, read_model
from shared.parts import Context

DateText = Annotated[str, Path(alias="date", max_length=10, description="Such as 2026-11-24.")]


class DayChange(Otherwise):
    """What is otherwise on a date, in place of what was."""

    base: str = Field(default="", max_length=64, description="What GET told as `base`; empty where the date was as usual.")


class DayTold(BaseModel):
    """What is otherwise on a date of a school, and what is usual."""

    school_id: UUID
    day: DayResources
    base: str = Field(description="Names what is otherwise, for a change of it; empty where all is as usual.")
    school_day: bool = Field(description="Whether there is school, by the calendar and by what is told of the date.")
    usual_periods: list[Period]
    usual_spaces: list[str] = Field(description="Their ids.")


class DayAdopted(BaseModel):
    """What became of what was told of a date."""

    set_id: str = Field(description="The hash of all schools' resources.")
    events: int = Field(description="Events recorded; none where the same was told of the date.")
    base: str = Field(description="Names what is otherwise on the date now.")
    notes: list[Note] = Field(description="What to look at in the school's resources, of all dates.")


def add_to(router: APIRouter, context: Context, queries: Queries, change: Change) -> None:
    """Add the routes of single dates."""

    @router.get("/schools/{school_id}/days/{date}/resources")
    async def get_day_resources(school_id: UUID, day: DateText) -> DayTold:
        """Show what is otherwise on one date of a school, what the school has otherwise, and what names it all for a change."""
        return _told(_known(schools_of(await context.asker.parameters()).get(school_id)), _on(day))

    @router.put(
        "/schools/{school_id}/days/{date}/resources",
        openapi_extra=body_of({"application/json": DayChange}),
        responses=problem_responses(409),
    )
    async def put_day_resources(request: Request, school_id: UUID, day: DateText) -> DayAdopted:
        """Say what is otherwise on one date of a school: a half-day, adults who are away or come, closed spaces, no school at all.

        It is in place of what was told of that date, and changes no other one; an empty object makes the date as usual. Where something
        is told of it already, `base` says what the change was made from, so that of two who change a date at once the later one is asked
        to look again (409 `changed`). Periods that have begun stay. May be repeated: the same again changes nothing.
        """
        on, sent = _on(day), await read_model(request, DayChange)
        told = lowered_day(DayResources(on=on, **{name: getattr(sent, name) for name in Otherwise.model_fields}))
        present = (await present_at(queries, [school_id]))[school_id]

        async def beside(before: SchoolResources | None) -> SchoolResources:
            school, now = _known(before), context.clock.now()
            faults = list(day_faults(school, told, "", present))
            if faults:
                raise BadInput(f"what is told of {on} cannot be taken: {faults[0]}", faults)
            after = changed(school, told, sent.base, local_day(school, now))
            refuse_other_hours(school, after, on, now)
            _refuse_size(after)
            return after

        adopted = await change.of_school(school_id, beside, {school_id: frozenset()})
        base = base_of(told)
        return DayAdopted(set_id=adopted.set_id, events=adopted.events, base=base, notes=adopted.notes)


def _on(day: str) -> date:
    return date_of(day, "path/date", "send a date such as 2026-11-24")


def _known(school: SchoolResources | None) -> SchoolResources:
    if school is None:
        raise NotFound("this school has no resources: send them with PUT /scheduling/schools/{id}/resources")
    return school


def _told(school: SchoolResources, on: date) -> DayTold:
    told = told_of(school, on)
    return DayTold(
        school_id=school.school_id, day=told, base=base_of(told), school_day=is_school_day(school, on), usual_periods=list(school.periods),
        usual_spaces=[space.id for space in school.spaces],
    )  # fmt: skip


def _refuse_size(school: SchoolResources) -> None:
    """Raise BadInput where more is told of a school's dates than there is room for."""
    faults = [fault for fault in faults_of([school]) if fault.code == "too-large"]
    if len(school.days) > MAX_DATED:
        detail = f"something is otherwise on {len(school.days)} dates"
        faults.append(Fault("", "too-many", detail, f"make dates as usual until there are at most {MAX_DATED}"))
    if faults:
        raise BadInput(f"what is told of the date cannot be taken: {faults[0]}", faults)
