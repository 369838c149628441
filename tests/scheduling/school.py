"""Made-up schools and demands for the tests of scheduling; drawn from a seed, so that each test says which."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from services.scheduling.checker import Days
from services.scheduling.domain.placing import days_of
from services.scheduling.grouping import Plan, Problem
from shared.contracts.pathing import Option, Reason, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, GroupRule, Period, Placement, SchoolResources, Space, StaffMember, Zone

SCHOOL = UUID(int=77)
TUESDAY = date(2026, 11, 24)
WEDNESDAY = date(2026, 11, 25)
RULES = (
    GroupRule(modality=Modality.SMALL_GROUP, smallest=2, largest=6),
    GroupRule(modality=Modality.TEACHER_LED, smallest=3, largest=14),
    GroupRule(modality=Modality.PROJECT, smallest=2, largest=10),
)
SUBJECTS = ("mathematics", "reading")


def periods(count: int, subjects: Sequence[str] = SUBJECTS) -> tuple[Period, ...]:
    """Return periods of 45 minutes from eight o'clock on, their subjects in turn."""
    minutes = [8 * 60 + 50 * number for number in range(count)]
    return tuple(
        Period(
            id=f"p{number}",
            starts=f"{start // 60:02}:{start % 60:02}",
            ends=f"{(start + 45) // 60:02}:{(start + 45) % 60:02}",
            subject=subjects[number % len(subjects)] if subjects else "",
        )
        for number, start in enumerate(minutes)
    )


def spaces(seats: Sequence[Sequence[int]]) -> tuple[Space, ...]:
    """Return a space for each entry, with a zone for each number of seats in it."""
    return tuple(
        Space(
            id=f"s{place:02}", title=f"Room {place}", zones=tuple(Zone(id=f"z{number}", seats=count) for number, count in enumerate(zones))
        )
        for place, zones in enumerate(seats)
    )


def staff(count: int, first: int = 1) -> tuple[StaffMember, ...]:
    """Return adults: of three one for each subject, and one for none."""
    taught = ((SUBJECTS[0],), (SUBJECTS[1],), ())
    return tuple(StaffMember(staff_id=UUID(int=9000 + first + number), subjects=taught[number % 3]) for number in range(count))


def made_school(seed: int, learners: int, count: int = 6, rooms: int = 14, subjects: Sequence[str] = SUBJECTS) -> SchoolResources:
    """Return a school with about a seat and a half for each learner: two large spaces, and rooms of one to three zones."""
    draw = random.Random(seed)
    share = max(2, learners * 3 // 2 // (rooms + 4))
    seats = [[share * 2, share], [share * 3]] + [
        [max(2, share // zones + draw.randint(-1, 2)) for _ in range(zones)] for zones in (draw.randint(1, 3) for _ in range(rooms - 2))
    ]
    return SchoolResources(school_id=SCHOOL, spaces=spaces(seats), periods=periods(count, subjects), staff=(), rules=RULES)


def learner(number: int) -> UUID:
    """Return the id of a made-up learner."""
    return UUID(int=1_000_000 + number)


def step(draw: random.Random, subject: str, competency: str, ways: int = 3, always_alone: bool = True) -> Step:
    """Return a step with options of different modality, one of which can be done alone unless that is not asked for."""
    modalities = draw.sample(list(Modality), ways)
    if always_alone and not set(modalities) & {Modality.VIDEO, Modality.READING, Modality.PRACTICE}:
        modalities[-1] = Modality.PRACTICE
    options = tuple(
        Option(activity_id=f"{competency}-{modality}", modality=modality, minutes=20, score=1000 - 100 * rank)
        for rank, modality in enumerate(modalities)
    )
    chosen = draw.choice(options).activity_id if draw.random() < 0.1 else ""
    return Step(competency_id=competency, subject=subject, reason=Reason.GOAL, goal_id="goal", options=options, chosen=chosen)


def made_demand(
    seed: int,
    number: int,
    version: int = 1,
    competencies: int = 40,
    each: int = 3,
    always_alone: bool = True,
    subjects: Sequence[str] = SUBJECTS,
) -> Demand:
    """Return a learner's demand: for each subject `each` needs near one another; one learner in twenty is to be talked with."""
    draw = random.Random(f"{seed} {number} {version}")
    needs = []
    for subject in subjects:
        start = draw.randrange(competencies)
        needs += [step(draw, subject, f"{subject[:2]}{(start + place) % competencies:03}", 3, always_alone) for place in range(each)]
    return Demand(learner_id=learner(number), version=version, needs=tuple(needs), check_in=draw.random() < 0.05)


def made_demands(seed: int, learners: int, **more: Any) -> dict[UUID, Demand]:
    """Return the demands of so many learners."""
    return {demand.learner_id: demand for demand in (made_demand(seed, number, **more) for number in range(learners))}


def applied(problem: Problem, plan: Plan) -> Days:
    """Return everybody's day once the plan is in force."""
    running: Mapping[UUID, tuple[Placement, ...]] = {who: tuple(day) for who, day in problem.running.items()}
    return {**running, **days_of(plan, problem.school, problem.demands, running, problem.begun)}
