"""The one source of time. Edges are handed a `Clock`; deciders never see one, time reaches them inside commands."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from shared.contracts.envelope import instant_text
from shared.errors import Misconfigured

CLOCK_FILE: Final = "clock.json"
TICK: Final = timedelta(microseconds=1)
"""As fine as instants are written."""
_NO_OFFSET: Final = timedelta()


class Clock(Protocol):
    """Tells the time of this installation, which need not be that of the wall."""

    def now(self) -> datetime:
        """Return the present instant, in UTC and aware of it."""
        ...

    def shown_at(self, instant: datetime) -> datetime:
        """Return what this clock shows at an instant of the wall, if its machine's clock is right."""
        ...


def behind(before: datetime | None, now: datetime) -> datetime:
    """Return the present instant, or one behind what was said before, where the clock that stamped that was ahead of this one: nobody is
    refused as too late because a clock was put back.
    """
    return now if before is None else max(now, before + TICK)


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock, moved by a fixed offset."""

    offset: timedelta = _NO_OFFSET

    def now(self) -> datetime:
        """Return the machine's time plus the offset."""
        return datetime.now(UTC) + self.offset

    def shown_at(self, instant: datetime) -> datetime:
        """Return the instant plus the offset."""
        return instant.astimezone(UTC) + self.offset


@dataclass(slots=True)
class FixedClock:
    """A clock for tests: it stands still until it is moved."""

    at: datetime

    def now(self) -> datetime:
        """Return the instant it stands at."""
        return self.at.astimezone(UTC)

    def shown_at(self, instant: datetime) -> datetime:
        """Return the instant it stands at, whatever the wall shows."""
        return self.now()

    def advance(self, by: timedelta) -> datetime:
        """Move on by `by` and return the new instant.

        Raises:
            ValueError: `by` is negative; time does not run backwards.
        """
        if by < _NO_OFFSET:
            raise ValueError(f"a clock advances, it does not go back: {by}")
        self.at += by
        return self.now()


def clock_from(settings_now: str | None, home: Path | None) -> SystemClock:
    """Return the clock of an installation that was first started at `settings_now` (`CAIRN_NOW`).

    The setting becomes an offset to the machine's clock once, kept in `<home>/clock.json`: after that the file is what counts, so a restart
    continues instead of turning the clock back, and all processes of one home agree. Without the setting and the file it is the machine's
    clock, and nothing is written. Without a home the offset lasts as long as the process.

    Args:
        settings_now: an instant with a time zone, such as `2026-11-24T08:00:00Z`.
        home: the state directory; made where it is missing.

    Raises:
        Misconfigured: the setting is no instant or has no time zone, the file cannot be read, or it was written for another setting.
    """
    asked = None if settings_now is None else _instant(settings_now)
    path = None if home is None else home / CLOCK_FILE
    if path is not None and path.exists():
        return _kept(path, asked)
    if asked is None:
        return SystemClock()
    offset = asked - datetime.now(UTC)
    if path is None or _keep(path, asked, offset):
        return SystemClock(offset)
    return _kept(path, asked)  # Another process of this home was faster.


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Misconfigured(f"CAIRN_NOW is {text!r}: give an instant with its time zone, such as 2026-11-24T08:00:00Z")
    return at.astimezone(UTC)


def _keep(path: Path, asked: datetime, offset: timedelta) -> bool:
    """Write the file whole or not at all; return whether it was this call that wrote it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"now": instant_text(asked), "offset_us": offset // timedelta(microseconds=1)}
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=CLOCK_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(name)  # Unlike a rename it fails where the file is already there.
    except FileExistsError:
        return False
    finally:
        Path(name).unlink()
    return True


def _kept(path: Path, asked: datetime | None) -> SystemClock:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        started, offset = _instant(content["now"]), timedelta(microseconds=content["offset_us"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, Misconfigured) as error:
        raise Misconfigured(
            f"{path} cannot be read ({type(error).__name__}): restore it, or start anew with `cairn down --wipe`"
        ) from error
    if asked is not None and asked != started:
        raise Misconfigured(
            f"CAIRN_NOW is {instant_text(asked)}, but the clock in {path.parent} started at {instant_text(started)} and never goes back: "
            "take the setting away, or start anew with `cairn down --wipe`"
        )
    return SystemClock(offset)
