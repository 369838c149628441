"""Figures beside the bars they must reach."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


@dataclass
class Bars:
    """Prints each figure as it is known, and at the end whether all bars were met."""

    missed: list[str] = field(default_factory=list)

    def figure(self, name: str, value: float, unit: str = "", *, at_least: float | None = None, at_most: float | None = None) -> None:
        """Print a figure, beside its bar where it has one."""
        bar, met = "", True
        if at_least is not None:
            bar, met = f"bar >= {at_least:g}", value >= at_least
        if at_most is not None:
            bar, met = f"bar <= {at_most:g}", value <= at_most
        verdict = "" if not bar else ("met" if met else "MISSED")
        print(f"{name:<58} {value:>12,.3f} {unit:<12} {bar:<14} {verdict}", flush=True)
        if not met:
            self.missed.append(name)

    def close(self) -> int:
        """Print the last line and return the exit code."""
        print("all bars met" if not self.missed else f"bars missed: {'; '.join(self.missed)}")
        sys.stdout.flush()
        return 1 if self.missed else 0
