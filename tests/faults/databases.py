"""Scenario 8: PostgreSQL stops at once, ends transactions, takes no connections, waits for a lock that nobody gives back, has no room."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from services.cli.audit.settling import TOLD_S
from shared.stack import find_stack, postgres
from shared.stack.state import read_parts
from tests.faults.load import load
from tests.faults.stage import LeftOut, Stage, scenario
from tests.faults.topics import administer
from tests.faults.town import WATCH, Town, eventually

AWAY_S = 4.0
TERMINATED = 10
"""Transactions that are ended."""
TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND state <> 'idle'
        AND application_name <> %s"""
TERMINATE_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
LIMIT_S = 60.0
EXHAUSTED_S = 8.0
MOST = 1_000
"""Connections that are opened at most until none is left."""
SOON_S = 4
"""After which a service that stands still says so, where somebody waits for it."""
LATER_S = 8
"""The same, where it must see what others do: a worker surveys the whole inbox every 5 s."""
RED_S = LATER_S + TOLD_S
"""Within which the health of one that stands still must be red then."""
HOLD = "SELECT position FROM inbox WHERE source = 'evidence' AND partition = %s FOR UPDATE"
"""Not the partition's own row: what asks nothing of mastery would still move the inbox."""
LOCKED = 3
"""The one partition that is locked, of mastery's and so of those that it hears."""
ALL = 8
ROOM = "48m"
"""Of the file system that runs full."""
CHUNK = 1 << 20


def _names(town: Town) -> list[str]:
    return [town.database_name(service) for service in town.services]


@scenario("postgres-stop", 8)
def postgres_stop(stage: Stage) -> None:
    """PostgreSQL is stopped at once (SIGQUIT) under load, twice, and started again after a while."""
    home = stage.servers.home
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            for _ in range(2):
                client.until(50)
                part = read_parts(home).get("postgres")
                if part is None or part.pid is None:
                    raise LeftOut("PostgreSQL is no process of ours here")
                os.kill(part.pid, signal.SIGQUIT)
                eventually(lambda: not postgres.answers(stage.servers.postgres), "PostgreSQL is gone", LIMIT_S)
                stage.inject("PostgreSQL stopped at once")
                time.sleep(AWAY_S)
                again = find_stack(home, lambda step: None)
                stage.must(
                    again.postgres_url == stage.servers.postgres, "PostgreSQL came back at another address: the scenario is at fault"
                )
            client.until(50)
        stage.judge(town, client)


@scenario("backend-terminated", 8)
def backend_terminated(stage: Stage) -> None:
    """Connections are terminated by the administrator while a transaction is under way on them."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed, pause_s=0.02) as client:
            client.until(50)

            def terminated() -> bool:
                ended = len(town.administer(TERMINATE, _names(town), WATCH))
                if ended:
                    stage.inject("transaction terminated", ended)
                return stage.injected["transaction terminated"] >= TERMINATED

            eventually(terminated, f"{TERMINATED} transactions are met under way", LIMIT_S)
            client.until(50)
        stage.judge(town, client)


@scenario("connections-exhausted", 8)
def connections_exhausted(stage: Stage) -> None:
    """All connections that PostgreSQL allows are taken by somebody else, and those of the services are ended."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            client.until(50)
            taken: list[psycopg.Connection] = []
            try:
                until = time.monotonic() + EXHAUSTED_S
                refused = 0
                town.administer(TERMINATE_ALL, _names(town))
                while time.monotonic() < until:
                    try:
                        taken.append(psycopg.connect(town.records["profile"]))
                    except psycopg.OperationalError:
                        refused += 1
                        time.sleep(0.02)
                    if refused == 1:
                        town.administer(TERMINATE_ALL, _names(town))
                    stage.must(len(taken) < MOST, "PostgreSQL allows more connections than this scenario opens")
            finally:
                for connection in taken:
                    connection.close()
            stage.must(refused, "connections never ran out")
            stage.inject("connection refused to us too", refused)
            client.until(50)
        stage.judge(town, client)


@scenario("lock-holder", 8)
def lock_holder(stage: Stage) -> None:
    """Somebody's session holds every partition of mastery, idle in its transaction: mastery says that it stands still, then goes on."""
    with stage.town(CAIRN_STALLED_AFTER_S=str(SOON_S)) as town:
        town.begin()
        mastery = town.of("mastery")[0]
        with load(town, stage.seed) as client:
            client.until(50)
            with psycopg.connect(town.records["mastery"]) as holder:
                holder.execute("SELECT id FROM partition ORDER BY id FOR UPDATE")
                client.until(50)
                eventually(lambda: not mastery.ready(), "mastery's health turns red while it stands still", LIMIT_S)
                said = httpx.get(f"{mastery.address}/health/ready").json()
                stage.must("none was applied" in str(said), f"mastery does not say why it is not ready: {said}")
                stage.inject("every partition locked by an idle session, health red")
            eventually(mastery.ready, "mastery's health is green again", LIMIT_S)
            client.until(50)
        stage.judge(town, client)


@scenario("partition-locked", 8)
def partition_locked(stage: Stage) -> None:
    """Somebody's session holds one partition of mastery: the others go on, and mastery says which one stands still, until it does not."""
    with stage.town(CAIRN_STALLED_AFTER_S=str(LATER_S)) as town:
        town.begin("evidence")
        for number in range(ALL):  # Else those that share a worker with it stand still, too.
            town.start("mastery", number)
        town.await_ready()
        eventually(lambda: _members(town) == ALL, "every worker of mastery has joined its group", LIMIT_S)
        with load(town, stage.seed) as client:
            client.until(200)
            with psycopg.connect(town.records["mastery"]) as holder:
                holder.execute(HOLD, [LOCKED])
                eventually(lambda: _behind(town)[LOCKED], "there is something to do in the partition that is locked", LIMIT_S)
                before, stood = _behind(town), _positions(town)
                told = eventually(lambda: _not_ready(town), "mastery's health turns red", RED_S)
                stage.must(
                    all(f"partition {LOCKED} of evidence" in each for each in told), f"mastery does not name what stands still: {told}"
                )
                healthy = [number for number in range(ALL) if number != LOCKED]
                eventually(lambda: all(_positions(town)[number] > stood[number] for number in healthy), "all others go on", LIMIT_S)
                named = [number for number in healthy if any(f"partition {number} of evidence" in each for each in _not_ready(town))]
                stage.must(not named, f"partitions {named} are said to stand still, and go on")
                stage.must(_positions(town)[LOCKED] == stood[LOCKED], f"the locked partition went on, from {before[LOCKED]} behind")
                stage.inject("one partition of eight locked by an idle session, named by red health")
            eventually(lambda: not _not_ready(town), "mastery's health is green again", LIMIT_S)
            client.until(50)
        stage.judge(town, client)


def _members(town: Town) -> int:
    """Return how many workers of mastery share its partitions; 0 while they are being shared out."""

    async def describe(admin: Any) -> Any:
        return await admin.describe_consumer_groups([f"{town.prefix}.mastery"])

    ((group, *_),) = (answer.groups for answer in administer(town.servers.kafka, describe))
    _, _, state, _, _, members = group[:6]
    return len(members) if state == "Stable" else 0


def _positions(town: Town) -> dict[int, int]:
    """Return how far mastery is in each of evidence's partitions."""
    applied = dict(town.ask("mastery", "SELECT partition, position FROM inbox WHERE source = 'evidence'"))
    return {number: applied.get(number, -1) for number in range(ALL)}


def _behind(town: Town) -> dict[int, int]:
    """Return how many events of each of evidence's partitions mastery has not applied."""
    lengths, at = dict(town.ask("evidence", "SELECT id, length FROM partition")), _positions(town)
    return {number: lengths[number] - 1 - at[number] for number in range(ALL)}


def _not_ready(town: Town) -> list[str]:
    """Return what those workers of mastery say that are not ready."""
    answers = [httpx.get(f"{worker.address}/health/ready", timeout=LIMIT_S) for worker in town.of("mastery")]
    return [answer.text for answer in answers if not answer.is_success]


@contextmanager
def _small_room(stage: Stage, town: Town, service: str) -> Iterator[Path]:
    """Put a service's database onto a small file system of its own."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise LeftOut("mounting a small tmpfs needs root")
    part = read_parts(stage.servers.home).get("postgres")
    if part is None or part.pid is None:
        raise LeftOut("PostgreSQL is no process of ours here")
    room = town.folder / "room"
    room.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", room], capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise LeftOut(f"no tmpfs can be mounted: {mounted.stderr.strip()}")
    space = f"room_{town.prefix.replace('-', '_')}"
    try:
        inner = room / "space"
        inner.mkdir(mode=0o700)
        shutil.chown(inner, postgres.USER, postgres.USER)
        town.administer(f"CREATE TABLESPACE {space} LOCATION '{inner}'")
        town.administer(f"ALTER DATABASE {town.database_name(service)} SET TABLESPACE {space}")
        yield room
    finally:
        for worker in town.workers:
            worker.kill()
        with suppress(psycopg.Error):
            town.administer(f"ALTER DATABASE {town.database_name(service)} SET TABLESPACE pg_default")
            town.administer(f"DROP TABLESPACE {space}")
        subprocess.run(["umount", "-l", room], check=False)


@scenario("disk-full", 8)
def disk_full(stage: Stage) -> None:
    """The disk of mastery's database runs full under load: nothing is lost, and it goes on when there is room again."""
    with stage.town() as town, _small_room(stage, town, "mastery") as room:
        town.begin()
        mastery = town.of("mastery")[0]
        with load(town, stage.seed, pause_s=0.02) as client:
            client.until(50)
            with (room / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
                while True:
                    ballast.write(bytes(CHUNK))
            eventually(lambda: "DiskFull" in mastery.said(), "mastery meets the full disk", LIMIT_S)
            stage.inject("disk full")
            client.until(100)
            stage.must(mastery.alive, "mastery ended when the disk was full")
            (room / "ballast").unlink()
            client.until(50)
        stage.judge(town, client)
