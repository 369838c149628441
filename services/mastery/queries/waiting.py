"""Evidence that counts for nothing yet, because no framework in force names any of its competencies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from services.mastery.queries.reading import read
from shared.ledger.types import Connection

REMEDY: Final = (
    "import the framework that names these competencies, and this evidence counts; where the item's alignment is wrong, void the act, "
    "mend the alignment (PUT /evidence/alignments), and tell the act anew under another id"
)
_UNNAMED: Final = """
    FROM deferred d WHERE competency_ids <> '[]' AND NOT EXISTS (
        SELECT FROM jsonb_array_elements_text(d.competency_ids) named(id) JOIN framework_page f ON f.competency_id = named.id
        WHERE f.page IN (SELECT jsonb_array_elements_text(pages) FROM framework_in_force WHERE kind = 'framework'))
"""
_LIST: Final = f"""
    SELECT evidence_id, learner_id, item_id, competency_ids, occurred_at, deferred_at {_UNNAMED} AND evidence_id > %s
    ORDER BY evidence_id LIMIT %s
"""
_COUNT: Final = f"SELECT count(*) AS count {_UNNAMED}"


class DeferredView(BaseModel):
    """Evidence that waits for a framework."""

    evidence_id: UUID
    learner_id: UUID
    item_id: UUID
    competency_ids: list[str] = Field(description="Ids that no framework in force names.")
    occurred_at: datetime
    deferred_at: datetime
    reason: Literal["unknown-competency"] = "unknown-competency"
    remedy: str = REMEDY


async def deferred_of(pool: AsyncConnectionPool[Any], after: UUID, limit: int) -> Sequence[DeferredView]:
    """Return what waits, in the order of its ids."""
    return [DeferredView(**row) for row in await read(pool, _LIST, [after, limit])]


async def deferred_now(connection: Connection) -> int:
    """Return how many pieces of evidence wait."""
    ((count,),) = await (await connection.execute(_COUNT.encode())).fetchall()
    return int(count)
