"""Responses as columns, and what of them the filter needs that no number of a calibration changes; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.mastery.state import MAX_ITEMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NO_ITEM: Final = -1
MAX_COUNT: Final = 255
"""Repetitions of an item are counted up to this, as in a learner's state."""


@dataclass(frozen=True)
class Responses:
    """Scored responses of many learners, each learner's in the order of time and one after the other. n responses, m links."""

    learners: tuple[str, ...]
    items: tuple[str, ...]
    competencies: tuple[str, ...]
    learner: Ints
    """(n) Index into `learners`, rising."""
    item: Ints
    """(n) Index into `items`; NO_ITEM where the data name none."""
    links: Ints
    """(m) Indexes into `competencies`, those of one response after the other."""
    first_link: Ints
    """(n + 1) Where the links of each response begin."""
    score: Floats
    """(n) In [0, 1]."""
    day: Floats
    """(n) Days since 1970; 0 throughout where the data have no clock."""
    kind: Ints
    """(n) Index into `kinds`."""
    kinds: tuple[str, ...]
    row: Ints
    """(n) Row of the file, for messages and predictions."""
    has_clock: bool

    def __len__(self) -> int:
        return len(self.score)

    def subset(self, chosen: NDArray[np.bool_]) -> Responses:
        """Return the responses of the chosen learners. `chosen` is (learners); items and competencies keep their indexes."""
        keep = chosen[self.learner]
        lengths = np.diff(self.first_link)
        renumbered = np.cumsum(chosen) - 1
        return Responses(
            tuple(name for name, kept in zip(self.learners, chosen, strict=True) if kept), self.items, self.competencies,
            renumbered[self.learner[keep]], self.item[keep], self.links[np.repeat(keep, lengths)],
            np.concatenate(([0], np.cumsum(lengths[keep]))), self.score[keep], self.day[keep], self.kind[keep], self.kinds,
            self.row[keep], self.has_clock,
        )  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """What a learner remembers of the very item of each response, as far as no number of a calibration changes it."""

    before: Ints
    """(n) The learner's response on the same item before this one, -1 for none or a forgotten one."""
    count: Ints
    """(n) How often the item was seen before, as far as it is remembered."""


def memory_of(responses: Responses) -> Memory:
    """Return what is remembered at each response, of the MAX_ITEMS items worked on last. Where the data name no items: nothing."""
    before, count = np.full(len(responses), -1, np.int64), np.zeros(len(responses), np.int64)
    held: dict[int, tuple[int, int]] = {}
    owner = -1
    for at, (learner, item) in enumerate(zip(responses.learner.tolist(), responses.item.tolist(), strict=True)):
        if learner != owner:
            owner = learner
            held.clear()
        if item == NO_ITEM:
            continue
        known = held.pop(item, None)
        if known is not None:
            before[at], count[at] = known
        elif len(held) == MAX_ITEMS:
            del held[next(iter(held))]
        held[item] = at, min(MAX_COUNT, int(count[at]) + 1)
    return Memory(before, count)
