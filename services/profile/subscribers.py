"""Profile hears nobody: people are told of by rosters, and by themselves, over HTTP. In time it finishes what a roster began."""

from __future__ import annotations

from collections.abc import Sequence

from services.profile.queries import Steps
from shared.parts import Context, Tick, Work


def ticks(context: Context) -> Sequence[Tick]:
    """Return what profile does in time: it finishes a roster whose request came to no end."""
    return (Work("roster", Steps(context).take),)
