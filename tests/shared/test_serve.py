"""One process of a service: what it asks of its database."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from psycopg import Error

from services.evidence.app import PARTS
from shared.ledger import patience
from shared.ledger.group import is_passing
from shared.testing import running


async def test_a_transaction_that_stands_still_loses_its_locks_and_its_worker_goes_on(
    database: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "IDLE_LOCK_MS", 200)
    lock = "SELECT id FROM partition WHERE id = 0 FOR UPDATE"
    async with running(PARTS, database("evidence")) as service:

        async def stand_still() -> None:
            async with service.pool.connection() as sleeper, sleeper.transaction():
                await sleeper.execute(lock)
                await asyncio.sleep(1.0)  # As if the process had been stopped.
                await sleeper.execute(lock)

        with pytest.raises(Error) as ended:
            await stand_still()
        assert is_passing(ended.value), "the same transaction may be tried again"
        async with service.pool.connection() as other:
            assert await (await other.execute(f"{lock} NOWAIT")).fetchall() == [(0,)]
