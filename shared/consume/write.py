"""Records into the ledger: passing errors are waited out, and a record that breaks the code is found and parked alone."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

import structlog
from psycopg import Error
from psycopg.errors import LockNotAvailable

from shared.consume.reader import Lane
from shared.errors import ClockAhead, LedgerError, Misconfigured
from shared.ledger import MAX_BATCH, Batch, InboxMoved, Incoming, Trouble
from shared.ledger.failures import is_faulty, is_passing, is_too_much, reason_of
from shared.ledger.ledger import Applied, Ledger
from shared.ledger.patience import ALONE_MS, ANSWER_S, LOCK_MS
from shared.ledger.types import readable

MAX_PARKED_IN_WINDOW: Final = 100
"""Records set aside as foreign, unknown or poison within the window, after which the consumer stops: the fault is not one record's."""
PARK_WINDOW_S: Final = 60.0
BACK_OFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before trying again; the last one is repeated."""
CANCELLED: Final = "57014"
CANCELLED_TRIES: Final = 3
"""Times that a statement may be cancelled (a timeout) before its batch is bisected."""

log = structlog.get_logger(__name__)
Place = tuple[str, int]


class TooManyParked(LedgerError):
    """So many records were set aside in a short time that the fault is not theirs."""

    def __init__(self, parked: int, reason: str) -> None:
        super().__init__(
            f"{parked} records were parked within {PARK_WINDOW_S:.0f} s, the last one because: {reason}. Find out why before the service "
            f"starts again (`cairn park list`); afterwards `cairn park retry` takes them up in order"
        )


class Unparkable(LedgerError):
    """A record can be neither handled nor set aside. Nothing that it holds leads here: the installation or this release is at fault."""

    def __init__(self, record: Incoming, reason: str) -> None:
        super().__init__(
            f"the record at offset {record.kafka_offset} of {record.source}, partition {record.partition}, cannot be parked: {reason}"
        )


class Impatient(Exception):
    """A passing error lasts so long that Kafka would give the partitions away, somebody holds one of them locked, and the records of the
    others are applied, or a batch was too much for one transaction: poll again, from the inbox.
    """


class Stopping(Exception):
    """The service stops: what is not committed is read again after the next start."""


class _Poison(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Writer:
    """Applies records to a ledger."""

    def __init__(self, ledger: Ledger, stopping: asyncio.Event, patience_s: float) -> None:
        """Prepare.

        Args:
            patience_s: longest time to wait for a passing error before `Impatient`.
        """
        self._ledger, self._stopping, self._patience_s = ledger, stopping, patience_s
        self._most: dict[Place, int] = {}
        """Commands of a transaction that has records of a partition, where so many have taken too long; until they work again."""
        self._parked: deque[float] = deque()

    async def write(self, records: Sequence[Incoming], lanes: Mapping[Place, Lane]) -> None:
        """Apply records in order, in as few transactions as their commands allow. Each commit is noted in its lanes.

        Raises:
            InboxMoved: another worker moved it, or a commit of unknown outcome was one: read the inbox and the records again.
            Impatient, Stopping: the rest was not applied.
            TooManyParked, Unparkable, LedgerError, psycopg.Error: the consumer must stop.
        """
        rest, held = list(records), set[Place]()
        while rest:
            count = _count_of_first(rest, self._most)
            chunk, rest = rest[:count], rest[count:]
            now_held = await self._apply(chunk, lanes)
            if now_held:  # Later records of these must wait for those before them; all others go on.
                held |= now_held
                rest = [record for record in rest if _place(record) not in now_held]
        if held:
            raise Impatient(f"somebody holds locked: {', '.join(f'partition {number} of {source}' for source, number in sorted(held))}")

    async def _apply(self, records: Sequence[Incoming], lanes: Mapping[Place, Lane], lock_ms: int = LOCK_MS) -> set[Place]:
        """Apply records in one transaction; in halves, where one of them breaks it; by partitions, where somebody holds one of these.

        Returns:
            The partitions that are held; none of their records that are left was applied.
        """
        began = time.monotonic()
        try:
            applied = await self._patiently(records, lanes, lock_ms)
        except LockNotAvailable:
            places = dict.fromkeys(map(_place, records))
            return set(places) if len(places) == 1 else await self._by_partition(records, places, lanes)
        except _Poison as poison:
            if len(records) > 1:
                middle = len(records) // 2
                held = await self._apply(records[:middle], lanes, lock_ms)
                later = [record for record in records[middle:] if _place(record) not in held]
                return held | await self._apply(later, lanes, lock_ms) if later else held
            if records[0].trouble is None:
                return await self._apply([replace(records[0], asks=(), trouble=Trouble.POISON, reason=poison.reason)], lanes, lock_ms)
            raise Unparkable(records[0], poison.reason) from poison.__cause__
        for place, inbox in applied.inbox.items():
            lanes[place].committed(inbox)
        if self._most and time.monotonic() - began < ANSWER_S / 4:
            self._allow_more(records)
        self._count_parked(records)
        return set()

    async def _by_partition(self, records: Sequence[Incoming], places: Iterable[Place], lanes: Mapping[Place, Lane]) -> set[Place]:
        """Apply the records of each partition by themselves, and return the partitions that are still held."""
        held = set[Place]()
        for place in places:
            held |= await self._apply([record for record in records if _place(record) == place], lanes, ALONE_MS)
        return held

    def _allow_more(self, records: Sequence[Incoming]) -> None:
        """Let twice as many commands share a transaction again, where about as many as may have worked in good time."""
        asks = _asks_of(records)
        for place in set(map(_place, records)) & self._most.keys():
            if 2 * asks > self._most[place]:
                self._most[place] *= 2
                if self._most[place] >= MAX_BATCH:
                    del self._most[place]

    async def _patiently(self, records: Sequence[Incoming], lanes: Mapping[Place, Lane], lock_ms: int) -> Applied:
        places = set(map(_place, records))
        batch = Batch({place: lanes[place].inbox for place in places}, tuple(records), lock_ms)
        began = time.monotonic()
        for attempt in count():
            try:
                return await self._ledger.apply(batch)
            except (InboxMoved, LedgerError, Misconfigured, LockNotAvailable):
                raise
            except ClockAhead as error:
                reason = str(error)
            except Error as error:
                reason = reason_of(error)
                if len(records) > 1 and is_too_much(error):
                    # Late evidence is weighed among all that its learners did: the same again would take as long.
                    self._most |= dict.fromkeys(places, max(1, _asks_of(records) // 2))
                    log.warning("batch took too long and is cut", records=len(records), reason=reason)
                    raise Impatient(reason) from error
                _judge(error, attempt, any(record.asks for record in records))
            except Exception as error:
                raise _Poison(reason_of(error)) from error
            pause = BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)]
            if time.monotonic() + pause - began > self._patience_s:
                raise Impatient(reason)
            log.warning("batch is tried again", records=len(records), reason=reason, again_in_s=pause)
            await self._wait(pause)
        raise AssertionError("unreachable")

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise Stopping

    def _count_parked(self, records: Sequence[Incoming]) -> None:
        now = time.monotonic()
        for record in records:
            if record.trouble is not None:
                log.error(
                    "record parked", source=record.source, partition=record.partition, position=record.position,
                    kafka_offset=record.kafka_offset, trouble=str(record.trouble), reason=readable(record.reason),
                )  # fmt: skip
                self._parked.append(now)
                while self._parked and self._parked[0] < now - PARK_WINDOW_S:
                    self._parked.popleft()
                if len(self._parked) > MAX_PARKED_IN_WINDOW:
                    raise TooManyParked(len(self._parked), readable(record.reason))


def _judge(error: Error, attempt: int, asks: bool) -> None:
    """Return where a database error passes by itself.

    Args:
        asks: some record asks for something, which may be what takes too long; setting records aside never is.

    Raises:
        _Poison: the data is at fault.
        psycopg.Error: the program or the installation is; the consumer must stop.
    """
    if is_faulty(error) or (asks and error.sqlstate == CANCELLED and attempt + 1 >= CANCELLED_TRIES):
        raise _Poison(reason_of(error)) from error
    if not is_passing(error):
        raise error


def _place(record: Incoming) -> Place:
    return record.source, record.partition


def _asks_of(records: Sequence[Incoming]) -> int:
    return sum(len(record.asks) for record in records)


def _count_of_first(records: Sequence[Incoming], most: Mapping[Place, int]) -> int:
    """Return how many of the records share the first transaction: as many as have at most MAX_BATCH commands, or, where its partitions are
    among those in `most`, so many; a record with more stands alone."""
    asks, limit = 0, MAX_BATCH
    for number, record in enumerate(records):
        if most:
            limit = min(limit, most.get(_place(record), limit))
        if asks and asks + len(record.asks) > limit:
            return number
        asks += len(record.asks)
    return len(records)
