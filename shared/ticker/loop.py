"""What a ticker does again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod

from shared.ledger.patience import ANSWER_S
from shared.standing import Undone
from shared.ticker.stopwatch import Stopwatch


class Loop(ABC):
    """One kind of work, taken step by step."""

    grace_s = ANSWER_S
    """Time that a step under way may take beside the one after which whoever stands still says so; one that has failed may not."""

    def __init__(self, name: str, poll_s: float = 0.0) -> None:
        self.name, self._poll_s = name, poll_s
        self.watch = Stopwatch()
        """Runs while a step is under way, or fails again and again; begins anew where it gets on."""
        self.undone = Undone()
        """What is due and was tried in vain, while the loop gets round."""

    async def begin(self) -> None:  # noqa: B027 - most have nothing to make ready.
        """Make ready, before the first step of a process that leads; another one may have led until now."""

    @abstractmethod
    async def step(self) -> bool:
        """Do what is due, and return whether that changed anything."""

    def rest_s(self, worked: bool, took_s: float) -> float:
        """Return how long to wait before the next step, given how this one went."""
        return 0.0 if worked else self._poll_s
