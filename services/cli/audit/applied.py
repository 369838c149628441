"""I3 and I4: every subscriber applied every position of every partition in order, and nothing that no ledger holds.

An inbox that stands at a position proves only that somebody moved it there. So every event that a service has a use for must have led to
something, or be set aside, or ask for what changes nothing: then the question is put again, to the state of that time. What was taken up
again after it was set aside must have led to something, too, or change nothing at its place or by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import islice
from typing import Any, Final
from uuid import UUID

import psycopg

from services.cli.audit.book import SERVICES, Book, number_of, place
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation, heard_by
from services.cli.verify import parts_of
from shared.contracts.envelope import Recorded, chain_start
from shared.decider import Refusal
from shared.ledger import store
from shared.replay import Settings
from shared.serve import all_deciders

ASKED: Final = 200
"""Events that are asked again at once."""

KNOWN: Final = """
        AND NOT EXISTS (SELECT 1 FROM hole h WHERE h.service = c.service AND h.partition = c.partition AND h.position < c.position
            AND e.at <= h.at)"""
"""Leaves out effects of events that were lost in a recorded hole, where the source told them again behind it."""

OVER: Final = """
    SELECT i.service, i.source, i.partition, i.position, l.length FROM inbox i
    JOIN lane l ON l.service = i.source AND l.partition = i.partition WHERE i.position >= l.length"""
TOO_FAR: Final = "SELECT service, partition, published, length FROM lane WHERE published > length ORDER BY service, partition"
HEADS: Final = """
    SELECT i.service, i.source, i.partition, i.position, i.head, lower(hex(e.hash)) FROM inbox i
    JOIN event e ON e.service = i.source AND e.partition = i.partition AND e.position = i.position"""
BEGUN: Final = "SELECT service, source, partition, head FROM inbox WHERE position = -1"
EFFECTS: Final = f"""
    SELECT e.service, e.partition, e.position, c.service, c.partition, c.position FROM event e JOIN event c ON c.id = e.cause
    WHERE c.service <> e.service AND NOT EXISTS (
        SELECT 1 FROM aside s WHERE s.service = e.service AND s.source = c.service AND s.partition = c.partition
            AND s.position = c.position)
        {KNOWN}
    ORDER BY e.service, e.partition, e.position"""  # noqa: S608 - our own words
AHEAD: Final = f"""
    SELECT e.service, e.partition, e.position, c.service, c.partition, c.position FROM event e JOIN event c ON c.id = e.cause
    LEFT JOIN inbox i ON i.service = e.service AND i.source = c.service AND i.partition = c.partition
    WHERE c.service <> e.service AND c.position > coalesce(i.position, -1) {KNOWN}"""  # noqa: S608 - our own words
SILENT: Final = """
    SELECT c.partition, c.position, EXISTS (SELECT 1 FROM aside s WHERE s.service = i.service AND s.source = c.service
        AND s.partition = c.partition AND s.position = c.position)
    FROM event c JOIN inbox i ON i.service = ? AND i.source = c.service AND i.partition = c.partition
    WHERE c.service = ? AND c.type IN (SELECT number FROM type WHERE name IN ({names})) AND c.position <= i.position
        AND NOT EXISTS (SELECT 1 FROM event e WHERE e.cause = c.id AND e.service = i.service)
        AND NOT EXISTS (SELECT 1 FROM aside s WHERE s.service = i.service AND s.source = c.service AND s.partition = c.partition
            AND s.position = c.position AND (s.open OR s.gone))
    ORDER BY c.partition, c.position"""
"""What led to nothing and is not set aside any more, or never was; and whether it was."""
CAUSE: Final = "SELECT service, partition, position FROM event WHERE id = ?"
STORED: Final = """
    SELECT e.bytes FROM event e JOIN jsonb_to_recordset(%s) AS r(partition int, position bigint) USING (partition, position)"""
STREAMS: Final = "SELECT stream, bytes FROM event WHERE stream = ANY(%s) ORDER BY stream, version"
SETTINGS: Final = "SELECT bytes FROM event WHERE stream = %s ORDER BY version"


def check_inboxes(installation: Installation, book: Book, findings: Findings) -> None:
    """I4: no inbox is beyond its source, and the hash that it holds is the source's own at that position; nor is what was published beyond
    its ledger."""
    findings.count("I4", "inboxes compared with their sources", book.number("SELECT count(*) FROM inbox"))
    over = (f"{_lane(row)} at {row[3]}, the ledger holds {row[4]}" for row in book.rows(OVER))
    findings.wrong("I4", "a service has applied more than its source's ledger holds", over)
    published = (f"{SERVICES[service]} partition {lane} to {to:,} of {length:,}" for service, lane, to, length in book.rows(TOO_FAR))
    findings.wrong("I4", "a service says that it published more than its ledger holds", published)
    other = [_lane(row) for row in book.rows(HEADS) if row[4] != row[5]]
    starts = ((row, chain_start(f"/{installation.name}/{SERVICES[row[1]]}", row[2])) for row in book.rows(BEGUN))
    other += [_lane(row) for row, start in starts if row[3] != start]
    findings.wrong("I4", "a service has applied another event than its source's ledger holds", other)


def check_order(book: Book, findings: Findings) -> None:
    """I3: effects stand in each partition in the order of their causes, and no inbox is behind what it led to."""
    last: dict[tuple[int, int, int, int], int] = {}
    inverted: list[str] = []
    count = 0
    for service, partition, position, source, lane, cause in book.rows(EFFECTS):
        count += 1
        at = service, partition, source, lane
        if cause < last.get(at, -1):
            inverted.append(f"{place(service, partition, position)} after a later event than {place(source, lane, cause)}")
        last[at] = max(cause, last.get(at, -1))
    findings.count("I3", "effects in the order of their causes", count)
    findings.wrong("I3", "an earlier event was applied after a later one", inverted)
    ahead = (f"{place(s, p, n)} follows from {place(source, lane, cause)}" for s, p, n, source, lane, cause in book.rows(AHEAD))
    findings.wrong("I3", "a service holds the effect of an event that its inbox has not applied", ahead)


def check_gaps(installation: Installation, book: Book, findings: Findings) -> None:
    """I3: what was heard and led to nothing would have changed nothing, either."""
    for service in installation.services:
        for source in heard_by(service):
            if source in installation.urls:
                _check_silent(installation, service, source, book, findings)


def _check_silent(installation: Installation, service: str, source: str, book: Book, findings: Findings) -> None:
    subscription = parts_of(service).subscription
    names = ", ".join(f"'{event.TYPE}'" for event in subscription.events) if subscription else "''"
    places = book.rows(SILENT.format(names=names), number_of(service), number_of(source))
    skipped: list[str] = []
    count = 0
    urls = installation.urls
    with psycopg.connect(urls[source], autocommit=True) as told, psycopg.connect(urls[service], autocommit=True) as held:
        asker = _Asker(service, held, book)
        while some := list(islice(places, ASKED)):
            count += len(some)
            wanted = store.rows_json({"partition": partition, "position": position} for partition, position, _ in some)
            events = [store.decoded(bytes(raw)) for (raw,) in told.execute(STORED, [wanted]).fetchall()]
            again = {(partition, position) for partition, position, was_aside in some if was_aside}
            skipped += [place(number_of(source), event.partition, event.position) for event in asker.missed(events, again)]
    findings.count("I3", f"{service}: events of {source} that led to nothing, asked again", count)
    findings.wrong("I3", f"{service}: moved past an event that it never applied", skipped)


class _Asker:
    """Asks a service again about events of others, on the state that its streams had when it passed them."""

    def __init__(self, service: str, connection: psycopg.Connection[Any], book: Book) -> None:
        parts = parts_of(service)
        assert parts.subscription is not None
        self._commands_for = parts.subscription.commands_for
        self._deciders = {decider.kind: decider for decider in all_deciders(parts)}
        self._connection, self._book = connection, book
        events = [store.decoded(bytes(raw)) for (raw,) in connection.execute(SETTINGS, [f"{service}/settings"]).fetchall()]
        self._settings = Settings(parts.kinds, events)
        self._versions = len(events)

    def missed(self, events: Sequence[Recorded[Any]], again: Set[tuple[int, int]]) -> Iterator[Recorded[Any]]:
        """Yield the events whose commands would have led to something; `again` are the places of those that were taken up again."""
        asked = [(event, command) for event in events for command in self._commands_for(event)]
        streams: dict[str, list[Recorded[Any]]] = {command.stream.name: [] for _, command in asked}
        for stream, raw in self._connection.execute(STREAMS, [list(streams)]).fetchall():
            streams[stream].append(store.decoded(bytes(raw)))
        told: set[str] = set()
        for event, command in asked:
            stream = streams[command.stream.name]
            moments = {self._passed(event, stream)}
            if (event.partition, event.position) in again:  # Nobody wrote down where the stream stood then: no earlier, no later.
                moments.add(len(stream))
            if event.id not in told and all(self._answers(command, stream, moment) for moment in moments):
                told.add(event.id)
                yield event

    def _answers(self, command: Any, stream: Sequence[Recorded[Any]], moment: int) -> bool:
        """Return whether a command would have led to something when the stream had so many events."""
        decider = self._deciders[command.stream.kind]
        before = list(stream[:moment])
        later = stream[len(before)] if len(before) < len(stream) else None
        state = decider.fold(each.data for each in before)
        history = before if decider.needs_history(command, state) else ()
        decided = decider.decide(command, state, self._settings.at(later.settings if later else self._versions), history)
        return bool(decided) and not isinstance(decided, Refusal)

    def _passed(self, event: Recorded[Any], stream: Sequence[Recorded[Any]]) -> int:
        """Return how many events the stream had when the service passed this event: up to the first effect of a later one of its lane."""
        source = number_of(event.service)
        for count, each in enumerate(stream):
            for service, partition, position in self._book.rows(CAUSE, UUID(each.causation).bytes):
                if (service, partition) == (source, event.partition) and position > event.position:
                    return count
        return len(stream)


def _lane(row: Sequence[Any]) -> str:
    return f"{SERVICES[row[0]]} of {SERVICES[row[1]]} partition {row[2]}"
