"""From which day on work counts, in and out. Until there is access control, the request says who."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.evidence.calendar import NoteCalendar
from services.evidence.queries import Queries
from shared.contracts.evidence import CalendarNoted
from shared.http import Sent, events_of, router_of
from shared.parts import Context


class FirstDay(BaseModel):
    """A day on which a course began, and who says so."""

    model_config = ConfigDict(extra="forbid")

    first_day: date
    author_id: UUID = Field(description="Pseudonymous id, as profile gives staff.")


class CalendarView(BaseModel):
    """From which day on work counts."""

    first_day: date | None = Field(description="The earliest that rosters and people told; null while none did: then all work waits.")


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of the calendar."""
    router = router_of("evidence", "calendar")

    @router.put("/calendar")
    async def set_first_day(said: Sent[FirstDay]) -> CalendarView:
        """Let work count from an earlier day on than the first academic session of any roster: what happened before it, and waits, is
        recorded then. A later day than the one that is known changes nothing."""
        events = await events_of(context, [NoteCalendar(CalendarNoted(first_day=said.first_day, author_id=said.author_id))])
        return CalendarView(first_day=said.first_day if events else await queries.first_day())

    @router.get("/calendar")
    async def show_first_day() -> CalendarView:
        """Show from which day on work counts."""
        return CalendarView(first_day=await queries.first_day())

    return router
