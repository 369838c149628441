"""Readiness is progress: of the service, and of each partition that it hears."""

import pytest

from shared.consume.health import AHEAD, JOIN_AGAIN_S, PASSED_OVER, Health, Place, Unread
from shared.ledger.types import Inbox

STALLED_S = 30.0
BUSY, STUCK = ("evidence", 0), ("evidence", 1)


def health(*, busy: int, stuck: int) -> Health:
    """A service that has applied nothing of two partitions of these lengths, at second 0."""
    made = Health(STALLED_S, now=0.0)
    applied(made, 0.0, **{"0": -1, "1": -1})
    made.told(*BUSY, busy)
    made.told(*STUCK, stuck)
    return made


def applied(health: Health, now: float, **positions: int) -> None:
    """Look at the inbox: partition -> position."""
    found: dict[Place, Inbox] = {
        ("evidence", int(partition)): Inbox("evidence", int(partition), position, "", None) for partition, position in positions.items()
    }
    health.applied(found, now)


def test_a_partition_that_stands_still_beside_others_is_named() -> None:
    sick = health(busy=100, stuck=5)
    for second in range(1, 32):
        sick.told(*BUSY, 100 + second)
        applied(sick, float(second), **{"0": 50 + second, "1": -1})
        progress = sick.progress(float(second))
        assert not progress.stalled
        assert bool(progress.stuck) is (second >= STALLED_S)
    assert progress.stuck == ("5 events of partition 1 of evidence wait, and none was applied for 31 s",)
    applied(sick, 32.0, **{"1": 0})
    assert not sick.progress(32.0).stuck, "it moves again"


def test_a_partition_that_waits_for_its_turn_is_not_stuck() -> None:
    loaded = health(busy=1_000_000, stuck=5)
    for second in range(1, 61):
        applied(loaded, float(second), **{"0": second * 3_000, "1": -1})
        assert not loaded.progress(float(second)).stuck
    applied(loaded, 61.0, **{"0": 1_000_000 - AHEAD, "1": -1})
    assert loaded.progress(61.0).stuck, "the others have nothing to do any more"


def test_nobody_waits_for_a_turn_for_ever() -> None:
    crowded = health(busy=1_000_000, stuck=5)
    end = PASSED_OVER * STALLED_S
    applied(crowded, end, **{"0": 3_000, "1": -1})
    assert not crowded.progress(end - 1).stuck
    assert crowded.progress(end).stuck


@pytest.mark.parametrize("behind", [0, 5])
def test_where_nothing_moves_the_service_stands_still_as_a_whole(behind: int) -> None:
    still = health(busy=behind, stuck=behind)
    progress = still.progress(STALLED_S)
    assert progress.stalled is (behind > 0)
    assert not progress.stuck, "said once"


def test_the_group_is_asked_at_most_every_five_minutes_for_what_stands_still_unread() -> None:
    unread = Unread()
    assert not unread.is_due({}, 1.0)
    assert unread.is_due({BUSY: 5}, 2.0)
    assert not unread.is_due({BUSY: 5, STUCK: 7}, JOIN_AGAIN_S + 1.9), "the first request was less than five minutes ago"
    assert unread.is_due({BUSY: 5, STUCK: 7}, JOIN_AGAIN_S + 2.0)
    assert not unread.is_due({BUSY: 5, STUCK: 7}, 3 * JOIN_AGAIN_S), "both were asked for, and stand there still"
    assert not unread.is_due({STUCK: 7}, 3 * JOIN_AGAIN_S)
    assert unread.is_due({BUSY: 6, STUCK: 7}, 4 * JOIN_AGAIN_S), "it went on, and stands still again"


def test_the_group_is_asked_again_for_what_was_read_in_between_and_came_nowhere() -> None:
    unread = Unread()
    assert unread.is_due({STUCK: 7}, 0.0)
    assert not unread.is_due({}, 60.0), "this worker was given it"
    assert not unread.is_due({STUCK: 7}, 120.0)
    assert unread.is_due({STUCK: 7}, JOIN_AGAIN_S)
