"""What any ledger may tell of itself: that a stretch of it is lost for ever, and that it goes on behind it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.contracts.envelope import MAX_INTEGER, Event, Hash, Header

MAX_WHY = 500


class HoleNoted(Event):
    """The events `first` to `after` of this partition are lost: no ledger and no topic holds them, though a reader had applied them.

    It stands at the position behind them, chained to the last of them as that reader knew it. Key: `marker`.
    """

    TYPE: ClassVar[str] = "ledger.hole-noted.v1"
    partition: int = Field(ge=0, le=MAX_INTEGER)
    marker: str = Field(min_length=1, max_length=64, description="A text whose hash belongs to this partition.")
    first: int = Field(ge=0, le=MAX_INTEGER, description="The first position that is lost.")
    after: int = Field(ge=0, le=MAX_INTEGER, description="The last position that is lost: the furthest that a reader has applied.")
    before: Hash = Field(description="Hash of the last event that is there, at `first` - 1.")
    head: Hash = Field(description="Hash of the lost event at `after`, as the reader's inbox holds it.")
    why: str = Field(min_length=1, max_length=MAX_WHY, description="Who went on, and why. No names.")


EVENTS: tuple[type[Event], ...] = (HoleNoted,)


def hole_before(header: Header) -> HoleNoted | None:
    """Return the hole that an event closes: it is such an event, and stands right behind what it says is lost."""
    if header.event_type != HoleNoted.TYPE:
        return None
    try:
        hole = HoleNoted.model_validate(header.attributes["data"])
    except ValueError:
        return None
    fits = (hole.after + 1, hole.head, hole.partition) == (header.position, header.previous, header.attributes["partition"])
    return hole if fits and hole.first <= hole.after else None
