"""What the record says of learners, for comparing groups; read in parts, so that nothing else waits long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from services.mastery.equity import Facts, facts_of
from services.mastery.inputs import Inputs
from services.mastery.queries.reading import Queries
from shared.contracts.mastery import Level
from shared.ledger.types import Row

AT_ONCE: Final = 50
"""Learners read in one statement."""


async def facts_of_learners(queries: Queries, learners: Sequence[UUID], inputs: Inputs) -> dict[UUID, Facts]:
    """Return the facts of those learners of whom the record says anything."""
    found: dict[UUID, Facts] = {}
    for start in range(0, len(learners), AT_ONCE):
        some = learners[start : start + AT_ONCE]
        told, levels = await queries.told_of(some)
        found |= await asyncio.to_thread(_summed, told, levels, inputs)
    return found


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
