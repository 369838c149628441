"""A pool whose connections have fallen silent: whatever is asked of them, no answer comes, and no end either."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


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


def fall_silent(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pool give silent connections from now on."""

    async def get() -> Silent:
        return Silent()

    async def put(connection: Silent) -> None:
        """Nobody needs it."""

    monkeypatch.setattr(pool, "getconn", get)
    monkeypatch.setattr(pool, "putconn", put)
