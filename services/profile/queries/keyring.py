"""The keys of people and classes: each name, free text and class title is sealed under its own key, which lies here, wrapped under
the district key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import Enum
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson
import structlog
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
MOST_LOGGED: Final = 1_000
"""Owners of damaged and lost keys that are logged: more are an installation that lost its table of keys."""

_READ: Final = """
    SELECT k.person_id, k.wrapped, k.erasures > 0 FROM person_key k LEFT JOIN erasure e ON e.learner_id = k.person_id
    WHERE k.person_id = ANY(%s) AND k.erasures >= coalesce(e.version, 0)"""
"""A key that an erasure is to destroy opens nothing, also where it lies there still."""
_LOST: Final = """
    SELECT DISTINCT told.id FROM (
        SELECT p.id, min(v.recorded_at) > coalesce(e.since, '-infinity') AS lost
        FROM unnest(%s::uuid[]) AS p(id)
        LEFT JOIN erasure e ON e.learner_id = p.id
        LEFT JOIN person_key k ON k.person_id = p.id AND k.erasures >= coalesce(e.version, 0)
        JOIN event v ON v.stream = ('profile/learner/' || p.id) COLLATE "C"
        CROSS JOIN LATERAL jsonb_each(convert_from(v.bytes, 'UTF8')::jsonb->'data') AS text
        WHERE e.erased IS NOT TRUE AND k.person_id IS NULL AND text.key IN ('name', 'words')
        GROUP BY p.id, e.since, text.value->>'cipher') told
    WHERE told.lost"""
"""Learners without a key of whom the record holds sealed texts that no erasure is behind. Of a text its first time counts: who is
withdrawn is told again as she stood. In one statement, since a key is there before anything is recorded under it."""
_GONE: Final = """
    SELECT e.learner_id, array_agg(DISTINCT text.value->>'cipher') FROM erasure e
    JOIN event v ON v.stream = ('profile/learner/' || e.learner_id) COLLATE "C" AND v.recorded_at <= e.since
    CROSS JOIN LATERAL jsonb_each(convert_from(v.bytes, 'UTF8')::jsonb->'data') AS text
    WHERE e.learner_id = ANY(%s) AND text.key IN ('name', 'words') GROUP BY e.learner_id"""
"""What the record held sealed about learners when their erasures were lifted."""
_KEEP: Final = """
    INSERT INTO person_key (person_id, wrapped, erasures)
    SELECT new.person_id, new.wrapped, coalesce(e.version, 0)
    FROM unnest(%s::uuid[], %s::bytea[]) AS new(person_id, wrapped) LEFT JOIN erasure e ON e.learner_id = new.person_id
    WHERE e.erased IS NOT TRUE ORDER BY new.person_id ON CONFLICT DO NOTHING"""
_DESTROY: Final = "SELECT destroy_erased_keys()"
_PUT_BACK: Final = "put its row of the table person_key back from a backup of profile's database: see docs/erasure.md"

log = structlog.get_logger(__name__)


class Damage(Enum):
    """Why something cannot be read though nobody erased it: a stable word, what is wrong, and what to do."""

    KEY_MISSING = (
        "key-missing",
        "the key that this is sealed under is not there, and no erasure destroyed it",
        _PUT_BACK,
    )
    KEY_DAMAGED = (
        "key-damaged",
        "the key that this is sealed under does not open with the district key; nobody erased it",
        _PUT_BACK,
    )
    TEXT_DAMAGED = (
        "text-damaged",
        "this does not open with its key: it was changed, or the key is another one",
        "make the read table anew with `cairn rebuild`; if that does not help, look for its key in a backup: see docs/erasure.md",
    )

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        self.code, self.detail, self.remedy = code, detail, remedy


Key: TypeAlias = bytes | Damage
"""A key, or what is wrong with it."""


class FreshKey(bytes):
    """The key of one who was erased before it was made: what was sealed until then is gone for good, and no fault."""

    gone: Set[str]
    """Ciphers of all that was sealed until then."""

    def __new__(cls, key: bytes, gone: Iterable[str]) -> FreshKey:
        """Take a key."""
        made = super().__new__(cls, key)
        made.gone = frozenset(gone)
        return made


class Keyring:
    """Reads the keys of people and classes, makes those that are missing, and destroys those of whoever is erased."""

    def __init__(self, pool: AsyncConnectionPool[Any], district_key: bytes) -> None:
        self._pool, self._master = pool, district_key
        self._logged: set[UUID] = set()

    async def of(self, people: Sequence[UUID]) -> dict[UUID, Key]:
        """Return the keys of those who have one, or what is wrong with it. A learner has none while she is erased, or before anything was
        sealed; the key of a class or of staff that was lost is as one that never was: the next roster tells anew all that was sealed."""
        async with connected(self._pool) as connection:
            rows = await (await connection.execute(_READ, [list(people)])).fetchall()
            without = list(set(people).difference(row[0] for row in rows))
            lost = await (await connection.execute(_LOST, [without])).fetchall() if without else []
            fresh = [person for person, _, is_fresh in rows if is_fresh]
            gone = await (await connection.execute(_GONE, [fresh])).fetchall() if fresh else []
        before = dict.fromkeys(fresh, ()) | dict(gone)
        keys = await asyncio.to_thread(lambda: {person: self._unwrapped(bytes(wrapped), before.get(person)) for person, wrapped, _ in rows})
        keys |= dict.fromkeys((person for (person,) in lost), Damage.KEY_MISSING)
        self._log(keys)
        return keys

    def _unwrapped(self, wrapped: bytes, gone: Sequence[str] | None) -> Key:
        """Return a key; `gone` are the ciphers of all that was sealed before its owner was erased, None where she never was."""
        try:
            key = unwrap(self._master, wrapped)
        except Unreadable:
            return Damage.KEY_DAMAGED
        return key if gone is None else FreshKey(key, gone)

    def _log(self, keys: Mapping[UUID, Key]) -> None:
        """Log once whose keys are damaged or lost, for as long as the process runs."""
        for owner, key in keys.items():
            if isinstance(key, Damage) and owner not in self._logged and len(self._logged) < MOST_LOGGED:
                self._logged.add(owner)
                log.error(key.detail, owner=str(owner), code=key.code, remedy=key.remedy)

    async def ensure(self, people: Sequence[UUID]) -> dict[UUID, Key]:
        """Return the keys of all of them but of those who are erased, or what is wrong with them. Whoever never had one gets one, committed
        before anything is sealed under it; a learner whose key was lost gets none, or what was sealed could never be read again. Safe to
        repeat."""
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


def open_name(key: Key | None, name: Sealed | None) -> tuple[str, str] | Damage:
    """Return given and family name; empty where they were erased or never told."""
    text = _opened(key, name, NAME)
    if isinstance(text, Damage):
        return text
    given, family = orjson.loads(text) if text else ("", "")
    return given, family


def open_title(key: Key | None, title: Sealed | None) -> str | Damage:
    """Return the title of a class; empty where it was erased or never told."""
    return _opened(key, title, TITLE)


def open_words(key: Key | None, words: Sealed | None) -> str | Damage:
    """Return the author's own words; empty where they were erased or never said."""
    return _opened(key, words, WORDS)


def _opened(key: Key | None, sealed: Sealed | None, context: str) -> str | Damage:
    """Return the text, or why it does not open though no erasure is why."""
    if key is None or sealed is None:
        return ""
    if isinstance(key, Damage):
        return key
    try:
        return unseal(key, sealed, context)
    except Unreadable:
        return "" if isinstance(key, FreshKey) and sealed.cipher in key.gone else Damage.TEXT_DAMAGED
