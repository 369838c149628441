"""The local stack starts, is found again, and leaves nothing behind, whatever dies."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest

from shared.stack import (
    Stack,
    StackError,
    copy_database,
    create_database,
    databases,
    down,
    drop_database,
    drop_roles,
    find_stack,
    kafka,
    postgres,
)
from shared.stack.containers import KAFKA_IMAGE, POSTGRES_IMAGE
from shared.stack.processes import ask_to_stop, await_end, find, holding, spawn
from shared.stack.state import DamagedFile, Part, claim, read_file, read_parts, write_file, write_parts

ROOT = Path(__file__).parents[2]
START_AND_STAY = """
import sys, time
from pathlib import Path
from shared.stack import find_stack
print(find_stack(Path(sys.argv[1]), lambda line: print(line, flush=True), environment={}).kafka_servers, flush=True)
print("ready", flush=True)
time.sleep(60)
"""
NO_DOCKER = "tcp://127.0.0.1:9"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, with nothing left of it after the test."""
    yield tmp_path / "home"
    down(tmp_path / "home", wipe=True)


def processes_of(home: Path) -> list[str]:
    """Return the command lines of all running processes that name this home."""
    alive = (process for process in psutil.process_iter(["cmdline", "status"]) if process.info["status"] != psutil.STATUS_ZOMBIE)
    return [" ".join(process.info["cmdline"]) for process in alive if any(str(home) in word for word in process.info["cmdline"] or ())]


def start_elsewhere(home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", START_AND_STAY, str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def read_until(starter: "subprocess.Popen[str]", beginning: str) -> list[str]:
    """Return what it printed up to the line with this beginning."""
    assert starter.stdout is not None
    lines: list[str] = []
    for line in starter.stdout:
        lines.append(line.strip())
        if line.startswith(beginning):
            return lines
    raise AssertionError(f"no line {beginning!r} in {lines}")


def test_what_is_stored_and_the_ports_outlive_a_stop(home: Path) -> None:
    first = find_stack(home, print, environment={})
    made = create_database(first.postgres_url, "mastery", home)
    with psycopg.connect(made.owner_url) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert Stack.running(home) == first
    assert sorted(first.stop()) == ["Apache Kafka", "PostgreSQL"]
    assert Stack.running(home) is None
    assert processes_of(home) == []
    assert first.stop() == []

    second = find_stack(home, print, environment={})
    assert (second.kafka_servers, second.postgres_url) == (first.kafka_servers, first.postgres_url)
    with psycopg.connect(made.owner_url) as owner:
        assert owner.execute("SELECT one FROM kept").fetchone() == (1,)

    assert down(home, wipe=True)[-1] == f"everything stored in {home}"
    assert not home.exists()
    assert processes_of(home) == []


def test_two_that_start_at_once_share_one_stack(home: Path) -> None:
    starters = [start_elsewhere(home), start_elsewhere(home)]
    try:
        told = [read_until(starter, "ready") for starter in starters]
    finally:
        for starter in starters:
            starter.kill()
            starter.communicate()
    assert told[0][-2] == told[1][-2]
    assert sum(line.startswith("starting Apache Kafka") for lines in told for line in lines) == 1
    before = read_parts(home)
    assert find_stack(home, print, environment={}).kafka_servers == told[0][-2]
    assert read_parts(home) == before


@pytest.mark.parametrize("moment", ["starting Apache Kafka", "starting PostgreSQL", "ready"])
def test_after_a_killed_start_down_leaves_no_process(home: Path, moment: str) -> None:
    starter = start_elsewhere(home)
    read_until(starter, moment)
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    down(home)
    assert processes_of(home) == []


def test_a_process_that_has_not_yet_its_command_line_is_found(tmp_path: Path) -> None:
    mark, stay = f"mark-{uuid4()}", "import time; time.sleep(60)"
    become = f"import os, sys, time; time.sleep(1); os.execv(sys.executable, [sys.executable, '-c', '{stay}', '{mark}'])"
    spawn([sys.executable, "-c", become], tmp_path / "log")
    assert holding(mark) == []
    found = find(lambda: holding(mark), tmp_path / "log")
    ask_to_stop(found)
    await_end(found)
    assert len(found) == 1
    assert find(lambda: holding(mark), tmp_path / "log") == []


def test_a_start_that_was_killed_can_be_made_again(home: Path) -> None:
    starter = start_elsewhere(home)
    read_until(starter, "creating a PostgreSQL data folder")
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    (home / "stack.json").unlink()  # As if it had died before it could write down what it had started.
    stack = find_stack(home, print, environment={})
    assert kafka.answers(stack.kafka_servers)
    assert sum("kafka.Kafka" in line for line in processes_of(home)) == 1


def test_a_process_that_only_has_the_same_pid_is_left_alone(tmp_path: Path, home: Path) -> None:
    pid, started = spawn(["sleep", "60"], tmp_path / "log")
    other = psutil.Process(pid)
    try:
        claim(home)
        write_parts(home, {"kafka": Part("127.0.0.1:1", "a process of long ago", pid=pid, started=started - 3600)})
        assert down(home) == []
        assert other.status() != psutil.STATUS_ZOMBIE
    finally:
        other.kill()
        os.waitpid(pid, 0)


def test_servers_named_by_the_environment_are_used_and_never_stopped(stack: Stack, home: Path) -> None:
    named = {"CAIRN_KAFKA_SERVERS": stack.kafka_servers, "CAIRN_POSTGRES_URL": stack.postgres_url}
    found = find_stack(home, pytest.fail, environment=named)
    assert (found.kafka_servers, found.postgres_url) == (stack.kafka_servers, stack.postgres_url)
    assert down(home, wipe=True) == [f"everything stored in {home}"]
    assert Stack.running(stack.home) == stack


def test_servers_named_by_the_environment_are_known_after_a_stop(stack: Stack, home: Path) -> None:
    find_stack(home, pytest.fail, environment={"CAIRN_KAFKA_SERVERS": stack.kafka_servers, "CAIRN_POSTGRES_URL": stack.postgres_url})
    before = read_parts(home)
    assert down(home) == []
    assert read_parts(home) == before
    assert set(before) == {"kafka", "postgres"}


@pytest.fixture
def own_postgres(stack: Stack, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Find a stack whose PostgreSQL is this home's own, and return what was told meanwhile."""
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    monkeypatch.setattr(postgres, "ASK_LIMIT_S", 2)

    def found() -> list[str]:
        told: list[str] = []
        find_stack(home, told.append, environment={"CAIRN_KAFKA_SERVERS": stack.kafka_servers})
        return told

    return found


def test_a_server_that_runs_and_does_not_answer_is_left_and_one_that_is_gone_is_started_anew(
    home: Path, own_postgres: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own_postgres()
    before = read_parts(home)["postgres"]
    assert before.pid
    waiting = f"waiting for PostgreSQL, which is starting or busy; its log: {postgres.log_file(home)}"
    os.kill(before.pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("shared.stack.START_LIMIT_S", 1)
            words = rf"PostgreSQL runs and does not answer.*run `cairn up` again.*`cairn down`.*{postgres.log_file(home)}"
            with pytest.raises(StackError, match=words):
                own_postgres()
        wakes = Timer(3, os.kill, [before.pid, signal.SIGCONT])
        wakes.start()
        assert own_postgres() == [waiting]
    finally:
        os.kill(before.pid, signal.SIGCONT)
    assert read_parts(home)["postgres"] == before
    os.kill(before.pid, signal.SIGSTOP)
    ends = Timer(3, os.kill, [before.pid, signal.SIGKILL])
    ends.start()
    assert own_postgres()[0] == waiting
    assert read_parts(home)["postgres"].pid != before.pid


def test_a_stop_and_a_start_pass_over_a_stack_file_that_is_damaged(home: Path, own_postgres: Callable[[], list[str]]) -> None:
    own_postgres()
    address, whole = read_parts(home)["postgres"].address, (home / "stack.json").read_bytes()
    (home / "stack.json").write_bytes(whole[:40])
    assert own_postgres()[0] == f"{home / 'stack.json'} cannot be read: the servers are looked for and noted anew"
    assert read_parts(home)["postgres"].address == address
    (home / "stack.json").write_bytes(whole[:40])
    assert down(home) == ["PostgreSQL"]
    assert processes_of(home) == []
    (home / "secrets.json").unlink()
    with pytest.raises(StackError, match=r"secrets\.json lacks the password of `postgres`.*put the file back from a backup"):
        own_postgres()
    assert not (home / "secrets.json").exists(), "none was drawn in its place"


@pytest.mark.parametrize("name", ["stack.json", "secrets.json", "services.json"])
def test_a_file_that_is_damaged_says_how_to_come_by_it_again_and_never_wipes(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    write_file(file, {"one": "a"})
    assert read_file(file) == {"one": "a"}
    for content in (file.read_bytes()[:7], b"", b"[]"):
        file.write_bytes(content)
        with pytest.raises(DamagedFile, match=rf"{name} is n.*(remove it|put it back from a backup).*wipe nothing") as told:
            read_file(file)
        assert "--wipe" not in str(told.value)


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, forced = tmp_path / "secrets.json", list[tuple[str, bool]]()

    def fsync(number: int) -> None:
        forced.append((str(Path(f"/proc/self/fd/{number}").readlink()), file.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(file, {"one": "a"})
    assert forced == [(str(file.with_suffix(".new")), False), (str(tmp_path), True)]


def take_every_connection(address: str, held: ExitStack) -> None:
    while True:
        held.enter_context(psycopg.connect(address))


def test_a_server_without_a_free_connection_serves(
    home: Path, own_postgres: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SETTINGS", postgres.SETTINGS | {"max_connections": "5"})
    own_postgres()
    before = read_parts(home)["postgres"]
    with ExitStack() as held:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            take_every_connection(before.address, held)
        assert own_postgres() == []
    assert read_parts(home)["postgres"] == before


def test_the_time_in_which_a_server_replays_its_log_does_not_count(
    home: Path, own_postgres: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own_postgres()
    address = read_parts(home)["postgres"].address
    down(home)
    data, hold = postgres.data_folder(home), home / "hold"
    hold.touch()
    (data / "recovery.signal").touch()
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = 'while test -e {hold}; do sleep 0.1; done; false'\n")
    monkeypatch.setattr("shared.stack.START_LIMIT_S", 4)
    released = Timer(10, hold.unlink)
    released.start()
    began = time.monotonic()
    assert "waiting for PostgreSQL" in own_postgres()[-1]
    assert time.monotonic() - began > 6
    assert postgres.answers(address)
    released.join()


def test_a_named_server_that_does_not_answer_is_said(stack: Stack, home: Path) -> None:
    with pytest.raises(StackError, match="no Apache Kafka answers where CAIRN_KAFKA_SERVERS points"):
        find_stack(home, print, environment={"CAIRN_KAFKA_SERVERS": "127.0.0.1:9", "CAIRN_POSTGRES_URL": stack.postgres_url})
    named = {"CAIRN_KAFKA_SERVERS": stack.kafka_servers, "CAIRN_POSTGRES_URL": "postgresql://postgres@127.0.0.1:9/postgres"}
    with pytest.raises(StackError, match="no PostgreSQL answers where CAIRN_POSTGRES_URL points"):
        find_stack(home, print, environment=named)


def test_a_server_that_will_not_start_is_quoted(stack: Stack, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    with pytest.raises(StackError, match=r"log\.retention\.hours"):
        find_stack(home, print, environment={"CAIRN_POSTGRES_URL": stack.postgres_url}, broker_settings={"log.retention.hours": "soon"})
    assert processes_of(home) == []


def test_without_java_the_message_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(
        StackError, match=r"Java 17 or newer is missing: install it .*openjdk.* or name a server of yours in CAIRN_KAFKA_SERVERS"
    ):
        find_stack(home, print, environment={})


def test_a_java_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=r"is not Java 17 or newer .*11\.0\.2"):
        kafka.find_java()


def test_without_maven_the_jars_fetched_before_are_enough(tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    libs = kafka.fetch_jars(print)
    monkeypatch.setenv("PATH", "")
    assert kafka.fetch_jars(pytest.fail) == libs
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(StackError, match=r"Maven is missing: install it .*apt-get install maven"):
        kafka.fetch_jars(print)


def test_a_folder_of_somebody_else_is_neither_used_nor_wiped(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(StackError, match="point CAIRN_HOME at a folder of its own"):
        find_stack(tmp_path, print, environment={})
    assert down(tmp_path, wipe=True) == []
    assert (tmp_path / "thesis.txt").exists()


def test_a_service_has_a_database_that_only_it_can_reach(stack: Stack, tmp_path: Path) -> None:
    suffix = f"_s{os.getpid()}"
    services = ("mastery", "pathing")
    try:
        mine, other = (create_database(stack.postgres_url, service, tmp_path, suffix) for service in services)
        assert create_database(stack.postgres_url, "mastery", tmp_path, suffix) == mine
        with psycopg.connect(mine.owner_url) as owner:
            owner.execute("CREATE TABLE event (one integer)")
        with psycopg.connect(mine.app_url) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("SELECT * FROM event")
        with psycopg.connect(mine.app_url) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("CREATE TABLE own (one integer)")
        stranger = other.app_url.replace("cairn_pathing", "cairn_mastery")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(stranger)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(mine.app_url.replace(f"mastery{suffix}_app:", f"mastery{suffix}_owner:"))
        secrets = tmp_path / "secrets.json"
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
        assert set(json.loads(secrets.read_text())) == {f"{service}{suffix}_{part}" for service in services for part in ("owner", "app")}
    finally:
        for service in services:
            drop_database(stack.postgres_url, f"cairn_{service}{suffix}")
            drop_roles(stack.postgres_url, tmp_path, [f"{service}{suffix}_owner", f"{service}{suffix}_app"])


def passwords_of(postgres_url: str, roles: list[str]) -> list[tuple[str, str]]:
    """Return the roles that are there, with what the server keeps of their passwords."""
    with psycopg.connect(postgres_url) as admin:
        return admin.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s) ORDER BY rolname", [roles]).fetchall()


def has_database(postgres_url: str, database: str) -> bool:
    with psycopg.connect(postgres_url) as admin:
        return admin.execute("SELECT FROM pg_database WHERE datname = %s", [database]).fetchone() is not None


def test_another_installations_roles_are_refused_each_time_and_keep_their_passwords(stack: Stack, tmp_path: Path) -> None:
    suffix = f"_o{os.getpid()}"
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    roles = [f"mastery{suffix}_app", f"mastery{suffix}_owner"]
    for folder in (theirs, ours):
        folder.mkdir()
    try:
        made = create_database(stack.postgres_url, "mastery", theirs, suffix)
        drop_database(stack.postgres_url, f"cairn_mastery{suffix}")  # A database that is missing does not make its roles ours.
        kept = passwords_of(stack.postgres_url, roles)
        for _ in range(2):
            with pytest.raises(StackError, match=rf"another installation's role mastery{suffix}_owner.*--home \(or CAIRN_HOME\)"):
                create_database(stack.postgres_url, "mastery", ours, suffix)
        (ours / "secrets.json").write_text(json.dumps(dict.fromkeys(roles, "another-servers")))
        with pytest.raises(StackError, match="another installation's role"):
            create_database(stack.postgres_url, "mastery", ours, suffix)
        (ours / "secrets.json").unlink()
        assert passwords_of(stack.postgres_url, roles) == kept
        assert not has_database(stack.postgres_url, f"cairn_mastery{suffix}")
        assert create_database(stack.postgres_url, "mastery", theirs, suffix) == made
    finally:
        drop_database(stack.postgres_url, f"cairn_mastery{suffix}")
        drop_roles(stack.postgres_url, theirs, roles)
    assert create_database(stack.postgres_url, "mastery", theirs, suffix) != made
    drop_database(stack.postgres_url, f"cairn_mastery{suffix}")
    drop_roles(stack.postgres_url, theirs, roles)


@pytest.mark.parametrize("moment", ["the second password", "the first role", "the database"])
def test_databases_can_be_made_after_a_start_that_was_cut_short(
    moment: str, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = f"_i{os.getpid()}"

    def cut(number: int, what: Callable[..., Any]) -> Callable[..., Any]:
        calls = count(1)

        def called(*words: Any, **named: Any) -> Any:
            if next(calls) == number:
                raise KeyboardInterrupt
            return what(*words, **named)

        return called

    number, name = {"the second password": (2, "password"), "the first role": (2, "_ensure_role"), "the database": (1, "_ensure_database")}[
        moment
    ]
    try:
        with monkeypatch.context() as patch:
            patch.setattr(databases, name, cut(number, getattr(databases, name)))
            with pytest.raises(KeyboardInterrupt):
                create_database(stack.postgres_url, "mastery", tmp_path, suffix)
        made = create_database(stack.postgres_url, "mastery", tmp_path, suffix)
        psycopg.connect(made.app_url).close()
    finally:
        drop_database(stack.postgres_url, f"cairn_mastery{suffix}")
        drop_roles(stack.postgres_url, tmp_path, [f"mastery{suffix}_owner", f"mastery{suffix}_app"])


def test_a_copy_of_a_database_has_its_own_rows_and_the_same_roles(stack: Stack, tmp_path: Path) -> None:
    suffix = f"_c{os.getpid()}"
    copied = f"cairn_copy{suffix}"
    try:
        source = create_database(stack.postgres_url, "evidence", tmp_path, suffix)
        with psycopg.connect(source.owner_url) as owner:
            owner.execute(f"CREATE TABLE event AS SELECT 1 AS one; GRANT SELECT ON event TO evidence{suffix}_app")
        copy = copy_database(stack.postgres_url, source, copied)
        with psycopg.connect(copy.owner_url) as owner:
            owner.execute("INSERT INTO event VALUES (2)")
        with psycopg.connect(copy.app_url) as app:
            assert app.execute("SELECT count(*) FROM event").fetchone() == (2,)
        with psycopg.connect(source.app_url) as app:
            assert app.execute("SELECT count(*) FROM event").fetchone() == (1,)
    finally:
        for database in (copied, f"cairn_evidence{suffix}"):
            drop_database(stack.postgres_url, database)
        drop_roles(stack.postgres_url, tmp_path, [f"evidence{suffix}_owner", f"evidence{suffix}_app"])


def test_a_name_that_could_break_a_statement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot be a database's name"):
        create_database("postgresql://nobody@127.0.0.1:9/postgres", 'x"; DROP', tmp_path)


def test_the_compose_file_has_the_same_images_and_settings() -> None:
    lines = {line.strip() for line in (ROOT / "compose.yaml").read_text().splitlines()}
    inside = {"listen_addresses", "unix_socket_directories"}  # The image's own are right in a container.
    expected = {f"image: {KAFKA_IMAGE}", f"image: {POSTGRES_IMAGE}"}
    expected |= {f'KAFKA_{name.upper().replace(".", "_")}: "{value}"' for name, value in kafka.SETTINGS.items()}
    expected |= {f'- "--{name}={value}"' for name, value in postgres.SETTINGS.items() if name not in inside}
    assert expected <= lines


def test_the_pom_and_the_code_name_the_same_version() -> None:
    assert f"<version>{kafka.VERSION}</version>" in kafka.POM.read_text()


def test_neither_an_odd_folder_name_nor_an_odd_cluster_id_stops_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "shared.stack.kafka.uuid.uuid4", lambda: UUID("f8000000-0000-4000-8000-000000000000")
    )  # In base 64 it begins with a dash.
    home = tmp_path / "sch\u00f6n, ja"
    try:
        assert kafka.answers(find_stack(home, print, environment={}).kafka_servers)
    finally:
        down(home, wipe=True)


def test_a_user_that_another_start_is_making_just_now_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = set()
    tried: list[int] = []

    def useradd(argv: list[str], limit_s: float) -> "subprocess.CompletedProcess[str]":
        tried.append(len(known))
        known.update([["user"], ["user", "group"]][len(tried) > 1])  # The other one has made the user first, then its group.
        return subprocess.CompletedProcess(argv, 9, "", "useradd: user 'cairn-postgres' already exists")

    def found(kind: str, name: str) -> str:
        return {kind: name}[kind if kind in known else name]

    monkeypatch.setattr(postgres.os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres.processes, "run", useradd)
    monkeypatch.setattr(postgres.pwd, "getpwnam", lambda name: found("user", name))
    monkeypatch.setattr(postgres.grp, "getgrnam", lambda name: found("group", name))
    monkeypatch.setattr(postgres, "USER_WAITS_S", (0, 0, 0))
    assert postgres._unprivileged_user() == postgres.USER
    assert tried == [0, 1]
    known.clear()
    monkeypatch.setattr(postgres.processes, "run", lambda argv, limit_s: subprocess.CompletedProcess(argv, 1, "", "useradd: no entry"))
    with pytest.raises(StackError, match=r"no entry.*run Cairn as another user"):
        postgres._unprivileged_user()
