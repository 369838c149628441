"""How well activities fit a learner, as integers, and the two or three of different modality that a step offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.pathing.catalogue import CODE_OF, Candidate
from shared.contracts.mastery import Level
from shared.contracts.pathing import MAX_OPTIONS, Option, PreferencesNoted
from shared.contracts.profile import Modality, Role

PREFERRED: Final = (600_000, 400_000, 200_000)
"""Points of an author's first, second and third preferred modality."""
AVOIDED: Final = -800_000
"""More than any preference: by one word alone, taken only where nothing else is there."""
INTEREST: Final = 300_000
"""Points of an activity that speaks to an interest."""
LEARNER_WEIGHT: Final = 2
"""The learner's own word counts as that of two others."""


@dataclass(frozen=True, slots=True)
class Taste:
    """What everybody says about how a learner likes to learn, in one."""

    points: Mapping[Modality, int]
    areas: frozenset[str]


def taste_of(statements: Iterable[PreferencesNoted]) -> Taste:
    """Return the mean of the statements that name a modality, the learner's own counting twice, and the interests anybody named.

    Who says words or interests alone, or takes back what was said, leaves the others' as they are.

    >>> taste_of([]).points[Modality.VIDEO]
    0
    """
    weights = 0
    sums = dict.fromkeys(Modality, 0)
    areas: set[str] = set()
    for statement in statements:
        areas.update(statement.areas)
        if not statement.modalities and not statement.avoided:
            continue
        weight = LEARNER_WEIGHT if statement.role is Role.LEARNER else 1
        weights += weight
        for points, modality in zip(PREFERRED, statement.modalities, strict=False):
            sums[modality] += weight * points
        for modality in statement.avoided:
            sums[modality] += weight * AVOIDED
    return Taste({modality: total // max(weights, 1) for modality, total in sums.items()}, frozenset(areas))


def options_for(candidates: tuple[Candidate, ...], level: Level, taste: Taste, chosen: str = "") -> tuple[tuple[Option, ...], str]:
    """Return the options of a step, the best of each modality, best first, and which of them is chosen.

    An option's score, in millionths of a point, is what the activity is worth at her level (its fit and gain per minute), and what its
    modality and interests are worth to her. A chosen activity that is still in the catalogue comes first, whatever it scores, and
    takes the place of its modality.
    """
    code, points, areas = CODE_OF[level], taste.points, taste.areas
    best: dict[Modality, tuple[int, str, Candidate]] = {}
    held: Option | None = None
    for candidate in candidates:
        score = candidate.points[code] + points[candidate.modality]
        if areas and not areas.isdisjoint(candidate.areas):
            score += INTEREST
        if candidate.activity_id == chosen:
            held = _option(candidate, score)
        rank = (-score, candidate.activity_id, candidate)
        other = best.get(candidate.modality)
        if other is None or rank < other:  # Ids differ, so candidates are never compared.
            best[candidate.modality] = rank
    if held is not None:
        del best[held.modality]
    ranked = sorted(best.values())[: MAX_OPTIONS - (held is not None)]
    options = tuple([_option(candidate, -negative) for negative, _, candidate in ranked])
    return (options, "") if held is None else ((held, *options), held.activity_id)


@lru_cache(maxsize=1 << 16)
def _option(candidate: Candidate, points: int) -> Option:
    return Option(activity_id=candidate.activity_id, modality=candidate.modality, minutes=candidate.minutes, score=points)
