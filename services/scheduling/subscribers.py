"""What scheduling does about others' events, and in time: it searches each day that has something new to take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.scheduling.domain import NoteDemand, NoteStaff
from services.scheduling.queries import Looks
from services.scheduling.search import inside, solve
from shared.contracts.envelope import Recorded
from shared.contracts.pathing import DemandChanged
from shared.contracts.profile import StaffRostered
from shared.contracts.scheduling import Demand, StaffMember
from shared.contracts.topics import Topic
from shared.decider import Command
from shared.ledger.types import Connection
from shared.parts import Context, Lapse, Search, Sought, Subscription, Tick
from shared.ticker import tick_origin

SEARCH: Final = "search-days"
WINDOW_MS: Final = 250
"""From one look for days to search to the next, which take the open days of a school in turn: however many demands change meanwhile, a day
is repaired once."""

KEPT: Final = timedelta(days=14)
"""Time for which the state of a day that is over is kept."""


def commands_for(event: Recorded[Any]) -> Sequence[Command]:
    """Return what scheduling does about another service's event."""
    match event.data:
        case DemandChanged() as told:
            demand = Demand(
                learner_id=told.learner_id, version=event.order, needs=told.needs, check_in=told.check_in, path_empty=told.path_empty
            )
            return [NoteDemand(told.school_id, demand)]
        case StaffRostered() as told:
            return [NoteStaff(told.school_id, StaffMember(staff_id=told.staff_id, subjects=told.subjects), told.active, event.order)]
        case _:
            return []


def ticks(context: Context) -> Sequence[Tick]:
    """Return what scheduling does in time: each window, days take what is new and are planned with it; states of old days go."""
    looks = Looks(tick_origin(Topic.SCHEDULING, SEARCH))

    async def due(connection: Connection, now: str) -> Sequence[Sought]:
        return await looks.due(connection, await context.asker.parameters(), datetime.fromisoformat(now))

    return (Search(SEARCH, due, solve, inside, WINDOW_MS), Lapse("day", lambda today: str(date.fromisoformat(today) - KEPT)))


SUBSCRIPTION: Final = Subscription((Topic.PATHING, Topic.PROFILE), commands_for, (DemandChanged, StaffRostered))
