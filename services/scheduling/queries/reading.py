"""Reads the tables of scheduling."""

from __future__ import annotations

from asyncio import Lock, to_thread
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from psycopg_pool import AsyncConnectionPool
from pydantic import TypeAdapter

from services.scheduling.explain import SchoolDay
from services.scheduling.hours import last_moment
from services.scheduling.limits import MAX_LEARNERS
from services.scheduling.queries.due import ASKS
from services.scheduling.queries.kept import Kept, PlanRow, Seen
from services.scheduling.queries.views import ChangeView, UnservedView
from services.scheduling.resources import adults
from shared.contracts.scheduling import Demand, Placement, SchoolResources, StaffMember
from shared.ledger.tables import Tables
from shared.ledger.types import Row

_PLACEMENTS: Final = TypeAdapter(dict[UUID, tuple[Placement, ...]])
_DEMANDS: Final = TypeAdapter(list[Demand])
_STAFF: Final = TypeAdapter(list[StaffMember])

_SCHOOL_OF: Final = "SELECT school_id FROM demand WHERE learner_id = %s ORDER BY demand_version DESC LIMIT 1"
_LEARNER_DAY: Final = "SELECT demand_version, changed_at FROM learner_day WHERE school_id = %s AND day = %s AND learner_id = %s"
_VERSION: Final = "SELECT head.version FROM day_head AS head JOIN day_plan USING (school_id, day) WHERE school_id = %s AND day = %s"
_SAME: Final = "one.school_id = head.school_id AND one.day = head.day"
_SEEN: Final = f"""
    SELECT head.version, status, solver, value, bound, adopted_at,
        (SELECT coalesce(jsonb_object_agg(learner_id, placements), '{{}}')::text FROM learner_day AS one WHERE {_SAME}) AS days,
        (SELECT coalesce(jsonb_agg(demand), '[]')::text FROM day_demand AS one WHERE {_SAME}) AS demands,
        (SELECT staff::text FROM day_staff AS one WHERE {_SAME}) AS staff
    FROM day_head AS head JOIN day_plan USING (school_id, day) WHERE head.school_id = %s AND head.day = %s
"""  # noqa: S608 - our own words
_FULL: Final = f"""
    FROM demand WHERE school_id = %(school)s AND noted_at <= %(until)s AND {ASKS}
        AND {MAX_LEARNERS} <= (SELECT count(*) FROM day_demand AS taken WHERE taken.school_id = %(school)s AND taken.day = %(day)s)
        AND NOT EXISTS (SELECT FROM day_demand AS had WHERE had.learner_id = demand.learner_id
            AND had.school_id = %(school)s AND had.day = %(day)s)
"""  # noqa: S608 - our own words
"""The learners whom a day could not take until it was over, because it was full."""
_LEFT_OUT: Final = f"SELECT count(*) {_FULL}"
_LACKING: Final = f"""
    WITH told AS (
        SELECT learner_day.learner_id, placements, demand FROM learner_day JOIN day_demand USING (school_id, day, learner_id)
        WHERE school_id = %(school)s AND day = %(day)s
    ), lacking AS (
        SELECT learner_id, number, one->>'period_id' AS period_id, CASE WHEN one->>'use' IS NULL THEN 'place' ELSE 'activity' END AS lacking
        FROM told CROSS JOIN LATERAL jsonb_array_elements(placements) WITH ORDINALITY AS placed(one, number)
        WHERE demand ? 'needs' AND (one->>'use' IS NULL OR one->>'use' = 'independent' AND NOT one ? 'competency_id')
        UNION ALL
        SELECT learner_id, 0, '', 'check-in' FROM told
        WHERE demand ? 'check_in' AND NOT placements @> '[{{"use": "check-in"}}]'
        UNION ALL
        SELECT learner_id, 0, '', 'day' {_FULL}
    )
    SELECT learner_id, number, period_id, lacking FROM lacking
    WHERE (learner_id, number) > (%(learner)s::uuid, %(number)s::bigint) ORDER BY learner_id, number LIMIT %(most)s
"""  # noqa: S608 - our own words
_CHANGES: Final = """
    SELECT new.version, new.learner_id, new.changed_at, new.demand_version,
        new.demand_version > coalesce((
            SELECT old.demand_version FROM placement_change AS old
            WHERE old.school_id = new.school_id AND old.day = new.day AND old.learner_id = new.learner_id AND old.version < new.version
            ORDER BY old.version DESC LIMIT 1
        ), 0) AS own,
        demand.event_id AS demand_event, new.event_id, new.causation, new.correlation
    FROM placement_change AS new
    LEFT JOIN demand USING (school_id, learner_id, demand_version)
    WHERE new.school_id = %(school)s AND new.day = %(day)s AND new.version < %(before)s
    ORDER BY new.version DESC LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class LackingRow:
    """What a learner did not get, and its place in the list."""

    learner_id: UUID
    number: int
    period_id: str
    lacking: str

    def view(self) -> UnservedView:
        """Return it as it is shown."""
        return UnservedView(learner_id=self.learner_id, period_id=self.period_id, lacking=self.lacking)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change of a learner's day, and its place in the list."""

    version: int
    learner_id: UUID
    changed_at: datetime
    demand_version: int
    own: bool
    demand_event: UUID | None
    event_id: UUID
    causation: UUID
    correlation: UUID

    def view(self) -> ChangeView:
        """Return it as it is shown."""
        return ChangeView(
            learner_id=self.learner_id, changed_at=self.changed_at, demand_version=self.demand_version, own=self.own,
            demand_event=self.demand_event, event_id=self.event_id, causation=self.causation, correlation=self.correlation,
        )  # fmt: skip


class Queries(Tables):
    """Answers from the read tables of scheduling. Days that were asked for last are kept."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        super().__init__(pool)
        self._kept, self._reading = Kept(), Lock()

    async def school_of(self, learner: UUID) -> UUID | None:
        """Return the school that last noted a demand of this learner."""
        row = await self.row(_SCHOOL_OF, [learner])
        return None if row is None else row["school_id"]

    async def learner_day(self, school: UUID, on: date, learner: UUID) -> tuple[int, datetime] | None:
        """Return the demand version and the time of the last change of a learner's day."""
        row = await self.row(_LEARNER_DAY, [school, on, learner])
        return None if row is None else (row["demand_version"], row["changed_at"])

    async def seen(self, resources: SchoolResources, on: date) -> Seen | None:
        """Return everybody's day, or None where no plan was adopted."""
        place = [resources.school_id, on]
        head = await self.row(_VERSION, place)
        if head is None:
            return None
        kept = self._kept.get(resources, on, head["version"])
        if kept is not None:
            return kept
        async with self._reading:  # Who asks for the same day meanwhile waits for it, and does not read it again.
            kept = self._kept.get(resources, on, head["version"])
            if kept is None:
                (row,) = await self.rows(_SEEN, place)
                kept = await to_thread(_seen, resources, row)
                self._kept.put(on, kept)
            return kept

    async def left_out(self, school: SchoolResources, on: date) -> int:
        """Return how many learners a full day could not take."""
        (row,) = await self.rows(_LEFT_OUT, {"school": school.school_id, "day": on, "until": last_moment(school, on)})
        return int(row["count"])

    async def lacking(self, school: SchoolResources, on: date, after: tuple[UUID, int], most: int) -> list[LackingRow]:
        """Return what learners asked of a day and did not get, in order of learner and period."""
        place = {"school": school.school_id, "day": on, "until": last_moment(school, on)}
        return await self.all(LackingRow, _LACKING, place | {"learner": after[0], "number": after[1], "most": most})

    async def changes(self, school: UUID, on: date, before: int, most: int) -> list[ChangeRow]:
        """Return whose day became another one, the latest first."""
        return await self.all(ChangeRow, _CHANGES, {"school": school, "day": on, "before": before, "most": most})


def _seen(resources: SchoolResources, row: Row) -> Seen:
    demands = {demand.learner_id: demand for demand in _DEMANDS.validate_json(row["demands"])}
    staff = adults(resources, _STAFF.validate_json(row["staff"] or "[]"))
    day = SchoolDay(resources, staff, demands, _PLACEMENTS.validate_json(row["days"]))
    return Seen(row["version"], day, PlanRow(row["status"], row["solver"], row["value"], row["bound"], row["adopted_at"]))
