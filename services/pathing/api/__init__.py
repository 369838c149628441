"""Pathing over HTTP: activities, goals and choices in; paths, their history and who is behind out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.pathing.api.reading import CatalogueSent, read_catalogue
from services.pathing.catalogue import CATALOGUE, FRAMEWORK
from services.pathing.domain import Choose, SetGoals, State, pathing, since_of, waived_of
from services.pathing.queries import (
    GoalView,
    PaceView,
    PastPathView,
    PathView,
    Queries,
    WhatIfView,
    activities_in,
    goal_views,
    pace_view,
    past_path_view,
    path_view,
    what_if_view,
)
from shared.clock import behind
from shared.contracts.envelope import MAX_INTEGER, StreamId
from shared.contracts.pathing import MAX_GOALS, Activity, ActivityChosen, Goal, GoalsSet, Pace, PathPlanned
from shared.contracts.profile import Modality, Role
from shared.contracts.topics import Topic
from shared.decider import Refusal
from shared.errors import NotFound, Refused
from shared.http import FIRST_ID, Page, Paging, body_of, events_of, parsed, problem_responses, read_json, read_model, router_of
from shared.naming import CompetencyNamed, competencies_read
from shared.parameters import Parameters
from shared.parts import Context
from shared.settings_stream import AddPage, AdoptSet, adopted_id, adoption

MAX_SHOWN: Final = 20
"""Ids that an answer about a catalogue lists."""
UNKNOWN_LEARNER: Final = "no roster has named this learner yet, or its news have not arrived"
UNKNOWN_SCHOOL: Final = "no roster has named a learner of this school yet, or its news have not arrived"
Word = Annotated[str, Query(min_length=1, max_length=64)]
ChosenCompetency = Annotated[CompetencyNamed, Query(min_length=1, max_length=64)]
CompetencyId = Annotated[CompetencyNamed | None, Query(max_length=64, description="Of this competency only.")]
Remove = Annotated[bool, Query(description="Also take away all activities, where none are sent.")]
AtPace = Annotated[Pace, Query(description="Who stands so.")]


class CatalogueTaken(BaseModel):
    """What a catalogue led to. Sent again it leads to nothing."""

    catalogue_id: str
    activities: int
    competencies: int = Field(description="That have an activity.")
    unknown: int = Field(description="Competencies with activities that the framework in force does not have; they count once it has.")
    unknown_ids: list[str] = Field(description="The first of them.")
    one_modality: int = Field(
        description="Competencies with activities of one modality only: a talk with a teacher is the alternative, or none, where they are "
        "teacher-led themselves."
    )
    one_modality_ids: list[str] = Field(description="The first of them.")
    events: int = Field(description="Recorded by this request.")


class ChoiceSent(BaseModel):
    """How a learner wants to take a step of her path."""

    model_config = ConfigDict(extra="forbid")

    competency_id: CompetencyNamed = Field(min_length=1, max_length=64)
    activity_id: str = Field(min_length=1, max_length=64)


class GoalsSent(BaseModel):
    """Goals in place of those before; an empty list brings back those of the grade."""

    model_config = ConfigDict(extra="forbid")

    author_id: UUID
    role: Role
    goals: list[Goal] = Field(max_length=MAX_GOALS)


class SchoolPace(BaseModel):
    """How the learners of a school stand."""

    counts: dict[Pace, int]
    learners: Page[PaceView]


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the routers of pathing."""
    queries = Queries(context.pool)
    return [_activities(context), _paths(context, queries), _goals(context, queries), _schools(context, queries)]


def _activities(context: Context) -> APIRouter:
    router = router_of("pathing", "activities")

    @router.put("/activities", openapi_extra=body_of({"application/json": CatalogueSent}), responses=problem_responses(409))
    async def put_activities(request: Request, remove: Remove = False) -> CatalogueTaken:
        """Take a whole catalogue in place of the one before: all of it or, where a place is wrong, none.

        One without activities is refused where some are in force: with `remove=true` it is taken, and paths have talks alone. May be
        repeated: the same catalogue again changes nothing. Every learner's path is then planned again, in the background.
        """
        activities, commands = await asyncio.to_thread(_adopting, await read_json(request))
        if not activities and not remove and activities_in(await context.asker.parameters(), None, "", 1):
            raise Refused(
                "would-remove",
                "this catalogue has no activities, and would take away all that are in force: send the whole catalogue; with ?remove=true "
                "they are taken away",
            )
        events = await events_of(context, commands)
        framework = (await context.asker.parameters()).get(FRAMEWORK)
        modalities: dict[str, set[Modality]] = {}
        for activity in activities:
            modalities.setdefault(activity.competency_id, set()).add(activity.modality)
        unknown = [] if framework is None else sorted(modalities.keys() - framework.index.keys())
        one = sorted(id for id, found in modalities.items() if len(found) == 1)
        return CatalogueTaken(
            catalogue_id=adopted_id(commands), activities=len(activities), competencies=len(modalities), unknown=len(unknown),
            unknown_ids=unknown[:MAX_SHOWN], one_modality=len(one), one_modality_ids=one[:MAX_SHOWN], events=len(events),
        )  # fmt: skip

    @router.get("/activities")
    async def list_activities(paging: Paging, competency: CompetencyId = None) -> Page[Activity]:
        """List the activities in force, in order of their ids."""
        (after,) = paging.behind("")
        found = activities_in(await context.asker.parameters(), competency, after, paging.most)
        return paging.page(found, lambda each: [each.id])

    return router


def _paths(context: Context, queries: Queries) -> APIRouter:
    router = router_of("pathing", "paths")

    async def planned(learner_id: UUID) -> Mapping[str, Any]:
        row = await queries.path_of(learner_id)
        if row is None:
            raise NotFound(UNKNOWN_LEARNER)
        if row["version"] is None:
            raise NotFound(f"this learner has no path yet: {_missing(await context.asker.parameters())}")
        return row

    async def path_now(learner_id: UUID) -> PathView:
        row, state = await planned(learner_id), await _state_of(context, learner_id)
        return path_view(row, await context.asker.parameters(), waived_of(state), context.today())

    @router.get("/learners/{learner_id}/path")
    async def show_path(learner_id: UUID) -> PathView:
        """Show a learner's path: what comes next, why, the ways to take each step, and how she stands against her dates."""
        return await path_now(learner_id)

    @router.get("/learners/{learner_id}/path/history")
    async def list_paths(learner_id: UUID, paging: Paging) -> Page[PastPathView]:
        """List the paths a learner had, the one in force first, each with what led to it."""
        (before,) = paging.behind(MAX_INTEGER)
        if await queries.goals_of(learner_id) is None:
            raise NotFound(UNKNOWN_LEARNER)
        found = await queries.paths_of(learner_id, before, paging.most)
        parameters = await context.asker.parameters()
        return paging.page(found, lambda past: [past[0].version], lambda past: past_path_view(past, parameters))

    @router.get("/learners/{learner_id}/path/what-if", responses=problem_responses(409))
    async def what_if(learner_id: UUID, competency_id: ChosenCompetency, activity_id: Word) -> WhatIfView:
        """Show what a choice would lead to, and record nothing; refused for the reasons for which the choice would be."""
        row, parameters = await planned(learner_id), await context.asker.parameters()
        state = await _state_of(context, learner_id)
        chosen_at = behind(state.chosen_at, context.clock.now())
        fact = ActivityChosen(
            learner_id=learner_id, competency_id=competency_id, activity_id=activity_id, chosen_at=chosen_at, on=context.day_of(chosen_at)
        )  # fmt: skip
        answer = pathing.decide(Choose(fact), state, parameters, ())
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.detail)
        would_be = next((event for event in answer if isinstance(event, PathPlanned)), None)
        return what_if_view(row, would_be, parameters, waived_of(state), context.today())

    @router.post("/learners/{learner_id}/choices", openapi_extra=body_of({"application/json": ChoiceSent}))
    async def choose(learner_id: UUID, request: Request) -> PathView:
        """Choose one of the ways that a step of the path offers, and show the path that follows. It holds until the step is done."""
        sent = await read_model(request, ChoiceSent)
        await planned(learner_id)
        state = await _state_of(context, learner_id)
        chosen_at = behind(state.chosen_at, context.clock.now())
        fact = ActivityChosen(
            learner_id=learner_id, competency_id=sent.competency_id, activity_id=sent.activity_id, chosen_at=chosen_at,
            on=context.day_of(chosen_at),
        )  # fmt: skip
        await events_of(context, [Choose(fact)])
        return await path_now(learner_id)

    return router


def _goals(context: Context, queries: Queries) -> APIRouter:
    router = router_of("pathing", "goals")

    @router.get("/learners/{learner_id}/goals")
    async def list_goals(learner_id: UUID, paging: Paging) -> Page[GoalView]:
        """List what a learner works towards: the goals that were set for her or, without any, those of her grade."""
        (after,) = paging.behind(0)
        row = await queries.goals_of(learner_id)
        if row is None:
            raise NotFound(UNKNOWN_LEARNER)
        since = since_of(await _state_of(context, learner_id))
        goals = goal_views(row, await context.asker.parameters(), since, context.today())
        numbered = list(enumerate(goals, 1))[after : after + paging.most]
        return paging.page(numbered, lambda each: [each[0]], lambda each: each[1])

    @router.post("/learners/{learner_id}/goals", openapi_extra=body_of({"application/json": GoalsSent}))
    async def set_goals(learner_id: UUID, request: Request, paging: Paging) -> Page[GoalView]:
        """Set a learner's goals, at most 64, in place of those before; her path follows at once."""
        sent = parsed(GoalsSent, competencies_read(await read_json(request), "goals"))
        if await queries.goals_of(learner_id) is None:
            raise NotFound(UNKNOWN_LEARNER)
        set_at = behind((await _state_of(context, learner_id)).goals_at, context.clock.now())
        fact = GoalsSet(
            learner_id=learner_id, author_id=sent.author_id, role=sent.role, set_at=set_at, goals=tuple(sent.goals),
            on=context.day_of(set_at),
        )  # fmt: skip
        await events_of(context, [SetGoals(fact)])
        return await list_goals(learner_id, paging)

    return router


def _schools(context: Context, queries: Queries) -> APIRouter:
    router = router_of("pathing", "schools")

    @router.get("/schools/{school_id}/pace")
    async def list_pace(school_id: UUID, paging: Paging, pace: AtPace = Pace.AT_RISK) -> SchoolPace:
        """Count how the learners of a school stand, and list those behind their dates, or those who stand otherwise."""
        (after,) = paging.behind(FIRST_ID)
        if not await queries.has_heard_of_school(school_id):
            raise NotFound(UNKNOWN_SCHOOL)
        rows = await queries.learners_at(school_id, pace, after, paging.most)
        today = context.today()
        page = paging.page(rows, lambda row: [row["learner_id"]], lambda row: pace_view(row, today))
        return SchoolPace(counts=await queries.paces_of(school_id), learners=page)

    return router


async def _state_of(context: Context, learner_id: UUID) -> State:
    state: State = await context.asker.state(StreamId("pathing", "learner", str(learner_id)))
    return state


def _missing(parameters: Parameters) -> str:
    if parameters.get(FRAMEWORK) is None:
        return "there is no framework; import one into mastery"
    if parameters.get(CATALOGUE) is None:
        return "there are no activities; send them with PUT /pathing/activities"
    return "it is being planned; look again in a moment, unless she is not enrolled"


def _adopting(value: Any) -> tuple[list[Activity], list[AddPage | AdoptSet]]:
    """Return the activities that were sent, and the commands that bring them in. Takes seconds for a large catalogue."""
    activities = read_catalogue(value)
    return activities, adoption(Topic.PATHING, CATALOGUE, [each.model_dump(mode="json", exclude_defaults=True) for each in activities])
