"""What the demonstration says of people and of work."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from demo import watch, words
from demo.district import told_apart
from demo.items import items_of
from demo.learners import ask, met_items, mind
from demo.school import school


@pytest.mark.parametrize(("learners", "seed"), [(240, 2), (600, 1), (1_500, 3)])
def test_no_two_learners_are_shown_under_one_name(learners: int, seed: int) -> None:
    people = {learner.sourced_id: (learner.given, learner.family) for learner in school(learners, seed).learners}
    shown = told_apart(people)
    assert len(set(shown.values())) == learners
    assert all(shown[who].startswith(given) for who, (given, _) in people.items())


def test_the_items_that_a_learner_met_are_known() -> None:
    (learner, *_) = school(24, 1).learners
    hers = mind(learner, 1)
    code = next(iter(hers.skill))
    met: set[Any] = set()
    for number in range(len(items_of(code)) + 1):
        assert met_items(hers, code) == met
        assert len(met) == min(number, len(items_of(code)))
        met |= {answer.item for answer in ask(hers, code, 1, datetime(2026, 9, 1 + number, tzinfo=UTC))}


class Told:
    """A Cairn that says how a school stands."""

    def __init__(self, behind: list[dict[str, Any]], unserved: list[dict[str, Any]]) -> None:
        self.behind, self.unserved = behind, unserved

    async def get(self, *_: str, **__: str) -> dict[str, Any]:
        return {"counts": {"at-risk": len(self.behind), "on-track": 1}}

    async def every(self, path: str, **_: str) -> list[dict[str, Any]]:
        return self.unserved if path.endswith("unserved") else self.behind


class School:
    """A district of which the principal's page knows only names."""

    school_id = "s"

    def __init__(self, cairn: Told) -> None:
        self.cairn = cairn

    def shown(self, learner_id: str) -> str:
        return learner_id


async def test_one_is_one_and_little_work_is_told_in_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Console(file=StringIO(), width=200, highlight=False)
    monkeypatch.setattr(words, "out", said)
    behind = [{"learner_id": f"L{n}", "due_minutes": 20 * n, "due_subject": "mathematics", "due": "2026-11-20"} for n in range(1, 8)]
    district: Any = School(Told(behind, [{"learner_id": "L1", "period_id": "", "lacking": "day"}]))
    await watch.tell_pace(district)
    text = said.file.getvalue()
    assert "7 learners are behind and 1 learner is on track." in text
    assert "40 minutes of mathematics" in text
    assert "2 hours of mathematics" in text
    assert "1 more is listed over HTTP." in text
    assert "a place in the day's plan, which is full" in text
