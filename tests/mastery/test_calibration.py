"""A calibration set: what it says of items and competencies, and what it says of those that it does not know."""

from uuid import UUID

import pytest

from services.mastery.calibration import DEFAULT, DEFAULT_ENTRIES, parse
from shared.contracts.evidence import Kind

ITEM = UUID(int=7)
ENTRIES = (
    *DEFAULT_ENTRIES,
    {"entry": "item", "item_id": str(ITEM), "easiness_e6": -250_000},
    {"entry": "competency", "competency_id": "hard", "easiness_e6": -1_400_000},
    {"entry": "competency", "competency_id": "easy", "easiness_e6": 1_600_000},
)


def test_a_calibrated_item_is_as_easy_as_it_was_found_to_be() -> None:
    assert parse([ENTRIES]).easiness(ITEM, Kind.ITEM, ("hard",)) == -0.25


def test_an_unknown_item_is_as_easy_as_those_of_its_competencies() -> None:
    known = parse([ENTRIES])
    other = UUID(int=8)
    assert known.easiness(other, Kind.ITEM, ("hard",)) == pytest.approx(-1.4)
    assert known.easiness(other, Kind.ITEM, ("hard", "easy")) == pytest.approx(0.1)
    assert known.easiness(other, Kind.ITEM, ("hard", "unknown")) == pytest.approx(0.6 + (-2.0 + 0.0) / 2)
    assert known.easiness(other, Kind.ITEM, ()) == known.easiness(other, Kind.ITEM, ("unknown",)) == 0.6
    assert DEFAULT.easiness(other, Kind.QUIZ, ("hard",)) == DEFAULT.kinds[Kind.QUIZ].easiness


def test_mastery_is_measured_against_the_median_item_of_the_competency() -> None:
    known = parse([ENTRIES])
    assert known.reference_of("hard") == -1.4
    assert known.reference_of("unknown") == known.reference_easiness


def test_what_frozen_deciders_read_does_not_grow_with_items_and_competencies() -> None:
    assert parse([ENTRIES]).head == DEFAULT.head


@pytest.mark.parametrize("name", ["filter", "rule"])
def test_a_set_without_its_numbers_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"0 entries `{name}`"):
        parse([[entry for entry in DEFAULT_ENTRIES if entry["entry"] != name]])
