"""Time as commands, on a real PostgreSQL: no day is left out, and work that breaks holds no other work up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from shared.clock import FixedClock
from shared.decider import Command
from shared.ledger.ledger import Ledger
from shared.ledger.types import Ask, Connection
from shared.parameters import Parameters
from shared.parts import Drain, Search, Sweep
from shared.stack import ServiceDatabase
from shared.ticker import Ticker
from tests.shared.test_ledger import LEARNERS, Note, a_ledger, asks, check_chain

FIRST = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture
async def clock() -> FixedClock:
    return FixedClock(FIRST)


@pytest.fixture
async def ledger(database: Callable[[str], ServiceDatabase], clock: FixedClock) -> AsyncIterator[Ledger]:
    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, max_size=4, open=False) as pool:
        yield a_ledger(pool, clock=clock)


def ticker(ledger: Ledger, *ticks: Any) -> Ticker:
    return Ticker(ledger, ticks, lambda: ThreadPoolExecutor(1))


async def test_days_missed_since_the_very_first_are_sent_in_order(ledger: Ledger, clock: FixedClock) -> None:
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    seen: list[str] = []

    def commands(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        seen.append(today)
        return []

    sweep = Sweep("note", lambda parameters, today: f"day/{today}", commands)
    await ticker(ledger, sweep).settle()
    clock.advance(timedelta(days=3))
    await ticker(ledger, sweep).settle()  # Another process: the first one was stopped on its first day.
    assert seen == ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]


async def test_work_that_breaks_the_code_holds_no_other_work_up(ledger: Ledger) -> None:
    left = {"good-1": Note("good-1", LEARNERS[0]), "bad": Note("bad", LEARNERS[1]), "good-2": Note("good-2", LEARNERS[2])}

    async def due(connection: Connection, now: str) -> list[Command | Ask]:
        return list(left.values())

    work = ticker(ledger, Drain("work", due))
    assert await work._drains(work._ticks[0])()  # type: ignore[arg-type]  # The only tick, a drain.
    assert await check_chain(ledger) == 2
    assert not await work._drains(work._ticks[0])()  # type: ignore[arg-type]
    assert await check_chain(ledger) == 2


async def test_a_sweep_passes_by_a_stream_that_breaks_the_code(ledger: Ledger) -> None:
    names = [f"{number:03}" for number in range(40)]
    await ledger.handle(asks(*(Note(name, LEARNERS[0]) for name in names)))

    def commands(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        if id == "017":
            raise ValueError("poison")
        return [Note(id, LEARNERS[1])]

    await ticker(ledger, Sweep("note", lambda parameters, today: f"day/{today}", commands)).settle()
    assert await check_chain(ledger) == 2 * len(names) - 1


async def test_a_sweep_that_breaks_everywhere_stops_and_passes_nobody_by(ledger: Ledger) -> None:
    await ledger.handle(asks(*(Note(f"{number:03}", LEARNERS[0]) for number in range(200))))
    broken = {"yes": True}

    def commands(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        if broken["yes"]:
            raise ValueError("poison")
        return [Note(id, LEARNERS[1])]

    sweep = ticker(ledger, Sweep("note", lambda parameters, today: f"day/{today}", commands))
    with pytest.raises(ValueError, match="poison"):
        await sweep.settle()
    broken["yes"] = False
    await sweep.settle()
    assert await check_chain(ledger) == 400


async def test_a_search_that_breaks_the_code_holds_no_other_search_up(ledger: Ledger) -> None:
    async def due(connection: Connection, now: str) -> list[str]:
        return ["bad", "good"]

    def solve(value: str) -> Command:
        if value == "bad":
            raise ValueError("poison")
        return Note(value, LEARNERS[0])

    await ticker(ledger, Search("search", due, solve)).settle()
    assert await check_chain(ledger) == 1


async def test_a_sweep_waits_for_what_is_under_way_but_not_for_ever(ledger: Ledger) -> None:
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    visited: list[str] = []

    def commands(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        visited.append(id)
        return []

    sweeps = ticker(ledger, Sweep("note", lambda parameters, today: f"day/{today}", commands))
    ledger.under_way = 1
    task = asyncio.create_task(sweeps.settle())
    await asyncio.sleep(0.2)
    assert not visited
    for _ in range(400):
        if visited:
            break
        await asyncio.sleep(0.02)
    assert visited == ["a"]
    ledger.under_way = 0
    await task
