"""Reads the tables of scheduling."""

from __future__ import annotations

from asyncio import Lock, to_thread
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from psycopg_pool import AsyncConnectionPool
from pydantic import TypeAdapter

from services.scheduling.explain import SchoolDay
from services.scheduling.hours import last_moment
from services.scheduling.limits import MAX_LEARNERS, room_of
from services.scheduling.queries.due import ASKS, ENTRY, REMEMBERED_DAYS
from services.scheduling.queries.kept import Kept, PlanRow, Seen
from services.scheduling.queries.views import ChangeView
from services.scheduling.resources import adults, closed_before, of_day
from shared.contracts.scheduling import Demand, Placement, SchoolResources, StaffMember, Status, Use
from shared.ledger.tables import Tables
from shared.ledger.types import Row

_PLACEMENTS: Final = TypeAdapter(dict[UUID, tuple[Placement, ...]])
_DEMANDS: Final = TypeAdapter(list[Demand])
_STAFF: Final = TypeAdapter(list[StaffMember])

_SCHOOL_OF: Final = "SELECT school_id FROM demand WHERE learner_id = %(learner)s ORDER BY demand_version DESC LIMIT 1"
_SCHOOL_ON: Final = f"""
    SELECT school_id FROM learner_day WHERE learner_id = %(learner)s AND day = %(day)s
    ORDER BY jsonb_path_exists(placements, '$[*].use') DESC, school_id = ({_SCHOOL_OF}) DESC, changed_at DESC LIMIT 1
"""  # noqa: S608 - our own words
"""The school that had a place for her on a day; of two, the one where she is now."""
_LEARNER_DAY: Final = "SELECT demand_version, changed_at FROM learner_day WHERE school_id = %s AND day = %s AND learner_id = %s"
_VERSION: Final = "SELECT head.version FROM day_head AS head JOIN day_plan USING (school_id, day) WHERE school_id = %s AND day = %s"
_SAME: Final = "one.school_id = head.school_id AND one.day = head.day"
_SEEN: Final = f"""
    SELECT head.version, resources, status, solver, value, bound, adopted_at,
        (SELECT coalesce(jsonb_object_agg(learner_id, placements), '{{}}')::text FROM learner_day AS one WHERE {_SAME}) AS days,
        (SELECT coalesce(jsonb_agg(demand), '[]')::text FROM day_demand AS one WHERE {_SAME}) AS demands,
        (SELECT staff::text FROM day_staff AS one WHERE {_SAME}) AS staff
    FROM day_head AS head JOIN day_plan USING (school_id, day) WHERE head.school_id = %s AND head.day = %s
"""  # noqa: S608 - our own words
_FULL: Final = f"""
    FROM demand WHERE school_id = %(school)s AND noted_at <= %(until)s AND {ASKS}
        AND %(most)s <= (SELECT count(*) FROM day_demand AS taken WHERE taken.school_id = %(school)s AND taken.day = %(day)s)
        AND NOT EXISTS (SELECT FROM day_demand AS had WHERE had.learner_id = demand.learner_id
            AND had.school_id = %(school)s AND had.day = %(day)s)
"""  # noqa: S608 - our own words
"""The learners whom a day could not take until it was over, because it was full."""
_LEFT_OUT: Final = f"SELECT count(*) {_FULL}"
_PLANNED_WITH: Final = "SELECT resources FROM day_plan WHERE school_id = %s AND day = %s"
_PRESENT: Final = f"SELECT school_id, count(*) FROM demand WHERE school_id = ANY(%s) AND {ASKS} GROUP BY school_id"  # noqa: S608 - our own words
_ROSTERS: Final = """
    SELECT school_id, array_agg(staff_id) AS staff FROM staff WHERE school_id = ANY(%s) AND active GROUP BY school_id
"""
_UNKNOWN_SUBJECTS: Final = """
    SELECT school_id, subject FROM unnest(%s::uuid[], %s::text[]) AS told(school_id, subject)
    WHERE EXISTS (SELECT FROM demand WHERE demand.school_id = told.school_id AND demand ? 'needs') AND NOT EXISTS (
        SELECT FROM demand WHERE demand.school_id = told.school_id
            AND demand->'needs' @> jsonb_build_array(jsonb_build_object('subject', subject)))
"""
_UNKNOWN_STAFF: Final = """
    SELECT told.school_id, told.staff_id FROM unnest(%s::uuid[], %s::uuid[]) AS told(school_id, staff_id)
    LEFT JOIN staff USING (school_id, staff_id) WHERE active IS NOT TRUE
"""
_TALKED: Final = f"""
    SELECT max(earlier.day) FROM learner_day AS earlier
    WHERE earlier.school_id = %(school)s AND earlier.day < %(day)s AND earlier.day >= %(day)s::date - {REMEMBERED_DAYS}
        AND earlier.day <> ALL(%(closed)s::date[]) AND earlier.learner_id = lacking.learner_id
        AND earlier.placements @> '[{{"use": "check-in"}}]'
"""  # noqa: S608 - our own words
"""The last day on which an adult talked with her, as far as searches look back."""
_LAST_TALK: Final = f"SELECT ({_TALKED}) AS talked FROM (SELECT %(learner)s::uuid AS learner_id) AS lacking"  # noqa: S608 - our own words
_LACKING: Final = f"""
    WITH told AS (
        SELECT learner_day.learner_id, placements, demand FROM learner_day JOIN day_demand USING (school_id, day, learner_id)
        WHERE school_id = %(school)s AND day = %(day)s
    ), lacking AS (
        SELECT learner_id, number, one->>'period_id' AS period_id, CASE WHEN one->>'use' IS NULL THEN 'place' ELSE 'activity' END AS lacking
        FROM told CROSS JOIN LATERAL jsonb_array_elements(placements) WITH ORDINALITY AS placed(one, number)
        WHERE {ASKS} AND (one->>'use' IS NULL AND NOT one ? 'begun'
            OR demand ? 'needs' AND one->>'use' = 'independent' AND NOT one ? 'competency_id')
        UNION ALL
        SELECT learner_id, -1, '', 'path' FROM told WHERE demand ? 'path_empty'
        UNION ALL
        SELECT learner_id, 0, '', 'check-in' FROM told
        WHERE demand ? 'check_in' AND NOT placements @> '[{{"use": "check-in"}}]'
        UNION ALL
        SELECT learner_id, 0, '', 'day' {_FULL}
    )
    SELECT learner_id, number, period_id, lacking, CASE WHEN lacking = 'check-in' THEN ({_TALKED}) END AS talked FROM lacking
    WHERE (learner_id, number) > (%(learner)s::uuid, %(number)s::bigint) ORDER BY learner_id, number LIMIT %(limit)s
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
    talked: date | None
    """Of a talk: the day of the last one."""

    @property
    def is_talk(self) -> bool:
        """Whether it is a talk."""
        return self.lacking == Use.CHECK_IN


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

    async def school_of(self, learner: UUID, on: date | None = None) -> UUID | None:
        """Return the school that had a place for this learner on a day; else the one that last noted a demand of hers."""
        asked = {"learner": learner, "day": on}
        row = await self.row(_SCHOOL_ON, asked) if on else None
        row = row or await self.row(_SCHOOL_OF, asked)
        return None if row is None else row["school_id"]

    async def learner_day(self, school: UUID, on: date, learner: UUID) -> tuple[int, datetime] | None:
        """Return the demand version and the time of the last change of a learner's day."""
        row = await self.row(_LEARNER_DAY, [school, on, learner])
        return None if row is None else (row["demand_version"], row["changed_at"])

    async def seen(self, school: UUID, on: date) -> Seen | None:
        """Return everybody's day, with the resources that it was planned with, or None where no plan was adopted."""
        head = await self.row(_VERSION, [school, on])
        if head is None:
            return None
        kept = self._kept.get(school, on, head["version"])
        if kept is not None:
            return kept
        async with self._reading:  # Who asks for the same day meanwhile waits for it, and does not read it again.
            kept = self._kept.get(school, on, head["version"])
            if kept is None:
                (row,) = await self.rows(_SEEN, [school, on])
                resources = await self._entry(school, row["resources"])
                if resources is None:
                    return None
                kept = await to_thread(_seen, resources, on, row)
                self._kept.put(on, kept)
            return kept

    async def planned_with(self, school: UUID, on: date) -> SchoolResources | None:
        """Return what a day was planned with, or None where no plan was adopted."""
        row = await self.row(_PLANNED_WITH, [school, on])
        return None if row is None else await self._entry(school, row["resources"])

    async def _entry(self, school: UUID, resources: str) -> SchoolResources | None:
        row = await self.row(ENTRY, {"resources": resources, "school": str(school)})
        return None if row is None else SchoolResources.model_validate_json(row["school"])

    async def left_out(self, seen: Seen, on: date) -> int:
        """Return how many learners a full day could not take."""
        (row,) = await self.rows(_LEFT_OUT, _of_day(seen.day.school, on, seen))
        return int(row["count"])

    async def lacking(self, school: SchoolResources, on: date, after: tuple[UUID, int], most: int) -> list[LackingRow]:
        """Return what learners asked of a day and did not get, in order of learner and period."""
        behind = {"learner": after[0], "number": after[1], "limit": most, "closed": list(remembered_closed(school, on))}
        return await self.all(LackingRow, _LACKING, _of_day(school, on, await self.seen(school.school_id, on)) | behind)

    async def last_talk(self, school: SchoolResources, on: date, learner: UUID) -> date | None:
        """Return the last day on which an adult talked with a learner, as far back as searches look before a day."""
        asked = {"school": school.school_id, "day": on, "learner": learner, "closed": list(remembered_closed(school, on))}
        (row,) = await self.rows(_LAST_TALK, asked)
        talked: date | None = row["talked"]
        return talked

    async def present(self, schools: Sequence[UUID]) -> dict[UUID, int]:
        """Return how many learners of these schools ask for something; a school where nobody does is left out."""
        return {row["school_id"]: int(row["count"]) for row in await self.rows(_PRESENT, [list(schools)])}

    async def rosters(self, schools: Sequence[UUID]) -> dict[UUID, frozenset[UUID]]:
        """Return the adults whom the roster has at these schools."""
        return {row["school_id"]: frozenset(row["staff"]) for row in await self.rows(_ROSTERS, [list(schools)])}

    async def unknown_subjects(self, told: Iterable[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
        """Return those of these schools' subjects that no demand of the school names; none of a school that has no demands yet."""
        return [(row["school_id"], row["subject"]) for row in await self._of_schools(_UNKNOWN_SUBJECTS, told)]

    async def unknown_staff(self, told: Iterable[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
        """Return those of these schools' adults whom the roster does not have there."""
        return [(row["school_id"], row["staff_id"]) for row in await self._of_schools(_UNKNOWN_STAFF, told)]

    async def _of_schools(self, statement: str, told: Iterable[tuple[UUID, Any]]) -> Sequence[Row]:
        schools, values = zip(*told, strict=True) if (told := sorted(set(told))) else ((), ())
        return await self.rows(statement, [list(schools), list(values)])

    async def changes(self, school: UUID, on: date, before: int, most: int) -> list[ChangeRow]:
        """Return whose day became another one, the latest first."""
        return await self.all(ChangeRow, _CHANGES, {"school": school, "day": on, "before": before, "most": most})


def remembered_closed(school: SchoolResources, on: date) -> tuple[date, ...]:
    """Return the days without school of those that searches look back at before a day."""
    return closed_before(school, on, REMEMBERED_DAYS)


def _of_day(school: SchoolResources, on: date, seen: Seen | None) -> dict[str, Any]:
    room = MAX_LEARNERS if seen is None else room_of(seen.day.school, len(seen.day.staff))
    return {"school": school.school_id, "day": on, "until": last_moment(school, on), "most": room}


def _seen(resources: SchoolResources, on: date, row: Row) -> Seen:
    school = of_day(resources, on)
    demands = {demand.learner_id: demand for demand in _DEMANDS.validate_json(row["demands"])}
    roster = _STAFF.validate_json(row["staff"] or "[]")
    day = SchoolDay(
        school, adults(school, roster), demands, _PLACEMENTS.validate_json(row["days"]), roster, row["status"] == Status.REPAIRED
    )
    plan = PlanRow(row["status"], row["solver"], row["value"], row["bound"], row["adopted_at"])
    return Seen(row["version"], day, plan, {space.id: space.title for space in resources.spaces})
