"""I7: causes come before effects; every event names a cause that is there, and each trigger led to one plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import psycopg

from services.cli.audit.applied import KNOWN
from services.cli.audit.book import SERVICES, Book, number_of, place
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation, heard_by
from services.cli.audit.reading import Standing
from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.ledger import store
from shared.parts import Context, Drain, Parts, Search, Sweep, Tick
from shared.replay import Settings
from shared.ticker import tick_origin

MICRO: Final = 1_000_000
REQUEST: Final = 7
"""Version of the ids of requests (UUIDv7)."""
FORMER_TICKS: Final[Mapping[str, frozenset[str]]] = {Topic.SCHEDULING: frozenset({"take-demands"})}
"""What earlier releases of a service called what they did in time, where it does so no more: their ledgers hold what followed from it."""
MAX_NAMES: Final = 200_000
"""Names of sweeps, one for each version of the settings and day, that are tried for a cause that no ledger holds."""

LATE: Final = f"""
    SELECT e.service, e.partition, e.position, c.service, c.partition, c.position FROM event e JOIN event c ON c.id = e.cause
    WHERE CASE WHEN c.service = e.service AND c.partition = e.partition THEN c.position >= e.position ELSE c.at > e.at + ? END
        {KNOWN}"""  # noqa: S608 - our own words
OTHER_LINE: Final = f"""
    SELECT e.service, e.partition, e.position FROM event e JOIN event c ON c.id = e.cause WHERE e.line <> c.line
        {KNOWN}"""  # noqa: S608 - our own words
UNHEARD: Final = """
    SELECT e.service, e.partition, e.position, c.service FROM event e JOIN event c ON c.id = e.cause
    WHERE c.service <> e.service AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.service = e.service AND i.source = c.service)"""
FROM_OUTSIDE: Final = """
    SELECT e.service, e.cause, e.line, min(e.partition), min(e.position), count(*), min(e.at) FROM event e
    WHERE NOT EXISTS (SELECT 1 FROM event c WHERE c.id = e.cause) GROUP BY e.service, e.cause, e.line"""
OTHER_ACT: Final = """
    SELECT e.service, e.partition, e.position FROM act a
    JOIN event e ON e.service = ? AND e.partition = a.partition AND e.position = a.position
    JOIN act b ON b.role = ? AND b.act = a.act
    JOIN event c ON c.service = ? AND c.partition = b.partition AND c.position = b.position
    WHERE a.role = ? AND e.cause <> c.id"""
TWO_PLANS: Final = """
    SELECT e.service, e.partition, min(e.position) FROM event e
    WHERE e.type = (SELECT number FROM type WHERE name = 'pathing.path-planned.v1')
    GROUP BY e.service, e.cause, e.stream, e.partition HAVING count(*) > 1"""
SETTINGS: Final = "SELECT bytes FROM event WHERE stream = %s ORDER BY version"


def check_causes(installation: Installation, standings: Mapping[str, Standing], skew_s: float, book: Book, findings: Findings) -> None:
    """Check every event's cause.

    Args:
        skew_s: how far the clocks of two processes may differ; within a partition, positions are compared and no clocks.
    """
    findings.count("I7", "causes that are events", book.number("SELECT count(*) FROM event e JOIN event c ON c.id = e.cause"))
    late = (f"{place(s, p, n)} before {place(*cause)}" for s, p, n, *cause in book.rows(LATE, round(skew_s * MICRO)))
    findings.wrong("I7", "an effect stands before its cause", late)
    findings.wrong("I7", "an event is not in the line of its cause", (place(*row) for row in book.rows(OTHER_LINE)))
    unheard = (f"{place(s, p, n)} names one of {SERVICES[source]}" for s, p, n, source in book.rows(UNHEARD))
    findings.wrong("I7", "an event names a cause in a service that is not heard", unheard)
    for effect, cause, mine, theirs in (
        ("recorded", "accepted", Topic.EVIDENCE, Topic.EVIDENCE), ("counted", "recorded", Topic.MASTERY, Topic.EVIDENCE)
    ):  # fmt: skip
        rows = book.rows(OTHER_ACT, number_of(mine), cause, number_of(theirs), effect)
        findings.wrong("I7", f"evidence {effect} names another cause than its being {cause}", (place(*row) for row in rows))
    findings.wrong("I7", "one trigger led to two paths of a learner", (place(*row) for row in book.rows(TWO_PLANS)))
    _check_outside(installation, standings, book, findings)


def _check_outside(installation: Installation, standings: Mapping[str, Standing], book: Book, findings: Findings) -> None:
    """Check causes that no ledger holds: requests, whose ids are UUIDv7, and ticks, whose ids come from their names."""
    known: dict[str, set[bytes]] = {}
    requests = ticks = lost = 0
    nowhere: list[str] = []
    holes = {SERVICES[service]: at for service, at in book.rows("SELECT service, max(at) FROM hole GROUP BY service")}
    for service_number, cause, line, partition, position, count, at in book.rows(FROM_OUTSIDE):
        service = SERVICES[service_number]
        id = UUID(bytes=cause)
        if cause == line and id.version == REQUEST:
            requests += count
            continue
        if service not in known:
            names = set(_tick_names(installation, service, standings[service]))
            known[service] = {UUID(tick_origin(service, name).causation).bytes for name in names}
        if cause == line and cause in known[service]:
            ticks += count
        elif any(at <= holes.get(source, at - 1) for source in (service, *heard_by(service))):
            lost += count  # Its cause may have been one of the events of the hole.
        else:
            nowhere.append(f"{place(service_number, partition, position)} names {id}")
    findings.count("I7", "events that a request led to", requests)
    findings.count("I7", "events that time led to", ticks)
    if lost:
        findings.count("I7", "events whose cause may have been lost in a recorded hole", lost)
    findings.wrong("I7", "an event names a cause that is no event, no request and no tick", nowhere)


def _tick_names(installation: Installation, service: str, standing: Standing) -> Iterator[str]:
    """Yield the names of everything that time may have asked of a service: those noted, and those that its settings give for each day."""
    parts = parts_of(service)
    yield from standing.sweeps
    yield from (f"defaults/{release}" for release in standing.releases)
    yield from lasting_ticks(service)
    sweeps = [tick for tick in _ticks(parts) if isinstance(tick, Sweep)]
    if not sweeps or standing.first_at is None or standing.last_at is None:
        return
    settings, versions = _settings(installation.urls[service], service, parts)
    days = [day.isoformat() for day in _days(standing.first_at, standing.last_at)]
    for version in range(versions + 1)[-MAX_NAMES // max(1, len(days)) :]:
        parameters = settings.at(version)
        for day in days:
            yield from (name for sweep in sweeps if (name := sweep.name(parameters, day)))


def lasting_ticks(service: str) -> frozenset[str]:
    """Return the names, of today and of earlier releases, of what a service does in time that is no sweep: those never change."""
    return frozenset(tick.name for tick in _ticks(parts_of(service)) if isinstance(tick, Drain | Search)) | FORMER_TICKS.get(service, set())


def _ticks(parts: Parts) -> Sequence[Tick]:
    return parts.ticks(cast("Context", _NoContext()))


class _NoContext:
    """Stands where a service's ticks are given their wires: naming them needs none, so each that they ask for is another such stand-in."""

    def __getattr__(self, name: str) -> _NoContext:
        return self

    def __call__(self, *given: Any) -> _NoContext:
        return self


def _settings(url: str, service: str, parts: Parts) -> tuple[Settings, int]:
    with psycopg.connect(url) as connection:
        events = [store.decoded(bytes(raw)) for (raw,) in connection.execute(SETTINGS, [f"{service}/settings"]).fetchall()]
    return Settings(parts.kinds, cast("list[Any]", events)), len(events)


def _days(first: datetime, last: datetime) -> Iterator[Any]:
    """Yield the days from those before the first event to one after the last one's: a sweep of a missed day is made later, and in the east
    the next day of UTC has begun.
    """
    day = first.date() - timedelta(days=31)
    while day <= last.date() + timedelta(days=1):
        yield day
        day += timedelta(days=1)
