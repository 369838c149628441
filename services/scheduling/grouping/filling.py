"""Filling a period: seats in running groups, new groups while everybody else can still be supervised, independent work.

In a repair sessions end that keep others from any place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from services.scheduling.grouping.day import Day, Team
from shared.contracts.profile import Modality
from shared.contracts.scheduling import MAX_SESSIONS, GroupRule, Use

NEED_WEIGHTS: Final = (16, 8, 4, 2)
"""What a group is worth to a learner, by the rank of the need it serves; later ranks: 1."""
WAY_WEIGHTS: Final = (4, 2, 1)
"""The same by the rank of the option; multiplied."""
RESERVE_PERCENT: Final = 5
"""Seats for independent work that new groups leave free, so that a later repair finds room."""
LOSSES: Final = {Use.INDEPENDENT: 1, Use.GROUP: 4, Use.CHECK_IN: 100}
"""What each learner loses whose session ends for others: her seat, her group, or her talk."""
KEPT_ADULT_FROM: Final = 6
"""With so many adults in a period, new groups leave one of them free."""

Key = tuple[str, Modality]


@dataclass(frozen=True, slots=True, order=True)
class Taker:
    """A learner whom a group would serve. Ordered: she to whom it is worth most first."""

    cost: int
    learner: int
    need: int


def fill(day: Day, period: int, waiting: Sequence[int]) -> None:
    """Place those who wait, as many as adults, zones and seats allow; sessions end that keep others from any place."""
    rest = [learner for learner in waiting if not joined(day, period, learner)]
    rest = open_groups(day, period, rest)
    rest, ended = _room_made(day, period, rest)
    if ended:
        rest = _regrouped(day, period, rest, ended)
    seat_alone(day, period, rest)


def ways(day: Day, period: int, learner: int) -> Iterator[tuple[int, int, Modality, int]]:
    """Yield the groups that would serve her, best first: rank of the need, the need, modality, and rank of the option."""
    for rank, need in enumerate(day.wanted(period, learner)):
        told = day.needs[learner][need]
        for way, modality in told.firm:
            yield rank, need, modality, way
        if not day.led[learner]:
            for way, modality in told.extra:
                yield rank, need, modality, way


def joined(day: Day, period: int, learner: int) -> bool:
    """Put her into the best running group that has a free seat, and return whether there is one."""
    if not any(team.use is Use.GROUP for team in day.teams[period].values()):
        return False
    running: dict[Key, list[Team]] = {}
    for team in day.teams[period].values():
        if team.use is Use.GROUP and team.modality is not None and team.free > 0:
            running.setdefault((team.competency, team.modality), []).append(team)
    for _, need, modality, _ in ways(day, period, learner):
        told = day.needs[learner][need]
        teams = [team for team in running.get((told.competency, modality), ()) if day.may_lead(team.adult, modality, told.subject)]
        if teams:
            day.place(period, learner, min(teams, key=lambda team: team.zone), need)
            return True
    return False


def open_groups(day: Day, period: int, waiting: Sequence[int], most: int = MAX_SESSIONS) -> list[int]:
    """Open the most valuable groups one after another, so many at most, and return who is in none of them."""
    takers = _takers(day, period, waiting)
    heap = [(-_value(listed, day.rules[key[1]].largest), key) for key, listed in takers.items()]
    heapify(heap)
    at = day.at[period]
    reserve = -(-len(waiting) * RESERVE_PERCENT // 100)
    left = len(waiting)
    while heap and most and day.free_adults[period] and day.free_zones[period]:
        worth, key = heappop(heap)
        rule = day.rules[key[1]]
        takers[key] = listed = [taker for taker in takers[key] if at[taker.learner] is None]
        if len(listed) < rule.smallest:
            continue
        now = -_value(listed, rule.largest)
        if now > worth:  # Worth less than when it was queued: others may come first.
            heappush(heap, (now, key))
            continue
        adult = _leader(day, period, key[1], listed[0])
        zone = _zone_of(day, period, min(len(listed), rule.largest), rule, left, reserve)
        if zone is None or adult is None:
            continue
        size = min(len(listed), rule.largest, day.zones[zone].seats)
        seats = min(rule.largest, day.zones[zone].seats)
        team = day.open(period, Team(zone, adult, Use.GROUP, seats, key[0], key[1]))
        for taker in listed[:size]:
            day.place(period, taker.learner, team, taker.need)
        left, most = left - size, most - 1
        if len(listed) - size >= rule.smallest:
            heappush(heap, (-_value(listed[size:], rule.largest), key))
    return [learner for learner in waiting if at[learner] is None]


def _takers(day: Day, period: int, waiting: Sequence[int]) -> dict[Key, list[Taker]]:
    """Return who would be served by a group of each competency and modality, in order of worth."""
    takers: dict[Key, list[Taker]] = {}
    for learner in waiting:
        needs, led = day.needs[learner], day.led[learner]
        for rank, need, modality, way in ways(day, period, learner):
            told = needs[need]
            worth = (NEED_WEIGHTS[rank] if rank < len(NEED_WEIGHTS) else 1) * WAY_WEIGHTS[min(way, len(WAY_WEIGHTS) - 1)]
            if told.chosen and not way:
                worth *= 2
            takers.setdefault((told.competency, modality), []).append(Taker(-max(worth // (1 + led), 1), learner, need))
    return {key: sorted(listed) for key, listed in sorted(takers.items()) if len(listed) >= day.rules[key[1]].smallest}


def _value(listed: Sequence[Taker], largest: int) -> int:
    return -sum(taker.cost for taker in listed[:largest])


def _zone_of(day: Day, period: int, size: int, rule: GroupRule, waiting: int, reserve: int) -> int | None:
    """Return the zone that a group of this size can have, with a seat for one more if possible; None where there is none to spare."""
    for aim in (size + 1, size):
        zone = day.zone_for(day.free_zones[period], min(aim, rule.largest))
        members = min(size, day.zones[zone].seats)
        if members >= rule.smallest and _affordable(day, period, zone, members, waiting, reserve):
            return zone
    return None


def _affordable(day: Day, period: int, zone: int, size: int, waiting: int, reserve: int) -> bool:
    """Return whether all others can still be supervised, with something in reserve; or the group takes no room from anybody."""
    adults = len(day.free_adults[period])
    free = [other for other in day.free_zones[period] if other != zone]
    kept = 1 if adults >= KEPT_ADULT_FROM else 0
    if day.slack(period, waiting - size, adults - 1 - kept, free) >= reserve:
        return True
    return day.slack(period, waiting - size, adults - 1, free) >= day.slack(period, waiting, adults)


def _leader(day: Day, period: int, modality: Modality, first: Taker) -> int | None:
    """Return the free adult who leads a group: one who teaches its subject; another one, or None, where there is none."""
    subject = day.needs[first.learner][first.need].subject
    free = day.free_adults[period]
    adult = next((index for index in free if subject in day.adults[index].subjects), free[0])
    return adult if day.may_lead(adult, modality, subject) else None


def _room_made(day: Day, period: int, waiting: Sequence[int]) -> tuple[list[int], int]:
    """End the sessions whose adult or zone others need to be supervised at all; return who must be seated, and how many groups ended.

    Of those with which most find a seat that with the least loss ends first: independent work goes on in a larger zone. None ends in vain.
    """
    rest, ended = list(waiting), 0
    while (without := -day.slack(period, len(rest), len(day.free_adults[period]))) > 0:
        found = min(
            (
                (unseated(day, period, team, len(rest)), loss(team), zone)
                for zone, team in day.teams[period].items()
            ), default=None,
        )  # fmt: skip
        if found is None or found[0] >= without:
            break
        team = day.teams[period][found[-1]]
        ended += team.use is not Use.INDEPENDENT
        rest += [learner for learner in day.end(period, team) if not joined(day, period, learner)]
    return rest, ended


def _regrouped(day: Day, period: int, waiting: Sequence[int], most: int) -> list[int]:
    """Open groups in place of so many that ended, also of those who work alone; return who is in none. Others go on working alone."""
    alone = [
        (learner, team, day.need_at[period][learner])
        for team in day.teams[period].values() if team.use is Use.INDEPENDENT for learner in team.members
    ]  # fmt: skip
    for learner, _, _ in alone:
        day.leave(period, learner)
    open_groups(day, period, [*waiting, *(learner for learner, _, _ in alone)], most)
    for learner, team, need in alone:
        if day.at[period][learner] is None:
            day.place(period, learner, team, need)
    return [learner for learner in waiting if day.at[period][learner] is None]


def loss(team: Team) -> int:
    """Return what is lost when a session ends so that others have a place."""
    return LOSSES[team.use] * len(team.members)


def unseated(day: Day, period: int, team: Team, waiting: int, talkers: int = 0) -> int:
    """Return how many find no seat when this session has ended, its members wait, too, and so many talk with an adult (0: no talk)."""
    free, adults = sorted([*day.free_zones[period], team.zone]), len(day.free_adults[period]) + 1
    if talkers:
        free.remove(day.zone_for(free, talkers))
        adults -= 1
    given_back = team.free if team.use is Use.INDEPENDENT else 0
    return max(given_back - day.slack(period, waiting + len(team.members), adults, free), 0)


def seat_alone(day: Day, period: int, waiting: Sequence[int]) -> None:
    """Seat learners for supervised independent work; open zones as long as there are adults; the rest is unserved."""
    order = sorted(waiting, key=lambda learner: (-day.missed[learner], learner))
    teams = [team for _, team in sorted(day.teams[period].items()) if team.use is Use.INDEPENDENT]
    for place, learner in enumerate(order):
        team = _seat_before(day, period, learner) or next((team for team in teams if team.free > 0), None)
        if team is None:
            team = _supervise(day, period, len(order) - place)
            if team is None:
                for left in order[place:]:
                    day.missed[left] += 1
                return
            teams.append(team)
        day.place(period, learner, team, _alone_need(day, period, learner))


def _seat_before(day: Day, period: int, learner: int) -> Team | None:
    """Return the independent session in which she sits already according to the running plan, where it has a seat."""
    for placed in day.running.get(day.learners[learner], ()):
        if placed.period_id == day.periods[period].id and placed.use is Use.INDEPENDENT:
            team = day.teams[period].get(day.zone_index.get((placed.space_id, placed.zone_id), -1))
            if team is not None and team.use is Use.INDEPENDENT and team.free > 0:
                return team
    return None


def _supervise(day: Day, period: int, waiting: int) -> Team | None:
    """Open a zone for independent work: the smallest that seats all who wait, else the largest. None without zone or adult."""
    free = day.free_adults[period]
    if not free or not day.free_zones[period]:
        return None
    zone = day.zone_for(day.free_zones[period], waiting)
    subject = day.periods[period].subject
    adult = next((index for index in free if subject not in day.adults[index].subjects), free[0])
    return day.open(period, Team(zone, adult, Use.INDEPENDENT, day.zones[zone].seats))


def _alone_need(day: Day, period: int, learner: int) -> int:
    """Return the need she works on alone: of the period's subject if possible, of another otherwise; -1 where none can be done alone."""
    needs = day.needs[learner]
    found = next((need for need in day.wanted(period, learner) if needs[need].alone), None)
    if found is not None:
        return found
    done = day.done[learner]
    others = (need for need in range(len(needs)) if needs[need].alone and not day.held_back(period, learner, need))
    return min(others, key=lambda need: (done[need], need), default=-1)


def give_choices(day: Day, learners: Iterable[int]) -> None:
    """Let these learners work once on each need that they chose to do alone, and have not worked on today, in place of a group.

    In the last period that it suits, of those in which the group goes on without her and there is a seat: where her group is for a later
    need or one that she works on twice, else in any, while a need of the same subject has another period. So of one period a day her first
    need has it.
    """
    for learner in learners:
        for need, told in enumerate(day.needs[learner]):
            if told.alone_by_choice and not day.done[learner][need]:
                _give_choice(day, learner, need)


def _give_choice(day: Day, learner: int, need: int) -> None:
    periods = [period for period in reversed(range(day.begun, len(day.periods))) if _goes_on(day, period, learner, need)]
    for period in sorted(periods, key=lambda period: not _is_behind(day, period, learner, need)):  # Stable: the last comes first.
        team = next((team for _, team in sorted(day.teams[period].items()) if team.use is Use.INDEPENDENT and team.free > 0), None)
        team = team or _supervise(day, period, 1)
        if team is not None:
            day.leave(period, learner)
            day.place(period, learner, team, need)
            return


def _goes_on(day: Day, period: int, learner: int, need: int) -> bool:
    """Return whether she can leave her group in a period for a need of hers: the group goes on, and an earlier need has its turn."""
    team, subject = day.at[period][learner], day.needs[learner][need].subject
    if team is None or team.modality is None or len(team.members) <= day.rules[team.modality].smallest:
        return False
    if need not in day.subject_needs[period][learner] or day.held_back(period, learner, need):
        return False
    others = (row[learner] for number, row in enumerate(day.need_at) if number != period)
    return _is_behind(day, period, learner, need) or any(other >= 0 and day.needs[learner][other].subject == subject for other in others)


def _is_behind(day: Day, period: int, learner: int, need: int) -> bool:
    """Return whether what she does in a period stands behind a need of hers, or is done in another period, too."""
    given = day.need_at[period][learner]
    return given < 0 or given > need or day.done[learner][given] > 1


def put_in_order(day: Day) -> None:
    """Give who works alone on a need that waits for others another one, where she came out of the session in which she worked on those."""
    for learner in sorted(day.waiting):
        for period in range(day.begun, len(day.periods)):
            team, need = day.at[period][learner], day.need_at[period][learner]
            if team is not None and need >= 0 and day.held_back(period, learner, need):
                day.leave(period, learner)
                day.place(period, learner, team, _alone_need(day, period, learner))
