"""`cairn park` over a real database: what was set aside is listed, shown, taken up again, or discarded."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.cli.home import Entry, write_entries
from shared.contracts.envelope import StreamId, chain_start
from shared.contracts.profile import LearnerIdentified
from shared.relay.readers import Witness
from shared.seal import seal_record
from shared.stack import ServiceDatabase
from shared.testing import recorded
from tests.shared.test_catch_up import Backup, backup, publish, tables  # noqa: F401 - fixtures
from tests.shared.wire import Wire

KEY = bytes(32)
ALIAS, LEARNER = "ab" * 32, UUID(int=0xA)
PARK = """INSERT INTO parked (source, partition, position, kafka_offset, key, trouble, reason, bytes)
    VALUES ('profile', 3, %s, %s, %s, %s, 'a reason', %s)"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["park", *words])


@pytest.fixture
def place(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("evidence")


@pytest.fixture
def evidence(place: ServiceDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> str:
    """A database of evidence that has set aside a learner's alias, as of an unknown type, and a record that is none of ours."""
    url = place.app_url
    for name, value in {"HOME": str(tmp_path), "DATABASE_URL": url, "PARKING_KEY": KEY.hex(), "DISTRICT_KEY": KEY.hex()}.items():
        monkeypatch.setenv(f"CAIRN_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")
    [event] = recorded(StreamId("profile", "alias", ALIAS), [LearnerIdentified(alias=ALIAS, learner_id=LEARNER)])
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO inbox (source, partition, head) VALUES ('profile', 3, %s)", [chain_start("/local/profile", 3)])
        connection.execute(PARK, [0, 0, ALIAS, "unknown-type", seal_record(KEY, event.raw)])
        connection.execute(PARK, [None, 1, "", "foreign", seal_record(KEY, b"\xffnot [ours]")])
    return url


def test_what_is_set_aside_is_listed_and_shown(evidence: str) -> None:
    told = run("list", "evidence")
    assert told.exit_code == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["evidence", "id", "1", "2"]
    assert "a reason" in told.stdout
    told = run("show", "evidence", "1")
    assert "later records of its key wait behind it" in told.stdout
    assert f"offset 0, stream's key {ALIAS}" in told.stdout
    assert str(LEARNER) in told.stdout
    told = run("show", "evidence", "2")
    assert "offset 1, of no stream\n" in told.stdout, "what key it had on Kafka is not kept"
    assert "\\xffnot [ours]" in told.stdout
    told = run("list")
    assert (told.exit_code, "name the service" in told.stderr) == (1, True), "the environment names one service's database"
    told = run("show", "evidence", "9")
    assert (told.exit_code, "no parked record 9" in told.stderr) == (1, True)


def test_what_is_set_aside_is_taken_up_again_or_discarded(evidence: str) -> None:
    told = run("retry", "evidence")
    assert (told.exit_code, told.stdout) == (0, "1 taken up, 0 refused, 0 fail as before\n"), told.stderr
    with psycopg.connect(evidence) as connection:
        assert connection.execute("SELECT alias, learner_id FROM alias").fetchall() == [(ALIAS, LEARNER)]
    told = run("retry", "evidence", "2")
    assert (told.exit_code, "then `discard` it" in told.stderr) == (1, True)
    assert run("discard", "evidence", "2").exit_code == 2
    told = run("discard", "evidence", "2", "--why", " ")
    assert (told.exit_code, "say why" in told.stderr) == (1, True)
    assert run("discard", "evidence", "2", "--why", "a stranger's").exit_code == 0
    assert run("list", "evidence").stdout == "evidence has set nothing aside.\n"
    with psycopg.connect(evidence) as connection:
        assert connection.execute("SELECT resolution FROM parked WHERE id = 2").fetchone() == ("discarded: a stranger's",)
    assert "discarded: a stranger's" in run("show", "evidence", "2").stdout


def test_without_a_service_every_one_that_hears_others_is_listed(
    evidence: str, database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CAIRN_DATABASE_URL")
    urls = {name: evidence if name == "evidence" else database(name).app_url for name in ("evidence", "mastery", "pathing", "scheduling")}
    write_entries(tmp_path, {name: Entry(1, {"CAIRN_DATABASE_URL": url}) for name, url in urls.items()})
    told = run("list", "--home", str(tmp_path))
    assert told.exit_code == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["evidence", "id", "1", "2", "mastery", "pathing", "scheduling"]
    assert "CAIRN_DATABASE_URL" not in os.environ
    assert run("list", "--after", "1", "--home", str(tmp_path)).exit_code == 1


def test_another_parking_key_opens_nothing(evidence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAIRN_PARKING_KEY", "11" * 32)
    told = run("show", "evidence", "1")
    assert (told.exit_code, "CAIRN_PARKING_KEY" in told.stderr or "key" in told.stderr) == (1, True)
    assert "Traceback" not in told.stderr


@pytest.fixture
def wire(evidence: str, kafka_servers: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What evidence told, and mastery as its reader."""
    monkeypatch.setenv("CAIRN_KAFKA_SERVERS", kafka_servers)
    monkeypatch.setenv("CAIRN_TOPIC_PREFIX", topic_prefix)
    return Wire(kafka_servers, topic_prefix, evidence, "")


WRITE = (("retry", "evidence"), ("retry", "evidence", "1"), ("passed-by", "evidence", LearnerIdentified.TYPE))
"""Commands that add to a ledger."""


def refused(url: str, why: str) -> None:
    """Assert that no command writes to this database, which says why, and that what is set aside can be looked at."""
    before = tables(url)
    for words in WRITE:
        told = run(*words)
        assert (told.exit_code, why in told.stderr, "Traceback" in told.stderr) == (1, True, False), (words, told.stderr)
        assert tables(url) == before, words
    assert "a reason" in run("list", "evidence").stdout
    assert str(LEARNER) in run("show", "evidence", "1").stdout


def test_a_database_that_was_restored_behind_its_topic_is_not_written_to(
    wire: Wire, evidence: str, place: ServiceDatabase, backup: Backup, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    older = backup(place).app_url
    told = run("retry", "evidence")
    assert (told.exit_code, told.stdout) == (0, "1 taken up, 0 refused, 0 fail as before\n"), told.stderr
    asyncio.run(publish(wire, "evidence", evidence))
    assert run("retry", "evidence").exit_code == 0, "what Kafka vouches for is written to"
    monkeypatch.setenv("CAIRN_DATABASE_URL", older)
    refused(older, "run `cairn ledger catch-up evidence`")
    assert run("discard", "evidence", "2", "--why", "a stranger's").exit_code == 0, "which adds nothing to the ledger"


def test_a_database_that_was_restored_behind_a_reader_that_runs_is_not_written_to(
    wire: Wire, evidence: str, database: Callable[[str], ServiceDatabase]
) -> None:
    reader = database("mastery").app_url
    with psycopg.connect(reader) as connection:
        connection.execute("INSERT INTO inbox (source, partition, position, head) VALUES ('evidence', 3, 7, %s)", ["ab" * 32])

    async def beside() -> None:
        async with wire.control() as control:
            witness = Witness(dsn=reader, service="mastery", sources=["evidence"], control=control)
            await witness.start()
            try:
                await asyncio.to_thread(refused, evidence, "mastery has applied event 7 of partition 3 of evidence")
            finally:
                await witness.stop()

    asyncio.run(beside())


def test_what_has_told_something_is_not_written_to_without_kafka_to_compare_it_with(
    wire: Wire, evidence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAIRN_KAFKA_SERVERS")
    with psycopg.connect(evidence) as connection:
        connection.execute("UPDATE published SET position = 1 WHERE partition = 3")
    refused(evidence, "CAIRN_KAFKA_SERVERS is not set")


def test_another_schema_and_another_key_are_not_written_to(evidence: str, place: ServiceDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("retry", "evidence", "1").exit_code == 0
    monkeypatch.setenv("CAIRN_DISTRICT_KEY", "11" * 32)
    told = run("retry", "evidence")
    assert (told.exit_code, "CAIRN_DISTRICT_KEY is another key" in told.stderr) == (1, True)
    with psycopg.connect(place.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    told = run("retry", "evidence")
    assert (told.exit_code, "run `cairn migrate evidence`" in told.stderr) == (1, True)
