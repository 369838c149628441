"""A database restored from an older backup, on real Kafka and PostgreSQL: caught up byte for byte, or refused before it is written to."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import psycopg
import pytest
from aiokafka import TopicPartition
from psycopg import sql
from psycopg_pool import AsyncConnectionPool
from typer.testing import CliRunner

from services.cli import app
from services.cli.verify import parts_of, verify
from shared.clock import FixedClock
from shared.consume.inward import Inward
from shared.contracts.envelope import Header, canonical
from shared.contracts.topics import Topic
from shared.errors import Diverged, LedgerError
from shared.hole_stream import hole_decider
from shared.ledger.ledger import Ledger
from shared.relay import catch_up, ensure_topics
from shared.relay.catch_up import CatchUp, CaughtUp
from shared.relay.tolerant import TolerantConsumer
from shared.relay.walk import records
from shared.stack import ServiceDatabase, Stack, copy_database, drop_database
from shared.testing import SOME_TIME, running
from tests.scheduling.test_http import BEFORE_SCHOOL
from tests.shared.wire import (
    DECIDERS,
    PARTITIONS,
    POISON,
    SUBSCRIPTION,
    Note,
    Wire,
    a_ledger,
    asks,
    copied,
    events,
    heard,
    learners,
    lie_nowhere_else,
    name_in,
    rows,
    until,
)
from tests.system.test_every_table import FILL

NAMES = [name_in(partition) for partition in range(PARTITIONS)]
Backup = Callable[[ServiceDatabase], ServiceDatabase]


@pytest.fixture
def backup(stack: Stack) -> Iterator[Backup]:
    """Give a copy of a database as it is now, to be restored in its place. Nobody may be connected to it."""
    made: list[str] = []

    def backup(source: ServiceDatabase) -> ServiceDatabase:
        made.append(f"cairn_backup_{secrets.token_hex(6)}")
        return copy_database(stack.postgres_url, source, made[-1])

    yield backup
    for name in made:
        drop_database(stack.postgres_url, name)


@pytest.fixture
def source(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("evidence")


@pytest.fixture
def hearer(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("profile")


@pytest.fixture
async def wire(kafka_servers: str, topic_prefix: str, source: ServiceDatabase, hearer: ServiceDatabase) -> Wire:
    await ensure_topics(kafka_servers, topic_prefix, ["evidence", "profile"], PARTITIONS)
    return Wire(kafka_servers, topic_prefix, source.app_url, hearer.app_url)


def catching_up(wire: Wire, url: str, service: str = "evidence") -> CatchUp:
    hears = service == "profile"
    return CatchUp(
        dsn=url, service=service, installation="local", partitions=PARTITIONS, kafka_servers=wire.kafka, prefix=wire.prefix,
        deciders=[DECIDERS[service], hole_decider(service)], projections=[], hears=["evidence"] if hears else [],
        asks_of=Inward(SUBSCRIPTION).asks if hears else None,
    )  # fmt: skip


async def caught_up(wire: Wire, url: str, service: str = "evidence") -> CaughtUp:
    return await catching_up(wire, url, service).run(lambda done, of: None)


async def publish(wire: Wire, service: str, url: str) -> None:
    """Relay until everything is on Kafka."""
    async with wire.relaying(url, service), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def done() -> bool:
            query = "SELECT count(*) FROM published JOIN partition ON id = partition WHERE position <> length"
            return await (await connection.execute(query)).fetchone() == (0,)

        await until(done, f"all of {service} published")


async def tell(url: str, count: int, first: int = 1, batch: int = 80) -> None:
    """Write notes in all partitions, each learner once, `batch` of them a transaction."""
    notes = [Note(NAMES[n % PARTITIONS], learner) for n, learner in enumerate(learners(count, first))]
    async with ledger_of("evidence", url) as ledger:
        for start in range(0, count, batch):
            await ledger.handle(asks(*notes[start : start + batch]))


@asynccontextmanager
async def ledger_of(service: str, url: str) -> AsyncIterator[Ledger]:
    async with AsyncConnectionPool(url, min_size=1, max_size=2, open=False) as pool:
        yield a_ledger(service, pool)


def tables(url: str, *without: str) -> dict[str, list[str]]:
    """Return every row of every table of a database."""
    with psycopg.connect(url) as connection:
        names = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()]
        query = "SELECT t::text FROM {} t ORDER BY 1"
        return {
            name: [row[0] for row in connection.execute(sql.SQL(query).format(sql.Identifier(name))).fetchall()]
            for name in names
            if name not in without
        }


async def same(url: str, hearer: Ledger) -> None:
    """Assert that the hearer holds exactly what was told, in order."""
    told: dict[str, list[Any]] = {}
    async with ledger_of("evidence", url) as ledger:
        for raws in (await events(ledger)).values():
            for raw in raws:
                data = orjson.loads(raw)["data"]
                told.setdefault(data["alias"], []).append(data["learner_id"])
    assert {alias: [str(learner) for learner in found] for alias, found in (await copied(hearer)).items()} == told


async def values(wire: Wire, partition: int) -> list[bytes]:
    return [record.value for record in (await wire.published())[partition]]


async def test_a_restored_database_is_refused_and_then_caught_up_byte_for_byte(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:
    await tell(wire.source_url, 100)
    older = backup(source)
    await tell(wire.source_url, 900, 1_000)
    async with wire.hearer() as hearer, wire.hearing(hearer):
        await publish(wire, "evidence", wire.source_url)
        await heard(hearer, 1_000)
        original = tables(wire.source_url)
        with pytest.raises(Diverged, match="run `cairn ledger catch-up evidence`"):
            await publish(wire, "evidence", older.app_url)
        assert await caught_up(wire, older.app_url) == CaughtUp(900, PARTITIONS)
        assert tables(older.app_url) == original
        assert await caught_up(wire, older.app_url) == CaughtUp(0, 0)
        assert tables(older.app_url) == original
        await tell(older.app_url, 80, 5_000)
        await publish(wire, "evidence", older.app_url)
        await heard(hearer, 1_080)
        await same(older.app_url, hearer)


async def test_repeats_at_the_end_of_a_topic_do_not_hide_a_restored_database(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:
    await tell(wire.source_url, 240)
    await publish(wire, "evidence", wire.source_url)
    older = backup(source)
    await tell(wire.source_url, 8, 1_000)
    await publish(wire, "evidence", wire.source_url)
    for number in range(PARTITIONS):
        for raw in (await values(wire, number))[:25]:
            await wire.send(number, raw)
    with pytest.raises(Diverged, match=r"event 30 of partition 0 .* not in the ledger"):
        await publish(wire, "evidence", older.app_url)
    await publish(wire, "evidence", wire.source_url)


async def test_repeats_foreign_records_and_refills_in_the_topic_do_no_harm(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:
    older = backup(source)
    await tell(wire.source_url, 240)
    await publish(wire, "evidence", wire.source_url)
    stored, elsewhere = await values(wire, 3), (await values(wire, 4))[0]
    await wire.send(3, b"\xff not ours")
    await wire.send_unreadable(3)
    await wire.cut(3, 12)  # The first twelve are lost, and were sent again in parts for some reader.
    for raw in (*stored[5:12], *stored[2:7], *stored[:4]):
        await wire.send(3, raw)
    await wire.send(3, elsewhere)
    assert await caught_up(wire, older.app_url) == CaughtUp(240, PARTITIONS)
    assert tables(older.app_url) == tables(wire.source_url)


async def test_a_record_that_cannot_be_read_costs_other_partitions_nothing(wire: Wire) -> None:
    for number in range(PARTITIONS):
        await wire.send(number, b"before")
    await wire.send_unreadable(3)
    for number in range(PARTITIONS):
        await wire.send(number, b"after")
    places = [TopicPartition(wire.topic, number) for number in range(PARTITIONS)]
    consumer = TolerantConsumer(bootstrap_servers=wire.kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        await asyncio.sleep(2)  # All of it is fetched by now, and the next call takes it all.
        found: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        for _ in range(20):
            for place, got in (await consumer.getmany(*places, timeout_ms=200)).items():
                found[place.partition] += len(got)
        assert found == {number: 2 + (number == 3) for number in range(PARTITIONS)}
    finally:
        await consumer.stop()


async def test_an_event_that_kafka_lacks_is_named_and_nothing_is_written(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:
    older = backup(source)
    await tell(wire.source_url, 240)
    await publish(wire, "evidence", wire.source_url)
    await wire.cut(3, 12)
    before = tables(older.app_url)
    with pytest.raises(LedgerError, match="holds event 29 of partition 3, not event 0: nothing was written"):
        await caught_up(wire, older.app_url)
    assert tables(older.app_url) == before


async def test_a_changed_byte_on_kafka_is_refused_before_anything_is_written(
    wire: Wire, source: ServiceDatabase, backup: Backup, topic_prefix: str
) -> None:
    older = backup(source)
    await tell(wire.source_url, 240)
    await publish(wire, "evidence", wire.source_url)
    good = {number: [raw async for _, _, raw in records(wire.kafka, wire.topic, [number])] for number in range(PARTITIONS)}
    other = swapped(good[5][10], b'"learner_id":"00000000-0000-0000-0000-00000000', b'"learner_id":"00000000-0000-0000-0000-0000000f')
    spaced = good[5][29][:-1] + b" }"
    moved = canonical(orjson.loads(good[5][29]) | {"streamversion": 99})
    before = tables(older.app_url)
    for number, (place, raw, said) in enumerate(
        (
            (10, other, "event 11 of partition 5 on Kafka is not chained to the one before it"),
            (29, spaced, "event 29 of partition 5 on Kafka is not in canonical form"),
            (29, moved, "event 29 of partition 5 on Kafka has another id than its stream and version give"),
        )
    ):
        changed = Wire(wire.kafka, f"{topic_prefix}-{number}", "", "")
        await ensure_topics(wire.kafka, changed.prefix, ["evidence"], PARTITIONS)
        for partition, raws in good.items():
            for position, each in enumerate(raws):
                await changed.send(partition, raw if (partition, position) == (5, place) else each) if partition == 5 else None
        with pytest.raises(LedgerError, match=said):
            await caught_up(changed, older.app_url)
        assert tables(older.app_url) == before


def swapped(raw: bytes, old: bytes, new: bytes) -> bytes:
    changed = raw.replace(old, new)
    assert changed != raw
    assert Header.read(changed)
    return changed


async def test_a_database_that_went_on_by_itself_is_refused(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:
    await tell(wire.source_url, 80)
    older, longer = backup(source), backup(source)
    await tell(wire.source_url, 80, 1_000)
    await publish(wire, "evidence", wire.source_url)
    await tell(older.app_url, 8, 3_000)
    await tell(longer.app_url, 160, 3_000)
    for place, said in ((older, "gone on by itself since it was restored.*Restore the backup again"), (longer, "has gone on by itself")):
        before = tables(place.app_url)
        with pytest.raises(Diverged, match=said):
            await caught_up(wire, place.app_url)
        assert tables(place.app_url) == before


async def test_a_running_service_is_left_alone(wire: Wire) -> None:
    await tell(wire.source_url, 80)
    async with wire.relaying():

        async def locked() -> bool:
            try:
                await caught_up(wire, wire.source_url)
            except LedgerError as error:
                return "evidence runs on this database" in str(error)
            return False

        await until(locked, "refused while the relay works")


class Crash(Exception):
    """The process ends."""


async def test_a_run_that_was_broken_off_is_gone_on_with(
    wire: Wire, hearer: ServiceDatabase, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = backup(hearer)
    await tell(wire.source_url, 400)
    await publish(wire, "evidence", wire.source_url)
    async with wire.hearer() as ledger, wire.hearing(ledger):
        await heard(ledger, 400)
    await publish(wire, "profile", wire.hearer_url)
    monkeypatch.setattr(catch_up, "BATCH", 100)
    monkeypatch.setattr(catch_up, "MAX_BATCH", 100)
    async with ledger_of("profile", older.app_url) as ledger:
        await ledger.inbox(["evidence"])

    def crash(done: int, of: int) -> None:
        assert of == 400 - 200 * tries
        if done == 200:
            raise Crash

    for tries in range(2):
        with pytest.raises(Crash):
            await catching_up(wire, older.app_url, "profile").run(crash)
        if not tries:
            with pytest.raises(Diverged, match="not in the ledger"):
                await publish(wire, "profile", older.app_url)
    assert await caught_up(wire, older.app_url, "profile") == CaughtUp(0, 0, 400)
    assert tables(older.app_url, "inbox") == tables(wire.hearer_url, "inbox")
    assert positions(older.app_url) == positions(wire.hearer_url)


def positions(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT source, partition, position, head FROM inbox ORDER BY 1, 2").fetchall()


async def test_a_restored_reader_hears_again_only_what_it_may_not_have_heard(wire: Wire, hearer: ServiceDatabase, backup: Backup) -> None:
    """The hearer's decider is not idempotent on purpose; what was set aside since the backup is set aside again."""
    async with ledger_of("evidence", wire.source_url) as source:
        await tell(wire.source_url, 80)
        await publish(wire, "evidence", wire.source_url)
        async with wire.hearer() as ledger, wire.hearing(ledger):
            await heard(ledger, 80)
        older = backup(hearer)
        await tell(wire.source_url, 160, 1_000)
        await source.handle(asks(Note(NAMES[6], POISON)))
        await publish(wire, "evidence", wire.source_url)
        async with wire.hearer() as ledger, wire.hearing(ledger):
            await heard(ledger, 240)
            await until(lambda: _parked(ledger, 1), "the poison is set aside")
        await publish(wire, "profile", wire.hearer_url)
    done = await caught_up(wire, older.app_url, "profile")
    assert (done.events, done.heard) == (160, 160)
    restored = Wire(wire.kafka, wire.prefix, wire.source_url, older.app_url)
    await tell(wire.source_url, 80, 2_000)
    await publish(wire, "evidence", wire.source_url)
    async with restored.hearer() as ledger, restored.hearing(ledger):
        await heard(ledger, 240 + 70)  # The ten behind the poison wait with it.
        await until(lambda: _parked(ledger, 11), "the poison and what is behind it are set aside")
    assert {row[:3] for row in positions(older.app_url)} == {("evidence", n, 39 + (n == 6)) for n in range(PARTITIONS)}


async def _parked(ledger: Ledger, count: int) -> bool:
    return await rows(ledger, "SELECT count(*) FROM parked WHERE resolved_at IS NULL") == [(count,)]


async def test_states_that_are_not_cached_are_folded(wire: Wire, source: ServiceDatabase, backup: Backup) -> None:
    await tell(wire.source_url, 80)
    older = backup(source)
    await tell(wire.source_url, 80, 1_000)
    await publish(wire, "evidence", wire.source_url)
    with psycopg.connect(older.app_url) as connection:
        connection.execute("DELETE FROM stream WHERE partition < 4")
    assert await caught_up(wire, older.app_url) == CaughtUp(80, PARTITIONS)
    assert tables(older.app_url) == tables(wire.source_url)


@pytest.mark.parametrize("topic", list(Topic))
async def test_every_table_of_every_service_comes_back_by_the_command(
    topic: Topic, database: Callable[[str], ServiceDatabase], kafka_servers: str, topic_prefix: str, backup: Backup,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any,
) -> None:  # fmt: skip
    place = database(topic)
    older = backup(place)
    async with running(parts_of(topic), place, clock=FixedClock(BEFORE_SCHOOL if topic is Topic.SCHEDULING else SOME_TIME)) as service:
        await FILL[topic](service)
    wire = Wire(kafka_servers, topic_prefix, "", "")
    await publish(wire, topic, place.app_url)
    lie_nowhere_else(monkeypatch, tmp_path, older.app_url, kafka_servers, topic_prefix)
    done = await asyncio.to_thread(CliRunner().invoke, app, ["ledger", "catch-up", topic])
    assert done.exit_code == 0, done.output
    # Keys of people are in no event, what tells the service's own keys is written at its start, and where a sweep stood is no part of the
    # record: it is walked again.
    apart = ("person_key", "key_check", "cursor", "inbox")
    assert tables(older.app_url, *apart) == tables(place.app_url, *apart)
    [report] = await asyncio.to_thread(verify, {topic: place.app_url}, "local", [topic], None, lambda report: None)
    assert not report.differences, str(report.differences[0])
    [report] = await asyncio.to_thread(verify, {topic: older.app_url}, "local", [topic], None, lambda report: None)
    assert (report.differences, report.decisions > 0, report.chains) == ([], True, PARTITIONS)
    await publish(wire, topic, older.app_url)
