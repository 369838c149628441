"""What people are told about an estimate, and the numbers it rests on."""

from dataclasses import replace

import pytest

from services.mastery.calibration import DEFAULT, DEFAULT_ENTRIES, parse
from services.mastery.commands import Recalibrate
from services.mastery.domain import mastery
from services.mastery.explain import MAX_ANSWERS, Known, answers_needed, estimate, missing, sentence, unmet
from services.mastery.filter import Normal
from services.mastery.framework import FRAMEWORK
from services.mastery.state import MAX_COMPETENCIES, MAX_ITEMS, State
from services.mastery.words import say
from shared.contracts.envelope import MAX_EVENT_BYTES, canonical
from shared.contracts.evidence import Kind
from shared.contracts.mastery import CompetencyTrace, ItemTrace, Level, Reestimated
from shared.testing import recorded
from tests.mastery.samples import LEARNER, competency, entries, evidence, parameters

POLICY, EASY = DEFAULT.policy, DEFAULT.reference_easiness
KNOWN = Known(Normal(0.5, 0.1), Normal(0.3, 0.1), Normal(0.4, 0.15), 1_000, scored=2, items=2, days=1, level=Level.DEVELOPING)


def test_the_estimate_is_that_of_the_reference_item_faded_to_now() -> None:
    now = estimate(KNOWN, 1_000, DEFAULT, POLICY, EASY)
    assert now.logit == pytest.approx((DEFAULT.reference_easiness + 0.9, 0.25))
    later = estimate(KNOWN, 1_000 + 30 * 1_440, DEFAULT, POLICY, EASY)
    assert later.logit.mean < now.logit.mean
    assert later.logit.variance > now.logit.variance
    assert later.probability_e6 < now.probability_e6
    assert later.success < now.success


def test_enough_right_answers_are_enough_and_one_fewer_is_not() -> None:
    now = estimate(KNOWN, 1_000, DEFAULT, POLICY, EASY)
    needed = answers_needed(KNOWN, now, DEFAULT, POLICY)
    assert needed is not None
    assert 1 < needed <= MAX_ANSWERS
    sure = replace(KNOWN, general=Normal(3.0, 0.05), scored=3)
    one_more = replace(sure, scored=2)
    assert answers_needed(one_more, estimate(one_more, 1_000, DEFAULT, POLICY, EASY), DEFAULT, POLICY) == 1
    assert answers_needed(sure, estimate(sure, 1_000, DEFAULT, POLICY, EASY), DEFAULT, POLICY) == 0
    hopeless = replace(KNOWN, general=Normal(-20.0, 0.01))
    assert answers_needed(hopeless, estimate(hopeless, 1_000, DEFAULT, POLICY, EASY), DEFAULT, POLICY) is None


def test_what_is_missing_is_named() -> None:
    lacks = missing(KNOWN, estimate(KNOWN, 1_000, DEFAULT, POLICY, EASY), ["5.NF.A.1"], POLICY)
    assert [lack.text.split(":")[0] for lack in lacks] == ["certainty", "breadth", "breadth", "prerequisite"]
    assert [lack.text for lack in lacks[1:]] == [
        "breadth: 2 of 3 scored pieces of work",
        "breadth: 1 of 2 different days, which are those of UTC",
        "prerequisite: 5.NF.A.1",
    ]
    complete = replace(KNOWN, general=Normal(3.0, 0.05), scored=3, days=2)
    assert missing(complete, estimate(complete, 1_000, DEFAULT, POLICY, EASY), [], POLICY) == []
    nowhere = missing(complete, estimate(complete, 1_000, DEFAULT, POLICY, EASY), None, POLICY)
    unnamed = missing(complete, estimate(complete, 1_000, DEFAULT, POLICY, EASY), None, POLICY, any_framework=True)
    assert [lack.key for lack in (*nowhere, *unnamed)] == ["missing.framework", "missing.not-in-framework"]


def test_nothing_is_missing_to_what_is_mastered_and_certainty_alone_to_what_is_due_to_be_shown_again() -> None:
    for level, keys, needed in ((Level.MASTERED, [], 0), (Level.REVERIFY, ["missing.certainty"], 9)):
        known = replace(KNOWN, level=level, kinds=0)
        now = estimate(known, 1_000, DEFAULT, POLICY, EASY)
        assert now.probability_e6 < POLICY.certainty * 1e6
        for waiting in (["5.NF.A.1"], None):
            assert [lack.key for lack in missing(known, now, waiting, replace(POLICY, kinds=1))] == keys
        assert answers_needed(known, now, DEFAULT, POLICY) == needed
    sure = replace(KNOWN, general=Normal(3.0, 0.05), level=Level.REVERIFY)
    now = estimate(sure, 1_000, DEFAULT, POLICY, EASY)
    assert (missing(sure, now, ["5.NF.A.1"], POLICY), answers_needed(sure, now, DEFAULT, POLICY)) == ([], 0)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (Level.UNKNOWN, "not enough evidence"), (Level.MASTERED, "Mastered"), (Level.REVERIFY, "show it again"),
        (Level.NEARLY, "7 more right answers"), (Level.DEVELOPING, "7 more right answers"),
    ],
)  # fmt: skip
def test_every_level_has_its_words(level: Level, words: str) -> None:
    known = replace(KNOWN, level=level)
    assert words in sentence(known, estimate(known, 1_000, DEFAULT, POLICY, EASY), [say("missing.framework")], 7).text


@pytest.mark.parametrize("level", list(Level))
def test_of_a_level_that_a_person_set_it_is_not_said_that_work_shows_it(level: Level) -> None:
    known = replace(KNOWN, level=level)
    told = sentence(known, estimate(known, 1_000, DEFAULT, POLICY, EASY), [], 0, by_person=True)
    assert (told.key, told.text) == ("level.by-person", "81 % of answers to a standard item are expected to be right.")


def test_prerequisites_hold_back_until_they_were_mastered_once() -> None:
    framework = parameters((1, 3), (2, 3)).get(FRAMEWORK)
    assert framework is not None
    first, second, third = competency(1), competency(2), competency(3)
    assert unmet(third, framework, {}) == [first, second]
    assert unmet(third, framework, {first: Level.MASTERED, second: Level.NEARLY}) == [second]
    assert unmet(third, framework, {first: Level.REVERIFY, second: Level.MASTERED}) == []
    assert unmet(first, framework, {}) == []


def test_a_calibration_lacks_nothing_and_holds_nothing_unknown() -> None:
    with pytest.raises(ValueError, match="entries `rule`"):
        parse([[entry for entry in DEFAULT_ENTRIES if entry["entry"] != "rule"]])
    with pytest.raises(ValueError, match="not known"):
        parse([[*(entry | {"oddity_e6": 1} if entry["entry"] == "filter" else entry for entry in DEFAULT_ENTRIES)]])
    with pytest.raises(ValueError, match="lacks a number"):
        parse([[{name: value for name, value in entry.items() if name != "fade_e6"} for entry in DEFAULT_ENTRIES]])


def test_an_item_of_its_own_easiness_is_as_easy_as_it_says_and_a_kind_without_entry_as_a_short_item() -> None:
    seen = evidence(1)
    calibration = parse([[*entries(), {"entry": "item", "item_id": str(seen.item_id), "easiness_e6": -250_000}]])
    assert calibration.easiness(seen.item_id, Kind.ITEM) == -0.25
    assert calibration.easiness(evidence(2).item_id, Kind.QUIZ) == DEFAULT.kinds[Kind.QUIZ].easiness
    bare = parse([[entry for entry in DEFAULT_ENTRIES if entry["entry"] != "kind"]])
    assert bare.kinds[Kind.PROJECT].precision == 1.0


def test_the_largest_re_estimate_fits_an_event() -> None:
    traces = tuple(
        CompetencyTrace(
            competency_id=f"{n:064}", mean_e6=-30_000_000, variance_e6=1_000_000, scored=255, items=3, days=255, last_minute=2**32 - 1,
            item_marks=(2**32 - 1,) * 3, due_minute=2**32 - 1, idle=255, idle_days=255, best_e6=-60_000_000, kinds=tuple(Kind),
        )
        for n in range(MAX_COMPETENCIES)
    )  # fmt: skip
    items = tuple(ItemTrace(mark=2**53 - 1, last_minute=2**32 - 1, count=255, percent=100) for _ in range(MAX_ITEMS))
    belief = {"mean_e6": -30_000_000, "variance_e6": 30_000_000}
    event = Reestimated(learner_id=LEARNER, evidence=evidence(1), general=belief, form=belief, competencies=traces, items=items)  # type: ignore[arg-type]  # Parsed from JSON values.
    assert len(canonical(event.body())) < MAX_EVENT_BYTES - 2_000
    state = mastery.evolve(State(), event)
    assert len(list(state.every_row())) == MAX_COMPETENCIES
    assert mastery.codec.decode(mastery.codec.encode(state)) == state
    assert mastery.decide(Recalibrate(LEARNER, 1), State(), parameters(), recorded(Recalibrate(LEARNER, 1).stream, [])) == []
