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
from shared.seal import Unreadable, new_key, unseal, unwrap, wrap

NAME: Final = "profile.name"
"""Context of a sealed name: the JSON array of given and family name."""
TITLE: Final = "profile.class-title"
"""Context of the sealed title of a class."""
WORDS: Final = "profile.words"
"""Context of the words in which somebody says what a learner likes."""

_READ: Final = """
    SELECT k.person_id, k.wrapped, k.erasures > 0 FROM person_key k LEFT JOIN erasure e ON e.learner_id = k.person_id
    WHERE k.person_id = ANY(%s) AND k.erasures >= coalesce(e.version, 0)"""
"""A key that an erasure is to destroy opens nothing, also where it lies there still."""
_KEEP: Final = """
    INSERT INTO person_key (person_id, wrapped, erasures)
    SELECT new.person_id, new.wrapped, coalesce(e.version, 0)
    FROM unnest(%s::uuid[], %s::bytea[]) AS new(person_id, wrapped) LEFT JOIN erasure e ON e.learner_id = new.person_id
    WHERE e.erased IS NOT TRUE ON CONFLICT DO NOTHING"""
_DESTROY: Final = "SELECT destroy_erased_keys()"


class FreshKey(bytes):
    """The key of one who was erased before it was made: what was sealed until then is gone for good, and no fault."""


class Keyring:
    """Reads the keys of people and classes, makes those that are missing, and destroys those of whoever is erased."""

    def __init__(self, pool: AsyncConnectionPool[Any], district_key: bytes) -> None:
        self._pool, self._master = pool, district_key

    async def of(self, people: Sequence[UUID]) -> dict[UUID, bytes]:
        """Return the keys of those who have one."""
        async with connected(self._pool) as connection:
            rows = await (await connection.execute(_READ, [list(people)])).fetchall()
        return await asyncio.to_thread(lambda: {person: self._unwrapped(bytes(wrapped), fresh) for person, wrapped, fresh in rows})

    def _unwrapped(self, wrapped: bytes, fresh: bool) -> bytes:
        key = unwrap(self._master, wrapped)
        return FreshKey(key) if fresh else key

    async def ensure(self, people: Sequence[UUID]) -> dict[UUID, bytes]:
        """Return the keys of all of them but of those who are erased. Missing ones are made and committed before anything is sealed under
        them; safe to repeat."""
        keys = await self.of(people)
        missing = [person for person in people if person not in keys]
        if missing:
            wrapped = await asyncio.to_thread(lambda: [wrap(self._master, new_key()) for _ in missing])
            async with connected(self._pool) as connection:
                await connection.execute(_DESTROY)  # One that an erasure has left would stand in the way of a fresh one.
                await connection.execute(_KEEP, [missing, wrapped])
            keys |= await self.of(missing)  # Read again: another process may have been faster.
        return keys

    async def destroy_erased(self) -> int:
        """Destroy every key that the record says is to be, and return how many there were; safe to repeat."""
        async with connected(self._pool) as connection:
            row = await (await connection.execute(_DESTROY)).fetchone()
            return int(row[0]) if row else 0


def open_name(key: bytes | None, name: Sealed | None) -> tuple[str, str]:
    """Return given and family name; empty where they were erased or never told."""
    text = _opened(key, name, NAME)
    if not text:
        return "", ""
    given, family = orjson.loads(text)
    return given, family


def open_title(key: bytes | None, title: Sealed | None) -> str:
    """Return the title of a class; empty where it was erased or never told."""
    return _opened(key, title, TITLE)


def open_words(key: bytes | None, words: Sealed | None) -> str:
    """Return the author's own words; empty where they were erased or never said."""
    return _opened(key, words, WORDS)


def _opened(key: bytes | None, sealed: Sealed | None, context: str) -> str:
    """Return the text.

    Raises:
        Unreadable: it was changed since, or its key is another one, and no erasure is why.
    """
    if key is None or sealed is None:
        return ""
    try:
        return unseal(key, sealed, context)
    except Unreadable:
        if isinstance(key, FreshKey):
            return ""
        raise
