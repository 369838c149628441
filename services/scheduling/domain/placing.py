"""From a plan's numbers to where each learner is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.scheduling.grouping import Plan
from shared.contracts.pathing import Option, Step
from shared.contracts.scheduling import MAX_SESSIONS, Demand, Period, Placement, SchoolResources, Session, Use

Days = Mapping[UUID, tuple[Placement, ...]]


def misfit(plan: Plan, school: SchoolResources, demands: Mapping[UUID, Demand]) -> str:
    """Return why the plan's numbers do not fit one another or the day, or the empty text."""
    if not len(plan.learners) == len(plan.placements) == len(plan.needs):
        return "learners, placements and needs differ in length"
    if len(plan.sessions) > MAX_SESSIONS:
        return f"more than {MAX_SESSIONS} sessions"
    if len(set(plan.learners)) < len(plan.learners):
        return "a learner stands twice in the plan"
    for learner, sessions, needs in zip(plan.learners, plan.placements, plan.needs, strict=True):
        if learner not in demands:
            return f"learner/{learner}: the day has no demand of this learner"
        if not len(sessions) == len(needs) == len(school.periods):
            return f"learner/{learner}: not one number for each of the {len(school.periods)} periods"
        for period, session, need in zip(school.periods, sessions, needs, strict=True):
            place = f"{period.id}/learner/{learner}"
            if not -1 <= session < len(plan.sessions):
                return f"{place}: there is no session {session}"
            if not -1 <= need < len(demands[learner].needs):
                return f"{place}: there is no need {need}"
            if session >= 0 and plan.sessions[session].period_id != period.id:
                return f"{place}: session {session} is in another period"
    return ""


def days_of(
    plan: Plan, school: SchoolResources, demands: Mapping[UUID, Demand], running: Days, begun: int
) -> dict[UUID, tuple[Placement, ...]]:
    """Return the days of the plan's learners; periods that have begun are as in the running plan.

    Where no place is looked for, a period says so: it had begun before she was planned, or she does not go to the school any more.
    """
    grouped = frozenset(rule.modality for rule in school.rules)
    days: dict[UUID, tuple[Placement, ...]] = {}
    for learner, sessions, needs in zip(plan.learners, plan.placements, plan.needs, strict=True):
        was = {placement.period_id: placement for placement in running.get(learner, ())}
        steps, present = demands[learner].needs, demands[learner].present
        day: list[Placement] = []
        for index, (period, session, need) in enumerate(zip(school.periods, sessions, needs, strict=True)):
            if index < begun:
                day.append(was.get(period.id) or Placement(period_id=period.id, begun=True))
            elif session < 0:
                day.append(Placement(period_id=period.id, begun=not present))
            else:
                day.append(_placed(period, plan.sessions[session], steps[need] if need >= 0 else None, grouped))
        days[learner] = tuple(day)
    return days


def _placed(period: Period, session: Session, step: Step | None, grouped: frozenset[str]) -> Placement:
    option = None if step is None else _option(session, step, grouped)
    group = session.use is Use.GROUP
    return Placement(
        period_id=period.id,
        space_id=session.space_id,
        zone_id=session.zone_id,
        staff_id=session.staff_id,
        use=session.use,
        competency_id=session.competency_id if group else step.competency_id if step else "",
        modality=session.modality if group else option.modality if option else None,
        activity_id=option.activity_id if option else "",
        reason=step.reason if step else None,
    )


def _option(session: Session, step: Step, grouped: frozenset[str]) -> Option | None:
    """Return how a step is done in a session: as the group does it, or alone; the chosen way if there are several."""
    options: Sequence[Option] = sorted(step.options, key=lambda option: option.activity_id != step.chosen)
    if session.use is Use.GROUP:
        return next((option for option in options if option.modality is session.modality), None)
    return next((option for option in options if option.modality not in grouped), None)
