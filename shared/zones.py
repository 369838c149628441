"""Time zones by their IANA names. For the edges only: the database of time zones changes, and a decision does not."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

_SEASONS: Final = (1, 7)
"""Months in which clocks stand as in winter in one half of the world and as in summer in the other."""


@lru_cache(maxsize=1)
def timezones() -> frozenset[str]:
    """Return the names of the IANA time zone database, the same on every machine: those of the `tzdata` package."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def day_in(zone: tzinfo, at: datetime) -> date:
    """Return the day that clocks of a time zone show at an instant.

    >>> day_in(ZoneInfo("Pacific/Honolulu"), datetime.fromisoformat("2026-12-02T00:05:00Z"))
    datetime.date(2026, 12, 1)
    """
    return at.astimezone(zone).date()


def winter_offset_minutes(timezone: str, year: int) -> int:
    """Return by how many minutes clocks are ahead of UTC in a year, while they are not set forward for the summer.

    By this offset a day begins at midnight in winter and at one in the morning in summer, never before midnight.

    Args:
        timezone: one of `timezones()`.

    >>> winter_offset_minutes("America/Los_Angeles", 2026), winter_offset_minutes("Australia/Sydney", 2026)
    (-480, 600)
    """
    zone = ZoneInfo(timezone)
    offsets = [datetime(year, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in _SEASONS]
    return min(offsets) // timedelta(minutes=1)
