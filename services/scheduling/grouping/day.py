"""A school day in small integers, while it is being grouped."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from services.scheduling.lessons import LESSON_DAYS, school_days_since
from shared.contracts.envelope import digest
from shared.contracts.pathing import Option, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, GroupRule, Placement, SchoolResources, Session, StaffMember, Use


class Before(NamedTuple):
    """What a learner had and missed in the days before."""

    talked: int = 0
    """Number of the last day on which an adult talked with her, such as `date.toordinal` gives; 0: none."""
    missed: int = 0
    """Periods without a place."""


@dataclass(frozen=True)
class Problem:
    """What a day is grouped from."""

    school: SchoolResources
    staff: Sequence[StaffMember]
    """All adults, those of the roster and those of the resources."""
    demands: Mapping[UUID, Demand]
    running: Mapping[UUID, Sequence[Placement]]
    """The plan in force: each learner's day."""
    begun: int = 0
    """How many periods, from the first, have begun and stay as they are."""
    on: date = date.min
    """The day: each has another order in which learners come, so that none is always the last."""
    before: Mapping[UUID, Before] | None = None
    """What learners had and missed in the days before; who is not named had no talk and missed nothing. None: it is not at hand."""
    closed: Set[date] = frozenset()
    """Of the days before it, those without school, beside Saturdays and Sundays."""


@dataclass(frozen=True)
class Plan:
    """Where learners are: for each of `learners` and each period an index into `sessions` (-1 unserved) and into her needs (-1 none)."""

    learners: tuple[UUID, ...]
    sessions: tuple[Session, ...]
    placements: tuple[tuple[int, ...], ...]
    needs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A zone with its seats."""

    space_id: str
    zone_id: str
    seats: int


class Need(NamedTuple):
    """One step of a learner's demand, its options in her order: the chosen first."""

    competency: str
    subject: str
    firm: tuple[tuple[int, Modality], ...]
    """Ways in a group, with their rank, that she prefers to working alone."""
    extra: tuple[tuple[int, Modality], ...]
    """Ways in a group that come after working alone: for those who would meet no adult otherwise, and never against a choice."""
    alone: bool
    """Whether an option can be done in supervised independent work."""
    chosen: bool
    often: int
    """How many times a day she may work on it while she has others: in half of the periods that it suits."""
    waits: bool
    """Whether others of hers come before it. It is done alone only, so that it has no ways in a group."""
    alone_by_choice: bool
    """Whether she chose an option of it that is done alone."""


@dataclass(slots=True)
class Team:
    """A session while it is filled."""

    zone: int
    adult: int
    use: Use
    seats: int
    competency: str = ""
    modality: Modality | None = None
    members: list[int] = field(default_factory=list)

    @property
    def free(self) -> int:
        """Seats that are still free under the group's own limit."""
        return self.seats - len(self.members)


class Day:
    """Everything that grouping looks up and writes down. Zones: most seats first. Adults: fewest subjects first."""

    def __init__(self, problem: Problem) -> None:
        self.periods = problem.school.periods
        self.begun = min(problem.begun, len(self.periods))
        self.rules: dict[Modality, GroupRule] = {rule.modality: rule for rule in problem.school.rules}
        self.grouped = frozenset(rule.modality._value_ for rule in problem.school.rules)
        self._often: dict[str, int] = {}
        spots = [Spot(space.id, zone.id, zone.seats) for space in problem.school.spaces for zone in space.zones]
        self.zones = sorted(spots, key=lambda spot: (-spot.seats, spot.space_id, spot.zone_id))
        self.zone_index = {(spot.space_id, spot.zone_id): index for index, spot in enumerate(self.zones)}
        self.adults = sorted(problem.staff, key=lambda adult: (len(adult.subjects), adult.staff_id.int))
        self.adult_index = {adult.staff_id: index for index, adult in enumerate(self.adults)}
        self.running = problem.running
        self.learners = sorted(problem.demands, key=lambda learner: digest(f"{problem.on} {learner}".encode()))
        demands = [problem.demands[learner] for learner in self.learners]
        self.needs = [tuple(_need(step, self) for step in demand.needs) for demand in demands]
        self.waiting = frozenset(learner for learner, needs in enumerate(self.needs) if any(need.waits for need in needs))
        """Who has needs that wait for others of hers."""
        self.check_in = [demand.check_in for demand in demands]
        self.present = [demand.present for demand in demands]
        count = len(self.learners)
        self.done = [[0] * len(needs) for needs in self.needs]
        self.led = [0] * count
        self.talked_today = set[int]()
        """With whom an adult has talked in a session that cannot be shown any more, since its adult or zone is gone."""
        self.on = problem.on
        told = problem.before or {}
        before = [told.get(learner, Before()) for learner in self.learners]
        self.missed = [each.missed for each in before]
        self.talked = [each.talked for each in before]
        self.long_ago = frozenset(
            learner for learner, each in enumerate(before) if problem.before is not None and _long_ago(each.talked, problem)
        )
        """With whom no adult has talked for so long that a talk may take her only lesson of a subject; nobody where it is not known."""
        self.at: list[list[Team | None]] = [[None] * count for _ in self.periods]
        self.need_at = [[-1] * count for _ in self.periods]
        self.left = set[int]()
        """Who was taken out of a session that would have gone on with her."""
        self.teams: list[dict[int, Team]] = [{} for _ in self.periods]
        """For each period: zone -> the session in it."""
        self.free_adults = [[index for index, adult in enumerate(self.adults) if period.id not in adult.away] for period in self.periods]
        self.free_zones = [list(range(len(self.zones))) for _ in self.periods]
        by_subject = {subject: self._by_subject(subject) for subject in {period.subject for period in self.periods}}
        self.subject_needs = [by_subject[period.subject] for period in self.periods]

    def _by_subject(self, subject: str) -> list[tuple[int, ...]]:
        """For each learner the needs that a period of this subject is for; all, where it is for any."""
        return [tuple(index for index, need in enumerate(needs) if not subject or need.subject == subject) for needs in self.needs]

    def often(self, subject: str) -> int:
        """Return how many times a day a need of this subject may be worked on while there are others."""
        known = self._often.get(subject)
        if known is None:
            known = self._often[subject] = max(1, -(-sum(period.subject in ("", subject) for period in self.periods) // 2))
        return known

    def wanted(self, period: int, learner: int) -> list[int]:
        """Return her needs for the period, those she has worked on least today first; not those that wait for others.

        Those of which she has had enough are left out where one of the others can be done alone: without a group for the others she would
        come back to them.
        """
        done, needs = self.done[learner], self.needs[learner]
        suited: Sequence[int] = self.subject_needs[period][learner]
        if learner in self.waiting:
            suited = [need for need in suited if not self.held_back(period, learner, need)]
        fresh = [need for need in suited if done[need] < needs[need].often]
        enough = len(fresh) == len(suited) or any(needs[need].alone for need in fresh)
        return sorted(fresh if enough else suited, key=lambda need: (done[need], need))

    def held_back(self, period: int, learner: int, need: int) -> bool:
        """Return whether a need waits for others of hers in a period: in those before it she has not worked today on each need of its
        subject that waits for none and that she can do alone, or on none at all.
        """
        needs = self.needs[learner]
        if not needs[need].waits:
            return False
        worked = {self.need_at[earlier][learner] for earlier in range(period)}
        before = [other for other, told in enumerate(needs) if told.subject == needs[need].subject and not told.waits]
        return not worked.intersection(before) or any(needs[other].alone and other not in worked for other in before)

    def competency(self, period: int, learner: int) -> str:
        """Return what she works on in the period, the empty text where it is no need of hers."""
        need = self.need_at[period][learner]
        return self.needs[learner][need].competency if need >= 0 else ""

    def checked_in(self, learner: int) -> bool:
        """Return whether an adult talks with her in some period."""
        return learner in self.talked_today or any(
            team is not None and team.use is Use.CHECK_IN for team in (row[learner] for row in self.at)
        )

    def remember(self, period: int, learner: int, use: Use, need: int) -> None:
        """Count what a learner did in a session that cannot be shown any more, for this need of hers (-1: none)."""
        self.need_at[period][learner] = need
        if need >= 0:
            self.done[learner][need] += 1
        if use is not Use.INDEPENDENT:
            self.led[learner] += 1
        if use is Use.CHECK_IN:
            self.talked_today.add(learner)

    def may_lead(self, adult: int, modality: Modality, subject: str) -> bool:
        """Return whether an adult may lead a group: she teaches the subject, or nobody has to."""
        return not self.rules[modality].qualified or not subject or subject in self.adults[adult].subjects

    def open(self, period: int, team: Team) -> Team:
        """Let a session take its zone and its adult."""
        self.teams[period][team.zone] = team
        self.free_zones[period].remove(team.zone)
        self.free_adults[period].remove(team.adult)
        return team

    def place(self, period: int, learner: int, team: Team, need: int) -> None:
        """Put a learner into a session, for this need of hers (-1: none)."""
        team.members.append(learner)
        self.at[period][learner] = team
        self.need_at[period][learner] = need
        if need >= 0:
            self.done[learner][need] += 1
        if team.use is not Use.INDEPENDENT:
            self.led[learner] += 1

    def leave(self, period: int, learner: int) -> None:
        """Take a learner out of her session."""
        team, need = self.at[period][learner], self.need_at[period][learner]
        if team is None:
            return
        self.left.add(learner)
        team.members.remove(learner)
        self.at[period][learner], self.need_at[period][learner] = None, -1
        if need >= 0:
            self.done[learner][need] -= 1
        if team.use is not Use.INDEPENDENT:
            self.led[learner] -= 1

    def end(self, period: int, team: Team) -> list[int]:
        """Let a session give its zone and its adult back; return who was in it."""
        members = list(team.members)
        for learner in members:
            self.leave(period, learner)
        del self.teams[period][team.zone]
        insort(self.free_zones[period], team.zone)
        insort(self.free_adults[period], team.adult)
        return members

    def slack(self, period: int, waiting: int, adults: int, free_zones: Sequence[int] | None = None) -> int:
        """Return the seats left over when `waiting` learners worked alone under so many free adults; negative: too few.

        Args:
            free_zones: most seats first; None: those that are free.
        """
        zones, free = self.zones, self.free_zones[period] if free_zones is None else free_zones
        seats = sum(zones[zone].seats for zone in free[: max(adults, 0)])
        return seats - waiting + sum(team.free for team in self.teams[period].values() if team.use is Use.INDEPENDENT)

    def zone_for(self, free_zones: Sequence[int], size: int) -> int:
        """Return the smallest of these zones that seats so many, or the largest there is."""
        fitting = [zone for zone in free_zones if self.zones[zone].seats >= size]
        return fitting[-1] if fitting else free_zones[0]


def _long_ago(talked: int, problem: Problem) -> bool:
    return not talked or school_days_since(date.fromordinal(talked), problem.on, problem.closed) >= LESSON_DAYS


def _need(step: Step, day: Day) -> Need:
    """Return a step in small; called for every step of a school at each search, so that everything is looked at once."""
    options: Sequence[Option] = step.options
    chosen = any(option.activity_id == step.chosen for option in options)
    if chosen:
        options = sorted(options, key=lambda option: option.activity_id != step.chosen)  # Stable: otherwise as pathing ranked them.
    firm: list[tuple[int, Modality]] = []
    extra: list[tuple[int, Modality]] = []
    alone = -1
    for rank, option in enumerate(options):
        if option.modality._value_ in day.grouped:
            if step.waits:
                continue
            (firm if alone < 0 else extra).append((rank, option.modality))
        elif alone < 0:
            alone = rank
    return Need(
        step.competency_id, step.subject, tuple(firm), () if chosen and alone == 0 else tuple(extra), alone >= 0, chosen,
        day.often(step.subject), step.waits, chosen and alone == 0,
    )  # fmt: skip
