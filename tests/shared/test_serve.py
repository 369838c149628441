"""One process of a service: what it asks of its database."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from psycopg import AsyncConnection, Error, OperationalError
from psycopg.sql import SQL, Identifier

from services.evidence.app import PARTS
from shared import lifetime, serve, tasks
from shared.clock import SystemClock
from shared.ledger import patience
from shared.ledger.clocks import Clocks
from shared.ledger.failures import is_passing
from shared.ledger.types import Connection
from shared.parts import Drain, Tick
from shared.relay import Control, Relay
from shared.settings import Settings, load_settings
from shared.testing import running
from shared.ticker import Ticker
from shared.workers import CannotListen, Supervisor, bound


def a_relay() -> Relay:
    return Relay(
        dsn="", service="evidence", source="/local/evidence", partitions=8, kafka_servers="127.0.0.1:9", prefix="test",
        control=Control("127.0.0.1:9", "test"),
    )  # fmt: skip


def a_ticker(*ticks: Tick) -> Ticker:
    ledger: Any = SimpleNamespace(service="evidence")
    return Ticker(ledger, ticks, ThreadPoolExecutor)


def parties(relay: Relay, ticker: Ticker | None = None, surveyed: Sequence[str] = ()) -> lifetime.Parties:
    nobody: Any = None
    ledger: Any = SimpleNamespace(clocks=Clocks("evidence", SystemClock()))
    return lifetime.Parties(relay._control, relay, nobody, ticker or a_ticker(), ledger, surveyed=surveyed)


def troubles(relay: Relay, ticker: Ticker | None = None) -> list[str]:
    return parties(relay, ticker).troubles(30)


def test_health_tells_what_should_be_known_of_what_waits() -> None:
    assert parties(a_relay(), surveyed=["7 wait"]).notes() == ["7 wait"]


async def test_a_transaction_that_stands_still_loses_its_locks_and_its_worker_goes_on(
    database: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "IDLE_LOCK_MS", 200)
    lock = "SELECT id FROM partition WHERE id = 0 FOR UPDATE"
    async with running(PARTS, database("evidence")) as service:

        async def stand_still() -> None:
            async with service.pool.connection() as sleeper, sleeper.transaction():
                await sleeper.execute(lock)
                await asyncio.sleep(1.0)  # As if the process had been stopped.
                await sleeper.execute(lock)

        with pytest.raises(Error) as ended:
            await stand_still()
        assert is_passing(ended.value), "the same transaction may be tried again"
        async with service.pool.connection() as other:
            assert await (await other.execute(f"{lock} NOWAIT")).fetchall() == [(0,)]


async def test_a_commit_is_on_disk_whatever_the_servers_default_is(database: Callable[[str], Any]) -> None:
    place = database("evidence")
    async with await AsyncConnection.connect(place.owner_url, autocommit=True) as owner:
        await owner.execute(SQL("ALTER DATABASE {} SET synchronous_commit = off").format(Identifier(owner.info.dbname)))
    async with running(PARTS, place) as service, service.pool.connection() as connection:
        assert await (await connection.execute("SHOW synchronous_commit")).fetchall() == [("on",)]


def test_a_relay_that_does_not_get_round_turns_health_red(monkeypatch: pytest.MonkeyPatch) -> None:
    relay = a_relay()
    assert troubles(relay) == []
    monkeypatch.setattr(relay, "_round_at", relay._round_at - 31)
    (said,) = troubles(relay)
    assert "does not reach Kafka" in said


def test_what_is_recorded_and_not_published_turns_health_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the relay gets round; and whoever has to send it."""
    relay, now = a_relay(), time.monotonic()
    relay._standing.see({0: 5, 1: 5}, now - 62)
    assert troubles(relay) == [], "it may have been published since"
    relay._standing.see({0: 5, 1: 5}, now - 31)
    assert len(troubles(relay)) == 2
    relay._standing.see({0: 5, 1: 6}, now - 1)
    (said,) = troubles(relay)
    assert said.startswith("events of partition 0 are recorded, and none was published for ")
    relay._standing.see({}, now)
    assert troubles(relay) == []


def test_a_control_topic_that_is_not_read_turns_health_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lag is measured against what is told there: without it, nothing would seem to be missing."""
    relay = a_relay()
    monkeypatch.setattr(relay._control, "_listened_at", relay._control._listened_at - 31)
    (said,) = troubles(relay)
    assert "the control topic has not been heard for more than " in said


def test_a_control_topic_on_which_nothing_is_heard_turns_health_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader whose topic was deleted is told of no error; but each service tells its lengths every 5 s."""
    relay = a_relay()
    monkeypatch.setattr(relay._control, "_heard_at", relay._control._heard_at - 59)
    assert troubles(relay) == [], "the machine whose relay tells them may have been cut off"
    monkeypatch.setattr(relay._control, "_heard_at", relay._control._heard_at - 2)
    assert any("the control topic has not been heard for more than " in said for said in troubles(relay))


def test_a_ticker_that_does_not_get_round_turns_health_red(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_due(connection: Connection, now: str) -> list[Any]:
        return []

    ticker = a_ticker(Drain("work", nothing_due), Drain("other", nothing_due))
    monkeypatch.setattr(ticker._loops[0].watch, "seconds", lambda: 30.0 + patience.ANSWER_S)
    monkeypatch.setattr(ticker._loops[1].watch, "seconds", lambda: 29.0 + patience.ANSWER_S)  # As long as a transaction may take.
    (said,) = troubles(a_relay(), ticker)
    assert said.startswith("the ticker has not got round with work for 90 s")


async def test_what_waits_is_metered_again_after_any_error(monkeypatch: pytest.MonkeyPatch, database: Callable[[str], Any]) -> None:
    monkeypatch.setattr(serve, "SURVEY_S", 0.01)
    answers: list[Any] = [RuntimeError("a fault of ours"), OperationalError("the database is away"), 7]

    async def waiting(connection: Any) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    async def notes(connection: Any) -> list[str]:
        return [f"{len(answers)} are left"]

    async with running(replace(PARTS, waiting=waiting, notes=notes), database("evidence")) as service:
        survey = asyncio.create_task(serve._survey(service))
        while answers or not service.notes:
            assert not survey.done()
            await asyncio.sleep(0.01)
        survey.cancel()
        await asyncio.gather(survey, return_exceptions=True)
        assert b"cairn_waiting 7.0" in service.metrics.render()
        assert service.notes == ["0 are left"]


async def test_what_takes_long_to_meter_is_metered_seldom(monkeypatch: pytest.MonkeyPatch, database: Callable[[str], Any]) -> None:
    monkeypatch.setattr(serve, "SURVEY_S", 0.0)
    looked: list[tuple[float, float]] = []
    enough = asyncio.Event()

    async def waiting(connection: Any) -> int:
        began = time.monotonic()
        await asyncio.sleep(0.02)
        looked.append((began, time.monotonic()))
        if len(looked) == 3:
            enough.set()
        return 0

    async with running(replace(PARTS, waiting=waiting), database("evidence")) as service:
        survey = asyncio.create_task(serve._survey(service))
        await asyncio.wait_for(enough.wait(), 60)
        survey.cancel()
        await asyncio.gather(survey, return_exceptions=True)
    for (began, ended), (again, _) in pairwise(looked):
        assert again - ended >= serve.SURVEY_REST * (ended - began)


async def test_a_party_that_loses_its_cancellation_does_not_keep_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "GRACE_S", 0.1)
    monkeypatch.setattr(tasks, "AGAIN_S", 0.1)
    lost: list[int] = []

    class Party:
        def __init__(self, ends: bool) -> None:
            self.ends = ends

        async def run(self) -> None:
            while not self.ends:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:  # As `wait_for` does, once.
                    lost.append(1)
                    self.ends = len(lost) > 1

        async def stop(self) -> None:
            pass

    parties: Any = SimpleNamespace(
        working=lambda: [Party(True), Party(False)],
        watching=list,
        troubles=list,
        notes=list,
    )
    with bound("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    await asyncio.wait_for(lifetime.until_ended(load_settings(Settings, host="127.0.0.1", port=port), lambda _: FastAPI(), parties), 30)
    assert len(lost) == 2


async def test_a_port_that_is_taken_is_named_by_a_service_of_one_process_as_well() -> None:
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        settings = load_settings(Settings, host="127.0.0.1", port=port)
        nobody: Any = None
        with pytest.raises(CannotListen, match=rf"nothing can be served at 127.0.0.1:{port} .* set CAIRN_PORT"):
            await lifetime.until_ended(settings, nobody, nobody)
        with pytest.raises(CannotListen, match=r"nothing can be served at 127.0.0.1"):
            Supervisor(nobody, (), ["w", "w-1"], "127.0.0.1", port).run()


def test_workers_do_not_share_the_port_of_another_services_workers() -> None:
    with bound("127.0.0.1", 0, shared=True) as taken:
        taken.listen()
        ours = Supervisor(lambda: None, (), ["w", "w-1"], "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(CannotListen):
            ours.run()


async def test_who_waits_for_the_database_waits_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 0.05)
    with pytest.raises(Error) as ended:
        async with patience.in_time():
            await asyncio.Event().wait()
    assert is_passing(ended.value)
