"""From everybody's placements to what is shown: one learner's day with its reasons, and the grid of a school's sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from services.scheduling.explain import SchoolDay, no_talk, outdated, refused
from services.scheduling.queries.kept import Seen
from services.scheduling.queries.reading import LackingRow
from services.scheduling.queries.views import Closing, LearnerDayView, PeriodView, RefusedView, SchoolDayView, SessionView, UnservedView
from shared.contracts.scheduling import Demand, Period, Placement, Status, Use
from shared.http import PageAsked


@dataclass
class Cell:
    """A session and who is in it."""

    key: tuple[int, str, str]
    """Number of the period, space, zone."""
    first: Placement
    learners: list[UUID] = field(default_factory=list)


def lacks_talk(day: SchoolDay, learner: UUID) -> bool:
    """Return whether an adult was asked to talk with her, and none does."""
    demand = day.demands.get(learner)
    return demand is not None and demand.check_in and all(one.use is not Use.CHECK_IN for one in day.days.get(learner, ()))


def unserved(row: LackingRow, seen: Seen, on: date, closed: Collection[date]) -> UnservedView:
    """Return what a learner asked of a day and did not get, of a talk also why.

    Args:
        closed: days before this one without school.
    """
    why = no_talk(seen.day, row.learner_id, on, row.talked, closed) if lacks_talk(seen.day, row.learner_id) and row.is_talk else ""
    return UnservedView(learner_id=row.learner_id, period_id=row.period_id, lacking=row.lacking, why=why, last_talk=row.talked)


def learner_day(
    seen: Seen, learner: UUID, on: date, changed: tuple[int, datetime], closing: Closing, talked: date | None, closed: Collection[date]
) -> LearnerDayView:
    """Return a learner's day: each period with what she does, why, and what she could not have.

    Args:
        talked: day of her last talk, where she lacks one.
        closed: days before this one without school.
    """
    day = seen.day
    demand = day.demands.get(learner)
    periods = {period.id: period for period in day.school.periods}
    shown = [_period(day, learner, placement, periods.get(placement.period_id), seen.titles) for placement in day.days[learner]]
    return LearnerDayView(
        learner_id=learner, school_id=day.school.school_id, on=on, demand_version=changed[0], changed_at=changed[1],
        check_in=demand is not None and demand.check_in, adopted_at=seen.plan.adopted_at, status=Status(seen.plan.status), periods=shown,
        closed=closing.closed, next_school_day=closing.next_school_day, last_talk=talked,
        no_talk=no_talk(day, learner, on, talked, closed) if lacks_talk(day, learner) else "",
    )  # fmt: skip


def _period(day: SchoolDay, learner: UUID, placement: Placement, period: Period | None, titles: Mapping[str, str]) -> PeriodView:
    place = (placement.space_id, placement.zone_id)
    others = sum((one.space_id, one.zone_id) == place for one in day.in_period(placement.period_id)) - 1 if placement.use else 0
    better = refused(day, learner, period) if period else []
    return PeriodView(
        period_id=placement.period_id, starts=period.starts if period else "", ends=period.ends if period else "",
        subject=period.subject if period else "", served=placement.use is not None, begun=placement.begun, use=placement.use,
        space_id=placement.space_id, space=titles.get(placement.space_id, ""), zone_id=placement.zone_id, staff_id=placement.staff_id,
        qualified=day.qualified(placement), with_learners=others,
        competency_id=placement.competency_id, modality=placement.modality, activity_id=placement.activity_id, reason=placement.reason,
        why=_why(day, placement, any(not one.behind for one in better), day.demands.get(learner)),
        refused=[
            RefusedView(
                competency_id=one.competency_id,
                activity_id=one.activity_id,
                modality=one.modality,
                obstacle=one.obstacle,
                detail=one.detail,
                behind=one.behind,
            )
            for one in better
        ],
    )  # fmt: skip


def _why(day: SchoolDay, placement: Placement, better: bool, demand: Demand | None) -> str:
    if placement.use is None and demand is not None and not demand.present:
        return "she has left this school, so that no place is kept for her"
    if placement.begun:
        return "no place was looked for: the period had begun when she came into the plan of this day"
    if placement.use is None:
        return "no place was found for her in this period: zones or adults are exhausted"
    if placement.use is Use.CHECK_IN:
        return "she is behind her pace: an adult talks with her"
    if not placement.competency_id:
        if demand is not None and demand.path_empty:
            return "supervised; nothing is on her path"
        if demand is not None and outdated(day, demand, placement):
            return "supervised, as it was planned then; her path has other steps by now"
        return "supervised; no step of her path can be done alone"
    if demand is not None and outdated(day, demand, placement):
        told = "as it was planned then, before her path changed"
    else:
        told = "her next step" if not better else "the best of her steps that could be had"
    return f"{told}, in a group with an adult" if placement.use is Use.GROUP else f"{told}, on her own under supervision"


def school_day(seen: Seen, on: date, left_out: int, closing: Closing, paging: PageAsked) -> SchoolDayView:
    """Return the plan in force and a page of its sessions."""
    day, plan = seen.day, seen.plan
    cells = _cells(day)
    last = paging.behind(-1, "", "")
    rows = [cell for _, cell in sorted(cells.items()) if cell.key > last][: paging.most]
    present = {learner for learner, demand in day.demands.items() if demand.present}
    placed = [(learner, one) for learner, placements in day.days.items() for one in placements]
    return SchoolDayView(
        school_id=day.school.school_id, on=on, status=Status(plan.status), solver=plan.solver, value=plan.value, bound=plan.bound,
        adopted_at=plan.adopted_at, learners=len({learner for learner, one in placed if one.use is not None}),
        unserved=sum(one.use is None and not one.begun and learner in present for learner, one in placed),
        unqualified=sum(day.qualified(one) is False for _, one in placed), left_out=left_out, closed=closing.closed,
        next_school_day=closing.next_school_day,
        sessions=paging.page(rows, lambda cell: cell.key, lambda cell: _session(cell, day, seen.titles)),
    )  # fmt: skip


def _cells(day: SchoolDay) -> dict[tuple[int, str, str], Cell]:
    order = {period.id: number for number, period in enumerate(day.school.periods)}
    cells: dict[tuple[int, str, str], Cell] = {}
    for learner in sorted(day.days):
        for one in day.days[learner]:
            if one.use is not None and one.period_id in order:
                key = order[one.period_id], one.space_id, one.zone_id
                cells.setdefault(key, Cell(key, one)).learners.append(learner)
    return cells


def _session(cell: Cell, day: SchoolDay, titles: Mapping[str, str]) -> SessionView:
    first = cell.first
    group = first.use is Use.GROUP
    return SessionView(
        period_id=first.period_id, space_id=first.space_id, space=titles.get(first.space_id, ""), zone_id=first.zone_id,
        seats=day.seats.get((first.space_id, first.zone_id), 0), staff_id=first.staff_id,
        qualified=day.qualified(first), use=first.use or Use.INDEPENDENT,
        competency_id=first.competency_id if group else "", modality=first.modality if group else None, learners=cell.learners,
    )  # fmt: skip
