"""What pathing reads of its own tables."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from services.pathing.queries.views import (
    GoalView,
    OptionView,
    PaceView,
    PastPath,
    PastPathView,
    PathView,
    StepView,
    WhatIfView,
    activities_in,
    goal_views,
    pace_view,
    past_path_view,
    path_view,
    what_if_view,
)
from shared.contracts.envelope import Header
from shared.contracts.pathing import Pace, PathPlanned
from shared.ledger.patience import connected

PATH: Final = """
    SELECT l.learner_id, l.school_id, l.grade, p.steps, p.pace, p.minutes_needed, p.due, p.planned_at, p.settings, p.version
    FROM learner l LEFT JOIN path p USING (learner_id) WHERE l.learner_id = %s"""
PAST: Final = """
    SELECT p.bytes AS path, f.bytes AS fact FROM event p JOIN event f ON f.stream = p.stream AND f.version = p.version - 1
    WHERE p.stream = %s AND p.version < %s AND p.type = %s ORDER BY p.version DESC LIMIT %s"""
"""The fact that led to a path is the event before it: an answer begins with its fact."""
GOALS: Final = """
    SELECT l.grade, g.author_id, g.role, g.set_at, g.goals FROM learner l LEFT JOIN goals g USING (learner_id) WHERE l.learner_id = %s"""
OF_SCHOOL: Final = "FROM learner l JOIN path p USING (learner_id) WHERE l.school_id = %s AND l.active"
COUNTS: Final = f"SELECT p.pace, count(*) {OF_SCHOOL} GROUP BY p.pace"
PACE: Final = f"""
    SELECT l.learner_id, p.pace, p.minutes_needed, p.due {OF_SCHOOL} AND p.pace = %s AND l.learner_id > %s ORDER BY l.learner_id LIMIT %s"""


class Queries:
    """Reads of pathing. Rows are mappings, which the views are made of together with the parameters in force."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def path_of(self, learner_id: UUID) -> dict[str, Any] | None:
        """Return the learner with her path, whose columns are null before the first; None where she is unknown."""
        return next(iter(await self._rows(PATH, learner_id)), None)

    async def paths_before(self, learner_id: UUID, version: int, most: int) -> list[PastPath]:
        """Return the paths below a version of the learner's stream, the latest first, each with the fact that led to it."""
        rows = await self._rows(PAST, f"pathing/learner/{learner_id}", version, PathPlanned.TYPE, most)
        return [(Header.read(bytes(row["path"])).decode(PathPlanned), Header.read(bytes(row["fact"]))) for row in rows]

    async def goals_of(self, learner_id: UUID) -> dict[str, Any] | None:
        """Return the learner's grade and the goals that were set; None where she is unknown."""
        return next(iter(await self._rows(GOALS, learner_id)), None)

    async def paces_of(self, school_id: UUID) -> dict[Pace, int]:
        """Return how many enrolled learners of a school stand how."""
        return {Pace(row["pace"]): row["count"] for row in await self._rows(COUNTS, school_id)}

    async def learners_at(self, school_id: UUID, pace: Pace, after: UUID, most: int) -> list[dict[str, Any]]:
        """Return the enrolled learners of a school who stand so, behind an id, in order of id."""
        return await self._rows(PACE, school_id, pace.value, after, most)

    async def _rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        async with connected(self._pool) as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, values)
            rows: list[dict[str, Any]] = await cursor.fetchall()
            return rows


__all__ = [
    "GoalView",
    "OptionView",
    "PaceView",
    "PastPathView",
    "PathView",
    "Queries",
    "StepView",
    "WhatIfView",
    "activities_in",
    "goal_views",
    "pace_view",
    "past_path_view",
    "path_view",
    "what_if_view",
]
