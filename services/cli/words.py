"""How the command line speaks: steps with their time, answers in words, faults with their place and remedy."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from io import TextIOWrapper
from types import TracebackType
from typing import Any, Final, Self

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from shared.errors import Fault, Misconfigured
from shared.settings import Settings, load_settings, variable_of

SLOW_S: Final = 0.05
"""A step that was quicker than this is told without its time."""
MINUTES_OF_DAY: Final = 24 * 60
STATES: Final = {
    "28P01": "authentication failed|no password supplied",
    "28000": r'FATAL: .*(role ".*" does not exist|not permitted to log in|pg_hba\.conf)',
    "53100": "FATAL: .*No space left on device",
    "53300": "FATAL: .*(too many c(lient|onnection)s|connection slots are reserved)",
    "57P03": "FATAL: .*the database system is",
}
"""What PostgreSQL says where it lets nobody in, by SQLSTATE: libpq hands on its words alone."""
FATAL: Final = re.compile(r"FATAL: +(.+)")
USER: Final = re.compile(r'(?:user|role) "([^"]*)"')
QUOTED: Final = re.compile('"[^"]*"')

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Steps:
    """A line for each slow step: while it runs with a spinner (on a terminal), afterwards with the seconds it took."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._text, self._started = "", 0.0

    def __enter__(self) -> Self:
        return self

    def __call__(self, text: str) -> None:
        """End the step before, and begin this one."""
        self.done()
        self._text, self._started = text, time.monotonic()
        if err.is_terminal:
            self._status = err.status(escape(text))
            self._status.start()

    def done(self, failed: bool = False) -> None:
        """End the step that runs, if one does."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._text:
            took = time.monotonic() - self._started
            mark = "[red]failed[/red]" if failed else "[green]done[/green]"
            err.print(f"{mark}  {escape(self._text)}" + (f" ({took:.1f} s)" if took >= SLOW_S else ""))
            self._text = ""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.done(failed=error is not None)


def say_what_can_be_said() -> None:
    """Write a question mark for what standard output's encoding lacks, such as Latin-1 or ASCII, instead of ending there."""
    if isinstance(sys.stdout, TextIOWrapper):  # Standard error never fails.
        sys.stdout.reconfigure(errors="replace")


def span(time: timedelta) -> str:
    """Return a span in the largest unit of which it has two.

    >>> span(timedelta(days=48, hours=3)), span(timedelta(hours=1)), span(timedelta(hours=30))
    ('48 days', '60 minutes', '30 hours')
    """
    minutes = round(time / timedelta(minutes=1))
    if minutes >= 2 * MINUTES_OF_DAY:
        return f"{minutes // MINUTES_OF_DAY} days"
    return f"{minutes // 60} hours" if minutes >= 120 else f"{minutes} minute{'' if minutes == 1 else 's'}"


def tell_error(message: str, faults: Iterable[Fault] = ()) -> None:
    """Write what went wrong to standard error."""
    err.print(f"[red]cairn:[/red] {escape(message)}")
    for fault in faults:
        err.print(f"  {escape(str(fault))}")


def silent_server(error: BaseException | None) -> str | None:
    """Return which server this error comes from, whichever library wrapped it; None for any other error."""
    while error is not None:
        if isinstance(error, psycopg.OperationalError | psycopg.errors.ReadOnlySqlTransaction | psycopg_pool.PoolTimeout):
            return "PostgreSQL"
        if type(error).__module__ == "aiokafka.errors":  # Known by its name: services import no Kafka.
            return "Kafka"
        error = error.__cause__
    return None


def server_trouble(error: BaseException) -> str | None:
    """Return what is the matter with the server that this error comes from, and what to do; None where it comes from none.

    Says nothing of the address but which setting holds it: its parts may be swapped, and one of them is a password.
    """
    server = silent_server(error)
    if server is None:
        return None
    refusals = (_refusal(each) for each in _causes(error) if isinstance(each, psycopg.Error)) if server == "PostgreSQL" else ()
    silence = f"{server} does not answer: `cairn status` says what runs, `cairn up` starts what does not"
    return next(filter(None, refusals), silence)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(error: psycopg.Error) -> str | None:
    """Return what PostgreSQL has against us; None where it has said nothing."""
    words = str(error)
    said = FATAL.search(words)
    state = error.sqlstate or next((state for state, phrases in STATES.items() if re.search(phrases, words)), "")
    if state.startswith("28"):
        return (
            f"PostgreSQL refuses the user or the password, or lets this machine not in (its log says which): {_holder(words)} holds them, "
            "in the environment or, where it is not set there, in services.json of the installation's folder"
        )
    if state == "53100":
        return "the disk of PostgreSQL is full: make room there, then do this again"
    if state == "53300":
        return "PostgreSQL has no connection left, it has too many clients: end some, or raise its max_connections, then do this again"
    if state == "25006":
        return (
            "PostgreSQL takes nothing that writes: it is a standby, or whoever runs it has made it read-only, as many do where its disk is "
            "nearly full. See to that, or mend the address, then do this again"
        )
    if state in ("57P01", "57P02", "57P03"):
        return "PostgreSQL is starting up or shutting down: do this again in a moment"
    if said is not None:
        return f"PostgreSQL refuses the connection ({QUOTED.sub('...', said[1])}): mend {_holder(words)}, or what its log names"
    if state and not state.startswith("08"):
        return f"PostgreSQL has broken this off ({type(error).__name__}, SQLSTATE {state}): its log says why; then do this again"
    return None


def _holder(words: str) -> str:
    """Return which setting holds the address that these words of PostgreSQL are about, as far as the user in them tells."""
    user, names = USER.search(words), ("database_url", "owner_database_url")
    try:
        settings = load_settings(Settings)
        named = [name for name in names if user is not None and _user_in(getattr(settings, name)) == user[1]]
    except Misconfigured:
        named = []
    return " or ".join(map(variable_of, named or names))


def _user_in(address: str | None) -> str | None:
    try:
        return str(conninfo_to_dict(address or "").get("user"))
    except psycopg.ProgrammingError:  # No address; its words would quote it.
        return None


def in_words(answer: Mapping[str, Any]) -> list[str]:
    """Return the lines that tell a service's answer: counts of one kind in one line, what is empty or zero only where nothing else is.

    >>> in_words({"rows": 12, "dry_run": False, "learners": {"created": 2, "changed": 0}, "warnings": []})
    ['rows: 12', 'dry run: no', 'learners: 2 created']
    """
    lines = []
    for name, value in answer.items():
        label = name.replace("_", " ")
        if isinstance(value, Mapping):
            told = ", ".join(f"{_plain(inner)} {key.replace('_', ' ')}" for key, inner in value.items() if inner) or "none"
            lines.append(f"{label}: {told}")
        elif isinstance(value, list):
            lines.extend(f"{label}: {_listed(inner)}" for inner in value)
        elif value is not None:
            lines.append(f"{label}: {_plain(value)}")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _listed(value: object) -> str:
    if isinstance(value, Mapping) and {"place", "code", "detail"} <= value.keys():
        return str(Fault(**value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(inner)}" for key, inner in value.items())
    return _plain(value)
