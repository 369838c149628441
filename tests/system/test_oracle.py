"""What `cairn audit check` must find: an oracle that finds nothing wrong with anything proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.oracle import Findings, Record, compare_evidence, compare_inboxes, read_acks
from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.errors import MalformedInput

ACTS = ["a", "b", "c", "d"]


def sound() -> dict[str, Record]:
    """Return records in which four acts were accepted, three are recorded, and mastery counted two of them and set one aside."""
    lengths = dict.fromkeys(range(2), (0, ""))
    records: dict[str, Record] = {str(service): Record(dict(lengths)) for service in Topic}
    for service in Topic:
        heard = parts_of(service).subscription
        records[service].inbox = {(str(source), number): -1 for source in (heard.topics if heard else ()) for number in lengths}
    records[Topic.EVIDENCE].ids = {"evidence.accepted.v1": [*ACTS], "evidence.recorded.v1": ACTS[:3]}
    records[Topic.MASTERY].ids = {"mastery.estimated.v1": ["a"], "mastery.re-estimated.v1": ["b"]}
    records[Topic.EVIDENCE].places = {id: (1, position) for position, id in enumerate(ACTS[:3])}
    records[Topic.MASTERY].aside = {(str(Topic.EVIDENCE), 1, 2), (str(Topic.EVIDENCE), 0, 0)}
    return records


def found(records: dict[str, Record], acks: list[tuple[str, str]] | None = None) -> str:
    findings = Findings()
    compare_evidence(records, acks, findings)
    compare_inboxes(records, findings)
    return "; ".join(findings.violations)


def accepted_twice(records: dict[str, Record]) -> None:
    records[Topic.EVIDENCE].ids["evidence.accepted.v1"].append("a")


def counted_twice(records: dict[str, Record]) -> None:
    records[Topic.MASTERY].ids["mastery.re-estimated.v1"].append("a")


def not_counted(records: dict[str, Record]) -> None:
    del records[Topic.MASTERY].ids["mastery.estimated.v1"]


def counted_from_nowhere(records: dict[str, Record]) -> None:
    records[Topic.MASTERY].ids["mastery.estimated.v1"].append("d")


def recorded_from_nowhere(records: dict[str, Record]) -> None:
    records[Topic.EVIDENCE].ids["evidence.accepted.v1"].remove("c")


def behind(records: dict[str, Record]) -> None:
    records[Topic.PATHING].lengths[1] = (1, "")


def ahead(records: dict[str, Record]) -> None:
    records[Topic.PATHING].inbox[Topic.MASTERY, 0] = 4


def test_a_sound_record_has_nothing_wrong() -> None:
    assert found(sound(), [("a", "recorded"), ("d", "waiting")]) == ""


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (accepted_twice, "evidence accepted twice: a"),
        (counted_twice, "evidence counted twice: a"),
        (not_counted, "recorded, and neither counted nor set aside: a"),
        (counted_from_nowhere, "counted without being recorded: d"),
        (recorded_from_nowhere, "recorded without being accepted: c"),
        (behind, "scheduling: has not applied everything it hears: pathing partition 1 at -1 of 0"),
        (ahead, "pathing: has not applied everything it hears: mastery partition 0 at 4 of -1"),
    ],
)
def test_each_damage_is_named(damage: Callable[[dict[str, Record]], None], said: str) -> None:
    records = sound()
    damage(records)
    assert found(records) == said


def test_what_a_client_was_told_must_be_there() -> None:
    assert found(sound(), [("e", "waiting")]) == "acknowledged and not in the ledger: e"
    assert found(sound(), [("d", "recorded")]) == "told as recorded and not recorded: d"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no act"),
        ('{"status": 503, "acts": [{"act_id": "a", "result": "recorded"}]}\n', "names no act"),
        ('{"status": 200, "acts": []}\n', "names no act"),
        ('{"status": 200, "acts": [{"act_id": "a", "result": "recorded"}]}\nno line\n', "acks.jsonl:2"),
    ],
)
def test_a_log_that_would_prove_nothing_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "acks.jsonl"
    file.write_text(text)
    with pytest.raises(MalformedInput, match=said):
        read_acks(file)
