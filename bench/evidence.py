"""The evidence that the throughput bench writes: decoded commands for evidence's ledger, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from services.evidence.domain import AcceptEvidence, AlignItem, NoteAlias
from shared.contracts.envelope import MICRO, NAMESPACE, Origin
from shared.contracts.evidence import AliasNoted, EvidenceAccepted, ItemAligned

LEARNERS, COMPETENCIES, ITEMS = 240, 150, 600
IN_A_ROW: Final = 10
"""Answers of one learner, one after another: a quiz."""
START: Final = datetime(2026, 9, 1, 8, tzinfo=UTC)
NOBODY: Final = Origin(UUID(int=1), UUID(int=1))


def name(kind: str, number: int) -> UUID:
    """Return the id of the bench's learner, item, competency or act of this number."""
    return uuid5(NAMESPACE, f"bench/{kind}/{number}")


def alias(number: int) -> str:
    """Return how the source knows a learner."""
    return f"{number:064x}"


def known() -> Iterator[NoteAlias | AlignItem]:
    """Yield what must be known for evidence to be recorded at once."""
    for learner in range(LEARNERS):
        yield NoteAlias(AliasNoted(alias=alias(learner), learner_id=name("learner", learner)))
    for item in range(ITEMS):
        competency = str(name("competency", item % COMPETENCIES))
        yield AlignItem(ItemAligned(item_id=name("item", item), iri=f"urn:item:{item}", competency_ids=(competency,)))


def acts(first: int, count: int) -> list[AcceptEvidence]:
    """Return quiz answers in the order of time, of which seven in ten are right."""
    return [_act(number) for number in range(first, first + count)]


def _act(number: int) -> AcceptEvidence:
    learner, turn = number // IN_A_ROW % LEARNERS, number // (IN_A_ROW * LEARNERS)
    item = (learner * 7 + turn * 11 + number % IN_A_ROW * 3) % ITEMS
    return AcceptEvidence(
        EvidenceAccepted(
            act_id=name("act", number), alias=alias(learner), item_id=name("item", item), score_e6=MICRO * ((number * 7919) % 10 < 7),
            occurred_at=START + timedelta(seconds=number),
        )
    )  # fmt: skip
