"""The independent checker: whether a day's placements may be adopted, and what they are worth. Shares nothing with the search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.contracts.profile import Modality
from shared.contracts.scheduling import MAX_CHECK_INS, Demand, Placement, SchoolResources, StaffMember, Use

NEED_VALUES: Final = (8, 5, 3, 2)
"""By the rank of the need served, among hers of the same subject; later ranks: 1."""
OPTION_VALUES: Final = (3, 2, 1)
"""By the rank of the option, the chosen first; multiplied."""
QUALIFIED_VALUE: Final = 1
"""A group led by an adult who teaches its subject, for each learner in it."""
UNSERVED_VALUE: Final = -40
"""A learner without a place in a period; not in one for which no place was looked."""
CHECK_IN_VALUE: Final = 50
"""A talk that was asked for and takes place; as much less where it does not."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken, and where."""

    code: str
    place: str
    """Such as `p2/hall/north` or `p2/learner/<id>`."""
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checker found."""

    violations: tuple[Violation, ...]
    value: int


@dataclass(frozen=True)
class Inputs:
    """What a day is checked against. Periods before `begun` passed when they were adopted; they count for the value only."""

    school: SchoolResources
    staff: Sequence[StaffMember]
    demands: Mapping[UUID, Demand]
    begun: int = 0


Days = Mapping[UUID, Sequence[Placement]]


def check(inputs: Inputs, days: Days) -> Verdict:
    """Return every violation in the days of all learners, in order, and the value of the objective."""
    open_periods = [period.id for period in inputs.school.periods[inputs.begun :]]
    violations = list(_whole(inputs, days))
    grouped = frozenset(str(rule.modality) for rule in inputs.school.rules)
    seated: dict[str, list[tuple[UUID, Placement]]] = {period: [] for period in open_periods}
    for learner in sorted(days):
        for placement in days[learner]:
            if placement.use is not None and placement.period_id in seated:
                seated[placement.period_id].append((learner, placement))
    for period in open_periods:
        violations.extend(_in_period(inputs, period, seated[period], grouped))
    violations.extend(_out_of_turn(inputs, open_periods, days))
    return Verdict(tuple(violations), value_of(inputs, days))


def _whole(inputs: Inputs, days: Days) -> Iterator[Violation]:
    """Yield where a day does not hold each period once, or belongs to nobody; and who has none."""
    wanted = [period.id for period in inputs.school.periods]
    for learner in sorted(inputs.demands.keys() - days.keys()):
        if inputs.demands[learner].present:
            yield Violation("learner-missing", f"learner/{learner}", "she is at the school, and nothing says where")
    for learner in sorted(days):
        if learner not in inputs.demands:
            yield Violation("unknown-learner", f"learner/{learner}", "the day has no demand of this learner")
        told = [placement.period_id for placement in days[learner]]
        if told == wanted:
            continue
        counted = Counter(told)
        for period in sorted({*wanted, *told}):
            place = f"{period}/learner/{learner}"
            if counted[period] > 1:
                yield Violation("learner-twice", place, "the learner is in two places")
            elif not counted[period]:
                yield Violation("period-missing", place, "the learner's day does not say where she is")
            elif period not in wanted:
                yield Violation("unknown-period", place, "the school has no such period")


def _in_period(inputs: Inputs, period: str, seated: Sequence[tuple[UUID, Placement]], grouped: Set[str]) -> Iterator[Violation]:
    sessions: dict[tuple[str, str], list[tuple[UUID, Placement]]] = {}
    for learner, placement in seated:
        sessions.setdefault((placement.space_id, placement.zone_id), []).append((learner, placement))
    seats = {(space.id, zone.id): zone.seats for space in inputs.school.spaces for zone in space.zones}
    places: dict[UUID, set[tuple[str, str]]] = {}
    for zone in sorted(sessions):
        members, place = sessions[zone], f"{period}/{zone[0]}/{zone[1]}"
        if zone not in seats:
            yield Violation("unknown-zone", place, "the school has no such zone")
        elif len(members) > seats[zone]:
            yield Violation("over-capacity", place, f"{len(members)} learners on {seats[zone]} seats")
        nature = _nature(members[0][1])
        if any(_nature(placement) != nature for _, placement in members):
            yield Violation("zone-twice", place, "two sessions are in one zone")
        known: UUID | None = None
        for _, placement in members:
            if placement.staff_id is None:
                yield Violation("no-adult", place, "the session has no adult")
            elif placement.staff_id is not known:  # Most often the very same object as that of the member before.
                known = placement.staff_id
                places.setdefault(known, set()).add(zone)
        yield from _size(inputs.school, members, place)
        yield from _led(inputs, members, place)
        for learner, placement in members:
            wrong = _misfit(inputs.demands.get(learner), placement, grouped)
            if wrong is not None:
                yield Violation(wrong[0], f"{placement.period_id}/learner/{learner}", wrong[1])
    yield from _adults(inputs, period, places)


def _nature(placement: Placement) -> tuple[UUID | None, Use | None, str, Modality | None]:
    """Return what all members of one session share."""
    if placement.use is Use.GROUP:
        return placement.staff_id, placement.use, placement.competency_id, placement.modality
    return placement.staff_id, placement.use, "", None


def _size(school: SchoolResources, members: Sequence[tuple[UUID, Placement]], place: str) -> Iterator[Violation]:
    first = members[0][1]
    if first.use is Use.CHECK_IN and len(members) > MAX_CHECK_INS:
        yield Violation("too-large", place, f"{len(members)} learners in one talk, at most {MAX_CHECK_INS}")
    if first.use is not Use.GROUP:
        return
    rule = next((rule for rule in school.rules if rule.modality is first.modality), None)
    if rule is None:
        yield Violation("no-rule", place, f"no group size is given for {first.modality}")
    elif len(members) < rule.smallest:
        yield Violation("too-small", place, f"{len(members)} learners, at least {rule.smallest}")
    elif len(members) > rule.largest:
        yield Violation("too-large", place, f"{len(members)} learners, at most {rule.largest}")


def _led(inputs: Inputs, members: Sequence[tuple[UUID, Placement]], place: str) -> Iterator[Violation]:
    """Yield where nobody may lead a group but those who teach its subject, and its adult does not."""
    first = members[0][1]
    rule = next((rule for rule in inputs.school.rules if rule.modality is first.modality), None)
    if first.use is not Use.GROUP or rule is None or not rule.qualified:
        return
    demands = [inputs.demands[learner] for learner, _ in members if learner in inputs.demands]
    subjects = {need.subject for demand in demands for need in demand.needs if need.competency_id == first.competency_id} - {""}
    taught = {subject for member in inputs.staff if member.staff_id == first.staff_id for subject in member.subjects}
    if subjects and not subjects & taught:
        yield Violation("not-qualified", place, f"the adult does not teach {', '.join(sorted(subjects))}")


def _misfit(demand: Demand | None, placement: Placement, grouped: Set[str]) -> tuple[str, str] | None:
    """Return code and words where what a learner does is none of her needs, or not among its options; None where it is right.

    Args:
        grouped: ways of learning that are done in groups.
    """
    if demand is None:
        return None
    if placement.use is Use.CHECK_IN:
        return None if demand.check_in else ("not-asked", "nobody asked for this talk")
    competency, activity, modality = placement.competency_id, placement.activity_id, placement.modality
    if placement.use is Use.INDEPENDENT and not competency:
        return None  # Supervised, with no step of her path that can be done alone.
    code, detail = "not-her-need", "the learner has no need of this competency"
    for need in demand.needs:
        if need.competency_id != competency:
            continue
        code, detail = "not-her-option", "the activity is not among the learner's options"
        for option in need.options:
            if option.activity_id == activity and option.modality is modality:
                if placement.use is Use.INDEPENDENT and str(modality) in grouped:
                    return "not-alone", f"{modality} is done in groups"
                return None
    return code, detail


def _out_of_turn(inputs: Inputs, open_periods: Sequence[str], days: Days) -> Iterator[Violation]:
    """Yield where a learner works on a need that waits in a group, or before she has worked on one of its subject that does not."""
    for learner in sorted(days):
        needs = inputs.demands[learner].needs if learner in inputs.demands else ()
        waiting = {need.competency_id: need.subject for need in needs if need.waits}
        if not waiting:
            continue
        firsts = {need.competency_id: need.subject for need in needs if not need.waits}
        worked: set[str] = set()
        for placement in days[learner]:
            subject = waiting.get(placement.competency_id)
            if subject is not None and placement.period_id in open_periods and (placement.use is Use.GROUP or subject not in worked):
                place, detail = f"{placement.period_id}/learner/{learner}", "her need waits for another one, to be worked on before it"
                yield Violation("out-of-turn", place, detail)
            if placement.competency_id in firsts:
                worked.add(firsts[placement.competency_id])


def _adults(inputs: Inputs, period: str, places: Mapping[UUID, set[tuple[str, str]]]) -> Iterator[Violation]:
    known = {member.staff_id: member for member in inputs.staff}
    for adult in sorted(places):
        place, member = f"{period}/staff/{adult}", known.get(adult)
        if member is None:
            yield Violation("unknown-adult", place, "the school has no such adult")
        elif period in member.away:
            yield Violation("adult-away", place, "the adult is not to be had")
        if len(places[adult]) > 1:
            yield Violation("adult-twice", place, f"the adult is in {len(places[adult])} zones")


def value_of(inputs: Inputs, days: Days) -> int:
    """Return the objective: needs and options by rank, qualified adults, talks; less for the unserved."""
    teaches = {member.staff_id: frozenset(member.subjects) for member in inputs.staff}
    total = 0
    for learner in sorted(inputs.demands):
        demand = inputs.demands[learner]
        placements = days.get(learner, ())
        if demand.check_in:
            total += CHECK_IN_VALUE if any(placement.use is Use.CHECK_IN for placement in placements) else -CHECK_IN_VALUE
        if not demand.present:
            continue
        placed = sum(placement.use is not None or placement.begun for placement in placements)
        total += UNSERVED_VALUE * (len(inputs.school.periods) - placed)
        worth = _worth(demand, {(placement.competency_id, placement.activity_id) for placement in placements})
        for placement in placements:
            value, subject = worth.get((placement.competency_id, placement.activity_id), (0, ""))
            total += value
            if placement.use is Use.GROUP and placement.staff_id and subject in teaches.get(placement.staff_id, ()):
                total += QUALIFIED_VALUE
    return total


def _worth(demand: Demand, done: Set[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, str]]:
    """Return (competency, activity) -> (value, subject) for what a learner does, as far as she could choose it."""
    worth: dict[tuple[str, str], tuple[int, str]] = {}
    competencies = {competency for competency, _ in done}
    ranks: dict[str, int] = {}
    for need in demand.needs:
        rank = ranks[need.subject] = ranks.get(need.subject, -1) + 1
        if need.competency_id not in competencies:
            continue
        value = NEED_VALUES[rank] if rank < len(NEED_VALUES) else 1
        options = sorted(need.options, key=lambda option: option.activity_id != need.chosen)
        for place, option in enumerate(options):
            key = need.competency_id, option.activity_id
            if key in done and key not in worth:
                worth[key] = value * OPTION_VALUES[min(place, len(OPTION_VALUES) - 1)], need.subject
    return worth
