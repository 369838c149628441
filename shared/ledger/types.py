"""The words of the ledger's callers: what is asked, what was answered, and what is projected from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final

from psycopg import AsyncConnection

from shared.contracts.envelope import Event, Origin, Recorded, StreamId
from shared.decider import Command, Refusal
from shared.ledger.columns import Column
from shared.ledger.patience import LOCK_MS
from shared.parameters import Parameters

MAX_BATCH: Final = 1_000
"""Commands in one transaction."""

MAX_STEP: Final = 100
"""Streams that one step of a walk visits."""

Connection = AsyncConnection[Any]


@dataclass(slots=True)
class Ask:
    """A command and what led to it. Like an answer and a record it is made thousands of times a second and changed by nobody; frozen, it
    would cost three times as much."""

    command: Command
    origin: Origin
    record: int | None = None
    """Number, unique in its transaction, of the record or request item that it comes from; asks that `expand` adds keep it
    (`dataclasses.replace(ask, command=...)`), so that answers and parking find back. None for commands of the ticker."""
    stream: StreamId = field(init=False, compare=False, repr=False)
    """The stream whose decider answers, worked out once."""

    def __init__(self, command: Command, origin: Origin, record: int | None = None) -> None:
        """Written out, as are those below: what `dataclass` makes is never compiled."""
        self.command, self.origin, self.record = command, origin, record
        self.stream = command.stream

    def __reduce__(self) -> tuple[type[Ask], tuple[Command, Origin, int | None]]:
        """A search brings one back from another process. A compiled class is not made without its constructor's arguments."""
        return Ask, (self.command, self.origin, self.record)


@dataclass(slots=True)
class Answer:
    """What a decider said to one ask: events, now part of the record, or a refusal, which left no trace."""

    ask: Ask
    events: tuple[Recorded[Any], ...]
    refusal: Refusal | None

    def __init__(self, ask: Ask, events: tuple[Recorded[Any], ...] = (), refusal: Refusal | None = None) -> None:
        self.ask, self.events, self.refusal = ask, events, refusal


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Projection:
    """How events become rows of one read table. One statement per batch; repeating it changes nothing."""

    table: str
    rows: Callable[[Recorded[Any]], Iterable[Row]]
    """The rows that an event asks for, as JSON values; none for events of no concern."""
    key: tuple[str, ...]
    """Columns by which rows of a batch are reduced: the last of each key wins."""
    statement: str
    """SQL with one parameter `%(rows)s`, the rows as one JSON array for `jsonb_to_recordset(%(rows)s)`; or see `columns`."""
    events: tuple[type[Event], ...] = ()
    """The only classes that `rows` has rows for; none: it is asked about all."""
    halves: bool = False
    """Different events tell different columns of a row: within a batch, rows of one key are put together."""
    columns: Mapping[str, type[Column]] | None = None
    """For a table that gets a row with nearly every event: its columns by name, each a parameter of the statement, an array for
    `unnest(%(name)s, ...)`, which costs half of what JSON does. Rows then hold values that the column takes."""

    def reduced(self, events: Iterable[Recorded[Any]]) -> list[Row]:
        """Return the rows that events ask for, one for each key."""
        key_of, wanted, halves = itemgetter(*self.key), self.events, self.halves
        found: dict[Any, Row] = {}
        for event in events:
            if wanted and type(event.data) not in wanted:
                continue
            for row in self.rows(event):
                key = key_of(row)
                before = found.get(key) if halves else None
                found[key] = {**before, **row} if before else row
        return list(found.values())


def newest(
    table: str, key: tuple[str, ...], columns: Mapping[str, str], rows: Callable[[Recorded[Any]], Iterable[Row]],
    events: tuple[type[Event], ...] = (),
) -> Projection:  # fmt: skip
    """Return the projection that keeps the row of the newest version of each key.

    Args:
        columns: names and SQL types of all columns of the table but `version`, those of the key included.
    """
    typed = {**columns, "version": "bigint"}
    names = ", ".join(typed)
    updates = ", ".join(f"{name} = excluded.{name}" for name in typed if name not in key)
    definition = ", ".join(f"{name} {kind}" for name, kind in typed.items())
    statement = (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_to_recordset(%(rows)s) AS new({definition}) "  # noqa: S608 - our own names
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates} WHERE {table}.version < excluded.version"
    )
    return Projection(table, rows, key, statement, events)


Expand = Callable[[Connection, Sequence[Ask]], Awaitable[list[Ask]]]
"""What commands depend on beyond state and parameters is read here, under the partition locks, and written into the commands.
Called once before the locks, to guess the keys, and once after, to decide; it must keep the order and may add asks behind an ask."""

Prepare = Callable[[Connection], Awaitable[Sequence[Ask]]]
"""What is to be asked in a transaction, worked out inside it: it may lock, read and write what is the service's own, and nothing of the
ledger's."""

Settle = Callable[[Sequence[Ask], Parameters], Sequence[Ask]]
"""Pure. What asks become in the light of what is in force; each keeps its place and its stream."""


class Trouble(StrEnum):
    """Why a record is parked."""

    FOREIGN = "foreign"
    """Not one of our envelopes; blocks nothing."""
    REFUSED = "refused"
    """A decider refused its command; blocks nothing."""
    UNKNOWN = "unknown-type"
    """A type that this release does not know; later records of its key wait behind it."""
    POISON = "poison"
    """It broke the code; later records of its key wait behind it."""
    BEHIND = "behind"
    """It is sound, and waits behind an earlier record of its key."""


MAX_REASON: Final = 1_000
"""Characters of the reason for which a record is parked."""


def readable(reason: str) -> str:
    """Return a reason as it is kept, logged and shown: what is not printable is escaped, U+0000 and lone surrogates among it, and of a long
    one the beginning stands for it. It may quote a record: names of its fields, or what a decider says of them.

    >>> readable("data/\\x00: extra_forbidden")
    'data/\\\\x00: extra_forbidden'
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason[: MAX_REASON + 1])
    return shown if len(shown) <= MAX_REASON else f"{shown[: MAX_REASON - 3]}..."


BLOCKING: Final = (Trouble.UNKNOWN, Trouble.POISON, Trouble.BEHIND)


@dataclass(slots=True)
class Incoming:
    """One record of a batch that the reader has checked: its place, and what is to be done about it."""

    source: str
    """Service whose topic it was read from."""
    partition: int
    kafka_offset: int
    raw: bytes
    position: int | None
    """None for a foreign record: then neither position nor head move."""
    key: str
    head: str
    """Hash of this record's bytes."""
    asks: tuple[Ask, ...]
    trouble: Trouble | None
    """Set: park it in place of handling its asks."""
    reason: str

    def __init__(
        self, source: str, partition: int, kafka_offset: int, raw: bytes, position: int | None = None, key: str = "", head: str = "",
        asks: tuple[Ask, ...] = (), trouble: Trouble | None = None, reason: str = "",
    ) -> None:  # fmt: skip
        self.source, self.partition, self.kafka_offset, self.raw = source, partition, kafka_offset, raw
        self.position, self.key, self.head = position, key, head
        self.asks, self.trouble, self.reason = asks, trouble, reason


@dataclass(frozen=True, slots=True)
class Inbox:
    """How far this service has applied one partition of a source. Position -1 and offset None: nothing yet."""

    source: str
    partition: int
    position: int
    head: str
    kafka_offset: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order per source and partition, and the inbox rows they were read at."""

    before: Mapping[tuple[str, int], Inbox]
    """(source, partition) -> the inbox the reader believes in; the transaction rolls back where the table says otherwise."""
    records: tuple[Incoming, ...]
    lock_ms: int = LOCK_MS
    """Longest time to wait for a lock."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One partition's share of a sweep: commands to every stream of a kind, a few streams a step, with a cursor that survives a crash."""

    name: str
    partition: int
    kind: str
    origin: Origin
    commands: Callable[[str, Parameters], Sequence[Command]]
    """From the part of a stream's id behind its kind, and what is in force, to commands of the same key."""
    passed: frozenset[str] = frozenset()
    """Ids that a step passes by: they broke the code."""


class InboxMoved(Exception):
    """The inbox is not where the reader believed: another worker has it, or this is a repeat. Read the inbox again."""
