"""Who is in two places at once is found without the checker."""

from uuid import UUID

import pytest

from services.cli.audit.bookings import Bookings
from shared.contracts.scheduling import Period, Placement, Use

PERIODS = [
    Period(id=name, starts=starts, ends=ends)
    for name, starts, ends in (("p1", "08:00", "08:45"), ("p2", "08:45", "09:30"), ("lab", "08:30", "09:00"))
]
ANA, BEN, MS_ODA = UUID(int=1), UUID(int=2), UUID(int=9)


def at(period: str, zone: str, adult: UUID | None = MS_ODA, use: Use | None = Use.GROUP) -> Placement:
    return Placement(period_id=period, space_id="hall", zone_id=zone, staff_id=adult, use=use)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({ANA: [at("p1", "north"), at("p1", "south", None)]}, f"learner {ANA} is in hall/south in p1 and in hall/north in p1"),
        ({ANA: [at("p1", "north", None), at("lab", "north", None)]}, f"learner {ANA} is in hall/north in lab and in hall/north in p1"),
        ({ANA: [at("p1", "north")], BEN: [at("p1", "south")]}, f"adult {MS_ODA} is in hall/south in p1 and in hall/north in p1"),
        ({ANA: [at("p2", "north")], BEN: [at("lab", "south")]}, f"adult {MS_ODA} is in hall/south in lab and in hall/north in p2"),
    ],
)
def test_two_places_at_once_are_found(days: dict[UUID, list[Placement]], words: str) -> None:
    (found,) = Bookings(PERIODS).twice(days)
    assert found == words


def test_one_place_at_a_time_is_sound() -> None:
    days = {
        ANA: [at("p1", "north"), at("p2", "south")],  # One period ends when the next begins.
        BEN: [at("p1", "north"), at("p2", "south"), at("p2", "north", use=None)],  # The same sessions; and unserved, which is nowhere.
    }
    assert list(Bookings(PERIODS).twice(days)) == []
