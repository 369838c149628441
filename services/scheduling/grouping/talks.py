"""Talks with an adult: in turn, in periods that cost learners least, and none of their lessons but once in so many school days."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from itertools import islice
from typing import Final, NamedTuple

from services.scheduling.grouping.day import Day, Team
from services.scheduling.grouping.filling import RESERVE_PERCENT, joined, loss, seat_alone, unseated
from services.scheduling.lessons import only_lesson
from shared.contracts.scheduling import MAX_CHECK_INS, Use

GROUPS_PERCENT: Final = 60
"""Of the seats that are over in a period when everybody is supervised: talks leave them to groups, but for the day's first talk."""
DAYS_OF_A_WEEK: Final = 7


class Lesson(NamedTuple):
    """What a learner loses where a talk takes a period."""

    only: bool
    """Whether it is her only lesson of a subject."""
    plenty: int
    """How many open periods she has for what it is for, itself one of them: of the subject with the fewest."""


class Talks:
    """Gives learners talks, in a day whose begun periods are as they were."""

    def __init__(self, day: Day, due: Set[int]) -> None:
        """`due` are those whose talks may take an only lesson."""
        self._day, self._due = day, due
        self._lessons: dict[int, tuple[Lesson, ...]] = {}
        self._known: dict[frozenset[str], tuple[Lesson, ...]] = {}

    def lesson(self, period: int, learner: int) -> Lesson:
        """Return what she loses where a talk takes an open period; of those that have begun, those count in which she worked on a need."""
        found = self._lessons.get(learner)
        if found is None:
            found = self._lessons[learner] = self._lessons_of(learner)
        return found[period - self._day.begun]

    def _lessons_of(self, learner: int) -> tuple[Lesson, ...]:
        day, needs = self._day, self._day.needs[learner]
        had = {needs[row[learner]].subject for row in day.need_at[: day.begun] if row[learner] >= 0}
        subjects = frozenset({need.subject for need in needs} - had)
        found = self._known.get(subjects)
        if found is None:
            open_periods = [period.subject for period in day.periods[day.begun :]]
            alike = {subject: sum(each in ("", subject) for each in open_periods) for subject in subjects}
            found = self._known[subjects] = tuple(
                Lesson(
                    only_lesson(open_periods, number, subjects),
                    min((alike[each] for each in subjects if subject in ("", each)), default=len(open_periods) + 1),
                )
                for number, subject in enumerate(open_periods)
            )
        return found

    def hold(self, learners: Sequence[int], lost: bool = False) -> None:
        """Give these learners talks with an adult: who had none for longest comes first, and has hers where it costs her least.

        A day's first talk is held wherever all others are still supervised, and so is one that was lost. The others leave groups a share of
        the seats that are to spare (GROUPS_PERCENT), and what is kept for repairs; who gets none today is told so, and comes before those
        who got one in the next days. Nobody loses her only lesson of a subject for a talk but who is due, and has no other period for it.
        """
        day = self._day
        left = sorted(learners, key=lambda learner: (day.talked[learner], learner))
        for period in range(day.begun, len(day.periods)):
            for _, team in sorted(day.teams[period].items()):
                if team.use is Use.CHECK_IN:
                    left = self._talk(period, team, left, [each for each in left if self._suits(period, each, ())])
        held = not lost and any(team.use is Use.CHECK_IN for teams in day.teams for team in teams.values())
        floors = [_left_to_groups(day, period) for period in range(len(day.periods))]
        for _ in learners:  # Each round places at least one of them.
            found = self._best(left, floors, must=held)
            if found is None:
                return
            held = not lost
            period, takers = found
            left = self._talk(period, self._open(period, len(takers)), left, takers)

    def instead(self, learners: Sequence[int]) -> None:
        """Give these learners, who lost their talks, others in place of the smallest sessions whose members find a seat."""
        day, left = self._day, list(learners)
        open_periods = range(day.begun, len(day.periods))
        while left:
            takers = {period: _first(each for each in left if self._suits(period, each, open_periods)) for period in open_periods}
            found = min(
                (
                    (loss(team), period, zone)
                    for period in open_periods if takers[period]
                    for zone, team in day.teams[period].items()
                    if team.use is not Use.CHECK_IN and not unseated(day, period, team, 0, len(takers[period]))
                ), default=None,
            )  # fmt: skip
            if found is None:
                return
            *_, period, zone = found
            members = day.end(period, day.teams[period][zone])
            left = self._talk(period, self._open(period, len(takers[period])), left, takers[period])
            waiting = [learner for learner in members if day.at[period][learner] is None]
            seat_alone(day, period, [learner for learner in waiting if not joined(day, period, learner)])

    def _best(self, learners: Sequence[int], floors: Sequence[int], must: bool) -> tuple[int, list[int]] | None:
        """Return the period of the next talk and who may come to it, in turn; None where none can be held.

        Args:
            floors: for each period the seats that are left to groups.
            must: whether a talk has to leave them.
        """
        day, roomy = self._day, list[int]()
        found = dict[int, tuple[bool, list[int]]]()
        for period in range(day.begun, len(day.periods)):
            takers = _first(each for each in learners if self._may_cost(period, each))
            if _has_room(day, period, takers, floors[period], must) is not None:
                roomy.append(period)
        for period in roomy:
            takers = _first(each for each in learners if self._suits(period, each, roomy))
            leaves = _has_room(day, period, takers, floors[period], must)
            if leaves is not None:
                found[period] = leaves, takers
        if not found:
            return None
        order = {learner: place for place, learner in enumerate(learners)}
        first = min((takers[0] for _, takers in found.values()), key=order.__getitem__)
        fitting = [period for period, (_, takers) in found.items() if first in takers]
        best = max(fitting, key=lambda period: self._worth(found[period][0], period, first))
        return best, found[best][1]

    def _worth(self, leaves: bool, period: int, learner: int) -> tuple[bool, int, int, int]:
        """Return how well a talk stands in a period; among equals, another one is best each day, and from week to week on a weekday."""
        day = self._day
        talks = sum(team.use is Use.CHECK_IN for team in day.teams[period].values())
        turn = (day.on.toordinal() - 1) // DAYS_OF_A_WEEK + day.on.weekday()
        return leaves, self.lesson(period, learner).plenty, -talks, -((period - turn) % len(day.periods))

    def _may_cost(self, period: int, learner: int) -> bool:
        """Return whether a talk may take a period from her, so far as it is about her lessons and those she is with."""
        return _may_leave(self._day, period, learner) and (learner in self._due or not self.lesson(period, learner).only)

    def _suits(self, period: int, learner: int, others: Collection[int]) -> bool:
        """Return the same, where a talk could be held in these others, too: then none takes her only lesson."""
        if not self._may_cost(period, learner):
            return False
        if not self.lesson(period, learner).only:
            return True
        return not any(_may_leave(self._day, other, learner) and not self.lesson(other, learner).only for other in others)

    def _open(self, period: int, takers: int) -> Team:
        """Open a talk with a free adult."""
        day = self._day
        zone = day.zone_for(day.free_zones[period], takers)
        return day.open(period, Team(zone, day.free_adults[period][0], Use.CHECK_IN, min(MAX_CHECK_INS, day.zones[zone].seats)))

    def _talk(self, period: int, team: Team, learners: Sequence[int], takers: Sequence[int]) -> list[int]:
        """Put those who may into the talk, as many as it takes; return all others."""
        day = self._day
        for learner in takers:
            if team.free > 0 and _may_leave(day, period, learner):
                day.leave(period, learner)
                day.place(period, learner, team, -1)
        return [learner for learner in learners if day.at[period][learner] is not team]


def took_lessons(day: Day) -> frozenset[int]:
    """Return whose talks the running plan has in open periods that are their only lessons: it knew when they were talked with last."""
    talks, number = Talks(day, frozenset()), {period.id: index for index, period in enumerate(day.periods)}
    return frozenset(
        learner for learner, who in enumerate(day.learners) if day.check_in[learner] and any(
            placed.use is Use.CHECK_IN and (period := number.get(placed.period_id, -1)) >= day.begun and talks.lesson(period, learner).only
            for placed in day.running.get(who, ())
        )
    )  # fmt: skip


def _may_leave(day: Day, period: int, learner: int) -> bool:
    """Return whether she is free in a period, works alone, or is in a group that goes on without her."""
    team = day.at[period][learner]
    if team is None or team.use is Use.INDEPENDENT:
        return True
    return team.modality is not None and len(team.members) > day.rules[team.modality].smallest


def _first(learners: Iterable[int]) -> list[int]:
    """Return as many of these as an adult talks with in a period."""
    return list(islice(learners, MAX_CHECK_INS))


def _left_to_groups(day: Day, period: int) -> int:
    """Return the seats that talks leave over in a period: the reserve of groups, or their share of what is over, whichever is more."""
    waiting = _waiting(day, period)
    reserve = -(-waiting * RESERVE_PERCENT // 100)
    return max(reserve, day.slack(period, waiting, len(day.free_adults[period])) * GROUPS_PERCENT // 100)


def _has_room(day: Day, period: int, takers: Sequence[int], floor: int, must: bool) -> bool | None:
    """Return whether a talk of the first of these leaves so many seats over, or takes none from anybody; None where it cannot be held.

    Args:
        must: whether it has to leave them; otherwise it leaves all others their supervision.
    """
    zones, adults = day.free_zones[period], len(day.free_adults[period])
    if not (takers and adults and zones):
        return None
    zone, waiting = day.zone_for(zones, len(takers)), _waiting(day, period)
    idle = sum(day.at[period][learner] is None for learner in takers[: day.zones[zone].seats])
    after = day.slack(period, waiting - idle, adults - 1, [other for other in zones if other != zone])
    costs = after < day.slack(period, waiting, adults)
    if costs and after < (floor if must else 0):
        return None
    return not costs or after >= floor


def _waiting(day: Day, period: int) -> int:
    return sum(1 for learner, team in enumerate(day.at[period]) if team is None and day.present[learner])
