"""A clock that is far ahead of PostgreSQL's dates nothing; and what one has dated before is told."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from services.evidence.app import PARTS
from shared import lifetime
from shared.clock import SystemClock
from shared.contracts.envelope import Origin, partition_of
from shared.errors import ClockAhead
from shared.ledger.clocks import MOST_AHEAD
from shared.ledger.ledger import Ledger
from shared.ledger.types import Ask, Connection, Walk
from shared.parts import Drain, Lapse, Sweep
from shared.stack import ServiceDatabase
from shared.testing import running
from shared.ticker import Ticker
from tests.shared.wire import PARTITIONS, Note, Wire, a_ledger, asks, heard, learners, name_in, rows, until

FAR, NEAR = timedelta(hours=1), timedelta(minutes=10)
NOBODY = Origin("", "")
COUNT = "SELECT count(*) FROM event"
SAID = {"first_day": "2026-08-01", "author_id": str(UUID(int=1))}
DAY = "SELECT count(*) FROM cursor"


@dataclass
class Wrong:
    """A machine's clock that is wrong, moved by an offset like any other."""

    wrong: timedelta
    offset: timedelta = timedelta()

    def now(self) -> datetime:
        return SystemClock(self.offset).now() + self.wrong

    def shown_at(self, instant: datetime) -> datetime:
        return SystemClock(self.offset).shown_at(instant)


@pytest.fixture
def place(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("evidence")


@pytest.fixture
async def pool(place: ServiceDatabase) -> AsyncIterator[AsyncConnectionPool[Any]]:
    async with AsyncConnectionPool(place.app_url, min_size=1, max_size=4, open=False) as pool:
        yield pool


async def refused(ledger: Ledger) -> None:
    async def prepare(connection: Connection) -> Sequence[Ask]:
        await connection.execute("INSERT INTO cursor (name, partition) VALUES ('kept', 0)")
        return []

    name = name_in(0)
    for written in (
        ledger.handle(asks(Note(name, learners(1)[0]))),
        ledger.walk(Walk("again", partition_of(name, PARTITIONS), "note", NOBODY, lambda id, _: [Note(id, learners(1)[0])])),
        ledger.handle_whole(prepare),
    ):
        with pytest.raises(ClockAhead, match=r"evidence writes nothing: this machine's clock is 1:00 h ahead .* Set the clock"):
            await written


@pytest.mark.parametrize("offset", [timedelta(), timedelta(days=-400), timedelta(days=4_000)])
async def test_nothing_is_dated_by_a_clock_that_is_far_ahead(pool: AsyncConnectionPool[Any], offset: timedelta) -> None:
    clock = Wrong(NEAR, offset)
    ledger = a_ledger("evidence", pool, clock=clock)
    note = Note(name_in(0), learners(1)[0])
    assert (await ledger.handle(asks(note)))[0].events, "clocks may differ by ten minutes"
    before = await rows(ledger, DAY)
    clock.wrong = FAR
    await refused(ledger)
    assert await rows(ledger, DAY) == before
    assert len(ledger.clocks.troubles()) == 1
    clock.wrong = -FAR
    assert (await ledger.handle(asks(Note(note.name, learners(2)[1]))))[0].events, "it goes on; one that is behind does no harm"
    assert ledger.clocks.troubles() == []


async def test_no_tick_does_what_the_day_of_such_a_clock_leads_to(pool: AsyncConnectionPool[Any]) -> None:
    async def due(connection: Connection, now: str) -> list[Any]:
        return [Note(name_in(0), learners(1)[0])]

    clock = Wrong(timedelta(days=3_653))
    ledger = a_ledger("evidence", pool, clock=clock)
    for tick in (
        Drain("work", due),
        Sweep("note", lambda parameters, today: None, lambda id, parameters, today: []),
        Lapse("note", lambda today: today),
    ):
        ticker = Ticker(ledger, [tick], lambda: pytest.fail("nothing is searched"))
        with pytest.raises(ClockAhead, match="3653 days, 0:00 h ahead"):
            await ticker.settle()
    assert await rows(ledger, DAY) == await rows(ledger, COUNT) == [(0,)]
    clock.wrong = timedelta()
    sweeps = Ticker(ledger, [Sweep("note", lambda parameters, today: f"day/{today}", lambda id, parameters, today: [])], pytest.fail)
    await sweeps.settle()
    clock.wrong = timedelta(days=3_653)
    with pytest.raises(ClockAhead):
        await sweeps.settle()
    assert await rows(ledger, "SELECT after_key FROM cursor WHERE name = 'day'") == [(datetime.now(UTC).date().isoformat(),)]


async def test_who_asks_is_told_which_clock_to_set(place: ServiceDatabase) -> None:
    clock = Wrong(timedelta())
    async with running(PARTS, place, clock=clock) as service:
        clock.wrong = FAR
        answer = await service.client.put("/evidence/calendar", json=SAID)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "Set the clock that is wrong" in answer.json()["detail"]
        clock.wrong = timedelta()
        assert (await service.client.put("/evidence/calendar", json=SAID)).status_code == 200


async def test_health_is_red_while_it_is_so(pool: AsyncConnectionPool[Any]) -> None:
    clock = Wrong(FAR)
    ledger = a_ledger("evidence", pool, clock=clock)
    await ledger.open()
    (said,) = ledger.clocks.troubles()
    health = await lifetime._health(ledger.clocks.troubles, ledger.clocks.notes, None)
    assert (health.ready, health.reasons, health.notes) == (False, [said], [])
    clock.wrong = MOST_AHEAD - timedelta(minutes=1)
    await ledger.open()
    assert (await lifetime._health(ledger.clocks.troubles, ledger.clocks.notes, None)).ready


async def test_a_partition_that_is_dated_ahead_is_named_and_goes_on(place: ServiceDatabase, pool: AsyncConnectionPool[Any]) -> None:
    note = Note(name_in(3), learners(1)[0])
    ledger = a_ledger("evidence", pool, clock=SystemClock())
    await ledger.handle(asks(note))
    await ledger.open()
    assert ledger.clocks.notes() == []
    async with await AsyncConnection.connect(place.owner_url) as owner:
        await owner.execute("UPDATE partition SET last_at = '2036-02-07T06:28:16Z' WHERE id = 3")
    await ledger.open()
    (said,) = ledger.clocks.notes()
    assert "partition 3 of evidence is dated ahead" in said
    assert "2036-02-07T06:28:16" in said
    health = await lifetime._health(ledger.clocks.troubles, ledger.clocks.notes, None)
    assert (health.ready, health.notes) == (True, [said])
    assert (await ledger.handle(asks(Note(note.name, learners(2)[1]))))[0].events[0].time.year == 2036


async def test_records_wait_for_the_clock_and_none_is_set_aside_or_lost(wire: Wire, source: Ledger) -> None:
    clock = Wrong(FAR)
    async with wire.relaying() as relay, wire.hearer(clock=clock) as hearer:
        source.on_commit.append(relay.wake)
        async with wire.hearing(hearer):
            await source.handle(asks(*(Note(name_in(n), learner) for n, learner in enumerate(learners(PARTITIONS)))))

            async def said() -> bool:
                return bool(hearer.clocks.troubles())

            await until(said, "the hearer notices")
            assert await rows(hearer, COUNT) == [(0,)]
            clock.wrong = timedelta()
            await heard(hearer, PARTITIONS)
        assert await rows(hearer, "SELECT count(*) FROM parked") == [(0,)]
