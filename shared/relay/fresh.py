"""Events kept in memory from their commit until they are sent, so that what this process wrote need not be read again. Pure.

A cache and nothing more: whatever is missing here, because another process wrote it or because too much waits, the relay reads from the
ledger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.contracts.envelope import Recorded

MAX_FRESH_BYTES: Final = 32 * 1024 * 1024
"""Of events that wait to be sent; what is committed beyond them is read from the ledger when its turn comes."""

Row = tuple[int, int, str, bytes]
"""Partition, position, key and bytes of an event."""


class Fresh:
    """For each partition one run of events without a gap."""

    def __init__(self, most_bytes: int = MAX_FRESH_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._runs: dict[int, deque[Row]] = {}

    def add(self, events: Iterable[Recorded[Any]]) -> None:
        """Keep events just committed. Those that do not continue a partition's run take its place: the rest is read from the ledger."""
        for event in events:
            if self._bytes >= self._most_bytes:
                return
            run = self._runs.get(event.partition)
            if run is None:
                run = self._runs[event.partition] = deque()
            if run and event.position != run[-1][1] + 1:
                self._forget(run)
            run.append((event.partition, event.position, event.key, event.raw))
            self._bytes += len(event.raw)

    def next(self, positions: Mapping[int, int], most: int, most_bytes: int) -> dict[int, list[Row]]:
        """Return for each partition the events from its position on, as far as they are kept: at most so many, and about so many bytes.

        Nothing is let go: what could not be sent is asked for again.
        """
        found = {}
        for partition, position in positions.items():
            run = self._runs.get(partition)
            if not run:
                continue
            self._drop(run, position)
            if run and run[0][1] == position:
                found[partition] = _chunk(run, most, most_bytes)
        return found

    def clear(self) -> None:
        """Let go of everything."""
        self._runs, self._bytes = {}, 0

    def _drop(self, run: deque[Row], position: int) -> None:
        while run and run[0][1] < position:
            self._bytes -= len(run.popleft()[3])

    def _forget(self, run: deque[Row]) -> None:
        self._bytes -= sum(len(row[3]) for row in run)
        run.clear()


def _chunk(run: deque[Row], most: int, most_bytes: int) -> list[Row]:
    chunk: list[Row] = []
    size = 0
    for row in run:
        if len(chunk) == most or size >= most_bytes:
            break
        chunk.append(row)
        size += len(row[3])
    return chunk
