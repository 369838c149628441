"""How far a service whose lost events were copied back had heard the others: its inbox moves on as far as that is certain.

What a record led to names it as its cause. Where that is in the ledger again, the record was applied and must not be applied twice. A
record that asks for something and has led to nothing may have been set aside, and `parked` knows no more of it: there the inbox stays.
What follows is heard again, in order, and nothing of it is lost; commands that are repeated change nothing that stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Final
from uuid import UUID

from shared.contracts.envelope import Header, digest
from shared.contracts.topics import topic_name
from shared.errors import LedgerError
from shared.ledger import Connection, Inbox, store
from shared.ledger.park import AsksOf
from shared.relay.topics import ensure_topics
from shared.relay.walk import records

INBOX: Final = "SELECT source, partition, position, head, kafka_offset FROM inbox WHERE source = %s ORDER BY partition FOR UPDATE"
CAUSES: Final = """
    SELECT DISTINCT substring(e.bytes FROM 17 FOR 36) FROM event e JOIN jsonb_to_recordset(%s) AS b(partition int, since bigint)
    ON e.partition = b.partition AND e.position >= b.since"""
"""The canonical form begins with `{"causationid":"`, 16 bytes."""


async def causes(connection: Connection, since: Mapping[int, int]) -> set[bytes]:
    """Return the ids, 16 bytes each, of what led to the events from these positions (by partition) on."""
    wanted = store.rows_json({"partition": number, "since": position} for number, position in since.items())
    return {UUID(bytes(row[0]).decode()).bytes for row in await (await connection.execute(CAUSES, [wanted])).fetchall()}


async def move_inbox(
    connection: Connection, kafka_servers: str, prefix: str, installation: str, source: str, asks_of: AsksOf, applied: Collection[bytes]
) -> int:
    """Move the inbox of one source past the records that were certainly applied, in one transaction; return past how many.

    Args:
        source: the service that is heard.
        applied: ids of events that have led to some of ours.

    Raises:
        LedgerError: the inbox is moved by something else.
    """
    before = await _read(connection, source)
    if not before:
        return 0
    lanes = {inbox.partition: _Lane(inbox, f"/{installation}/{source}") for inbox in before}
    await ensure_topics(kafka_servers, prefix, [source], len(lanes))
    async for number, offset, raw in records(kafka_servers, topic_name(prefix, source), sorted(lanes)):
        lanes[number].read(offset, raw, asks_of, applied)
    async with connection.transaction():
        if await _read(connection, source) != before:
            raise LedgerError(f"something else hears {source} with this database: stop it, then run this again")
        moved = [asdict(lane.inbox) for lane in lanes.values() if lane.count]
        await connection.execute(store.MOVE_INBOX, [store.rows_json(moved)])
    return sum(lane.count for lane in lanes.values())


async def _read(connection: Connection, source: str) -> list[Inbox]:
    return [Inbox(*row) for row in await (await connection.execute(INBOX, [source])).fetchall()]


class _Lane:
    """One partition of the source: where its inbox may be moved to."""

    def __init__(self, inbox: Inbox, source: str) -> None:
        self.inbox, self._source = inbox, source
        self.count = 0
        self._ended = False

    def read(self, offset: int, raw: bytes, asks_of: AsksOf, applied: Collection[bytes]) -> None:
        """Move past a record, where it is the next one and was certainly applied; end where that is not certain."""
        if self._ended:
            return
        try:
            header = Header.read(raw)
            ours = (header.attributes["source"], header.attributes["partition"]) == (self._source, self.inbox.partition)
        except ValueError:
            ours = False
        if not ours:  # Set aside, before the backup or after it.
            self._ended = offset >= (self.inbox.kafka_offset or 0)
        elif header.position > self.inbox.position:
            self._ended = not self._follows(header) or not _was_applied(header, asks_of, applied)
            if not self._ended:
                self.inbox = replace(self.inbox, position=header.position, head=digest(raw), kafka_offset=offset + 1)
                self.count += 1

    def _follows(self, header: Header) -> bool:
        return (header.position, header.previous) == (self.inbox.position + 1, self.inbox.head)


def _was_applied(header: Header, asks_of: AsksOf, applied: Collection[bytes]) -> bool:
    asks, trouble, _ = asks_of(header, 0)
    if trouble is not None or len(asks) > 1:  # Of several commands one may have been refused, and the record set aside for it.
        return False
    return not asks or UUID(header.attributes["id"]).bytes in applied
