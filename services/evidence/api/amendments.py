"""HTTP of amendments: who wants recorded evidence changed, and why. Until there is access control, the request says who."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from services.evidence.amending import AmendEvidence
from services.evidence.queries import Queries
from services.evidence.told import Malformed, share_of
from shared.contracts.evidence import Cause, EvidenceRescored, EvidenceVoided
from shared.errors import BadInput, Refused
from shared.http import Sent, events_of, router_of
from shared.parts import Context
from shared.sealing import SealedWords


def _of_a_person(cause: Cause) -> Cause:
    if cause is Cause.REGRADED:
        raise ValueError("that is what a source's own later grade says: give another cause")
    return cause


class Voiding(BaseModel):
    """Who wants evidence to count for nothing, and why."""

    model_config = ConfigDict(extra="forbid")

    author_id: UUID = Field(description="Pseudonymous id, as profile gives staff.")
    cause: Annotated[Cause, AfterValidator(_of_a_person)]
    words: SealedWords | None = Field(
        default=None,
        description="The cause in own words, as profile sealed them (`evidence.cause`) at /profile/learners/{learner_id}/sealed.",
    )


class Correcting(Voiding):
    """Who wants evidence to have another score, and why."""

    given: Annotated[StrictInt | StrictFloat, Field(description="What was reached. More than `max` counts as `max`.")]
    max: Annotated[StrictInt | StrictFloat, Field(description="What could be reached; above 0.")] = 1


class Amended(BaseModel):
    """What became of it."""

    act_id: UUID
    changed: bool = Field(description="False where it was so already.")
    event_id: UUID | None = Field(
        description="The event that keeps it for good, where it was so already, too; null where the act was told so."
    )


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of amendments."""
    router = router_of("evidence", "amendments")

    async def amended(act_id: UUID, kind: type[EvidenceRescored | EvidenceVoided], said: Voiding, **more: Any) -> Amended:
        act = await queries.act(act_id)
        if act.learner_id is None:
            raise Refused("not-recorded", f"this act waits ({act.reason}): it can be amended once it is recorded")
        told = kind(
            evidence_id=act_id, learner_id=act.learner_id, author_id=said.author_id, cause=said.cause, words=said.words,
            at=context.clock.now(), **more,
        )  # fmt: skip
        events = await events_of(context, [AmendEvidence(told)])
        if events:
            return Amended(act_id=act_id, changed=True, event_id=UUID(events[-1].id))
        kept = await queries.amendment(act_id, act.learner_id, kind is EvidenceVoided)
        return Amended(act_id=act_id, changed=False, event_id=kept)

    @router.post("/acts/{act_id}/correction")
    async def correct(act_id: UUID, said: Sent[Correcting]) -> Amended:
        """Give recorded evidence another score. What was told stays in the record; estimates are as if this score had been told."""
        try:
            share = share_of(said.given, said.max, "/given", "/max")
        except Malformed as malformed:
            raise BadInput(str(malformed.fault), [malformed.fault]) from None
        return await amended(act_id, EvidenceRescored, said, score_e6=share)

    @router.post("/acts/{act_id}/void")
    async def void(act_id: UUID, said: Sent[Voiding]) -> Amended:
        """Let recorded evidence count for nothing from now on. It stays in the record; estimates are as if it had never been."""
        return await amended(act_id, EvidenceVoided, said)

    return router
