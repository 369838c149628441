"""Several processes of one service on one machine: they share its port, and each has a name of its own in the consumer group.

A supervisor starts the workers, starts those anew that die, and ends all of them together. Each worker has a line to it, over which it says
once a second how it is, and hears how the others are: so every one of them can answer for all.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, Final

import structlog

from shared.errors import CairnError
from shared.http.gate import SILENCE_LIMIT_S, limit_unread

MAX_RESTARTS: Final = 5
"""Workers that may die within RESTART_WINDOW_S and are started anew; after one more, all are ended: the fault is not one process's."""
RESTART_WINDOW_S: Final = 60.0
RESTART_PAUSE_S: Final = 0.5
MAX_CLIENTS: Final = 4_000
"""Connections of clients to one process, idle ones included: beyond them uvicorn answers 503 itself. Requests are turned away in words
before that, by `shared.http.gate` and the gateway's turns."""
REPORT_S: Final = 1.0
"""Time between two words of a worker about how it is."""
SILENT_S: Final = 10.0
"""Silence of a worker after which it counts as not ready."""
STOP_LIMIT_S: Final = 60.0
"""Time that workers have to finish what is in hand; then they are killed."""
POLL_S: Final = 0.1
METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Variable by which prometheus_client keeps the values of several processes in files of one folder."""
SPAWN: Final = get_context("spawn")  # A fresh interpreter: forking one that runs threads is unsafe.

log = structlog.get_logger(__name__)


class WorkersFailed(CairnError):
    """Workers cannot go on; the message says why."""


class CannotListen(CairnError):
    """The address is taken, or is none of this machine's."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"nothing can be served at {host}:{port} ({error.strerror}): end what is there, or set CAIRN_PORT")


def worker_names(instance: str, count: int) -> list[str]:
    """Return the workers' names in the consumer group: the same after every restart, also with more or fewer workers.

    >>> worker_names("mastery-0", 3)
    ['mastery-0', 'mastery-0-1', 'mastery-0-2']
    """
    return [instance, *(f"{instance}-{number}" for number in range(1, count))]


@dataclass
class Line:
    """A worker's line to its supervisor, and its share of the port."""

    name: str
    host: str
    port: int
    pipe: Connection
    metrics: Path
    """Where all workers keep their metrics, so that each can tell the sum."""
    others: list[str] = field(default_factory=list)
    """Why other workers are not ready."""

    async def follow(self) -> None:
        """Return when the supervisor asks to stop, or is gone; until then note what it says of the others."""
        asked = asyncio.Event()

        def hear() -> None:
            try:
                while self.pipe.poll():
                    said = self.pipe.recv()
                    if said is None:
                        asked.set()
                    else:
                        self.others = said
            except (EOFError, OSError):
                asyncio.get_running_loop().remove_reader(self.pipe.fileno())
                asked.set()

        asyncio.get_running_loop().add_reader(self.pipe.fileno(), hear)
        await asked.wait()

    def report(self, reasons: Sequence[str]) -> None:
        """Say how this worker is: ready where there are no reasons against it. Never waits."""
        _say(self.pipe, list(reasons))

    def fail(self, message: str) -> None:
        """Say why no worker may go on."""
        _say(self.pipe, message)

    def socket(self) -> socket.socket:
        """Return a socket of its own at the port that all workers share: the system spreads connections over them."""
        return bound(self.host, self.port, shared=True)


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket at this address. It listens, for only then nobody else can have the address; one that is shared does not yet.

    Args:
        shared: other processes that share it, too, may have the same one.

    Raises:
        CannotListen: somebody else has the address.
    """
    try:
        made = socket.socket(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
    except OSError as error:
        raise CannotListen(host, port, error) from None
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
    limit_unread(made, SILENCE_LIMIT_S)
    try:
        made.bind((host, port))
        if not shared:
            made.listen()
    except OSError as error:
        made.close()
        raise CannotListen(host, port, error) from None
    return made


def _say(pipe: Connection, message: Any) -> None:
    """Send a message where there is room for it: nobody waits for a process that was stopped."""
    with suppress(OSError, ValueError):
        if select.select([], [pipe], [], 0)[1]:
            pipe.send(message)


@dataclass
class _Worker:
    number: int
    name: str
    process: BaseProcess | None = None
    pipe: Connection | None = None
    heard_at: float = 0.0
    reasons: list[str] = field(default_factory=list)
    told: list[str] | None = None
    failure: str | None = None
    due_at: float = 0.0
    """When it is to be started, while it does not run."""

    def trouble(self, now: float) -> list[str]:
        """Return why it is not ready."""
        if self.process is None:
            return [f"worker {self.number} has ended and is started again"]
        if now - self.heard_at > SILENT_S:
            return [f"worker {self.number} has said nothing for {now - self.heard_at:.0f} s"]
        return [f"worker {self.number}: {reason}" for reason in self.reasons]


class Supervisor:
    """Runs workers until it is asked to stop (SIGTERM or SIGINT: what is in hand is finished; the second time, at once)."""

    def __init__(self, target: Callable[..., None], arguments: Sequence[Any], names: Sequence[str], host: str, port: int) -> None:
        """Prepare; nothing is started.

        Args:
            target: at module level; runs one worker: `target(*arguments, line)`.
            names: of the workers, in the consumer group.
            port: 0 takes a free one.
        """
        self._target, self._arguments, self._host, self._port = target, tuple(arguments), host, port
        self._workers = [_Worker(number, name) for number, name in enumerate(names)]
        self._died: deque[float] = deque()
        self._signals = 0

    def run(self) -> None:
        """Run the workers.

        Raises:
            CannotListen: somebody else has the port.
            WorkersFailed: one said that none may go on, or they die again and again.
        """
        bound(self._host, self._port).close()  # Another service's workers would share theirs.
        with ExitStack() as stack:
            held = stack.enter_context(bound(self._host, self._port, shared=True))  # Never listens: keeps the port while no worker does.
            self._port = held.getsockname()[1]
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cairn-metrics-")))
            stack.enter_context(_metrics_in(folder))
            stack.enter_context(self._signalled())
            stack.callback(self._kill)
            stack.callback(self._stop)
            while not self._signals:
                self._start(folder)
                self._listen()
                self._tell()
                self._bury()

    def _start(self, folder: Path) -> None:
        for worker in self._workers:
            if worker.process is None and time.monotonic() >= worker.due_at:
                ours, theirs = SPAWN.Pipe()
                line = Line(worker.name, self._host, self._port, theirs, folder)
                worker.process = SPAWN.Process(target=_work, args=(self._target, self._arguments, line), name=worker.name)
                worker.process.start()
                theirs.close()
                worker.pipe, worker.heard_at, worker.reasons, worker.told = ours, time.monotonic(), ["it is starting"], None
                log.info("worker started", worker=worker.name, pid=worker.process.pid)

    def _listen(self) -> None:
        """Hear what workers say; return at the latest after POLL_S."""
        pipes = [worker.pipe for worker in self._workers if worker.pipe is not None]
        ends = [worker.process.sentinel for worker in self._workers if worker.process is not None and worker.process.is_alive()]
        connection.wait([*pipes, *ends], POLL_S)
        for worker in self._workers:
            if worker.pipe is not None:
                self._hear(worker, worker.pipe)

    def _hear(self, worker: _Worker, pipe: Connection) -> None:
        try:
            while pipe.poll():
                said = pipe.recv()
                worker.heard_at = time.monotonic()
                if isinstance(said, str):
                    worker.failure = said
                else:
                    worker.reasons = said
        except (EOFError, OSError):
            pipe.close()
            worker.pipe = None

    def _tell(self) -> None:
        """Tell each worker how the others are, where that has changed."""
        now = time.monotonic()
        troubles = {worker.number: worker.trouble(now) for worker in self._workers}
        for worker in self._workers:
            others = [reason for number, some in troubles.items() if number != worker.number for reason in some]
            if worker.pipe is not None and others != worker.told:
                _say(worker.pipe, others)
                worker.told = others

    def _bury(self) -> None:
        """Take notice of workers that have ended."""
        for worker in self._workers:
            process = worker.process
            if process is None or process.is_alive():
                continue
            if worker.pipe is not None:
                self._hear(worker, worker.pipe)
            if worker.failure is not None:
                raise WorkersFailed(worker.failure)
            now = time.monotonic()
            log.error("worker ended", worker=worker.name, exit_code=process.exitcode, again_in_s=RESTART_PAUSE_S)
            self._died.append(now)
            while self._died[0] < now - RESTART_WINDOW_S:
                self._died.popleft()
            if len(self._died) > MAX_RESTARTS:
                raise WorkersFailed(f"{len(self._died)} workers died within {RESTART_WINDOW_S:.0f} s: the log says why; nothing is lost")
            process.close()
            worker.process, worker.due_at = None, now + RESTART_PAUSE_S

    def _stop(self) -> None:
        """Ask all workers to finish what is in hand, and wait; at a second signal, or after STOP_LIMIT_S, they are killed."""
        for worker in self._workers:
            if worker.pipe is not None:
                _say(worker.pipe, None)
        end = time.monotonic() + STOP_LIMIT_S
        while self._signals < 2 and time.monotonic() < end and any(each.process and each.process.is_alive() for each in self._workers):
            self._listen()

    def _kill(self) -> None:
        """Leave none behind."""
        for worker in self._workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.join()

    @contextmanager
    def _signalled(self) -> Iterator[None]:
        """Count the signals that ask to stop."""

        def count(number: int, frame: FrameType | None) -> None:
            self._signals += 1

        before = {number: signal.signal(number, count) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _metrics_in(folder: Path) -> Iterator[None]:
    """Let the processes that are started meanwhile keep their metrics in this folder, where each can tell those of all."""
    os.environ[METRICS_FOLDER] = str(folder)
    try:
        yield
    finally:
        del os.environ[METRICS_FOLDER]


def _work(target: Callable[..., None], arguments: Sequence[Any], line: Line) -> None:
    """Run one worker; an error that no worker gets past is told to the supervisor, any other ends this worker alone."""
    structlog.contextvars.bind_contextvars(worker=line.name)
    try:
        target(*arguments, line)
    except CairnError as error:
        line.fail(str(error))
        raise SystemExit(1) from None
    except Exception as error:  # Its words may quote data: what goes to the log leaves them out.
        log.error("worker failed", exc_info=error)
        raise SystemExit(1) from None
