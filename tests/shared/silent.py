"""A pool whose connections have fallen silent: whatever is asked of them, no answer comes, and no end either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Silent:
    """A connection, its cursor and its transaction."""

    async def execute(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    executemany = fetchone = fetchall = execute

    def cursor(self, *_: Any, **__: Any) -> Silent:
        return self

    transaction = cursor

    async def __aenter__(self) -> Silent:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is kept."""


@asynccontextmanager
async def silent() -> AsyncIterator[Any]:
    """Stand for `pool.connection`."""
    yield Silent()
