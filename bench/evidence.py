"""The evidence that the throughput bench writes: decoded commands for evidence's ledger, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from services.evidence.calendar import NoteCalendar
from services.evidence.domain import AcceptEvidence, AlignItem, NoteAlias
from shared.contracts.envelope import MICRO, NAMESPACE, Origin
from shared.contracts.evidence import AliasNoted, CalendarNoted, EvidenceAccepted, ItemAligned

LEARNERS, COMPETENCIES = 240, 150
ITEMS: Final = 600
"""About one competency each."""
CHECKS: Final = 10
"""Items of the start of the year, which together ask every competency: everybody answers them first, so that states are as large as those
of learners who have been there for a while."""
IN_A_ROW: Final = 10
"""Answers of one learner, one after another: a quiz about one competency."""
APART: Final = timedelta(seconds=20)
"""Between two answers, so that a learner's quizzes are half a day apart, and evidence becomes broad."""
RIGHT: Final = 17
"""Of twenty answers."""
FIRST_QUIZ: Final = LEARNERS * CHECKS
START: Final = datetime(2026, 9, 1, 8, tzinfo=UTC)
NOBODY: Final = Origin(*2 * ("01890000-0000-7000-8000-000000000001",))
"""A request: the oracle knows one by its form (UUIDv7)."""


def name(kind: str, number: int) -> UUID:
    """Return the id of the bench's learner, item, competency or act of this number."""
    return uuid5(NAMESPACE, f"bench/{kind}/{number}")


def alias(number: int) -> str:
    """Return how the source knows a learner."""
    return f"{number:064x}"


def competencies_of(item: int) -> tuple[str, ...]:
    """Return the competencies that an item gives evidence about."""
    if item < ITEMS:
        return (str(name("competency", item % COMPETENCIES)),)
    return tuple(str(name("competency", number)) for number in range(item - ITEMS, COMPETENCIES, CHECKS))


def known() -> Iterator[NoteAlias | AlignItem | NoteCalendar]:
    """Yield what must be known for evidence to be recorded at once."""
    yield NoteCalendar(CalendarNoted(first_day=START.date() - timedelta(days=1)))
    for learner in range(LEARNERS):
        yield NoteAlias(AliasNoted(alias=alias(learner), learner_id=name("learner", learner)))
    for item in range(ITEMS + CHECKS):
        yield AlignItem(ItemAligned(item_id=name("item", item), iri=f"urn:item:{item}", competency_ids=competencies_of(item)))


def acts(first: int, count: int) -> list[AcceptEvidence]:
    """Return answers in the order of time, the checks first, then quizzes."""
    return [_act(number) for number in range(first, first + count)]


def learner_and_item(number: int) -> tuple[int, int]:
    """Return who hands in the act of this number, and about what."""
    learner = number // IN_A_ROW % LEARNERS
    if number < FIRST_QUIZ:
        return learner, ITEMS + number % CHECKS
    turn = (number - FIRST_QUIZ) // (IN_A_ROW * LEARNERS)
    return learner, (learner + turn + number % IN_A_ROW * COMPETENCIES) % ITEMS


def _act(number: int) -> AcceptEvidence:
    learner, item = learner_and_item(number)
    return AcceptEvidence(
        EvidenceAccepted(
            act_id=name("act", number), alias=alias(learner), item_id=name("item", item), score_e6=MICRO * ((number * 7919) % 20 < RIGHT),
            occurred_at=START + number * APART,
        )
    )  # fmt: skip
