"""A small installation for one scenario: fresh databases and topics, real processes of the services, and what a scenario does to them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from services.cli.home import MEMBER_OF
from shared.stack import ServiceDatabase, copy_database, create_database, drop_database, drop_roles
from shared.testing import a_port
from tests.faults import seeds

DISTRICT_KEY, PARKING_KEY = "22" * 32, "11" * 32
READY_S = 90.0
END_S = 40.0
POLL_S = 0.05
SESSION_MS = 6_000
STALLED_S = 30.0
"""After which a service that stands still says so, where a scenario sets nothing else."""
WATCH = "cairn-watch"
"""What the watch of I9 calls itself where it asks the databases."""
AT_ONCE = 50
"""Records that a consumer takes at once: few, so that there are many transactions to be broken off."""
REFUSED = "batch refused, the inbox has moved"
"""What a worker says that has a batch in hand which was written already."""
SMALL = ("evidence", "mastery")
"""What runs in most scenarios: the whole way of a piece of evidence from a client to another service's ledger."""
HEARS = {
    "profile": (), "evidence": ("profile",), "mastery": ("evidence",), "pathing": ("profile", "mastery"),
    "scheduling": ("profile", "pathing"),
}  # fmt: skip


class NeverHappened(AssertionError):
    """What a scenario waited for did not come; most often the fault was not injected, and then nothing is shown."""


def eventually(what: Callable[[], Any], why: str, seconds: float = READY_S) -> Any:
    """Return what is at last true.

    Raises:
        NeverHappened: it never was.
    """
    found = happens(what, seconds)
    if not found:
        raise NeverHappened(f"not within {seconds:.0f} s: {why}")
    return found


def happens(what: Callable[[], Any], seconds: float = READY_S) -> Any:
    """Return what is at last true, or what it was when the time was over."""
    until = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() <= until:
        time.sleep(POLL_S)
    return found


@dataclass
class Servers:
    """Kafka and PostgreSQL, and the databases that towns are copied from."""

    home: Path
    kafka: str
    postgres: str
    suffix: str = field(default_factory=lambda: f"_f{secrets.token_hex(3)}")
    templates: dict[str, ServiceDatabase] = field(default_factory=dict)

    def template(self, service: str) -> ServiceDatabase:
        """Return a migrated database of a service, evidence's with learners and items that are known; made once."""
        if service not in self.templates:
            from shared.migrate import migrate

            made = create_database(self.postgres, service, self.home, self.suffix)
            migrate(service, made.owner_url)
            if service == "evidence":
                seeds.know(made.app_url)
            self.templates[service] = made
        return self.templates[service]

    def drop(self) -> None:
        """Remove the templates and their roles."""
        for service in self.templates:
            drop_database(self.postgres, f"cairn_{service}{self.suffix}")
            drop_roles(self.postgres, self.home, [f"{service}{self.suffix}_owner", f"{service}{self.suffix}_app"])
        self.templates.clear()


@dataclass
class Worker:
    """One process of a service."""

    service: str
    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether it runs, or stands still."""
        return self.process.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it stands still (SIGSTOP)."""
        return self.alive and psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED

    def said(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace")

    def ready(self) -> bool:
        """Whether it says that it gets on."""
        try:
            return httpx.get(f"{self.address}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if self.alive:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self.send(signal.SIGKILL)
        self.process.wait(END_S)

    def end(self) -> int:
        """Ask it to stop, as an operator does, and return its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(END_S)

    def rss(self) -> int:
        """Bytes of memory it holds; 0 where it is gone."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


@dataclass
class Town:
    """An installation. Its databases and topics are nobody else's."""

    servers: Servers
    folder: Path
    services: tuple[str, ...]
    prefix: str
    databases: dict[str, ServiceDatabase]
    environment: dict[str, str] = field(default_factory=dict)
    """Settings of every process on top of ours."""
    workers: list[Worker] = field(default_factory=list)
    kafka: dict[str, str] = field(default_factory=dict)
    """Where services find Kafka; a proxy may stand there."""
    urls: dict[str, str] = field(default_factory=dict)
    """Where services find their databases; a proxy may stand there."""

    @property
    def records(self) -> dict[str, str]:
        """Each database's address, past any proxy."""
        return {service: database.app_url for service, database in self.databases.items()}

    def settings(self, service: str, name: str, port: int) -> dict[str, str]:
        """Return the environment of a process."""
        knows = service in ("profile", "evidence")
        return {
            "CAIRN_HOME": str(self.folder / "home"), "CAIRN_KAFKA_SERVERS": self.kafka.get(service) or self.servers.kafka,
            "CAIRN_DATABASE_URL": self.urls.get(service) or self.records[service], "CAIRN_PORT": str(port), "CAIRN_HOST": "127.0.0.1",
            "CAIRN_TOPIC_PREFIX": self.prefix, "CAIRN_INSTANCE_ID": name, "CAIRN_LOG_LEVEL": "WARNING", "CAIRN_PARKING_KEY": PARKING_KEY,
            "CAIRN_DISTRICT_KEY": DISTRICT_KEY if knows else "", "CAIRN_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "CAIRN_OWNER_DATABASE_URL": "", "CAIRN_NOW": "", "CAIRN_CONSUME_MAX_RECORDS": str(AT_ONCE),
            "CAIRN_STALLED_AFTER_S": f"{STALLED_S:g}",
            "CAIRN_FAILPOINT": "", "CAIRN_ALLOW_FAILPOINTS": "1", MEMBER_OF: f"{self.folder}#{service}",
        } | self.environment  # fmt: skip

    def start(self, service: str, number: int = 0, program: Sequence[str] = (), **environment: str) -> Worker:
        """Start a process of a service.

        Args:
            number: of the worker, where there are several.
            program: what Python runs instead of `cairn serve`.
            environment: settings of this process alone.
        """
        name, port = f"{service}-{number}", a_port()
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}.{len(self.workers)}.log"
        words = [*program] if program else ["-m", "services.cli", "serve", service]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=os.environ | self.settings(service, name, port) | environment, start_new_session=True,
            )  # fmt: skip
        worker = Worker(service, name, port, log, process)
        self.workers.append(worker)
        return worker

    def begin(self, *services: str) -> None:
        """Start these services, by default all of the town's, and wait until they are ready."""
        for service in services or self.services:
            self.start(service)
        self.await_ready()

    def await_ready(self, *workers: Worker) -> None:
        """Wait until these processes, by default all, are ready.

        Raises:
            NeverHappened: one ended, or does not get ready; with its last words.
        """
        for worker in workers or [each for each in self.workers if each.alive]:

            def ready(worker: Worker = worker) -> bool:
                if not worker.alive:
                    raise NeverHappened(f"{worker.name} ended while it started:\n{worker.said()[-1500:]}")
                return worker.ready()

            eventually(ready, f"{worker.name} is ready")

    def of(self, service: str) -> list[Worker]:
        """Return the processes of a service that run."""
        return [worker for worker in self.workers if worker.service == service and worker.alive]

    def address(self, service: str) -> str | None:
        """Return where a process of this service answers; None where none runs."""
        running = self.of(service)
        return running[-1].address if running else None

    def command(self, service: str, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `cairn` with the settings of a service."""
        own = self.settings(service, f"{service}-0", 0) | {"COLUMNS": "300"}
        return subprocess.run(
            [sys.executable, "-m", "services.cli", *words], capture_output=True, text=True, timeout=seconds, check=False,
            env=os.environ | own,
        )  # fmt: skip

    def ask(self, service: str, query: str, *values: Any) -> list[Any]:
        """Return the rows of a query on a service's database, as its app."""
        with psycopg.connect(self.records[service], autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def own(self, service: str, *statements: str) -> None:
        """Run statements as the owner of a service's database."""
        with psycopg.connect(self.databases[service].owner_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def administer(self, query: str, *values: Any) -> list[Any]:
        """Run a statement as PostgreSQL's administrator; return its rows, if it has any."""
        with psycopg.connect(self.servers.postgres, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End every process and remove the databases."""
        for worker in self.workers:
            if worker.alive:
                for child in psutil.Process(worker.process.pid).children(recursive=True):
                    child.kill()
            worker.kill()
        for service in self.databases:
            drop_database(self.servers.postgres, self.database_name(service))

    def database_name(self, service: str) -> str:
        """Return the name of a service's database."""
        return self.databases[service].app_url.rpartition("/")[2]


@contextmanager
def town(servers: Servers, folder: Path, services: Sequence[str] = SMALL, **environment: str) -> Iterator[Town]:
    """Yield an installation of these services, nothing started yet; those that they hear have a ledger, which stays empty."""
    own = secrets.token_hex(4)
    every = [service for service in HEARS if service in services or any(service in HEARS[each] for each in services)]
    databases = {service: copy_database(servers.postgres, servers.template(service), f"cairn_{service}_{own}") for service in every}
    folder = folder / own
    folder.mkdir(parents=True)
    made = Town(servers, folder, tuple(services), f"fault-{own}", databases, environment)
    try:
        yield made
    finally:
        made.close()
