"""What is due: days for which new demands, adults or resources are known, and what each is searched from.

A look costs two short reads for each school where nothing is new. Whoever has something new is read: what its days have not taken yet, and
what they hold. One search takes all of that and plans the day; the decider refuses the plan where the day has moved on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import structlog
from pydantic import TypeAdapter

from services.scheduling.domain import TakeDemands, TakeStaff
from services.scheduling.grouping import ANEW_SHARE
from services.scheduling.hours import begun_periods, local_day, open_days
from services.scheduling.limits import room_of
from services.scheduling.resources import RESOURCES, adults, closed_before, days_alike, of_day, schools_of, takes_repair
from services.scheduling.search import DaySearch
from shared.contracts.envelope import Origin, event_id
from shared.contracts.scheduling import MAX_DEMANDS, Demand, SchoolResources, StaffMember
from shared.ledger.types import Ask, Connection
from shared.parameters import Parameters
from shared.parts import Sought

MAX_TAKEN_BYTES: Final = 160 * 1024
"""Bytes of demands in one command, so that its event is well below the largest."""
REMEMBERED_DAYS: Final = 28
"""Days back for which it counts whom an adult talked with, and who was without a place: longer than holidays."""
MAX_SEARCHES: Final = 16
"""Days that are searched at one look."""
MAX_LOOKED_AT: Final = 200
"""Days that are read at one look, found or not: those of a whole district, as after a start, would be one long transaction."""
MAX_LOOK_BYTES: Final = 8 * 1024 * 1024
"""What is read for the searches of one look, the last of them aside."""

log = structlog.get_logger(__name__)
SchoolDay = tuple[UUID, date]
News = tuple[int, int]
"""Of a school: position of its newest demand, and version of its newest member of staff; -1 where there is none."""

_NEWS: Final = """
    SELECT asked.school_id, coalesce((SELECT max(position) FROM demand WHERE demand.school_id = asked.school_id), -1),
        coalesce((SELECT max(version) FROM staff WHERE staff.school_id = asked.school_id), -1)
    FROM unnest(%s::uuid[]) AS asked(school_id)
"""
_STANDING: Final = """
    SELECT coalesce(head.version, 0), coalesce(plan.version, 0), coalesce(plan.resources, ''), coalesce(plan.begun, 0),
        coalesce(had.roster, 0), coalesce(had.staff, '[]')::text, input.version, input.event_id, input.correlation
    FROM (SELECT %(school)s::uuid AS school_id, %(day)s::date AS day) AS asked
    LEFT JOIN day_head AS head USING (school_id, day) LEFT JOIN day_plan AS plan USING (school_id, day)
    LEFT JOIN day_staff AS had USING (school_id, day) LEFT JOIN day_input AS input USING (school_id, day)
"""
_ROSTER: Final = """
    SELECT max(version), coalesce(jsonb_agg(member ORDER BY staff_id) FILTER (WHERE active), '[]')::text FROM staff
    WHERE school_id = %(school)s
"""
ASKS: Final = "(demand ? 'needs' OR demand ? 'check_in' OR demand ? 'path_empty')"
"""What a demand asks for. Who left the school has one that asks for nothing: it is news only for a day that took her before."""
_NEW_DEMANDS: Final = f"""
    WITH news AS (
        SELECT new.*, had.demand_version IS NULL AS first FROM demand AS new
        LEFT JOIN day_demand AS had ON had.school_id = new.school_id AND had.day = %(day)s AND had.learner_id = new.learner_id
        WHERE new.school_id = %(school)s AND (had.demand_version IS NULL OR had.demand_version < new.demand_version)
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY first ORDER BY noted_at, learner_id) AS number FROM news WHERE NOT first OR {ASKS}
    )
    SELECT learner_id, demand::text, event_id, correlation FROM ranked
    WHERE NOT first OR number + (SELECT count(*) FROM day_demand WHERE school_id = %(school)s AND day = %(day)s) <= %(most)s
    ORDER BY noted_at, learner_id
"""  # noqa: S608 - our own words
"""A day that is full takes what is new of its own learners; all others wait, and are listed as unserved."""
_TAKEN: Final = r"""
    SELECT coalesce(string_agg(demand::text, E'\n' ORDER BY learner_id), ''),
        coalesce(array_agg(learner_id ORDER BY learner_id) FILTER (WHERE version > %(plan)s), '{}')
    FROM day_demand WHERE school_id = %(school)s AND day = %(day)s
"""
"""No line break stands in JSON as PostgreSQL writes it."""
_DAYS: Final = r"""
    SELECT coalesce(string_agg(learner_id || ' ' || placements::text, E'\n' ORDER BY learner_id), '')
    FROM learner_day WHERE school_id = %(school)s AND day = %(day)s
"""

ENTRY: Final = """
    SELECT school::text AS school FROM parameter_set, unnest(pages) AS named(hash) JOIN parameter_page USING (hash),
        jsonb_array_elements(convert_from(data, 'utf8')::jsonb) AS school
    WHERE id = %(resources)s AND position(convert_to(%(school)s, 'utf8') in data) > 0 AND school->>'school_id' = %(school)s
"""
"""What a set of resources says of one school. To look for its id in a page is nothing beside reading the page as JSON."""

_BEFORE: Final = f"""
    SELECT coalesce(jsonb_agg(jsonb_build_array(learner_id, coalesce(talked - date '0001-01-01' + 1, 0), missed)), '[]')::text FROM (
        SELECT learner_id, max(day) FILTER (WHERE placements @> '[{{"use": "check-in"}}]') AS talked,
            sum(jsonb_array_length(jsonb_path_query_array(placements, '$[*] ? (!exists (@.use) && !exists (@.begun))'))) AS missed
        FROM learner_day WHERE school_id = %(school)s AND day < %(day)s AND day >= %(day)s::date - {REMEMBERED_DAYS}
            AND day <> ALL(%(closed)s::date[])
        GROUP BY learner_id
    ) AS told WHERE talked IS NOT NULL OR missed > 0
"""  # noqa: S608 - our own words
"""Numbers of days are those of `date.toordinal`. What was planned for a day that was then closed took place nowhere."""

_STAFF_LIST: Final = TypeAdapter(list[StaffMember])


@dataclass(frozen=True)
class OpenDay:
    """A day that is planned now."""

    school: SchoolResources
    """As it is on the day."""
    on: date
    today: date
    begun: int
    closed: tuple[date, ...] = ()
    """Of the days before it that are remembered, those without school."""

    @property
    def place(self) -> SchoolDay:
        """The school and the day."""
        return self.school.school_id, self.on


@dataclass(frozen=True)
class _Standing:
    """How far a day is."""

    version: int
    planned: int
    """Version with which the plan was adopted; 0: there is none."""
    resources: str
    begun: int
    """Periods that had begun when it was planned."""
    roster: int
    staff: str
    demanded: int | None
    """Version with which it took something last."""
    event_id: UUID | None
    correlation: UUID | None


class Looks:
    """Looks for days to search. What it remembers saves reading in vain; whoever starts anew reads everything once."""

    def __init__(self, origin: Origin) -> None:
        """`origin` is of what nothing led to but time."""
        self._origin = origin
        self._done: dict[SchoolDay, tuple[News, str]] = {}
        """Days for which nothing is left to do, and the news and resources that this was found with."""
        self._known: dict[SchoolDay, tuple[str, SchoolResources | None]] = {}
        """Days with the set that they were planned with, and what it says of their school."""
        self._looked: dict[SchoolDay, int] = {}
        """Days that were looked at, numbered in that order: whoever waits longest comes first."""
        self._number = 0
        self._open: tuple[tuple[str, datetime], list[OpenDay]] | None = None

    async def due(self, connection: Connection, parameters: Parameters, now: datetime) -> list[Sought]:
        """Return the days to search now, each with the commands by which it takes what is new: at most so many, in turn.

        Of a school one at a look: so each look is short, whoever waits for the school's lock waits less, and while news keep coming each
        day takes those of several windows at once.
        """
        resources = parameters.id_of(RESOURCES)
        if resources is None:
            return []
        open_now = self._open_days(parameters, resources, now)
        asked = list({one.school.school_id: None for one in open_now})
        news = {school: (demand, staff) for school, demand, staff in await (await connection.execute(_NEWS, [asked])).fetchall()}
        self._forget({one.place for one in open_now})
        waiting = [one for one in open_now if self._done.get(one.place) != (news[one.school.school_id], resources)]
        found, schools = list[Sought](), set[UUID]()
        size, begun = 0, self._number
        for one in sorted(waiting, key=lambda one: (self._looked.get(one.place, 0), one.on, one.school.school_id)):
            if len(found) == MAX_SEARCHES or size > MAX_LOOK_BYTES or self._number - begun == MAX_LOOKED_AT:
                break
            if one.school.school_id in schools:
                continue
            self._number += 1
            self._looked[one.place] = self._number
            sought = await self._sought(connection, one, resources)
            if sought is None:
                self._done[one.place] = news[one.school.school_id], resources
            else:
                found.append(sought)
                schools.add(one.school.school_id)
                size += sought.value.size
        return found

    def _open_days(self, parameters: Parameters, resources: str, now: datetime) -> list[OpenDay]:
        """Return the days that are planned now. Days and periods begin with a minute, so that each is worked out once."""
        at = resources, now.replace(second=0, microsecond=0)
        if self._open is None or self._open[0] != at:
            self._open = at, [one for school in schools_of(parameters).values() for one in _open_days_of(school, now)]
        return self._open[1]

    def _forget(self, places: set[SchoolDay]) -> None:
        if len(self._looked) > 2 * len(places):
            self._done = {place: found for place, found in self._done.items() if place in places}
            self._looked = {place: number for place, number in self._looked.items() if place in places}
            self._known = {place: found for place, found in self._known.items() if place in places}

    async def _sought(self, connection: Connection, one: OpenDay, resources: str) -> Sought | None:
        """Return what a day is searched from; None where its plan knows all there is, or it cannot have one yet."""
        place = {"school": one.school.school_id, "day": one.on}
        standings, rosters = await _read(connection, (_STANDING, place), (_ROSTER, place))
        standing, roster, staff = _Standing(*standings[0]), rosters[0][0] or 0, rosters[0][1]
        new_staff = roster > standing.roster
        staff = staff if new_staff else standing.staff
        known = _STAFF_LIST.validate_json(staff)
        present = adults(one.school, known)
        if not (present or known or standing.planned):
            return None  # Nobody was told yet. Where all are away, learners without a place are to be seen.
        (news,) = await _read(connection, (_NEW_DEMANDS, place | {"most": room_of(one.school, len(present))}))
        before = await self._planned_with(connection, one, standing.resources, resources)
        stale = before is None or not days_alike(before, one.school) or standing.planned < (standing.demanded or 0)
        if not (news or new_staff or stale):
            return None
        (((taken, changed),), ((days,),)) = await _read(connection, (_TAKEN, place | {"plan": standing.planned}), (_DAYS, place))
        if not (news or taken):
            return None
        asked = [*self._staffing(one, roster, staff, new_staff), *self._demanding(one, news)]
        led = self._led(standing, one, asked)
        anew = before is None or not takes_repair(before, one.school) or _many_new(before, standing.staff, one.school, staff)
        new = {*changed, *(row[0] for row in news)}
        asks_before = anew or len(new) * ANEW_SHARE > len(taken.splitlines())
        ((told,),) = await (await connection.execute(_BEFORE, place | {"closed": list(one.closed)})).fetchall() if asks_before else (("",),)
        # What has begun stays as it was, also where the clock that said so was put back since; but for periods at other times.
        begun = max(one.begun, standing.begun) if before is not None and before.periods == one.school.periods else one.begun
        value = DaySearch(
            school_id=one.school.school_id, on=one.on, asked_on=one.today, begun=begun, base_version=standing.version + len(asked),
            resources=resources, school=one.school.model_dump_json(), roster=staff, demands=taken, news="\n".join(row[1] for row in news),
            days=days, led=led, origin=asked[-1].origin if asked else led,
            changed=None if anew else tuple(sorted(new)), before=told, closed=one.closed,
        )  # fmt: skip
        return Sought(value.stream, value, asked, [str(row[2]) for row in news])

    async def _planned_with(self, connection: Connection, one: OpenDay, planned: str, now: str) -> SchoolResources | None:
        """Return what its school was on a day by the set with which it was planned; None without a plan, or where that set lacks it.

        It is remembered for as long as the plan stands: a set holds all schools, and each change of one of them makes another set.
        """
        known = self._known.get(one.place)
        if planned == now:
            found: SchoolResources | None = one.school
        elif known is not None and known[0] == planned:
            found = known[1]
        else:
            entry = await _entry(connection, one.school, planned) if planned else None
            found = None if entry is None else of_day(entry, one.on)
        self._known[one.place] = planned, found
        return found

    def _staffing(self, one: OpenDay, roster: int, staff: str, new: bool) -> Iterator[Ask]:
        if new:
            told = tuple(_STAFF_LIST.validate_json(staff))
            yield Ask(TakeStaff(one.school.school_id, one.on, one.today, roster, told), self._origin)

    def _demanding(self, one: OpenDay, news: Sequence[Any]) -> Iterator[Ask]:
        for part in _parts(news):
            demands = tuple(Demand.model_validate_json(text) for _, text, _, _ in part)
            # All of them led to it. It is said to follow the oldest, so that nobody's way to a plan is metered shorter than the longest.
            yield Ask(TakeDemands(one.school.school_id, one.on, one.today, demands), Origin(str(part[0][2]), str(part[0][3])))

    def _led(self, standing: _Standing, one: OpenDay, asked: Sequence[Ask]) -> Origin:
        """Return what the plan follows: what the day takes last, which is an event of its own by then."""
        if asked:
            return Origin(event_id(asked[-1].stream.name, standing.version + len(asked)), asked[-1].origin.correlation)
        if standing.event_id is not None and standing.correlation is not None:
            return Origin(str(standing.event_id), str(standing.correlation))
        return self._origin


async def _entry(connection: Connection, school: SchoolResources, resources: str) -> SchoolResources | None:
    """Return what another set says of the school, such as the one that its day was planned with; None where it does not name it."""
    found = await (await connection.execute(ENTRY, {"resources": resources, "school": str(school.school_id)})).fetchone()
    return None if found is None else SchoolResources.model_validate_json(found[0])


def _open_days_of(school: SchoolResources, now: datetime) -> list[OpenDay]:
    """Return the days of a school that are planned now; none where its hours cannot be worked out, which holds up no other school."""
    try:
        today = local_day(school, now)
        return [
            OpenDay(of_day(school, day), day, today, begun_periods(school, day, now), closed_before(school, day, REMEMBERED_DAYS))
            for day in open_days(school, now)
        ]
    except (ValueError, ZoneInfoNotFoundError) as error:
        log.error("school is not planned: its hours or its time zone cannot be read", school_id=str(school.school_id), exc_info=error)
        return []


def _many_new(before: SchoolResources, had: str, school: SchoolResources, staff: str) -> bool:
    """Return whether so many adults are new that everybody is grouped anew, as in a school whose roster is still coming in."""
    known = {adult.staff_id for adult in adults(before, _STAFF_LIST.validate_json(had))}
    now = {adult.staff_id for adult in adults(school, _STAFF_LIST.validate_json(staff))}
    return len(now - known) * ANEW_SHARE > len(now)


async def _read(connection: Connection, *asked: tuple[str, dict[str, Any]]) -> list[list[Any]]:
    """Return the rows of each statement; all of them in one round trip."""
    async with connection.pipeline():
        cursors = [await connection.execute(statement.encode(), values) for statement, values in asked]
        return [await cursor.fetchall() for cursor in cursors]


def _parts(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the rows in lists that fit a command each."""
    part: list[Any] = []
    size = 0
    for row in rows:
        if part and (len(part) == MAX_DEMANDS or size + len(row[1]) > MAX_TAKEN_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row[1])
    if part:
        yield part
