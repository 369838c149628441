"""Routes that read people and places."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query

from services.profile.queries import ClassView, LearnerDetail, LearnerView, Queries, SchoolView, StaffView
from shared.errors import NotFound
from shared.http import FIRST_ID, Page, Paging, problem_responses, router_of

School = Annotated[UUID | None, Query(description="Of this school only.")]
Class = Annotated[UUID | None, Query(alias="class", description="Of this class only.")]
_NO_SCHOOL: Final = "no roster named a school with this id"
Withdrawn = Annotated[bool, Query(description="Also those whom the roster no longer names.")]


def routes(queries: Queries) -> APIRouter:
    """Return the routes for reading."""
    router = router_of("profile", "people and places")

    async def refuse_unknown(school: UUID | None, class_id: UUID | None) -> None:
        """Raise `NotFound` where no roster named what a list is to be of."""
        if school is not None and await queries.school(school) is None:
            raise NotFound(_NO_SCHOOL)
        if class_id is not None and not await queries.has_class(class_id):
            raise NotFound("no roster named a class with this id")

    @router.get("/learners", responses=problem_responses(404))
    async def list_learners(
        paging: Paging, school: School = None, class_id: Class = None, withdrawn: Withdrawn = False
    ) -> Page[LearnerView]:
        """List learners in the order of their ids."""
        (after,) = paging.behind(FIRST_ID)
        await refuse_unknown(school, class_id)
        found = await queries.learners(school, class_id, withdrawn, after, paging.most)
        return paging.page(found, lambda each: [each.learner_id])

    @router.get("/learners/{learner_id}")
    async def show_learner(learner_id: UUID) -> LearnerDetail:
        """Show a learner's profile: where she belongs, and who said what of her likes, and when."""
        found = await queries.learner(learner_id)
        if found is None:
            raise NotFound("no roster named a learner with this id")
        return found

    @router.get("/staff", responses=problem_responses(404))
    async def list_staff(paging: Paging, school: School = None, class_id: Class = None, withdrawn: Withdrawn = False) -> Page[StaffView]:
        """List staff in the order of their ids."""
        (after,) = paging.behind(FIRST_ID)
        await refuse_unknown(school, class_id)
        found = await queries.staff(school, class_id, withdrawn, after, paging.most)
        return paging.page(found, lambda each: [each.staff_id])

    @router.get("/schools")
    async def list_schools(paging: Paging) -> Page[SchoolView]:
        """List schools in the order of their ids."""
        (after,) = paging.behind(FIRST_ID)
        return paging.page(await queries.schools(after, paging.most), lambda each: [each.school_id])

    @router.get("/schools/{school_id}/classes")
    async def list_classes(school_id: UUID, paging: Paging, withdrawn: Withdrawn = False) -> Page[ClassView]:
        """List the classes of a school in the order of their ids."""
        if await queries.school(school_id) is None:
            raise NotFound(_NO_SCHOOL)
        (after,) = paging.behind(FIRST_ID)
        found = await queries.classes(school_id, withdrawn, after, paging.most)
        return paging.page(found, lambda each: [each.class_id])

    return router
