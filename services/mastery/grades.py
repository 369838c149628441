"""Grade levels, as packages write them and as rosters do; pure."""

from __future__ import annotations

import re
from typing import Final

SCHOOL: Final = ("KG", *(f"{grade:02}" for grade in range(1, 13)))
"""Grade levels that a range may span, in order."""
GRADES: Final = frozenset({*SCHOOL, "IT", "PR", "PK", "TK", "13", "PS", "UG", "OTHER"})
"""Grade levels that a roster has (CEDS), in capitals."""


def grades_of(level: str) -> list[str]:
    """Return the grade levels, as the roster writes them, that a word or a range of a package means; the word itself where it means none.

    >>> grades_of("K-2"), grades_of("HS"), grades_of("Grade 5"), grades_of("Grades 11-12"), grades_of("Other")
    (['KG', '01', '02'], ['09', '10', '11', '12'], ['05'], ['11', '12'], ['OTHER'])
    """
    word = re.sub(r"^GRADES?\s+", "", level.upper())
    first, _, last = (_grade(part.strip()) for part in ("9-12" if word == "HS" else word).partition("-"))
    if first in SCHOOL and last in SCHOOL and SCHOOL.index(first) <= SCHOOL.index(last):
        return list(SCHOOL[SCHOOL.index(first) : SCHOOL.index(last) + 1])
    return [_grade(word)]


def _grade(level: str) -> str:
    """Return a grade level as the roster writes it: two digits, and KG for kindergarten.

    >>> [_grade(level) for level in ("5", "05", "K", "kg", "12")]
    ['05', '05', 'KG', 'KG', '12']
    """
    code = level.upper()
    return "KG" if code == "K" else code.zfill(2) if code.isdigit() else code
