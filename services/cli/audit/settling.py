"""I5 and I9: all services come to the same state within a stated time, and one that does not get on says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import psycopg

from services.cli.audit.book import Book
from services.cli.audit.days import open_days_of, settings_of
from services.cli.audit.facts import differences
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation, heard_by
from services.scheduling.limits import MAX_LEARNERS
from shared.consume.health import AHEAD, Place
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
    WITH last AS (
        SELECT school_id, day, day = max(day) OVER (PARTITION BY school_id) AS newest,
            row_number() OVER (PARTITION BY school_id ORDER BY day DESC) AS back FROM day_input)
    SELECT school_id, day, newest FROM last JOIN day_input i USING (school_id, day) JOIN day_staff s USING (school_id, day)
    LEFT JOIN day_plan p USING (school_id, day)
    WHERE last.back <= 2 AND s.staff <> '[]' AND (
        i.version > coalesce(p.version, 0)
        AND EXISTS (SELECT FROM day_demand d WHERE d.school_id = last.school_id AND d.day = last.day)
        OR EXISTS (
            SELECT FROM demand n LEFT JOIN day_demand h ON h.school_id = n.school_id AND h.day = last.day AND h.learner_id = n.learner_id
            WHERE n.school_id = last.school_id AND n.demand_version > coalesce(h.demand_version, 0) AND (h.demand_version IS NOT NULL
                OR (SELECT count(*) FROM day_demand d WHERE d.school_id = last.school_id AND d.day = last.day) < {MAX_LEARNERS})))
"""  # noqa: S608 - our own words
"""Days that took something and have no plan of it, or are to take what was noted: of each school the last one, and the one before it, which
counts as long as it is open."""


@dataclass(frozen=True, slots=True)
class Look:
    """How far everything is at one moment."""

    lengths: Mapping[str, Mapping[int, int]]
    inboxes: Mapping[str, Mapping[Place, int]]
    unpublished: int
    dirty: int

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

    @property
    def rests(self) -> bool:
        """Whether everything that was told was published, heard and taken."""
        return not self.unpublished and not self.dirty and not any(self.behind(service) for service in self.inboxes)


@dataclass
class Settled:
    """What waiting came to."""

    at_rest: bool
    seconds: float
    last: Look | None
    silent: list[str] = field(default_factory=list)
    """Services that stood still with work before them and said that they were well."""
    watched: int = 0
    """Looks at a service that was behind."""


async def settle(
    installation: Installation, within_s: float, stalled_after_s: float = 30.0, watch: bool = True, quiet_s: float = QUIET_S
) -> Settled:
    """Wait until every service has applied what its sources hold and nothing moves any more, or the time is over.

    Args:
        within_s: the longest time to wait for rest.
        stalled_after_s: the services' own setting of that name.
        watch: where the time is over and a service stands still: go on looking until its health turns red, or ought to have.
        quiet_s: for how long nothing may move before that is rest.
    """
    began = time.monotonic()
    quiet_since, before = began, None
    settled: Settled | None = None
    async with httpx.AsyncClient(timeout=HEALTH_LIMIT_S) as client:

        async def well(service: str) -> bool:
            """Return whether a service and all it hears say that they are well: who is not told anything cannot know that it is behind."""
            addresses = installation.addresses
            return all([await _is_ready(client, addresses[each]) for each in (service, *heard_by(service)) if each in addresses])

        stalls = Stalls(installation.addresses, stalled_after_s + TOLD_S, well)
        while settled is None:
            look, now = await look_at(installation), time.monotonic()
            quiet_since = now if look is None or look != before else quiet_since
            waits = await stalls.see(look, now)
            if look is not None and look.rests and now - quiet_since >= quiet_s:
                settled = Settled(True, quiet_since - began, look, stalls.silent, stalls.watched)
            elif now - began >= within_s + (quiet_s if look is not None and look.rests else 0) and not (watch and waits):
                settled = Settled(False, now - began, look, stalls.silent, stalls.watched)
            else:
                before = look
                await asyncio.sleep(LOOK_S)
    return settled


class Stalls:
    """Watches services that are behind: one that does not move for so long must not be ready, and neither must one of whose partitions
    one does not move, unless the others have so much to do that it may be waiting for its turn. Who was not ready is given as much time
    again: a process that was started anew, or was cut off, has to find out anew."""

    def __init__(self, services: Collection[str], patience_s: float, well: Callable[[str], Awaitable[bool]]) -> None:
        """Prepare.

        Args:
            services: those whose health can be asked for.
            well: whether one of them, and all it hears, say that they are well.
        """
        self._services, self._patience_s, self._well = services, patience_s, well
        self._since: dict[tuple[str, Place | None], tuple[object, float]] = {}
        """Where a service, or one of its partitions, stands, and since when, or since it was last not ready."""
        self.silent: list[str] = []
        self.watched = 0

    async def see(self, look: Look | None, now: float) -> bool:
        """Note a look; return whether there is a stall whose health is still to be seen."""
        waits = False
        for service in look.inboxes if look else ():
            lags = look.lags(service) if look and service in self._services else {}
            if look is None or not lags:
                self._forget(service, ())
                continue
            self.watched += 1
            stands = self._stands(service, lags, look.inboxes[service], now)
            if any(line.startswith(f"{service} ") for line in self.silent):
                continue
            place, stands_s = max(stands.items(), key=lambda each: each[1])
            if not await self._well(service):
                self._since |= {key: (stand, now) for key, (stand, _) in self._since.items() if key[0] == service}
            elif stands_s >= self._patience_s:
                where, lag = ("", sum(lags.values())) if place is None else (f" in partition {place[1]} of {place[0]}", lags[place])
                self.silent.append(f"{service} is ready, {lag:,} events behind{where}, and did not move for {stands_s:.0f} s")
            else:
                waits = True
        return waits

    def _stands(self, service: str, lags: Mapping[Place, int], at: Mapping[Place, int], now: float) -> dict[Place | None, float]:
        """Return for how long a service as a whole (None), and each partition that is behind, has not moved though it was its turn."""
        self._forget(service, lags)
        total = sum(lags.values())
        found: dict[Place | None, float] = {}
        for place in (None, *lags):
            stand: object = tuple(sorted(at.items())) if place is None else at.get(place)
            crowded = place is not None and total - lags[place] > AHEAD
            known = self._since.get((service, place))
            if known is None or known[0] != stand or crowded:
                known = self._since[service, place] = stand, now
            found[place] = now - known[1]
        return found

    def _forget(self, service: str, behind: Collection[Place]) -> None:
        """Forget since when a service's partitions stand that are not behind; where none is, the service."""
        for name, place in list(self._since):
            if name == service and (place not in behind if place is not None else not behind):
                del self._since[name, place]


async def _is_ready(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"{address}/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False  # Who does not answer is not silent: nobody sends it anything.


async def look_at(installation: Installation) -> Look | None:
    """Return how far everything is; None while a database does not answer."""
    lengths: dict[str, Mapping[int, int]] = {}
    inboxes: dict[str, Mapping[Place, int]] = {}
    unpublished = dirty = 0
    try:
        for service, url in installation.urls.items():
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=CONNECT_S) as connection:
                lengths[service] = {row[0]: row[1] for row in await _rows(connection, read.LENGTHS)}
                inboxes[service] = {(row[0], row[1]): row[2] for row in await _rows(connection, read.INBOX)}
                published: dict[int, int] = dict(await _rows(connection, read.PUBLISHED))
                dirty += await _dirty(connection, url) if service == "scheduling" else 0
            if installation.kafka_servers is not None:
                unpublished += sum(max(0, length - published[number]) for number, length in lengths[service].items())
    except psycopg.OperationalError:
        return None
    return Look(lengths, inboxes, unpublished, dirty)


async def _dirty(connection: Connection, url: str) -> int:
    """Return how many days have to be planned yet."""
    rows = await _rows(connection, DIRTY)
    today = [(school, on) for school, on, newest in rows if not newest]
    if today:  # Seldom, hence asked for by itself.
        with psycopg.connect(url, connect_timeout=CONNECT_S) as other:
            open_now = open_days_of(other, settings_of(other))
        today = [(school, on) for school, on in today if on in open_now.get(school, ())]
    return len(today) + sum(1 for _, _, newest in rows if newest)


async def _rows(connection: Connection, statement: str) -> list[Any]:
    return await (await connection.execute(statement)).fetchall()


def tell(settled: Settled, within_s: float, installation: Installation, findings: Findings) -> None:
    """Put what waiting came to into the findings."""
    findings.seconds["convergence"] = settled.seconds
    findings.count("I5", "services that are to reach the same state", len(installation.urls))
    findings.count("I9", "looks at services that were behind", settled.watched)
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
    behind += [f"{look.unpublished:,} events are not published"] if look.unpublished else []
    behind += [f"{look.dirty:,} days have no plan of what they took"] if look.dirty else []
    findings.wrong("I5", f"not at rest within {within_s:g} s", behind or ["new events come without end"])


PARKED_SOMETHING: Final = "SELECT count(*) FROM aside WHERE (open OR gone) AND position IS NOT NULL"
"""What is no event of ours has no position, and no part in any state."""


def check_same(services: Collection[str], book: Book, findings: Findings) -> None:
    """I5: what a source told last of a subject is what its reader holds, where that is among these services.

    To be asked at rest, and where nothing is set aside.
    """
    findings.count("I5", "states compared between services", book.number("SELECT count(*) FROM fact WHERE side = 'told'"))
    if book.number(PARKED_SOMETHING):
        findings.leave_out("I5", "records are set aside, so that services hold different states as long as they are")
        return
    different = (case for reader, case in differences(book) if reader in services)
    findings.wrong("I5", "a service holds another state than was told", different)
