"""Since when work waits: what stands, what moves, what is idle, and what was tried in vain."""

from shared.standing import FORGOTTEN_S, Standing, Undone


def test_what_moves_or_has_nothing_before_it_does_not_stand() -> None:
    """Nor does what was seen once: it may have gone on a moment later."""
    standing = Standing()
    for second in range(41):
        standing.see({"moves": second, "stands": 7} | ({} if second == 20 else {"idle for a moment": 1}), float(second))
    assert standing.seconds() == {"moves": 0.0, "stands": 40.0, "idle for a moment": 19.0}


def test_work_counts_from_its_first_vain_try_as_long_as_it_is_due() -> None:
    undone = Undone()
    undone.due(["waits for its turn"], 0.0)
    undone.tried("broken", False, 10.0)
    undone.tried("broken", False, 20.0)
    assert undone.seconds() == 0.0, "it may be over"
    undone.due(["broken", "waits for its turn"], 45.0)
    assert undone.seconds() == 35.0
    undone.tried("broken", True, 46.0)
    assert undone.seconds() == 0.0


def test_work_that_is_due_no_more_is_forgotten() -> None:
    undone = Undone()
    undone.tried("broken", False, 0.0)
    undone.due(["broken"], 40.0)
    undone.due([], 40.0 + FORGOTTEN_S)
    assert undone.seconds() == 0.0
