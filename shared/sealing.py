"""Words of people about a learner, sealed before anything is done with them: by profile, which alone holds the learner's key.

This is the one question that a service asks another over HTTP, ahead of any transaction. A reason in a person's own words has to be sealed
under the learner's key, so that erasing that key erases the reason; were the key known elsewhere, so would be what it seals.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from httpx import AsyncClient, HTTPError, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.envelope import Sealed
from shared.errors import NotFound, Unavailable

MAX_WORDS: Final = 2_000
"""Characters of a reason in somebody's own words."""
LIMIT_S: Final = 5.0
"""For profile to answer."""
PROFILE: Final = (
    "profile, which seals words under the learner's key (CAIRN_PROFILE_URL says where it is; without `words` it is not needed),"
)

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_WORDS)]


class Use(StrEnum):
    """What words are for. They open for the same use only."""

    MASTERY_REASON = "mastery.reason"
    EVIDENCE_CAUSE = "evidence.cause"


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


class Sealer:
    """Asks profile to seal words."""

    def __init__(self, profile_url: str | None) -> None:
        self._url = profile_url
        self.client: AsyncClient | None = None
        """In place of one of its own; for tests."""

    async def seal(self, learner_id: UUID, words: str | Sealed | None, use: Use) -> Sealed | None:
        """Return words sealed under the learner's key; what is sealed already, and nothing, as it is.

        Raises:
            NotFound: profile knows no such learner.
            Unavailable: profile does not answer, or nobody said where it is.
        """
        if words is None or isinstance(words, Sealed):
            return words
        answer = await self._ask(f"/profile/learners/{learner_id}/sealed", ToSeal(use=use, words=words))
        if answer.status_code == 404:
            raise NotFound("no roster named a learner with this id, so there is no key to seal `words` under: leave them out")
        if answer.status_code != 200:
            raise Unavailable(PROFILE)
        return Sealed.model_validate_json(answer.content)

    async def _ask(self, path: str, asked: BaseModel) -> Response:
        try:
            if self.client is not None:
                return await self.client.post(path, json=asked.model_dump(mode="json"))
            if self._url is None:
                raise Unavailable(PROFILE)
            async with AsyncClient(base_url=self._url, timeout=LIMIT_S, trust_env=False) as client:
                return await client.post(path, json=asked.model_dump(mode="json"))
        except HTTPError:
            raise Unavailable(PROFILE) from None
