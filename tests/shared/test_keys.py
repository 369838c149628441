"""The ids of people and things: golden values, and the same derived a second time by the standard library alone."""

import hashlib
import hmac
import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import keys
from shared.errors import Misconfigured

KEY = bytes(range(32))
SOURCE = "https://roster.example/api"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


def plain_canonical(value: list[str]) -> bytes:
    """RFC 8785 of a list of texts, by json alone: it escapes as the RFC does, apart from the C1 range it leaves alone too."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def plain_uuid5(value: list[str]) -> str:
    """RFC 9562 version 5, by hand."""
    content = bytearray(hashlib.sha1(bytes.fromhex("30bdb08ce9c4438b9e74407a83b7b9af") + plain_canonical(value)).digest()[:16])
    content[6] = content[6] & 0x0F | 0x50
    content[8] = content[8] & 0x3F | 0x80
    return content.hex()


def plain_person(role: str, alias: str) -> str:
    """RFC 9562 version 8 over the first 16 bytes of a keyed hash, by hand."""
    content = bytearray(hmac.new(KEY, plain_canonical([role, alias]), hashlib.sha256).digest()[:16])
    content[6] = content[6] & 0x0F | 0x80
    content[8] = content[8] & 0x3F | 0x80
    return content.hex()


@given(texts, texts)
def test_every_id_is_what_the_standard_library_makes_of_the_same_words(source: str, source_id: str) -> None:
    alias = hmac.new(KEY, plain_canonical([source, source_id]), hashlib.sha256).hexdigest()
    assert keys.alias_of(KEY, source, source_id) == alias
    assert keys.learner_id_of(KEY, alias).hex == plain_person("learner", alias)
    assert keys.staff_id_of(KEY, alias).hex == plain_person("staff", alias)
    assert keys.act_id_of(source, source_id).hex == plain_uuid5([source, source_id])
    assert keys.school_id_of(source, source_id).hex == plain_uuid5(["school", source, source_id])
    assert keys.class_id_of(source, source_id).hex == plain_uuid5(["class", source, source_id])
    assert keys.item_id_of(source).hex == plain_uuid5(["item", source])


def test_the_golden_ids_never_change() -> None:
    alias = keys.alias_of(KEY, SOURCE, "stu-1")
    assert alias == "9cff251e001260067a4b8c2d0c7ac11b129667884bb89113ae88673ebf16455a"
    assert keys.learner_id_of(KEY, alias) == UUID("64bee64d-fe12-8469-8615-c0a8997bf787")
    assert keys.staff_id_of(KEY, alias) == UUID("db926983-0275-8424-b3a1-bee898ae1d98")
    assert keys.act_id_of(SOURCE, "urn:uuid:1") == UUID("ca397606-ed88-5ece-bcf3-d683ebe7361a")
    assert keys.school_id_of(SOURCE, "school-1") == UUID("a6427947-c902-5d29-946b-044690bc8af3")
    assert keys.class_id_of(SOURCE, "class-1") == UUID("a310ea7e-5f20-53ff-a738-d7f923084084")
    assert keys.item_id_of("https://quiz.example/items/1") == UUID("8b335aa5-1155-52d1-a6ca-37dd8195aad9")


@given(texts)
def test_the_id_of_a_person_is_a_version_8_uuid(alias: str) -> None:
    for made in (keys.learner_id_of(KEY, alias), keys.staff_id_of(KEY, alias)):
        assert made.version == 8
        assert made.variant == "specified in RFC 4122"


@pytest.mark.parametrize(
    ("named", "source", "source_id"),
    [
        ("17", "sis", "17"),
        ("A/7", "sis", "A/7"),
        ("no: iri", "sis", "no: iri"),
        ("_:blank", "sis", "_:blank"),
        ("x" * 2_049, "sis", "x" * 2_049),
        ("https://lms.example/users/17", "https://lms.example/users/", "17"),
        ("https://lms.example/users/17/", "https://lms.example/users/", "17"),
        ("https://lms.example/users/A/17", "https://lms.example/users/A/", "17"),
        ("https://lms.example/people#17", "https://lms.example/", "people#17"),
        ("urn:sis:person:17", "urn:sis:person:", "17"),
        ("mailto:ada@brook.example", "mailto:", "ada@brook.example"),
        ("a:/", "", "a"),
    ],
)
def test_an_iri_names_its_system_and_any_other_id_its_source(named: str, source: str, source_id: str) -> None:
    assert keys.person_alias(KEY, "sis", named) == hmac.new(KEY, plain_canonical([source, source_id]), hashlib.sha256).hexdigest()


def test_the_golden_alias_never_changes() -> None:
    alias = keys.person_alias(KEY, "", "https://lms.example/users/17")
    assert alias == "b8209c1c0fe1fb332af08ae0d3854a244cbaa9ebaa74ec59fe17339b105b5d1e"


@given(texts.filter(lambda text: text != ""), texts, texts)
def test_the_same_id_in_two_systems_is_two_people(named: str, one: str, other: str) -> None:
    assert (keys.person_alias(KEY, one, named) == keys.person_alias(KEY, other, named)) == (one == other or keys.is_iri(named))


def test_where_one_word_ends_matters() -> None:
    assert keys.alias_of(KEY, "ab", "c") != keys.alias_of(KEY, "a", "bc")
    assert keys.act_id_of('a","b', "c") != keys.act_id_of("a", 'b","c')


def test_another_key_makes_another_person() -> None:
    other = bytes(reversed(KEY))
    assert keys.alias_of(KEY, SOURCE, "stu-1") != keys.alias_of(other, SOURCE, "stu-1")
    assert keys.learner_id_of(KEY, "00") != keys.learner_id_of(other, "00")


def test_a_district_key_is_64_hex_digits() -> None:
    assert keys.key_from(KEY.hex()) == KEY
    assert keys.key_from(f" {KEY.hex().upper()}\n") == KEY


@pytest.mark.parametrize("text", ["", "00", "0" * 63, "0" * 65, "g" * 64, "ab " * 21 + "a", "\u0660" * 64])
def test_another_district_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"CAIRN_DISTRICT_KEY.*openssl rand -hex 32") as caught:
        keys.key_from(text)
    assert len(text) < 8 or text.strip() not in str(caught.value)


@pytest.mark.parametrize("text", ["", " ", "00"])
def test_who_has_no_key_is_sent_to_the_one_that_was_used_before_a_new_one_is_spoken_of(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        keys.key_from(text)
    said = str(caught.value)
    assert ("is not set" in said) == (not text.strip())
    assert said.index("the one that this installation was made with") < said.index("only for a new installation make one")


def test_a_key_is_known_again_for_ever() -> None:
    assert keys.check_value(KEY) == hmac.digest(KEY, b'["cairn.check.1"]', "sha256")
    assert keys.check_value(KEY) != keys.check_value(bytes(reversed(KEY)))


def test_a_short_key_is_never_used() -> None:
    with pytest.raises(Misconfigured, match="5 bytes instead of 32"):
        keys.alias_of(b"short", SOURCE, "stu-1")


def test_an_iri_fits_into_an_index_in_any_script() -> None:
    assert keys.is_iri("urn:x:" + "a" * (keys.MAX_IRI - 6))
    assert not keys.is_iri("urn:x:" + "a" * (keys.MAX_IRI - 5))
    assert not keys.is_iri("urn:x:" + "\u6f22" * 1_500), "4,506 bytes, of which PostgreSQL indexes 2,704"
