"""What stays of the running plan when a day is repaired."""

from __future__ import annotations

from collections.abc import Set

from services.scheduling.versions.v3_grouping_day import Day, Team
from shared.contracts.scheduling import MAX_CHECK_INS, Placement, Use


def keep(day: Day, period: int, changed: Set[int]) -> list[int]:
    """Seat everybody in a period as the running plan has it, but those who changed, and return who must be placed.

    A learner who changed keeps a talk with an adult that she still needs, and a group that would end without her if she still needs it.
    What has begun stays as it was, whoever changed. Otherwise a session ends whose zone or adult is no longer to be had, or that is too
    small or too large; its members must be placed, and so must those who were unserved.
    """
    begun = period < day.begun
    seated, returning = _seats(day, period, frozenset() if begun else changed)
    for zone, (team, members) in sorted(seated.items()):
        smallest = _smallest(day, team)
        back = sorted(returning.get(zone, ()), key=lambda one: (one[1], one[0]))[: max(smallest - len(members), 0)]
        everybody = members + back
        if not everybody or (not begun and not smallest <= len(everybody) <= team.seats):
            continue
        day.open(period, team)
        for learner, need in everybody:
            day.place(period, learner, team, need)
    if begun:
        _remember(day, period)
    return [] if begun else [learner for learner, team in enumerate(day.at[period]) if team is None and day.present[learner]]


def _remember(day: Day, period: int) -> None:
    """Count what was done in a period that has begun and cannot be shown any more: its adult went, or its space was closed."""
    for learner, team in enumerate(day.at[period]):
        placed = None if team else _placed(day, period, learner)
        if placed is not None and placed.use is not None and day.present[learner]:
            day.remember(learner, placed.use, _need(day, learner, placed))


def _placed(day: Day, period: int, learner: int) -> Placement | None:
    """Return where the running plan has a learner in a period; None where it says nothing of it."""
    period_id = day.periods[period].id
    return next((one for one in day.running.get(day.learners[learner], ()) if one.period_id == period_id), None)


Seats = dict[int, tuple[Team, list[tuple[int, int]]]]


def _seats(day: Day, period: int, changed: Set[int]) -> tuple[Seats, dict[int, list[tuple[int, int]]]]:
    """Return zone -> its session with (learner, need) of those who stay, and zone -> those who changed but might come back."""
    seated: Seats = {}
    returning: dict[int, list[tuple[int, int]]] = {}
    adults: set[int] = set()
    free_adults = frozenset(day.free_adults[period])
    for learner in range(len(day.learners)):
        placed = _placed(day, period, learner)
        team = None if placed is None or not day.present[learner] else _team(day, placed)
        if placed is None or team is None or team.adult not in free_adults:
            continue
        if team.zone in seated:
            team, members = seated[team.zone]
        elif team.adult in adults:
            continue
        else:
            adults.add(team.adult)
            seated[team.zone] = team, (members := [])
        need = _need(day, learner, placed)
        if period >= day.begun and _fits_no_more(day, period, learner, placed, need, team.adult):
            continue
        if learner not in changed or (team.use is Use.CHECK_IN and day.check_in[learner]):
            members.append((learner, need))
        elif team.use is Use.GROUP:
            returning.setdefault(team.zone, []).append((learner, need))
    return seated, returning


def _fits_no_more(day: Day, period: int, learner: int, placed: Placement, need: int, adult: int) -> bool:
    """Return whether she cannot go on with it: the group is for no need of hers in this period, its adult may not lead it, or what she does
    alone is for groups.
    """
    if placed.use is Use.GROUP and placed.modality is not None:
        fits = need in day.subject_needs[period][learner]
        return not fits or not day.may_lead(adult, placed.modality, day.needs[learner][need].subject)
    return placed.use is Use.INDEPENDENT and placed.modality in day.rules


def _team(day: Day, placed: Placement) -> Team | None:
    """Return the empty session that a placement names, or None where its zone, its adult or its rule is gone."""
    zone = day.zone_index.get((placed.space_id, placed.zone_id))
    adult = None if placed.staff_id is None else day.adult_index.get(placed.staff_id)
    if zone is None or adult is None or placed.use is None:
        return None
    seats = day.zones[zone].seats
    match placed.use:
        case Use.INDEPENDENT:
            return Team(zone, adult, placed.use, seats)
        case Use.CHECK_IN:
            return Team(zone, adult, placed.use, min(seats, MAX_CHECK_INS))
        case Use.GROUP:
            rule = day.rules.get(placed.modality) if placed.modality else None
            if rule is None:
                return None
            return Team(zone, adult, placed.use, min(seats, rule.largest), placed.competency_id, placed.modality)


def _smallest(day: Day, team: Team) -> int:
    return day.rules[team.modality].smallest if team.use is Use.GROUP and team.modality else 0


def _need(day: Day, learner: int, placed: Placement) -> int:
    """Return the need that a placement serves, as she has it now; -1 where it serves none of them."""
    competency = placed.competency_id
    for index, need in enumerate(day.needs[learner]):
        if need.competency != competency:
            continue
        if placed.use is Use.INDEPENDENT:
            return index if need.alone else -1
        if any(modality is placed.modality for _, modality in (*need.firm, *need.extra)):
            return index
    return -1
