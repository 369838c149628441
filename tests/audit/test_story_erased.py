"""A story says of each sealed text whether and when it was erased: by the first erasure behind it, or the one in force when it was told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.cli import story
from shared.contracts.envelope import Event, StreamId
from shared.testing import SOME_TIME, recorded
from tests.profile.test_domain import ADA, erased_by, lifted_by, name, rostered, says

STREAM = StreamId("profile", "learner", str(ADA))
GONE = [(SOME_TIME + timedelta(days=day), erased) for day, erased in ((1, True), (3, False), (5, True))]
"""Erased on the 25th, lifted on the 27th, erased again on the 29th."""


def suffix(event: Event, days: float, gone: int = 3) -> str:
    """Return what is said of an event that was told so many days on, where the first `gone` of these things have happened."""
    [told] = recorded(STREAM, [event], SOME_TIME + timedelta(days=days))
    return story._erased(told, GONE[:gone])


@pytest.mark.parametrize(
    ("days", "gone", "on"),
    [(0, 0, None), (0, 1, "25"), (0, 3, "25"), (2, 1, "25"), (2, 3, "25"), (4, 2, None), (4, 3, "29"), (6, 3, "29"), (1, 1, "25")],
)
def test_a_sealed_text_is_erased_on_the_day_of_the_first_erasure_that_concerns_it(days: float, gone: int, on: str | None) -> None:
    assert suffix(rostered(), days, gone) == (f"; her name: erased on 2026-11-{on}" if on else "")
    assert suffix(says(words=name("dinosaurs")).told, days, gone) == (f"; the words: erased on 2026-11-{on}" if on else "")


def test_what_holds_nothing_sealed_was_not_erased() -> None:
    for event in (rostered(name=None), says().told, erased_by(), lifted_by()):
        assert suffix(event, 0) == ""


def test_who_asked_and_why_is_part_of_the_story() -> None:
    names = story.Names()
    told = "her name and all words about her were erased: asked by the guardian (request DSR-2026-0114)"
    assert story.words(erased_by(), names) == told
    assert story.words(lifted_by(), names) == "she may be named again: asked by the district (mistake)"
