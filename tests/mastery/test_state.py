"""What is remembered of a learner: bounded, the same after its encoding, and small."""

import random
from uuid import UUID

import pytest
from hypothesis import given, settings

from services.mastery.codec import decode, encode
from services.mastery.commands import CountEvidence
from services.mastery.domain import mastery
from services.mastery.state import (
    ITEM_BYTES,
    MAX_COMPETENCIES,
    MAX_ITEMS,
    MAX_OPEN,
    NEVER,
    ROW_BYTES,
    Override,
    Row,
    State,
    item_mark,
    key_of,
    minute_of,
)
from shared.contracts.evidence import EvidenceRecorded
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


def row(name: str, minute: int, due: int = 0) -> Row:
    return Row(key_of(name), 1, 2, minute, 3, 4, 0, 0, 1, 1, 1, 3 if due else 0, 0, 0, 0, due)


def only(state: State) -> Row:
    ((_, found),) = state.every_row()
    return found


@settings(deadline=None, max_examples=60)
@given(evidence_sets())
def test_a_state_survives_its_encoding(seen: list[EvidenceRecorded]) -> None:
    state = after(seen)
    assert decode(encode(state)) == state
    assert encode(decode(encode(state))) == encode(state)


def test_an_empty_state_and_what_people_set_survive_their_encoding() -> None:
    assert decode(encode(State())) == State()
    state = State(waivers=(("a", "b"), ("é", "c")))
    state.put_override(Override("x", 3, 10**15))
    state.put_override(Override("a", 1, 5))
    state.put_override(Override("x", 2, 10**15))
    assert state.overrides == (Override("a", 1, 5), Override("x", 2, 10**15))
    assert decode(encode(state)) == state


def test_thirty_competencies_and_all_items_take_less_than_3_kib() -> None:
    draw = random.Random(1)
    state = after([evidence(n, draw.randint(1, 30), right=draw.random() < 0.7, day=n / 8) for n in range(900)])
    rows = [found for _, found in state.every_row()]
    assert len(rows) == 30
    assert len(state.items) == MAX_ITEMS * ITEM_BYTES
    assert all(found.items == 3 for found in rows)
    assert len(encode(state)) <= MOST_BYTES


def test_only_the_items_worked_on_last_are_remembered() -> None:
    state = after([evidence(n, day=n, item=n) for n in range(60)] + [evidence(60, day=60, item=20)])
    assert len(list(state.every_item())) == MAX_ITEMS
    assert state.item(item_mark(evidence(0, item=11).item_id)) is None
    last = list(state.every_item())[-1]
    assert last == state.item(item_mark(evidence(0, item=20).item_id))
    assert last.times == 2


def test_an_item_that_is_remembered_is_scored_once_however_often_it_comes() -> None:
    assert only(after([evidence(n, day=n / 100, item=7) for n in range(5)])).scored == 1
    assert only(after([evidence(n, day=n, item=7) for n in range(5)])).scored == 1
    assert only(after([evidence(n, day=n / 100) for n in range(5)])).scored == 5


def test_items_and_days_are_counted_once_each() -> None:
    found = only(after([evidence(n, day=n // 4 + n / 1000, item=n % 2) for n in range(12)]))
    assert (found.items, found.days, len(found.marks)) == (2, 3, 2)


def test_counts_stop_at_their_limit() -> None:
    found = only(after([evidence(n, day=n) for n in range(300)]))
    assert (found.scored, found.days, found.items) == (255, 255, 3)


def test_the_competency_left_alone_longest_is_forgotten_first() -> None:
    state = State()
    for n in range(MAX_COMPETENCIES + 2):
        state.put(competency(n), row(competency(n), minute=1_000 + n))
    assert len(state.rows) == MAX_COMPETENCIES * ROW_BYTES
    assert [state.row(competency(n)) is not None for n in range(4)] == [False, False, True, True]
    assert decode(encode(state)) == state


@pytest.mark.parametrize("name", [competency(5), "5.NF.A.1", "C0000005-0000-4000-8000-000000000005", "é" * 64])
def test_a_competency_is_found_under_its_id_whatever_it_looks_like(name: str) -> None:
    state = State()
    for other in (competency(5), "5.NF.A.1", competency(9), "x", "é" * 64, "C0000005-0000-4000-8000-000000000005"):
        state.put(other, row(other, minute=len(other)))
    found = state.row(name)
    assert found is not None
    assert (state.name_of(found.key), found.minute) == (name, len(name))
    assert state.row("unheard-of") is None
    assert decode(encode(state)).row(name) == found


def test_rows_stand_in_the_order_of_their_keys_however_they_came() -> None:
    names = [competency(n) for n in range(20)] + ["b", "a"]
    one, other = State(), State()
    for name in names:
        one.put(name, row(name, 3))
    for name in reversed(names):
        other.put(name, row(name, 3))
    assert one == other
    assert [key_of(name) for name, _ in one.every_row()] == sorted(key_of(name) for name in names)


def test_a_key_that_stands_within_other_records_is_not_taken_for_one() -> None:
    state = State()
    inner = UUID(int=0x01_00_00_00 << 96)
    state.put(competency(1), row(competency(1), minute=1))
    state.put(str(inner), row(str(inner), minute=9))
    assert [found.minute for _, found in state.every_row()] == [9, 1]
    hidden = int.from_bytes(state.rows[ROW_BYTES + 16 : ROW_BYTES + 32], "big")
    assert state.row(str(UUID(int=hidden))) is None


def test_the_earliest_due_minute_is_known_whatever_comes_and_goes() -> None:
    state = State()
    assert state.next_due == NEVER
    for n, due in ((1, 50), (2, 40), (3, 60)):
        state.put(competency(n), row(competency(n), 1, due))
    assert state.next_due == 40
    state.put(competency(2), row(competency(2), 1, 70))
    assert state.next_due == 50
    state.put(competency(1), row(competency(1), 1))
    assert state.next_due == 60
    state.drop(competency(3))
    assert state.next_due == 70
    state.drop(competency(2))
    assert state.next_due == NEVER


def test_instants_before_1970_and_in_the_year_9999_are_kept_within_bounds() -> None:
    assert minute_of(MONDAY.replace(year=1960)) == 0
    assert minute_of(MONDAY.replace(year=9999)) < 2**32
    state = after([evidence(1).model_copy(update={"occurred_at": MONDAY.replace(year=year)}) for year in (1,)])
    assert decode(encode(state)) == state


def test_a_copy_leaves_the_state_as_it_was() -> None:
    state = after([evidence(n, day=n) for n in range(3)])
    before = encode(state)
    copy = state.copy()
    copy.put(competency(40), row(competency(40), 1))
    copy.put_item(99, 12, 100)
    copy.put_override(Override("x", 3, 1))
    assert encode(state) == before != encode(copy)


def test_rows_that_lie_open_are_the_same_as_packed_ones() -> None:
    names, draw = [competency(n) for n in range(3 * MAX_OPEN)] + ["a", "b"], random.Random(3)
    state, known = State(), dict[str, Row]()
    for n in range(2_000):
        name, copy = draw.choice(names), state.copy()
        if n % 50 == 49:
            copy.drop(name)
            rows = {other: found for other, found in known.items() if other != name}
        else:
            rows = known | {name: row(name, n, due=draw.randint(0, 9))}
            copy.put(name, rows[name])
        assert {name: state.row(name) for name in known} == known
        assert copy.next_due == min((found.due for found in rows.values() if found.due), default=NEVER)
        if n % 7 == 0:
            assert dict(copy.every_row()) == rows
            assert decode(encode(copy)) == copy != state
        state, known = copy, rows
    assert len(known) > MAX_OPEN


@settings(deadline=None, max_examples=40)
@given(evidence_sets())
def test_what_is_decided_would_pass_as_if_it_came_from_outside(seen: list[EvidenceRecorded]) -> None:
    state = State()
    for each in sorted(seen, key=lambda known: (known.occurred_at, known.evidence_id.int)):
        events = mastery.decide(CountEvidence(each), state, NO_PARAMETERS, ())
        assert not hasattr(events, "code")
        for event in events:
            assert type(event).model_validate(event.body()) == event
            state = mastery.evolve(state, event)


def test_every_item_is_told_from_others_by_its_hash() -> None:
    assert item_mark(UUID(int=1)) != item_mark(UUID(int=2))
    assert item_mark(UUID(int=5 << 64 | 5)) == 1  # Folds to 0, which means none.
    assert all(0 < item_mark(evidence(n).item_id) < 2**53 for n in range(100))
