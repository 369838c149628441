"""Correcting and voiding what was recorded: the evidence stays as it was told, what changes is told beside it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts.envelope import StreamId
from shared.contracts.evidence import EvidenceAmended, EvidenceRecorded, EvidenceRescored, EvidenceVoided
from shared.decider import History, Refusal


@dataclass(frozen=True, slots=True)
class AmendEvidence:
    """Give recorded evidence another score, or let it count for nothing."""

    amended: EvidenceRescored | EvidenceVoided

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "learner", str(self.amended.learner_id))


def decide_amendment(command: AmendEvidence, history: History) -> Sequence[EvidenceAmended] | Refusal:
    """Return the amendment; nothing, if it says what is so already. What is void stays void."""
    amended = command.amended
    score, void = _standing(amended.evidence_id, history)
    if score is None:
        return Refusal("not-recorded", "this learner has no recorded evidence with this id: an act that waits can only be amended later")
    if isinstance(amended, EvidenceVoided):
        return [] if void else [amended]
    if void:
        return Refusal("void", "this evidence is void, and stays so: tell the act anew, under another id")
    return [] if score == amended.score_e6 or any(past.data == amended for past in history) else [amended]


def _standing(evidence_id: UUID, history: History) -> tuple[int | None, bool]:
    """Return the score of evidence by now, None where it was not recorded, and whether it is void."""
    score: int | None = None
    void = False
    for past in history:
        if past.data.evidence_id == evidence_id:
            match past.data:
                case EvidenceRecorded(score_e6=told) | EvidenceRescored(score_e6=told):
                    score = told
                case EvidenceVoided():
                    void = True
                case _:
                    pass
    return score, void
