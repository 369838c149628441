"""Words about a learner that other services keep: sealed here, and opened here."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.profile.queries import Damage, FreshKey, Key, Keyring, Queries
from shared.contracts.envelope import Sealed
from shared.errors import BadInput, Fault, NotFound, Refused
from shared.http import Sent, router_of
from shared.seal import Unreadable, seal, unseal
from shared.sealing import Use

MAX_WORDS: Final = 2_000
"""Characters of what somebody says in own words."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_WORDS)]


class ToSeal(BaseModel):
    """Words to be sealed under a learner's key."""

    model_config = ConfigDict(extra="forbid")

    use: Use
    words: Words


class ToOpen(BaseModel):
    """Words to be read again."""

    model_config = ConfigDict(extra="forbid")

    use: Use
    sealed: Sealed


class Opened(BaseModel):
    """Words as they were said."""

    words: str = Field(description="In clear: for whoever may read the learner's profile.")


async def key_of(keyring: Keyring, learner_id: UUID) -> bytes:
    """Return the key to seal words about a learner with.

    Raises:
        Refused: she is erased, or her key is damaged or lost.
    """
    keys = await keyring.ensure([learner_id])
    if learner_id not in keys:
        raise Refused("erased", "this learner was erased, and no words about her are kept: send the rest without them")
    return _whole(keys[learner_id])


def _whole(key: Key) -> bytes:
    if isinstance(key, Damage):
        raise Refused(key.code, f"{key.detail}: {key.remedy}; send this again then, and nothing is lost")
    return key


def routes(queries: Queries, keyring: Keyring) -> APIRouter:
    """Return the routes that seal and open words."""
    router = router_of("profile", "words")

    @router.post("/learners/{learner_id}/sealed")
    async def seal_words(learner_id: UUID, asked: Sent[ToSeal]) -> Sealed:
        """Seal words about a learner under her key, for another service to keep. Nothing is kept here. The same words give another cipher
        each time, and the same `mac`."""
        if await queries.learner(learner_id) is None:
            raise NotFound("no roster named a learner with this id")
        return seal(await key_of(keyring, learner_id), asked.words, asked.use)

    @router.post("/learners/{learner_id}/opened")
    async def open_words(learner_id: UUID, asked: Sent[ToOpen]) -> Opened:
        """Open words about a learner that were sealed for this use."""
        keys = await keyring.of([learner_id])
        try:
            if learner_id not in keys:
                raise NotFound("there is no key of this learner: nothing was sealed under it, or it was destroyed, and the words with it")
            return Opened(words=unseal(_whole(keys[learner_id]), asked.sealed, asked.use))
        except Unreadable:
            if isinstance(keys[learner_id], FreshKey):
                raise NotFound(
                    "this does not open with her key: it was sealed under the former one, and destroyed with it when she was erased; or it "
                    "is for another use, or was changed since"
                ) from None
            fault = Fault(
                "/sealed", "unreadable", "sealed under another key or for another use, or changed since", "send it as it was told"
            )
            raise BadInput(str(fault), [fault]) from None

    return router
