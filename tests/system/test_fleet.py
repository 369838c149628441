"""What `cairn up` makes of a server, and of processes, that are there already, and what `cairn down --wipe` leaves of them."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from services.cli import fleet, release
from services.cli.home import GATEWAY, MEMBER_OF, Entry, kept_secrets, member_mark, read_entries, services_file, write_entries
from services.cli.installation import stop
from shared.clock import CLOCK_FILE
from shared.contracts.topics import Topic, topic_name
from shared.errors import Misconfigured
from shared.relay.topics import ensure_topics
from shared.stack import Stack, StackError, create_database, down, drop_database, drop_roles, find_stack
from shared.stack.kafka import drop_topics
from shared.stack.processes import ask_to_stop, await_end, is_alive, spawn
from shared.stack.state import claim, read_file

SERVICES = (Topic.EVIDENCE, Topic.MASTERY)
FOUND = """
    SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s) UNION SELECT datname, '' FROM pg_database WHERE datname = ANY(%s)
    ORDER BY 1
"""


@pytest.fixture
def postgres_url(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """The server, on which no installation is or, in the end, stays."""
    clear(stack.postgres_url, tmp_path)
    yield stack.postgres_url
    clear(stack.postgres_url, tmp_path)


def clear(postgres_url: str, home: Path) -> None:
    for service in SERVICES:
        drop_database(postgres_url, f"cairn_{service}")
        drop_roles(postgres_url, home, [f"{service}_owner", f"{service}_app"])


def found(postgres_url: str) -> list[tuple[str, str]]:
    """Return the installation's roles, with what the server keeps of their passwords, and its databases."""
    names = [f"{service}_{part}" for service in SERVICES for part in ("owner", "app")]
    with psycopg.connect(postgres_url) as admin:
        return admin.execute(FOUND, [names, [f"cairn_{service}" for service in SERVICES]]).fetchall()


def test_a_server_with_another_installation_is_left_as_it_is(stack: Stack, postgres_url: str, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for home in (theirs, ours):
        claim(home)
    create_database(postgres_url, Topic.MASTERY, theirs)
    before, steps = found(postgres_url), list[str]()
    assert len(before) == 3
    plan = fleet.plan_of(ours, None, None, None, SERVICES, {})
    for _ in range(2):
        with pytest.raises(StackError, match="another installation's role mastery_owner"):
            fleet.prepare(plan, stack, steps.append)
    assert (found(postgres_url), steps) == (before, [])
    assert (read_file(ours / "secrets.json"), read_entries(ours)) == ({}, {})


def test_a_start_that_comes_to_nothing_leaves_no_clock_behind(stack: Stack, postgres_url: str, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for home in (theirs, ours):
        claim(home)
    plan = fleet.plan_of(ours, "2026-10-13T07:30:00Z", None, None, SERVICES, {})
    create_database(postgres_url, Topic.MASTERY, theirs)
    with pytest.raises(StackError, match="another installation's role"):
        fleet.prepare(plan, stack, list[str]().append)
    assert not (ours / CLOCK_FILE).exists()


@pytest.fixture
def up(
    stack: Stack, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], tuple[list[str], list[str]]]]:
    """Do as `cairn up` with mastery alone, in `tmp_path / "home"`, and return what was told and what was started: stand-ins that sleep."""
    home = tmp_path / "home"
    claim(home)
    started = list[str]()

    def stand_in(_: Path, name: str, entry: Entry) -> tuple[int, float]:
        started.append(name)
        mark = {MEMBER_OF: member_mark(home, name)}
        return spawn(["sleep", "120"], tmp_path / f"{name}.log", environment=entry.environment | mark)

    def up() -> tuple[list[str], list[str]]:
        steps = list[str]()
        started.clear()
        plan = fleet.plan_of(home, None, None, None, [Topic.MASTERY], {})
        fleet.restore_secrets(home, steps.append)
        fleet.start(home, fleet.prepare(plan, stack, steps.append), steps.append)
        return steps, list(started)

    monkeypatch.setattr(fleet, "_spawn", stand_in)
    yield up
    left = [process for entry in read_entries(home).values() if (process := entry.process)]
    ask_to_stop(left)
    await_end(left)


Up = Callable[[], tuple[list[str], list[str]]]
NAMES = [Topic.MASTERY, GATEWAY]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for the folders of our code."""
    root = tmp_path / "services"
    (root / "mastery" / "__pycache__").mkdir(parents=True)
    (root / "mastery" / "domain.py").write_text("VERSION = 5\n")
    monkeypatch.setattr(release, "ROOTS", (root,))
    return root


def test_what_runs_as_another_release_is_ended_before_the_migration_and_started_anew(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(fleet, "release_of_code", lambda release: release)
    monkeypatch.setenv("CAIRN_RELEASE", "1.0")
    assert up()[1] == NAMES
    first = read_entries(home)
    assert up()[1] == [], "what runs as this release stays"
    assert read_entries(home) == first
    old = [psutil.Process(entry.pid) for entry in first.values()]
    monkeypatch.setenv("CAIRN_RELEASE", "2.0")
    steps, started = up()
    second = read_entries(home)
    assert started == NAMES
    assert not [process for process in old if is_alive(process)]
    assert {name: entry.port for name, entry in second.items()} == {name: entry.port for name, entry in first.items()}
    assert steps[:3] == [
        *(f"ending {name} of release 1.0: that of release 2.0 takes its place" for name in (GATEWAY, Topic.MASTERY)),
        "bringing the database of mastery to the newest schema",
    ]
    unmarked = {name: value for name, value in second[Topic.MASTERY].environment.items() if name != fleet.RELEASE}
    write_entries(home, second | {Topic.MASTERY: replace(second[Topic.MASTERY], environment=unmarked)})
    steps, started = up()  # What was started before releases were written down is of another.
    assert started == [Topic.MASTERY]
    assert steps[0] == "ending mastery of an earlier release: that of release 2.0 takes its place"
    assert read_entries(home)[GATEWAY] == second[GATEWAY]


def test_the_time_zone_that_was_named_is_kept_until_another_one_is(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def zone() -> str:
        return read_entries(tmp_path / "home")[Topic.MASTERY].environment["CAIRN_TIME_ZONE"]

    assert (up()[1], zone()) == (NAMES, "UTC")
    monkeypatch.setenv("CAIRN_TIME_ZONE", "Pacific/Auckland")
    assert (up()[1], zone()) == ([Topic.MASTERY], "Pacific/Auckland"), "it is started anew"
    monkeypatch.delenv("CAIRN_TIME_ZONE")
    assert (up()[1], zone()) == ([], "Pacific/Auckland")
    home, now = tmp_path / "home", None
    assert fleet.plan_of(home, now, None, None, SERVICES, {}, "America/Chicago").settings.time_zone == "America/Chicago"
    with pytest.raises(Misconfigured, match="CAIRN_TIME_ZONE: "):
        fleet.plan_of(home, now, None, None, SERVICES, {}, "Chicago")


def test_what_runs_other_code_is_replaced_though_the_version_is_the_same(up: Up, code: Path) -> None:
    up()
    (code / "mastery" / "__pycache__" / "domain.cpython-311.pyc").write_bytes(b"compiled")
    (code / "mastery" / ".#domain.py").symlink_to("an editor's lock")
    assert up()[1] == [], "the code is the same"
    (code / "mastery" / "domain.py").write_text("VERSION = 6\n")
    steps, started = up()
    assert started == NAMES
    assert [step.partition("+")[0] for step in steps[:2]] == [f"ending {name} of release 0.1.0" for name in (GATEWAY, Topic.MASTERY)]
    (code / "mastery" / "exact.so").write_bytes(b"compiled")
    assert up()[1] == NAMES


def test_the_clock_starts_with_the_first_database_and_is_not_moved_later(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = tmp_path / "home" / CLOCK_FILE
    monkeypatch.setenv("CAIRN_NOW", "2026-10-13T07:30:00Z")
    up()
    assert read_file(clock)["now"].startswith("2026-10-13T07:30")
    clock.unlink()
    with pytest.raises(Misconfigured, match=r"was started before, and there is no .*clock.json: take the setting away"):
        up()
    services_file(tmp_path / "home").unlink()
    with pytest.raises(Misconfigured, match="was started before"):
        up()
    assert not clock.exists()


def test_the_code_is_told_apart_within_a_second() -> None:
    first = release.release_of_code("1.0")
    assert first == release.release_of_code("1.0")
    assert first.startswith("1.0+")


def record(owner_url: str | None, installation: str) -> None:
    """Put an event into partition 0 of mastery's ledger, as far as anybody looks at it."""
    envelope = {"source": f"/{installation}/mastery", "id": "x"}
    with psycopg.connect(str(owner_url)) as owner:
        row = ["s", 1, "k", "t", json.dumps(envelope).encode()]
        owner.execute("INSERT INTO event SELECT 0, 0, %s, %s, %s, %s, now(), %s", row)
        owner.execute("UPDATE partition SET length = 1 WHERE id = 0")
        owner.execute("UPDATE published SET position = 1 WHERE partition = 0")


def test_a_home_that_lost_its_services_file_keeps_its_installation(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("CAIRN_INSTALLATION", "aldermoor")
    up()
    before = read_entries(home)
    monkeypatch.delenv("CAIRN_INSTALLATION")
    services_file(home).unlink()
    with pytest.raises(Misconfigured, match="was made for another installation than local, which no event of it names"):
        up()
    monkeypatch.setattr("services.cli.belonging.Header.read", lambda raw: type("Header", (), {"attributes": json.loads(raw)}))
    record(before[Topic.MASTERY].owner_url, "aldermoor")
    with pytest.raises(Misconfigured, match=r"belongs to the installation aldermoor, not to local: say --installation aldermoor"):
        up()
    assert all(psutil.pid_exists(int(entry.pid or 0)) for entry in before.values()), "nothing was ended"
    monkeypatch.setenv("CAIRN_INSTALLATION", "aldermoor")
    monkeypatch.setenv("CAIRN_PARTITIONS", "4")
    with pytest.raises(Misconfigured, match="the ledger of mastery has 8 partitions, CAIRN_PARTITIONS says 4"):
        up()
    monkeypatch.delenv("CAIRN_PARTITIONS")
    up()
    assert kept_secrets(read_entries(home)) == kept_secrets(before)


def test_passwords_and_keys_that_were_lost_come_back_from_the_services_file(up: Up, tmp_path: Path) -> None:
    home = tmp_path / "home"
    up()
    before = read_file(home / "secrets.json")
    (home / "secrets.json").unlink()
    steps, started = up()
    assert steps[0] == f"secrets.json of {home} lacked passwords or keys: they were taken from services.json"
    assert (read_file(home / "secrets.json"), started) == (before, [])


@pytest.fixture
def on_own_servers(stack: Stack, up: Up, tmp_path: Path, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose servers are named by the environment: mastery has told something; evidence is another home's."""
    home = tmp_path / "home"
    for variable, value in {"KAFKA_SERVERS": stack.kafka_servers, "POSTGRES_URL": stack.postgres_url, "TOPIC_PREFIX": topic_prefix}.items():
        monkeypatch.setenv(f"CAIRN_{variable}", value)
    find_stack(home, pytest.fail)
    up()
    monkeypatch.delenv("CAIRN_TOPIC_PREFIX")
    record(read_entries(home)[Topic.MASTERY].owner_url, "local")
    asyncio.run(ensure_topics(stack.kafka_servers, topic_prefix, [Topic.MASTERY, Topic.EVIDENCE], 8))
    theirs = tmp_path / "theirs"
    claim(theirs)
    create_database(stack.postgres_url, Topic.EVIDENCE, theirs)
    yield home
    drop_topics(stack.kafka_servers, topics_of(topic_prefix))
    shutil.rmtree(home, ignore_errors=True)


def topics_of(prefix: str) -> list[str]:
    return [topic_name(prefix, name) for name in (Topic.MASTERY, Topic.EVIDENCE, "control")]


def test_a_wipe_removes_from_ones_own_servers_what_is_this_homes_and_nothing_else(
    stack: Stack, on_own_servers: Path, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    down(on_own_servers)
    stop(on_own_servers, wipe=True)
    told = capsys.readouterr().out.replace("\n", " ")
    assert f"topic {topic_prefix}.mastery, database cairn_mastery, everything stored" in told
    assert not on_own_servers.exists()
    assert {name for name, _ in found(stack.postgres_url)} == {"cairn_evidence", "evidence_owner", "evidence_app"}
    assert sorted(drop_topics(stack.kafka_servers, topics_of(topic_prefix))) == sorted(topics_of(topic_prefix)[1:])


def test_a_wipe_that_cannot_clear_ones_own_servers_removes_nothing(
    stack: Stack, on_own_servers: Path, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found(stack.postgres_url)
    with monkeypatch.context() as patch:
        patch.setattr("shared.stack.kafka.ASK_LIMIT_MS", 500)
        parts = read_file(on_own_servers / "stack.json")
        (on_own_servers / "stack.json").write_text(json.dumps(parts | {"kafka": parts["kafka"] | {"address": "127.0.0.1:9"}}))
        with pytest.raises(StackError, match=r"nothing of .* was removed.*Apache Kafka at 127\.0\.0\.1:9 does not answer.*wipe again"):
            stop(on_own_servers, wipe=True)
        (on_own_servers / "stack.json").write_text(json.dumps(parts))
    secrets = on_own_servers / "secrets.json"
    kept = secrets.read_text()
    secrets.write_text(json.dumps(json.loads(kept) | {"mastery_owner": "another"}))
    with pytest.raises(StackError, match=r"nothing of .* was removed.*another installation's role mastery_owner"):
        stop(on_own_servers, wipe=True)
    secrets.write_text(kept)
    assert found(stack.postgres_url) == before
    secrets.unlink()  # They are in services.json, too.
    (on_own_servers / "stack.json").write_text("{")  # And the servers in the environment.
    stop(on_own_servers, wipe=True)
    assert not [name for name, _ in found(stack.postgres_url) if "mastery" in name]
