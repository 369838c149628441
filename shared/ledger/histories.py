"""Runs a turn with the histories that its deciders ask for, a stretch at a time: however many streams need theirs, few are in memory.
Those that fit are kept for what follows, so that a batch of late evidence reads each of its learners once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.decider import Decider
from shared.ledger import store
from shared.ledger.turn import Need, NeedsHistory, Turn, need_of
from shared.ledger.types import Ask, Connection

MAX_ASKS: Final = 100
"""Asks that are decided before other tasks have their turn."""
MAX_EVENTS: Final = 20_000
"""Events of histories in memory at once, unless a single stream has more than half as many."""
MAX_WEIGHED: Final = 2_000
"""Events of histories that are decided with before other tasks have their turn, and PostgreSQL is told that we work."""
WORKS: Final = "SELECT"
"""Says only that this transaction does not stand still, for which PostgreSQL would end it (`shared/ledger/patience.py:IDLE_LOCK_MS`)."""


async def run(connection: Connection, turn: Turn, asks: Sequence[Ask], deciders: Mapping[str, Decider[Any]]) -> None:
    """Decide all asks in order."""
    start = kept = weighed = 0
    while start < len(asks):
        end, needed, weighing = _stretch(turn, asks, start, deciders, kept)
        kept += await store.load_histories(connection, turn.held, needed)
        for stop in range(start + 1, end + 1) if weighing else (end,):  # With histories one by one: a single one may take long.
            while lacking := _decide(turn, asks[:stop]):
                kept += await store.load_histories(connection, turn.held, [lacking])
            if not weighing:
                continue
            ask = asks[stop - 1]
            held = turn.held[ask.stream.name]
            weighed += len(held.history(need_of(ask, deciders[ask.stream.kind])) or ()) + len(held.fresh)
            if weighed > MAX_WEIGHED:
                weighed = 0
                await connection.execute(WORKS)
        start = end
        if kept > MAX_EVENTS // 2:
            turn.forget_histories()
            kept = 0
        if start < len(asks):
            await asyncio.sleep(0)


def _decide(turn: Turn, asks: Sequence[Ask]) -> Need | None:
    """Decide asks; return the events that are needed first, None where all are decided."""
    try:
        turn.run(asks)
    except NeedsHistory as lacking:
        return lacking.need
    return None


def _stretch(
    turn: Turn, asks: Sequence[Ask], start: int, deciders: Mapping[str, Decider[Any]], events: int
) -> tuple[int, list[Need], bool]:
    """Return where a stretch from `start` on ends, the events which the states of now show to be needed in it, and whether any are, be they
    there or not; `events` of histories are there already."""
    needed: dict[Need, None] = {}
    weighing = False
    held, end = turn.held, min(start + MAX_ASKS, len(asks))
    for place in range(start, end):
        ask = asks[place]
        stream, decider = held[ask.stream.name], deciders[ask.stream.kind]
        if not decider.needs_history(ask.command, stream.state):
            continue
        weighing = True
        if not stream.read_version or stream.stored is not None:
            continue
        need = need_of(ask, decider)
        if need in needed or stream.history(need) is not None:
            continue
        events += 0 if need.apart_by else stream.read_version
        if needed and events > MAX_EVENTS:
            return place, list(needed), True
        needed[need] = None
    return end, list(needed), weighing
