"""How often the decision was wrong or late, as far as later answers tell; pure.

The rule is walked along recorded responses: form of the day and memory of items left out, breadth by events and items, and by days where
the data have a clock. Prerequisites are taken as met: a file knows no framework. What came after a declaration is held against what a
learner exactly at the bar would have scored on the same items; so is what came after the third response where nothing was declared. Few
answers make both rates too large, alike for every group: they compare, and are no truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.mastery.fitting.columns import NO_ITEM, Floats, Ints, Responses
from services.mastery.fitting.easiness import sigmoids
from services.mastery.fitting.kernel import Pass
from services.mastery.rule import Policy

AFTER: Final = 5
"""Later responses on a competency from which what came after counts."""


@dataclass(frozen=True)
class Stops:
    """One row for each learner and competency with work enough. p pairs."""

    learner: Ints
    """(p)"""
    declared: Ints
    """(p) Responses before it was declared mastered; -1 for never."""
    false: Floats
    """(p) 1 where the answers after it stayed below the bar, 0 where not, nan where nothing was declared or too little followed."""
    delayed: Floats
    """(p) 1 where the answers from the fourth on reached the bar and nothing was declared, 0 where it was; nan where they did not."""


def stops(responses: Responses, seen: Pass, easiness: Floats, reference: Floats, policy: Policy) -> Stops:
    """Return what the rule did for every learner and competency.

    Args:
        easiness: (n) of each response.
        reference: (competencies) easiness of the reference items.
    """
    lengths = np.diff(responses.first_link)
    owner = np.repeat(np.arange(len(responses)), lengths)
    link = responses.links
    z = (reference[link] + seen.trace[owner, 0] + seen.link_mean - policy.bar_logit) / np.sqrt(seen.trace[owner, 1] + seen.link_variance)
    at_bar = sigmoids(policy.bar_logit + easiness[owner] - reference[link])
    order = np.lexsort((owner, link, responses.learner[owner]))
    pair = responses.learner[owner[order]] * len(responses.competencies) + link[order]
    starts = np.flatnonzero(np.r_[True, np.diff(pair) > 0])
    rows = []
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(pair)], strict=True):
        if stop - start < policy.scored + AFTER:
            continue
        of = order[start:stop]
        rows.append(_pair(responses, owner[of], z[of], responses.score[owner[of]] - at_bar[of], policy))
    table = np.array(rows) if rows else np.zeros((0, 4))
    return Stops(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3])


def _pair(responses: Responses, at: Ints, z: Floats, above: Floats, policy: Policy) -> tuple[float, float, float, float]:
    """Return learner, declaration, false, delayed. `above` is by how much each score lies above that of a learner at the bar."""
    declared = -1
    items: set[int] = set()
    days: set[int] = set()
    for place, which in enumerate(at.tolist()):
        broad = place >= policy.scored and (len(items) >= policy.items or NO_ITEM in items)
        if broad and (len(days) >= policy.days or not responses.has_clock) and z[place] >= policy.certainty_z:
            declared = place
            break
        items.add(int(responses.item[which]))
        days.add(int(responses.day[which]))
    false = delayed = float("nan")
    if declared >= 0 and len(at) - declared >= AFTER:
        false = float(above[declared:].sum() < 0.0)
    if above[policy.scored :].sum() >= 0.0:
        delayed = float(declared < 0)
    return float(responses.learner[at[0]]), float(declared), false, delayed
