"""What a fault of the ledger makes of the records that are being applied."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from psycopg import OperationalError
from psycopg.errors import LockNotAvailable, QueryCanceled

from shared.consume.reader import Lane
from shared.consume.write import CANCELLED_TRIES, Impatient, Stopping, Writer
from shared.contracts.envelope import Origin, chain_start
from shared.errors import LedgerError
from shared.ledger import Batch, InboxMoved
from shared.ledger.ledger import Applied
from shared.ledger.patience import ALONE_MS, LOCK_MS, TookTooLong
from shared.ledger.types import Ask, Inbox, Incoming, Trouble
from tests.shared.wire import Copy

SOURCE = "/test/evidence"
RECORDS = [Incoming("evidence", partition, offset, b"", position=offset) for offset in range(3) for partition in (0, 1)]
LOST = OperationalError("the connection was lost")


class Failing:
    """A ledger that always fails in the same way."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.tries: list[int] = []

    async def apply(self, batch: Batch) -> Any:
        self.tries.append(len(batch.records))
        raise self.fault


def lanes() -> dict[tuple[str, int], Lane]:
    return {("evidence", n): Lane("evidence", SOURCE, Inbox("evidence", n, -1, chain_start(SOURCE, n), None)) for n in (0, 1)}


@pytest.mark.parametrize(
    ("fault", "stops", "raised"),
    [
        (InboxMoved(), False, InboxMoved),
        (LOST, False, Impatient),
        (LOST, True, Stopping),
        (LedgerError("it is over"), False, LedgerError),
        (LedgerError("it is over"), True, LedgerError),
    ],
)
async def test_a_fault_ends_the_batch_as_what_it_is(fault: Exception, stops: bool, raised: type[Exception]) -> None:
    ledger: Any = Failing(fault)
    stopping, places = asyncio.Event(), lanes()
    if stops:
        stopping.set()
    with pytest.raises(raised):
        await Writer(ledger, stopping, patience_s=60 if stops else 0).write(RECORDS, places)
    assert ledger.tries == [len(RECORDS)]
    assert {lane.inbox.position for lane in places.values()} == {-1}


class Slow:
    """A ledger that takes too long where a transaction has more than so many commands."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.sizes: list[int] = []

    async def apply(self, batch: Batch) -> Any:
        asks = sum(len(record.asks) for record in batch.records)
        self.sizes.append(asks)
        if asks > self.most:
            raise TookTooLong("60 s")
        return Applied((), 0, {place: replace(inbox, position=inbox.position + 1) for place, inbox in batch.before.items()})


async def test_a_batch_that_is_too_much_for_a_transaction_is_cut_until_it_has_worked() -> None:
    slow = Slow(3)
    ledger: Any = slow
    asks = [(Ask(Copy("a", UUID(int=n)), Origin("", ""), n),) for n in range(16)]
    records = [Incoming("evidence", 0, n, b"", position=n, asks=asked) for n, asked in enumerate(asks)]
    writer = Writer(ledger, asyncio.Event(), patience_s=60)
    for _ in range(3):  # The subscriber polls again each time.
        with pytest.raises(Impatient):
            await writer.write(records, lanes())
    await writer.write(records, lanes())
    assert slow.sizes == [16, 8, 4, *[2] * 8]
    slow.most, slow.sizes = 16, []
    await writer.write(records, lanes())
    assert slow.sizes == [16], "later ones are whole again"


async def test_what_is_only_set_aside_is_waited_for_however_often_that_takes_too_long() -> None:
    """A statement that is cancelled says nothing of a record that asks for nothing."""
    ledger: Any = Failing(QueryCanceled("canceling statement due to statement timeout"))
    parked = Incoming("evidence", 0, 0, b"", trouble=Trouble.FOREIGN, reason="none of ours")
    with pytest.raises(Impatient):
        await Writer(ledger, asyncio.Event(), patience_s=0.5).write([parked], lanes())
    assert len(ledger.tries) > CANCELLED_TRIES


class Held:
    """A ledger of which somebody holds one partition."""

    def __init__(self, partition: int) -> None:
        self.held = partition
        self.applied: list[tuple[int, int]] = []
        self.waits: list[int] = []

    async def apply(self, batch: Batch) -> Applied:
        self.waits.append(batch.lock_ms)
        if self.held in {partition for _, partition in batch.before}:
            raise LockNotAvailable("canceling statement due to lock timeout")
        self.applied += [(record.partition, record.kafka_offset) for record in batch.records]
        last = {(record.source, record.partition): record.kafka_offset for record in batch.records}
        return Applied((), 0, {place: Inbox(*place, offset, "", offset + 1) for place, offset in last.items()})


async def test_a_partition_that_somebody_holds_holds_up_no_other() -> None:
    ledger: Any = Held(1)
    places = lanes()
    with pytest.raises(Impatient):
        await Writer(ledger, asyncio.Event(), patience_s=60).write(RECORDS, places)
    assert ledger.applied == [(0, 0), (0, 1), (0, 2)]
    assert {lane.partition: lane.inbox.position for lane in places.values()} == {0: 2, 1: -1}
    assert ledger.waits == [LOCK_MS, ALONE_MS, ALONE_MS], "once for all, once for each"


async def test_a_held_partition_alone_is_left_for_another_poll() -> None:
    ledger: Any = Held(1)
    with pytest.raises(Impatient):
        await Writer(ledger, asyncio.Event(), patience_s=60).write([each for each in RECORDS if each.partition == 1], lanes())
    assert ledger.waits == [LOCK_MS]
