"""Correcting and voiding what was recorded: the evidence stays as it was told, what changes is told beside it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.envelope import StreamId
from shared.contracts.evidence import Cause, EvidenceAmended, EvidenceRecorded, EvidenceRescored, EvidenceVoided
from shared.decider import History, Refusal


@dataclass(frozen=True, slots=True)
class AmendEvidence:
    """Give recorded evidence another score, or let it count for nothing."""

    amended: EvidenceRescored | EvidenceVoided

    @property
    def evidence_id(self) -> UUID:
        return self.amended.evidence_id

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "learner", str(self.amended.learner_id))


def decide_amendment(command: AmendEvidence, history: History) -> Sequence[EvidenceAmended] | Refusal:
    """Return the amendment; nothing, if it says what is so already. What is void stays void.

    A source's later grade says nothing, either, of what waits, is void, or was corrected later than it was given.
    """
    amended = command.amended
    score, void, occurred_at = _standing(amended.evidence_id, history)
    if isinstance(amended, EvidenceRescored) and amended.cause is Cause.REGRADED:
        moved = amended.occurred_at is not None and occurred_at is not None and amended.occurred_at < occurred_at
        idle = score is None or void or (score == amended.score_e6 and not moved) or _is_known(amended, history)
        return [] if idle else [amended]
    if score is None:
        return Refusal("not-recorded", "this learner has no recorded evidence with this id: an act that waits can only be amended later")
    if isinstance(amended, EvidenceVoided):
        return [] if void else [amended]
    if void:
        return Refusal("void", "this evidence is void, and stays so: tell the act anew, under another id")
    return [] if score == amended.score_e6 or any(past.data == amended for past in history) else [amended]


def _is_known(amended: EvidenceRescored, history: History) -> bool:
    """Return whether this was told before, or a correction of later."""
    told = [past.data for past in history if isinstance(past.data, EvidenceRescored) and past.data.evidence_id == amended.evidence_id]
    return any(past == amended or past.at > amended.at for past in told)


def _standing(evidence_id: UUID, history: History) -> tuple[int | None, bool, datetime | None]:
    """Return the score of evidence by now, None where it was not recorded, whether it is void, and when it happened."""
    score: int | None = None
    void = False
    occurred_at: datetime | None = None
    for past in history:
        if past.data.evidence_id == evidence_id:
            match past.data:
                case EvidenceRecorded(score_e6=told, occurred_at=at) | EvidenceRescored(score_e6=told, occurred_at=at):
                    score, occurred_at = told, at or occurred_at
                case EvidenceVoided():
                    void = True
                case _:
                    pass
    return score, void, occurred_at
