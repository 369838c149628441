"""How things get their ids: derived, never drawn, so that deriving twice gives the same id. The forms here are stored for ever; pure.

The district key (32 bytes) makes the ids of people unguessable to whoever does not hold it. It is never rotated, and is backed up apart:
with another key the same person would be someone else.
"""

from __future__ import annotations

import hmac
import re
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid5

from shared.contracts.envelope import NAMESPACE, canonical
from shared.errors import Misconfigured

KEY_BYTES: Final = 32
MAX_IRI: Final = 2_048
"""Bytes in UTF-8, which an index of PostgreSQL still takes; what is longer is no IRI."""
GUID_LENGTH: Final = 36
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f<>\"{}|\\^`]+")
_UUID_VERSION: Final = 8  # RFC 9562: the version for ids whose content the maker defines.


def key_from(text: str, variable: str = "CAIRN_DISTRICT_KEY") -> bytes:
    """Return the 32 bytes of a key given as 64 hex digits in an environment variable.

    Raises:
        Misconfigured: it has another length or other characters. The message does not repeat the key.
    """
    remedy = (
        "take the one that this installation was made with; only for a new installation make one with `openssl rand -hex 32`, "
        "and keep a copy apart from the database"
    )
    text = text.strip()
    if not text:
        raise Misconfigured(f"{variable} is not set: {remedy}")
    if len(text) != 2 * KEY_BYTES:
        raise Misconfigured(f"{variable} has {len(text)} characters instead of {2 * KEY_BYTES} hex digits: {remedy}")
    if not all(character in "0123456789abcdefABCDEF" for character in text):
        raise Misconfigured(f"{variable} holds characters that are no hex digits: {remedy}")
    return bytes.fromhex(text)


def check_value(key: bytes) -> bytes:
    """Return 32 bytes that are the same for the same key only, and tell nothing of it: by them a database knows its keys again."""
    return _mac(key, ["cairn.check.1"])


def alias_of(district_key: bytes, source: str, source_id: str) -> str:
    """Return the alias of a person: 64 hex digits for what another system (`source`) calls `source_id`. One person may have several."""
    return _mac(district_key, [source, source_id]).hex()


def is_iri(text: str) -> bool:
    """Return whether a text has the form of an absolute IRI.

    >>> is_iri("urn:uuid:1"), is_iri("https://lms.example/users/1"), is_iri("s-17"), is_iri("no: spaces")
    (True, True, False, False)
    """
    return len(text.encode()) <= MAX_IRI and _IRI.fullmatch(text) is not None


def person_alias(district_key: bytes, source: str, named: str) -> str:
    """Return the alias of a person whom `source` names so.

    An absolute IRI names its system itself, whatever `source` says: without `/` and `:` at its end it is split behind the last of them,
    and hashed as [what comes before, last part]. Any other id is hashed as [source, id]. So the same id in two systems is two aliases.

    >>> key, lms = bytes(32), "https://lms.example/users/"
    >>> person_alias(key, "sis", "17") == alias_of(key, "sis", "17")
    True
    >>> person_alias(key, "sis", lms + "17") == person_alias(key, lms, "17") == alias_of(key, lms, "17")
    True
    >>> person_alias(key, "", "urn:sis:person:17") == alias_of(key, "urn:sis:person:", "17")
    True
    >>> len({person_alias(key, "sis", named) for named in ("17", lms + "17", "https://other.example/u/17")})
    3
    """
    if not is_iri(named):
        return alias_of(district_key, source, named)
    whole = named.rstrip("/:")
    last = re.split("[/:]", whole)[-1]
    return alias_of(district_key, whole.removesuffix(last), last)


def learner_id_of(district_key: bytes, first_alias: str) -> UUID:
    """Return the pseudonymous id of a learner, from the first alias by which the district heard of them."""
    return _person(district_key, "learner", first_alias)


def staff_id_of(district_key: bytes, first_alias: str) -> UUID:
    """Return the pseudonymous id of a member of staff; the same alias as a learner's gives another id."""
    return _person(district_key, "staff", first_alias)


def act_id_of(source: str, source_id: str) -> UUID:
    """Return the id of an act of evidence that `source` calls `source_id`."""
    return uuid5(NAMESPACE, canonical([source, source_id]).decode())


def school_id_of(source: str, source_id: str) -> UUID:
    """Return the id of a school that `source` calls `source_id`."""
    return uuid5(NAMESPACE, canonical(["school", source, source_id]).decode())


def class_id_of(source: str, source_id: str) -> UUID:
    """Return the id of a class that `source` calls `source_id`."""
    return uuid5(NAMESPACE, canonical(["class", source, source_id]).decode())


@lru_cache(maxsize=20_000)  # Items come again and again; a district has about so many.
def item_id_of(iri: str) -> UUID:
    """Return the id of an assessment item, from its IRI as sent."""
    return uuid5(NAMESPACE, canonical(["item", iri]).decode())


def guid_of(value: Any) -> str:
    """Return a GUID in lower case, empty where the value is none.

    >>> guid_of("D0000000-0000-4000-8000-000000000000"), guid_of("5.NF.1"), guid_of(None)
    ('d0000000-0000-4000-8000-000000000000', '', '')
    """
    try:
        return str(UUID(value)) if isinstance(value, str) and len(value) == GUID_LENGTH else ""
    except ValueError:
        return ""


def competency_id_of(named: str) -> str:
    """Return the id of a competency that somebody names: a GUID as frameworks are read, also one that ends an IRI as in CASE; else as sent.

    >>> competency_id_of("https://case.example/ims/case/v1p0/CFItems/D0000000-0000-4000-8000-000000000000")
    'd0000000-0000-4000-8000-000000000000'
    >>> competency_id_of("D0000000-0000-4000-8000-000000000000"), competency_id_of("5.NF.1")
    ('d0000000-0000-4000-8000-000000000000', '5.NF.1')
    """
    start = max(0, len(named) - GUID_LENGTH)
    ends_iri = named[:start].endswith(("/", ":")) and is_iri(named)
    return (guid_of(named[start:]) if start == 0 or ends_iri else "") or named


def _mac(key: bytes, value: list[str]) -> bytes:
    if len(key) != KEY_BYTES:
        raise Misconfigured(f"the key has {len(key)} bytes instead of {KEY_BYTES}: take it from `key_from`")
    return hmac.digest(key, canonical(value), sha256)


def _person(district_key: bytes, role: str, first_alias: str) -> UUID:
    """Return 16 bytes of a keyed hash as a UUID: version 8, variant as in RFC 9562."""
    number = int.from_bytes(_mac(district_key, [role, first_alias])[:16], "big")
    number = number & ~(0xF << 76) | _UUID_VERSION << 76
    return UUID(int=number & ~(0b11 << 62) | 0b10 << 62)
