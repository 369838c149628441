"""What mastery does about evidence, and about a new framework or calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from services.mastery.domain import CountEvidence, MasteryCommand, Recalibrate
from shared.contracts.envelope import Recorded
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.topics import Topic
from shared.parameters import Parameters
from shared.parts import Context, Subscription, Sweep, Tick


def commands_for(event: Recorded[Any]) -> list[MasteryCommand]:
    """Return what mastery does about another service's event; what it has no use for asks for nothing."""
    match event.data:
        case EvidenceRecorded() as evidence:
            return [CountEvidence(evidence)]
        case _:
            return []


def _sweep_name(parameters: Parameters, today: str) -> str | None:
    """Return the name of the sweep that what is in force asks for: its version, so that going back to an earlier set is swept too."""
    return f"recalibrate/{parameters.version}" if parameters.ids else None


def _recalibrate(learner_id: str, parameters: Parameters, today: str) -> list[MasteryCommand]:
    return [Recalibrate(UUID(learner_id), parameters.version)]


def ticks(context: Context) -> Sequence[Tick]:
    """Return the one thing done in time: every learner's evidence is weighed again when the parameters changed."""
    return (Sweep("learner", _sweep_name, _recalibrate),)


SUBSCRIPTION: Final = Subscription((Topic.EVIDENCE,), commands_for, (EvidenceRecorded,))
TICKS: Final = ticks
