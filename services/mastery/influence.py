"""Which pieces of evidence moved a competency's estimate most: each is left out in turn, and all that follows is weighed again; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from services.mastery.inputs import Inputs
from services.mastery.state import MAX_COUNT, Item, Row, State, key_of, minute_of
from services.mastery.weigh import estimate, score_at
from shared.contracts.evidence import EvidenceRecorded
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


def evidence_of(told: Iterable[bytes]) -> list[EvidenceRecorded]:
    """Return the evidence that counts, from the bytes of a stream's estimates in order, sorted as it is weighed."""
    counted: dict[str, Any] = {}
    for raw in told:
        data = orjson.loads(raw)["data"]
        if "evidence" in data:
            counted[data["evidence"]["evidence_id"]] = data["evidence"]
        elif "voided" in data:
            counted.pop(data["voided"]["evidence_id"], None)
        elif "rescored" in data and (known := counted.get(data["rescored"]["evidence_id"])):
            counted[known["evidence_id"]] = known | {"score_e6": data["rescored"]["score_e6"]}
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
    state, before = State(), dict[int, State]()
    for place, seen in enumerate(evidence):
        if place in places:
            before[place] = state.copy()
        _step(seen, state, inputs)
    mean, probability = _shown(competency_id, state, minute, inputs)
    found = []
    for place in places:
        without = before[place]
        for seen in evidence[place + 1 :]:
            _step(seen, without, inputs)
        other_mean, other = _shown(competency_id, without, minute, inputs)
        found.append(Influence(evidence[place], micro(mean - other_mean), micro(probability - other)))
    return sorted(found, key=lambda each: (-abs(each.logit_e6), each.evidence.evidence_id.int))


def last_ids(competency_id: str, evidence: Sequence[EvidenceRecorded], inputs: Inputs) -> list[UUID]:
    """Return the ids of the last evidence about a competency, the latest first."""
    return [evidence[place].evidence_id for place in reversed(about(competency_id, evidence, inputs))]


def _step(seen: EvidenceRecorded, state: State, inputs: Inputs) -> None:
    """Move beliefs only: levels follow from them and never act back."""
    weighed = estimate(seen, state, inputs)
    state.general, state.form = weighed.general, weighed.form
    minute = minute_of(seen.occurred_at)
    for name, row, (mean, variance) in zip(weighed.names, weighed.rows, weighed.beliefs, strict=True):
        key = row.key if row else key_of(name)
        state.put(name, Row(key, mean, variance, minute, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    item = weighed.item
    state.put_item(Item(weighed.mark, minute, min(MAX_COUNT, item.times + 1) if item else 1, seen.score_e6 // 10_000))


def _shown(competency_id: str, state: State, minute: int, inputs: Inputs) -> tuple[float, float]:
    """Return the mean of the reference item's logit and the probability of reaching the bar."""
    row = state.row(competency_id) or Row(
        key_of(competency_id), 0, micro(inputs.calibration.numbers.competency_variance), minute, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    )  # fmt: skip
    logit, score = score_at(competency_id, state.general, row, minute, inputs)
    return logit.mean, normal_cdf(score)
