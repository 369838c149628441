"""Mending a ledger while its service does not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection

from shared.errors import LedgerError
from shared.ledger.types import Connection
from shared.relay.relay import RELAY_LOCK


@asynccontextmanager
async def alone(dsn: str, service: str) -> AsyncIterator[Connection]:
    """Yield a connection that holds the relay's lock, so that the service is not running and does not begin to.

    Raises:
        LedgerError: it runs, or somebody else mends its ledger.
    """
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [RELAY_LOCK])).fetchone()
        if row is None or not row[0]:
            raise LedgerError(f"{service} runs on this database, or is being mended already: stop it first, then run this again")
        yield connection
