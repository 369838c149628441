"""What is set aside: listed, shown, taken up again in order, or discarded with a reason.

Each step locks the inbox row of its source and partition first, as the live reader does: so neither overtakes the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from shared.contracts.envelope import Header
from shared.errors import BadInput, NotFound
from shared.ledger.failures import is_faulty, reason_of
from shared.ledger.ledger import Ledger
from shared.ledger.patience import connected
from shared.ledger.store import BLOCKED
from shared.ledger.turn import Turn
from shared.ledger.types import Ask, Connection, Trouble, readable

MAX_STEP: Final = 100
"""Records of one key that are taken up in one transaction."""
MAX_LISTED: Final = 1_000
MAX_WHY: Final = 500
"""Characters of the reason for which a record is discarded."""

COLUMNS: Final = "id, source, partition, position, kafka_offset, key, trouble, reason, attempts, parked_at, resolved_at, resolution"
LIST: Final = f"SELECT {COLUMNS} FROM parked WHERE resolved_at IS NULL AND id > %s ORDER BY id LIMIT %s"  # noqa: S608 - our own columns
COUNT: Final = "SELECT count(*) FROM parked WHERE resolved_at IS NULL"
SHOW: Final = f"SELECT {COLUMNS} FROM parked WHERE id = %s"  # noqa: S608
BYTES: Final = "SELECT bytes FROM parked WHERE id = %s"
LOCK_INBOX: Final = "SELECT 1 FROM inbox WHERE source = %s AND partition = %s FOR UPDATE"
QUEUE: Final = f"""
    SELECT {COLUMNS} FROM parked WHERE source = %s AND partition = %s AND key = %s AND trouble = ANY(%s) AND resolved_at IS NULL
    ORDER BY position LIMIT %s"""  # noqa: S608
STILL: Final = f"SELECT {COLUMNS} FROM parked WHERE id = %s AND resolved_at IS NULL"  # noqa: S608
RESOLVE: Final = "UPDATE parked SET resolved_at = now(), resolution = %s, attempts = attempts + %s WHERE id = %s AND resolved_at IS NULL"
AGAIN: Final = """
    UPDATE parked SET attempts = attempts + 1, trouble = CASE WHEN trouble = ANY(%s) THEN %s ELSE trouble END, reason = %s
    WHERE id = %s AND resolved_at IS NULL"""
"""What blocked nothing blocks nothing by being taken up in vain: later records of its key were applied long ago."""

AsksOf = Callable[[Header, int], tuple[tuple[Ask, ...], Trouble | None, str]]
"""From an envelope and a number to its asks, or to the trouble with it and the reason: `Inward.asks`."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that was set aside. Its bytes are sealed; `shown` opens them."""

    id: int
    source: str
    partition: int
    position: int | None
    kafka_offset: int
    key: str
    trouble: str
    reason: str
    attempts: int
    parked_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    """What became of it, once it is resolved."""

    @property
    def blocks(self) -> bool:
        """Whether later records of its key wait behind it."""
        return self.trouble in BLOCKED


@dataclass
class Retried:
    """What taking up again came to."""

    applied: int = 0
    refused: int = 0
    """Taken up, and refused by a decider: they stay parked, and nothing waits behind them any more."""
    stuck: list[Parked] = field(default_factory=list)
    """Records that fail as before; what waits behind them waits on."""


class _Stuck(Exception):
    def __init__(self, record: Parked, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.record, self.trouble, self.reason = record, trouble, reason


async def listed(pool: AsyncConnectionPool[Any], after: int = 0, limit: int = 100) -> list[Parked]:
    """Return parked records that are not resolved, by id, from behind `after` on; at most 1,000."""
    async with connected(pool) as connection:
        return await _read(connection, LIST, after, min(limit, MAX_LISTED))


async def unresolved(pool: AsyncConnectionPool[Any]) -> int:
    """Return how many parked records are not resolved."""
    async with connected(pool) as connection:
        row = await (await connection.execute(COUNT)).fetchone()
    return int(row[0]) if row else 0


async def shown(pool: AsyncConnectionPool[Any], id: int, unseal: Callable[[bytes], bytes]) -> tuple[Parked, bytes]:
    """Return a parked record and the bytes it was read as.

    Raises:
        NotFound: there is none of this id.
        Unreadable: it was sealed under another parking key.
    """
    async with connected(pool) as connection:
        record = await _one(connection, SHOW, id)
        return record, await _bytes(connection, id, unseal)


async def discard(pool: AsyncConnectionPool[Any], id: int, why: str) -> Parked:
    """Set a record aside for good. What waits behind it is taken up by the next `retry`.

    Raises:
        NotFound: there is none of this id that is not resolved, also where it was taken up meanwhile.
        BadInput: the reason is missing or too long.
    """
    if not why.strip() or len(why) > MAX_WHY:
        raise BadInput(f"say why the record is discarded, in at most {MAX_WHY} characters")
    async with connected(pool) as connection, connection.transaction():
        place = await _one(connection, SHOW, id)  # It never changes; what became of the record is known under the lock alone.
        await connection.execute(LOCK_INBOX, [place.source, place.partition])
        record = await _one(connection, STILL, id)
        await connection.execute(RESOLVE, [f"discarded: {readable(why.strip())}", 0, id])
    return record


async def retry(ledger: Ledger, asks_of: AsksOf, unseal: Callable[[bytes], bytes], ids: Sequence[int] | None = None) -> Retried:
    """Take parked records up again, each key's in order until one fails as before. Safe to repeat, and while the service runs.

    Args:
        asks_of: from an envelope to what this release does about it.
        ids: those to take up, each with all that lie in its key's queue; None for all but foreign ones, which only `discard` resolves.

    Raises:
        NotFound: one of the ids is not parked, or resolved.
        BadInput: one of the ids is a foreign record.
        LedgerError, psycopg.Error: for what no record is at fault; what was taken up before stays taken up.
    """
    result = Retried()
    for first in await _firsts(ledger.pool, ids):
        most = MAX_STEP
        while most:
            try:
                taken = await _step(ledger, asks_of, unseal, first, most, result)
                most = most if taken and first.blocks else 0
            except _Stuck as stuck:
                if most > 1:
                    most = 1  # One of them: from here on each for itself.
                    continue
                async with connected(ledger.pool) as connection:
                    await _again(connection, stuck.record, stuck.trouble, stuck.reason)
                result.stuck.append(stuck.record)
                most = 0
    return result


async def _firsts(pool: AsyncConnectionPool[Any], ids: Sequence[int] | None) -> list[Parked]:
    """Return what is to be taken up: a record of each queue that is asked for, and each refused record."""
    async with connected(pool) as connection:
        if ids is not None:
            chosen = [await _one(connection, STILL, id) for id in ids]
        else:
            chosen, after = [], 0
            while page := await _read(connection, LIST, after, MAX_LISTED):
                chosen, after = [*chosen, *(record for record in page if record.trouble != Trouble.FOREIGN)], page[-1].id
    firsts: dict[tuple[Any, ...], Parked] = {}
    for record in chosen:
        if record.trouble == Trouble.FOREIGN:
            raise BadInput(f"parked record {record.id} is not one of our envelopes: look at it with `show`, then `discard` it")
        firsts.setdefault((record.source, record.partition, record.key) if record.blocks else (record.id,), record)
    return list(firsts.values())


async def _step(
    ledger: Ledger, asks_of: AsksOf, unseal: Callable[[bytes], bytes], first: Parked, most: int, result: Retried
) -> int:  # fmt: skip
    """Take up the next records of a queue in one transaction; return how many, none where the queue is empty.

    Raises:
        _Stuck: one of them fails as before; nothing was done.
    """
    started = time.perf_counter()
    async with connected(ledger.pool) as connection, connection.transaction():
        await connection.execute(LOCK_INBOX, [first.source, first.partition])
        if first.blocks:
            records = await _read(connection, QUEUE, first.source, first.partition, first.key, BLOCKED, most)
        else:
            records = await _read(connection, STILL, first.id)
        asks: list[Ask] = []
        for number, record in enumerate(records):
            asks.extend(_asks(record, await _bytes(connection, record.id, unseal), asks_of, number))
        turn = await decide(ledger, connection, asks, records)
        refusals = {answer.ask.record: answer.refusal for answer in (turn.answers if turn else ()) if answer.refusal}
        for number, record in enumerate(records):
            refusal = refusals.get(number)
            if refusal is None:
                await connection.execute(RESOLVE, ["taken up again", 1, record.id])
            else:
                await _again(connection, record, Trouble.REFUSED, f"{refusal.code}: {refusal.detail}")
    ledger.committed(turn, time.perf_counter() - started)
    result.refused += len(refusals)
    result.applied += len(records) - len(refusals)
    return len(records)


def _asks(record: Parked, raw: bytes, asks_of: AsksOf, number: int) -> Sequence[Ask]:
    """Return what a record asks for.

    Raises:
        _Stuck: this release cannot say, or no longer takes it for an envelope.
    """
    try:
        header = Header.read(raw)
    except ValueError as error:
        raise _Stuck(record, Trouble.POISON, str(error)) from None
    asks, trouble, reason = asks_of(header, number)
    if trouble is not None:
        raise _Stuck(record, trouble, reason)
    return asks


async def _again(connection: Connection, record: Parked, trouble: Trouble, reason: str) -> None:
    await connection.execute(AGAIN, [BLOCKED, str(trouble), readable(reason), record.id])


async def decide(ledger: Ledger, connection: Connection, asks: Sequence[Ask], records: Sequence[Parked]) -> Turn | None:
    """Decide and write the asks of these records; all partitions are locked, which spares guessing."""
    try:
        return await ledger.decide(connection, asks, lock_all=True) if asks else None
    except Exception as error:
        if not is_faulty(error):
            raise
        raise _Stuck(records[0], Trouble.POISON, reason_of(error)) from error


async def _read(connection: Connection, statement: LiteralString, *values: Any) -> list[Parked]:
    async with connection.cursor(row_factory=class_row(Parked)) as cursor:
        return await (await cursor.execute(statement, values)).fetchall()


async def _one(connection: Connection, statement: LiteralString, id: int) -> Parked:
    found = await _read(connection, statement, id)
    if not found:
        raise NotFound(f"no parked record {id}: `cairn park list` names those that are not resolved")
    return found[0]


async def _bytes(connection: Connection, id: int, unseal: Callable[[bytes], bytes]) -> bytes:
    row = await (await connection.execute(BYTES, [id])).fetchone()
    if row is None:
        raise NotFound(f"no parked record {id}")
    return unseal(bytes(row[0]))
