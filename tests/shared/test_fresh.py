"""What a relay keeps between a commit and the sending of its events."""

from dataclasses import dataclass
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.envelope import Recorded
from shared.relay.fresh import Fresh, Row


@dataclass
class _Event:
    partition: int
    position: int
    key: str = "key"
    raw: bytes = b"12345"


def events(partition: int, *positions: int) -> list[Recorded[Any]]:
    return cast(list[Recorded[Any]], [_Event(partition, position) for position in positions])


def positions(found: dict[int, list[Row]]) -> dict[int, list[int]]:
    return {partition: [row[1] for row in rows] for partition, rows in found.items()}


def test_what_was_committed_is_there_from_the_next_position_on_until_it_is_sent() -> None:
    fresh = Fresh()
    fresh.add(events(0, 0, 1, 2))
    fresh.add(events(3, 7, 8))
    assert positions(fresh.next({0: 0, 3: 7, 5: 0}, 10, 1_000)) == {0: [0, 1, 2], 3: [7, 8]}
    assert positions(fresh.next({0: 0, 3: 8}, 10, 1_000)) == {0: [0, 1, 2], 3: [8]}
    assert positions(fresh.next({0: 3, 3: 9}, 10, 1_000)) == {}


def test_a_batch_has_its_limits() -> None:
    fresh = Fresh()
    fresh.add(events(0, *range(10)))
    assert positions(fresh.next({0: 0}, 4, 1_000)) == {0: [0, 1, 2, 3]}
    assert positions(fresh.next({0: 0}, 10, 11)) == {0: [0, 1, 2]}


def test_what_does_not_continue_begins_anew_and_what_is_missing_is_left_to_the_ledger() -> None:
    fresh = Fresh()
    fresh.add(events(0, 0, 1))
    fresh.add(events(0, 5, 6))
    assert positions(fresh.next({0: 0}, 10, 1_000)) == {}
    assert positions(fresh.next({0: 5}, 10, 1_000)) == {0: [5, 6]}


def test_no_more_is_kept_than_its_share_of_memory() -> None:
    fresh = Fresh(most_bytes=12)
    fresh.add(events(0, *range(10)))
    assert positions(fresh.next({0: 0}, 10, 1_000)) == {0: [0, 1, 2]}
    assert positions(fresh.next({0: 3}, 10, 1_000)) == {}
    fresh.add(events(0, 10, 11))
    assert positions(fresh.next({0: 10}, 10, 1_000)) == {0: [10, 11]}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=12), st.integers(0, 12))
def test_what_is_found_begins_at_the_next_position_and_has_no_gap(runs: list[tuple[int, int]], position: int) -> None:
    fresh = Fresh(most_bytes=40)
    for first, count in runs:
        fresh.add(events(1, *range(first, first + count)))
    found = positions(fresh.next({1: position}, 5, 1_000)).get(1, [position])
    assert found == list(range(position, position + len(found)))
