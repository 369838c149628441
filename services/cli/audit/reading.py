"""One pass over each ledger: the chain is walked, and what the invariants need goes into the workbook.

How a record stands is read in one short transaction. What is below the lengths of then never changes, and is read in pages behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg

from services.cli.audit.book import Book, number_of
from services.cli.audit.facts import facts_of
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation, heard_by
from shared.contracts.envelope import Header, canonical, digest
from shared.contracts.ledger import hole_before
from shared.ledger import read
from shared.replay import ChainWalk

SHORT: Final = 8
"""Bytes of a hash where two of one place are compared, not found among all."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = datetime.resolution

TOLD_AT: Final = """to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""As it stands in events. As text, since a time that was tampered with need not be one that Python knows."""
LANES: Final = "SELECT p.id, p.length, p.head, q.position FROM partition p JOIN published q ON q.partition = p.id ORDER BY p.id"
INBOX: Final = "SELECT source, partition, position, head FROM inbox"
PARKED: Final = """
    SELECT source, partition, position, resolved_at IS NULL, coalesce(starts_with(resolution, 'discarded'), false) FROM parked"""
EVENTS: Final = f"position, stream, version, key, type, {TOLD_AT}, bytes"
SWEEPS: Final = "SELECT DISTINCT name FROM cursor"


@dataclass
class Standing:
    """How a service's record stood at the instant that is looked at, beside what went into the workbook."""

    lengths: dict[int, int]
    published: dict[int, int]
    sweeps: set[str]
    """Names of the sweeps that were begun."""
    releases: set[str] = field(default_factory=set)
    """Releases of the code that its events name."""
    first_at: datetime | None = None
    last_at: datetime | None = None


def read_all(installation: Installation, book: Book, findings: Findings) -> dict[str, Standing]:
    """Read every ledger into the workbook. Readers are read before their sources: what was applied then has a cause that is read later."""
    found = {service: _read(installation, service, book, findings) for service in installation.services}
    book.index()
    return found


def _read(installation: Installation, service: str, book: Book, findings: Findings) -> Standing:
    with psycopg.connect(installation.urls[service], autocommit=True) as connection:
        connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        with connection.transaction():
            lanes = connection.execute(LANES).fetchall()
            outside = connection.execute(read.OUTSIDE, {"most": read.FETCH}).fetchall()
            sweeps = {str(name) for (name,) in connection.execute(SWEEPS).fetchall()}
            standing = Standing({row[0]: row[1] for row in lanes}, {row[0]: row[3] for row in lanes}, sweeps)
            _put_standing(connection, service, standing, book)
        broken: list[Any] = []
        otherwise: list[str] = []
        for number, length, head, _ in lanes:
            chain = ChainWalk(f"/{installation.name}/{service}", number, len(lanes))
            reader = _Reader(service, number, book, standing, chain)
            for rows in read.pages(connection, EVENTS, number, length):
                reader.take(rows)
            otherwise += reader.otherwise
            broken += chain.end(length, head)
        findings.wrong("I6", f"{service}: a chain is broken", broken)
        findings.wrong("I6", f"{service}: columns of the table say other than the event", otherwise)
    nowhere = (f"partition {number} position {position} ({stream}@{version})" for number, position, stream, version in outside)
    findings.wrong("I6", f"{service}: events that no partition counts", nowhere)
    held = book.number("SELECT count(*) FROM event WHERE service = ?", number_of(service))
    findings.count("I6", f"{service}: events in the ledger", held)
    findings.count("I6", f"{service}: chains walked", len(lanes))
    lost = book.number("SELECT sum(lost) FROM hole WHERE service = ?", number_of(service))
    if lost:
        findings.count("I6", f"{service}: events lost in holes that were recorded", lost)
    return standing


def _put_standing(connection: psycopg.Connection[Any], service: str, standing: Standing, book: Book) -> None:
    me = number_of(service)
    book.put("lane", ((me, number, length, standing.published[number]) for number, length in standing.lengths.items()))
    heard = set(heard_by(service))
    inbox = connection.execute(INBOX).fetchall()
    book.put("inbox", ((me, number_of(source), *rest) for source, *rest in inbox if source in heard))
    parked = connection.execute(PARKED).fetchall()
    rows = ((me, number_of(source), partition, position, int(open), int(gone)) for source, partition, position, open, gone in parked)
    book.put("aside", rows)


class _Reader:
    """Takes one partition's events, in order."""

    def __init__(self, service: str, number: int, book: Book, standing: Standing, chain: ChainWalk) -> None:
        self._service, self._me, self._number = service, number_of(service), number
        self._book, self._standing, self._chain = book, standing, chain
        self.otherwise: list[str] = []

    def take(self, rows: list[Any]) -> None:
        events, acts, told, facts, holes = [], list[Any](), list[Any](), list[Any](), list[Any]()
        for position, stream, version, key, type_name, at, raw in rows:
            try:
                header = Header.read(raw)
                row = self._row(position, header, raw)
            except (ValueError, KeyError, TypeError):
                self._chain.take(position, raw)
                self.otherwise.append(f"partition {self._number} position {position} is no event")
                continue
            self._chain.follow(position, header, row[9].hex())
            a = header.attributes
            if (a["stream"], a["streamversion"], a["partitionkey"], a["type"], a["time"]) != (stream, version, key, type_name, at):
                self.otherwise.append(f"partition {self._number} position {position}")
            events.append(row)
            hole = hole_before(header)
            if hole is not None:
                holes.append((self._me, self._number, position, hole.after - hole.first + 1, row[8]))
            try:
                _acts(header, self._number, acts, told)
                facts += facts_of(header)
            except (LookupError, TypeError, ValueError, AttributeError):
                self.otherwise.append(f"partition {self._number} position {position} does not fit its type")
        self._book.put("event", events)
        self._book.put("act", acts)
        self._book.put("told", told)
        self._book.put("fact", facts)
        self._book.put("hole", holes)

    def _row(self, position: int, header: Header, raw: bytes) -> tuple[Any, ...]:
        a, standing = header.attributes, self._standing
        at = datetime.fromisoformat(a["time"])
        standing.releases.add(a["release"])
        standing.first_at = at if standing.first_at is None or at < standing.first_at else standing.first_at
        standing.last_at = at if standing.last_at is None or at > standing.last_at else standing.last_at
        return (
            self._me, self._number, position, UUID(a["id"]).bytes, UUID(a["causationid"]).bytes, UUID(a["correlationid"]).bytes,
            self._book.type_number(a["type"]), _short_number(a["stream"]), (at - _EPOCH) // _MICROSECOND,
            bytes.fromhex(digest(raw)), _short(a["data"]),
        )  # fmt: skip


def _short(value: Any) -> bytes:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=SHORT).digest()


def _short_number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=SHORT).digest(), "big", signed=True)


def _acts(header: Header, partition: int, acts: list[Any], told: list[Any]) -> None:
    """Note what an event does with an act: accepts, disputes, grades again, amends, records or counts it.

    `copy` is a hash of what it says that it means.
    """
    data: Mapping[str, Any] = header.attributes["data"]
    match header.event_type:
        case "evidence.accepted.v1":
            act = UUID(data["act_id"]).bytes
            acts.append(("accepted", act, partition, header.position, b""))
            told.append((act, data["alias"], UUID(data["item_id"]).bytes, data["occurred_at"]))
        case "evidence.conflicted.v1":
            acts.append(("conflict", UUID(data["told"]["act_id"]).bytes, partition, header.position, b""))
        case "evidence.regraded.v1":
            acts.append(("regraded", UUID(data["told"]["act_id"]).bytes, partition, header.position, b""))
        case "evidence.rescored.v1" | "evidence.voided.v1":
            acts.append(("amended", UUID(data["evidence_id"]).bytes, partition, header.position, b""))
        case "evidence.recorded.v1":
            acts.append(("recorded", UUID(data["evidence_id"]).bytes, partition, header.position, _copy(data)))
        case "mastery.estimated.v1" | "mastery.re-estimated.v1" | "mastery.evidence-deferred.v1":
            seen = data.get("evidence")
            if seen:
                acts.append(("counted", UUID(seen["evidence_id"]).bytes, partition, header.position, _copy(seen)))
        case _:
            pass


def _copy(data: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(canonical(data)).digest()
