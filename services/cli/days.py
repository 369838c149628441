"""Whose midnight begins a day: where services count days that others do not, whoever names a time zone is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.markup import escape

from services.cli.asking import ask
from services.cli.home import home_of, read_entries, setting
from services.cli.words import out
from shared.contracts.topics import Topic
from shared.errors import CairnError
from shared.zones import winter_offset_minutes

NOBODY: Final = "UTC"
"""Whose days count until somebody names a time zone."""


def tell_other_days(address: str, home: Path | None, schools: Sequence[str] = ()) -> None:
    """Tell where days are counted that none of these schools has, or that others do not count; nothing where nobody says which.

    Args:
        home: of the local installation, where it is the one that answers.
        schools: their time zones, where they are known.
    """
    try:
        mastery = ask("GET", "/mastery/policy", address)["timezone"] or NOBODY
        counted = [("mastery counts", mastery, "mastery policy timezone")]
        if home is not None:
            counted.append(("paths and rosters count", time_zone_of(home), "up --time-zone"))
        named = list(schools) or [zone for _, zone, _ in reversed(counted) if zone != NOBODY][:1]
        offsets = {_offset(zone) for zone in named}
        others = [each for each in counted if offsets and _offset(each[1]) not in offsets]
    except (CairnError, ValueError, LookupError, TypeError, AttributeError):
        return
    why = "no school is there" if schools else "others by another midnight"
    for who, zone, command in others:
        out.print(escape(f"{who} days of {zone}, and {why}: run `cairn {command} {named[0]}`"))


def time_zone_of(home: Path) -> str:
    """Return the time zone that the local installation runs with."""
    entry = read_entries(home_of(home)).get(Topic.PATHING)
    return (setting(entry.environment, "time_zone") if entry else None) or NOBODY


def _offset(zone: str) -> int:
    return winter_offset_minutes(zone, datetime.now(UTC).year)
