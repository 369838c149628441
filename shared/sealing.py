"""Words of people about a learner, as services other than profile take them: sealed under the learner's key, which profile alone holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from shared.contracts.envelope import Sealed
from shared.seal import is_cipher


class Use(StrEnum):
    """What words are for. They open for the same use only."""

    MASTERY_REASON = "mastery.reason"
    EVIDENCE_CAUSE = "evidence.cause"


def _never_in_clear(words: Any) -> Any:
    if isinstance(words, str) or (isinstance(words, Sealed) and not is_cipher(words.cipher)):
        raise PydanticCustomError("in_clear", "words in clear, which may name a child and could not be erased with her key")
    return words


SealedWords = Annotated[Sealed, BeforeValidator(_never_in_clear), AfterValidator(_never_in_clear)]
"""What `POST /profile/learners/{id}/sealed` answered. Text in clear is refused, and the fault says who seals it."""
