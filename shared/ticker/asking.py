"""What all ticks have in common: what led to their commands."""

from __future__ import annotations

from typing import Final
from uuid import uuid5

from shared.contracts.envelope import NAMESPACE, Origin
from shared.decider import Command
from shared.ledger.types import Ask

MAX_BROKEN: Final = 10
"""Commands of a drain, or streams of a sweep's step, that may break the code; beyond that the fault is not theirs."""
HELD_S: Final = 60.0
"""Time for which rests what broke the code: a partition's sweep whose every stream did, or the search of one stream."""


def tick_origin(service: str, name: str) -> Origin:
    """Return what events name as their cause where time led to them: an id derived from the tick's name."""
    cause = str(uuid5(NAMESPACE, f"tick\n{service}\n{name}"))
    return Origin(cause, cause)


def asked(service: str, name: str, item: Command | Ask) -> Ask:
    """Return what a tick asks; a bare command is said to come from the tick itself."""
    return item if isinstance(item, Ask) else Ask(item, tick_origin(service, name))
