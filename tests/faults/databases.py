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

import httpx
import psycopg

from shared.stack import find_stack, postgres
from shared.stack.state import read_parts
from tests.faults.load import load
from tests.faults.stage import LeftOut, Stage, scenario
from tests.faults.town import Town, eventually

AWAY_S = 4.0
TERMINATED = 10
"""Transactions that are ended."""
TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND state <> 'idle'"""
TERMINATE_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
LIMIT_S = 60.0
EXHAUSTED_S = 8.0
MOST = 1_000
"""Connections that are opened at most until none is left."""
STALLED_S = 4
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
                ended = len(town.administer(TERMINATE, _names(town)))
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
    with stage.town(CAIRN_STALLED_AFTER_S=str(STALLED_S)) as town:
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
