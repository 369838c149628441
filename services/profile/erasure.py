"""Erasing a learner, and letting her be named again: decided here, and done by whoever keeps the keys. Pure.

A stream of its own, `erasure/<learner>`, in which the two alternate. So its version says which keys are destroyed: those that were made
when it was smaller, also where a backup brings one back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.contracts.envelope import Event, StreamId
from shared.contracts.profile import ErasureLifted, LearnerErased
from shared.decider import Decider, History, json_codec
from shared.parameters import Parameters


@dataclass(frozen=True)
class EraseLearner:
    """Make a learner's name, and all words about her, unreadable for good."""

    told: LearnerErased

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "erasure", str(self.told.learner_id))


@dataclass(frozen=True)
class LiftErasure:
    """Let a learner who was erased be named again by the next roster."""

    told: ErasureLifted

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "erasure", str(self.told.learner_id))


ErasureCommand = EraseLearner | LiftErasure


@dataclass(frozen=True)
class ErasureState:
    """Whether she is erased now."""

    erased: bool = False


def _decide(command: ErasureCommand, state: ErasureState, parameters: Parameters, history: History = ()) -> Sequence[Event]:
    """Return what is told; nothing, where it is so already, whoever asked and why."""
    return [] if isinstance(command, EraseLearner) == state.erased else [command.told]


def _evolve(state: ErasureState, event: LearnerErased | ErasureLifted) -> ErasureState:
    return ErasureState(isinstance(event, LearnerErased))


def _command_of(event: LearnerErased | ErasureLifted) -> ErasureCommand:
    return EraseLearner(event) if isinstance(event, LearnerErased) else LiftErasure(event)


erasures: Final = Decider("profile.erasure", 1, "erasure", ErasureState(), _decide, _evolve, _command_of, json_codec(ErasureState))
