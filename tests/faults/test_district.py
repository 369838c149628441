"""What a scenario of a whole district sees to beside the oracle."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.district import SENT, STATED, District, go_on, inject_each
from tests.faults.stage import Stage
from tests.faults.town import NeverHappened

NOWHERE: Any = None


class Told:
    """A town of two services, of which the second one hears the first, and whose positions move on as they are given."""

    services = ("profile", "pathing")

    def __init__(self, sent: Iterator[int], heard: Iterator[int]) -> None:
        self._sent, self._heard = sent, heard

    def ask(self, service: str, query: str) -> list[tuple[Any, ...]]:
        """Return what each question of `progress` gives."""
        if query == SENT:
            return [(next(self._sent),)]
        return [("profile", next(self._heard))] if service == "pathing" else []


def test_a_service_that_did_not_meet_a_fault_is_a_violation() -> None:
    stage = Stage(NOWHERE, Path(), 1, "any")
    inject_each(stage, "connection cut", {"profile": 2, "pathing": 3})
    assert not stage.verdict.violations
    assert stage.injected == {"connection cut (profile 2, pathing 3)": 5}
    inject_each(stage, "connection cut", {"profile": 2, "pathing": 0})
    assert stage.verdict.violations == ["pathing did not meet it: connection cut"]


def test_all_go_on_only_if_each_publishes_and_hears_something_new() -> None:
    moving: Any = Told(iter(range(100)), iter(range(100)))
    go_on(moving, 1)
    standing: Any = Told(iter(range(1_000)), iter([7] * 1_000))
    with pytest.raises(NeverHappened, match="not within 0 s: pathing hears profile"):
        go_on(standing, 0)


def test_what_was_acknowledged_and_is_not_in_the_ledger_is_named() -> None:
    class Kept:
        def ask(self, service: str, query: str) -> list[tuple[Any, ...]]:
            assert (service, query) == ("profile", STATED)
            return [("a", ["read", "listen"])]

    town: Any = Kept()
    made = District(town, NOWHERE, 1, liked=[("a", ["read", "listen"])])
    assert not made.forgotten()
    made.liked.append(("a", ["listen", "read"]))
    assert made.forgotten() == ["profile has acknowledged and lost: ('a', ['listen', 'read'])"]
