"""Words of people about a learner, as services other than profile take them: sealed under the learner's key, which profile alone holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from shared.contracts.envelope import Sealed
from shared.seal import is_cipher


class Use(StrEnum):
    """What words are for. They open for the same use only."""

    MASTERY_REASON = "mastery.reason"
    EVIDENCE_CAUSE = "evidence.cause"


MAX_CIPHER: Final = 12_000
"""Characters of sealed words: the 2,000 that profile seals at most have fewer. A decision may hold several."""


def _never_in_clear(words: Any) -> Any:
    if isinstance(words, str) or (isinstance(words, Sealed) and not is_cipher(words.cipher)):
        raise PydanticCustomError("in_clear", "words in clear, which may name a child and could not be erased with her key")
    if isinstance(words, Sealed) and len(words.cipher) > MAX_CIPHER:
        raise PydanticCustomError("too_long", "more words than are sealed for anybody")
    return words


SealedWords = Annotated[Sealed, BeforeValidator(_never_in_clear), AfterValidator(_never_in_clear)]
"""What `POST /profile/learners/{id}/sealed` answered. Text in clear is refused, and the fault says who seals it."""
