"""An act that is told more than once: which telling is a further grade of it, and what counts by all of them. Pure.

An LMS may give one name to whatever a learner hands in for an assignment (Canvas: the submission), and tell each new grade of it, after a
retake or a second look, under that name. All of them are kept, the latest counts, and the work stays dated when it was first told to have
happened: the same in whichever order the tellings come. What was kept before messages said when a score was given learns it from the same
message, told again. `Attempt.count` is no part of it: systems tell it of some events and not of others,
so that by it the answer and the grade of one attempt would be two acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from shared.contracts.evidence import Cause, EvidenceAccepted, EvidenceRegraded, EvidenceRescored
from shared.decider import History

MAX_GRADES: Final = 256
"""Tellings of one act that are kept; a further one is a conflict."""


class Telling(Enum):
    """What a telling of an act is to those before it."""

    AGAIN = auto()
    """It adds nothing."""
    FURTHER = auto()
    """Another grade, which counts where it is the latest; or what was not known: work told behind its grade, that it happened earlier, or
    when its score was given."""
    OTHER = auto()
    """It contradicts them."""


def tellings_in(history: History) -> Iterator[EvidenceAccepted]:
    """Yield the tellings of an act that agree with one another, the first one first."""
    for past in history:
        if isinstance(past.data, EvidenceAccepted):
            yield past.data
        elif isinstance(past.data, EvidenceRegraded):
            yield past.data.told


def given_at(told: EvidenceAccepted) -> datetime:
    """Return when the score was given; where nobody told, when the work happened."""
    return told.graded_at or told.occurred_at


def compare(told: EvidenceAccepted, before: Sequence[EvidenceAccepted]) -> Telling:
    """Return what a telling is to those before it, of which there is at least one.

    One message must say the same each time; where only a later time says when its score was given, that is news. A grade of another instant
    is a further one; what is told without being a grade must agree with the score that counts, unless it happened before that was given.
    """
    same = [each for each in before if _said(told) == _said(each)]
    if same:
        return _news(before, told.graded_at is not None and all(each.graded_at is None for each in same))
    if (told.alias, told.item_id) != (before[0].alias, before[0].item_id) or any(_message(told) == _message(each) for each in before):
        return Telling.OTHER
    dated, earlier = _dated(before), told.occurred_at < began_at(before)
    first, counts = dated[0], latest(before)
    if told.graded_at is None:
        if counts.graded_at is None or told.occurred_at >= counts.graded_at:
            return _news(before, earlier) if told.score_e6 == counts.score_e6 else Telling.OTHER
        known = any(each.score_e6 == told.score_e6 for each in before)
        return Telling.AGAIN if known and not earlier else _kept(before)
    of_then = [each.score_e6 for each in dated if given_at(each) == told.graded_at]
    if first.graded_at is None and told.graded_at < first.occurred_at:
        of_then.append(first.score_e6)
    if of_then:
        return _news(before, earlier) if told.score_e6 in of_then else Telling.OTHER
    return _kept(before)


def latest(tellings: Sequence[EvidenceAccepted]) -> EvidenceAccepted:
    """Return the telling whose score counts."""
    return max(_dated(tellings), key=given_at)


def began_at(tellings: Sequence[EvidenceAccepted]) -> datetime:
    """Return when the work happened, as it was first told."""
    return min(each.occurred_at for each in tellings)


def regrade(tellings: Sequence[EvidenceAccepted], learner_id: UUID) -> EvidenceRescored:
    """Return what tellings of an act, recorded as its first, come to by now."""
    counts, began, recorded = latest(tellings), began_at(tellings), tellings[0].occurred_at
    return EvidenceRescored(
        evidence_id=counts.act_id, learner_id=learner_id, author_id=_message(counts), cause=Cause.REGRADED, at=given_at(counts),
        score_e6=counts.score_e6, occurred_at=began if began != recorded else None,
    )  # fmt: skip


def _dated(tellings: Sequence[EvidenceAccepted]) -> list[EvidenceAccepted]:
    """Return one telling of each message, in their order: the one that says when the score was given, where there is one."""
    found: dict[UUID, EvidenceAccepted] = {}
    for each in tellings:
        if each.graded_at is not None or _message(each) not in found:
            found[_message(each)] = each
    return list(found.values())


def _news(before: Sequence[EvidenceAccepted], is_news: bool) -> Telling:
    """Return what a telling is that agrees with those before it."""
    return Telling.FURTHER if is_news and len(before) < MAX_GRADES else Telling.AGAIN


def _kept(before: Sequence[EvidenceAccepted]) -> Telling:
    return Telling.FURTHER if len(before) < MAX_GRADES else Telling.OTHER


def _message(told: EvidenceAccepted) -> UUID:
    return told.telling_id or told.act_id


def _said(told: EvidenceAccepted) -> tuple[Any, ...]:
    """Return what a message must repeat. When its score was given is no part: before that was kept, messages were told without it."""
    return _message(told), told.alias, told.item_id, told.score_e6, told.occurred_at, told.duration_ms, told.kind
