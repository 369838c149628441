"""A client whose load does not fall where the service gets slower: each request is sent when it is due, whatever is still unanswered."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from shared.tasks import end
from tests.faults.load import TAKEN, Request

REQUEST_S = 60.0
"""A request that is not answered by then counts as unknown. Nothing is sent again: what is refused is gone."""
HEADERS = {"content-type": "application/json"}


@dataclass
class Offered:
    """What was offered, and what became of it."""

    sent: int = 0
    kept_back: int = 0
    """Requests that were due while every connection was taken, and so were never sent."""
    seconds: float = 0.0
    """From the first request that was due until the last one was sent."""
    answers: Counter[int] = field(default_factory=Counter)
    """Answers by status; 0 where there was none."""
    retry_after: int = 0
    """Answers with 429 that said when to come back."""
    waited_s: list[float] = field(default_factory=list)
    """Of each request that was taken: from when it was due to its answer."""
    acks: list[dict[str, Any]] = field(default_factory=list)
    """As those of `Load`."""

    @property
    def rate(self) -> float:
        """Requests sent in a second."""
        return self.sent / self.seconds

    @property
    def typical_s(self) -> float:
        """The median of what those waited who were taken; without end where nobody was."""
        return statistics.median(self.waited_s) if self.waited_s else float("inf")

    @property
    def all_taken(self) -> bool:
        """Whether every request that was due was sent, and taken."""
        return not self.kept_back and set(self.answers) == {TAKEN}


def offer(address: str, requests: Iterable[Request], per_s: float, connections: int) -> Offered:
    """Send requests at this rate, and return when all of them are answered.

    Args:
        requests: all of them; they are made before the first is due.
        per_s: requests that are due in a second.
        connections: requests that may be unanswered at once.
    """
    told = [(address + path, json.dumps(body).encode()) for path, body in requests]
    return asyncio.run(_offer(told, per_s, connections))


async def _offer(requests: Sequence[tuple[str, bytes]], per_s: float, connections: int) -> Offered:
    offered, under_way, asked = Offered(), set[asyncio.Task[None]](), list[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=REQUEST_S) as client:
        began = loop.time()
        try:
            for number, request in enumerate(requests):
                due = began + number / per_s
                await asyncio.sleep(max(0.0, due - loop.time()))
                if len(under_way) >= connections:
                    offered.kept_back += 1
                    continue
                task = loop.create_task(_ask(client, request, due, offered))
                asked.append(task)
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                offered.sent += 1
            offered.seconds = max(len(requests) / per_s, loop.time() - began)
            await asyncio.gather(*asked)
        finally:
            await end(*asked)  # Not left to the end of the loop, which leaves a connection's coroutine that nobody awaits.
    return offered


async def _ask(client: httpx.AsyncClient, request: tuple[str, bytes], due: float, offered: Offered) -> None:
    url, body = request
    try:
        answer = await client.post(url, content=body, headers=HEADERS)
    except httpx.TransportError:
        offered.answers[0] += 1
        return
    offered.answers[answer.status_code] += 1
    offered.retry_after += answer.status_code == 429 and "retry-after" in answer.headers
    if answer.status_code == TAKEN:
        now = asyncio.get_running_loop().time()  # The monotonic clock.
        offered.waited_s.append(now - due)
        offered.acks.append({"status": TAKEN, "acts": answer.json()["results"], "at": now})
