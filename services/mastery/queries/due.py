"""What time and what waits ask of the tables, on a connection that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.mastery.queries.reading import UNNAMED
from shared.ledger.types import Connection

MAX_ENDING: Final = 500
"""Overrides ended in one transaction."""

_ENDING: Final = """
    SELECT o.learner_id, o.competency_id FROM override o LEFT JOIN override_end e USING (learner_id, competency_id)
    WHERE o.until <= %s AND (e.version IS NULL OR e.version < o.version) ORDER BY o.until LIMIT %s
"""
_COUNT: Final = f"SELECT count(*) AS count {UNNAMED}"


async def overrides_that_end(connection: Connection, now: datetime) -> Sequence[tuple[UUID, str]]:
    """Return learner and competency of the overrides whose time has come, the earliest first, at most 500."""
    return await (await connection.execute(_ENDING.encode(), [now, MAX_ENDING])).fetchall()


async def deferred_now(connection: Connection) -> int:
    """Return how many pieces of evidence wait."""
    ((count,),) = await (await connection.execute(_COUNT.encode())).fetchall()
    return int(count)
