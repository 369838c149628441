"""What `cairn up` makes of a server, and of processes, that are there already."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from services.cli import fleet
from services.cli.home import GATEWAY, MEMBER_OF, Entry, member_mark, read_entries, write_entries
from shared.contracts.topics import Topic
from shared.stack import Stack, StackError, create_database, drop_database, drop_roles
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


def test_what_runs_as_another_release_is_ended_before_the_migration_and_started_anew(
    stack: Stack, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    claim(home)
    steps, started = list[str](), dict[str, tuple[int, float]]()

    def stand_in(_: Path, name: str, entry: Entry) -> tuple[int, float]:
        mark = {MEMBER_OF: member_mark(home, name)}
        started[name] = spawn(["sleep", "120"], tmp_path / f"{name}.log", environment=entry.environment | mark)
        return started[name]

    def up(release: str) -> dict[str, Entry]:
        monkeypatch.setenv("CAIRN_RELEASE", release)
        steps.clear()
        started.clear()
        plan = fleet.plan_of(home, None, None, None, [Topic.MASTERY], {})
        fleet.start(home, fleet.prepare(plan, stack, steps.append), steps.append)
        return read_entries(home)

    monkeypatch.setattr(fleet, "_spawn", stand_in)
    names = {Topic.MASTERY, GATEWAY}
    try:
        first = up("1.0")
        assert set(started) == names
        assert up("1.0") == first
        assert not started, "what runs as this release stays"
        old = [psutil.Process(entry.pid) for entry in first.values()]
        second = up("2.0")
        assert set(started) == names
        assert not [process for process in old if is_alive(process)]
        assert {name: entry.port for name, entry in second.items()} == {name: entry.port for name, entry in first.items()}
        assert steps[:3] == [
            *(f"ending {name} of release 1.0: that of release 2.0 takes its place" for name in (GATEWAY, Topic.MASTERY)),
            "bringing the database of mastery to the newest schema",
        ]
        unmarked = {name: value for name, value in second[Topic.MASTERY].environment.items() if name != fleet.RELEASE}
        write_entries(home, second | {Topic.MASTERY: replace(second[Topic.MASTERY], environment=unmarked)})
        third = up("2.0")  # What was started before releases were written down is of another.
        assert set(started) == {Topic.MASTERY}
        assert steps[0] == "ending mastery of an earlier release: that of release 2.0 takes its place"
        assert third[GATEWAY] == second[GATEWAY]
    finally:
        left = [process for entry in read_entries(home).values() if (process := entry.process)]
        ask_to_stop(left)
        await_end(left)
