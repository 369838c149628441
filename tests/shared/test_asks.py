"""Asks travel: a search gives one back from another process, which a compiled class does only where it says how."""

import pickle
from datetime import date
from uuid import UUID

from services.scheduling.domain import TakeStaff
from shared.contracts.envelope import Origin
from shared.ledger.types import Ask
from shared.ticker.pool import SearchPool

TUESDAY = date(2026, 10, 13)


def an_ask(record: int | None) -> Ask:
    return Ask(TakeStaff(UUID(int=1), TUESDAY, TUESDAY, 3, ()), Origin("cause", "line"), record)


def test_an_ask_is_the_same_behind_another_process() -> None:
    for record in (None, 3):
        ask = an_ask(record)
        again = pickle.loads(pickle.dumps(ask))
        assert (again, again.stream, again.origin, again.record) == (ask, ask.stream, ask.origin, record)
    pool = SearchPool()  # Kept: an executor that nobody has any more ends its process.
    assert pool().submit(an_ask, 7).result() == an_ask(7)
