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

_ENDING: Final = "SELECT learner_id, competency_id FROM override WHERE NOT ended AND until <= %s ORDER BY until LIMIT %s"
_COUNT: Final = f"""{UNNAMED}
    SELECT coalesce(sum(many), 0)::bigint FROM unnamed u CROSS JOIN LATERAL (
        SELECT count(*) AS many FROM deferred WHERE md5(competency_ids::text)::uuid = u.hash AND competency_ids <> '[]') found"""  # noqa: S608 - our own words


async def overrides_that_end(connection: Connection, now: datetime) -> Sequence[tuple[UUID, str]]:
    """Return learner and competency of the overrides whose time has come, the earliest first, at most 500."""
    return await (await connection.execute(_ENDING.encode(), [now, MAX_ENDING])).fetchall()


async def deferred_now(connection: Connection) -> int:
    """Return how many pieces of evidence wait."""
    ((count,),) = await (await connection.execute(_COUNT.encode())).fetchall()
    return int(count)
