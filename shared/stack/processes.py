"""Processes that outlive the one that started them: start, recognise again, end."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from shared.stack.state import StackError

STOP_LIMIT_S = 30.0
EXEC_LIMIT_S = 5.0
"""For a process between fork and exec to bear its own command line, on a busy machine."""
POLL_S = 0.05
SAME_START_S = 2.0  # A clock that is set meanwhile moves the start that the system reports; a reused pid is much further off.
LOG_TAIL_LINES = 15
UNICODE = {"LC_ALL": "C.UTF-8"}  # Else Java cannot open a folder whose name is not ASCII.


def spawn(
    argv: Sequence[str | Path], log: Path, cwd: Path = Path("/"), user: str | None = None, environment: Mapping[str, str] | None = None
) -> tuple[int, float]:
    """Start a process of its own session, output to `log`, and return its pid and start (seconds since 1970).

    It inherits a lock on the log, and so the system frees the lock when it has ended with all its children: see `find`.

    Args:
        user: whom it runs as; only root may say so.
        environment: what it finds on top of our own.
    """
    with log.open("wb") as output:
        fcntl.flock(output, fcntl.LOCK_SH)
        started = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env=os.environ | UNICODE | dict(environment or {}),
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    return started.pid, psutil.Process(started.pid).create_time()


def run(argv: Sequence[str | Path], limit_s: float, cwd: Path = Path("/"), user: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end and return what it said.

    Raises:
        StackError: there is no such program, or it took longer than `limit_s`.
    """
    words = [str(word) for word in argv]
    groups: list[str] | None = [] if user else None
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            cwd=cwd,
            env=os.environ | UNICODE,
            user=user,
            group=user,
            extra_groups=groups,
        )
    except FileNotFoundError:
        raise StackError(f"the program {words[0]} is missing: install it") from None
    except subprocess.TimeoutExpired:
        raise StackError(f"{words[0]} did not end within {limit_s:.0f} s: see what keeps it, then try again") from None


def recognise(pid: int | None, started: float | None) -> psutil.Process | None:
    """Return the process with this pid, if it runs and is the one that was started then."""
    if pid is None or started is None:
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < SAME_START_S
    except psutil.NoSuchProcess:
        return None
    return process if same and is_alive(process) else None


def holding(argument: str) -> list[psutil.Process]:
    """Return the processes with exactly this argument in their command line: how one is found whose pid was never written down."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if argument in (process.info["cmdline"] or ()) and process.pid != os.getpid() and is_alive(process)
    ]


def find(search: Callable[[], list[psutil.Process]], log: Path) -> list[psutil.Process]:
    """Return what the search finds, among it what `spawn` started with this log, however short ago.

    Whoever starts a process may be killed before the process has exec'd: it runs then, and neither its command line nor its
    environment says what it is. As long as somebody holds the log and the search finds nobody, it is made again, for EXEC_LIMIT_S.
    """
    deadline = time.monotonic() + EXEC_LIMIT_S
    while not (found := search()) and _is_held(log) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Say whether it still runs; one that waits for its parent to take notice of its end does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ask_to_stop(some: Iterable[psutil.Process], how: signal.Signals = signal.SIGTERM) -> None:
    """Send each process the signal that asks it to stop; `await_end` waits until it has."""
    for process in some:
        _send(process, how)


def await_end(some: Iterable[psutil.Process]) -> None:
    """Return when all of these processes have ended; after STOP_LIMIT_S they are killed with their children."""
    waiting = list(some)
    deadline = time.monotonic() + STOP_LIMIT_S
    while waiting := [process for process in waiting if not _has_ended(process)]:
        if time.monotonic() > deadline:
            for process in waiting:
                _kill(process)
            deadline = time.monotonic() + STOP_LIMIT_S
        time.sleep(POLL_S)


def tail(log: Path) -> str:
    """Return the last lines of a log, for an error message."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_TAIL_LINES:])


def _is_held(log: Path) -> bool:
    try:
        with log.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _send(process: psutil.Process, how: signal.Signals) -> None:
    try:
        process.send_signal(how)
    except psutil.NoSuchProcess:
        return


def _kill(process: psutil.Process) -> None:
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        _send(member, signal.SIGKILL)


def _has_ended(process: psutil.Process) -> bool:
    """Say whether it is over, and take notice of its end where it is a child of ours, so that no zombie stays."""
    if is_alive(process):
        return False
    with suppress(ChildProcessError):  # Not a child of ours: its own parent takes notice.
        os.waitpid(process.pid, os.WNOHANG)
    return True
