"""Profile hears nobody: people are told of by rosters, and by themselves, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from shared.contracts.envelope import Recorded
from shared.decider import Command
from shared.parts import Context, Subscription, Tick


def commands_for(event: Recorded[Any]) -> Sequence[Command]:
    """Return nothing, whatever another service tells."""
    return ()


def ticks(context: Context) -> Sequence[Tick]:
    """Return nothing: profile does nothing in time."""
    return ()


SUBSCRIPTION: Final[Subscription | None] = None
TICKS: Final = ticks
