"""The keys of people and classes: each name, free text and class title is sealed under its own key, which lies here, wrapped under
the district key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg_pool import AsyncConnectionPool

from shared.contracts.envelope import Sealed
from shared.ledger.patience import connected
from shared.seal import new_key, unseal, unwrap, wrap

NAME: Final = "profile.name"
"""Context of a sealed name: the JSON array of given and family name."""
TITLE: Final = "profile.class-title"
"""Context of the sealed title of a class."""
WORDS: Final = "profile.words"
"""Context of the words in which somebody says what a learner likes."""

_READ: Final = "SELECT person_id, wrapped FROM person_key WHERE person_id = ANY(%s)"
_KEEP: Final = "INSERT INTO person_key (person_id, wrapped) SELECT * FROM unnest(%s::uuid[], %s::bytea[]) ON CONFLICT DO NOTHING"


class Keyring:
    """Reads the keys of people and classes, and makes those that are missing."""

    def __init__(self, pool: AsyncConnectionPool[Any], district_key: bytes) -> None:
        self._pool, self._master = pool, district_key

    async def of(self, people: Sequence[UUID]) -> dict[UUID, bytes]:
        """Return the keys of those who have one."""
        async with connected(self._pool) as connection:
            rows = await (await connection.execute(_READ, [list(people)])).fetchall()
        return await asyncio.to_thread(lambda: {person: unwrap(self._master, bytes(wrapped)) for person, wrapped in rows})

    async def ensure(self, people: Sequence[UUID]) -> dict[UUID, bytes]:
        """Return the keys of all of them. Missing ones are made and committed before anything is sealed under them; safe to repeat."""
        keys = await self.of(people)
        missing = [person for person in people if person not in keys]
        if missing:
            wrapped = await asyncio.to_thread(lambda: [wrap(self._master, new_key()) for _ in missing])
            async with connected(self._pool) as connection:
                await connection.execute(_KEEP, [missing, wrapped])
            keys |= await self.of(missing)  # Read again: another process may have been faster.
        return keys


def open_name(key: bytes | None, name: Sealed | None) -> tuple[str, str]:
    """Return given and family name; empty where they were erased or never told."""
    if key is None or name is None:
        return "", ""
    given, family = orjson.loads(unseal(key, name, NAME))
    return given, family


def open_title(key: bytes | None, title: Sealed | None) -> str:
    """Return the title of a class; empty where it was erased or never told."""
    return "" if key is None or title is None else unseal(key, title, TITLE)


def open_words(key: bytes | None, words: Sealed | None) -> str:
    """Return the author's own words; empty where they were erased or never said."""
    return "" if key is None or words is None else unseal(key, words, WORDS)
