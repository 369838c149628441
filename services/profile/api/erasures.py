"""Erasing a learner: recorded first, then her key is destroyed; and the list of whoever is erased."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.profile.erasure import EraseLearner, LiftErasure
from services.profile.queries import ErasureView, Keyring, Queries
from shared.contracts.profile import REFERENCE, Asker, ErasureGround, ErasureLifted, LearnerErased, LiftGround
from shared.errors import NotFound
from shared.http import LAST_ID, NEVER, Page, Paging, Sent, events_of, router_of
from shared.parts import Context

Reference = Annotated[
    str,
    Field(
        pattern=REFERENCE,
        description="Number of the request in the district's own files, such as `DSR-2026-0114`: at most four letters, then digits. Never "
        "a name, a date of birth or a learner's number.",
    ),
]


class ToErase(BaseModel):
    """Who asks that a learner be erased, and why."""

    model_config = ConfigDict(extra="forbid")

    asked_by: Asker
    why: ErasureGround
    reference: Reference = ""


class ToLift(BaseModel):
    """Who asks that a learner may be named again, and why."""

    model_config = ConfigDict(extra="forbid")

    asked_by: Asker
    why: LiftGround
    reference: Reference = ""


class Erased(BaseModel):
    """What an erasure did, and what remains."""

    learner_id: UUID
    erased_at: datetime
    recorded: bool = Field(description="False where she was erased already.")
    keys_destroyed: int = Field(description="By this request: hers, and those that an earlier erasure had left.")
    names: int = Field(description="Sealed forms of her name in profile's record, which nobody can open any more.")
    words: int = Field(description="Statements in profile's record whose words nobody can open any more.")
    on_roster: bool = Field(description="Whether the roster names her: each import says so until her SIS leaves her out.")


class Lifted(BaseModel):
    """Whether a learner may be named again because of this."""

    learner_id: UUID
    recorded: bool = Field(description="False where she was not erased.")


def routes(context: Context, queries: Queries, keyring: Keyring) -> APIRouter:
    """Return the routes for erasures."""
    router = router_of("profile", "erasure")

    @router.post("/learners/{learner_id}/erasure")
    async def erase_learner(learner_id: UUID, asked: Sent[ToErase]) -> Erased:
        """Make a learner's name, and all words that anybody said about her, unreadable for good, wherever they lie: her key is destroyed.

        What was decided about her stays, under an id that names nobody. May be repeated: once is as good as twice. Where the service ends
        between the record and the key, it destroys the key when it runs again; nobody can use it meanwhile.
        """
        learner = await queries.learner(learner_id)
        before = await queries.erasure(learner_id)
        if learner is None and before is None:
            raise _nobody()
        told = LearnerErased(learner_id=learner_id, asked_by=asked.asked_by, why=asked.why, reference=asked.reference)
        recorded = await events_of(context, [EraseLearner(told)])
        destroyed = await keyring.destroy_erased()
        now, sealed = await queries.erasure(learner_id), await queries.sealings(learner_id)
        assert now is not None, "it was recorded"
        return Erased(
            learner_id=learner_id, erased_at=now.since, recorded=bool(recorded), keys_destroyed=destroyed, names=sealed.names,
            words=sealed.words, on_roster=learner is not None and learner.active,
        )  # fmt: skip

    @router.post("/learners/{learner_id}/erasure/lifted")
    async def lift_erasure(learner_id: UUID, asked: Sent[ToLift]) -> Lifted:
        """Let a learner who was erased be named again: the next roster that names her brings her name, under a fresh key.

        What was erased stays unreadable. May be repeated.
        """
        if await queries.erasure(learner_id) is None and await queries.learner(learner_id) is None:
            raise _nobody()
        told = ErasureLifted(learner_id=learner_id, asked_by=asked.asked_by, why=asked.why, reference=asked.reference)
        return Lifted(learner_id=learner_id, recorded=bool(await events_of(context, [LiftErasure(told)])))

    @router.get("/erasures")
    async def list_erasures(paging: Paging) -> Page[ErasureView]:
        """List the learners who are erased, or were and may be named again, the latest first."""
        at, id = paging.behind(NEVER, LAST_ID)
        found = await queries.erasures((at, id), paging.most)
        return paging.page(found, lambda each: [each.since, each.learner_id])

    return router


def _nobody() -> NotFound:
    return NotFound("no roster named a learner with this id: ids are listed by GET /profile/learners?withdrawn=true")
