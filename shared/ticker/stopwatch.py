"""For how long a loop has been at what it has not brought to an end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class Stopwatch:
    """Runs from `start` to `reset`; the time for which it is paused does not count."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._paused_at: float | None = None

    def start(self) -> None:
        """Run from now on; one that runs already goes on."""
        if self._since is None:
            self._since = monotonic()

    def restart(self) -> None:
        """Run from now on, whatever it shows."""
        self._since = monotonic()

    def reset(self) -> None:
        """Stand at 0."""
        self._since = None

    def seconds(self) -> float:
        """Return for how many seconds it has run; 0 where it does not run."""
        if self._since is None:
            return 0.0
        return (monotonic() if self._paused_at is None else self._paused_at) - self._since

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still meanwhile."""
        self._paused_at = at = monotonic()
        try:
            yield
        finally:
            self._paused_at = None
            if self._since is not None:
                self._since += monotonic() - at
