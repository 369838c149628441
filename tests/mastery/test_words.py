"""What people are told has words for everything."""

import json
from pathlib import Path
from string import Formatter

import pytest

from services.cli.story import Names, words
from services.mastery.words import ENGLISH
from shared.contracts import EVENTS

EXAMPLES = Path(__file__).parents[1] / "contracts" / "golden"
OF_A_LEARNER = sorted(
    name for name, kind in EVENTS.items() if name.startswith(("mastery.", "evidence.")) and "learner_id" in kind.model_fields
)


@pytest.mark.parametrize("form", ["full", "minimal"])
@pytest.mark.parametrize("name", OF_A_LEARNER)
def test_a_learners_story_has_words_for_every_event(name: str, form: str) -> None:
    event = EVENTS[name].model_validate(json.loads((EXAMPLES / f"{name}.{form}.json").read_text()))
    assert words(event, Names()) != name


def test_every_sentence_has_gaps_with_names_so_that_it_can_be_translated() -> None:
    for sentence in ENGLISH.values():
        assert all(gap is None or gap.isidentifier() for _, gap, _, _ in Formatter().parse(sentence))
