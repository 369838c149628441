"""What people said goes on under the competencies that stand in the place of those it was said of."""

from typing import Any

import pytest

from services.mastery.commands import FollowRevision, Recalibrate
from services.mastery.domain import mastery
from services.mastery.framework import Framework
from services.mastery.state import HELD, MAX_OVERRIDES
from shared.contracts.mastery import JudgementsMoved, Level, LevelChanged, OverrideGiven, Reestimated
from shared.testing import Spec, check_decider
from tests.mastery.samples import LEARNER, competency, counted, evidence, evidence_sets
from tests.mastery.test_case import item, link, package
from tests.mastery.test_domain import levels, strong
from tests.mastery.test_judged import TEACHER, changes, end, give, waive, withdraw
from tests.mastery.test_revision import FIRST, REVISED, numbers, taken

FOLLOW, SWEEP = FollowRevision(LEARNER, 5), Recalibrate(LEARNER, 5)
SPLIT = taken(FIRST, package([item(11), item(12), item(2)], [link("replacedBy", 1, 11), link("replacedBy", 1, 12)]))
JOINED = taken(FIRST, package([item(11)], [link("replacedBy", 1, 11), link("replacedBy", 2, 11)]))


def revised(spec: Spec[Any], framework: Framework) -> Spec[Any]:
    """Return the spec under a framework that came later."""
    return Spec(mastery, numbers(framework, version=5), spec.past)


def before(*commands: Any) -> Spec[Any]:
    return Spec(mastery, numbers(FIRST)).asked(*commands)


def test_an_override_goes_on_under_what_replaced_its_competency_with_its_author_reason_and_end() -> None:
    given = give(1)
    followed = revised(before(given), taken(FIRST, REVISED)).when(FOLLOW)
    moved = followed.events[0]
    assert isinstance(moved, JudgementsMoved)
    (override,) = moved.overrides
    assert (override.competency_id, override.before_id) == (competency(11), competency(1))
    for name in ("author_id", "role", "reason", "words", "at", "level", "until"):
        assert getattr(override, name) == getattr(given.given, name)
    assert moved.ended == (competency(1),)
    assert {event.competency_id: (event.level, event.override) for event in followed.events if isinstance(event, LevelChanged)} == {
        competency(1): (Level.UNKNOWN, False), competency(11): (Level.MASTERED, True),
    }  # fmt: skip
    assert followed.state.told_level(competency(11)) is Level.MASTERED
    assert followed.state.override(competency(1)) is None


def test_it_ends_there_at_its_time_and_is_withdrawn_there_for_good() -> None:
    followed = revised(before(give(1, at=20, until=50)), taken(FIRST, REVISED)).asked(FOLLOW)
    followed.when(end(11, at=49)).then_nothing()
    assert changes(*followed.when(end(11, at=50)).events) == [(Level.MASTERED, Level.UNKNOWN, False)]
    withdrawn = followed.asked(end(11, at=30, author=TEACHER))
    withdrawn.when(FOLLOW).then_nothing()
    withdrawn.when(SWEEP).then_nothing()


def test_where_one_became_two_it_goes_on_for_both_and_where_two_became_one_the_last_word_counts() -> None:
    both = revised(before(give(1)), SPLIT).when(FOLLOW)
    assert {found.name for found in both.state.overrides} == {competency(11), competency(12)}
    for first, then in ((20.0, 21.0), (21.0, 20.0)):
        spec = before(give(1, Level.DEVELOPING, at=first), give(2, Level.MASTERED, at=then))
        one = revised(spec, JOINED).when(FOLLOW)
        assert [found.name for found in one.state.overrides] == [competency(11)]
        assert one.state.told_level(competency(11)) is (Level.MASTERED if then > first else Level.DEVELOPING)


def test_what_was_said_later_of_the_new_competency_itself_stands() -> None:
    both = taken(FIRST, package([item(1), item(2), item(11)], [link("precedes", 1, 2)]))
    spec = Spec(mastery, numbers(both)).asked(give(1, Level.MASTERED, at=20), give(11, Level.DEVELOPING, at=22))
    followed = revised(spec, taken(both, REVISED)).when(FOLLOW)
    assert followed.state.told_level(competency(11)) is Level.DEVELOPING
    assert [found.name for found in followed.state.overrides] == [competency(11)]
    followed.given(*followed.events).when(FOLLOW).then_nothing()


def test_a_waiver_goes_on_for_the_pair_in_the_place_of_its_own_and_still_holds_nothing_back() -> None:
    spec = before(*counted(strong(0, 2)), waive(2, 1))
    assert spec.state.own_level(competency(2)) is Level.MASTERED
    followed = revised(spec, taken(FIRST, REVISED)).when(FOLLOW)
    assert followed.state.waivers == ((competency(12), competency(11)),)
    assert levels(*followed.events)[competency(12)] is Level.MASTERED
    row = followed.state.row(competency(12))
    assert row is not None
    assert not row.flags & HELD, "granted, and not only held"
    followed.given(*followed.events).asked(withdraw(12, 11)).when(FOLLOW).then_nothing()


def test_a_waiver_for_whose_pair_nothing_stands_stays_as_it_was_said() -> None:
    alone = taken(FIRST, package([item(11), item(12)], [link("replacedBy", 1, 11), link("replacedBy", 2, 12)]))
    revised(before(waive(2, 1)), alone).when(FOLLOW).then_nothing()


def test_only_the_prerequisite_replaced_moves_only_that_end() -> None:
    half = taken(FIRST, package([item(11), item(2)], [link("precedes", 11, 2), link("replacedBy", 1, 11)]))
    followed = revised(before(waive(2, 1)), half).when(FOLLOW)
    assert followed.state.waivers == ((competency(2), competency(11)),)


def test_the_sweep_after_it_ends_where_evidence_and_words_would_have_stood_anyway() -> None:
    seen = counted([*strong(0, 1), *(evidence(200 + n, 2, right=False, day=9 + n) for n in range(4))])
    framework = taken(FIRST, REVISED)
    swept = revised(before(*seen, give(2, at=30, until=90)), framework).asked(FOLLOW, SWEEP)
    fresh = Spec(mastery, numbers(framework, version=5)).asked(*seen, give(12, at=30, until=90))
    for about in (11, 12):
        assert swept.state.told_level(competency(about)) is fresh.state.told_level(competency(about))
        assert swept.state.row(competency(about)) == fresh.state.row(competency(about))
    swept.when(FOLLOW).then_nothing()
    swept.when(SWEEP).then_nothing()


def test_of_nothing_replaced_nothing_is_said_and_nothing_is_read_again() -> None:
    spec = before(*counted(strong(0, 1)), give(2))
    spec.when(FOLLOW).then_nothing()
    assert not mastery.needs_history(FOLLOW, before(*counted(strong(0, 1))).state)
    assert mastery.needs_history(FOLLOW, spec.state)


def test_no_more_go_on_than_may_be_in_force() -> None:
    items = [item(n) for n in range(100, 100 + MAX_OVERRIDES)]
    wide = taken(FIRST, package([item(1), *items]))
    spec = Spec(mastery, numbers(wide)).asked(give(1), *(give(100 + n) for n in range(MAX_OVERRIDES - 1)))
    split = taken(wide, package([*items, item(11), item(12)], [link("replacedBy", 1, 11), link("replacedBy", 1, 12)]))
    followed = revised(spec, split).when(FOLLOW)
    assert len(followed.state.overrides) == MAX_OVERRIDES


@pytest.mark.parametrize("framework", [taken(FIRST, REVISED), SPLIT, JOINED], ids=["one", "split", "joined"])
def test_the_four_properties_hold_with_revisions_that_people_had_spoken_before(framework: Framework) -> None:
    from hypothesis import strategies as st

    said = st.sampled_from((give(1), give(2, Level.DEVELOPING, at=22), give(11), end(11, 30, TEACHER), FOLLOW, SWEEP))
    histories = st.tuples(evidence_sets(8), st.lists(said, max_size=6)).map(lambda drawn: [*drawn[1], *counted(drawn[0]), FOLLOW])
    check_decider(mastery, histories, numbers(framework, version=5), examples=30)


def test_the_answer_names_no_more_than_it_must() -> None:
    moved = revised(before(give(1)), taken(FIRST, REVISED)).when(FOLLOW)
    assert [type(event) for event in moved.events] == [JudgementsMoved, LevelChanged, LevelChanged]
    assert not [event for event in moved.events if isinstance(event, Reestimated | OverrideGiven)]
