"""Reads the tables of pathing. Rows are mappings, of which `views` makes what is shown, by what is in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.pathing.queries.views import PastPath
from shared.contracts.envelope import Header
from shared.contracts.pathing import Pace, PathPlanned
from shared.ledger.tables import Tables
from shared.ledger.types import Row

PATH: Final = """
    SELECT l.learner_id, l.school_id, l.grade, l.active, p.steps, p.pace, p.minutes_needed, p.due, p.due_subject, p.due_minutes,
        p.planned_at, p.settings, p.version
    FROM learner l LEFT JOIN path p USING (learner_id) WHERE l.learner_id = %s"""
PAST: Final = """
    SELECT p.bytes AS path, f.bytes AS fact FROM event p JOIN event f ON f.stream = p.stream AND f.version = p.version - 1
    WHERE p.stream = %s AND p.version < %s AND p.type = %s ORDER BY p.version DESC LIMIT %s"""
"""The fact that led to a path is the event before it: an answer begins with its fact."""
GOALS: Final = """
    SELECT l.grade, g.author_id, g.role, g.set_at, g.goals FROM learner l LEFT JOIN goals g USING (learner_id) WHERE l.learner_id = %s"""
OF_SCHOOL: Final = "FROM learner l JOIN path p USING (learner_id) WHERE l.school_id = %s AND l.active"
HEARD_SCHOOL: Final = "SELECT 1 AS heard FROM learner WHERE school_id = %s LIMIT 1"
COUNTS: Final = f"SELECT p.pace, count(*) {OF_SCHOOL} GROUP BY p.pace"
PACE: Final = f"""
    SELECT l.learner_id, p.pace, p.minutes_needed, p.due, p.due_subject, p.due_minutes {OF_SCHOOL} AND p.pace = %s AND l.learner_id > %s
    ORDER BY l.learner_id LIMIT %s"""


class Queries(Tables):
    """Answers from the read tables of pathing, and from its ledger."""

    async def path_of(self, learner_id: UUID) -> Row | None:
        """Return the learner with her path, whose columns are null before the first; None where she is unknown."""
        return await self.row(PATH, [learner_id])

    async def paths_of(self, learner_id: UUID, before: int, most: int) -> list[PastPath]:
        """Return the paths from below this version of the learner's stream, the latest first, each with the fact that led to it."""
        rows = await self.rows(PAST, [f"pathing/learner/{learner_id}", before, PathPlanned.TYPE, most])
        return [(Header.read(bytes(row["path"])).decode(PathPlanned), Header.read(bytes(row["fact"]))) for row in rows]

    async def goals_of(self, learner_id: UUID) -> Row | None:
        """Return the learner's grade and the goals that were set; None where she is unknown."""
        return await self.row(GOALS, [learner_id])

    async def has_heard_of_school(self, school_id: UUID) -> bool:
        """Return whether anybody belongs to a school, or did when a roster named her last."""
        return await self.row(HEARD_SCHOOL, [school_id]) is not None

    async def paces_of(self, school_id: UUID) -> dict[Pace, int]:
        """Return how many enrolled learners of a school stand how."""
        return {Pace(row["pace"]): row["count"] for row in await self.rows(COUNTS, [school_id])}

    async def learners_at(self, school_id: UUID, pace: Pace, after: UUID, most: int) -> Sequence[Row]:
        """Return the enrolled learners of a school who stand so, from behind this id, in order of id."""
        return await self.rows(PACE, [school_id, pace.value, after, most])
