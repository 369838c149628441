"""A client's log of what it was told: read line by line, refused where it would prove nothing."""

from pathlib import Path
from uuid import UUID

import pytest

from services.cli.audit.acks import Ack, all_acks
from shared.errors import MalformedInput

ACT = str(UUID(int=1))
GOOD = f'{{"status": 200, "acts": [{{"act_id": "{ACT}", "result": "recorded"}}]}}\n'


def logged(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "acks.jsonl"
    file.write_text(text)
    return file


def test_several_logs_are_one(tmp_path: Path) -> None:
    refused = logged(tmp_path, f'{{"status": 503, "acts": [{{"act_id": "{ACT}", "result": "recorded"}}]}}\n')
    other = tmp_path / "other.jsonl"
    other.write_text(GOOD + GOOD)
    assert list(all_acks([refused, other])) == [Ack(UUID(ACT), "recorded", None)] * 2


def test_a_message_has_the_name_that_its_log_gives_it(tmp_path: Path) -> None:
    named = GOOD.replace('"act_id"', '"id": "urn:uuid:1", "act_id"') + GOOD.replace('"act_id"', '"id": 7, "act_id"') + GOOD
    assert [ack.message for ack in all_acks([logged(tmp_path, named)])] == ["urn:uuid:1", "7", None]


def test_an_amendment_may_name_its_event(tmp_path: Path) -> None:
    told = (f'"amended", "event_id": "{UUID(int=2)}"', '"amended", "event_id": null')
    text = "".join(GOOD.replace('"recorded"', each) for each in told)
    assert list(all_acks([logged(tmp_path, text)])) == [Ack(UUID(ACT), "amended", None, UUID(int=2)), Ack(UUID(ACT), "amended", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no act"),
        (f'{{"status": 503, "acts": [{{"act_id": "{ACT}", "result": "recorded"}}]}}\n', "names no act"),
        ('{"status": 200, "acts": []}\n', "names no act"),
        (GOOD + "no line\n", "acks.jsonl:2"),
        ('{"status": 200, "acts": [{"act_id": "a", "result": "recorded"}]}\n', "acks.jsonl:1"),
        ("[]\n", "acks.jsonl:1"),
        (GOOD.replace('"recorded"', '"amended", "event_id": "e"'), "acks.jsonl:1"),
        ('{"status": 200, "acts": ["a"]}\n', "acks.jsonl:1"),
    ],
)
def test_a_log_that_would_prove_nothing_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match=said):
        list(all_acks([logged(tmp_path, text)]))
