"""A school day: the demands and adults it took, and the plan in force. Plans come from outside; the checker decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, TypeAlias, assert_never
from uuid import UUID

from services.scheduling.checker import Inputs, Violation, check
from services.scheduling.domain.codec import CODEC, DayState
from services.scheduling.domain.commands import AdoptPlan, RepairDay, TakeDemands, TakeStaff
from services.scheduling.domain.placing import days_of, misfit
from services.scheduling.grouping import SOLVER, Plan, Problem, search
from services.scheduling.limits import MAX_LEARNERS, MAX_PLAN_BYTES
from services.scheduling.resources import RESOURCES, adults, school_on
from shared.contracts.envelope import canonical, digest
from shared.contracts.scheduling import (
    DayDemanded,
    DayStaffed,
    Demand,
    PlacementChanged,
    PlanAdopted,
    SchoolResources,
    StaffMember,
    Status,
)  # fmt: skip
from shared.decider import Decider, History, Refusal
from shared.parameters import Parameters

TOLD_VIOLATIONS: Final = 5
"""How many violations a refusal spells out."""

DayCommand: TypeAlias = TakeDemands | TakeStaff | AdoptPlan | RepairDay
DayEvent: TypeAlias = DayDemanded | DayStaffed | PlanAdopted | PlacementChanged


def decide(command: DayCommand, state: DayState, parameters: Parameters, history: History = ()) -> Sequence[DayEvent] | Refusal:
    """Return what a day takes, or the plan it adopts with every learner's day that differs; a day that is over refuses."""
    if command.on < command.asked_on:
        return Refusal("closed", f"{command.on} is over: only the days from {command.asked_on} on can change")
    match command:
        case TakeDemands():
            return _take(command, state)
        case TakeStaff():
            if command.roster <= state.roster:
                return []
            return [
                DayStaffed(
                    school_id=command.school_id, on=command.on, asked_on=command.asked_on, roster=command.roster, staff=command.staff
                )
            ]
        case AdoptPlan():
            return _adopt(command, state, parameters)
        case RepairDay():
            return _repair(command, state, parameters)
        case _:
            assert_never(command)


def _take(command: TakeDemands, state: DayState) -> Sequence[DayEvent] | Refusal:
    known = state.demands
    newer = [demand for demand in command.demands if demand.learner_id not in known or demand.version > known[demand.learner_id].version]
    if not newer:
        return []
    if len(known.keys() | {demand.learner_id for demand in newer}) > MAX_LEARNERS:
        return Refusal("too-many-learners", f"a day holds at most {MAX_LEARNERS} learners: split the school")
    return [DayDemanded(school_id=command.school_id, on=command.on, asked_on=command.asked_on, demands=command.demands)]


def _adopt(command: AdoptPlan, state: DayState, parameters: Parameters) -> Sequence[DayEvent] | Refusal:
    school = school_on(parameters, command.school_id, command.on)
    if school is None:
        return Refusal("not-ready", "the school has no resources: send them with PUT /scheduling/resources")
    staff = adults(school, state.staff)
    resources = parameters.id_of(RESOURCES) or ""
    known = inputs_hash(state.version, resources, command.begun, state.demands.values(), staff)
    if (command.base_version, command.resources, command.inputs_hash) != (state.version, resources, known):
        return Refusal("stale", f"the day is at version {state.version}, the plan was searched from {command.base_version}: search again")
    return _adopted(command, state, school, staff)


def _adopted(
    command: AdoptPlan, state: DayState, school: SchoolResources, staff: Sequence[StaffMember], inside: bool = False
) -> Sequence[DayEvent] | Refusal:
    plan = Plan(command.learners, command.sessions, command.placements, command.needs)
    wrong = misfit(plan, school, state.demands)
    if wrong:
        return Refusal("invalid-plan", wrong)
    days = days_of(plan, school, state.demands, state.days, command.begun)
    verdict = check(Inputs(school, staff, state.demands, command.begun), {**state.days, **days})
    if verdict.violations:
        return Refusal("invalid-plan", _spelled(verdict.violations))
    changed = [
        PlacementChanged(
            school_id=command.school_id, learner_id=learner, on=command.on, demand_version=state.demands[learner].version, placements=day
        )
        for learner, day in sorted(days.items())
        if state.days.get(learner) != day
    ]  # fmt: skip
    adopted = PlanAdopted(
        school_id=command.school_id, on=command.on, asked_on=command.asked_on, begun=command.begun, base_version=command.base_version,
        resources=command.resources, inputs_hash=command.inputs_hash, solver=command.solver, status=command.status, inside=inside,
        value=verdict.value, bound=command.bound, learners=plan.learners, sessions=plan.sessions, placements=plan.placements,
        needs=plan.needs, moved=len(changed),
    )  # fmt: skip
    size = len(canonical(adopted.body()))
    if size > MAX_PLAN_BYTES:  # No school whose resources were taken through `limits.most_learners` comes here.
        return Refusal("too-large", f"the plan has {size} bytes, at most {MAX_PLAN_BYTES}: send resources with fewer zones or periods")
    return [adopted, *changed]


def _spelled(violations: Sequence[Violation]) -> str:
    more = len(violations) - TOLD_VIOLATIONS
    return "; ".join(str(violation) for violation in violations[:TOLD_VIOLATIONS]) + (f"; and {more} more" if more > 0 else "")


def _repair(command: RepairDay, state: DayState, parameters: Parameters) -> Sequence[DayEvent] | Refusal:
    school, resources = school_on(parameters, command.school_id, command.on), parameters.id_of(RESOURCES) or ""
    if school is None:
        return Refusal("not-ready", "the school has no resources: send them with PUT /scheduling/resources")
    if not state.anew and not state.changed and resources == state.resources:
        return []
    problem = problem_of(school, command.on, state, command.begun)
    plan, repaired = search(problem, state.changed if _has_periods(state, school) else None)
    answer = AdoptPlan(
        command.school_id, command.on, command.asked_on, command.begun, state.version, resources,
        inputs_hash(state.version, resources, command.begun, state.demands.values(), problem.staff), SOLVER,
        Status.REPAIRED if repaired else Status.GREEDY, plan.learners, plan.sessions, plan.placements, plan.needs,
    )  # fmt: skip
    return _adopted(answer, state, school, problem.staff, inside=True)


def _has_periods(state: DayState, school: SchoolResources) -> bool:
    """Return whether there is a plan, of the periods that the school has."""
    planned = next(iter(state.days.values()), None)
    return planned is not None and [placement.period_id for placement in planned] == [period.id for period in school.periods]


def problem_of(school: SchoolResources, on: date, state: DayState, begun: int) -> Problem:
    """Return what a day at this state is grouped from."""
    return Problem(school, adults(school, state.staff), state.demands, state.days, begun, on)


def inputs_hash(version: int, resources: str, begun: int, demands: Iterable[Demand], staff: Iterable[StaffMember]) -> str:
    """Return the hash of what a day was searched from: the day's version, the set of resources, begun periods, demands and adults.

    It is stored for ever: as in events, a field that equals its default is left out, so that a new field changes no old hash.
    """
    versions = sorted([str(demand.learner_id), demand.version] for demand in demands)
    members = [member.model_dump(mode="json", exclude_defaults=True) for member in sorted(staff, key=lambda member: member.staff_id.int)]
    return digest(canonical([version, resources, begun, versions, members]))


def evolve(state: DayState, event: DayEvent) -> DayState:
    """Return the state after the event. Never refuses: it has already happened."""
    version = state.version + 1
    match event:
        case DayDemanded():
            known: Mapping[UUID, Demand] = state.demands
            newer = {
                demand.learner_id: demand
                for demand in event.demands
                if demand.learner_id not in known or demand.version > known[demand.learner_id].version
            }
            return replace(state, version=version, demands={**known, **newer}, changed=state.changed | newer.keys())
        case DayStaffed():
            return replace(state, version=version, roster=event.roster, staff=event.staff, anew=True)
        case PlanAdopted():
            return replace(state, version=version, resources=event.resources, changed=frozenset(), anew=False)
        case PlacementChanged():
            return replace(state, version=version, days={**state.days, event.learner_id: event.placements})
        case _:
            assert_never(event)


def command_of(event: DayEvent) -> DayCommand | None:
    """Return the command whose answer this event begins, or None where it continues one."""
    match event:
        case DayDemanded():
            return TakeDemands(event.school_id, event.on, event.asked_on, event.demands)
        case DayStaffed():
            return TakeStaff(event.school_id, event.on, event.asked_on, event.roster, event.staff)
        case PlanAdopted(inside=True):
            return RepairDay(event.school_id, event.on, event.asked_on, event.begun)
        case PlanAdopted():
            return AdoptPlan(
                event.school_id, event.on, event.asked_on, event.begun, event.base_version, event.resources, event.inputs_hash,
                event.solver, event.status, event.learners, event.sessions, event.placements, event.needs, event.bound,
            )  # fmt: skip
        case PlacementChanged():
            return None
        case _:
            assert_never(event)


day = Decider("scheduling.day", 4, "day", DayState(), decide, evolve, command_of, CODEC)
