"""Why a learner is where she is: each option that she would rather have, and what stood against it. Worked out when it is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from itertools import takewhile
from typing import Final
from uuid import UUID

from services.scheduling.lessons import LESSON_DAYS, only_lesson, school_days_since
from services.scheduling.resources import adults
from shared.contracts.pathing import Option, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, GroupRule, Period, Placement, SchoolResources, StaffMember, Use


class Obstacle(StrEnum):
    """What stood against an option."""

    OTHER_PERIOD = "other-period"
    FULL = "full"
    TOO_FEW = "too-few"
    NO_ADULT = "no-adult"
    NO_ZONE = "no-zone"
    ROOM_FOR_ALL = "room-for-all"
    PLAN_STAYS = "plan-stays"
    ADULT_TIME = "adult-time"
    CHECK_IN = "check-in"
    NO_SEAT = "no-seat"
    WAITS = "waits"
    EARLIER_STEP = "earlier-step"


EARLIER_COMES_FIRST: Final = (Obstacle.PLAN_STAYS, Obstacle.ADULT_TIME, Obstacle.ROOM_FOR_ALL)
"""What stands against an option of an earlier step only: a later one has its turn after what she was given."""
WITHOUT_HER: Final = "the group is planned without her, though it has a free seat"


@dataclass(frozen=True, slots=True)
class Refused:
    """An option that is better for the learner than what she was given, or that she chose, and why it was not to be had."""

    competency_id: str
    activity_id: str
    modality: Modality
    obstacle: Obstacle
    detail: str
    behind: bool = False
    """Whether it stands behind what she was given: she chose it, and no period of the day gives it to her."""


@dataclass(frozen=True)
class SchoolDay:
    """Everybody's day, as far as explaining needs it."""

    school: SchoolResources
    staff: Sequence[StaffMember]
    demands: Mapping[UUID, Demand]
    days: Mapping[UUID, Sequence[Placement]]
    roster: Sequence[StaffMember] = ()
    """The adults whom the day was planned with, those too who are absent."""
    repaired: bool = False
    """Whether the plan in force is a repair of the one before."""

    @cached_property
    def rules(self) -> dict[Modality, GroupRule]:
        """The group sizes by modality."""
        return {rule.modality: rule for rule in self.school.rules}

    @cached_property
    def seats(self) -> dict[tuple[str, str], int]:
        """The seats of each zone."""
        return {(space.id, zone.id): zone.seats for space in self.school.spaces for zone in space.zones}

    @cached_property
    def absent(self) -> tuple[StaffMember, ...]:
        """The adults who are not to be had all day; `staff` does not have them."""
        gone = {staff_id for day in self.school.days for staff_id in day.absent}
        days = tuple(day.model_copy(update={"absent": ()}) for day in self.school.days)
        return tuple(adult for adult in adults(self.school.model_copy(update={"days": days}), self.roster) if adult.staff_id in gone)

    @cached_property
    def wanting(self) -> dict[tuple[str, Modality], int]:
        """How many learners have an option of this competency and modality that they would rather have than work alone on it."""
        counts: dict[tuple[str, Modality], int] = {}
        for learner in sorted(self.demands):
            needs = self.demands[learner].needs
            for key in {(need.competency_id, option.modality) for need in needs if not need.waits for option in self._before_alone(need)}:
                counts[key] = counts.get(key, 0) + 1
        return counts

    def _before_alone(self, need: Step) -> Iterator[Option]:
        return takewhile(lambda option: option.modality in self.rules, in_her_order(need))

    @cached_property
    def _subjects(self) -> dict[str, str]:
        """The subject of each competency that somebody needs."""
        return {need.competency_id: need.subject for demand in self.demands.values() for need in demand.needs}

    @cached_property
    def _taught(self) -> dict[UUID, frozenset[str]]:
        return {adult.staff_id: frozenset(adult.subjects) for adult in self.staff}

    def qualified(self, placed: Placement) -> bool | None:
        """Return whether the adult of a group teaches its subject; None where it is no group, or nobody tells the subject any more."""
        subject = self._subjects.get(placed.competency_id) if placed.use is Use.GROUP else None
        return subject in self._taught.get(placed.staff_id, ()) if subject and placed.staff_id else None

    @cached_property
    def _periods(self) -> dict[str, list[Placement]]:
        periods: dict[str, list[Placement]] = {}
        for one in (one for day in self.days.values() for one in day if one.use is not None):
            periods.setdefault(one.period_id, []).append(one)
        return periods

    def in_period(self, period_id: str) -> Sequence[Placement]:
        """Return the placements of a period that are in a session."""
        return self._periods.get(period_id, ())


def refused(day: SchoolDay, learner: UUID, period: Period) -> list[Refused]:
    """Return the options that rank before what the learner was given in a period, best first, each with what stood against it; behind them
    those that she chose for later steps and is given in no period of the day.

    An option ranks by her need (in the order of her path), then by her own order of its options, the chosen first. Nothing was refused
    where no place was looked for; and what an earlier demand led to (`outdated`) was not given in place of options of today's.
    """
    placements = {one.period_id: one for one in day.days.get(learner, ())}
    given = placements.get(period.id) or Placement(period_id=period.id)
    demand = day.demands.get(learner)
    if demand is None or given.begun or outdated(day, demand, given):
        return []
    elsewhere = {one.competency_id: one.period_id for one in placements.values() if one.competency_id and one.period_id != period.id}
    present = day.in_period(period.id)
    everything = {(one.competency_id, one.activity_id) for one in placements.values()}
    found: list[Refused] = []
    behind = False
    for need, option in _ranked(demand, period):
        key = need.competency_id, option.activity_id
        if key == (given.competency_id, given.activity_id):
            behind = True
        elif not behind or (option.activity_id == need.chosen and key not in everything):
            obstacle, detail = _obstacle(day, present, given, need, option, period, elsewhere.get(need.competency_id))
            if behind and obstacle in EARLIER_COMES_FIRST:
                obstacle, detail = Obstacle.EARLIER_STEP, "a step that stands before it on her path has this period"
            found.append(Refused(*key, option.modality, obstacle, detail, behind))
    return found


def no_talk(day: SchoolDay, learner: UUID, on: date, talked: date | None, closed: Collection[date]) -> str:
    """Return why no adult talks with a learner with whom one was asked to talk.

    Args:
        talked: day of the last talk; None where none is known.
        closed: days before this one without school.
    """
    demand, begun = day.demands.get(learner), {one.period_id for one in day.days.get(learner, ()) if one.begun}
    periods = [period.subject for period in day.school.periods if period.id not in begun]
    subjects = {need.subject for need in demand.needs} if demand else set[str]()
    only = [only_lesson(periods, number, subjects) for number in range(len(periods))]
    if not all(only):
        which = "that is not her only lesson of a subject" if any(only) else "of hers"
        return f"no adult with room was to be had in a period {which}"
    if talked is not None and school_days_since(talked, on, closed) < LESSON_DAYS:
        return (
            "left out for her lessons: each of her periods on this day is her only lesson of a subject, which a talk takes once in "
            f"{LESSON_DAYS} school days; the last one was on {talked}"
        )
    return "no adult had room when the whole day was planned, or it was asked for since: a repair takes no only lesson of a subject"


def outdated(day: SchoolDay, demand: Demand, given: Placement) -> bool:
    """Return whether a placement can only come from an earlier demand: it is for no option of this one, or for none though it has some."""
    match given.use:
        case None:
            return False
        case Use.CHECK_IN:
            return not demand.check_in
        case Use.INDEPENDENT if not given.competency_id:
            return any(option.modality not in day.rules for need in demand.needs if not need.waits for option in need.options)
        case _:
            key = given.competency_id, given.activity_id
            return key not in {(need.competency_id, option.activity_id) for need in demand.needs for option in need.options}


def in_her_order(need: Step) -> list[Option]:
    """Return the options of a need, the chosen first, otherwise as pathing ranked them."""
    return sorted(need.options, key=lambda option: option.activity_id != need.chosen)


def _ranked(demand: Demand, period: Period) -> Iterator[tuple[Step, Option]]:
    for need in demand.needs:
        if not period.subject or need.subject == period.subject:
            for option in in_her_order(need):
                yield need, option


def _obstacle(
    day: SchoolDay, present: Sequence[Placement], given: Placement, need: Step, option: Option, period: Period, elsewhere: str | None
) -> tuple[Obstacle, str]:
    if given.use is Use.CHECK_IN:
        return Obstacle.CHECK_IN, "an adult talks with her in this period"
    if elsewhere is not None and need.competency_id != given.competency_id:
        return Obstacle.OTHER_PERIOD, f"she works on it in period {elsewhere}"
    if need.waits:
        return Obstacle.WAITS, "it waits for another step of hers, to be worked on before it, and is done alone until then"
    rule = day.rules.get(option.modality)
    if rule is not None:
        return _no_group(day, present, given, need, option, rule, period)
    if given.use is Use.GROUP:
        return Obstacle.ADULT_TIME, _kept_in_group(day, present, given, chosen=option.activity_id == need.chosen)
    if given.use is None:
        return Obstacle.NO_SEAT, "no supervised seat was left"
    return Obstacle.PLAN_STAYS, "she stays where the running plan has her"


def _kept_in_group(day: SchoolDay, present: Sequence[Placement], given: Placement, chosen: bool) -> str:
    rule = day.rules.get(given.modality) if given.modality else None
    members = sum((one.space_id, one.zone_id) == (given.space_id, given.zone_id) for one in present)
    if chosen and rule is not None and members <= rule.smallest:
        return f"without her the group would have too few: it needs {rule.smallest}"
    return "a group with an adult had a seat for her"


def _no_group(
    day: SchoolDay, present: Sequence[Placement], given: Placement, need: Step, option: Option, rule: GroupRule, period: Period
) -> tuple[Obstacle, str]:
    groups: dict[tuple[str, str], int] = {}
    for one in present:
        if one.use is Use.GROUP and (one.competency_id, one.modality) == (need.competency_id, option.modality):
            zone = one.space_id, one.zone_id
            groups[zone] = groups.get(zone, 0) + 1
    if groups:
        if all(members >= min(rule.largest, day.seats.get(zone, 0)) for zone, members in groups.items()):
            return Obstacle.FULL, f"the group is full with {max(groups.values())} learners"
        if day.repaired:
            return Obstacle.PLAN_STAYS, f"{WITHOUT_HER}; in a repair only those move who must"
        if given.use is Use.GROUP:
            return Obstacle.ADULT_TIME, "another group had a seat for her before this one was opened"
        return Obstacle.PLAN_STAYS, WITHOUT_HER
    wanting = day.wanting.get((need.competency_id, option.modality), 0)
    if wanting < rule.smallest:
        return Obstacle.TOO_FEW, f"{wanting} of the school would rather learn it so than alone, a group needs {rule.smallest}"
    nobody = _nobody_leads(day, present, need.subject if rule.qualified else "", period)
    if nobody:
        return Obstacle.NO_ADULT, nobody
    used = {(one.space_id, one.zone_id) for one in present}
    if not any(seats >= rule.smallest for zone, seats in day.seats.items() if zone not in used):
        return Obstacle.NO_ZONE, f"no free zone seats {rule.smallest}"
    return (
        Obstacle.ROOM_FOR_ALL,
        "the group was worth less than what others needed, or its adult and room are kept so that all are supervised",
    )


def _nobody_leads(day: SchoolDay, present: Sequence[Placement], subject: str, period: Period) -> str:
    """Return why no adult could lead a group in a period; nothing where one could.

    Args:
        subject: which she has to teach; empty where any adult will do.
    """
    absent, staff = ([adult for adult in each if not subject or subject in adult.subjects] for each in (day.absent, day.staff))
    who = f"every adult who teaches {subject}" if subject else "every adult"
    if not absent and not staff:
        return f"nobody at the school teaches {subject}" if subject else "the school has no adults"
    there = [adult for adult in staff if period.id not in adult.away]
    if not there:
        return f"{who} is away in this period"
    busy = {one.staff_id for one in present}
    if any(adult.staff_id not in busy for adult in there):
        return ""
    return f"{who} is {'away or ' if absent or len(there) < len(staff) else ''}with others"
