"""How the command line speaks: steps with their time, answers in words, faults with their place and remedy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import psycopg
import psycopg_pool
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from shared.errors import Fault

SLOW_S: Final = 0.05
"""A step that was quicker than this is told without its time."""

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


def tell_error(message: str, faults: Iterable[Fault] = ()) -> None:
    """Write what went wrong to standard error."""
    err.print(f"[red]cairn:[/red] {escape(message)}")
    for fault in faults:
        err.print(f"  {escape(str(fault))}")


def silent_server(error: BaseException | None) -> str | None:
    """Return which server's silence this error comes from, whichever library wrapped it; None for any other error."""
    while error is not None:
        if isinstance(error, psycopg.OperationalError | psycopg_pool.PoolTimeout):
            return "PostgreSQL"
        if type(error).__module__ == "aiokafka.errors":  # Known by its name: services import no Kafka.
            return "Kafka"
        error = error.__cause__
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
