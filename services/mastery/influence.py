"""Which pieces of evidence moved a competency's estimate most: each is left out in turn, and all that follows is weighed again; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from services.mastery.filter import Normal, carried, faded, predict, repeated, unseen, update
from services.mastery.framework import Framework
from services.mastery.inputs import Inputs
from services.mastery.rule import reference, score_of
from services.mastery.state import MAX_COUNT, MAX_ITEMS, MINUTES_PER_DAY, item_mark, minute_of
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import EvidenceDeferred
from shared.exact import micro, normal_cdf

MAX_LEFT_OUT: Final = 20
"""The last pieces of evidence about the competency that are left out in turn."""
MAX_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Influence:
    """What one piece of evidence did to an estimate."""

    evidence: EvidenceRecorded
    logit_e6: int
    """By how much the mean of the reference item's logit is higher with it than without."""
    probability_e6: int
    """Likewise, the probability of reaching the bar."""


def evidence_of(stream: Iterable[bytes], framework: Framework) -> list[EvidenceRecorded]:
    """Return the evidence that counts, as it was corrected, from the bytes of a stream's estimates and of what was deferred, in order,
    sorted as it is weighed."""
    counted: dict[str, Any] = {}
    named = framework.competencies.keys()
    for raw in stream:
        value = orjson.loads(raw)
        data = value["data"]
        if "evidence" in data:
            if value.get("type") == EvidenceDeferred.TYPE and named.isdisjoint(data["evidence"]["competency_ids"]):
                continue
            counted[data["evidence"]["evidence_id"]] = data["evidence"]
        elif "voided" in data:
            counted.pop(data["voided"]["evidence_id"], None)
        elif "rescored" in data and (known := counted.get(data["rescored"]["evidence_id"])):
            told = data["rescored"]
            at = told.get("occurred_at") or known["occurred_at"]
            counted[known["evidence_id"]] = known | {"score_e6": told["score_e6"], "occurred_at": at}
    found = [EvidenceRecorded.model_validate(seen) for seen in counted.values()]
    return sorted(found, key=lambda seen: (seen.occurred_at, seen.evidence_id.int))


def about(competency_id: str, evidence: Sequence[EvidenceRecorded], inputs: Inputs) -> list[int]:
    """Return the places of the last evidence about a competency, at most 20."""
    framework = inputs.framework
    return [place for place, seen in enumerate(evidence) if competency_id in framework.current(seen.competency_ids)][-MAX_LEFT_OUT:]


def influences(competency_id: str, evidence: Sequence[EvidenceRecorded], minute: int, inputs: Inputs) -> list[Influence]:
    """Return what the last evidence about a competency did to its estimate at this minute, that which moved it most first."""
    places = about(competency_id, evidence, inputs)
    if not places:
        return []
    numbers = inputs.calibration.numbers
    steps = [_step_of(seen, inputs) for seen in evidence]
    learner, before = _Learner(Normal(0.0, numbers.general_variance), Normal(0.0, numbers.form_variance), {}, {}, inputs), []
    for place, step in enumerate(steps):
        if place in places:
            before.append(learner.copy())
        learner.take(step)
    mean, probability = learner.shown(competency_id, minute)
    found = []
    for place, without in zip(places, before, strict=True):
        for step in steps[place + 1 :]:
            without.take(step)
        other_mean, other = without.shown(competency_id, minute)
        found.append(Influence(evidence[place], micro(mean - other_mean), micro(probability - other)))
    return sorted(found, key=lambda each: (-abs(each.logit_e6), each.evidence.evidence_id.int))


class _Step(NamedTuple):
    """What weighing a piece of evidence needs of it, worked out once."""

    minute: int
    names: tuple[str, ...]
    mark: int
    easiness: float
    precision: float
    share: float
    percent: int


def _step_of(seen: EvidenceRecorded, inputs: Inputs) -> _Step:
    calibration, names = inputs.calibration, inputs.framework.current(seen.competency_ids)
    return _Step(
        minute_of(seen.occurred_at), names, item_mark(seen.item_id), calibration.easiness(seen.item_id, seen.kind, names),
        calibration.kinds[seen.kind].precision, seen.score_e6 / MICRO, seen.score_e6 // 10_000,
    )  # fmt: skip


@dataclass(slots=True)
class _Learner:
    """Beliefs as `weigh.estimate` moves them, rounded as they are kept; what levels need is left out, and so is packing."""

    general: Normal
    form: Normal
    """At the next event."""
    known: dict[str, tuple[float, float, int]]
    """Competency -> mean, variance and minute."""
    items: dict[int, tuple[int, int, int]]
    """Mark -> minute, times and percent; the latest last."""
    inputs: Inputs

    def copy(self) -> _Learner:
        return _Learner(self.general, self.form, dict(self.known), dict(self.items), self.inputs)

    def take(self, step: _Step) -> None:
        """Move what is believed as this evidence does."""
        numbers, minute = self.inputs.calibration.numbers, step.minute
        known = [self.at(name, minute) for name in step.names]
        item, offset = self.items.pop(step.mark, None), step.easiness
        if item is not None:
            offset += repeated(item[2] / 100, item[1], (minute - item[0]) / MINUTES_PER_DAY, numbers)
        elif len(self.items) >= MAX_ITEMS:
            del self.items[next(iter(self.items))]
        expected = predict(offset, self.general, self.form, known)
        general, form, competencies = update(expected, step.share, step.precision, self.general, self.form, known, numbers)
        self.general, self.form = _kept(general), carried(_kept(form), numbers)
        for name, belief in zip(step.names, competencies, strict=True):
            self.known[name] = (micro(belief[0]) / MICRO, micro(belief[1]) / MICRO, minute)
        self.items[step.mark] = (minute, min(MAX_COUNT, item[1] + 1) if item else 1, step.percent)

    def at(self, name: str, minute: int) -> Normal:
        """Return what is believed of a competency at this minute."""
        numbers, found = self.inputs.calibration.numbers, self.known.get(name)
        if found is not None:
            return faded(Normal(found[0], found[1]), (minute - found[2]) / MINUTES_PER_DAY, numbers)
        before = self.inputs.framework.prerequisites.get(name, ())
        return unseen([self.at(each, minute) for each in before if each in self.known], numbers)

    def shown(self, name: str, minute: int) -> tuple[float, float]:
        """Return the mean of the reference item's logit and the probability of reaching the bar."""
        calibration = self.inputs.calibration
        unknown = Normal(0.0, calibration.numbers.competency_variance)
        logit = reference(calibration.reference_of(name), self.general, self.at(name, minute) if name in self.known else unknown)
        return logit.mean, normal_cdf(score_of(logit, self.inputs.policy_of(name)))


def _kept(belief: Normal) -> Normal:
    return Normal(micro(belief.mean) / MICRO, micro(belief.variance) / MICRO)


def last_ids(competency_id: str, evidence: Sequence[EvidenceRecorded], inputs: Inputs) -> list[UUID]:
    """Return the ids of the last evidence about a competency, the latest first."""
    return [evidence[place].evidence_id for place in reversed(about(competency_id, evidence, inputs))]
