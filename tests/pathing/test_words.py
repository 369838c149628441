"""How a learner stands, in words that are true: hours and date are of the same goals."""

from datetime import timedelta

import pytest

from services.pathing.queries.words import pace_in_words
from shared.contracts.pathing import Pace
from tests.pathing.district import TODAY

SOON, BEFORE = TODAY + timedelta(days=14), TODAY - timedelta(days=1)


@pytest.mark.parametrize(
    ("pace", "minutes", "words"),
    [
        (Pace.ON_TRACK, 360, f"There are about 6 hours of work in mathematics to do by {SOON}, and time for it."),
        (Pace.ON_TRACK, 20, f"There is about an hour of work in mathematics to do by {SOON}, and time for it."),
        (
            Pace.AT_RISK,
            540,
            f"There are about 9 hours of work in mathematics to do by {SOON}, more than there is time for: talk with a teacher about it.",
        ),
        (Pace.AHEAD, 120, f"Well ahead: there are about 2 hours of work in mathematics to do by {SOON}."),
    ],
)
def test_the_hours_are_those_that_are_due_by_the_date(pace: Pace, minutes: int, words: str) -> None:
    assert pace_in_words(pace, 2520, SOON, "mathematics", minutes, TODAY) == words
    assert pace_in_words(pace, 2520, SOON, "", minutes, TODAY) == words.replace(" in mathematics", "")


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        (Pace.ON_TRACK, f"There are about 42 hours of work left for all goals, and time for what is due by {SOON}."),
        (
            Pace.AT_RISK,
            f"There are about 42 hours of work left for all goals, and too little time for what is due by {SOON}: talk with a teacher "
            "about it.",
        ),
        (Pace.AHEAD, f"Well ahead: there are about 42 hours of work left for all goals, and time to spare for what is due by {SOON}."),
    ],
)
def test_where_only_the_hours_of_all_goals_are_known_the_words_do_not_tie_them_to_the_date(pace: Pace, words: str) -> None:
    assert pace_in_words(pace, 2520, SOON, "", None, TODAY) == words


def test_of_a_date_that_has_passed_the_hours_are_those_of_its_goals() -> None:
    passed, rest = f"A goal's date, {BEFORE}, has passed, and there are about", "do its steps first, or agree on a new date with a teacher."
    told = pace_in_words(Pace.AT_RISK, 2520, BEFORE, "science", 120, TODAY)
    assert told == f"{passed} 2 hours of work in science left for it: {rest}"
    assert pace_in_words(Pace.AT_RISK, 2520, BEFORE, "", None, TODAY) == f"{passed} 42 hours of work left for all goals: {rest}"


def test_without_work_or_goals_the_words_say_so() -> None:
    assert pace_in_words(Pace.AHEAD, 0, SOON, "mathematics", 0, TODAY) == f"There is no work left for your goals until {SOON}."
    assert pace_in_words(Pace.NO_DATE, 0, None, "", None, TODAY) == "There are no goals to measure against."
