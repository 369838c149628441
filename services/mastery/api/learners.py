"""What is known of learners and classes."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query

from services.mastery.inputs import inputs_of
from services.mastery.queries import (
    Asked,
    ChangeView,
    CompetencyView,
    DeferredView,
    Need,
    NeedsView,
    NeedView,
    Queries,
    Why,
    competency_view,
    why,
)
from services.mastery.state import minute_of
from shared.contracts.envelope import MAX_INTEGER
from shared.errors import NotFound
from shared.http import FIRST_ID, Page, PageAsked, Paging, router_of
from shared.keys import competency_id_of
from shared.naming import CompetencyNamed
from shared.parts import Context

CompetencyId = Annotated[CompetencyNamed, Path(min_length=1, max_length=64, description="GUID of the CASE item.")]
CompetencySent = Annotated[str, Path(min_length=1, max_length=64, description="GUID of the CASE item.")]
OfNeed = Annotated[Need | None, Query(description="Of this need only.")]
Stuck = Annotated[bool, Query(description="Only what a person is needed for.")]
OfSubject = Annotated[str | None, Query(max_length=64, description="Of this subject only.")]
OfCompetency = Annotated[CompetencyNamed | None, Query(max_length=64, description="Of this competency only.")]
_UNKNOWN: Final = "neither the framework in force nor any evidence of this learner names this competency"
_NO_CLASS: Final = "no roster told mastery of anybody in this class: mend the id; a new class is known once you import the roster"
_STRANGER: Final = "no roster and no evidence told mastery of this learner: mend the id; who is new is known once you import the roster"


def names_of(sent: str) -> list[str]:
    """Return by which ids a competency may stand: as it was sent, where an alignment of earlier releases called it so, then its own."""
    return list(dict.fromkeys((sent, competency_id_of(sent))))


async def refuse_strangers(queries: Queries, learner_id: UUID) -> None:
    """Raise where nobody told of a learner.

    Raises:
        NotFound: nobody did; what to do.
    """
    if not await queries.has_heard_of(learner_id):
        raise NotFound(_STRANGER)


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of learners and classes."""
    router = router_of("mastery", "learners")

    @router.get("/learners/{learner_id}/competencies")
    async def list_competencies(learner_id: UUID, paging: Paging) -> Page[CompetencyView]:
        """List what is known of a learner now, in the order of the competencies' ids; nothing where there is no evidence yet."""
        (after,) = paging.behind("")
        await refuse_strangers(queries, learner_id)
        rows, learner = await queries.competencies_of(learner_id, after, paging.most), await queries.learner(learner_id)
        inputs, minute = inputs_of(await context.asker.parameters()), minute_of(context.clock.now())
        return paging.page(rows, lambda row: [row["competency_id"]], lambda row: competency_view(row, learner, minute, inputs))

    @router.get("/learners/{learner_id}/competencies/{competency_id}/why")
    async def explain(learner_id: UUID, competency_id: CompetencySent) -> Why:
        """Say why a competency stands as it does, which evidence moved it most, what is missing, and what would change it."""
        await refuse_strangers(queries, learner_id)
        parameters = await context.asker.parameters()
        for name in names_of(competency_id):
            found = await why(queries, learner_id, name, parameters, context.clock.now())
            if found is not None:
                return found
        raise NotFound(_UNKNOWN)

    @router.get("/learners/{learner_id}/levels/changes")
    async def list_changes(learner_id: UUID, paging: Paging) -> Page[ChangeView]:
        """List how a learner's levels changed, the latest first."""
        (before,) = paging.behind(MAX_INTEGER)
        await refuse_strangers(queries, learner_id)
        return paging.page(await queries.changes_of(learner_id, before, paging.most), lambda each: [each.version])

    async def needs(subject: UUID, of_class: bool, asked: Asked, paging: PageAsked) -> NeedsView:
        inputs = inputs_of(await context.asker.parameters())
        learner_id, competency_id = paging.behind(FIRST_ID, "")
        now = context.clock.now()
        row = await queries.needs_of(subject, of_class, asked, (learner_id, competency_id), paging.most, inputs, now)
        page = paging.page([NeedView(**item) for item in row["items"]], lambda each: [each.learner_id, each.competency_id])
        counts = {need: row["counts"].get(need, 0) for need in Need}
        return NeedsView(
            counts=counts, stuck=row["stuck"], members=row["members"], learners=row["learners"], items=page.items, next=page.next
        )  # fmt: skip

    @router.get("/learners/{learner_id}/needs")
    async def list_needs(
        learner_id: UUID, paging: Paging, need: OfNeed = None, stuck: Stuck = False, subject: OfSubject = None,
        competency: OfCompetency = None,
    ) -> NeedsView:  # fmt: skip
        """List what a learner needs in each competency that there is evidence of, with counts."""
        asked = Asked(need=need, stuck=stuck, subject=subject, competency_id=competency)
        await refuse_strangers(queries, learner_id)
        return await needs(learner_id, False, asked, paging)

    @router.get("/classes/{class_id}/needs")
    async def list_class_needs(
        class_id: UUID, paging: Paging, need: OfNeed = None, stuck: Stuck = False, subject: OfSubject = None,
        competency: OfCompetency = None,
    ) -> NeedsView:  # fmt: skip
        """List what the learners of a class need, by learner and competency, with counts. Classes are those of the roster."""
        asked = Asked(need=need, stuck=stuck, subject=subject, competency_id=competency)
        if not await queries.has_heard_of_class(class_id):
            raise NotFound(_NO_CLASS)
        return await needs(class_id, True, asked, paging)

    @router.get("/waiting")
    async def list_waiting(paging: Paging) -> Page[DeferredView]:
        """List evidence that counts for nothing yet, because no framework in force names any of its competencies."""
        (after,) = paging.behind(FIRST_ID)
        return paging.page(await queries.deferred(after, paging.most), lambda each: [each.evidence_id])

    return router
