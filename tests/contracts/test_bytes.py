"""The bytes that are stored for ever, computed a second time here with nothing of Cairn's code."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.contracts.envelope import (
    MAX_ATTRIBUTE,
    MAX_EVENT_BYTES,
    MAX_INTEGER,
    Header,
    Instant,
    Origin,
    StreamId,
    canonical,
    chain_start,
    digest,
    envelope,
    instant_text,
    partition_of,
)
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import MasteryPageAdded
from shared.contracts.parameters import set_id_of
from shared.parameters import page_hash

NAMESPACE = uuid.UUID("30bdb08c-e9c4-438b-9e74-407a83b7b9af")
LEARNER = "11111111-2222-8333-9444-555555555555"
GOLDEN = (
    '{"causationid":"00000000-0000-0000-0000-000000000001","correlationid":"00000000-0000-0000-0000-000000000002","data":{"competency_ids":'
    '["a","b"],"evidence_id":"aaaaaaaa-bbbb-5ccc-9ddd-eeeeeeeeeeee","item_id":"99999999-8888-5777-9666-555555555555","learner_id":'
    '"11111111-2222-8333-9444-555555555555","occurred_at":"2026-10-13T07:30:00.000000Z","score_e6":750000},"datacontenttype":'
    '"application/json","decider":"evidence.record/1","id":"ID","partition":PARTITION,"partitionkey":'
    '"11111111-2222-8333-9444-555555555555","position":0,"previous":"PREVIOUS","release":"0.1.0","settings":3,"source":"/local/evidence",'
    '"specversion":"1.0","stream":"evidence/learner/11111111-2222-8333-9444-555555555555","streamversion":1,"time":'
    '"2026-10-13T07:30:01.000250Z","type":"evidence.recorded.v1"}'
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=5),
    max_leaves=30,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # Drawing nested values is slow on a busy machine, and no fault.
@given(plain)
def test_our_canonical_form_is_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(['"', "\\", "\x7f", "\n", "é", "a", ""])
numbers = st.integers(0, MAX_INTEGER)


@given(st.lists(texts, min_size=8, max_size=8), st.lists(numbers, min_size=4, max_size=4), st.datetimes(timezones=st.just(UTC)))
def test_an_envelope_of_any_texts_and_numbers_is_rfc_8785(words: list[str], counts: list[int], at: datetime) -> None:
    source, kind, key, previous, decider, release, causation, correlation = words
    version, partition, position, adopted = counts
    stream = StreamId("evidence", kind, key, key)
    raw = envelope(
        source=source, stream=stream, version=version, partition=partition, position=position, previous=previous, at=at, decider=decider,
        settings=adopted, release=release, origin=Origin(causation, correlation), event=recorded(),
    )  # fmt: skip
    assert raw == rfc8785.dumps(
        {
            "specversion": "1.0", "type": "evidence.recorded.v1", "datacontenttype": "application/json",
            "id": str(uuid.uuid5(NAMESPACE, f"{stream}@{version}")), "source": source, "time": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}".rjust(27, "0"),
            "stream": stream.name, "streamversion": version, "partitionkey": stream.key, "partition": partition, "position": position,
            "previous": previous, "decider": decider, "settings": adopted, "release": release, "causationid": causation,
            "correlationid": correlation, "data": recorded().model_dump(mode="json", exclude_defaults=True),
        }
    )  # fmt: skip


@pytest.mark.parametrize("value", [2**53, -(2**53), {"a": 2**60}, "\ud800"])
def test_what_other_readers_would_read_otherwise_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def recorded() -> EvidenceRecorded:
    return EvidenceRecorded.model_validate(
        {
            "evidence_id": "AAAAAAAA-BBBB-5CCC-9DDD-EEEEEEEEEEEE",
            "learner_id": LEARNER,
            "item_id": "99999999-8888-5777-9666-555555555555",
            "competency_ids": ["b", "a", "b"],
            "score_e6": 750_000,
            "occurred_at": datetime(2026, 10, 13, 9, 30, tzinfo=timezone(timedelta(hours=2))),
            "duration_ms": None,
        }
    )


def test_an_event_is_these_bytes() -> None:
    stream = f"evidence/learner/{LEARNER}"
    partition = int.from_bytes(hashlib.sha256(LEARNER.encode()).digest()[:8], "big") % 8
    previous = hashlib.sha256(f"cairn.chain.1\n/local/evidence\n{partition}".encode()).hexdigest()
    expected = (
        GOLDEN.replace('"ID"', f'"{uuid.uuid5(NAMESPACE, f"{stream}@1")}"')
        .replace("PARTITION", str(partition))
        .replace('"PREVIOUS"', f'"{previous}"')
        .encode()
    )
    made = envelope(
        source="/local/evidence", stream=StreamId("evidence", "learner", LEARNER), version=1, position=0,
        partition=partition_of(LEARNER, 8),
        previous=chain_start("/local/evidence", partition), at=datetime(2026, 10, 13, 7, 30, 1, 250, UTC), decider="evidence.record/1",
        settings=3, release="0.1.0", origin=Origin(str(uuid.UUID(int=1)), str(uuid.UUID(int=2))), event=recorded(),
    )  # fmt: skip
    assert made == expected
    assert digest(made) == hashlib.sha256(expected).hexdigest()
    assert rfc8785.dumps(json.loads(made)) == made
    read = Header.read(made).decode(EvidenceRecorded)
    assert read.data == recorded()
    assert (read.raw, read.version, read.partition, read.service, read.kind) == (made, 1, partition, "evidence", "learner")


def test_a_digest_of_the_golden_event_is_held_in_figures() -> None:
    """The same bytes once more, so that a change of both computations at once shows."""
    assert partition_of(LEARNER, 8) == 1
    assert chain_start("/local/evidence", 1) == "0fffd5cca69c479af80bb381fd9fbe92b43a252d3dd5926e44dc16d990b25a4d"


@pytest.mark.parametrize(("key", "partitions"), [("settings", 8), ("settings", 32), (LEARNER, 8), ("é", 32), ("a" * 64, 1)])
def test_a_partition_is_the_first_eight_bytes_of_the_keys_hash(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == int(hashlib.sha256(key.encode("utf-8")).hexdigest()[:16], 16) % partitions


def test_a_set_is_named_by_its_pages() -> None:
    pages = [[{"id": "a"}], [{"id": "b"}]]
    hashes = [hashlib.sha256(json.dumps(page, separators=(",", ":")).encode()).hexdigest() for page in pages]
    assert [page_hash(page) for page in pages] == hashes
    content = "cairn.parameters.1\nframework\n" + "\n".join(hashes)
    assert set_id_of("framework", hashes) == hashlib.sha256(content.encode()).hexdigest()


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_have_six_digits_and_sort_as_text(at: datetime) -> None:
    text = instant_text(at)
    assert text == at.strftime("%m-%dT%H:%M:%S.%fZ").join((f"{at.year:04}-", ""))
    assert datetime.fromisoformat(text) == at


def test_an_event_larger_than_256_kib_is_refused() -> None:
    with pytest.raises(ValueError, match="send it as several commands"):
        envelope(
            source="/local/mastery", stream=StreamId("mastery", "settings"), version=1, partition=0, position=0, previous="", release="",
            at=datetime(2026, 1, 1, tzinfo=UTC), decider="", settings=0, origin=Origin(str(uuid.UUID(int=1)), str(uuid.UUID(int=1))),
            event=MasteryPageAdded(content="x" * MAX_EVENT_BYTES),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"), (b"{", "not JSON"), (b"\xff\xfe", "not JSON"), (b"[]", "not a JSON object"), (b"{}", "attribute id is missing"),
        (b'{"id": 5}', "attribute id is missing or not a str"),
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_said_to_be_none(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Header.read(raw)


def whole(**changed: str) -> bytes:
    """Return the golden event with other attributes."""
    text = GOLDEN.replace('"ID"', f'"{uuid.UUID(int=3)}"').replace("PARTITION", "1").replace('"PREVIOUS"', f'"{"0" * 64}"')
    return canonical(json.loads(text) | changed)


TEXTS = [
    "causationid", "correlationid", "decider", "id", "partitionkey", "previous", "release", "source", "stream", "time", "type",
]  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_no_ledger_can_hold_stands_in_none_of_our_envelopes(name: str) -> None:
    assert len(Header.read(whole(**{name: "\U0001f642" * MAX_ATTRIBUTE})).attributes[name]) == MAX_ATTRIBUTE
    for text in ("secret\0", "secret" * MAX_ATTRIBUTE):
        with pytest.raises(ValueError, match=f"attribute {name} holds U") as refused:
            Header.read(whole(**{name: text}))
        assert "secret" not in str(refused.value)


TWO = str(uuid.UUID(int=1)) * 2


@pytest.mark.parametrize(
    "changed",
    [
        {"id": ""}, {"id": "", "causationid": TWO}, {"causationid": "", "correlationid": TWO}, {"id": TWO, "correlationid": ""},
        {"id": str(uuid.UUID(int=10)).upper()}, {"time": ""}, {"time": "2026-10-13"}, {"time": "2026-10-13T07:30:01"},
    ],
)  # fmt: skip
def test_an_envelope_whose_ids_and_time_are_none_is_not_decoded(changed: dict[str, str]) -> None:
    """What it led to would name them, and be stored for ever."""
    assert Header.read(whole()).decode(EvidenceRecorded).data == recorded()
    with pytest.raises(ValueError, match=r"UUID|instant|isoformat"):
        Header.read(whole(**changed)).decode(EvidenceRecorded)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_that_utc_does_not_know_is_refused_as_any_other_fault(at: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_python(at)
