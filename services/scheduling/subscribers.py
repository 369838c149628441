"""What scheduling does about others' events, and in time: it takes demands into days, and searches each day that took something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from services.scheduling.domain import NoteDemand, NoteStaff
from services.scheduling.queries import due_searches, due_takes
from services.scheduling.search import DaySearch, inside, solve
from shared.contracts.envelope import Recorded
from shared.contracts.pathing import DemandChanged
from shared.contracts.profile import StaffRostered
from shared.contracts.scheduling import Demand, StaffMember
from shared.contracts.topics import Topic
from shared.decider import Command
from shared.ledger.types import Ask, Connection
from shared.parts import Context, Drain, Search, Subscription, Tick

WINDOW_MS: Final = 1_000
"""Pause between two looks for days to search: however many demands change in it, a day is repaired once."""


def commands_for(event: Recorded[Any]) -> Sequence[Command]:
    """Return what scheduling does about another service's event."""
    match event.data:
        case DemandChanged() as told:
            demand = Demand(learner_id=told.learner_id, version=told.version, needs=told.needs, check_in=told.check_in)
            return [NoteDemand(told.school_id, demand)]
        case StaffRostered() as told:
            return [NoteStaff(told.school_id, StaffMember(staff_id=told.staff_id, subjects=told.subjects), told.active)]
        case _:
            return []


def ticks(context: Context) -> Sequence[Tick]:
    """Return the two loops of scheduling: days take demands; days that took something are searched."""
    searched: dict[tuple[UUID, date], int] = {}  # Saves searches in vain; that an answer is not stale, the decider checks.

    async def take(connection: Connection, now: str) -> Sequence[Command | Ask]:
        return await due_takes(connection, await context.asker.parameters(), datetime.fromisoformat(now), searched)

    async def search(connection: Connection, now: str) -> Sequence[DaySearch]:
        found = await due_searches(connection, await context.asker.parameters(), datetime.fromisoformat(now))
        news = {(each.school_id, each.on): each.base_version for each in found}
        refused = {day for day, version in searched.items() if news.get(day) == version}  # These take what may help them.
        searched.clear()
        searched.update({day: version for day, version in news.items() if day not in refused})
        return found

    return (Drain("take-demands", take), Search("search-days", search, solve, inside, WINDOW_MS))


SUBSCRIPTION: Final = Subscription((Topic.PATHING, Topic.PROFILE), commands_for, (DemandChanged, StaffRostered))
TICKS: Final = ticks
