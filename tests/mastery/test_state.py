"""What is remembered of a learner: bounded, the same after its encoding, and small."""

import random
from uuid import UUID

import pytest
from hypothesis import given, settings

from services.mastery.codec import decode, encode
from services.mastery.domain import CountEvidence, mastery
from services.mastery.state import MAX_COMPETENCIES, MAX_ITEMS, State, item_mark, key_of, minute_of
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import CompetencyTrace, Level
from shared.parameters import NO_PARAMETERS
from tests.mastery.samples import MONDAY, competency, evidence, evidence_sets

MOST_BYTES = 3 * 1024


def after(seen: list[EvidenceRecorded]) -> State:
    """Return the state after this evidence, in order of time."""
    state = State()
    for each in sorted(seen, key=lambda known: (known.occurred_at, known.evidence_id.int)):
        events = mastery.decide(CountEvidence(each), state, NO_PARAMETERS, ())
        assert not hasattr(events, "code")
        state = mastery.fold(events, state)
    return state


def trace(name: str, minute: int) -> CompetencyTrace:
    return CompetencyTrace(competency_id=name, mean_e6=1, variance_e6=2, scored=1, days=1, last_minute=minute)


@settings(deadline=None, max_examples=60)
@given(evidence_sets())
def test_a_state_survives_its_encoding(seen: list[EvidenceRecorded]) -> None:
    state = after(seen)
    assert decode(encode(state)) == state
    assert encode(decode(encode(state))) == encode(state)


def test_an_empty_state_survives_its_encoding() -> None:
    assert decode(encode(State())) == State()


def test_thirty_competencies_and_all_items_take_less_than_3_kib() -> None:
    draw = random.Random(1)
    state = after([evidence(n, draw.randint(1, 30), right=draw.random() < 0.7, day=n / 8) for n in range(900)])
    assert len(state.means) == 30
    assert len(state.item_marks) == MAX_ITEMS
    assert all(len(state.marks_of(row)) == 3 and len(state.kept_of(row)) == 2 for row in range(30))
    assert len(encode(state)) <= MOST_BYTES


def test_only_the_items_worked_on_last_are_remembered() -> None:
    state = after([evidence(n, day=n, item=n) for n in range(60)] + [evidence(60, day=60, item=20)])
    assert len(state.item_marks) == MAX_ITEMS
    assert state.item(item_mark(evidence(0, item=11).item_id)) == -1
    assert state.item(item_mark(evidence(0, item=20).item_id)) == MAX_ITEMS - 1
    assert state.item_counts[-1] == 2


def test_an_item_repeated_on_the_same_day_is_scored_once() -> None:
    assert after([evidence(n, day=n / 100, item=7) for n in range(5)]).scored[0] == 1
    assert after([evidence(n, day=n, item=7) for n in range(5)]).scored[0] == 5
    assert after([evidence(n, day=n / 100) for n in range(5)]).scored[0] == 5


def test_items_and_days_are_counted_once_each() -> None:
    state = after([evidence(n, day=n // 4 + n / 1000, item=n % 2) for n in range(12)])
    assert (len(state.marks_of(0)), state.days[0]) == (2, 3)


def test_counts_stop_at_their_limit() -> None:
    state = after([evidence(n, day=n) for n in range(300)])
    assert (state.scored[0], state.days[0], len(state.marks_of(0))) == (255, 255, 3)


def test_the_competency_left_alone_longest_is_forgotten_first() -> None:
    state = State()
    for n in range(MAX_COMPETENCIES + 2):
        state.replace(trace(competency(n), minute=1_000 + n))
    state.forget_oldest()
    assert len(state.means) == MAX_COMPETENCIES
    assert [state.find(competency(n)) >= 0 for n in range(4)] == [False, False, True, True]
    assert decode(encode(state)) == state


@pytest.mark.parametrize("name", [competency(5), "5.NF.A.1", "C0000005-0000-4000-8000-000000000005", "é" * 64])
def test_a_competency_is_found_under_its_id_whatever_it_looks_like(name: str) -> None:
    state = State()
    for other in (competency(5), "5.NF.A.1", competency(9), "x", "é" * 64, "C0000005-0000-4000-8000-000000000005"):
        state.replace(trace(other, minute=len(other)))
    assert state.competency(state.find(name)) == name
    assert state.minutes[state.find(name)] == len(name)
    assert state.find("unheard-of") == -1
    assert decode(encode(state)).competency(state.find(name)) == name


def test_rows_stand_in_the_order_of_their_keys_however_they_came() -> None:
    names = [competency(n) for n in range(20)] + ["b", "a"]
    one, other = State(), State()
    for name in names:
        one.replace(trace(name, 3))
    for name in reversed(names):
        other.replace(trace(name, 3))
    assert one == other
    assert [key_of(name) for name in one.competencies()] == sorted(key_of(name) for name in names)


def test_instants_before_1970_and_in_the_year_9999_are_kept_within_bounds() -> None:
    assert minute_of(MONDAY.replace(year=1960)) == 0
    assert minute_of(MONDAY.replace(year=9999)) < 2**32
    state = after([evidence(1).model_copy(update={"occurred_at": MONDAY.replace(year=year)}) for year in (1,)])
    assert decode(encode(state)) == state


def test_a_copy_leaves_the_state_as_it_was() -> None:
    state = after([evidence(n, day=n) for n in range(3)])
    before = encode(state)
    copy = state.copy()
    copy.replace(trace(competency(40), 1))
    copy.replace(trace(competency(1), 9))
    copy.set_level(competency(1), Level.MASTERED)
    copy.remember_item(evidence(99), 12)
    assert encode(state) == before != encode(copy)


def test_every_item_is_told_from_others_by_its_hash() -> None:
    assert item_mark(UUID(int=1)) != item_mark(UUID(int=2))
    assert item_mark(UUID(int=5 << 64 | 5)) == 1  # Folds to 0, which means none.
    assert all(0 < item_mark(evidence(n).item_id) < 2**53 for n in range(100))
