"""Greedy grouping of a school day: by next competency and way of learning, adult and zone for each group, supervised work for the rest.

Pure, in integers, and the same in every process: everything is walked in sorted order. `plan` groups everybody anew, `repair` only those
whose demand changed, while sessions keep running; both leave periods that have begun as they are.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final
from uuid import UUID

from services.scheduling.grouping.day import Before, Day, Plan, Problem, Team
from services.scheduling.grouping.filling import fill, give_choices, put_in_order
from services.scheduling.grouping.keeping import keep
from services.scheduling.grouping.talks import Talks, took_lessons
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Placement, Session, Use

SOLVER: Final = "greedy/4"
ANEW_SHARE: Final = 4
"""Where more than one in so many learners changed, everybody is grouped anew."""


def plan(problem: Problem) -> Plan:
    """Return everybody's day, grouped anew; of periods that have begun only what was done in them counts."""
    day = Day(problem)
    for period in range(day.begun):
        keep(day, period, frozenset())
    everybody = [learner for learner in range(len(day.learners)) if day.present[learner]]
    Talks(day, took_lessons(day) if problem.before is None else day.long_ago).hold(_asking(day))
    for period in range(day.begun, len(day.periods)):
        fill(day, period, [learner for learner in everybody if day.at[period][learner] is None])
    give_choices(day, everybody)
    put_in_order(day)
    return _told(day, frozenset(index for index, learner in enumerate(day.learners) if day.present[index] or learner in day.running))


def repair(problem: Problem, changed: Set[UUID]) -> Plan:
    """Return the day of those who must move because these learners' demands changed; all others stay where they are.

    The changed are placed into sessions with free seats, else into new sessions, else into supervised independent work. A group that falls
    below its smallest size ends, and its members are placed likewise; so are those who were unserved. Where somebody would have no place,
    or would lose a talk, others move for her: the result leaves nobody unserved whom `plan` would seat. Of the sessions whose end seats
    most, that ends first which costs least, and a learner in a group counts as much as four who work alone: rather four of these move.
    """
    day = Day(problem)
    who = frozenset(index for index, learner in enumerate(day.learners) if learner in changed)
    pools = [keep(day, period, who) for period in range(len(day.periods))]
    talks = Talks(day, took_lessons(day))
    talks.hold(_lost(day), lost=True)
    talks.hold(_asking(day))
    for period in range(day.begun, len(day.periods)):
        fill(day, period, [learner for learner in pools[period] if day.at[period][learner] is None])
    talks.instead(_lost(day))
    give_choices(day, sorted(who.union(day.left, *pools)))
    put_in_order(day)
    moved = {learner for learner in day.left.union(*pools) if _moves(day, learner)}
    return _told(day, who | moved)


def _asking(day: Day) -> list[int]:
    """Return who is to be talked with and is not yet."""
    return [learner for learner, asks in enumerate(day.check_in) if asks and not day.checked_in(learner)]


def _lost(day: Day) -> list[int]:
    """Return who is to be talked with, and was in a period to come."""
    to_come = {period.id for period in day.periods[day.begun :]}
    return [
        learner for learner in _asking(day)
        if any(placed.use is Use.CHECK_IN and placed.period_id in to_come for placed in day.running.get(day.learners[learner], ()))
    ]  # fmt: skip


def search(problem: Problem, changed: Set[UUID] | None) -> tuple[Plan, bool]:
    """Return a repair where few changed, else a plan of everybody (`changed` is None: anew); and whether it is a repair."""
    if changed is None or len(changed) * ANEW_SHARE > len(problem.demands):
        return plan(problem), False
    return repair(problem, changed), True


def _moves(day: Day, learner: int) -> bool:
    before = {placed.period_id: placed for placed in day.running.get(day.learners[learner], ())}
    for period in range(day.begun, len(day.periods)):
        was = before.get(day.periods[period].id)
        if was is not None and was.use is Use.INDEPENDENT and was.modality in day.rules:
            return True  # What she does alone is done in groups by now: in the same seat she does something else.
        if _place(was) != _spot(day, day.at[period][learner]) or (was.competency_id if was else "") != day.competency(period, learner):
            return True
    return False


def _place(placed: Placement | None) -> tuple[str, str, UUID, Use, Modality | None] | None:
    if placed is None or placed.use is None or placed.staff_id is None:
        return None
    return placed.space_id, placed.zone_id, placed.staff_id, placed.use, placed.modality if placed.use is Use.GROUP else None


def _spot(day: Day, team: Team | None) -> tuple[str, str, UUID, Use, Modality | None] | None:
    if team is None:
        return None
    zone = day.zones[team.zone]
    return zone.space_id, zone.zone_id, day.adults[team.adult].staff_id, team.use, team.modality


def _told(day: Day, who: frozenset[int]) -> Plan:
    """Return the plan of these learners, with the sessions they are in, in order of period and zone."""
    listed = sorted(who)
    open_periods = range(day.begun, len(day.periods))
    teams = sorted(
        {(period, team.zone) for period in open_periods for learner in listed if (team := day.at[period][learner])},
    )
    number = {key: index for index, key in enumerate(teams)}
    sessions = tuple(_session(day, period, day.teams[period][zone]) for period, zone in teams)
    placements, needs = [], []
    for learner in listed:
        row = [-1] * len(day.periods)
        need = [-1] * len(day.periods)
        for period in open_periods:
            team = day.at[period][learner]
            if team is not None:
                row[period], need[period] = number[period, team.zone], day.need_at[period][learner]
        placements.append(tuple(row))
        needs.append(tuple(need))
    return Plan(tuple(day.learners[learner] for learner in listed), sessions, tuple(placements), tuple(needs))


def _session(day: Day, period: int, team: Team) -> Session:
    zone = day.zones[team.zone]
    return Session(
        period_id=day.periods[period].id,
        space_id=zone.space_id,
        zone_id=zone.zone_id,
        staff_id=day.adults[team.adult].staff_id,
        use=team.use,
        competency_id=team.competency,
        modality=team.modality,
    )


__all__ = ["ANEW_SHARE", "SOLVER", "Before", "Plan", "Problem", "plan", "repair", "search"]
