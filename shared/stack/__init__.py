"""The local stack: one Apache Kafka and one PostgreSQL, found or started, the same way for `cairn up` and for tests."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from shared.stack import containers, kafka, postgres, processes
from shared.stack.databases import (
    ServiceDatabase,
    copy_database,
    create_database,
    drop_database,
    drop_owned,
    drop_roles,
    owned_database,
    require_own_roles,
)
from shared.stack.postgres import Answer
from shared.stack.state import DamagedFile, Part, Progress, StackError, claim, is_claimed, locked, read_parts, remove_home, write_parts

__all__ = [
    "BY_ENVIRONMENT",
    "KAFKA",
    "POSTGRES",
    "ServiceDatabase",
    "Stack",
    "StackError",
    "copy_database",
    "create_database",
    "down",
    "drop_database",
    "drop_owned",
    "drop_roles",
    "find_stack",
    "known_parts",
    "owned_database",
    "require_own_roles",
]

KAFKA, POSTGRES = "kafka", "postgres"
NAMES = {KAFKA: "Apache Kafka", POSTGRES: "PostgreSQL"}
VARIABLES = {KAFKA: "CAIRN_KAFKA_SERVERS", POSTGRES: "CAIRN_POSTGRES_URL"}
STOP_SIGNALS = {KAFKA: signal.SIGTERM, POSTGRES: signal.SIGINT}  # At SIGTERM PostgreSQL would wait for its clients to leave.
BY_ENVIRONMENT = "named by the environment"
START_LIMIT_S = 120.0
POLL_S = 0.1


@dataclass(frozen=True)
class Stack:
    """Where the servers answer: `kafka_servers` as host:port, `postgres_url` as the administrator; `how` says in words what serves."""

    kafka_servers: str
    postgres_url: str = field(repr=False)
    home: Path
    how: str

    def stop(self) -> list[str]:
        """Stop what Cairn started, keep the data, and return the names of what was stopped."""
        return down(self.home)

    @classmethod
    def running(cls, home: Path) -> "Stack | None":
        """Return the stack of this home, if all of it answers now; starts nothing."""
        parts = read_parts(home)
        whole = set(parts) == set(NAMES) and all(_serves(name, part) for name, part in parts.items())
        return cls.of(home, parts) if whole else None

    @classmethod
    def of(cls, home: Path, parts: Mapping[str, Part]) -> "Stack":
        """Return the stack made of these parts."""
        how = ", ".join(f"{NAMES[name]}: {part.how}" for name, part in parts.items())
        return cls(parts[KAFKA].address, parts[POSTGRES].address, home, how)


def find_stack(
    home: Path, progress: Progress, *, environment: Mapping[str, str] | None = None, broker_settings: Mapping[str, str] | None = None
) -> Stack:
    """Return a stack that answers, starting what does not run yet. Safe to call twice, also at the same time.

    Each server is, in this order: the one that the environment names; the one of this home that runs already, for which is waited; a
    container; a process.

    Args:
        home: folder for everything that is stored; made if need be.
        progress: is told one line for each slow step.
        environment: the process's own, where none is given.
        broker_settings: of Apache Kafka, on top of ours; used only when it is started.

    Raises:
        StackError: a server cannot be had; the message says what to install.
    """
    named = os.environ if environment is None else environment
    claim(home)
    with locked(home, "stack", progress):
        parts = _read_what_can_be(home, progress)
        for name in NAMES:
            given, known = named.get(VARIABLES[name]), parts.get(name)
            if given:
                parts[name] = Part(given, BY_ENVIRONMENT)
            elif known is None or known.how == BY_ENVIRONMENT or not _await(name, known, home, progress):
                _end(home, [name], parts)
                parts[name] = _start(name, home, progress, broker_settings or {})
            write_parts(home, parts)
        for name, part in parts.items():
            if not _await(name, part, home, progress):
                words, place = _last_words(name, part, home)
                raise StackError(f"{NAMES[name]} ended; its last words ({place}):\n{words}")
    return Stack.of(home, parts)


def down(home: Path, wipe: bool = False) -> list[str]:
    """Stop what Cairn started for this home, also after a crash, and return what was stopped or removed, in words. May be repeated.

    Servers that the environment named run on, and are still known afterwards: something of this home is stored there.

    Args:
        wipe: also remove the folder with everything stored in it.
    """
    if not is_claimed(home):
        return []
    with locked(home, "stack"):
        parts = _read_what_can_be(home)
        stopped = _end(home, list(NAMES), parts)
        write_parts(home, {name: part for name, part in parts.items() if part.how == BY_ENVIRONMENT})
        if wipe:
            containers.remove_volumes(home)
            remove_home(home)
            stopped.append(f"everything stored in {home}")
    return stopped


def known_parts(home: Path) -> dict[str, Part]:
    """Return the servers of this home by name, as they are written down; where that cannot be read, those that the environment names."""
    try:
        return read_parts(home)
    except DamagedFile:
        return {name: Part(os.environ[variable], BY_ENVIRONMENT) for name, variable in VARIABLES.items() if os.environ.get(variable)}


def _read_what_can_be(home: Path, progress: Progress | None = None) -> dict[str, Part]:
    """Return what is written down of the servers; nothing, where that cannot be read: what runs is found by its files, too."""
    try:
        return read_parts(home)
    except DamagedFile:
        if progress:
            progress(f"{home / 'stack.json'} cannot be read: the servers are looked for and noted anew")
        return {}


def _start(name: str, home: Path, progress: Progress, broker_settings: Mapping[str, str]) -> Part:
    """Start a server in the first way that can be had."""
    try:
        if name == KAFKA:
            if containers.can_serve(containers.KAFKA_IMAGE, progress):
                return containers.start_kafka(home, progress, broker_settings)
            return kafka.start_kafka(home, progress, broker_settings)
        if containers.can_serve(containers.POSTGRES_IMAGE, progress):
            return containers.start_postgres(home, progress)
        return postgres.start_postgres(home, progress)
    except StackError as error:
        others = f"or start Docker and `pip install testcontainers`, or name a server of yours in {VARIABLES[name]}"
        raise StackError(f"{NAMES[name]} cannot be started. {error}; {others}") from error


def _await(name: str, part: Part, home: Path, progress: Progress) -> bool:
    """Return True when the server answers, False when it has ended. One that runs is left: it may be replaying its log, or busy.

    Raises:
        StackError: it runs and does not answer within START_LIMIT_S, not counting the time in which it says that it is starting; or it is
            named by the environment and does not answer at once.
    """
    told, deadline = False, time.monotonic() + START_LIMIT_S
    while (answer := _ask(name, part)) is not Answer.YES:
        if part.how == BY_ENVIRONMENT:
            raise StackError(f"no {NAMES[name]} answers where {VARIABLES[name]} points: start it there, or unset the variable")
        if not _runs(part):
            return False
        if not told:
            progress(f"waiting for {NAMES[name]}, which is starting or busy; its log: {_place(name, part, home)}")
            told = True
        if answer is Answer.LATER:
            deadline = time.monotonic() + START_LIMIT_S
        elif time.monotonic() > deadline:
            words, place = _last_words(name, part, home)
            raise StackError(
                f"{NAMES[name]} runs and does not answer within {START_LIMIT_S:.0f} s: wait and run `cairn up` again, or stop it with "
                f"`cairn down`; its last words ({place}):\n{words}"
            )
        time.sleep(POLL_S)
    return True


def _end(home: Path, names: list[str], parts: Mapping[str, Part]) -> list[str]:
    """End what serves this home under these names, whether or not it was written down, and return what that was."""
    found = {name: _processes(home, name, parts.get(name)) for name in names}
    for name, some in found.items():
        processes.ask_to_stop(some, STOP_SIGNALS[name])
    processes.await_end([process for some in found.values() for process in some])
    boxed = [name for name in names if (part := parts.get(name)) and part.container and containers.end(part.container)]
    return [NAMES[name] for name in names if found[name] or name in boxed]


def _processes(home: Path, name: str, part: Part | None) -> list[psutil.Process]:
    """Return the server's process: the one written down, else the one whose command line names this home's files."""
    known = processes.recognise(part.pid, part.started) if part else None
    mark = kafka.properties_file(home) if name == KAFKA else postgres.data_folder(home)
    return [known] if known else processes.find(lambda: processes.holding(str(mark)), _log_file(home, name))


def _serves(name: str, part: Part) -> bool:
    return _runs(part) and _ask(name, part) is Answer.YES


def _runs(part: Part) -> bool:
    """Say whether there is still a process or container behind it; of a server named by the environment we cannot know."""
    if part.container:
        return containers.runs(part.container)
    return part.how == BY_ENVIRONMENT or processes.recognise(part.pid, part.started) is not None


def _ask(name: str, part: Part) -> Answer:
    if name == POSTGRES:
        return postgres.ask(part.address)
    return Answer.YES if kafka.answers(part.address) else Answer.NO


def _last_words(name: str, part: Part, home: Path) -> tuple[str, str]:
    """Return what the server wrote last, and where more of it stands."""
    said = containers.said(part.container) if part.container else processes.tail(_log_file(home, name))
    return said, _place(name, part, home)


def _place(name: str, part: Part, home: Path) -> str:
    """Return where stands what the server writes."""
    return f"docker logs {part.container}" if part.container else str(_log_file(home, name))


def _log_file(home: Path, name: str) -> Path:
    return kafka.log_file(home) if name == KAFKA else postgres.log_file(home)
