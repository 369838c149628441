"""Profile hears nobody: people are told of by rosters, and by themselves, over HTTP. In time it finishes what a roster began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.profile.queries import Steps
from shared.contracts.envelope import Recorded
from shared.decider import Command
from shared.parts import Context, Subscription, Tick, Work


def commands_for(event: Recorded[Any]) -> Sequence[Command]:
    """Return nothing, whatever another service tells."""
    return ()


def ticks(context: Context) -> Sequence[Tick]:
    """Return what profile does in time: it finishes a roster whose request came to no end."""
    return (Work("roster", Steps(context).take),)


SUBSCRIPTION: Final[Subscription | None] = None
TICKS: Final = ticks
