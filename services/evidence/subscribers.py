"""What evidence hears: which learner an alias is, and when courses began; and in time: acts whose learner and competencies have become
known are released."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.evidence.calendar import NoteCalendar
from services.evidence.domain import NoteAlias
from services.evidence.queries import due
from shared.contracts.envelope import Recorded
from shared.contracts.evidence import AliasNoted, CalendarNoted
from shared.contracts.profile import LearnerIdentified, RosterImported
from shared.contracts.topics import Topic
from shared.parts import Context, Drain, Subscription, Tick


def commands_for(event: Recorded[Any]) -> list[NoteAlias | NoteCalendar]:
    """Return what evidence does about another service's event."""
    match event.data:
        case LearnerIdentified(alias=alias, learner_id=learner_id):
            return [NoteAlias(AliasNoted(alias=alias, learner_id=learner_id))]
        case RosterImported(first_session=first_session) if first_session is not None:
            return [NoteCalendar(CalendarNoted(first_day=first_session))]
        case _:
            return []


def ticks(context: Context) -> Sequence[Tick]:
    """Return what evidence does in time."""
    return (Drain("release", due),)


SUBSCRIPTION: Final = Subscription((Topic.PROFILE,), commands_for, (LearnerIdentified, RosterImported))
