"""What evidence hears: which learner an alias is; and in time: acts whose learner and competencies have become known are released."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.evidence.domain import NoteAlias
from services.evidence.queries import Releases
from shared.contracts.envelope import Recorded
from shared.contracts.evidence import AliasNoted
from shared.contracts.profile import LearnerIdentified
from shared.contracts.topics import Topic
from shared.parts import Context, Drain, Subscription, Tick


def commands_for(event: Recorded[Any]) -> list[NoteAlias]:
    """Return what evidence does about another service's event."""
    match event.data:
        case LearnerIdentified(alias=alias, learner_id=learner_id):
            return [NoteAlias(AliasNoted(alias=alias, learner_id=learner_id))]
        case _:
            return []


def ticks(context: Context) -> Sequence[Tick]:
    """Return what evidence does in time."""
    return (Drain("release", Releases().due),)


SUBSCRIPTION: Final = Subscription((Topic.PROFILE,), commands_for, (LearnerIdentified,))
