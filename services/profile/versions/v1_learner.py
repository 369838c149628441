"""What is told of a learner, as version 1 decided: the first 16 authors may speak of her, and nobody else ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.contracts.envelope import Event, Sealed, StreamId, canonical, digest
from shared.contracts.profile import LearnerRostered, PreferencesStated
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import Parameters

MAX_AUTHORS: Final = 16
"""People whose statements about one learner stand beside each other."""


@dataclass(frozen=True)
class TakeRostered:
    """Take what a roster says of a learner from now on."""

    told: LearnerRostered

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "learner", str(self.told.learner_id))


@dataclass(frozen=True)
class StatePreferences:
    """Say what a learner likes, in place of what the same author said before."""

    told: PreferencesStated

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "learner", str(self.told.learner_id))


@dataclass(frozen=True)
class Statement:
    """When an author last said something, and its hash."""

    at: datetime
    said: str


@dataclass(frozen=True)
class LearnerState:
    """What the roster last told of a learner, as a hash, and each author's latest statement."""

    told: str = ""
    statements: dict[UUID, Statement] = field(default_factory=dict)


def _fingerprint(told: Event) -> str:
    """Return a hash of what is told that is the same for equal texts, however they were sealed."""
    body = told.body()
    for name in told.__class__.model_fields:
        if isinstance(getattr(told, name), Sealed):
            body[name] = getattr(told, name).mac
    return digest(canonical(body))


def _decide(
    command: TakeRostered | StatePreferences, state: LearnerState, parameters: Parameters, history: History = ()
) -> Sequence[Event] | Refusal:
    """Return what is told, if it is news."""
    match command:
        case TakeRostered(told=told):
            return [] if _fingerprint(told) == state.told else [told]
        case StatePreferences(told=stated):
            return _decide_statement(stated, state)


def _decide_statement(stated: PreferencesStated, state: LearnerState) -> Sequence[Event] | Refusal:
    """Return the statement, unless its author said the same last; the hour alone is no news."""
    if not state.told:
        return Refusal("unknown-learner", "no roster names this learner: import it first")
    before = state.statements.get(stated.author_id)
    if before is None:
        if len(state.statements) >= MAX_AUTHORS:
            return Refusal("too-many-authors", f"{MAX_AUTHORS} people have spoken about this learner: one of them may speak again")
        return [stated]
    if before.said == _said(stated):
        return []
    if stated.stated_at <= before.at:
        return Refusal("outdated", "the same author has said something since: read it, then say it anew")
    return [stated]


def _said(stated: PreferencesStated) -> str:
    """Return a hash of everything in a statement but its time."""
    return _fingerprint(stated.model_copy(update={"stated_at": datetime.fromisoformat("1970-01-01T00:00:00+00:00")}))


def _evolve(state: LearnerState, event: LearnerRostered | PreferencesStated) -> LearnerState:
    match event:
        case LearnerRostered():
            return replace(state, told=_fingerprint(event))
        case PreferencesStated(author_id=author_id, stated_at=at):
            return replace(state, statements=state.statements | {author_id: Statement(at, _said(event))})


def _command_of(event: LearnerRostered | PreferencesStated) -> TakeRostered | StatePreferences:
    return StatePreferences(event) if isinstance(event, PreferencesStated) else TakeRostered(event)


learners: Final = Decider("profile.learner", 1, "learner", LearnerState(), _decide, _evolve, _command_of, json_codec(LearnerState))
