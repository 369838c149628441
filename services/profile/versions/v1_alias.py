"""Whose alias it is, as version 1 decided: its first learner's, for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.contracts.envelope import Event, StreamId
from shared.contracts.profile import LearnerIdentified
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import Parameters


@dataclass(frozen=True)
class IdentifyLearner:
    """Say that another system's name for a person, as an alias, belongs to this learner."""

    alias: str
    learner_id: UUID

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "alias", self.alias)


@dataclass(frozen=True)
class AliasState:
    """Whose alias it is."""

    learner_id: UUID | None = None


def _decide(command: IdentifyLearner, state: AliasState, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
    """Return the alias's learner as an event; nothing, if it was known; a refusal, if it is another learner's."""
    if state.learner_id == command.learner_id:
        return []
    if state.learner_id is not None:
        return Refusal("alias-taken", "this alias belongs to another learner: two people of the roster share an id")
    return [LearnerIdentified(alias=command.alias, learner_id=command.learner_id)]


def _evolve(state: AliasState, event: LearnerIdentified) -> AliasState:
    return AliasState(event.learner_id)


aliases: Final = Decider(
    "profile.alias", 1, "alias", AliasState(), _decide, _evolve,
    lambda event: IdentifyLearner(event.alias, event.learner_id), json_codec(AliasState),
)  # fmt: skip
