"""Since when work waits and nothing of it is done: what health is made of. Pure; time is given, in seconds."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Final

FORGOTTEN_S: Final = 60.0
"""Time after which work that nobody has seen to be due any more is forgotten: where there is much, it is looked at in turn."""


class Standing:
    """Since when each thing that has work before it stands where it is."""

    def __init__(self) -> None:
        self._since: dict[Hashable, tuple[object, float]] = {}
        self._seen = 0.0
        """When it was looked last: what has happened since then nobody knows."""

    def see(self, places: Mapping[Hashable, object], now: float) -> None:
        """Note where everything stands that has work before it; what is not named has none."""
        before, self._seen = self._since, now
        self._since = {
            name: before[name] if name in before and before[name][0] == place else (place, now) for name, place in places.items()
        }

    def seconds(self) -> dict[Hashable, float]:
        """Return for how long each of them was seen to stand there."""
        return {name: self._seen - since for name, (_, since) in self._since.items()}


class Undone:
    """Work that was tried in vain and is due still: for how long it has been so. What waits for its first turn is none of it."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[float, float]] = {}
        """Work -> when it was tried in vain first, and when it was seen to be due last."""

    def due(self, names: Iterable[Hashable], now: float) -> None:
        """Note what is due."""
        for name in names:
            if name in self._seen:
                self._seen[name] = self._seen[name][0], now
        self._seen = {name: seen for name, seen in self._seen.items() if now - seen[1] < FORGOTTEN_S}

    def tried(self, name: Hashable, done: bool, now: float) -> None:
        """Note that something was tried, and whether it is done."""
        if done:
            self._seen.pop(name, None)
        else:
            self._seen.setdefault(name, (now, now))

    def seconds(self) -> float:
        """Return for how long the oldest of it was seen to be due since it was tried in vain; 0 where there is none."""
        return max((last - first for first, last in self._seen.values()), default=0.0)

    def clear(self) -> None:
        """Forget everything: somebody else does the work now."""
        self._seen.clear()
