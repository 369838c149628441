"""Days as they are planned: a learner's, a school's, what was not to be had, and who moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from services.scheduling.hours import local_day
from services.scheduling.queries import ChangeView, Closing, LearnerDayView, Queries, SchoolDayView, Seen, UnservedView
from services.scheduling.queries.grid import lacks_talk, learner_day, school_day, unserved
from services.scheduling.queries.reading import remembered_closed
from services.scheduling.resources import is_school_day, next_school_day, schools_of
from shared.contracts.envelope import MAX_INTEGER
from shared.contracts.scheduling import SchoolResources
from shared.errors import BadInput, Fault, NotFound
from shared.http import FIRST_ID, Page, Paging
from shared.parts import Context

Day = Annotated[
    str, Path(max_length=10, description="`today`, `tomorrow` (the next school day), both in its time zone, or a date such as 2026-11-24.")
]
NAMED = "today", "tomorrow"


@dataclass(frozen=True)
class Asked:
    """The day that an address names."""

    school: SchoolResources
    """With the resources in force; where it has none, with those that the day was planned with."""
    on: date

    @property
    def closing(self) -> Closing:
        """Whether there is school."""
        if is_school_day(self.school, self.on):
            return Closing()
        return Closing(closed=True, next_school_day=next_school_day(self.school, self.on))


def add_to(router: APIRouter, context: Context, queries: Queries) -> None:
    """Add the routes of days."""
    days = _Days(context, queries)

    @router.get("/learners/{learner_id}/days/{day}")
    async def get_learner_day(learner_id: UUID, day: Day) -> LearnerDayView:
        """Show where a learner is in each period, with which adult, doing what and why; and what she could not have, and why not.

        A date is shown as it was planned, also at a school that she left since. A day without school says so.
        """
        school_id = await queries.school_of(learner_id, None if day in NAMED else _date(day))
        if school_id is None:
            raise NotFound("no demand of this learner was heard of yet: it comes with her path")
        asked = await days.of(school_id, day)
        seen = await days.seen(asked)
        changed = await queries.learner_day(school_id, asked.on, learner_id)
        if changed is None or learner_id not in seen.day.days:
            raise NotFound(f"the plan of {asked.on} does not place this learner: her demand came later or is empty, or the day is full")
        lacks = lacks_talk(seen.day, learner_id)
        talked = await queries.last_talk(asked.school, asked.on, learner_id) if lacks else None
        return learner_day(seen, learner_id, asked.on, changed, asked.closing, talked, remembered_closed(asked.school, asked.on))

    @router.get("/schools/{school_id}/days/{day}")
    async def get_school_day(school_id: UUID, day: Day, paging: Paging) -> SchoolDayView:
        """Show a day as a grid: every session with its zone, period, adult and learners, in pages.

        A date is shown with the resources that it was planned with. A day without school that was planned before it was closed says so.
        """
        asked = await days.of(school_id, day)
        seen = await days.seen(asked)
        return school_day(seen, asked.on, await queries.left_out(seen, asked.on), asked.closing, paging)

    @router.get("/schools/{school_id}/days/{day}/unserved")
    async def list_unserved(school_id: UUID, day: Day, paging: Paging) -> Page[UnservedView]:
        """List what learners asked of a day that is planned and did not get."""
        asked = await days.of(school_id, day)
        seen = await days.seen(asked)
        learner_id, number = paging.behind(FIRST_ID, -2)
        rows = await queries.lacking(asked.school, asked.on, (learner_id, number), paging.most)
        closed = remembered_closed(asked.school, asked.on)
        return paging.page(rows, lambda row: [row.learner_id, row.number], lambda row: unserved(row, seen, asked.on, closed))

    @router.get("/schools/{school_id}/days/{day}/changes")
    async def list_changes(school_id: UUID, day: Day, paging: Paging) -> Page[ChangeView]:
        """List whose day became another one, when, and because of which demand; the latest first."""
        asked = await days.of(school_id, day)
        await days.seen(asked)
        (before,) = paging.behind(MAX_INTEGER)
        rows = await queries.changes(school_id, asked.on, before, paging.most)
        return paging.page(rows, lambda row: [row.version], lambda row: row.view())


def _date(day: str) -> date:
    return date_of(day, "path/day", "send today, tomorrow, or a date such as 2026-11-24")


def date_of(told: str, place: str, remedy: str) -> date:
    """Return the date that a part of an address names; raise BadInput with this remedy where it is none."""
    try:
        return date.fromisoformat(told)
    except ValueError:
        fault = Fault(place, "no-date", "this is no date", remedy)
        raise BadInput(str(fault), [fault]) from None


class _Days:
    """Finds the day that an address names."""

    def __init__(self, context: Context, queries: Queries) -> None:
        self._context, self._queries = context, queries

    async def of(self, school_id: UUID, day: str) -> Asked:
        """Return the school and the date; raise NotFound or BadInput where there is none."""
        on = None if day in NAMED else _date(day)
        school = schools_of(await self._context.asker.parameters()).get(school_id)
        if school is None and on is not None:
            school = await self._queries.planned_with(school_id, on)
        if school is None:
            raise NotFound("this school has no resources: send them with PUT /scheduling/resources")
        if on is not None:
            return Asked(school, on)
        today = local_day(school, self._context.clock.now())
        following = next_school_day(school, today)
        if day == "today":
            if not is_school_day(school, today):
                raise NotFound(f"the school is closed on {today}: {_next(following)}")
            return Asked(school, today)
        if following is None:
            raise NotFound("the school is closed for all days that are planned")
        return Asked(school, following)

    async def seen(self, asked: Asked) -> Seen:
        """Return the day as it is planned; raise NotFound where it is not."""
        seen = await self._queries.seen(asked.school.school_id, asked.on)
        if seen is None:
            if asked.closing.closed:
                raise NotFound(f"the school is closed on {asked.on}: {_next(asked.closing.next_school_day)}")
            raise NotFound(
                f"there is no plan of {asked.on}: today and the next school day are planned, once demands, resources and adults are known"
            )
        return seen


def _next(day: date | None) -> str:
    return f"the next school day is {day}" if day else "no school day follows"
