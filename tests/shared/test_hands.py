"""Which records of polls are under way side by side, and which wait for which."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from shared.consume.hands import Hands

PARTITIONS = 4
POLL = 4 * PARTITIONS


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int


def poll(number: int, each: int = 4) -> list[Record]:
    return [Record(partition, number * each + n) for partition in range(PARTITIONS) for n in range(each)]


class Carrier:
    """Carries each group only when it is let go, and notes what it carried and how many were under way."""

    def __init__(self) -> None:
        self.carried: list[Record] = []
        self.under_way: list[set[int]] = []
        self.most = 0
        self.gates = {odd: asyncio.Semaphore(0) for odd in (0, 1)}

    async def __call__(self, records: Sequence[Record]) -> None:
        kinds = {record.partition % 2 for record in records}
        assert all(not kinds & other for other in self.under_way), "the records of a partition are never in two groups under way"
        self.under_way.append(kinds)
        self.most = max(self.most, len(self.under_way))
        for kind in kinds:
            await self.gates[kind].acquire()
        self.carried += records
        self.under_way.remove(kinds)

    def let_go(self, odd: int, times: int = 1) -> None:
        for _ in range(times):
            self.gates[odd].release()


async def idle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def in_order(carried: Sequence[Record]) -> bool:
    offsets = [[record.offset for record in carried if record.partition == partition] for partition in range(PARTITIONS)]
    return all(of == sorted(of) for of in offsets)


async def test_many_are_carried_in_two_groups_and_the_next_poll_is_read_meanwhile() -> None:
    hands, carrier = Hands(POLL), Carrier()
    await hands.take(poll(0), carrier)
    await idle()
    assert carrier.most == 2
    second = asyncio.create_task(hands.take(poll(1), carrier))
    carrier.let_go(0)
    await idle()
    assert sorted(map(sorted, carrier.under_way)) == [[0], [1]], (
        "the even ones of the second poll do not wait for the odd ones of the first"
    )
    assert not second.done()
    carrier.let_go(0)
    carrier.let_go(1, 2)
    await second
    await hands.rest()
    assert len(carrier.carried) == 2 * POLL
    assert in_order(carrier.carried)


async def test_few_are_carried_behind_all_others_and_are_done_when_it_returns() -> None:
    hands, carrier = Hands(4 * POLL), Carrier()
    await hands.take(poll(0, 8), carrier)
    few = asyncio.create_task(hands.take(poll(1, 1), carrier))
    carrier.let_go(0, 2)
    await idle()
    assert {record.partition % 2 for record in carrier.carried} == {0}
    carrier.let_go(1)
    await idle()
    assert not few.done()
    carrier.let_go(1)
    await few
    assert len(carrier.carried) == 8 * PARTITIONS + PARTITIONS


async def test_whoever_waits_may_be_cancelled_and_what_is_under_way_goes_on() -> None:
    hands, carrier = Hands(POLL), Carrier()
    await hands.take(poll(0), carrier)
    await idle()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await hands.rest()
    carrier.let_go(0)
    carrier.let_go(1)
    await hands.rest()
    await idle()
    assert len(carrier.carried) == POLL


@pytest.mark.parametrize("partition", [0, 1])
async def test_of_one_kind_alone_the_next_poll_waits_for_the_one_before(partition: int) -> None:
    hands, carrier = Hands(POLL), Carrier()
    await hands.take([record for record in poll(0, 8) if record.partition == partition], carrier)
    second = asyncio.create_task(hands.take([record for record in poll(1, 8) if record.partition == partition], carrier))
    await idle()
    assert carrier.most == 1
    carrier.let_go(partition, 2)
    await second
    await hands.rest()
    assert [record.offset for record in carrier.carried] == list(range(16))
