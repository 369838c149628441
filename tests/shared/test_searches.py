"""Searches and the process in which they run: it may die at any time, also of a search, and all others go on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import pytest
from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

from shared.decider import Command
from shared.ledger.ledger import Ledger
from shared.ledger.types import Answer, Ask, Connection
from shared.parts import Search, Sought
from shared.stack import ServiceDatabase
from shared.ticker.pool import SearchPool
from shared.ticker.searches import AHEAD, Searching
from tests.shared.test_ledger import LEARNERS, Note, a_ledger


@pytest.fixture
async def ledger(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Ledger]:
    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, max_size=4, open=False) as pool:
        yield a_ledger(pool)


@pytest.fixture
def pool() -> Iterator[SearchPool]:
    pool = SearchPool()
    yield pool
    pool.close()


def solve(value: str) -> Command:
    """Run in the other process."""
    if value == "killer" or (value.startswith("/") and Path(value).exists()):
        Path(value).unlink(missing_ok=True)
        os._exit(9)  # As the kernel ends whoever takes too much memory.
    return Note(value.rpartition("/")[2], LEARNERS[0])


def a_search(ledger: Ledger, executor: Callable[[], Executor], *values: str, solving: Callable[[str], Command] = solve) -> Searching:
    """A search of these values, until each is in the ledger."""

    async def due(connection: Connection, now: str) -> list[Sought]:
        return [Sought(f"evidence/note/{value.rpartition('/')[2]}", value) for value in values if value.rpartition("/")[2] not in done]

    done: list[str] = []
    ledger.on_commit.append(lambda events: done.extend(event.stream.rpartition("/")[2] for event in events))
    search = Searching(ledger, Search("search", due, solving), executor)
    search.done = done  # type: ignore[attr-defined]
    return search


async def test_a_search_that_kills_its_process_holds_no_other_search_up(ledger: Ledger, pool: SearchPool) -> None:
    search = a_search(ledger, pool, "killer", "a", "b", "c")
    await search.begin()
    assert await search.step()
    assert search.done == ["a", "b", "c"]  # type: ignore[attr-defined]
    assert not await search.step()
    assert "evidence/note/killer" in search._held, "the second time it rests"
    assert not await search.step()


async def test_of_a_process_that_died_once_no_search_rests(ledger: Ledger, pool: SearchPool, tmp_path: Path) -> None:
    """Somebody else may have killed it."""
    once = tmp_path / "once"
    once.touch()
    search = a_search(ledger, pool, str(once), "b")
    await search.begin()
    assert await search.step()
    assert search.done == ["b"]  # type: ignore[attr-defined]
    assert await search.step()
    assert search.done == ["b", "once"]  # type: ignore[attr-defined]
    assert not search._held


class Watched(Executor):
    """Keeps what is asked of it, until a test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.asked.append((args[0], future))
        return future

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0.005)


async def test_the_next_search_is_there_while_an_answer_is_brought_in(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that takes: the process is never idle, and has no more than the next."""
    executor, bring_in, real = Watched(), asyncio.Event(), ledger.handle

    async def slow(asks: Sequence[Ask]) -> list[Answer]:
        await bring_in.wait()
        return await real(asks)

    monkeypatch.setattr(ledger, "handle", slow)
    step = asyncio.create_task(a_search(ledger, lambda: executor, *"abcde").step())
    for asked in ("ab", "abc", "abcd", "abcde"):
        await answered(executor, len(asked) - AHEAD)
        await turns()
        assert executor.names == list(asked)
    bring_in.set()
    await answered(executor, 5)
    assert await step


async def test_what_is_given_up_is_not_cancelled_where_it_waits_for_the_process(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's executor tells nobody that its process died, where something cancelled waits for it."""
    executor = Watched()

    async def away(asks: Sequence[Ask]) -> list[Answer]:
        raise OperationalError("the database is away")

    search = a_search(ledger, lambda: executor, *"abcd")
    with monkeypatch.context() as while_away:
        while_away.setattr(ledger, "handle", away)
        step = asyncio.create_task(search.step())
        await answered(executor, 1)
        with pytest.raises(OperationalError):
            await step
    await turns()
    assert not [name for name, future in executor.asked if future.cancelled()]
    given_up = len(executor.asked)
    step = asyncio.create_task(search.step())
    await turns()
    assert len(executor.asked) == given_up == 1 + AHEAD, "nothing comes behind what was given up before that is over"
    await answered(executor, given_up + 4)
    assert await step
    assert search.done == [*"abcd"]  # type: ignore[attr-defined]


async def answered(executor: Watched, count: int) -> None:
    """Answer so many searches, one by one as they come."""
    async with asyncio.timeout(20):
        for number in range(count):
            while len(executor.asked) <= number:  # noqa: ASYNC110 - an executor tells nobody.
                await asyncio.sleep(0.005)
            name, future = executor.asked[number]
            if not future.done():
                future.set_result(Note(name, LEARNERS[0]))


async def test_what_was_next_is_searched_in_the_same_look_when_the_process_has_died(ledger: Ledger) -> None:
    died: list[Watched] = []

    def executor() -> Watched:
        if not died or any(future.done() and future.exception() for _, future in died[-1].asked):
            died.append(Watched())
        return died[-1]

    search = a_search(ledger, executor, *"abc")
    step = asyncio.create_task(search.step())
    await turns()
    for _, future in died[0].asked:
        future.set_exception(BrokenExecutor("killed"))
    await turns()
    assert [each.names for each in died] == [["a", "b"], ["b", "c"]]
    await answered(died[1], 2)
    assert await step
    assert search.done == ["b", "c"]  # type: ignore[attr-defined]
