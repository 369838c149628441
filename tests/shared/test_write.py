"""What a fault of the ledger makes of the records that are being applied."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from psycopg import OperationalError
from psycopg.errors import IdleInTransactionSessionTimeout, LockNotAvailable, QueryCanceled

from shared.consume import write
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

    def __init__(self, most: int, fault: Exception | None = None) -> None:
        self.most, self.fault = most, fault or TookTooLong("60 s")
        self.sizes: list[int] = []

    async def apply(self, batch: Batch) -> Any:
        asks = sum(len(record.asks) for record in batch.records)
        self.sizes.append(asks)
        if asks > self.most:
            raise self.fault
        return Applied((), 0, {place: replace(inbox, position=inbox.position + 1) for place, inbox in batch.before.items()})


def asking(count: int, partition: int = 0) -> list[Incoming]:
    return [
        Incoming("evidence", partition, n, b"", position=n, asks=(Ask(Copy("a", UUID(int=n)), Origin("", ""), n),)) for n in range(count)
    ]


@pytest.mark.parametrize("fault", [TookTooLong("60 s"), IdleInTransactionSessionTimeout("it stood still while we worked")])
async def test_a_batch_that_is_too_much_for_a_transaction_is_cut_until_it_has_worked(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(3, fault)
    ledger: Any = slow
    writer = Writer(ledger, asyncio.Event(), patience_s=0.1)
    monkeypatch.setattr(write, "ANSWER_S", 0.0)  # What works takes nearly as long as it may.
    for _ in range(3):  # The subscriber polls again each time.
        with pytest.raises(Impatient):
            await writer.write(asking(16), lanes())
    await writer.write(asking(16), lanes())
    assert slow.sizes == [16, 8, 4, *[2] * 8]
    monkeypatch.setattr(write, "ANSWER_S", 60.0)
    slow.most, slow.sizes = 16, []
    await writer.write(asking(16), lanes())
    assert slow.sizes == [2, 4, 8, 2], "twice as many each time that was quick"
    await writer.write(asking(16), lanes())
    assert slow.sizes[4:] == [16]


async def test_what_other_partitions_do_meanwhile_gives_a_heavy_one_no_larger_batches() -> None:
    slow = Slow(6)
    ledger: Any = slow
    writer = Writer(ledger, asyncio.Event(), patience_s=60)
    for expected in (16, 8, 4):
        slow.sizes = []
        with suppress(Impatient):
            await writer.write(asking(16), lanes())
        assert slow.sizes[0] == expected
        slow.sizes = []
        for _ in range(20):
            await writer.write(asking(5, partition=1), lanes())
        assert slow.sizes == [5] * 20


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


@pytest.mark.parametrize("partition", [0, 1])
async def test_a_partition_that_somebody_holds_holds_up_no_other(partition: int) -> None:
    ledger: Any = Held(partition)
    places, other = lanes(), 1 - partition
    with pytest.raises(Impatient):
        await Writer(ledger, asyncio.Event(), patience_s=60).write(RECORDS, places)
    assert ledger.applied == [(other, 0), (other, 1), (other, 2)]
    assert {lane.partition: lane.inbox.position for lane in places.values()} == {other: 2, partition: -1}
    assert ledger.waits == [LOCK_MS, ALONE_MS, ALONE_MS], "once for all, once for each"


async def test_where_a_poll_takes_several_transactions_a_held_partition_holds_up_its_own_records_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(write, "MAX_BATCH", 4)
    ledger: Any = Held(1)
    with pytest.raises(Impatient, match="partition 1 of evidence"):
        await Writer(ledger, asyncio.Event(), patience_s=60).write([*asking(6, partition=1), *asking(6)], lanes())
    assert ledger.applied == [(0, n) for n in range(6)]
    assert ledger.waits == [LOCK_MS] * 3, "those behind the first are not tried"


async def test_a_held_partition_alone_is_left_for_another_poll() -> None:
    ledger: Any = Held(1)
    with pytest.raises(Impatient):
        await Writer(ledger, asyncio.Event(), patience_s=60).write([each for each in RECORDS if each.partition == 1], lanes())
    assert ledger.waits == [LOCK_MS]
