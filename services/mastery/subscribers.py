"""What mastery does about evidence, about who is in which class, about new parameters, and about overrides whose time has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.mastery.commands import CountEvidence, DeferEvidence, EndOverride, FollowRevision, Recalibrate, Rescore, Void
from services.mastery.domain import mastery
from services.mastery.framework import FRAMEWORK
from services.mastery.membership import NoteMembership
from services.mastery.queries import overrides_that_end
from shared.contracts.envelope import Recorded
from shared.contracts.evidence import EvidenceRecorded, EvidenceRescored, EvidenceVoided
from shared.contracts.mastery import MembershipNoted, OverrideEnded
from shared.contracts.profile import LearnerRostered
from shared.contracts.topics import Topic
from shared.decider import Command
from shared.ledger.types import Ask, Connection
from shared.parameters import Parameters
from shared.parts import Context, Drain, Subscription, Sweep, Tick


def commands_for(event: Recorded[Any]) -> list[Command]:
    """Return what mastery does about another service's event; what it has no use for asks for nothing."""
    match event.data:
        case EvidenceRecorded() as evidence:
            return [CountEvidence(evidence)]
        case EvidenceRescored() as told:
            return [Rescore(told)]
        case EvidenceVoided() as told:
            return [Void(told)]
        case LearnerRostered(learner_id=learner_id, class_ids=classes, active=active):
            told_classes = classes if active else ()
            return [NoteMembership(MembershipNoted(learner_id=learner_id, class_ids=told_classes, version=event.order))]
        case _:
            return []


def settle(asks: Sequence[Ask], parameters: Parameters) -> Sequence[Ask]:
    """Return the asks; evidence that names no competency of the frameworks in force is deferred in place of being counted.

    Before the first framework nobody knows what there is to be learned: all evidence is counted, and nothing is mastered by it. Evidence
    that names one competency in force counts; the others it names may belong to a framework that this district does not use.
    """
    framework = parameters.get(FRAMEWORK)
    if framework is None or not framework.competencies:
        return asks
    known = framework.competencies.keys()
    return [
        replace(ask, command=DeferEvidence(ask.command.evidence))
        if type(ask.command) is CountEvidence and known.isdisjoint(ask.command.evidence.competency_ids) else ask
        for ask in asks
    ]  # fmt: skip


def _sweep_name(parameters: Parameters, today: str) -> str | None:
    """Return the name of the sweep that what is in force asks for: its version, so that going back to an earlier set is swept too, and
    that of the decider, whose newer version decides everything again."""
    return f"recalibrate/{parameters.version}/{mastery.version}" if parameters.ids else None


def _recalibrate(learner_id: str, parameters: Parameters, today: str) -> list[Command]:
    return [FollowRevision(UUID(learner_id), parameters.version), Recalibrate(UUID(learner_id), parameters.version)]


async def _ending(connection: Connection, now: str) -> list[Command]:
    """Return the commands that end overrides whose time has come."""
    at = datetime.fromisoformat(now)
    found = await overrides_that_end(connection, at)
    return [EndOverride(OverrideEnded(learner_id=learner_id, competency_id=name, at=at)) for learner_id, name in found]


def ticks(context: Context) -> Sequence[Tick]:
    """Return what is done in time: every learner's evidence is weighed again when the parameters changed, and overrides end."""
    return (Sweep("learner", _sweep_name, _recalibrate), Drain("overrides", _ending))


SUBSCRIPTION: Final = Subscription(
    (Topic.EVIDENCE, Topic.PROFILE), commands_for, (EvidenceRecorded, EvidenceRescored, EvidenceVoided, LearnerRostered)
)
