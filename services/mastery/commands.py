"""What mastery can be asked about one learner; pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

from shared.contracts.envelope import StreamId
from shared.contracts.evidence import EvidenceRecorded, EvidenceRescored, EvidenceVoided
from shared.contracts.mastery import (
    Estimated,
    EvidenceDeferred,
    JudgementsMoved,
    LevelChanged,
    LevelHeld,
    OverrideEnded,
    OverrideGiven,
    PersonNeeded,
    PrerequisiteWaived,
    Reestimated,
    WaiverWithdrawn,
)


@lru_cache(maxsize=4_096)  # Many pieces of evidence of one learner come together.
def learner_stream(learner_id: UUID) -> StreamId:
    """Return the stream of a learner's estimates."""
    return StreamId("mastery", "learner", str(learner_id))


@dataclass(frozen=True)
class CountEvidence:
    """Count one piece of scored evidence towards a learner's competencies."""

    evidence: EvidenceRecorded

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.evidence.learner_id)


@dataclass(frozen=True)
class DeferEvidence:
    """Keep evidence that names no competency of the frameworks in force, until one of them does."""

    evidence: EvidenceRecorded

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.evidence.learner_id)


@dataclass(frozen=True)
class Rescore:
    """Weigh evidence with another score than it was counted with."""

    rescored: EvidenceRescored

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.rescored.learner_id)


@dataclass(frozen=True)
class Void:
    """Let evidence count for nothing, as if it had never been."""

    voided: EvidenceVoided

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.voided.learner_id)


@dataclass(frozen=True)
class Recalibrate:
    """Weigh all of a learner's evidence again, with the parameters in force. Where nothing comes out otherwise, nothing is said."""

    learner_id: UUID
    settings: int
    """Version of mastery's settings that asks for it."""

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.learner_id)


@dataclass(frozen=True)
class GiveOverride:
    """Tell the level that a person says, until some day, in place of the estimate's."""

    given: OverrideGiven

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.given.learner_id)


@dataclass(frozen=True)
class EndOverride:
    """Tell the estimate's level again: somebody withdraws the other one, or its time came. Before its time, nobody ends nothing."""

    ended: OverrideEnded

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.ended.learner_id)


@dataclass(frozen=True)
class WaivePrerequisite:
    """Let a prerequisite not hold a competency back."""

    waived: PrerequisiteWaived

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.waived.learner_id)


@dataclass(frozen=True)
class WithdrawWaiver:
    """Let a prerequisite count again."""

    withdrawn: WaiverWithdrawn

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.withdrawn.learner_id)


@dataclass(frozen=True)
class FollowRevision:
    """Let what people said of competencies that were replaced go on under those that stand in their place."""

    learner_id: UUID
    settings: int
    """Version of mastery's settings that asks for it."""

    @property
    def stream(self) -> StreamId:
        return learner_stream(self.learner_id)


MasteryCommand: TypeAlias = (
    CountEvidence | DeferEvidence | Rescore | Void | Recalibrate
    | GiveOverride | EndOverride | WaivePrerequisite | WithdrawWaiver | FollowRevision
)  # fmt: skip
MasteryEvent: TypeAlias = (
    Estimated | Reestimated | EvidenceDeferred | LevelChanged | LevelHeld | PersonNeeded
    | OverrideGiven | OverrideEnded | PrerequisiteWaived | WaiverWithdrawn | JudgementsMoved
)  # fmt: skip


def command_of(event: MasteryEvent) -> MasteryCommand | None:
    """Return the command that this event answers first, so that replay can ask it again."""
    match event:
        case Estimated(evidence=seen):
            return CountEvidence(seen)
        case EvidenceDeferred(evidence=seen):
            return DeferEvidence(seen)
        case Reestimated():
            return _weighed_again(event)
        case OverrideGiven():
            return GiveOverride(event)
        case OverrideEnded():
            return EndOverride(event)
        case PrerequisiteWaived():
            return WaivePrerequisite(event)
        case WaiverWithdrawn():
            return WithdrawWaiver(event)
        case JudgementsMoved(learner_id=learner_id, settings=settings):
            return FollowRevision(learner_id, settings)
        case LevelChanged() | LevelHeld() | PersonNeeded():
            return None


def _weighed_again(event: Reestimated) -> MasteryCommand | None:
    if event.evidence is not None:
        return CountEvidence(event.evidence)
    if event.rescored is not None:
        return Rescore(event.rescored)
    if event.voided is not None:
        return Void(event.voided)
    return None if event.settings is None else Recalibrate(event.learner_id, event.settings)
