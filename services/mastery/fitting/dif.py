"""Items that are harder for one group than for learners of another who know as much: differential item functioning; pure.

Source: Mantel and Haenszel (1959), Journal of the National Cancer Institute 22(4); its use for items, and the classes A, B and C, are
Holland and Thayer (1988) and Zieky (1993), as the Educational Testing Service applies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.mastery.fitting.columns import NO_ITEM, Floats, Responses
from services.mastery.fitting.figures import HALF

STRATA: Final = 5
"""Parts of equal size by what was believed of the learners before they answered."""
LEAST: Final = 30
"""Responses of each side from which an item is looked at."""
DELTA: Final = -2.35
"""From log odds to the scale on which items' difficulty is told."""
MODERATE, LARGE = 1.0, 1.5
SIGNIFICANT: Final = 0.05


@dataclass(frozen=True)
class Functioning:
    """An item that functions otherwise for a group."""

    item: str
    group: str
    count: int
    """Responses of the group."""
    delta: float
    """Below 0: harder for the group than for the others."""
    probability: float
    """Of a difference this large by chance, before it is considered how many items were looked at."""
    grade: str
    """`B` or `C`; what is nearer (`A`) is not told."""


def functioning(responses: Responses, ability: Floats, member: NDArray[np.bool_], group: str) -> list[Functioning]:
    """Return the items that function otherwise for a group than for all others, the largest differences first.

    Args:
        ability: (n) logits believed before each response, its item left out.
        member: (learners) who belongs to the group.
    """
    edges = np.quantile(ability, np.linspace(0, 1, STRATA + 1)[1:-1])
    known = responses.item != NO_ITEM
    stratum, right = np.searchsorted(edges, ability)[known], (responses.score >= HALF)[known]
    focal, item = member[responses.learner][known], responses.item[known]
    cells = np.zeros((len(responses.items), STRATA, 2, 2))
    np.add.at(cells, (item, stratum, focal.astype(int), right.astype(int)), 1.0)
    found = []
    for at in np.flatnonzero((cells.sum(axis=(1, 3)) >= LEAST).all(axis=1)):
        told = _mantel_haenszel(cells[at])
        if told is not None and told[2] != "A":
            found.append(Functioning(responses.items[at], group, int(cells[at, :, 1].sum()), *told))
    return sorted(found, key=lambda one: (-abs(one.delta), one.item))


def _mantel_haenszel(cells: Floats) -> tuple[float, float, str] | None:
    """Return delta, probability and grade of (strata, focal, right) counts; None where nothing can be compared."""
    total = cells.sum(axis=(1, 2))
    cells, total = cells[total > 1], total[total > 1]
    wrong_others, right_others, wrong, right = cells[:, 0, 0], cells[:, 0, 1], cells[:, 1, 0], cells[:, 1, 1]
    up, down = float(np.sum(right_others * wrong / total)), float(np.sum(wrong_others * right / total))
    if up <= 0.0 or down <= 0.0:
        return None
    others, rights = right_others + wrong_others, right_others + right
    expected = others * rights / total
    variance = float(np.sum(others * (wrong + right) * rights * (total - rights) / (total * total * (total - 1.0))))
    if variance <= 0.0:
        return None
    far = max(abs(float(np.sum(right_others - expected))) - 0.5, 0.0)
    probability = erfc(far / sqrt(2.0 * variance))
    delta = DELTA * log(up / down)
    grade = "A" if abs(delta) < MODERATE or probability > SIGNIFICANT else "C" if abs(delta) >= LARGE else "B"
    return delta, probability, grade
