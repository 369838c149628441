"""Mastery over HTTP: a framework in; competencies, levels and explanations out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from services.mastery.case import Report, read_package
from services.mastery.framework import EMPTY, FRAMEWORK, Framework
from services.mastery.queries import (
    ChangeView,
    CompetencyView,
    FrameworkView,
    Queries,
    Why,
    competencies_in,
    framework_view,
)
from shared.contracts.envelope import MAX_INTEGER
from shared.contracts.mastery import Competency
from shared.contracts.topics import Topic
from shared.errors import NotFound, Refused
from shared.http import Page, Paging, read_json
from shared.parameters import Parameters, set_id_of
from shared.parts import Context
from shared.settings_stream import AdoptSet, adoption

JSON_BODY: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
CompetencyId = Annotated[str, Path(min_length=1, max_length=64, description="GUID of the CASE item.")]
DryRun = Annotated[bool, Query(description="Say what would change, and store nothing.")]
Subject = Annotated[str | None, Query(max_length=64, description="Of this subject only.")]
Grade = Annotated[str | None, Query(max_length=64, description="Of this grade level only, such as `05`.")]


class Imported(BaseModel):
    """What a package led to. Sent again it leads to nothing."""

    framework_id: str
    dry_run: bool
    added: int = Field(description="Competencies that the framework before did not have.")
    changed: int
    removed: int = Field(description="Competencies that are no part of it any more; what is known of learners stays.")
    events: int = Field(description="Recorded by this request; 0 in a dry run.")
    report: Report


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the routers of mastery."""
    queries = Queries(context.pool)
    return [_frameworks(context), _learners(context, queries)]


def _frameworks(context: Context) -> APIRouter:
    router = APIRouter(tags=["framework"])

    @router.post("/case/packages", openapi_extra=JSON_BODY)
    async def import_package(request: Request, dry_run: DryRun = False) -> Imported:
        """Take a CASE 1.0 or 1.1 package as the framework from now on, in place of the one before: all of it, or nothing.

        May be repeated: the same package again changes nothing. Every learner's evidence is then weighed again, in the background.
        """
        package = await read_json(request)
        competencies, report = await asyncio.to_thread(read_package, package)
        items = [known.model_dump(mode="json", exclude_defaults=True) for known in competencies]
        commands = adoption(Topic.MASTERY, FRAMEWORK, items)
        before = (await context.asker.parameters()).get(FRAMEWORK) or EMPTY
        events = 0 if dry_run else await _ask(context, commands)
        return Imported(framework_id=_set_id(commands), dry_run=dry_run, events=events, report=report, **_compared(before, competencies))

    @router.get("/framework")
    async def show_framework() -> FrameworkView:
        """Show a summary of the framework in force."""
        return framework_view(await context.asker.parameters())

    @router.get("/framework/competencies")
    async def list_framework(paging: Paging, subject: Subject = None, grade: Grade = None) -> Page[Competency]:
        """List the competencies of the framework in force, in the order of their ids."""
        (after,) = paging.key(str) or ("",)
        found = competencies_in(await context.asker.parameters(), subject, grade, after, paging.limit + 1)
        return paging.page(found, lambda each: each, lambda each: [each.id])

    return router


def _learners(context: Context, queries: Queries) -> APIRouter:
    router = APIRouter(tags=["learners"])

    async def in_force() -> Parameters:
        return await context.asker.parameters()

    @router.get("/learners/{learner_id}/competencies")
    async def list_competencies(learner_id: UUID, paging: Paging) -> Page[CompetencyView]:
        """List what is known of a learner now, in the order of the competencies' ids; nothing where there is no evidence yet."""
        (after,) = paging.key(str) or ("",)
        found = await queries.competencies_of(learner_id, after, paging.limit + 1, await in_force(), context.clock.now())
        return paging.page(found, lambda each: each, lambda each: [each.competency_id])

    @router.get("/learners/{learner_id}/competencies/{competency_id}/why")
    async def explain(learner_id: UUID, competency_id: CompetencyId) -> Why:
        """Say why a competency stands as it does, what is missing, and what would change it."""
        found = await queries.why(learner_id, competency_id, await in_force(), context.clock.now())
        if found is None:
            raise NotFound("neither the framework in force nor any evidence of this learner names this competency")
        return found

    @router.get("/learners/{learner_id}/levels/changes")
    async def list_changes(learner_id: UUID, paging: Paging) -> Page[ChangeView]:
        """List how a learner's levels changed, the latest first."""
        (before,) = paging.key(int) or (MAX_INTEGER,)
        found = await queries.changes_of(learner_id, before, paging.limit + 1)
        return paging.page(found, lambda each: each, lambda each: [each.version])

    return router


async def _ask(context: Context, commands: Sequence[Any]) -> int:
    """Ask, and return how many events followed."""
    answers = await context.asker.ask(commands)
    for answer in answers:
        if answer.refusal is not None:
            raise Refused(answer.refusal.code, answer.refusal.detail)
    return sum(len(answer.events) for answer in answers)


def _set_id(commands: Sequence[Any]) -> str:
    last = commands[-1]
    assert isinstance(last, AdoptSet)
    return set_id_of(last.kind, last.pages)


def _compared(before: Framework, competencies: Sequence[Competency]) -> dict[str, int]:
    ids = {known.id for known in competencies}
    added = sum(known.id not in before.competencies for known in competencies)
    same = sum(before.competencies.get(known.id) == known for known in competencies)
    return {
        "added": added,
        "changed": len(competencies) - added - same,
        "removed": sum(name not in ids for name in before.competencies),
    }
