"""Saying what a learner likes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.profile.api.words import MAX_WORDS, key_of
from services.profile.domain import LearnerState, StatePreferences
from services.profile.queries import WORDS, Keyring, Queries
from shared.clock import behind
from shared.contracts.envelope import StreamId
from shared.contracts.profile import Area, Modality, PreferencesStated, Role
from shared.errors import NotFound
from shared.http import Sent, events_of, router_of
from shared.parts import Context
from shared.seal import seal


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a word stands twice: name each once, most wanted first")
    return values


class PreferencesIn(BaseModel):
    """What somebody says of a learner's likes, in place of what the same author said before."""

    model_config = ConfigDict(extra="forbid")

    author_id: UUID = Field(description="Who says it: the learner, or another person's id.")
    role: Role
    areas: Annotated[tuple[Area, ...], AfterValidator(_once)] = Field(default=(), description="Broad interests, most wanted first.")
    modalities: Annotated[tuple[Modality, ...], AfterValidator(_once)] = Field(default=(), description="Preferred, most wanted first.")
    avoided: Annotated[tuple[Modality, ...], AfterValidator(_once)] = Field(default=(), description="To be avoided where possible.")
    words: str = Field(default="", max_length=MAX_WORDS, description="In her own words; kept sealed.")

    @model_validator(mode="after")
    def _not_both(self) -> PreferencesIn:
        if set(self.modalities) & set(self.avoided):
            raise ValueError("a modality is both preferred and avoided: say one of them")
        return self


class Stated(BaseModel):
    """Whether it was news."""

    recorded: bool = Field(description="False where the same author said the same last.")


def routes(context: Context, queries: Queries, keyring: Keyring) -> APIRouter:
    """Return the route for preferences."""
    router = router_of("profile", "preferences")

    @router.post("/learners/{learner_id}/preferences")
    async def state_preferences(learner_id: UUID, said: Sent[PreferencesIn]) -> Stated:
        """Say what a learner likes and how she learns best. Each author's latest statement stands beside the others'.

        May be repeated: an author who says the same again adds nothing.
        """
        if await queries.learner(learner_id) is None:
            raise NotFound("no roster named a learner with this id")
        stated_at = await _stated_at(context, learner_id, said.author_id)
        words = seal(await key_of(keyring, learner_id), said.words, WORDS) if said.words else None
        stated = PreferencesStated(
            learner_id=learner_id,
            author_id=said.author_id,
            role=said.role,
            stated_at=stated_at,
            areas=said.areas,
            modalities=said.modalities,
            avoided=said.avoided,
            words=words,
        )
        return Stated(recorded=bool(await events_of(context, [StatePreferences(stated)])))

    return router


async def _stated_at(context: Context, learner_id: UUID, author_id: UUID) -> datetime:
    """Return the present instant, or one behind the author's latest statement."""
    state: LearnerState = await context.asker.state(StreamId("profile", "learner", str(learner_id)))
    before = state.statements.get(author_id)
    return behind(before.at if before else None, context.clock.now())
