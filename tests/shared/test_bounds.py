"""What a transaction and a process hold in memory, and how long others wait for them, is bounded by numbers and not by the record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from psycopg_pool import AsyncConnectionPool

from shared.contracts.envelope import Event
from shared.decider import History
from shared.errors import Unavailable
from shared.ledger import histories, store
from shared.ledger.group import GroupCommit
from shared.ledger.ledger import Ledger
from shared.ledger.states import MAX_BYTES, States
from shared.ledger.types import Walk
from shared.parameters import Parameters
from shared.stack import ServiceDatabase
from tests.shared.test_ledger import LEARNERS, NOBODY, PARTITIONS, Note, State, a_ledger, asks, check_chain, decide, noting

STREAMS, DEPTH = 30, 10


@pytest.fixture
async def pool(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, max_size=4, open=False) as pool:
        yield pool


async def deep(ledger: Ledger) -> None:
    """Give each of some streams some events."""
    for depth in range(DEPTH):
        await ledger.handle(asks(*(Note(f"{n:03}", LEARNERS[depth]) for n in range(STREAMS))))


async def test_a_batch_whose_every_stream_needs_its_history_holds_few_of_them_at_once(
    pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await deep(a_ledger(pool))
    monkeypatch.setattr(histories, "MAX_EVENTS", 4 * DEPTH)
    held: list[int] = []
    seen: list[int] = []
    load = store.load_events

    async def loading(connection: Any, streams: Any, names: Any) -> None:
        await load(connection, streams, names)
        held.append(sum(len(each.stored or ()) for each in streams.values()))

    def counting(command: Note, state: State, parameters: Parameters, history: History = ()) -> Any:
        seen.append(len(history))
        return decide(command, state, parameters, history)

    monkeypatch.setattr(store, "load_events", loading)
    needing = noting(needs_history=lambda command, state: True)
    object.__setattr__(needing, "decide", counting)
    ledger = a_ledger(pool, deciders=[needing])
    twice = [Note(f"{n:03}", LEARNERS[DEPTH + turn]) for turn in range(2) for n in range(STREAMS)]
    await ledger.handle(asks(*twice))
    assert seen == [DEPTH] * STREAMS + [DEPTH + 1] * STREAMS, "each decision saw all that was stored and decided before it"
    assert max(held) <= 4 * DEPTH
    assert await check_chain(ledger) == STREAMS * (DEPTH + 2)


async def test_a_history_that_fits_is_read_once_for_a_whole_batch(pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    await deep(a_ledger(pool))
    read: list[str] = []
    load = store.load_events

    async def loading(connection: Any, streams: Any, names: Any) -> None:
        read.extend(names)
        await load(connection, streams, names)

    monkeypatch.setattr(store, "load_events", loading)
    ledger = a_ledger(pool, deciders=[noting(needs_history=lambda command, state: True)])
    many = [Note(f"{n % STREAMS:03}", LEARNERS[DEPTH + n // STREAMS]) for n in range(6 * histories.MAX_ASKS)]
    await ledger.handle(asks(*many))
    assert len(read) == len(set(read)) == STREAMS
    assert await check_chain(ledger) == STREAMS * DEPTH + len(many)


async def test_of_a_history_that_falls_apart_only_what_matters_is_read(
    pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await deep(a_ledger(pool))
    monkeypatch.setattr(store, "LOAD_EVENTS", "SELECT 'a whole history was read'")
    seen: list[tuple[str, UUID, list[tuple[str, UUID]]]] = []

    def seeing(command: Note, state: State, parameters: Parameters, history: History = ()) -> list[Event]:
        seen.append((command.stream.name, command.learner_id, [(past.stream, past.data.learner_id) for past in history]))
        return []

    decider = replace(noting(needs_history=lambda command, state: True), decide=seeing, apart_by="learner_id")
    wanted = [Note(f"{n % STREAMS:03}", LEARNERS[n % DEPTH]) for n in range(2 * histories.MAX_ASKS)]
    await a_ledger(pool, deciders=[decider]).handle(asks(*wanted, Note("000", LEARNERS[DEPTH])))
    *known, new = seen
    assert [(name, learner) for name, learner, _ in known] == [(note.stream.name, note.learner_id) for note in wanted]
    assert all(history == [(name, learner)] for name, learner, history in known)
    assert new[2] == []


async def test_others_have_their_turn_while_a_long_batch_is_decided(pool: AsyncConnectionPool[Any]) -> None:
    during: list[str] = []

    async def other() -> None:
        while True:
            during.append("turn")
            await asyncio.sleep(0)

    def noticing(command: Note, state: State, parameters: Parameters, history: History = ()) -> Any:
        during.append("decision")
        return decide(command, state, parameters, history)

    decider = noting()
    object.__setattr__(decider, "decide", noticing)
    task = asyncio.create_task(other())
    await a_ledger(pool, deciders=[decider]).handle(asks(*(Note(f"{n}", LEARNERS[0]) for n in range(500))))
    task.cancel()
    between = "".join("t" if each == "turn" else "d" for each in during)
    assert max(len(stretch) for stretch in between.split("t")) <= histories.MAX_ASKS


async def test_a_transaction_that_weighs_for_longer_than_one_may_stand_still_is_not_ended(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where late evidence of learners with long histories comes together: begun anew it would take as long, for ever."""
    monkeypatch.setattr(histories, "MAX_WEIGHED", DEPTH)
    monkeypatch.setattr(histories, "MAX_ASKS", 25)  # So that most find the history there already.

    def weighing(command: Note, state: State, parameters: Parameters, history: History = ()) -> Any:
        time.sleep(0.05)
        return decide(command, state, parameters, history)

    decider = replace(noting(needs_history=lambda command, state: True), decide=weighing)
    options = {"options": "-c idle_in_transaction_session_timeout=1s"}
    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, kwargs=options, open=False) as pool:
        await deep(a_ledger(pool))
        began = time.monotonic()
        for name in ("000", "new"):
            await a_ledger(pool, deciders=[decider]).handle(asks(*(Note(name, LEARNERS[DEPTH + n]) for n in range(75))))
        assert time.monotonic() - began > 4
        assert await check_chain(a_ledger(pool)) == STREAMS * DEPTH + 150


async def test_a_step_of_a_walk_takes_no_more_history_than_its_limit(
    pool: AsyncConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = a_ledger(pool)
    await deep(ledger)
    monkeypatch.setattr(store, "STEP_EVENTS", 2 * DEPTH)
    visited: list[str] = []
    steps: list[int] = []

    def commands(id: str, parameters: Parameters) -> Sequence[Note]:
        visited.append(id)
        return []

    for partition in range(PARTITIONS):
        done = False
        while not done:
            before = len(visited)
            done = await ledger.walk(Walk("sweep", partition, "note", NOBODY, commands))
            steps.append(len(visited) - before)
    assert sorted(visited) == [f"{n:03}" for n in range(STREAMS)]
    assert max(steps) == 2


def test_states_are_kept_within_both_limits_the_latest_last() -> None:
    states = States(most=3, most_bytes=100)
    for number in range(5):
        states.keep(f"s{number}", 1, number, 10)
    assert [states.get(f"s{number}") for number in range(5)] == [None, None, (1, 2), (1, 3), (1, 4)]
    states.get("s2")
    states.keep("large", 7, "large", 85)
    assert [name for name in ("s2", "s3", "s4", "large") if states.get(name)] == ["s2", "large"]
    states.keep("large", 8, "larger", 101)
    assert len(states) == 0
    states.keep("small", 1, "small", 100)
    assert states.get("small") == (1, "small")


async def test_a_ledger_forgets_states_and_decides_all_the_same(pool: AsyncConnectionPool[Any]) -> None:
    ledger = a_ledger(pool)
    ledger._states = States(most=2)
    for turn in range(3):
        for n in range(6):
            await ledger.handle(asks(Note(f"{n}", LEARNERS[turn])))
    assert (await ledger.state("evidence/note/0"))[0] == 3
    assert await check_chain(ledger) == 18


async def test_a_bulky_state_takes_its_share_of_the_memory(pool: AsyncConnectionPool[Any]) -> None:
    light, codec = a_ledger(pool), noting().codec
    await light.handle(asks(Note("a", LEARNERS[0])))
    assert len(light._states) == 1
    heavy = a_ledger(pool, deciders=[replace(noting(), codec=replace(codec, bulk=MAX_BYTES))])
    await heavy.handle(asks(Note("b", LEARNERS[0])))
    assert len(heavy._states) == 0


async def test_a_request_in_several_transactions_is_told_when_the_service_stops_in_between(pool: AsyncConnectionPool[Any]) -> None:
    group = GroupCommit(a_ledger(pool), most=10)
    await group.start()
    asked = asyncio.create_task(group.ask([Note(f"{n}", LEARNERS[0]) for n in range(100)]))
    await asyncio.sleep(0)  # Its first part waits.
    await group.stop()
    with pytest.raises(Unavailable):  # Not 429, which says that nothing was stored.
        await asyncio.wait_for(asked, 5)
