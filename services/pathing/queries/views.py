"""What pathing shows: a path with its words, paths of the past, goals, and who is behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from services.pathing.catalogue import CATALOGUE, FRAMEWORK, Framework
from services.pathing.goals import due_without_date
from services.pathing.queries.words import LEFT, cause_in_words, pace_in_words, statement_of, title_of, why
from shared.contracts.envelope import Header, Recorded
from shared.contracts.mastery import Competency
from shared.contracts.pathing import Activity, Goal, Pace, PathPlanned, Reason, Step
from shared.contracts.profile import Modality, Role
from shared.parameters import Parameters


class OptionView(BaseModel):
    """One way to take a step."""

    activity_id: str
    title: str
    modality: Modality
    minutes: int
    score: int = Field(description="How well it fits the learner, in millionths of a point; larger is better.")
    chosen: bool = False


class StepView(BaseModel):
    """One competency to work on."""

    competency_id: str
    code: str = ""
    statement: str
    subject: str
    reason: Reason
    why: str = Field(description="The reason in words.")
    goal_id: str = ""
    open: bool = Field(description="She can begin it now: it waits for no other step.")
    unlocks: list[str] = Field(default=[], description="Later steps that wait for this one.")
    chosen: str = Field(default="", description="The activity she chose, if any.")
    options: list[OptionView]


class PathView(BaseModel):
    """A learner's path as it is in force."""

    learner_id: UUID
    school_id: UUID
    grade: str
    active: bool = Field(description="False: she has left, by the roster, and nothing is planned for her until one has her again.")
    pace: Pace
    pace_in_words: str
    minutes_needed: int = Field(description="To master all goals.")
    due: date | None = Field(default=None, description="The date that pace is measured against.")
    due_subject: str = Field(default="", description="The subject whose goals make it that date.")
    due_minutes: int | None = Field(
        default=None, description="To master what is due in that subject by that date; null where an earlier release planned the path."
    )
    planned_at: datetime
    version: int = Field(description="Of the learner's stream when it was planned.")
    settings: int
    steps: list[StepView]


class PastStepView(BaseModel):
    """A step of a path of the past."""

    competency_id: str
    statement: str
    reason: Reason
    chosen: str = ""


class PastPathView(BaseModel):
    """A path as it was planned once, and what led to it."""

    version: int
    planned_at: datetime
    cause: str = Field(description="What was told right before, in words.")
    cause_type: str = Field(description="Type of the event that told it.")
    causation_id: UUID = Field(description="Id of the event of another service, or of the request, that led to it.")
    pace: Pace
    minutes_needed: int
    due: date | None = None
    steps: list[PastStepView]


class WhatIfView(BaseModel):
    """What a choice would lead to. Nothing is recorded."""

    changes: bool = Field(description="False: it is chosen so already.")
    path: PathView = Field(description="As it would be.")
    joining: list[str] = Field(description="Competencies that would come onto the path.")
    leaving: list[str] = Field(description="Competencies that would leave it.")


class GoalView(BaseModel):
    """One competency to master."""

    competency_id: str
    statement: str
    due: date = Field(
        description="Without a date of its own: the end of the school year, 15 June, until the next one begins on 1 August. What was set "
        "after that end, or of a grade that she came to then, is due at the end of the next one."
    )
    weight_e6: int
    is_default: bool = Field(description="Nobody set it: it belongs to the learner's grade.")
    replaced_by: list[str] = Field(default=[], description="Competencies that a revision put in its place: they are the goals now.")
    counts: bool = Field(
        default=True,
        description="Whether the framework in force has it, or what stands in its place, as something to master. Where no goal that was "
        "set counts, those of the grade do.",
    )
    author_id: UUID | None = None
    role: Role | None = None
    set_at: datetime | None = None


class PaceView(BaseModel):
    """How one learner stands."""

    learner_id: UUID
    pace: Pace
    pace_in_words: str
    minutes_needed: int = Field(description="To master all goals.")
    due: date | None = None
    due_subject: str = ""
    due_minutes: int | None = Field(default=None, description="To master what is due in that subject by that date.")


def path_view(row: Mapping[str, Any], parameters: Parameters, waived: Sequence[tuple[str, str]], today: date) -> PathView:
    """Return a path with titles, statements and reasons of what is in force now.

    Args:
        waived: pairs of a competency, and a prerequisite of it that shall not hold the learner back.
    """
    framework, catalogue = parameters.get(FRAMEWORK), parameters.get(CATALOGUE)
    activities = {} if catalogue is None else catalogue.activities
    steps = [Step.model_validate(step) for step in row["steps"]]
    waits_for = _waits_for(steps, framework, waived)
    views = [
        StepView(
            **step.model_dump(include={"competency_id", "subject", "reason", "goal_id", "chosen"}),
            code="" if (entry := _entry(framework, step.competency_id)) is None else entry.code,
            statement=statement_of(framework, step.competency_id),
            why=why(step, framework),
            open=not waits_for[step.competency_id],
            unlocks=[id for id, needed in waits_for.items() if step.competency_id in needed],
            options=[
                OptionView(**each.model_dump(), title=title_of(activities, each.activity_id), chosen=each.activity_id == step.chosen)
                for each in step.options
            ],
        )
        for step in steps
    ]
    return PathView(
        **{name: row[name] for name in ("learner_id", "school_id", "grade", "active", "planned_at", "version", "settings")},
        **(_standing(row, today) if row["active"] else _standing(row, today) | {"pace_in_words": LEFT}),
        steps=views,
    )


PastPath = tuple[Recorded[PathPlanned], Header]
"""A path, and the event of the fact that led to it."""


def past_path_view(past: PastPath, parameters: Parameters) -> PastPathView:
    """Return a path of the past with the words of now."""
    (planned, fact), framework = past, parameters.get(FRAMEWORK)
    return PastPathView(
        version=planned.version,
        planned_at=planned.time,
        cause=cause_in_words(fact.event_type, fact.attributes["data"], framework),
        cause_type=fact.event_type,
        causation_id=UUID(planned.causation),
        pace=planned.data.pace,
        minutes_needed=planned.data.minutes_needed,
        due=planned.data.due,
        steps=[
            PastStepView(
                competency_id=step.competency_id,
                statement=statement_of(framework, step.competency_id),
                reason=step.reason,
                chosen=step.chosen,
            )
            for step in planned.data.steps
        ],
    )


def what_if_view(
    row: Mapping[str, Any], planned: PathPlanned | None, parameters: Parameters, waived: Sequence[tuple[str, str]], today: date
) -> WhatIfView:
    """Return the path that would be in force, beside the one that is; `planned` is None where it would stay as it is."""
    would_be = (
        {}
        if planned is None
        else planned.model_dump(mode="json", include={"steps", "pace", "minutes_needed", "due_subject", "due_minutes"})
        | {"due": planned.due}
    )
    path = path_view({**row, **would_be}, parameters, waived, today)
    before, after = [step["competency_id"] for step in row["steps"]], [step.competency_id for step in path.steps]
    return WhatIfView(
        path=path,
        changes=planned is not None,
        joining=[id for id in after if id not in before],
        leaving=[id for id in before if id not in after],
    )


def goal_views(row: Mapping[str, Any], parameters: Parameters, since: date | None, today: date) -> list[GoalView]:
    """Return the goals that were set for a learner, or those of her grade.

    Args:
        since: the day from which those without a date count.
    """
    framework, year_end = parameters.get(FRAMEWORK), due_without_date(today, since)
    goals = [Goal.model_validate(goal) for goal in row["goals"] or ()]
    if goals:
        beside = {"author_id": row["author_id"], "role": row["role"], "set_at": row["set_at"], "is_default": False}
        return [
            GoalView(
                competency_id=goal.competency_id, statement=statement_of(framework, goal.competency_id), due=goal.due or year_end,
                weight_e6=goal.weight_e6, replaced_by=_instead_of(framework, goal.competency_id), counts=_counts(framework, goal), **beside,
            )
            for goal in goals
        ]  # fmt: skip
    entries = [] if framework is None else [framework.entries[place] for place in framework.goals_of(row["grade"])]
    return [
        GoalView(competency_id=entry.id, statement=entry.statement, due=year_end, weight_e6=1_000_000, is_default=True) for entry in entries
    ]


def _counts(framework: Framework | None, goal: Goal) -> bool:
    places = () if framework is None else framework.places_of(goal.competency_id)
    return framework is not None and any(framework.entries[place].assessable for place in places)


def _instead_of(framework: Framework | None, competency_id: str) -> list[str]:
    return [] if framework is None else [framework.entries[place].id for place in framework.now.get(competency_id, ())]


def pace_view(row: Mapping[str, Any], today: date) -> PaceView:
    """Return how a learner stands."""
    return PaceView(learner_id=row["learner_id"], **_standing(row, today))


def _standing(row: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return how a learner stands, as the views of a path and of a pace show it."""
    told = {name: row[name] for name in ("minutes_needed", "due", "due_subject", "due_minutes")}
    return {"pace": row["pace"], "pace_in_words": pace_in_words(Pace(row["pace"]), **told, today=today), **told}


def activities_in(parameters: Parameters, competency_id: str | None, after: str, most: int) -> list[Activity]:
    """Return activities behind an id, in order of id; of one competency where it is named."""
    catalogue = parameters.get(CATALOGUE)
    if catalogue is None:
        return []
    ids: Sequence[str] = list(catalogue.activities)
    if competency_id is not None:
        ids = [candidate.activity_id for candidate in catalogue.candidates.get(competency_id, ())]
    return [catalogue.activities[id] for id in ids if id > after][:most]


def _entry(framework: Framework | None, competency_id: str) -> Competency | None:
    place = None if framework is None else framework.index.get(competency_id)
    return None if framework is None or place is None else framework.entries[place]


def _waits_for(steps: Sequence[Step], framework: Framework | None, waived: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    """Return for each step the earlier ones that are its prerequisites."""
    if framework is None:
        return {step.competency_id: set() for step in steps}
    before = framework.before_without(waived)
    earlier: set[str] = set()
    waits: dict[str, set[str]] = {}
    for step in steps:
        place = None if step.reason is Reason.REVIEW else framework.index.get(step.competency_id)
        needed = () if place is None else before[place]
        waits[step.competency_id] = earlier.intersection(framework.entries[each].id for each in needed)
        earlier.add(step.competency_id)
    return waits
