"""What is due: demands and adults that a day has not taken yet, and days whose plan does not know all that they took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from services.scheduling.domain import TakeDemands, TakeStaff
from services.scheduling.hours import begun_periods, local_day, open_days
from services.scheduling.limits import MAX_LEARNERS
from services.scheduling.resources import RESOURCES, schools_of
from services.scheduling.search import DaySearch
from shared.contracts.envelope import Origin
from shared.contracts.scheduling import MAX_DEMANDS, Demand, StaffMember
from shared.decider import Command
from shared.ledger.types import Ask, Connection
from shared.parameters import Parameters

MAX_TAKEN: Final = 2_000
"""Demands that are taken at one look."""
MAX_TAKEN_BYTES: Final = 160 * 1024
"""Bytes of demands in one command, so that its event is well below the largest."""
MAX_SEARCHES: Final = 4
"""Days that are searched at one look."""

SchoolDay = tuple[UUID, date]

_OPEN: Final = "unnest(%(schools)s::uuid[], %(days)s::date[]) AS open(school_id, day)"
_NEW_STAFF: Final = f"""
    SELECT open.school_id, open.day, max(staff.version),
        coalesce(jsonb_agg(staff.member ORDER BY staff.staff_id) FILTER (WHERE staff.active), '[]')::text
    FROM {_OPEN} JOIN staff ON staff.school_id = open.school_id
    LEFT JOIN day_staff AS had ON had.school_id = open.school_id AND had.day = open.day
    GROUP BY open.school_id, open.day, had.roster HAVING max(staff.version) > coalesce(had.roster, 0)
    ORDER BY open.school_id, open.day
"""  # noqa: S608 - our own words
_NEW_DEMANDS: Final = f"""
    WITH news AS (
        SELECT open.school_id, open.day, new.learner_id, new.demand, new.event_id, new.correlation, new.noted_at,
            had.demand_version IS NULL AS first
        FROM {_OPEN} JOIN demand AS new ON new.school_id = open.school_id
        LEFT JOIN day_demand AS had ON had.school_id = open.school_id AND had.day = open.day AND had.learner_id = new.learner_id
        WHERE had.demand_version IS NULL OR had.demand_version < new.demand_version
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY school_id, day, first ORDER BY noted_at, learner_id) AS number FROM news
    ), taken AS (
        SELECT school_id, day, count(*) AS learners FROM day_demand
        JOIN (SELECT DISTINCT school_id, day FROM news WHERE first) AS asked USING (school_id, day) GROUP BY school_id, day
    )
    SELECT school_id, day, demand::text, event_id, correlation FROM ranked LEFT JOIN taken USING (school_id, day)
    WHERE NOT first OR number + coalesce(learners, 0) <= {MAX_LEARNERS}
    ORDER BY school_id, day, noted_at, learner_id LIMIT {MAX_TAKEN}
"""  # noqa: S608 - our own words
"""A day that is full takes what is new of its own learners; all others wait, and are listed as unserved."""
_DIRTY: Final = f"""
    SELECT open.school_id, open.day, head.version, plan.version, plan.resources, staff.version, coalesce(staff.staff, '[]')::text,
        input.event_id, input.correlation
    FROM {_OPEN}
    JOIN day_head AS head ON head.school_id = open.school_id AND head.day = open.day
    JOIN day_input AS input ON input.school_id = open.school_id AND input.day = open.day
    LEFT JOIN day_plan AS plan ON plan.school_id = open.school_id AND plan.day = open.day
    LEFT JOIN day_staff AS staff ON staff.school_id = open.school_id AND staff.day = open.day
    WHERE (plan.version IS NULL OR input.version > plan.version OR plan.resources <> %(resources)s)
        AND (staff.staff <> '[]' OR open.school_id = ANY(%(staffed)s::uuid[]))
        AND EXISTS (SELECT FROM day_demand AS one WHERE one.school_id = open.school_id AND one.day = open.day)
    ORDER BY open.day, open.school_id LIMIT {MAX_SEARCHES}
"""  # noqa: S608 - our own words
_DEMANDS: Final = """
    SELECT coalesce(jsonb_agg(demand ORDER BY learner_id), '[]')::text,
        array_agg(learner_id ORDER BY learner_id) FILTER (WHERE version > %s)
    FROM day_demand WHERE school_id = %s AND day = %s
"""
_DAYS: Final = "SELECT coalesce(jsonb_object_agg(learner_id, placements), '{}')::text FROM learner_day WHERE school_id = %s AND day = %s"
_HEADS: Final = f"SELECT head.school_id, head.day, head.version FROM {_OPEN} JOIN day_head AS head USING (school_id, day)"  # noqa: S608 - our own words

_STAFF_LIST: Final = TypeAdapter(list[StaffMember])


def _open_days(parameters: Parameters, now: datetime) -> dict[str, Any]:
    pairs = [(school_id, day) for school_id, school in schools_of(parameters).items() for day in open_days(school, now)]
    return {"schools": [school_id for school_id, _ in pairs], "days": [day for _, day in pairs]}


async def due_takes(
    connection: Connection, parameters: Parameters, now: datetime, searched: dict[SchoolDay, int]
) -> Sequence[Command | Ask]:
    """Return the commands that bring new adults and demands to the days that are planned now; demands say what led to them.

    Args:
        searched: days of which a search is under way, and the version it started from. They take nothing until it is over, so that its
            answer does not come too late.
    """
    pairs = _open_days(parameters, now)
    if not pairs["schools"]:
        return []
    heads = await (await connection.execute(_HEADS, pairs)).fetchall()
    held = {(school_id, day) for school_id, day, version in heads if searched.get((school_id, day)) == version}
    free = [pair for pair in zip(pairs["schools"], pairs["days"], strict=True) if pair not in held]
    pairs = {"schools": [school_id for school_id, _ in free], "days": [day for _, day in free]}
    todays = {school_id: local_day(school, now) for school_id, school in schools_of(parameters).items()}
    staffed = await (await connection.execute(_NEW_STAFF, pairs)).fetchall()
    takes: list[Command | Ask] = [
        TakeStaff(school_id, day, todays[school_id], roster, tuple(_STAFF_LIST.validate_json(members)))
        for school_id, day, roster, members in staffed
    ]
    rows = await (await connection.execute(_NEW_DEMANDS, pairs)).fetchall()
    for (school_id, day), of_day in groupby(rows, key=lambda row: (row[0], row[1])):
        for part in _parts(list(of_day)):
            demands = tuple(Demand.model_validate_json(text) for _, _, text, _, _ in part)
            # All of them led to it. It is said to follow the oldest, so that nobody's way to a plan is metered shorter than the longest.
            takes.append(Ask(TakeDemands(school_id, day, todays[school_id], demands), Origin(str(part[0][3]), str(part[0][4]))))
    return takes


def _parts(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the rows in lists that fit a command each."""
    part: list[Any] = []
    size = 0
    for row in rows:
        if part and (len(part) == MAX_DEMANDS or size + len(row[2]) > MAX_TAKEN_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[2])
    yield part


async def due_searches(connection: Connection, parameters: Parameters, now: datetime) -> list[DaySearch]:
    """Return the days to search now: those with demands and adults whose plan does not know all that they took, today's first."""
    pairs, resources, schools = _open_days(parameters, now), parameters.id_of(RESOURCES), schools_of(parameters)
    if not pairs["schools"] or resources is None:
        return []
    given = {"resources": resources, "staffed": [school_id for school_id, school in schools.items() if school.staff]}
    dirty = await (await connection.execute(_DIRTY, pairs | given)).fetchall()
    found = []
    for school_id, day, version, plan, planned_with, staffed, roster, event_id, correlation in dirty:
        school = schools[school_id]
        row = await (await connection.execute(_DEMANDS, [plan or 0, school_id, day])).fetchone()
        days = await (await connection.execute(_DAYS, [school_id, day])).fetchone()
        if row is None or days is None:
            continue
        anew = plan is None or planned_with != resources or (staffed or 0) > plan
        found.append(
            DaySearch(
                school_id=school_id, on=day, asked_on=local_day(school, now), begun=begun_periods(school, day, now), base_version=version,
                resources=resources, school=school.model_dump_json(), roster=roster, demands=row[0], days=days[0],
                led=Origin(str(event_id), str(correlation)),
                changed=None if anew else tuple(row[1] or ()),
            )
        )  # fmt: skip
    return found
