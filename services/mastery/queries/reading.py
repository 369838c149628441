"""One statement at a time, rows as mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from shared.ledger.patience import connected

Row = Mapping[str, Any]


async def read(pool: AsyncConnectionPool[Any], statement: str, values: Any) -> Sequence[Row]:
    """Return the rows that a statement finds."""
    async with connected(pool) as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        rows: list[dict[str, Any]] = await cursor.fetchall()
        return rows


EVIDENCE_OF = """
    SELECT bytes FROM event WHERE stream = %s
        AND type IN ('mastery.estimated.v1', 'mastery.re-estimated.v1', 'mastery.evidence-deferred.v1') ORDER BY version
"""


async def told_of(pool: AsyncConnectionPool[Any], learner_id: UUID) -> list[bytes]:
    """Return what the ledger holds of a learner's evidence, one event each, in order."""
    return [bytes(row["bytes"]) for row in await read(pool, EVIDENCE_OF, [f"mastery/learner/{learner_id}"])]
