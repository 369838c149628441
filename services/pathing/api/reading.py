"""Reads what clients send: a catalogue of activities, all of it or nothing, each fault with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from services.pathing.catalogue import CONFERENCE
from shared.contracts.mastery import Level
from shared.contracts.pathing import Activity
from shared.contracts.profile import Area
from shared.errors import BadInput, Fault, TooLarge
from shared.http import parsed
from shared.naming import competencies_read

MAX_ACTIVITIES: Final = 50_000
"""Activities of a catalogue."""
MAX_OF_A_COMPETENCY: Final = 200
"""Activities of one competency: a plan weighs all of them."""
_LEVELS: Final = frozenset(level.value for level in Level)
_AREAS: Final = frozenset(area.value for area in Area)


class CatalogueSent(BaseModel):
    """A whole catalogue, in place of the one before."""

    model_config = ConfigDict(extra="forbid")

    activities: list[Activity] = Field(description="At most 50,000, and 200 of each competency; each id once.")


def read_catalogue(value: Any) -> list[Activity]:
    """Return the activities of a JSON value, in order of id.

    Raises:
        TooLarge: more than 50,000.
        BadInput: something does not fit, an id twice, an unknown level or interest, too many of one competency; the faults name each place.
    """
    sent = value.get("activities") if isinstance(value, dict) else None
    if isinstance(sent, list) and len(sent) > MAX_ACTIVITIES:
        raise TooLarge(f"{len(sent)} activities are more than the {MAX_ACTIVITIES} that a catalogue may have: leave out what nobody uses")
    activities = parsed(CatalogueSent, competencies_read(value, "activities")).activities
    faults = list(_faults(activities))
    if faults:
        raise BadInput(f"the catalogue cannot be taken: {faults[0]}", faults)
    return sorted(activities, key=lambda activity: activity.id)


def _faults(activities: Sequence[Activity]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for place, activity in enumerate(activities):
        at = f"/activities/{place}"
        if activity.id in seen:
            yield Fault(f"{at}/id", "duplicate-id", f"/activities/{seen[activity.id]} has the same id", "give each activity its own id")
        seen.setdefault(activity.id, place)
        if activity.id == CONFERENCE:
            yield Fault(f"{at}/id", "reserved-id", f"{CONFERENCE} stands for a talk with a teacher", "give it another id")
        counts[activity.competency_id] += 1
        if counts[activity.competency_id] == MAX_OF_A_COMPETENCY + 1:
            detail = f"its competency has more than {MAX_OF_A_COMPETENCY} activities"
            yield Fault(f"{at}/competency_id", "too-many", detail, "leave out what nobody uses")
        for name, values, known in (("levels", activity.levels, _LEVELS), ("areas", activity.areas, _AREAS)):
            if not known.issuperset(values):
                yield Fault(f"{at}/{name}", "unknown-word", f"{name} has a word that is not known", f"use {', '.join(sorted(known))}")
