"""What is known of learners and classes."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from psycopg_pool import AsyncConnectionPool

from services.mastery.inputs import inputs_of
from services.mastery.queries import (
    Asked,
    ChangeView,
    CompetencyView,
    DeferredView,
    Need,
    NeedsView,
    NeedView,
    Why,
    changes_of,
    competencies_of,
    deferred_of,
    needs_of,
    why,
)
from shared.contracts.envelope import MAX_INTEGER
from shared.errors import NotFound
from shared.http import Page, PageAsked, Paging
from shared.parts import Context

CompetencyId = Annotated[str, Path(min_length=1, max_length=64, description="GUID of the CASE item.")]
OfNeed = Annotated[Need | None, Query(description="Of this need only.")]
Stuck = Annotated[bool, Query(description="Only what a person is needed for.")]
OfSubject = Annotated[str | None, Query(max_length=64, description="Of this subject only.")]
OfCompetency = Annotated[str | None, Query(max_length=64, description="Of this competency only.")]
_UNKNOWN: Final = "neither the framework in force nor any evidence of this learner names this competency"


def routes(context: Context) -> APIRouter:
    """Return the routes of learners and classes."""
    router = APIRouter(tags=["learners"])
    pool: AsyncConnectionPool[Any] = context.pool

    @router.get("/learners/{learner_id}/competencies")
    async def list_competencies(learner_id: UUID, paging: Paging) -> Page[CompetencyView]:
        """List what is known of a learner now, in the order of the competencies' ids; nothing where there is no evidence yet."""
        (after,) = paging.key(str) or ("",)
        inputs = inputs_of(await context.asker.parameters())
        found = await competencies_of(pool, learner_id, after, paging.limit + 1, inputs, context.clock.now())
        return paging.page(found, lambda each: each, lambda each: [each.competency_id])

    @router.get("/learners/{learner_id}/competencies/{competency_id}/why")
    async def explain(learner_id: UUID, competency_id: CompetencyId) -> Why:
        """Say why a competency stands as it does, which evidence moved it most, what is missing, and what would change it."""
        found = await why(pool, learner_id, competency_id, await context.asker.parameters(), context.clock.now())
        if found is None:
            raise NotFound(_UNKNOWN)
        return found

    @router.get("/learners/{learner_id}/levels/changes")
    async def list_changes(learner_id: UUID, paging: Paging) -> Page[ChangeView]:
        """List how a learner's levels changed, the latest first."""
        (before,) = paging.key(int) or (MAX_INTEGER,)
        found = await changes_of(pool, learner_id, before, paging.limit + 1)
        return paging.page(found, lambda each: each, lambda each: [each.version])

    async def needs(subject: UUID, of_class: bool, asked: Asked, paging: PageAsked) -> NeedsView:
        inputs = inputs_of(await context.asker.parameters())
        row = await needs_of(pool, subject, of_class, asked, paging.key(UUID, str), paging.limit, inputs, context.clock.now())
        views = [NeedView(**item) for item in row["items"]]
        page = paging.page(views, lambda each: each, lambda each: [each.learner_id, each.competency_id])
        counts = {need: row["counts"].get(need, 0) for need in Need}
        return NeedsView(counts=counts, stuck=row["stuck"], learners=row["learners"], items=page.items, next=page.next)

    @router.get("/learners/{learner_id}/needs")
    async def list_needs(
        learner_id: UUID, paging: Paging, need: OfNeed = None, stuck: Stuck = False, subject: OfSubject = None,
        competency: OfCompetency = None,
    ) -> NeedsView:  # fmt: skip
        """List what a learner needs in each competency that there is evidence of, with counts."""
        asked = Asked(need=need, stuck=stuck, subject=subject, competency_id=competency)
        return await needs(learner_id, False, asked, paging)

    @router.get("/classes/{class_id}/needs")
    async def list_class_needs(
        class_id: UUID, paging: Paging, need: OfNeed = None, stuck: Stuck = False, subject: OfSubject = None,
        competency: OfCompetency = None,
    ) -> NeedsView:  # fmt: skip
        """List what the learners of a class need, by learner and competency, with counts. Classes are those of the roster."""
        asked = Asked(need=need, stuck=stuck, subject=subject, competency_id=competency)
        return await needs(class_id, True, asked, paging)

    @router.get("/waiting")
    async def list_waiting(paging: Paging) -> Page[DeferredView]:
        """List evidence that counts for nothing yet, because no framework in force names any of its competencies."""
        (after,) = paging.key(UUID) or (UUID(int=0),)
        found = await deferred_of(pool, after, paging.limit + 1)
        return paging.page(found, lambda each: each, lambda each: [each.evidence_id])

    return router
