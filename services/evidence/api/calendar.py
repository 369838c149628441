"""From which day on work counts, in and out. Until there is access control, the request says who."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.evidence.calendar import NoteCalendar
from services.evidence.queries import Queries
from shared.contracts.evidence import EARLIEST_FIRST_DAY, CalendarNoted
from shared.errors import BadInput, Fault
from shared.http import Sent, events_of, router_of
from shared.parts import Context


class FirstDay(BaseModel):
    """A day on which a course began, and who says so."""

    model_config = ConfigDict(extra="forbid")

    first_day: date
    author_id: UUID = Field(description="Pseudonymous id, as profile gives staff.")


class CalendarSet(BaseModel):
    """What setting it led to."""

    first_day: date = Field(description="From which work counts by now.")
    changed: bool = Field(description="False where work counts from that day on, or an earlier one, already: a later day changes nothing.")


class CalendarView(BaseModel):
    """From which day on work counts."""

    first_day: date | None = Field(description="The earliest that rosters and people told; null while none did: then all work waits.")


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of the calendar."""
    router = router_of("evidence", "calendar")

    @router.put("/calendar")
    async def set_first_day(said: Sent[FirstDay]) -> CalendarSet:
        """Let work count from an earlier day on than the first academic session of any roster: what happened before it, and waits, is
        recorded then, for good. A later day than the one that is known changes nothing."""
        if said.first_day < EARLIEST_FIRST_DAY:
            detail = f"before {EARLIEST_FIRST_DAY}, and no later day would undo it"
            fault = Fault("/first_day", "out-of-bounds", detail, "name the day on which the first course began, such as 2025-09-01")
            raise BadInput(str(fault), [fault])
        events = await events_of(context, [NoteCalendar(CalendarNoted(first_day=said.first_day, author_id=said.author_id))])
        known = None if events else await queries.first_day()
        return CalendarSet(first_day=known or said.first_day, changed=bool(events))

    @router.get("/calendar")
    async def show_first_day() -> CalendarView:
        """Show from which day on work counts."""
        return CalendarView(first_day=await queries.first_day())

    return router
