"""Scenario 8: PostgreSQL stops at once, ends transactions, takes no connections, waits for a lock that nobody gives back, has no room."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg

from services.cli.audit.settling import TOLD_S
from shared.stack import find_stack, postgres
from shared.stack.state import read_parts
from tests.faults.district import EVERY, busy, district, go_on, inject_each, judge_district, said, settle, site
from tests.faults.load import load
from tests.faults.stage import LeftOut, Stage, scenario
from tests.faults.town import WATCH, NeverHappened, Town, eventually

AWAY_S = 4.0
LOST = {"relay": "relay starts again", "ticker": "leader starts again", "pool": "error connecting in"}
"""What a service says of each of those that reach PostgreSQL from it: requests, records and ticks share the pool."""
TERMINATED, WROTE = 4, 2
"""Transactions of each service that are ended, and at least how many of them had written, or locked what they were to write."""
TERMINATE = """
    SELECT datname, backend_xid IS NOT NULL, pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND state <> 'idle'
        AND application_name <> %s AND (backend_xid IS NOT NULL OR NOT %s)"""
TERMINATE_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND application_name <> %s"""
LIMIT_S = 60.0
EXHAUSTED_S, END_EVERY_S = 8.0, 1.0
"""For how long at least there is no connection to be had; and time between two attempts to get those of services that were quicker."""
TAKER = "cairn-taker"
NONE_LEFT = ("sorry, too many clients already", "remaining connection slots are reserved")
"""What PostgreSQL says then. Of a service, only the pool writes down the server's words."""
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
HEARERS, TOLD = (("scheduling",), ("pathing",), ("mastery",)), (("profile", "evidence"),)
"""Who shares a disk that runs full. First those that hear others, one after the other until all are full, whoever hears the rest first:
whoever stands behind a full one hears nothing, and has nothing to write. Then those that clients tell."""
ROOM = "96m"
"""Of a file system that runs full."""
FULL = "DiskFull"
"""What a service writes of it: the error's class."""
CHUNK = 1 << 20


@scenario("postgres-stop", 8, whole=True)
def postgres_stop(stage: Stage) -> None:
    """PostgreSQL is stopped at once (SIGQUIT) under load, twice, and started again after a while: all five services go on."""
    home = stage.servers.home
    with district(stage) as made:
        with busy(made) as client:
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
                stage.fault_ends()
                stage.must(
                    again.postgres_url == stage.servers.postgres, "PostgreSQL came back at another address: the scenario is at fault"
                )
                go_on(made.town)
            client.until(50)
        for what, words in LOST.items():
            inject_each(stage, f"{what} without PostgreSQL", said(made.town, words))
        judge_district(stage, made, client)


@scenario("backend-terminated", 8, whole=True)
def backend_terminated(stage: Stage) -> None:
    """Connections are terminated by the administrator in the middle of a transaction, of each service also of one that has written."""
    with district(stage) as made:
        names = {made.town.database_name(service): service for service in EVERY}
        with busy(made, pause_s=0.1) as client:
            client.until(50)
            wrote, ended = Counter(dict.fromkeys(EVERY, 0)), Counter(dict.fromkeys(EVERY, 0))

            def terminated(databases: Iterable[str], writing: bool) -> None:
                for name, written, _ in made.town.administer(TERMINATE, list(databases), WATCH, writing):
                    ended[names[name]] += 1
                    wrote[names[name]] += written

            def all_wrote() -> bool:
                terminated([name for name, service in names.items() if wrote[service] < WROTE], writing=True)
                return min(wrote.values()) >= WROTE

            def all_ended() -> bool:
                terminated([name for name, service in names.items() if ended[service] < TERMINATED], writing=False)
                return min(ended.values()) >= TERMINATED

            eventually(all_wrote, f"{WROTE} transactions of each service that have written are met under way", LIMIT_S)
            eventually(all_ended, f"{TERMINATED} transactions of each service are met under way", LIMIT_S)
            stage.fault_ends()
            go_on(made.town)
            client.until(50)
        inject_each(stage, "transaction terminated", ended)
        inject_each(stage, "of them, one that had written", wrote)
        judge_district(stage, made, client)


@scenario("connections-exhausted", 8, whole=True)
def connections_exhausted(stage: Stage) -> None:
    """All connections that PostgreSQL allows are taken by somebody else, and those of the services are ended, until each was refused."""
    with district(stage) as made:
        town = made.town
        with busy(made) as client, psycopg.connect(town.servers.postgres, autocommit=True) as administrator:  # None is left afterwards.
            client.until(50)
            taken: list[psycopg.Connection] = []
            administrator = psycopg.connect(town.servers.postgres, autocommit=True)  # While there is still room for one.
            try:
                began = time.monotonic()
                ended_at = 0.0
                while time.monotonic() < began + EXHAUSTED_S or not all(_refused(town).values()):
                    try:
                        taken.append(psycopg.connect(town.records["profile"], application_name=TAKER))
                    except psycopg.OperationalError:
                        stage.inject("connection refused to us too")
                        if time.monotonic() > ended_at + END_EVERY_S:  # Whoever was quicker than we were.
                            administrator.execute(TERMINATE_ALL, [[town.database_name(service) for service in EVERY], TAKER])
                            ended_at = time.monotonic()
                        time.sleep(0.02)
                    if len(taken) >= MOST or time.monotonic() > began + LIMIT_S:
                        raise NeverHappened(f"with {len(taken)} connections taken, PostgreSQL refused pools so often: {_refused(town)}")
            finally:
                for connection in (*taken, administrator):
                    connection.close()
            stage.fault_ends()
            go_on(town)
            client.until(50)
        inject_each(stage, "pool was refused a connection", _refused(town))
        judge_district(stage, made, client)


def _refused(town: Town) -> Counter[str]:
    """Return how often each service's pool was told that PostgreSQL has no connection left."""
    return Counter({service: sum(said(town, words)[service] for words in NONE_LEFT) for service in EVERY})


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
            stage.fault_ends()
            eventually(mastery.ready, "mastery's health is green again", LIMIT_S)
            client.until(50)
        stage.judge(town, client)


@scenario("partition-locked", 8)
def partition_locked(stage: Stage) -> None:
    """Somebody's session holds one partition of mastery: the others of the same worker go on, and it says which one stands still."""
    with stage.town(CAIRN_STALLED_AFTER_S=str(LATER_S)) as town:
        town.begin()
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
            stage.fault_ends()
            eventually(lambda: not _not_ready(town), "mastery's health is green again", LIMIT_S)
            client.until(50)
        stage.judge(town, client)


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
def _small_room(stage: Stage, town: Town, services: Sequence[str]) -> Iterator[Path]:
    """Put the databases of these services onto a small file system of their own."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise LeftOut("mounting a small tmpfs needs root")
    part = read_parts(stage.servers.home).get("postgres")
    if part is None or part.pid is None:
        raise LeftOut("PostgreSQL is no process of ours here")
    room = town.folder / f"room-{services[0]}"
    room.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", room], capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise LeftOut(f"no tmpfs can be mounted: {mounted.stderr.strip()}")
    space = f"room_{services[0]}_{town.prefix.replace('-', '_')}"
    names = [town.database_name(service) for service in services]
    try:
        inner = room / "space"
        inner.mkdir(mode=0o700)
        shutil.chown(inner, postgres.USER, postgres.USER)
        town.administer(f"CREATE TABLESPACE {space} LOCATION '{inner}'")
        for name in names:
            _move(town, name, space)
        yield room
    finally:
        for worker in town.workers:
            worker.kill()
        with suppress(psycopg.Error):
            for name in names:
                _move(town, name, "pg_default")
            town.administer(f"DROP TABLESPACE {space}")
        subprocess.run(["umount", "-l", room], check=False)


def _move(town: Town, name: str, space: str) -> None:
    """Move a database, to which nobody may be connected meanwhile, not even who watches."""
    town.administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        town.administer(TERMINATE_ALL, [name], "")
        town.administer(f"ALTER DATABASE {name} SET TABLESPACE {space}")
    finally:
        town.administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def _filled(room: Path) -> Path:
    """Fill a file system, and return the file that does."""
    ballast = room / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(CHUNK))
    return ballast


@scenario("disk-full", 8, whole=True)
def disk_full(stage: Stage) -> None:
    """The disks of the services that hear others run full under load, then that of those that clients tell: nothing is lost, all go on."""
    with site(stage) as town, ExitStack() as stack:
        rooms = {services: stack.enter_context(_small_room(stage, town, services)) for services in (*HEARERS, *TOLD)}
        made = settle(town, stage.seed)
        with busy(made) as client:
            for disks in (HEARERS, TOLD):
                client.until(50)
                ballast = []
                for services in disks:
                    ballast.append(_filled(rooms[services]))
                    eventually(
                        lambda those=services: all(said(town, FULL)[each] for each in those), f"{services} meet the full disk", LIMIT_S
                    )
                for each in ballast:
                    each.unlink()
                stage.fault_ends()
                go_on(town)
            client.until(50)
        inject_each(stage, "disk full", said(town, FULL))
        judge_district(stage, made, client)
