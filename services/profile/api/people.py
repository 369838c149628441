"""Routes that read people and places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from services.profile.queries import ClassView, LearnerDetail, LearnerView, Queries, SchoolView, StaffView
from shared.errors import NotFound
from shared.http import Page, PageAsked, Paging

School = Annotated[UUID | None, Query(description="Of this school only.")]
Class = Annotated[UUID | None, Query(alias="class", description="Of this class only.")]
Withdrawn = Annotated[bool, Query(description="Also those whom the roster no longer names.")]

V = TypeVar("V", bound=BaseModel)


def routes(queries: Queries) -> APIRouter:
    """Return the routes for reading."""
    router = APIRouter(tags=["people and places"])

    @router.get("/learners")
    async def list_learners(
        paging: Paging, school: School = None, class_id: Class = None, withdrawn: Withdrawn = False
    ) -> Page[LearnerView]:
        """List learners in the order of their ids."""
        found = await queries.learners(school, class_id, withdrawn, _after(paging), paging.limit + 1)
        return _page(paging, found, lambda each: each.learner_id)

    @router.get("/learners/{learner_id}")
    async def show_learner(learner_id: UUID) -> LearnerDetail:
        """Show a learner's profile: where she belongs, and who said what of her likes, and when."""
        found = await queries.learner(learner_id)
        if found is None:
            raise NotFound("no roster named a learner with this id")
        return found

    @router.get("/staff")
    async def list_staff(paging: Paging, school: School = None, class_id: Class = None, withdrawn: Withdrawn = False) -> Page[StaffView]:
        """List staff in the order of their ids."""
        found = await queries.staff(school, class_id, withdrawn, _after(paging), paging.limit + 1)
        return _page(paging, found, lambda each: each.staff_id)

    @router.get("/schools")
    async def list_schools(paging: Paging) -> Page[SchoolView]:
        """List schools in the order of their ids."""
        found = await queries.schools(_after(paging), paging.limit + 1)
        return _page(paging, found, lambda each: each.school_id)

    @router.get("/schools/{school_id}/classes")
    async def list_classes(school_id: UUID, paging: Paging, withdrawn: Withdrawn = False) -> Page[ClassView]:
        """List the classes of a school in the order of their ids."""
        if await queries.school(school_id) is None:
            raise NotFound("no roster named a school with this id")
        found = await queries.classes(school_id, withdrawn, _after(paging), paging.limit + 1)
        return _page(paging, found, lambda each: each.class_id)

    return router


def _after(paging: PageAsked) -> UUID | None:
    """Return the id that a page begins after; None for the first."""
    after: UUID | None
    (after,) = paging.key(UUID) or (None,)
    return after


def _page(paging: PageAsked, found: list[V], id_of: Callable[[V], UUID]) -> Page[V]:
    return paging.page(found, lambda each: each, lambda each: [id_of(each)])
