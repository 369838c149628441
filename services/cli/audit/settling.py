"""I5 and I9: all services come to the same state within a stated time, and one that does not get on says so."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from uuid import UUID

import httpx
import psycopg
from psycopg import IsolationLevel
from pydantic import TypeAdapter

from services.cli.audit.book import SERVICES, Book
from services.cli.audit.days import NEWEST, SERVICE, SETTINGS, open_days_of, settings_of
from services.cli.audit.facts import TOLD_BY, differences, reader_of
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation, heard_by
from services.scheduling.limits import room_of
from services.scheduling.queries.due import ASKS, MAX_SEARCHES
from services.scheduling.resources import adults, of_day, schools_of
from shared.consume.health import AHEAD, Place
from shared.contracts.scheduling import SchoolResources, StaffMember
from shared.ledger import read
from shared.ledger.types import Connection

LOOK_S: Final = 0.4
"""Pause between two looks."""
QUIET_S: Final = 2.0
"""Time for which nothing may move before the services are said to be at rest: work in time, such as a search, may follow."""
TOLD_S: Final = 15.0
"""Time, beside `stalled_after_s`, in which health must turn red: lengths are announced and inboxes are surveyed every 5 s."""
HEALTH_LIMIT_S: Final = 6.0
CONNECT_S: Final = 5

DIRTY: Final = f"""
    WITH told AS (
        SELECT school_id, day, coalesce(plan.version, 0) AS planned, had.staff::text AS staff,
            input.version > coalesce(plan.version, 0) AS news,
            (SELECT count(*) FROM day_demand AS d WHERE d.school_id = input.school_id AND d.day = input.day) AS taken,
            EXISTS (
                SELECT FROM day_demand AS d JOIN demand AS n USING (school_id, learner_id)
                WHERE d.school_id = input.school_id AND d.day = input.day AND n.demand_version > d.demand_version) AS changed,
            EXISTS (
                SELECT FROM demand AS n WHERE n.school_id = input.school_id AND {ASKS} AND NOT EXISTS (
                    SELECT FROM day_demand AS d
                    WHERE d.school_id = input.school_id AND d.day = input.day AND d.learner_id = n.learner_id)) AS more
        FROM day_input AS input JOIN day_staff AS had USING (school_id, day)
            LEFT JOIN day_plan AS plan USING (school_id, day)
        WHERE day >= (({NEWEST}) AT TIME ZONE 'UTC')::date - 1 AND had.staff <> '[]'
    ), owing AS (SELECT *, news AND taken > 0 OR changed AS owed FROM told)
    SELECT school_id, day, planned, owed, taken, staff FROM owing WHERE owed OR more
"""  # noqa: S608 - our own words
"""Days that took something and have no plan of it, or are to take what was noted, and may be open, wherever the school is; the version of
the plan that each has; whether it owes something, else it may be full; whom it took, and its adults."""

_STAFF: Final = TypeAdapter(list[StaffMember])
SchoolDay = tuple[UUID, date]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work that waits in a service: it is done as soon as the service gets on."""

    words: str
    stands: object
    """How far it is; becomes another one when some of it is done."""
    own: bool = True
    """Whether the service alone has to do it; else it must have been told by those that it hears, too."""


@dataclass(frozen=True, slots=True)
class Look:
    """How far everything is at one moment."""

    lengths: Mapping[str, Mapping[int, int]]
    inboxes: Mapping[str, Mapping[Place, int]]
    published: Mapping[str, Mapping[int, int]]
    """Of services whose events go to a Kafka that is known: for each partition, the position from which they are not on it."""
    dirty: Mapping[SchoolDay, int]
    """Days of scheduling that have to be planned, and the version of the plan that they have; 0: none."""

    def lags(self, service: str) -> dict[Place, int]:
        """Return how many events of each partition that a service hears it has not applied yet, where there are any."""
        at = self.inboxes[service]
        lags = {
            (source, number): length - 1 - at.get((source, number), -1)
            for source in heard_by(service)
            for number, length in self.lengths.get(source, {}).items()
        }
        return {place: lag for place, lag in lags.items() if lag > 0}

    def behind(self, service: str) -> int:
        """Return how many events a service has not applied yet."""
        return sum(self.lags(service).values())

    def unpublished(self, service: str) -> dict[int, int]:
        """Return how many events of each partition of a service are not on Kafka, where there are any."""
        at = self.published.get(service, {})
        return {number: length - at[number] for number, length in self.lengths[service].items() if length > at.get(number, length)}

    @property
    def rests(self) -> bool:
        """Whether everything that was told was published, heard and taken."""
        return not self.dirty and not any(self.behind(service) or self.unpublished(service) for service in self.inboxes)

    def backlogs(self, service: str) -> dict[Hashable, Backlog]:
        """Return what waits in a service: as a whole, and each part of it whose turn it is, however much the others have to do."""
        found: dict[Hashable, Backlog] = {}
        at, lags = self.inboxes[service], self.lags(service)
        total = sum(lags.values())
        if lags:
            found["heard"] = Backlog(f"{total:,} events behind", tuple(sorted(at.items())), own=False)
        for place, lag in lags.items():
            if total - lag <= AHEAD:
                found["heard", place] = Backlog(f"{lag:,} events behind in partition {place[1]} of {place[0]}", at.get(place), own=False)
        for number, count in self.unpublished(service).items():  # A relay sends some of each in turn.
            words = f"{count:,} events of partition {number} are not on Kafka"
            found["published", number] = Backlog(words, self.published[service][number])
        days = self.dirty if service == SERVICE else {}
        if days:
            found["planned"] = Backlog(f"{len(days):,} days have no plan of what they took", tuple(sorted(days.items())))
        for day, version in days.items() if len(days) <= MAX_SEARCHES else ():
            found["planned", day] = Backlog(f"{day[1]} of school {day[0]} has no plan of what it took", version)
        return found


@dataclass
class Settled:
    """What waiting came to."""

    at_rest: bool
    seconds: float
    last: Look | None
    silent: list[str] = field(default_factory=list)
    """Services that stood still with work before them and said that they were well."""
    watched: int = 0
    """Looks at a service in which something waited."""
    moved: bool = False
    """Whether anything moved between two looks."""


async def settle(
    installation: Installation, within_s: float, stalled_after_s: float = 30.0, watch: bool = True, quiet_s: float = QUIET_S
) -> Settled:
    """Wait until every service has applied what its sources hold and nothing moves any more, or the time is over.

    Args:
        within_s: the longest time to wait for rest; 0: two looks tell whether what is not at rest moves. What rests is looked at for
            `quiet_s`, or until it moves.
        stalled_after_s: the services' own setting of that name.
        watch: where the time is over and a service stands still: go on looking until its health turns red, or ought to have.
        quiet_s: for how long nothing may move before that is rest.
    """
    began = time.monotonic()
    quiet_since, before = began, None
    settled: Settled | None = None
    moved, over = False, math.inf
    async with httpx.AsyncClient(timeout=HEALTH_LIMIT_S) as client:

        async def well(service: str) -> bool:
            """Return whether a service says that it is well."""
            return await _is_ready(client, installation.addresses[service])

        stalls = Stalls(installation.addresses, stalled_after_s + TOLD_S, well)
        while settled is None:
            look, now = await look_at(installation), time.monotonic()
            rests = look is not None and look.rests
            quiet_since = now if look is None or look != before else quiet_since
            moved = moved or (before is not None and look != before)
            over = now if over == math.inf and now - began >= within_s else over
            waits = await stalls.see(look, now, over)
            if rests and now - quiet_since >= quiet_s:
                settled = Settled(True, quiet_since - began, look, stalls.silent, stalls.watched, moved)
            elif (
                now - began >= within_s + (quiet_s if rests else 0)
                and not (rests and look == before)  # However long a look takes: only what moved is not at rest.
                and not (watch and waits)
                and (before is not None or look is None or (within_s > 0 and not rests))
            ):
                settled = Settled(False, now - began, look, stalls.silent, stalls.watched, moved)
            else:
                before = look
                await asyncio.sleep(LOOK_S)
    return settled


class Stalls:
    """Watches services in which something waits: one that does not move for so long must not be ready, and neither must one that leaves
    a part of it, unless the rest is so much that the part may be waiting for its turn. Who hears others is told by them how much waits:
    if one of them is not ready, nobody is silent. Who was not ready is given as much time again: a process that was started anew, or was
    cut off, has to find out anew."""

    def __init__(self, services: Collection[str], patience_s: float, well: Callable[[str], Awaitable[bool]]) -> None:
        """Prepare.

        Args:
            services: those whose health can be asked for.
            well: whether one of them says that it is well.
        """
        self._services, self._patience_s, self._well = services, patience_s, well
        self._since: dict[tuple[str, bool], dict[Hashable, tuple[object, float]]] = {}
        """Service -> where each backlog of it stands, and since when, or since it was last not ready; its own ones by themselves."""
        self.silent: list[str] = []
        self.watched = 0

    async def see(self, look: Look | None, now: float, over: float = math.inf) -> bool:
        """Note a look; return whether there is a stall whose health is still to be seen, of what stands still since `over` or longer: where
        events come without end, something waits at every look."""
        waits, answers = False, dict[str, bool]()
        for service in look.inboxes if look else ():
            backlogs = look.backlogs(service) if look and service in self._services else {}
            self.watched += bool(backlogs)
            for own in (True, False):
                mine = {key: backlog for key, backlog in backlogs.items() if backlog.own is own}
                stands = self._stands((service, own), mine, now)
                if not mine or any(line.startswith(f"{service} ") for line in self.silent):
                    continue
                key, seconds = max(stands.items(), key=lambda each: each[1])
                if not await self._all_well((service,) if own else (service, *heard_by(service)), answers):
                    self._since[service, own] = {key: (backlog.stands, now) for key, backlog in mine.items()}
                elif seconds >= self._patience_s:
                    self.silent.append(f"{service} is ready, {mine[key].words}, and did not move for {seconds:.0f} s")
                elif now - seconds <= over:
                    waits = True
        return waits

    def _stands(self, whose: tuple[str, bool], backlogs: Mapping[Hashable, Backlog], now: float) -> dict[Hashable, float]:
        """Return for how long each backlog has not moved; what does not wait any more is forgotten."""
        before = self._since.get(whose, {})
        since = self._since[whose] = {
            key: before[key] if key in before and before[key][0] == backlog.stands else (backlog.stands, now)
            for key, backlog in backlogs.items()
        }
        return {key: now - at for key, (_, at) in since.items()}

    async def _all_well(self, services: Collection[str], answers: dict[str, bool]) -> bool:
        """Return whether all of these say that they are well, as far as they can be asked: each once in a look."""
        for each in services:
            if each in self._services and each not in answers:
                answers[each] = await self._well(each)
        return all(answers[each] for each in services if each in answers)


async def _is_ready(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"{address}/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False  # Who does not answer is not silent: nobody sends it anything.


async def look_at(installation: Installation) -> Look | None:
    """Return how far everything is; None while a database does not answer."""
    lengths: dict[str, Mapping[int, int]] = {}
    inboxes: dict[str, Mapping[Place, int]] = {}
    published: dict[str, Mapping[int, int]] = {}
    dirty: Mapping[SchoolDay, int] = {}
    try:
        for service, url in installation.urls.items():
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=CONNECT_S) as connection:
                await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
                await connection.set_read_only(True)
                lengths[service] = {row[0]: row[1] for row in await _rows(connection, read.LENGTHS)}
                inboxes[service] = {(row[0], row[1]): row[2] for row in await _rows(connection, read.INBOX)}
                if installation.kafka_servers is not None:
                    published[service] = dict(await _rows(connection, read.PUBLISHED))
                if service == SERVICE:
                    dirty = await _dirty(connection)
    except psycopg.OperationalError:
        return None
    return Look(lengths, inboxes, published, dirty)


async def _dirty(connection: Connection) -> dict[SchoolDay, int]:
    """Return the open days that have to be planned yet, and the version of the plan that each has."""
    rows = await _rows(connection, DIRTY)
    if not rows:
        return {}
    ((at,),) = await _rows(connection, NEWEST)
    settings = settings_of(await _rows(connection, SETTINGS))
    open_now, schools = open_days_of(at, settings), schools_of(settings.at(settings.latest))
    return {
        (school, on): version for school, on, version, owed, taken, staff in rows
        if on in open_now.get(school, ()) and (owed or taken < _room(schools.get(school), on, staff))
    }  # fmt: skip


def _room(school: SchoolResources | None, on: date, staff: str) -> int:
    """Return how many learners a day takes; none, where the school has no resources any more."""
    if school is None:
        return 0
    here = of_day(school, on)
    return room_of(here, len(adults(here, _STAFF.validate_json(staff))))


async def _rows(connection: Connection, statement: str) -> list[Any]:
    return await (await connection.execute(statement)).fetchall()


def tell(settled: Settled, within_s: float, installation: Installation, findings: Findings) -> None:
    """Put what waiting came to into the findings."""
    findings.seconds["convergence"], findings.at_rest = settled.seconds, settled.at_rest
    findings.count("I5", "services that are to reach the same state", len(installation.urls))
    findings.count("I9", "looks at services in which something waited", settled.watched)
    if not installation.addresses:
        findings.leave_out("I9", "the services' addresses are not known, so nobody asked for their health")
    findings.wrong("I9", "a service stands still and says that it is well", settled.silent)
    if settled.at_rest:
        return
    look = settled.last
    if look is None:
        findings.wrong("I5", f"not at rest within {within_s:g} s", ["a database does not answer"])
        return
    behind = [f"{service} is {look.behind(service):,} events behind" for service in look.inboxes if look.behind(service)]
    unpublished = sum(sum(look.unpublished(service).values()) for service in look.inboxes)
    behind += [f"{unpublished:,} events are not published"] if unpublished else []
    behind += [f"{len(look.dirty):,} days have no plan of what they took"] if look.dirty else []
    if within_s == 0 and settled.moved:  # Nobody asked for rest, and there can be none.
        findings.leave_out("I5", f"not at rest, new events come: {', '.join(behind) or 'nobody is behind'}")
    else:
        findings.wrong("I5", f"not at rest within {within_s:g} s", behind or ["new events come without end"])


def still(rest: Look, lengths: Mapping[str, Mapping[int, int]]) -> bool:
    """Say whether ledgers of these lengths are those that were seen at rest: then every inbox stands as it did, too."""
    return all(rest.lengths[service] == numbers for service, numbers in lengths.items())


def lengths_now(url: str) -> dict[int, int]:
    """Return how long the partitions of a service are."""
    with psycopg.connect(url, autocommit=True) as connection:
        return {row[0]: row[1] for row in connection.execute(read.LENGTHS).fetchall()}


NOT_TAKEN: Final = """
    SELECT service, source, sum(open), sum(gone) FROM aside WHERE (open OR gone) AND position IS NOT NULL
    GROUP BY service, source ORDER BY service, source"""
"""What is no event of ours has no position, and no part in any state."""
TOLD: Final = "SELECT kind, count(*) FROM fact WHERE side = 'told' GROUP BY kind"


def check_same(services: Collection[str], book: Book, findings: Findings) -> None:
    """I5: what a source told last of a subject is what its reader holds, where that is among these services. To be asked at rest.

    Where a reader has set records of a source aside, or discarded some, nothing that it holds of that source is compared.
    """
    left_out: set[str] = set()
    for reader, source, waiting, gone in ((SERVICES[row[0]], SERVICES[row[1]], *row[2:]) for row in book.rows(NOT_TAKEN)):
        kinds = {kind for kind, by in TOLD_BY.items() if (reader_of(kind), by) == (reader, source)}
        left_out |= kinds
        if kinds:
            why = f"{waiting:,} records are set aside and {gone:,} were discarded, so it may hold other states than were told"
            findings.leave_out("I5", f"{reader}: of what it heard of {source}, {why}")
    told = sum(count for kind, count in book.rows(TOLD) if kind not in left_out)
    findings.count("I5", "states compared between services", told)
    different = (case for reader, case in differences(book, left_out) if reader in services)
    findings.wrong("I5", "a service holds another state than was told", different)
