"""Percentiles, and the CPU time of processes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from shared.stack.state import read_parts

SERVERS: Final = {"kafka": "broker", "postgres": "PostgreSQL"}
"""The local stack's servers, and what they are called in tables."""


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed (nearest rank); nan for none.

    >>> percentile([40, 10, 30, 20], 0.5)
    20
    """
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else math.nan


@dataclass(frozen=True)
class Spread:
    """How values lie, in their own unit."""

    count: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread; all of it nan where there are no values."""
        return cls(len(values), percentile(values, 0.5), percentile(values, 0.99), max(values, default=math.nan))


def servers_of(home: Path) -> dict[str, psutil.Process]:
    """Return the broker and PostgreSQL of a home by name, as far as they are processes of this machine."""
    found = {}
    for name, part in read_parts(home).items():
        if part.pid is not None:
            found[SERVERS[name]] = psutil.Process(part.pid)
    return found


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used, with its children and those of them that have ended."""
    used = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:  # It ended meanwhile: its parent counts it from now on.
            continue
        used += times.user + times.system + times.children_user + times.children_system
    return used


def cpu_of_each(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Return the CPU seconds of each of these."""
    return {name: cpu_of(process) for name, process in processes.items()}


def cpu_between(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    """Return what each used between two looks, in microseconds per piece of evidence."""
    return {name: (after[name] - before[name]) / count * 1e6 for name in before}


def shown(cpu_us: Mapping[str, float]) -> str:
    """Return CPU times as a line, their sum first.

    >>> shown({"broker": 20.4, "mastery": 100})
    '120 us (broker 20, mastery 100)'
    """
    return f"{sum(cpu_us.values()):,.0f} us ({', '.join(f'{name} {used:,.0f}' for name, used in cpu_us.items())})"
