"""From which day on work counts: that on which the first course began, as rosters or people say; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from shared.contracts.envelope import StreamId
from shared.contracts.evidence import CalendarNoted
from shared.decider import Decider, History, json_codec
from shared.parameters import Parameters

EASTMOST: Final = timedelta(hours=14)
"""How much earlier than in UTC a day begins where it begins first."""
FIRST: Final = date(1, 1, 2)
"""The first day that begins within the calendar everywhere; all that is told happened long after it."""


@dataclass(frozen=True, slots=True)
class NoteCalendar:
    """Note a day on which a course began. Only one earlier than all before is news."""

    noted: CalendarNoted

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "calendar")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The earliest day that was ever told."""

    first_day: date | None = None


def begins_at(first_day: date) -> datetime:
    """Return the instant from which work may be of this day, wherever on earth.

    >>> begins_at(date(2026, 8, 31)).isoformat()
    '2026-08-30T10:00:00+00:00'
    """
    return datetime.combine(max(first_day, FIRST), time(), UTC) - EASTMOST


def decide(command: NoteCalendar, state: Calendar, parameters: Parameters, history: History = ()) -> list[CalendarNoted]:
    """Return the day, where it is earlier than all before."""
    return [command.noted] if state.first_day is None or command.noted.first_day < state.first_day else []


calendar: Final = Decider(
    "evidence.calendar", 1, "calendar", Calendar(), decide, lambda state, event: Calendar(event.first_day), NoteCalendar,
    json_codec(Calendar),
)  # fmt: skip
