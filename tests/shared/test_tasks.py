"""A task that is ended has ended, also where its first cancellation came to nothing."""

import asyncio
from collections.abc import Callable

import pytest
from psycopg_pool import AsyncConnectionPool

from shared import tasks
from shared.stack import ServiceDatabase


@pytest.mark.parametrize("turns", range(8))
async def test_what_waits_for_a_connection_ends_whenever_it_is_ended(
    turns: int, database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.2)
    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, max_size=1, open=False) as pool:

        async def watch() -> None:
            while True:
                async with pool.connection() as connection:
                    await connection.execute("SELECT 1")
                await asyncio.sleep(0.01)

        async with pool.connection():
            watching = asyncio.create_task(watch())
            await asyncio.sleep(0.05)
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await tasks.end(watching)
    assert watching.cancelled()


async def test_how_a_task_ended_is_nothing_to_whoever_ends_it() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    failed = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await tasks.end(failed, asyncio.create_task(asyncio.sleep(3_600)))
    await tasks.end()
    assert isinstance(failed.exception(), ValueError)
