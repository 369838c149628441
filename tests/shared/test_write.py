"""What becomes of a poll whose two halves fail in different ways."""

import asyncio
from typing import Any

import pytest
from psycopg import OperationalError

from shared.consume.reader import Lane
from shared.consume.write import Impatient, Stopping, Writer
from shared.contracts.envelope import chain_start
from shared.errors import LedgerError
from shared.ledger import Batch, InboxMoved
from shared.ledger.ledger import Applied
from shared.ledger.types import Inbox, Incoming

SOURCE = "/test/evidence"
RECORDS = [Incoming("evidence", partition, offset, b"", position=offset) for offset in range(3) for partition in (0, 1)]


class Failing:
    """A ledger that gives each partition its own fault."""

    def __init__(self, faults: dict[int, Exception]) -> None:
        self.faults = faults
        self.ended: list[int] = []

    async def apply(self, batch: Batch) -> Any:
        ((_, partition),) = batch.before
        await asyncio.sleep(0.01 * partition)
        self.ended.append(partition)
        raise self.faults[partition]


def lanes() -> dict[tuple[str, int], Lane]:
    return {("evidence", n): Lane("evidence", SOURCE, Inbox("evidence", n, -1, chain_start(SOURCE, n), None)) for n in (0, 1)}


LOST = OperationalError("the connection was lost")
FATAL = LedgerError("it is over")


@pytest.mark.parametrize("turned", [False, True], ids=["even", "odd"])
@pytest.mark.parametrize(
    ("faults", "stops", "raised"),
    [
        ((InboxMoved(), LOST), False, Impatient),
        ((InboxMoved(), LOST), True, Stopping),
        ((InboxMoved(), FATAL), False, LedgerError),
        ((LOST, FATAL), False, LedgerError),
        ((LOST, FATAL), True, LedgerError),
    ],
)
async def test_of_two_faults_the_heavier_one_decides_and_both_halves_have_ended(
    faults: tuple[Exception, ...], stops: bool, raised: type[Exception], turned: bool
) -> None:
    ledger: Any = Failing(dict(enumerate(faults[::-1] if turned else faults)))
    stopping = asyncio.Event()
    if stops:
        stopping.set()
    with pytest.raises(raised):
        await Writer(ledger, stopping, patience_s=60 if stops else 0, at_once=len(RECORDS)).write(RECORDS, lanes())
    assert sorted(ledger.ended) == [0, 1]


class Recording:
    """A ledger that takes everything, and notes it."""

    def __init__(self) -> None:
        self.applied: list[list[tuple[int, int | None]]] = []
        self.under_way = self.most = 0

    async def apply(self, batch: Batch) -> Applied:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.01)
        self.applied.append([(record.partition, record.position) for record in batch.records])
        self.under_way -= 1
        return Applied((), 0, batch.before)


@pytest.mark.parametrize(("at_once", "halves"), [(2 * len(RECORDS) + 2, 1), (2 * len(RECORDS), 2)])
async def test_a_partition_is_never_divided_between_the_halves(at_once: int, halves: int) -> None:
    ledger: Any = Recording()
    await Writer(ledger, asyncio.Event(), patience_s=0, at_once=at_once).write(RECORDS, lanes())
    assert ledger.most == len(ledger.applied) == halves
    for partition in (0, 1):
        parts = [[position for of, position in batch if of == partition] for batch in ledger.applied]
        assert [part for part in parts if part] == [[0, 1, 2]]
