"""A learner's day in words."""

from __future__ import annotations

from typing import Any

import pytest

from demo.days import where


@pytest.mark.parametrize(("begun", "words"), [(True, "[dim]had begun[/dim]"), (False, "[red]no place[/red]")])
def test_only_who_was_planned_before_a_period_began_is_said_to_have_no_place_in_it(begun: bool, words: str) -> None:
    district: Any = None
    assert where({"served": False, "begun": begun}, district) == words
