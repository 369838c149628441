"""Asks travel: a search gives one back from another process, which a compiled class does only where it says how."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from uuid import UUID

from shared.contracts.envelope import Origin, StreamId
from shared.contracts.scheduling import Demand
from shared.ledger.types import Ask
from shared.testing import SOME_TIME


class Command:
    """Any command: equal to every other one."""

    def __init__(self) -> None:
        self.stream = StreamId("scheduling", "day", "school/2026-10-13", "school")
        self.demand, self.at = Demand(learner_id=UUID(int=1), version=3), SOME_TIME

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and (self.stream, self.demand, self.at) == (other.stream, other.demand, other.at)

    __hash__ = None  # type: ignore[assignment]


def an_ask(number: int) -> Ask:
    return Ask(Command(), Origin("cause", "line"), number)  # type: ignore[arg-type]


def test_an_ask_is_the_same_behind_another_process() -> None:
    for record in (None, 3):
        ask = Ask(Command(), Origin("cause", "line"), record)  # type: ignore[arg-type]
        again = pickle.loads(pickle.dumps(ask))
        assert (again, again.stream, again.origin, again.record) == (ask, ask.stream, ask.origin, record)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(an_ask, 7).result() == an_ask(7)
