"""What the record says of learners, for comparing groups; read in parts, so that nothing else waits long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any, Final
from uuid import UUID

from services.mastery.equity import Facts, facts_of
from services.mastery.inputs import Inputs, inputs_of
from services.mastery.queries.reading import Queries
from shared.contracts.mastery import Level
from shared.errors import Overloaded, Underway
from shared.ledger.types import Row
from shared.parameters import Parameters

AT_ONCE: Final = 50
"""Learners read in one statement,"""
MAX_EVENTS: Final = 20_000
"""and events of their streams, unless it is one learner."""
MAX_KEPT: Final = 50_000
"""Learners whose facts are kept in memory; the largest district has as many."""
RETRY_AFTER_S: Final = 10


@dataclass(frozen=True, slots=True)
class _Kept:
    """The facts of a learner as they follow from so much of her stream, with what was in force; None where it says nothing."""

    version: int
    settings: int
    facts: Facts | None


class Gatherer:
    """What the record says of learners. To read a district's takes minutes, so that of each learner is kept until something changes it, and
    it is read for one question at a time."""

    def __init__(self, queries: Queries) -> None:
        self._queries, self._kept, self._busy = queries, dict[UUID, _Kept](), False

    async def facts_of(self, learners: Sequence[UUID], parameters: Parameters, goes_on: Callable[[], Awaitable[bool]]) -> dict[UUID, Facts]:
        """Return the facts of those learners of whom the record says anything.

        Args:
            goes_on: asked behind each part whether somebody waits for the others.

        Raises:
            Overloaded: it is done for somebody else.
            Underway: nobody waits any longer; the same question goes on where this one ended.
        """
        if self._busy:
            raise Overloaded("the comparison of groups, which is made for one at a time,", RETRY_AFTER_S)
        self._busy = True
        try:
            return await self._gathered(learners, parameters, goes_on)
        finally:
            self._busy = False

    async def _gathered(
        self, learners: Sequence[UUID], parameters: Parameters, goes_on: Callable[[], Awaitable[bool]]
    ) -> dict[UUID, Facts]:  # fmt: skip
        inputs, versions = inputs_of(parameters), await self._queries.versions_of(learners)
        wanted = {learner: (versions[learner], parameters.version) for learner in learners if learner in versions}
        missing = [learner for learner, state in wanted.items() if not self._is_kept(learner, state)]
        found = {learner: self._kept[learner].facts for learner in wanted.keys() - set(missing)}
        for learner in found:  # What was asked for last is let go of last.
            self._kept[learner] = self._kept.pop(learner)
        while missing:
            some = _part(missing, versions)
            told, levels = await self._queries.told_of(some)
            facts = await asyncio.to_thread(_summed, told, levels, inputs)
            for learner in some:
                found[learner] = facts.get(learner)
                self._kept[learner] = _Kept(*wanted[learner], found[learner])
            while len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            missing = missing[len(some) :]
            if missing and not await goes_on():
                raise Underway(f"the record of {len(found):,} of {len(wanted):,} learners is gone through")
        return {learner: each for learner, each in found.items() if each is not None}

    def _is_kept(self, learner: UUID, state: tuple[int, int]) -> bool:
        kept = self._kept.get(learner)
        return kept is not None and (kept.version, kept.settings) == state


def _part(learners: Sequence[UUID], versions: Mapping[UUID, int]) -> Sequence[UUID]:
    """Return the first of these learners whose events are read at once."""
    totals = accumulate(versions[learner] for learner in learners[:AT_ONCE])
    return learners[: max(1, sum(total <= MAX_EVENTS for total in totals))]


def _summed(told: Sequence[Row], levels: Sequence[Row], inputs: Inputs) -> dict[UUID, Facts]:
    by_learner: dict[UUID, dict[Level, int]] = {}
    for row in levels:
        by_learner.setdefault(row["learner_id"], {})[Level(row["level"])] = row["many"]
    return {
        learner: facts_of(raws, by_learner.get(learner, {}), inputs) for learner, raws in _by_learner(told)
    }  # fmt: skip


def _by_learner(told: Sequence[Mapping[str, Any]]) -> Iterator[tuple[UUID, list[bytes]]]:
    for stream, rows in groupby(told, key=lambda row: row["stream"]):
        yield UUID(stream.rsplit("/", 1)[-1]), [bytes(row["bytes"]) for row in rows]
