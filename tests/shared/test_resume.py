"""A database restored from an older backup, and Kafka lost as well: the hole is recorded, and every reader goes on behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from services.cli import app
from shared.contracts.envelope import Header, chain_start
from shared.contracts.ledger import HoleNoted
from shared.contracts.topics import Topic
from shared.errors import Diverged, LedgerError
from shared.hole_stream import hole_decider
from shared.ledger.ledger import Ledger
from shared.relay import ensure_topics
from shared.relay.catch_up import CaughtUp
from shared.relay.resume import Furthest, Resume
from shared.replay import ChainWalk, Settings, Verifier
from shared.stack import ServiceDatabase
from tests.shared.test_catch_up import (  # noqa: F401 - fixtures
    Backup,
    backup,
    caught_up,
    heard,
    hearer,
    ledger_of,
    positions,
    publish,
    source,
    tables,
    tell,
    wire,
)
from tests.shared.wire import PARTITIONS, Wire, copied, events, lie_nowhere_else, rows, until

WHY = "the disk burnt, and the broker with it"
NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
REQUEST = UUID("01890000-0000-7000-8000-000000000000")


def resuming(wire: Wire, url: str) -> Resume:  # noqa: F811
    return Resume(
        dsn=url, service="evidence", installation="local", partitions=PARTITIONS, release="test", kafka_servers=wire.kafka,
        prefix=wire.prefix,
    )  # fmt: skip


def furthest(url: str) -> list[Furthest]:
    """Return what a reader's inbox says."""
    return [Furthest(partition, position, head) for _, partition, position, head in positions(url)]


async def lost(wire: Wire, restored: ServiceDatabase, reader: ServiceDatabase) -> Wire:  # noqa: F811
    """Return the wire of an installation whose Kafka was lost, with a database that was restored and one of its readers."""
    anew = Wire(wire.kafka, f"{wire.prefix}-anew", restored.app_url, reader.app_url)
    await ensure_topics(anew.kafka, anew.prefix, ["evidence", "profile"], PARTITIONS)
    return anew


async def test_every_reader_goes_on_behind_a_recorded_hole(
    wire: Wire, source: ServiceDatabase, hearer: ServiceDatabase, backup: Backup  # noqa: F811
) -> None:  # fmt: skip
    await tell(wire.source_url, 40)
    await publish(wire, "evidence", wire.source_url)
    readers: dict[str, tuple[ServiceDatabase, int]] = {}

    async def hear(name: str, count: int) -> None:
        async with wire.hearer() as ledger, wire.hearing(ledger):
            await heard(ledger, count)
        readers[name] = backup(hearer), count

    await hear("behind the backup", 40)
    await tell(wire.source_url, 40, 1_000)
    await publish(wire, "evidence", wire.source_url)
    restored = backup(source)
    await hear("at the backup", 80)
    await tell(wire.source_url, 80, 2_000)
    await publish(wire, "evidence", wire.source_url)
    await hear("in the hole", 160)
    await tell(wire.source_url, 80, 3_000)
    await publish(wire, "evidence", wire.source_url)
    await hear("the furthest", 240)
    with pytest.raises(Diverged, match="run `cairn ledger catch-up evidence`"):
        await resuming(wire, restored.app_url).run(furthest(hearer.app_url), WHY, NOW, REQUEST)
    anew = await lost(wire, restored, hearer)
    holes = await resuming(anew, restored.app_url).run(furthest(hearer.app_url), WHY, NOW, REQUEST)
    assert {(hole.partition, hole.first, hole.after, hole.why) for hole in holes} == {(n, 10, 29, WHY) for n in range(PARTITIONS)}
    assert await resuming(anew, restored.app_url).run(furthest(hearer.app_url), WHY, NOW, REQUEST) == []
    await tell(restored.app_url, 80, 9_000)
    await publish(anew, "evidence", restored.app_url)
    async with anew.relaying(restored.app_url):
        for name, (reader, count) in readers.items():
            missed = 40 if name == "behind the backup" else 0  # What the backup holds comes by refill; what is lost does not.
            place = replace(anew, hearer_url=reader.app_url)
            async with place.hearer() as ledger, place.hearing(ledger) as consumer:
                await until(lambda ledger=ledger: _at(ledger, 40), f"{name} goes on", 90)
                assert len([alias for noted in (await copied(ledger)).values() for alias in noted]) == count + missed + 80, name
                assert consumer.progress().diverged == ()
    await _is_whole(restored.app_url)


async def test_catching_up_goes_on_behind_a_recorded_hole(
    wire: Wire, source: ServiceDatabase, hearer: ServiceDatabase, backup: Backup  # noqa: F811
) -> None:  # fmt: skip
    too_old = backup(source)
    await tell(wire.source_url, 40)
    await publish(wire, "evidence", wire.source_url)
    restored, again = backup(source), backup(source)
    await tell(wire.source_url, 80, 1_000)
    await publish(wire, "evidence", wire.source_url)
    async with wire.hearer() as ledger, wire.hearing(ledger):
        await heard(ledger, 120)
    anew = await lost(wire, restored, hearer)
    await resuming(anew, restored.app_url).run(furthest(hearer.app_url), WHY, NOW, REQUEST)
    await tell(restored.app_url, 80, 9_000)
    await publish(anew, "evidence", restored.app_url)
    with pytest.raises(Diverged, match="run `cairn ledger catch-up evidence`"):
        await publish(anew, "evidence", again.app_url)
    assert await caught_up(anew, again.app_url) == CaughtUp(PARTITIONS + 80, PARTITIONS)
    assert tables(again.app_url) == tables(restored.app_url)
    await _is_whole(again.app_url, 10)
    await tell(again.app_url, 80, 20_000)
    await publish(anew, "evidence", again.app_url)
    before = tables(too_old.app_url)
    with pytest.raises(LedgerError, match=r"Kafka holds event \d+ of partition 0, not event 0: nothing was written"):
        await caught_up(anew, too_old.app_url)
    assert tables(too_old.app_url) == before


async def _at(ledger: Ledger, position: int) -> bool:
    return await rows(ledger, "SELECT DISTINCT position FROM inbox") == [(position,)]


async def _is_whole(url: str, missing: int = 20) -> None:
    """Assert that the chain is whole across the hole of so many events in each partition, and that the hole replays."""
    async with ledger_of("evidence", url) as ledger:
        lengths = {row[0]: (row[1], row[2]) for row in await rows(ledger, "SELECT id, length, head FROM partition")}
        holes = 0
        for number, raws in (await events(ledger)).items():
            chain = ChainWalk("/local/evidence", number, PARTITIONS)
            for raw in raws:
                header = Header.read(raw)
                chain.take(header.position, raw)
                if header.event_type == HoleNoted.TYPE:
                    holes += 1
                    verifier = Verifier([hole_decider("evidence")], Settings((), ()))
                    assert verifier.stream(header.attributes["stream"], [raw]) == []
                    assert verifier.tally.decisions == 1
            assert chain.end(*lengths[number]) == []
            assert chain.holes == missing
    assert holes == PARTITIONS


async def test_a_hole_that_nobody_recorded_stays_a_gap(wire: Wire) -> None:  # noqa: F811
    await tell(wire.source_url, 80)
    async with ledger_of("evidence", wire.source_url) as ledger:
        raws = (await events(ledger))[0]
        chain = ChainWalk("/local/evidence", 0, PARTITIONS)
        for position, raw in enumerate(raws):
            if position != 4:
                chain.take(position, raw)
    assert chain.broken is not None
    assert "position 4 is missing" in chain.broken.what


async def test_a_ledger_that_went_on_after_it_was_restored_is_refused(wire: Wire) -> None:  # noqa: F811
    await tell(wire.source_url, 80)
    async with ledger_of("evidence", wire.source_url) as ledger:
        behind = Header.read((await events(ledger))[2][5])
    with pytest.raises(LedgerError, match="Restore the backup again, delete the topic"):
        await resuming(wire, wire.source_url).run([Furthest(2, 4, "a" * 64)], WHY, NOW, REQUEST)
    assert await resuming(wire, wire.source_url).run([Furthest(2, 4, behind.previous)], WHY, NOW, REQUEST) == []


async def test_a_running_service_and_a_partition_that_is_not_there_are_refused(wire: Wire) -> None:  # noqa: F811
    await tell(wire.source_url, 8)
    unknown = [Furthest(PARTITIONS, 3, "a" * 64)]
    with pytest.raises(LedgerError, match="has no partition 8"):
        await resuming(wire, wire.source_url).run(unknown, WHY, NOW, REQUEST)
    async with wire.relaying():

        async def locked() -> bool:
            try:
                await resuming(wire, wire.source_url).run([], WHY, NOW, REQUEST)
            except LedgerError as error:
                return "evidence runs on this database" in str(error)
            return False

        await until(locked, "refused while the relay works")


@pytest.fixture
def command(
    database: Callable[[str], ServiceDatabase], kafka_servers: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> tuple[Callable[..., Any], ServiceDatabase]:
    """Give `cairn ledger resume profile`, with the environment of a service that lies nowhere else."""
    place = database(Topic.PROFILE)
    lie_nowhere_else(monkeypatch, tmp_path, place.app_url, kafka_servers, topic_prefix)
    return (lambda *words: CliRunner().invoke(app, ["ledger", "resume", "profile", *words])), place


async def test_the_command_records_what_the_reader_names(command: tuple[Callable[..., Any], ServiceDatabase]) -> None:
    run, place = command
    words = ("--partition", "3", "--after", "41", "--head", "ab" * 32, "--why", WHY)
    done = await asyncio.to_thread(run, *words)
    assert done.exit_code == 0, done.output
    assert "events 0 to 41 of partition 3 are lost; event 42 says so" in done.stdout
    with psycopg.connect(place.app_url) as connection:
        [(position, raw)] = connection.execute("SELECT position, bytes FROM event").fetchall()
    header = Header.read(bytes(raw))
    assert (position, header.previous, header.attributes["data"]["why"]) == (42, "ab" * 32, WHY)
    assert header.attributes["data"]["before"] == chain_start("/local/profile", 3)
    again = await asyncio.to_thread(run, *words)
    assert again.exit_code == 0
    assert "is not behind any reader" in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--partition", "3", "--why", WHY), "belong together"),
        (("--partition", "3", "--after", "1", "--head", "xyz", "--why", WHY), "64 hexadecimal digits"),
        (("--why", " "), "say why"),
        (("--why", WHY), "no reader of profile is known here"),
    ],
)
async def test_a_command_that_says_too_little_is_refused(
    words: tuple[str, ...], said: str, command: tuple[Callable[..., Any], ServiceDatabase]
) -> None:
    done = await asyncio.to_thread(command[0], *words)
    assert done.exit_code == 1
    assert said in done.stderr
