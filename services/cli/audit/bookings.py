"""Whether anybody is in two places at once, counted without the checker that adopts plans: what that one overlooks, this one does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from shared.contracts.scheduling import Period, Placement

Place = tuple[str, str]
"""Space and zone."""


class Bookings:
    """The periods of a school, and which of them meet in time."""

    def __init__(self, periods: Sequence[Period]) -> None:
        self._meets = {
            period.id: [other.id for other in periods if other.starts < period.ends and period.starts < other.ends] for period in periods
        }

    def twice(self, days: Mapping[UUID, Sequence[Placement]]) -> Iterator[str]:
        """Yield in words where a learner is in two places at once, or an adult."""
        led: dict[UUID, dict[str, Place]] = {}
        for learner, placements in days.items():
            at: dict[str, Place] = {}
            for placement in placements:
                if placement.use is None:  # Unserved: she is nowhere.
                    continue
                period, place = placement.period_id, (placement.space_id, placement.zone_id)
                for other in self._meets.get(period, ()):
                    if other in at:
                        yield f"learner {learner} is in {_shown(place)} in {period} and in {_shown(at[other])} in {other}"
                at[period] = place
                if placement.staff_id is not None:
                    yield from self._leads(led.setdefault(placement.staff_id, {}), placement.staff_id, period, place)

    def _leads(self, at: dict[str, Place], adult: UUID, period: str, place: Place) -> Iterator[str]:
        if at.get(period) == place:  # Seen with another learner of the same session.
            return
        for other in self._meets.get(period, ()):
            if other in at and at[other] != place:
                yield f"adult {adult} is in {_shown(place)} in {period} and in {_shown(at[other])} in {other}"
        at.setdefault(period, place)


def _shown(place: Place) -> str:
    return "/".join(place)
