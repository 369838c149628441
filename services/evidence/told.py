"""What every format of evidence has in common: how persons, items and acts get their ids, and how scores, instants and durations are read.

**Acts.** The id of an act does not depend on the format that tells it, so an act told twice is one piece of evidence:
- told with an attempt, it is that attempt at that item (one attempt at a quiz may have many items), whichever format names the two;
- otherwise it is what its source calls it: a Caliper event's own URN, which is unique in the world, or the direct API's source and id.

Pure.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from shared.contracts.envelope import MAX_INTEGER, MICRO
from shared.contracts.evidence import EvidenceAccepted
from shared.errors import Fault
from shared.keys import MAX_IRI, act_id_of

MAX_BODY_BYTES: Final = 2 * 1024 * 1024
MAX_ACTS: Final = 500
"""Events of an envelope, or items of a direct request."""
MAX_ID: Final = MAX_IRI
"""Characters of an id."""
MAX_AHEAD: Final = timedelta(days=1)
"""How far the clock of whoever tells us may be ahead of ours."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
ANYWHERE: Final = ""
"""Source of ids that are unique in the world; the direct API takes no empty source."""

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?[0-5]\d)", re.ASCII)
_YEARS_OR_MONTHS: Final = re.compile(r"[1-9][\d.,]*[YM]")
_DURATION: Final = TypeAdapter(timedelta)


class Malformed(Exception):
    """One event or item cannot be read: where, and why."""

    def __init__(self, place: str, code: str, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.fault = Fault(place, code, detail, remedy)


@dataclass(frozen=True, slots=True)
class Heard:
    """One event or item of a request: the act that it tells of, or else why it is no evidence."""

    id: str
    """What the sender calls it."""
    told: EvidenceAccepted | None = None
    reason: str = ""


def act_of_attempt(attempt: str, item: str) -> UUID:
    """Return the id of an act that is an attempt at an item. No IRI holds a line break, so no other pair has the same id."""
    return act_id_of(ANYWHERE, f"{attempt}\n{item}")


def number(value: Any, place: str) -> int | float:
    """Return a JSON number.

    Raises:
        Malformed: it is something else.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise not_a_number(place)
    return value  # type: ignore[no-any-return]  # Its exact type was looked at above.


def not_a_number(place: str) -> Malformed:
    """Return what is wrong where a score stands that is no number."""
    return Malformed(place, "not-a-number", "a score is a number", "send a JSON number, not text")


def share_of(given: Any, maximum: Any, place_given: str, place_maximum: str) -> int:
    """Return the share of the possible score in millionths, rounded half to even; extra credit counts as all of it.

    JSON decimals arrive as the nearest binary numbers; `repr` gives back the shortest decimal that means each of them, which is the one
    sent (up to 15 digits), and with those the quotient is exact.

    Raises:
        Malformed: either is no number or negative, or the maximum is not above 0.
    >>> share_of(0.1, 0.3, "", ""), share_of(12, 10, "", ""), share_of(1, 3.0, "", "")
    (333333, 1000000, 333333)
    """
    reached, possible = number(given, place_given), number(maximum, place_maximum)
    if reached < 0:
        raise Malformed(place_given, "negative", "a score is never negative", "send 0 for nothing reached")
    if possible <= 0:
        raise Malformed(place_maximum, "maximum-zero", "the possible score is not above 0", "send the score that could be reached")
    if type(reached) is int and type(possible) is int:  # As nearly all are: the same in a tenth of the time.
        whole, rest = divmod(reached * MICRO, possible)
        return min(whole + (2 * rest > possible or (2 * rest == possible and whole % 2 == 1)), MICRO)
    return min(round(Fraction(repr(reached)) / Fraction(repr(possible)) * MICRO), MICRO)


def instant(value: Any, place: str, latest: datetime) -> datetime:
    """Return an instant in UTC; what it says below a microsecond is left out.

    Raises:
        Malformed: no ISO 8601 instant with a time zone, before 1970 or after `latest`.
    """
    remedy = "send it like 2026-11-24T08:00:00.000Z"
    if not isinstance(value, str) or _INSTANT.fullmatch(value) is None:
        raise Malformed(place, "not-an-instant", "not an ISO 8601 date and time with its time zone", remedy)
    try:
        at = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(place, "not-an-instant", "there is no such date or time", remedy) from None
    if at > latest:
        ours = f"{latest - MAX_AHEAD:%Y-%m-%dT%H:%M:%SZ}"
        detail = f"more than a day ahead of this installation's clock, by which it is {ours}"
        raise Malformed(place, "in-the-future", detail, "set the clock of the sender; where ours is wrong, `cairn status` says more")
    if at < EARLIEST:
        raise Malformed(place, "too-early", "before 1970", remedy)
    return at


def duration_ms(value: Any, place: str) -> int:
    """Return an ISO 8601 duration in milliseconds.

    Raises:
        Malformed: it is none, negative, or has years or months, whose length is not known.
    >>> duration_ms("PT1M2.5S", "")
    62500
    >>> duration_ms("P0Y0M0DT0H0M5S", "")
    5000
    """
    remedy = "send it like PT40M12S"
    if not isinstance(value, str) or not value.startswith("P") or _YEARS_OR_MONTHS.search(value.partition("T")[0]):
        raise Malformed(place, "not-a-duration", "not an ISO 8601 duration in weeks, days, hours, minutes and seconds", remedy)
    try:
        span = _DURATION.validate_python(value)
    except ValidationError:
        raise Malformed(place, "not-a-duration", "not an ISO 8601 duration", remedy) from None
    milliseconds = span // timedelta(milliseconds=1)
    if not 0 <= milliseconds <= MAX_INTEGER:
        raise Malformed(place, "not-a-duration", "a duration is never negative", remedy)
    return milliseconds
