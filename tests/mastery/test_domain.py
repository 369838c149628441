"""What mastery decides, whatever order evidence comes in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mastery.codec import encode
from services.mastery.commands import CountEvidence, MasteryCommand, Recalibrate
from services.mastery.domain import mastery
from shared.contracts.evidence import EvidenceRecorded, Kind
from shared.contracts.mastery import Estimated, Level, LevelChanged, Reestimated
from shared.decider import Refusal
from shared.parameters import NO_PARAMETERS, Parameters
from shared.testing import Spec, answer, check_decider
from tests.mastery.samples import LEARNER, competency, counted, evidence, evidence_sets, parameters

CHAIN = parameters((1, 2), (2, 3), (4, 5), (5, 6))
PLAIN = parameters()


def levels(*events: object) -> dict[str, Level]:
    """Return the last level told of each competency."""
    return {event.competency_id: event.level for event in events if isinstance(event, LevelChanged)}


def asked(seen: list[EvidenceRecorded], parameters: Parameters = PLAIN) -> Spec[object]:
    return Spec(mastery, parameters).asked(*counted(seen))


def strong(first: int, *about: int, count: int = 16, from_day: float = 0) -> list[EvidenceRecorded]:
    """Return enough right answers, two a day, to master what they are about."""
    return [evidence(first + n, *about, day=from_day + n // 2 + n / 100) for n in range(count)]


def test_evidence_moves_learner_form_and_competency() -> None:
    (event,) = Spec(mastery).when(CountEvidence(evidence(1, right=True))).events
    assert isinstance(event, Estimated)
    assert event.general.mean_e6 > event.competencies[0].mean_e6 > event.form.mean_e6 > 0
    assert 0 < event.expected_e6 < 1_000_000
    assert (event.competencies[0].scored, event.competencies[0].items, event.competencies[0].days) == (1, 1, 1)


def test_an_estimate_has_the_bits_it_always_had() -> None:
    first, second = evidence(1, 1, 2, score_e6=750_000, kind=Kind.QUIZ), evidence(2, 2, right=False, day=3.5)
    events = asked([first, second], CHAIN).past
    assert [
        event.model_dump(mode="json", exclude={"evidence"}, exclude_defaults=True) for event in events if isinstance(event, Estimated)
    ] == GOLDEN


def test_evidence_asked_twice_adds_nothing() -> None:
    spec = asked([evidence(1), evidence(2, day=1)])
    spec.when(CountEvidence(evidence(2, day=1))).then_nothing()
    spec.when(CountEvidence(evidence(1))).then_nothing()


def test_late_evidence_is_weighed_in_its_place() -> None:
    late = asked([evidence(1), evidence(3, right=False, day=2)]).when(CountEvidence(evidence(2, day=1)))
    late.then_types(Reestimated)
    assert encode(late.state) == encode(asked([evidence(1), evidence(2, day=1), evidence(3, right=False, day=2)]).state)


def test_late_evidence_names_only_what_came_out_otherwise() -> None:
    spec = asked([evidence(1, 1), evidence(2, 2, day=2)])
    (event,) = spec.when(CountEvidence(evidence(3, 3, day=1))).events
    assert isinstance(event, Reestimated)
    assert [trace.competency_id for trace in event.competencies] == [competency(2), competency(3)]


def test_evidence_of_the_same_instant_is_ordered_by_its_id() -> None:
    assert encode(asked([evidence(1), evidence(2, right=False)]).state) == encode(asked([evidence(2, right=False), evidence(1)]).state)


@settings(deadline=None, max_examples=50)
@given(evidence_sets(), st.sampled_from((NO_PARAMETERS, CHAIN)))
def test_any_order_of_the_same_evidence_gives_the_same_state(seen: list[EvidenceRecorded], numbers: Parameters) -> None:
    in_order = sorted(seen, key=lambda known: (known.occurred_at, known.evidence_id.int))
    assert encode(asked(seen, numbers).state) == encode(asked(in_order, numbers).state)


def test_any_order_gives_the_same_levels_where_many_change() -> None:
    seen = [*strong(0, 1), *strong(100, 2), *(evidence(200 + n, 1, right=False, day=9 + n) for n in range(4)), *strong(300, 3)]
    in_order = sorted(seen, key=lambda known: (known.occurred_at, known.evidence_id.int))
    forward, backward = asked(in_order, CHAIN), asked(in_order[::-1], CHAIN)
    assert levels(*forward.past) == levels(*backward.past)
    assert set(levels(*forward.past).values()) == {Level.MASTERED, Level.REVERIFY}
    assert encode(forward.state) == encode(backward.state)


def test_what_no_framework_in_force_names_is_not_mastered_until_one_does() -> None:
    seen = strong(0, 1, 11)
    spec = asked(seen)
    assert levels(*spec.past)[competency(1)] is Level.MASTERED
    assert levels(*spec.past)[competency(11)] is Level.NEARLY
    wider = parameters(size=12, version=9)
    named = Spec(mastery, wider, spec.past).when(Recalibrate(LEARNER, 9))
    assert levels(*named.events) == {competency(11): Level.MASTERED}
    assert encode(named.state) == encode(asked(seen, wider).state)


def commands() -> st.SearchStrategy[list[MasteryCommand]]:
    """Draw histories: evidence in any order, some of it twice, with re-calibrations between."""

    def mixed(drawn: tuple[list[EvidenceRecorded], list[int], int]) -> list[MasteryCommand]:
        seen, again, place = drawn
        result: list[MasteryCommand] = [*counted(seen), *(CountEvidence(seen[at % len(seen)]) for at in again)]
        result.insert(place % (len(result) + 1), Recalibrate(LEARNER, place))
        return result

    return st.tuples(evidence_sets(12), st.lists(st.integers(0, 100), max_size=3), st.integers(0, 50)).map(mixed)


@pytest.mark.parametrize("numbers", [NO_PARAMETERS, CHAIN])
def test_the_four_properties_of_every_decider(numbers: Parameters) -> None:
    check_decider(mastery, commands(), numbers)


def test_new_parameters_lead_to_a_superseding_estimate_once() -> None:
    before = asked([evidence(n, 1, 2, day=n) for n in range(5)])
    changed = Spec(mastery, parameters(version=9, gain_right_e6=200_000), before.past)
    recalibrated = changed.when(Recalibrate(LEARNER, 9))
    event = recalibrated.events[0]
    assert isinstance(event, Reestimated)
    assert (event.settings, event.evidence, len(event.competencies), event.items) == (9, None, 2, None)
    changed.given(*recalibrated.events).when(Recalibrate(LEARNER, 9)).then_nothing()
    changed.given(*recalibrated.events).when(Recalibrate(LEARNER, 10)).then_nothing()
    afresh = Spec(mastery, changed.parameters).asked(*counted([evidence(n, 1, 2, day=n) for n in range(5)]))
    assert encode(recalibrated.state) == encode(afresh.state)


def test_parameters_that_change_nothing_say_nothing() -> None:
    asked([evidence(1)]).when(Recalibrate(LEARNER, 3)).then_nothing()
    Spec(mastery).when(Recalibrate(LEARNER, 3)).then_nothing()


def test_new_numbers_alone_take_no_mastery_back() -> None:
    before = asked(strong(0, 1))
    assert levels(*before.past)[competency(1)] is Level.MASTERED
    stricter = Spec(mastery, parameters(version=9, bar_e6=990_000), before.past)
    recalibrated = stricter.when(Recalibrate(LEARNER, 9))
    assert levels(*recalibrated.events) == {competency(1): Level.REVERIFY}
    stricter.given(*recalibrated.events).when(Recalibrate(LEARNER, 9)).then_nothing()


def test_a_level_is_announced_once_with_the_evidence_that_decided() -> None:
    spec = asked(strong(0, 1))
    changes = [event for event in spec.past if isinstance(event, LevelChanged)]
    assert [(change.before, change.level) for change in changes] == [
        (Level.UNKNOWN, Level.NEARLY), (Level.NEARLY, Level.MASTERED)
    ]  # fmt: skip
    assert changes[1].probability_e6 >= 900_000
    at = spec.past.index(changes[1])
    weighed = [event.evidence.evidence_id for event in spec.past[:at] if isinstance(event, Estimated)]
    assert changes[1].evidence_ids == (weighed[-1],)


def test_one_day_or_one_item_is_not_enough_to_master() -> None:
    one_day = asked([evidence(n, day=n / 100) for n in range(20)])
    one_item = asked([evidence(n, day=n, item=1) for n in range(20)])
    for spec in (one_day, one_item):
        assert Level.MASTERED not in [event.level for event in spec.past if isinstance(event, LevelChanged)]


def test_mastery_is_lost_only_by_a_failed_re_verification() -> None:
    wrong = [evidence(50 + n, right=False, day=20 + n / 10) for n in range(8)]
    told = [event.level for event in asked([*strong(0, 1), *wrong]).past if isinstance(event, LevelChanged)]
    assert told[:3] == [Level.NEARLY, Level.MASTERED, Level.REVERIFY]
    assert set(told[3:]) <= {Level.NEARLY, Level.DEVELOPING}
    assert told[3:]


def test_what_time_made_due_is_found_at_the_first_evidence_of_a_later_day() -> None:
    fading = parameters(fade_e6=300_000, general_variance_e6=50_000, gain_right_e6=250_000)  # What is known lies in the competency.
    spec = asked(strong(0, 1, count=24), fading)
    assert levels(*spec.past) == {competency(1): Level.MASTERED}
    same_day = spec.when(CountEvidence(evidence(90, 2, day=11.3)))
    assert competency(1) not in levels(*same_day.events)
    later = spec.when(CountEvidence(evidence(90, 2, day=700)))
    changed = [event for event in later.events if isinstance(event, LevelChanged) and event.competency_id == competency(1)]
    assert [(event.before, event.level) for event in changed] == [(Level.MASTERED, Level.REVERIFY)]
    assert evidence(90).evidence_id not in changed[0].evidence_ids
    assert changed[0].probability_e6 < 750_000


def test_an_unmet_prerequisite_holds_back_only_the_mastered_level() -> None:
    assert levels(*asked(strong(0, 2), CHAIN).past) == {competency(2): Level.NEARLY}
    assert levels(*asked(strong(0, 2), parameters((1, 2), headings=(1,))).past) == {competency(2): Level.MASTERED}
    assert levels(*asked(strong(0, 2)).past) == {competency(2): Level.MASTERED}


def test_mastering_a_prerequisite_lets_what_waited_behind_it_through() -> None:
    seen = [*strong(0, 3, count=18), *strong(100, 2, count=18, from_day=10), *strong(200, 1, count=18, from_day=20)]
    spec = asked(seen[:36], CHAIN)
    assert levels(*spec.past) == {competency(3): Level.NEARLY, competency(2): Level.NEARLY}
    for each in seen[36:]:
        answered = spec.when(CountEvidence(each))
        spec = spec.given(*answered.events)
        if Level.MASTERED in levels(*answered.events).values():
            break
    assert levels(*answered.events) == dict.fromkeys(map(competency, (1, 2, 3)), Level.MASTERED)
    assert all(each.evidence_id in event.evidence_ids for event in answered.events if isinstance(event, LevelChanged))


def test_evidence_and_the_first_framework_may_come_in_any_order() -> None:
    before = asked(strong(0, 2), NO_PARAMETERS)
    assert levels(*before.past) == {competency(2): Level.NEARLY}
    for numbers in (PLAIN, CHAIN):
        recalibrated = Spec(mastery, numbers, before.past).when(Recalibrate(LEARNER, 2))
        assert encode(recalibrated.state) == encode(asked(strong(0, 2), numbers).state)


def test_a_competency_that_the_framework_does_not_know_is_still_weighed() -> None:
    (event,) = Spec(mastery, CHAIN).when(CountEvidence(evidence(1, 77))).events
    assert isinstance(event, Estimated)


def test_an_unseen_competency_starts_from_what_is_known_of_its_prerequisite() -> None:
    spec = asked(strong(0, 1), CHAIN)
    known, unknown = (answer(mastery, CountEvidence(evidence(90, about, day=30)), spec.past, CHAIN) for about in (2, 5))
    assert not isinstance(known, Refusal)
    assert not isinstance(unknown, Refusal)
    assert known[0].expected_e6 > unknown[0].expected_e6  # type: ignore[attr-defined]  # Both are Estimated.


def estimate(
    expected: int, general: tuple[int, int], form: tuple[int, int], *about: tuple[int, int, int, int], **more: int
) -> dict[str, object]:
    """Return an estimate as the event's JSON holds it; `about` is (competency, mean, variance, how many of each sort of breadth)."""
    return {
        "expected_e6": expected, "general": {"mean_e6": general[0], "variance_e6": general[1]},
        "form": {"mean_e6": form[0], "variance_e6": form[1]},
        "competencies": [
            {"competency_id": competency(name), "mean_e6": mean, "variance_e6": variance, **dict.fromkeys(_BROAD, broad), **more}
            for name, mean, variance, broad in about
        ],
    }  # fmt: skip


_BROAD = ("scored", "items", "days")
# By hand: z = 0.6, p0 = 0.645656, V = 0.8 + 0.1 + 0.5 / 4 = 1.025, w = 3 p0 (1 - p0) = 0.686353, w V + 1 = 1.703512,
# err = 3 (0.75 - p0) / 1.703512 = 0.183757; general 0.8 err, 0.8 - 0.64 w / 1.703512 + 0.0005; competencies 0.125 err + 0.0325.
GOLDEN = [
    estimate(624_018, (147_005, 542_641), (18_376, 95_971), (1, 55_470, 247_705, 1), (2, 55_470, 247_705, 1)),
    estimate(668_675, (-169_341, 490_499), (-40_439, 96_029), (2, -83_512, 242_827, 2), idle=1, idle_days=1),
]


def test_an_item_that_was_about_something_else_counts_once_for_what_it_is_about_now() -> None:
    before = [evidence(n, 1, day=n // 3, item=n % 3) for n in range(6)]
    spec = asked([*before, *(evidence(50 + n, 2, day=10 + n, item=n % 3) for n in range(12))])
    row = spec.state.row(competency(2))
    assert row is not None
    assert (row.scored, row.items) == (3, 3)
