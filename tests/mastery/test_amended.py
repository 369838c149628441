"""Evidence that is corrected or void: as if it had been told so, or never."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mastery.codec import encode
from services.mastery.commands import CountEvidence, Recalibrate, Rescore, Void
from services.mastery.domain import mastery
from services.mastery.state import State
from shared.contracts.evidence import Cause, EvidenceRecorded, EvidenceRescored, EvidenceVoided
from shared.contracts.mastery import Level, LevelChanged, PersonNeeded, Reestimated
from shared.testing import Spec, check_decider
from tests.mastery.samples import LEARNER, MONDAY, competency, counted, evidence, evidence_sets, parameters
from tests.mastery.test_domain import CHAIN, PLAIN, asked, levels, strong

AUTHOR = UUID("0a000000-0000-4000-8000-000000000001")


def void(number: int) -> Void:
    return Void(EvidenceVoided(**_amends(number), cause=Cause.NOT_OWN_WORK))  # type: ignore[arg-type]  # By name.


def rescore(number: int, score_e6: int) -> Rescore:
    return Rescore(EvidenceRescored(**_amends(number), cause=Cause.APPEAL, score_e6=score_e6))  # type: ignore[arg-type]  # By name.


def _amends(number: int) -> dict[str, object]:
    at = MONDAY + timedelta(days=100)
    return {"evidence_id": evidence(number).evidence_id, "learner_id": LEARNER, "author_id": AUTHOR, "at": at}


def without_watermark(state: State) -> bytes:
    copy = state.copy()
    copy.last_us, copy.last_id = 0, 0
    return encode(copy)


def test_after_a_void_everything_is_as_if_the_evidence_had_never_been() -> None:
    seen = [*strong(0, 1, 2), evidence(50, 3, day=4.1), evidence(51, 1, right=False, day=5.2)]
    spec = asked(seen, CHAIN)
    for gone in (50, 51, 15, 0):
        voided = spec.when(void(gone))
        never = asked([each for each in seen if each.evidence_id != evidence(gone).evidence_id], CHAIN)
        assert without_watermark(voided.state) == without_watermark(never.state)
        assert (voided.state.last_us, voided.state.last_id) == (spec.state.last_us, spec.state.last_id)


@settings(deadline=None, max_examples=40)
@given(evidence_sets(14), st.data())
def test_voiding_any_evidence_in_any_order_restores(seen: list[EvidenceRecorded], data: st.DataObject) -> None:
    gone = data.draw(st.lists(st.sampled_from(seen), unique_by=lambda each: each.evidence_id, max_size=4))
    spec = asked(seen, CHAIN)
    for each in gone:
        spec = spec.asked(void(each.evidence_id.int & 0xFFFF))
    never = asked([each for each in seen if each not in gone], CHAIN)
    assert without_watermark(spec.state) == without_watermark(never.state)


def test_a_void_cites_both_and_takes_mastery_back_naming_the_evidence() -> None:
    spec = asked(strong(0, 1, count=12))
    assert levels(*spec.past)[competency(1)] is Level.MASTERED
    for gone in range(3, 12):
        spec = spec.asked(void(gone))
    first = next(event for event in spec.past if isinstance(event, Reestimated))
    assert first.voided is not None
    assert (first.voided.author_id, first.voided.cause, first.evidence, first.rescored) == (AUTHOR, Cause.NOT_OWN_WORK, None, None)
    lost = [event for event in spec.past if isinstance(event, LevelChanged) and event.before is Level.MASTERED]
    assert [event.level in (Level.NEARLY, Level.DEVELOPING) for event in lost] == [True]
    assert len(lost[0].evidence_ids) == 1


def test_the_only_evidence_void_leaves_nothing() -> None:
    spec = asked([evidence(1, 1, 2)]).asked(void(1))
    empty = State(last_us=spec.state.last_us, last_id=spec.state.last_id)
    assert spec.state == empty
    event = spec.past[-1]
    assert isinstance(event, Reestimated)
    assert event.gone == (competency(1), competency(2))


def test_what_is_void_stays_void_and_is_counted_no_more() -> None:
    spec = asked([evidence(1), evidence(2, day=1)]).asked(void(2))
    spec.when(CountEvidence(evidence(2, day=1))).then_nothing()
    spec.when(void(2)).then_nothing()
    spec.when(rescore(2, 500_000)).then_nothing()
    spec.when(void(77)).then_nothing()
    after = spec.asked(CountEvidence(evidence(3, day=2)), CountEvidence(evidence(4, day=0.5)))
    assert without_watermark(after.state) == without_watermark(asked([evidence(1), evidence(4, day=0.5), evidence(3, day=2)]).state)


def test_a_corrected_score_counts_as_if_it_had_been_told_so() -> None:
    seen = [evidence(n, 1, 2, right=n % 3 != 0, day=n / 2) for n in range(9)]
    spec = asked(seen, CHAIN).asked(rescore(3, 1_000_000))
    told = [each.model_copy(update={"score_e6": 1_000_000}) if n == 3 else each for n, each in enumerate(seen)]
    assert encode(spec.state) == encode(asked(told, CHAIN).state)
    spec.when(rescore(3, 1_000_000)).then_nothing()
    again = spec.asked(rescore(3, 0))
    assert encode(again.state) == encode(asked(seen, CHAIN).state)
    again.when(rescore(3, 1_000_000)).then_nothing()  # Told before, and since corrected otherwise.


def test_evidence_weighed_again_for_other_reasons_keeps_its_corrected_score() -> None:
    spec = asked([evidence(1, right=False), evidence(2, day=1)]).asked(rescore(1, 1_000_000), CountEvidence(evidence(3, day=0.5)))
    told = asked([evidence(1), evidence(3, day=0.5), evidence(2, day=1)])
    assert encode(spec.state) == encode(told.state)
    spec.when(Recalibrate(LEARNER, 3)).then_nothing()


def test_turning_the_last_answer_right_never_lowers_an_estimate() -> None:
    for count in range(1, 12):
        seen = [evidence(n, 1, right=n % 2 == 0, day=n) for n in range(count)] + [evidence(90, 1, right=False, day=count)]
        wrong = asked(seen)
        right = wrong.asked(rescore(90, 1_000_000))
        before, after = wrong.state.row(competency(1)), right.state.row(competency(1))
        assert before is not None
        assert after is not None
        assert after.mean >= before.mean
        assert right.state.general[0] >= wrong.state.general[0]
        assert after.variance >= 0


@settings(deadline=None, max_examples=40)
@given(evidence_sets(14), st.integers(0, 999_999))
def test_a_better_last_answer_never_lowers_what_it_is_about_whatever_came_before(seen: list[EvidenceRecorded], lower: int) -> None:
    last = max(seen, key=lambda each: (each.occurred_at, each.evidence_id.int))
    others = [each for each in seen if each is not last]
    worse, better = (asked([*others, last.model_copy(update={"score_e6": score})], CHAIN).state for score in (lower, 1_000_000))
    assert better.general[0] >= worse.general[0]
    assert better.form[0] >= worse.form[0]
    for name in last.competency_ids:
        up, down = better.row(name), worse.row(name)
        assert up is not None
        assert down is not None
        assert up.mean >= down.mean
    for state in (better, worse):
        assert min(state.general[1], state.form[1], *(row.variance for _, row in state.every_row())) > 0


def test_a_void_may_end_that_a_person_is_needed() -> None:
    spec = asked([evidence(n, 1, right=False, day=n) for n in range(12)])
    assert [event.needed for event in spec.past if isinstance(event, PersonNeeded)] == [True]
    for gone in range(1, 4):
        spec = spec.asked(void(gone))
    assert [event.needed for event in spec.past if isinstance(event, PersonNeeded)] == [True, False]


@pytest.mark.parametrize("numbers", [PLAIN, CHAIN], ids=["plain", "chain"])
def test_the_four_properties_hold_with_amendments(numbers: object) -> None:
    def mixed(drawn: tuple[list[EvidenceRecorded], list[tuple[int, int | None]]]) -> list[object]:
        seen, changes = drawn
        commands: list[object] = [*counted(seen)]
        for place, score in changes:
            number = seen[place % len(seen)].evidence_id.int & 0xFFFF
            commands.append(void(number) if score is None else rescore(number, score))
        return commands

    changes = st.lists(st.tuples(st.integers(0, 20), st.none() | st.sampled_from((0, 500_000, 1_000_000))), max_size=4)
    check_decider(mastery, st.tuples(evidence_sets(10), changes).map(mixed), numbers, examples=30)  # type: ignore[arg-type]  # Parameters.


def test_another_learners_evidence_is_not_touched() -> None:
    other = UUID("7d1f1a52-0000-4000-8000-000000000002")
    spec = Spec(mastery, parameters()).asked(CountEvidence(evidence(1, learner=other)))
    assert Void(void(1).voided).stream != CountEvidence(evidence(1, learner=other)).stream
    assert spec.state.row(competency(1)) is not None
