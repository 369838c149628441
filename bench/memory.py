"""The memory of each process of an installation that has worked: what only it holds, and what it shares with others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

from bench.bars import Bars
from bench.figures import servers_of
from services.cli.home import GATEWAY, read_entries

MIB: Final = 1024 * 1024
SERVICE_BAR: Final = 400.0
"""MiB of one service, its search process included."""
GATEWAY_BAR: Final = 150.0


def measure(home: Path, bars: Bars) -> None:
    """Print the memory of each process of a running installation, with that of its children."""
    for name, entry in read_entries(home).items():
        if entry.process is not None:
            bars.figure(f"memory: {name}", held(entry.process), "MiB", at_most=GATEWAY_BAR if name == GATEWAY else SERVICE_BAR)
    for name, process in servers_of(home).items():
        bars.figure(f"memory: {name}", held(process), "MiB")


def held(process: psutil.Process) -> float:
    """Return the memory of a process and its children in MiB, each shared page counted by its share (PSS)."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / MIB
