"""What people set for a learner: levels and waivers, with author and reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from services.mastery.queries.reading import read
from shared.contracts.envelope import Sealed
from shared.contracts.mastery import Author, Level, Reason
from shared.ledger.types import Connection

MAX_ENDING: Final = 500
"""Overrides ended in one transaction."""

_OVERRIDES: Final = """
    SELECT o.competency_id, o.level, o.until, o.author_id, o.role, o.reason, o.words, o.at FROM override o
    LEFT JOIN override_end e USING (learner_id, competency_id)
    WHERE o.learner_id = %s AND (e.version IS NULL OR e.version < o.version) ORDER BY o.competency_id
"""
_WAIVERS: Final = """
    SELECT competency_id, prerequisite_id, author_id, role, reason, words, at FROM waiver
    WHERE learner_id = %s AND waived ORDER BY competency_id, prerequisite_id
"""
_ENDING: Final = """
    SELECT o.learner_id, o.competency_id FROM override o LEFT JOIN override_end e USING (learner_id, competency_id)
    WHERE o.until <= %s AND (e.version IS NULL OR e.version < o.version) ORDER BY o.until LIMIT %s
"""


class Judged(BaseModel):
    """Who decided, why and when."""

    competency_id: str
    author_id: UUID
    role: Author
    reason: Reason
    words: Sealed | None = Field(description="The reason in the author's own words, sealed under the learner's key.")
    at: datetime


class OverrideView(Judged):
    """A level that a person set."""

    level: Level
    until: datetime


class WaiverView(Judged):
    """A prerequisite that a person waived."""

    prerequisite_id: str


async def overrides_of(pool: AsyncConnectionPool[Any], learner_id: UUID) -> list[OverrideView]:
    """Return the levels that people set and that are in force, in the order of their competencies' ids."""
    return [OverrideView(**row) for row in await read(pool, _OVERRIDES, [learner_id])]


async def waivers_of(pool: AsyncConnectionPool[Any], learner_id: UUID) -> list[WaiverView]:
    """Return the prerequisites that people waived, in the order of their competencies' ids."""
    return [WaiverView(**row) for row in await read(pool, _WAIVERS, [learner_id])]


async def overrides_that_end(connection: Connection, now: datetime) -> Sequence[tuple[UUID, str]]:
    """Return learner and competency of the overrides whose time has come, the earliest first, at most 500."""
    return await (await connection.execute(_ENDING.encode(), [now, MAX_ENDING])).fetchall()
