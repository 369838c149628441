"""A record of before grades could be told again replays to its bytes: the deciders are still version 1."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import orjson
import pytest

from services.evidence.app import PARTS
from shared.parts import Parts
from tests.mastery import histories

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.jsonl"))


class History(histories.History):
    """A record of evidence."""

    parts: ClassVar[Parts] = PARTS


def read(path: Path) -> History:
    return History(path.read_bytes().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_history_replays_to_its_bytes(path: Path) -> None:
    history = read(path)
    assert history.replay() == []
    assert {event.decider for event in history.events} == {"evidence.act/1", "evidence.learner/1"}
    told = {event.type.removeprefix("evidence.").removesuffix(".v1") for event in history.events}
    assert told == {"accepted", "conflicted", "recorded", "rescored", "voided"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_conflict_that_would_be_none_is_found(path: Path) -> None:
    history = read(path)
    place, raw = next((n, raw) for n, raw in enumerate(history.lines) if b"evidence.conflicted.v1" in raw)
    value = orjson.loads(raw)
    first = next(event.data for event in history.events if event.stream == value["stream"])
    value["data"]["told"] = first.model_dump(mode="json", exclude_defaults=True)
    history.lines[place] = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert [found.stream for found in history.replay()] == [value["stream"]]
