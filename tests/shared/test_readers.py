"""Kafka emptied and a database restored: readers are the last witnesses, and the service stops before it writes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from services.evidence.app import PARTS
from shared.errors import Diverged
from shared.relay import Control, ensure_topics, readers
from shared.relay.control import Heads, Message, Told, WhoHeard
from shared.relay.readers import Witness, Witnessed
from shared.serve import run
from shared.settings import Settings
from shared.stack import ServiceDatabase
from tests.shared.test_catch_up import Backup, backup, heard, hearer, positions, publish, source, tell, wire  # noqa: F401 - fixtures
from tests.shared.test_resume import NOW, REQUEST, WHY, furthest, resuming
from tests.shared.wire import PARTITIONS, Wire

ASKS_S = 20.0
"""A busy machine's patience with an answer; nobody waits so long where one comes that says no."""
NOBODY_S = 0.5


@asynccontextmanager
async def witnessing(wire: Wire) -> AsyncIterator[None]:  # noqa: F811
    """A reader that runs."""
    async with wire.control() as control:
        witness = Witness(dsn=wire.hearer_url, service="profile", sources=["evidence"], control=control)
        await witness.start()
        try:
            yield
        finally:
            await witness.stop()


async def ask(wire: Wire, url: str, vouched: bool = False, wait_s: float = ASKS_S) -> None:  # noqa: F811
    async with wire.control() as control:
        await Witnessed(dsn=url, service="evidence", control=control).ask(vouched, wait_s)


async def emptied(wire: Wire) -> Wire:  # noqa: F811
    """Return the wire of the same installation on a Kafka that lost everything."""
    anew = replace(wire, prefix=f"{wire.prefix}-anew")
    await ensure_topics(anew.kafka, anew.prefix, ["evidence", "profile"], PARTITIONS)
    return anew


async def test_a_restored_database_is_refused_by_its_readers_until_the_hole_is_recorded(
    wire: Wire, source: ServiceDatabase, backup: Backup  # noqa: F811
) -> None:  # fmt: skip
    await tell(wire.source_url, 80)
    older = backup(source)
    await tell(wire.source_url, 80, 1_000)
    await publish(wire, "evidence", wire.source_url)
    async with wire.hearer() as ledger, wire.hearing(ledger):
        await heard(ledger, 160)
    anew = await emptied(wire)
    async with witnessing(anew):
        with pytest.raises(Diverged, match=r"profile has applied event 19 of partition 0 of evidence, and the ledger holds 10 events"):
            await ask(anew, older.app_url)
        await ask(anew, wire.source_url, wait_s=NOBODY_S)
        await resuming(anew, older.app_url).run(furthest(wire.hearer_url), WHY, NOW, REQUEST)
        await ask(anew, older.app_url, wait_s=NOBODY_S)


async def test_a_database_that_went_on_by_itself_is_refused_too(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:  # noqa: F811
    await tell(wire.source_url, 80)
    older = backup(source)
    await tell(wire.source_url, 8, 1_000)
    await publish(wire, "evidence", wire.source_url)
    async with wire.hearer() as ledger, wire.hearing(ledger):
        await heard(ledger, 88)
    await tell(older.app_url, 16, 5_000)
    async with witnessing(await emptied(wire)):
        with pytest.raises(Diverged, match=r"the ledger holds another event there: .* has written since. .* restore the backup again"):
            await ask(await emptied(wire), older.app_url)


async def test_a_reader_that_starts_later_stops_the_service(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:  # noqa: F811
    older = backup(source)
    await tell(wire.source_url, 80)
    await publish(wire, "evidence", wire.source_url)
    async with wire.hearer() as ledger, wire.hearing(ledger):
        await heard(ledger, 80)
    anew = await emptied(wire)
    async with anew.control() as control:
        witnessed = Witnessed(dsn=older.app_url, service="evidence", control=control)
        await witnessed.ask(False, NOBODY_S)
        running = asyncio.create_task(witnessed.run())
        async with witnessing(anew):
            with pytest.raises(Diverged, match="was restored behind its readers"):
                await asyncio.wait_for(running, ASKS_S)


async def test_nobody_is_asked_where_kafka_vouches(wire: Wire) -> None:  # noqa: F811
    await tell(wire.source_url, 80)
    async with witnessing(wire):
        await ask(wire, wire.source_url, vouched=True, wait_s=ASKS_S * PARTITIONS)


async def test_kafka_vouches_as_long_as_it_holds_what_was_told_last(wire: Wire) -> None:  # noqa: F811
    await tell(wire.source_url, 80)
    await publish(wire, "evidence", wire.source_url)
    async with wire.control() as control:
        assert await wire.relay(control).start()
        await wire.cut(3, 5)
        assert await wire.relay(control).start(), "its head was cut, and its end vouches"
        await wire.cut(3, 10)
        assert not await wire.relay(control).start()


async def test_a_whole_service_stops_before_it_writes(
    database: Callable[[str], ServiceDatabase], kafka_servers: str, topic_prefix: str, wire: Wire  # noqa: F811
) -> None:  # fmt: skip
    """The database of evidence is new and empty; mastery, which runs, has applied six events of it. No topic holds any."""
    evidence, mastery = database("evidence"), database("mastery")
    with psycopg.connect(mastery.app_url) as connection:
        connection.execute("INSERT INTO inbox (source, partition, position, head) VALUES ('evidence', 0, 5, %s)", ["a" * 64])
    reader = replace(wire, hearer_url=mastery.app_url)
    keys = {"parking_key": "00" * 32, "district_key": "00" * 32}
    settings = Settings(database_url=evidence.app_url, kafka_servers=kafka_servers, topic_prefix=topic_prefix, **keys)
    thresholds = gc.get_threshold()
    try:
        async with witnessing(reader):
            with pytest.raises(Diverged, match="profile has applied event 5 of partition 0 of evidence, and the ledger holds 0 events"):
                await run(PARTS, settings)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    with psycopg.connect(evidence.app_url) as connection:
        assert connection.execute("SELECT count(*), (SELECT sum(length) FROM partition) FROM event").fetchone() == (0, 0)


async def test_a_reader_answers_again_after_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a source that asks later would take its silence for agreement."""
    monkeypatch.setattr(readers, "RETRY_S", 0.01)
    control, answers, asked = Control("127.0.0.1:9", "test"), asyncio.Queue[Message](), []

    @asynccontextmanager
    async def connected(dsn: str) -> AsyncIterator[Any]:
        asked.append(dsn)
        if len(asked) == 1:
            raise RuntimeError("a fault of ours")
        yield NoRows()

    async def send(message: Message) -> bool:
        answers.put_nowait(message)
        return True

    monkeypatch.setattr(readers, "_connected", connected)
    monkeypatch.setattr(control, "send", send)
    witness = Witness(dsn="", service="profile", sources=["evidence"], control=control)
    await witness.start()
    try:
        async with asyncio.timeout(ASKS_S):
            while not asked:  # noqa: ASYNC110 - the first answer breaks, and nobody is told.
                await asyncio.sleep(0.001)
            witness._hear(Told(WhoHeard(service="evidence"), 0))
            assert await answers.get() == Heads(service="evidence", reader="profile", partitions=())
    finally:
        await witness.stop()


class NoRows:
    """A connection to an inbox that holds nothing."""

    async def execute(self, *_: Any) -> NoRows:
        return self

    async def fetchall(self) -> list[Any]:
        return []
