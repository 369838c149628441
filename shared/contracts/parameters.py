"""How a parameter set travels: page by page, then one event that adopts it. The set's id is the hash of its content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from shared.contracts.envelope import PLACE, Event, Hash, digest


class ParameterPageAdded(Event):
    """A page of some parameter set is now part of the record. Each service has its own subclass."""

    content: Any = Field(description="Canonical JSON without floats, at most 192 KiB.")


class ParameterSetAdopted(Event):
    """A set is in force from now on, in place of the one of the same kind before it. Each kind has its own subclass."""

    KIND: ClassVar[str]
    set_id: Hash
    pages: tuple[Hash, ...] = Field(description="Hashes of the pages, in order.")


class ParameterSetNoted(ParameterSetAdopted):
    """A set that another service put in force, as it was heard; it is in force here, too, until a newer one is heard."""

    version: int = Field(default=0, ge=0, description=f"{PLACE} 0 where that was not noted yet.")


def set_id_of(kind: str, pages: Sequence[str]) -> str:
    """Return the id of the set of this kind with these page hashes."""
    return digest(f"cairn.parameters.1\n{kind}\n{chr(10).join(pages)}".encode())
