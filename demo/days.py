"""A learner's day in words, and how two days differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from demo.client import Cairn, Unexpected
from demo.district import District, topic
from demo.resources import PERIOD_NAMES
from demo.words import WAYS, plain

LIMIT_S: Final = 20.0
"""Until something that has to follow has followed."""
POLL_S: Final = 0.01
DAYS: Final = ("today", "tomorrow")

Day = Mapping[str, Any]


def where(period: Mapping[str, Any], district: District) -> str:
    """Return where a learner is in a period, how and what she learns there."""
    if period["begun"]:
        return "[dim]had begun[/dim]"
    if not period["served"]:
        return "[red]no place[/red]"
    adult = district.teacher(period["staff_id"])
    place = plain(period["space"])
    match period["use"]:
        case "check-in":
            return f"{place}: a talk with {plain(adult)}"
        case "group":
            way = WAYS[period["modality"]]
            return f"{place}: {plain(topic(period['competency_id']))}, {way}, {period['with_learners'] + 1} learners, {plain(adult)}"
        case _:
            what = f"{topic(period['competency_id'])}, {WAYS[period['modality']]}" if period["competency_id"] else "any subject"
            return f"{place}: {plain(what)}, own work"


def name(period_id: str) -> str:
    """Return what the school calls a period."""
    return PERIOD_NAMES.get(period_id, period_id)


async def days_of(cairn: Cairn, learner_id: str) -> dict[str, Day | None]:
    """Return a learner's today and tomorrow."""
    return {day: await cairn.find(f"/scheduling/learners/{learner_id}/days/{day}") for day in DAYS}


def compared(before: Day | None, after: Day | None, district: District) -> list[tuple[str, str, str]]:
    """Return a row for each period: its name, where she was to be, and where she is now; the last is empty where it is the same."""
    rows = []
    was = {period["period_id"]: period for period in before["periods"]} if before else {}
    for period in after["periods"] if after else []:
        old = where(was[period["period_id"]], district) if period["period_id"] in was else ""
        new = where(period, district)
        rows.append((f"{period['starts']} {name(period['period_id'])}", old, "[dim]the same[/dim]" if old == new else new))
    return rows


async def until(cairn: Cairn, path: str, seen: Callable[[dict[str, Any]], bool], what: str) -> tuple[dict[str, Any], float]:
    """Return what stands at a path once it is so, and the instant at which that was seen.

    Raises:
        Unexpected: it does not become so within LIMIT_S.
    """
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = await cairn.find(path)
        if found is not None and seen(found):
            return found, time.monotonic()
        await asyncio.sleep(POLL_S)
    raise Unexpected(f"{what} did not follow within {LIMIT_S:.0f} s")
