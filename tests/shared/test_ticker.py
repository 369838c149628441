"""Time as commands, on a real PostgreSQL: no day is left out, and work that breaks holds no other work up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

from shared.clock import FixedClock
from shared.contracts.envelope import Event, StreamId
from shared.decider import Command, History, Refusal
from shared.ledger import patience
from shared.ledger.ledger import Ledger
from shared.ledger.types import Answer, Ask, Connection
from shared.parameters import Parameters
from shared.parts import Drain, Lapse, Search, Sought, Sweep, Tick
from shared.stack import ServiceDatabase
from shared.telemetry import span, traceparent_of_current
from shared.ticker import Ticker
from shared.ticker.drains import Draining
from shared.ticker.searches import REST_SHARE, Searching
from tests.shared.silent import fall_silent
from tests.shared.test_ledger import LEARNERS, Note, State, a_ledger, asks, check_chain, decide, noting

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
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


def daily(seen: list[str]) -> Sweep:
    """The sweep of a day, which notes for which day each stream was asked."""

    def commands(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        seen.append(today)
        return []

    return Sweep("note", lambda parameters, today: f"day/{today}", commands)


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


@pytest.mark.parametrize(
    ("zone", "last_minute", "day", "next_day"),
    [
        ("UTC", datetime(2026, 12, 1, 23, 59, tzinfo=UTC), "2026-12-01", "2026-12-02"),
        ("Pacific/Honolulu", datetime(2026, 12, 2, 9, 59, tzinfo=UTC), "2026-12-01", "2026-12-02"),
        ("Pacific/Auckland", datetime(2026, 12, 1, 10, 59, tzinfo=UTC), "2026-12-01", "2026-12-02"),
        ("America/Los_Angeles", datetime(2026, 7, 2, 6, 59, tzinfo=UTC), "2026-07-01", "2026-07-02"),
        ("America/Los_Angeles", datetime(2026, 11, 2, 7, 59, tzinfo=UTC), "2026-11-01", "2026-11-02"),  # Clocks were put back on the day.
    ],
)
async def test_a_day_is_swept_from_midnight_of_the_time_zone(
    ledger: Ledger, clock: FixedClock, zone: str, last_minute: datetime, day: str, next_day: str
) -> None:
    clock.at = last_minute - timedelta(hours=3)
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    seen: list[str] = []
    sweeps = Ticker(ledger, [daily(seen)], lambda: ThreadPoolExecutor(1), zone=ZoneInfo(zone))
    await sweeps.settle()
    clock.at = last_minute
    await sweeps.settle()
    assert seen == [day]
    clock.advance(timedelta(minutes=1))
    await sweeps.settle()
    assert seen == [day, next_day]


async def test_where_the_time_zone_is_another_one_the_day_that_was_swept_is_not_again_and_new_settings_are(
    ledger: Ledger, clock: FixedClock
) -> None:
    """In Honolulu it is still the day before the one that was swept by UTC."""
    clock.at = datetime(2026, 12, 2, 1, tzinfo=UTC)
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    seen: list[str] = []
    await ticker(ledger, daily(seen)).settle()
    version = 1

    def noted(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        seen.append(f"set {today}")
        return []

    on_settings = Sweep("note", lambda parameters, today: f"settings/{version}", noted)
    for _ in range(2):  # One process, then another.
        west = Ticker(ledger, [on_settings, daily(seen)], lambda: ThreadPoolExecutor(1), zone=ZoneInfo("Pacific/Honolulu"))
        await west.settle()
        version += 1
        await west.settle()
    assert seen == ["2026-12-02", "set 2026-12-01", "2026-12-01", "set 2026-12-01", "set 2026-12-01"]
    clock.at = datetime(2026, 12, 3, 10, 1, tzinfo=UTC)
    await west.settle()
    assert seen[5:] == ["2026-12-03"], "that of UTC was swept before"


async def test_work_that_breaks_the_code_holds_no_other_work_up(ledger: Ledger) -> None:
    left = {"good-1": Note("good-1", LEARNERS[0]), "bad": Note("bad", LEARNERS[1]), "good-2": Note("good-2", LEARNERS[2])}

    async def due(connection: Connection, now: str) -> list[Command | Ask]:
        return list(left.values())

    work = Draining(ledger, Drain("work", due), 0.2)
    assert await work.step()
    assert await check_chain(ledger) == 2
    assert not await work.step()
    assert await check_chain(ledger) == 2


async def test_work_that_takes_too_long_for_a_transaction_holds_no_other_work_up(database: Callable[[str], ServiceDatabase]) -> None:
    """PostgreSQL ends a transaction that stands still, and the whole of it fails, each time it is tried again."""

    def slow(command: Note, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        if command.name == "slow":
            sleep(1.0)
        return decide(command, state, parameters, history)

    async def due(connection: Connection, now: str) -> list[Command | Ask]:
        return [Note(name, LEARNERS[0]) for name in ("a", "slow", "b", "c")]

    options = {"options": "-c idle_in_transaction_session_timeout=400"}
    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, max_size=4, open=False, kwargs=options) as pool:
        ledger = a_ledger(pool, deciders=[replace(noting(), decide=slow)])
        assert await Draining(ledger, Drain("work", due), 0.2).step()
        assert await check_chain(ledger) == 3


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


def searching(ledger: Ledger, search: Search) -> Searching:
    return Searching(ledger, search, lambda: ThreadPoolExecutor(1))


def sought(*values: str) -> list[Sought]:
    return [Sought(f"evidence/note/{value}", value) for value in values]


async def test_a_search_that_breaks_the_code_holds_no_other_search_up(ledger: Ledger) -> None:
    tried: list[str] = []

    async def due(connection: Connection, now: str) -> list[Sought]:
        return sought("bad", "good")

    def solve(value: str) -> Command:
        tried.append(value)
        if value == "bad":
            raise ValueError("poison")
        return Note(value, LEARNERS[0])

    search = searching(ledger, Search("search", due, solve))
    await search.begin()
    assert await search.step()
    assert not await search.step()
    assert await check_chain(ledger) == 1
    assert tried == ["bad", "good", "good"]  # What broke rests for a while.


async def test_an_answer_comes_in_with_what_belongs_before_it(ledger: Ledger) -> None:
    """In one transaction: a look never finds one without the other."""
    commits: list[list[str]] = []
    ledger.on_commit.append(lambda events: commits.append([event.stream for event in events]))

    async def due(connection: Connection, now: str) -> list[Sought]:
        return [Sought("evidence/note/b", "b", [Note("a", LEARNERS[0])]), Sought("evidence/note/c", "c")]

    assert await searching(ledger, Search("search", due, lambda value: Note(value, LEARNERS[0]))).step()
    assert commits == [["evidence/note/a", "evidence/note/b"], ["evidence/note/c"]]


async def test_the_trace_of_what_led_to_a_search_goes_on_in_its_answer(ledger: Ledger) -> None:
    led: list[str] = []
    traces: list[str | None] = []

    async def due(connection: Connection, now: str) -> list[Sought]:
        return [Sought("evidence/note/b", "b", causes=led)]

    search = searching(ledger, Search("search", due, lambda value: Note(value, LEARNERS[0])))
    with span("consume", parent=REMOTE):
        (answer,) = await ledger.handle(asks(Note("a", LEARNERS[0])))
    led.append(answer.events[0].id)
    ledger.on_commit.append(lambda events: traces.append(traceparent_of_current()))
    assert await search.step()
    assert traces == [REMOTE]


async def test_a_look_is_over_before_the_next_begins(ledger: Ledger) -> None:
    """In sequence: an answer of this service can only come too late because of what another process does."""
    told: list[str] = []
    ledger.on_commit.append(lambda events: told.append("brought in"))

    async def due(connection: Connection, now: str) -> list[Sought]:
        told.append("looked")
        return sought(f"{len(told)}")

    def solve(value: str) -> Command:
        told.append("searched")
        return Note(value, LEARNERS[0])

    ticks = ticker(ledger, Search("search", due, solve, window_ms=20))
    await ticks.start(ledger.pool.conninfo)
    for _ in range(400):
        await asyncio.sleep(0.02)
        if told.count("brought in") >= 4:
            break
    await ticks.stop()
    assert told[:12] == ["looked", "searched", "brought in"] * 4


class Refusing:
    """A ledger whose decider finds every answer of a search stale."""

    def __init__(self, ledger: Ledger) -> None:
        self.service, self.pool, self.clock, self.on_commit = ledger.service, ledger.pool, ledger.clock, ledger.on_commit
        self.asked: list[str] = []

    async def handle(self, asks: Sequence[Ask]) -> list[Answer]:
        self.asked += [ask.stream.name for ask in asks]
        return [Answer(ask, refusal=Refusal("stale", "moved on")) for ask in asks]


async def test_after_two_answers_that_came_too_late_the_decider_searches_itself(ledger: Ledger) -> None:
    async def due(connection: Connection, now: str) -> list[Sought]:
        return sought("outside")

    refusing: Any = Refusing(ledger)
    search = Search("search", due, lambda value: Note(value, LEARNERS[0]), lambda value: Note("inside", LEARNERS[0]))
    step = searching(refusing, search).step
    assert await step()
    await step()
    assert refusing.asked == ["evidence/note/outside"] * 2 + ["evidence/note/inside"]
    await step()
    assert refusing.asked[3:] == ["evidence/note/outside"]


def test_the_next_look_waits_for_the_window_and_leaves_others_their_turn(ledger: Ledger) -> None:
    async def due(connection: Connection, now: str) -> list[Sought]:
        return []

    search = searching(ledger, Search("search", due, lambda value: Note(value, LEARNERS[0]), window_ms=400))
    assert search.rest_s(True, 0.1) == pytest.approx(0.3)
    assert search.rest_s(False, 0.0) == pytest.approx(0.4)
    assert search.rest_s(True, 2.0) == pytest.approx(2.0 * REST_SHARE)


async def test_a_ticker_stops_between_two_steps(ledger: Ledger) -> None:
    begun = asyncio.Event()

    async def due(connection: Connection, now: str) -> list[Sought]:
        begun.set()
        return sought("a", "b")

    def solve(value: str) -> Command:
        sleep(0.1)
        return Note(value, LEARNERS[0])

    ticks = ticker(ledger, Search("search", due, solve, window_ms=60_000))
    await ticks.start(ledger.pool.conninfo)
    await begun.wait()
    await ticks.stop()
    assert await check_chain(ledger) == 2


async def test_a_search_that_takes_too_long_is_not_waited_for(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ticker.STOP_S", 0.05)
    begun, end = asyncio.Event(), threading.Event()

    async def due(connection: Connection, now: str) -> list[Sought]:
        begun.set()
        return sought("a")

    def solve(value: str) -> Command:
        end.wait()
        return Note(value, LEARNERS[0])

    ticks = ticker(ledger, Search("search", due, solve))
    await ticks.start(ledger.pool.conninfo)
    await begun.wait()
    await ticks.stop()
    end.set()
    assert await check_chain(ledger) == 0


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


async def nothing_due(connection: Connection, now: str) -> list[Any]:
    await (await connection.execute("SELECT 1")).fetchall()
    return []


TICKS: tuple[Tick, ...] = (
    Sweep("note", lambda parameters, today: f"day/{today}", lambda id, parameters, today: []),
    Drain("work", nothing_due),
    Search("search", nothing_due, lambda value: Note(value, LEARNERS[0])),
    Lapse("note", lambda today: today),
)


@pytest.mark.parametrize("tick", TICKS, ids=lambda tick: type(tick).__name__)
async def test_no_tick_waits_without_end_for_a_connection_that_is_silent(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tick: Tick
) -> None:
    (loop,) = ticker(ledger, tick)._loops
    monkeypatch.setattr(patience, "ANSWER_S", 0.05)
    fall_silent(ledger.pool, monkeypatch)
    with pytest.raises(OperationalError):
        async with asyncio.timeout(20):
            await loop.step()


LATE_S = 0.2
"""After which these tests want to be told."""


async def until(condition: Callable[[], Any]) -> None:
    ends_at = monotonic() + 20
    while not condition():
        assert monotonic() < ends_at, "it never came to it"
        await asyncio.sleep(0.01)


async def test_a_loop_that_does_not_get_round_turns_health_red_as_long_as_it_leads(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ticker.FAILED_PAUSE_S", 0.01)
    broken = [True]

    async def due(connection: Connection, now: str) -> list[Command]:
        if broken[0]:
            raise RuntimeError("a fault of ours")
        return []

    ticks, waiting = ticker(ledger, Drain("work", due)), ticker(ledger, Drain("work", due))
    assert ticks.troubles(LATE_S) == []
    await ticks.start(ledger.pool.conninfo)
    await until(lambda: any("got round" in said for said in ticks.troubles(LATE_S)))
    await waiting.start(ledger.pool.conninfo)
    (said,) = ticks.troubles(LATE_S)
    assert "has not got round with work for" in said
    assert "see whether PostgreSQL answers" in said
    broken[0] = False
    await until(lambda: not ticks.troubles(LATE_S))
    broken[0] = True
    await until(lambda: ticks.troubles(LATE_S))
    await until(lambda: not waiting.troubles(LATE_S))  # Who waits for another process to lead is well.
    await waiting.stop()
    await ticks.stop()
    assert ticks.troubles(LATE_S) == [], "who leads no more has nothing to get round with"


async def test_a_step_under_way_has_as_long_as_a_transaction_may_take_unless_it_has_failed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.ticker.FAILED_PAUSE_S", 0.01)
    gate, fails = asyncio.Event(), [True]

    async def due(connection: Connection, now: str) -> list[Command]:
        await gate.wait()
        if fails[0]:
            gate.clear()
            raise RuntimeError("a fault of ours")
        return []

    ticks = ticker(ledger, Drain("work", due))
    await ticks.start(ledger.pool.conninfo)
    loop = ticks._loops[0]
    await until(lambda: loop.watch.seconds() > 2 * LATE_S)
    assert ticks.troubles(LATE_S) == []
    assert loop.grace_s == patience.ANSWER_S
    gate.set()
    await until(lambda: ticks.troubles(LATE_S))
    fails[0] = False
    gate.set()
    await until(lambda: not ticks.troubles(LATE_S))
    await ticks.stop()


async def test_who_cannot_ask_whether_it_leads_says_so(ledger: Ledger) -> None:
    lost = ticker(ledger, Drain("work", nothing_due))
    await lost.start("host=127.0.0.1 port=1 user=nobody dbname=nothing")
    await until(lambda: lost.troubles(LATE_S))
    (said,) = lost.troubles(LATE_S)
    assert "whether this process runs the ticker" in said
    await lost.stop()
    assert lost.troubles(LATE_S) == []


async def test_a_search_that_does_not_come_to_an_end_turns_health_red(ledger: Ledger) -> None:
    begun, end = threading.Event(), threading.Event()
    brought: list[Any] = []

    async def due(connection: Connection, now: str) -> list[Sought]:
        return [] if brought else sought("a")

    def solve(value: str) -> Command:
        begun.set()
        end.wait()
        return Note(value, LEARNERS[0])

    ticks = ticker(ledger, Search("search", due, solve, window_ms=1))
    ledger.on_commit.append(brought.append)
    await ticks.start(ledger.pool.conninfo)
    try:
        await until(begun.is_set)
        await until(lambda: ticks.troubles(LATE_S))
        end.set()
        await until(lambda: brought)
        await until(lambda: not ticks.troubles(LATE_S))
    finally:
        end.set()
        await ticks.stop()


def broken(ledger: Ledger, kind: str, well: list[bool]) -> Tick:
    """A tick for which something is due until it is well; it gets round all the time, and does nothing of it."""

    async def drained(connection: Connection, now: str) -> list[Command]:
        return [] if done else [Note("a", LEARNERS[0])] if well[0] else [Bad("a")]

    async def searched(connection: Connection, now: str) -> list[Sought]:
        return [] if done else sought("a")

    def solve(value: str) -> Command:
        if not well[0]:
            raise ValueError("poison")
        return Note(value, LEARNERS[0])

    def swept(id: str, parameters: Parameters, today: str) -> Sequence[Command]:
        if not well[0]:
            raise ValueError("poison")
        return []

    done: list[Any] = []
    ledger.on_commit.append(done.extend)
    return {
        "drain": Drain("work", drained), "search": Search("search", searched, solve, window_ms=10),
        "sweep": Sweep("note", lambda parameters, today: f"day/{today}", swept),
    }[kind]  # fmt: skip


@dataclass(frozen=True)
class Bad:
    """A command that breaks the code."""

    name: str

    @property
    def stream(self) -> StreamId:
        return Note(self.name, LEARNERS[0]).stream


@pytest.mark.parametrize("kind", ["drain", "search", "sweep"])
async def test_what_is_tried_in_vain_turns_health_red_though_the_loop_gets_round(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for room in ("searches", "sweeps"):
        monkeypatch.setattr(f"shared.ticker.{room}.HELD_S", 0.05)
    await ledger.handle(asks(Note("swept", LEARNERS[0])))
    well = [False]
    ticks = ticker(ledger, broken(ledger, kind, well))
    await ticks.start(ledger.pool.conninfo)
    try:
        await until(lambda: any("in vain" in said for said in ticks.troubles(LATE_S)))
        well[0] = True
        await until(lambda: not ticks.troubles(LATE_S))
    finally:
        await ticks.stop()
