"""For how long a loop has been at what it has not brought to an end."""

from __future__ import annotations

from time import monotonic


class Stopwatch:
    """Runs from `start` to `reset`."""

    def __init__(self) -> None:
        self._since: float | None = None

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
        return 0.0 if self._since is None else monotonic() - self._since
