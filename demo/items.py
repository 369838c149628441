"""What the district asks: five items for every competency, and start-of-year checks of many competencies at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo.framework import SUBJECTS, beneath, skills
from demo.school import GRADES

BANK: Final = "https://items.aldermoor.example"
EASE: Final = (1.1, 0.8, 0.6, 0.4, 0.1)
"""Easiness of a competency's items in logits, the easiest first."""
ROUNDS: Final = 5
"""How often the start of the year is checked, each time with other items."""
BLOCK: Final = 10
"""Competencies in one check, at most; an alignment takes 16."""
CHECKS: Final = {"mathematics": 4, "reading": 2}
"""Checks of a round, at least."""


@dataclass(frozen=True)
class Item:
    """Something a learner can be asked."""

    iri: str
    codes: tuple[str, ...]
    """Competencies it gives evidence about."""
    ease: float
    """In logits; 0 is answered rightly by half of those who just know it."""


def items_of(code: str) -> tuple[Item, ...]:
    """Return the items of a competency, the easiest first."""
    return tuple(Item(f"{BANK}/{skills()[code].subject}/{code}/{n}", (code,), ease) for n, ease in enumerate(EASE, 1))


def checks(subject: str, grade: str) -> tuple[tuple[Item, ...], ...]:
    """Return the start-of-year checks of a grade: for each round its checks, which together cover all that the grade rests on."""
    codes = beneath(subject, grade)
    size = -(-len(codes) // max(CHECKS[subject], -(-len(codes) // BLOCK)))
    blocks = [codes[start : start + size] for start in range(0, len(codes), size)]
    place = f"{BANK}/{subject}/check/{grade}"
    return tuple(tuple(Item(f"{place}/{number}/{n}", block, 0.6) for n, block in enumerate(blocks, 1)) for number in range(1, ROUNDS + 1))


def all_items() -> list[Item]:
    """Return every item, those of competencies first."""
    single = [item for code in skills() for item in items_of(code)]
    several = [item for subject in SUBJECTS for grade in GRADES for each in checks(subject, grade) for item in each]
    return single + several


def alignments(items: Sequence[Item]) -> dict[str, Any]:
    """Return which competencies these items give evidence about, as `PUT /evidence/alignments` takes it."""
    return {"alignments": [{"item": item.iri, "competencies": [skills()[code].guid for code in item.codes]} for item in items]}
