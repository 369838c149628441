"""Ending tasks, so that they have ended."""

from __future__ import annotations

import asyncio
from typing import Any, Final

AGAIN_S: Final = 2.0
"""Time after which a task that goes on although it was cancelled is cancelled again."""


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that have nothing to finish, and return when they have ended, however they did.

    One cancellation may come to nothing: before Python 3.12 `asyncio.wait_for` loses one that comes just when it has what it waits for
    (https://github.com/python/cpython/issues/86296), and so does the wait for a connection of psycopg's pool. What goes on then goes on for
    ever, and whoever waits for its end, too.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
