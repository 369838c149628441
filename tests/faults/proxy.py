"""A proxy that stands between the services and Kafka or PostgreSQL, knows their frames, and does harm on request, drawn from a seed.

It runs in a thread of its own. What it does is set from outside at any moment; what it has done is counted.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["kafka", "postgres"]
Direction = Literal["to server", "to client"]
APIS = {
    0: "Produce",
    1: "Fetch",
    3: "Metadata",
    8: "OffsetCommit",
    10: "FindCoordinator",
    11: "JoinGroup",
    12: "Heartbeat",
    14: "SyncGroup",
}
NAMES_BROKERS = ("Metadata", "FindCoordinator")
"""Answers that tell a client where the broker is: there our own port is put in."""
ASKS_ENCRYPTION = (80877103, 80877104)
HEADER = 5
START_S = 10.0


@dataclass
class Faults:
    """What a proxy does to the frames that pass."""

    delay_s: float = 0.0
    """Longest delay of a frame."""
    delay_share: float = 0.0
    cut_share: float = 0.0
    """Share of frames instead of which the connection is cut."""
    drop: dict[str, int] = field(default_factory=dict)
    """Answer -> how many of them are swallowed; the connection is cut after each, so that the outcome stays unknown."""
    silent: frozenset[Direction] = frozenset()
    """Directions in which nothing passes: a frame is held until this ends."""
    deaf: bool = False
    """Connections that are open now never hear anything again, and are not cut: new ones work."""


class Proxy:
    """One listening port in front of one server."""

    def __init__(self, kind: Kind, port: int, seed: str) -> None:
        """Prepare.

        Args:
            port: of the server, on 127.0.0.1.
        """
        self.kind, self.upstream, self.port = kind, port, 0
        self.faults, self.counts = Faults(), Counter[str]()
        self._draw = random.Random(f"proxy {kind} {seed}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: set[Link] = set()

    def start(self) -> Proxy:
        """Listen."""
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(START_S)
        return self

    def stop(self) -> None:
        """Cut everything and end."""

        async def end() -> None:
            self._server.close()
            for link in list(self._links):
                link.cut()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)

    def cut_all(self) -> None:
        """Cut every connection that is open."""

        def cut() -> None:
            for link in list(self._links):
                link.cut()
                self.counts["connection cut"] += 1

        self._loop.call_soon_threadsafe(cut)

    def deafen(self) -> None:
        """Let every connection that is open now fall silent towards its client for good, without an end."""

        def deafen() -> None:
            for link in self._links:
                link.deaf = True
                self.counts["connection silent for good"] += 1

        self._loop.call_soon_threadsafe(deafen)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        link = Link(self, (reader, writer), server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def passes(self, name: str, direction: Direction) -> bool:
        """Do to a frame what is due; return whether it passes. False: the connection is to be cut."""
        faults = self.faults
        if direction in faults.silent:
            self.counts[f"held {direction}"] += 1
            while direction in self.faults.silent:  # noqa: ASYNC110 - set from another thread.
                await asyncio.sleep(0.05)
        if faults.drop.get(name, 0) > 0:
            self.counts[f"{name} answer dropped"] += 1
            faults.drop[name] -= 1
            return False
        if faults.cut_share and self._draw.random() < faults.cut_share:
            self.counts["connection cut"] += 1
            return False
        if faults.delay_share and self._draw.random() < faults.delay_share:
            self.counts["frame delayed"] += 1
            await asyncio.sleep(self._draw.uniform(0, faults.delay_s))
        return True


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """One connection of a client, and the one behind it."""

    def __init__(self, proxy: Proxy, client: Stream, server: Stream) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._asked: dict[bytes, str] = {}
        self.deaf = False

    async def run(self) -> None:
        """Carry frames both ways until one side ends or the proxy cuts."""
        pumps = {asyncio.create_task(self._to_server()), asyncio.create_task(self._to_client())}
        _, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pending:
            pump.cancel()
        results = await asyncio.gather(*pumps, return_exceptions=True)
        self.cut()
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError | EOFError):
                raise result

    def cut(self) -> None:
        """End both sides at once."""
        for _, writer in (self._client, self._server):
            with suppress(Exception):
                writer.transport.abort()

    async def _to_server(self) -> None:
        frames = self._requests() if self._proxy.kind == "kafka" else self._queries()
        async for name, frame in frames:
            if not await self._proxy.passes(f"{name} asked", "to server"):
                return
            self._server[1].write(frame)
            await self._server[1].drain()

    async def _to_client(self) -> None:
        frames = self._answers() if self._proxy.kind == "kafka" else self._rows()
        async for name, frame in frames:
            if not await self._proxy.passes(name, "to client"):
                return
            if self.deaf:
                continue
            self._client[1].write(frame)
            await self._client[1].drain()

    async def _requests(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            size = await self._client[0].readexactly(4)
            body = await self._client[0].readexactly(int.from_bytes(size, "big"))
            name = APIS.get(int.from_bytes(body[:2], "big"), "other")
            self._asked[body[4:8]] = name
            yield name, size + body

    async def _answers(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            size = await self._server[0].readexactly(4)
            body = await self._server[0].readexactly(int.from_bytes(size, "big"))
            name = self._asked.pop(body[:4], "other")
            if name in NAMES_BROKERS:
                real, ours = self._proxy.upstream.to_bytes(4, "big"), self._proxy.port.to_bytes(4, "big")
                body = body.replace(b"127.0.0.1" + real, b"127.0.0.1" + ours)
            yield name, size + body

    async def _queries(self) -> AsyncIterator[tuple[str, bytes]]:
        reader, writer = self._client
        begun = False
        while not begun:
            size = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(size, "big") - 4)
            if int.from_bytes(body[:4], "big") in ASKS_ENCRYPTION:
                writer.write(b"N")  # Frames could not be read in it.
                await writer.drain()
                continue
            begun = True
            yield "startup", size + body
        while True:
            yield "query", await _message(reader)

    async def _rows(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            message = await _message(self._server[0])
            yield "COMMIT" if message[:1] == b"C" and message[HEADER:] == b"COMMIT\0" else "row", message


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return one message of PostgreSQL's protocol: a letter, its length, its body."""
    head = await reader.readexactly(HEADER)
    return head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
