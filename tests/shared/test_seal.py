"""Sealed text opens with its own key and context alone, and is compared without opening."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import seal
from shared.contracts.envelope import Sealed

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
NAME = "profile.given_name"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(texts)
def test_what_was_sealed_opens_again(text: str) -> None:
    assert seal.unseal(KEY, seal.seal(KEY, text, NAME), NAME) == text


@given(texts, texts)
def test_equal_texts_and_only_those_are_known_as_the_same(one: str, other: str) -> None:
    assert seal.same(seal.seal(KEY, one, NAME), seal.seal(KEY, other, NAME)) == (one == other)


def test_the_same_text_under_another_key_or_context_is_not_the_same() -> None:
    sealed = seal.seal(KEY, "Ada", NAME)
    assert not seal.same(sealed, seal.seal(OTHER, "Ada", NAME))
    assert not seal.same(sealed, seal.seal(KEY, "Ada", "profile.family_name"))


def test_nothing_sealed_repeats_or_shows_the_text() -> None:
    sealed = [seal.seal(KEY, "Canary Marmalade", NAME) for _ in range(100)]
    assert len({each.cipher for each in sealed}) == 100
    assert len({base64.b64decode(each.cipher)[:12] for each in sealed}) == 100
    assert all(b"Canary" not in base64.b64decode(each.cipher) for each in sealed)


def test_the_code_of_a_text_is_plain_hmac_under_a_derived_key() -> None:
    extracted = hmac.new(bytes(32), KEY, hashlib.sha256).digest()  # RFC 5869 by hand: extract, then one block of expand.
    derived = hmac.new(extracted, b"cairn.mac.1\x01", hashlib.sha256).digest()
    content = json.dumps([NAME, "Zoë"], ensure_ascii=False, separators=(",", ":")).encode()
    assert seal.seal(KEY, "Zoë", NAME).mac == hmac.new(derived, content, hashlib.sha256).hexdigest()


def test_ciphertext_of_today_opens_for_ever() -> None:
    assert seal.unseal(KEY, Sealed(cipher="AAAAAAAAAAAAAAAAKIGsNRudiLmW6txc7JMnbl+ejPQ=", mac="0" * 64), NAME) == "Zoë"


@pytest.mark.parametrize(("key", "context"), [(OTHER, NAME), (KEY, "profile.family_name"), (KEY, "")])
def test_another_key_or_context_does_not_open_it(key: bytes, context: str) -> None:
    with pytest.raises(seal.Unreadable, match="another key"):
        seal.unseal(key, seal.seal(KEY, "Ada", NAME), context)


def test_a_changed_byte_anywhere_is_found() -> None:
    sealed = seal.seal(KEY, "Ada", NAME)
    content = base64.b64decode(sealed.cipher)
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises(seal.Unreadable):
            seal.unseal(KEY, Sealed(cipher=base64.b64encode(changed).decode(), mac=sealed.mac), NAME)


@pytest.mark.parametrize("cipher", ["", "AAAA", "not base64!", "ä"])
def test_what_was_never_sealed_does_not_open(cipher: str) -> None:
    with pytest.raises(seal.Unreadable):
        seal.unseal(KEY, Sealed(cipher=cipher, mac="0" * 64), NAME)


def test_a_persons_key_is_kept_under_the_district_key() -> None:
    key = seal.new_key()
    assert len(key) == 32
    assert key != seal.new_key()
    wrapped = seal.wrap(KEY, key)
    assert key not in wrapped
    assert seal.unwrap(KEY, wrapped) == key
    for master, content in ((OTHER, wrapped), (KEY, wrapped[:-1]), (KEY, b"")):
        with pytest.raises(seal.Unreadable):
            seal.unwrap(master, content)


@given(st.binary(max_size=200))
def test_a_parked_record_is_kept_under_the_parking_key(record: bytes) -> None:
    sealed = seal.seal_record(KEY, record)
    assert seal.unseal_record(KEY, sealed) == record
    assert len(record) < 8 or record not in sealed
    for open_it in (lambda: seal.unseal_record(OTHER, sealed), lambda: seal.unwrap(KEY, sealed)):  # Another key; another use of the same.
        with pytest.raises(seal.Unreadable):
            open_it()


def test_a_short_key_is_never_used() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 5"):
        seal.seal(b"short", "Ada", NAME)
