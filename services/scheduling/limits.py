"""How large a school day may be: a plan is one event, and a day takes no more learners than certainly fit it."""

from __future__ import annotations

from typing import Final

from shared.contracts.envelope import MAX_EVENT_BYTES, MAX_PAGE_BYTES, canonical
from shared.contracts.scheduling import MAX_SESSIONS, NEED_DIGITS, PLACE_DIGITS, TEXT_DIGITS, SchoolResources, Zone

MAX_LEARNERS: Final = 3_000
"""Learners in one day of one school, however few zones, adults and periods it has."""
HEAD_BYTES: Final = 4 * 1024
"""For the envelope and a plan's other fields: about 1.5 KiB, and room for fields of later releases."""
MAX_PLAN_BYTES: Final = MAX_EVENT_BYTES - HEAD_BYTES
"""Bytes of a plan as the event's data."""
MAX_SCHOOL_BYTES: Final = MAX_PAGE_BYTES - 3
"""Bytes of what a school's days are made of: one entry of a page."""
_ID_BYTES: Final = 36 + 3
"""Of a UUID with its quotes and comma."""
_NUMBERS: Final = 7
"""In the row of a session."""
SESSION_BYTES: Final = _NUMBERS * TEXT_DIGITS + 1 + _ID_BYTES
"""Of a session, at most: its row, and a competency that no other one has, named by its GUID as CASE has it."""


def learner_bytes(periods: int) -> int:
    """Return what a plan needs for each learner: her id, and for each period the number of a session and of a need."""
    return _ID_BYTES + (PLACE_DIGITS * periods + 1) + (NEED_DIGITS * periods + 1)


def most_learners(periods: int, zones: int, names: int, adults: int = 0) -> int:
    """Return the learners whose plan certainly fits one event; negative where not even the sessions fit.

    There is at most one session in each zone and period, and one with each adult. Everything is counted at its largest, so the true size is
    below: of 3,000 learners in six periods about 235 KiB.

    Args:
        names: bytes of the ids of periods, spaces and zones in JSON.
        adults: how many there are; 0: it is not known, or none yet.
    """
    sessions = periods * min(zones, adults or zones)
    if sessions > MAX_SESSIONS:
        return -1
    return (MAX_PLAN_BYTES - names - sessions * SESSION_BYTES - min(adults or sessions, sessions) * _ID_BYTES) // learner_bytes(periods)


def most_learners_of(school: SchoolResources, adults: int = 0) -> int:
    """Return the learners whose plan certainly fits one event in this school, with so many adults."""
    ids = {period.id for period in school.periods} | {space.id for space in school.spaces} | {zone.id for zone in zones_of(school)}
    return most_learners(len(school.periods), len(zones_of(school)), sum(len(canonical(id)) + 1 for id in ids), adults)


def room_of(school: SchoolResources, adults: int = 0) -> int:
    """Return the learners that a day of this school takes, with so many adults."""
    return max(min(most_learners_of(school, adults), MAX_LEARNERS), 0)


def zones_of(school: SchoolResources) -> list[Zone]:
    """Return the zones of all spaces."""
    return [zone for space in school.spaces for zone in space.zones]


def bytes_of(school: SchoolResources) -> int:
    """Return the size of what is said of a school, as it is stored."""
    return len(canonical(school.model_dump(mode="json", exclude_defaults=True)))
