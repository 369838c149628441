"""Personal text, sealed by the edge before it enters a command: readable with the person's key alone, comparable without it.

A key seals with AES-256-GCM and, derived from it for the other purpose, makes the HMAC by which deciders see whether a text changed.
Destroying the key erases the text wherever its ciphertext lies.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.contracts.envelope import Sealed, canonical
from shared.errors import CairnError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""Drawn for each text: with 96 random bits a key may seal 2^32 texts (NIST SP 800-38D, 8.3); a person has some dozens."""
TAG_BYTES: Final = 16
_WRAP: Final = b"cairn.wrap.1"
_PARK: Final = b"cairn.park.1"


class Unreadable(CairnError):
    """A sealed text does not open: another key, another context, or changed bytes. The message holds none of them."""


def new_key() -> bytes:
    """Return a fresh key of 32 bytes for one person. For edges only: it is drawn at random."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, text: str, context: str) -> Sealed:
    """Return the text sealed under a person's key. For edges only: sealing twice gives other ciphertext and the same `mac`.

    Args:
        key: of the person, 32 bytes.
        text: any valid Unicode.
        context: what the text is, such as `profile.given_name`; it opens with the same one only, so a text cannot be moved elsewhere.

    Raises:
        UnicodeEncodeError: the text holds a lone surrogate; edges refuse those before.
    """
    cipher = _encrypt(_key_for(key, b"cairn.seal.1"), text.encode(), context.encode())
    mac = hmac.digest(_key_for(key, b"cairn.mac.1"), canonical([context, text]), sha256)
    return Sealed(cipher=base64.b64encode(cipher).decode(), mac=mac.hex())


def unseal(key: bytes, sealed: Sealed, context: str) -> str:
    """Return the text again.

    Raises:
        Unreadable: it was sealed with another key or context, or changed since.
    """
    try:
        cipher = base64.b64decode(sealed.cipher, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable(f"sealed text of {context} is no base64") from None
    return _decrypt(_key_for(key, b"cairn.seal.1"), cipher, context.encode(), f"sealed text of {context}").decode()


def is_cipher(text: str) -> bool:
    """Return whether a text has the form of what `seal` makes; what words look like has not. Only the key tells whether it opens."""
    try:
        return len(base64.b64decode(text, validate=True)) > TAG_BYTES
    except (binascii.Error, ValueError):
        return False


def same(one: Sealed, other: Sealed) -> bool:
    """Return whether both hold the same text in the same context under the same key, without opening them."""
    return hmac.compare_digest(one.mac, other.mac)


def wrap(master: bytes, key: bytes) -> bytes:
    """Return a person's key encrypted under the district key, as profile keeps it in its table."""
    return _encrypt(_key_for(master, _WRAP), key, _WRAP)


def unwrap(master: bytes, wrapped: bytes) -> bytes:
    """Return a person's key from the form in which profile keeps it.

    Raises:
        Unreadable: it was wrapped under another district key, or changed since.
    """
    return _decrypt(_key_for(master, _WRAP), wrapped, _WRAP, "a person's key")


def seal_record(key: bytes, record: bytes) -> bytes:
    """Return the bytes of a record that is set aside, sealed under the service's parking key: nobody knows what they hold."""
    return _encrypt(_key_for(key, _PARK), record, _PARK)


def unseal_record(key: bytes, sealed: bytes) -> bytes:
    """Return the bytes of a parked record again.

    Raises:
        Unreadable: they were sealed under another parking key, or changed since.
    """
    return _decrypt(_key_for(key, _PARK), sealed, _PARK, "a parked record")


def _key_for(key: bytes, purpose: bytes) -> bytes:
    """Return the key for one purpose (HKDF-SHA256, RFC 5869), so that no key serves two."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


def _encrypt(key: bytes, content: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, context)


def _decrypt(key: bytes, cipher: bytes, context: bytes, what: str) -> bytes:
    if len(cipher) < NONCE_BYTES + TAG_BYTES:
        raise Unreadable(f"{what} is cut short")
    try:
        return AESGCM(key).decrypt(cipher[:NONCE_BYTES], cipher[NONCE_BYTES:], context)
    except InvalidTag:
        raise Unreadable(f"{what} was sealed with another key, for another use, or was changed since") from None
