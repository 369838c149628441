"""States that were committed, kept in memory beside the `stream` table: a cache, checked by version at every use."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

MAX_STATES: Final = 50_000
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of the states as they are encoded, times the bulk of their codec; decoded they take six to ten times as much."""


class States:
    """The states used last, within two limits; the one that was left alone longest goes first."""

    def __init__(self, most: int = MAX_STATES, most_bytes: int = MAX_BYTES) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._kept: OrderedDict[str, tuple[int, Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, stream: str) -> tuple[int, Any] | None:
        """Return the version and state of a stream, where it is kept."""
        found = self._kept.get(stream)
        if found is None:
            return None
        self._kept.move_to_end(stream)
        return found[0], found[1]

    def keep(self, stream: str, version: int, state: Any, size: int) -> None:
        """Keep a state in place of an earlier one; `size` is that of its encoded form, in bytes, times its codec's bulk."""
        before = self._kept.pop(stream, None)
        self._bytes += size - (before[2] if before else 0)
        self._kept[stream] = version, state, size
        while self._kept and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            _, (_, _, gone) = self._kept.popitem(last=False)
            self._bytes -= gone
