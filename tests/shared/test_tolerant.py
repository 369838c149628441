"""A consumer can be stopped while a broker is away, and by somebody who is cancelled. The fetcher that is closed is aiokafka's own."""

import asyncio
from unittest.mock import AsyncMock

import pytest
from aiokafka.consumer.fetcher import Fetcher

from shared.relay.tolerant import TolerantConsumer

FOR_EVER_S = 60.0


async def fetching(fetches: int) -> TolerantConsumer:
    """A consumer without a broker, so many of whose fetches wait to be tried again."""
    consumer, fetcher = TolerantConsumer.__new__(TolerantConsumer), Fetcher.__new__(Fetcher)
    fetcher._fetch_task, fetcher._fetch_waiters = asyncio.create_task(asyncio.sleep(FOR_EVER_S)), set()
    fetcher._pending_tasks = {asyncio.create_task(asyncio.sleep(FOR_EVER_S)) for _ in range(fetches)}
    consumer._closed, consumer._coordinator, consumer._fetcher, consumer._client = False, None, fetcher, AsyncMock()
    await asyncio.sleep(0)
    return consumer


async def test_stopping_while_fetches_wait_to_be_tried_again_is_no_cancellation() -> None:
    consumer = await fetching(3)
    await consumer.stop()
    consumer._client.close.assert_awaited_once()
    await asyncio.wait(consumer._fetcher._pending_tasks, timeout=FOR_EVER_S / 2)
    assert all(fetch.cancelled() for fetch in consumer._fetcher._pending_tasks)


async def test_whoever_is_cancelled_while_it_stops_is_cancelled() -> None:
    consumer = await fetching(0)
    consumer._fetcher.close = lambda: asyncio.sleep(FOR_EVER_S)
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
