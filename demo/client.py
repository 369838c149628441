"""The district's own client: HTTP with bounded patience, and a log of exactly what it was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import httpx

from shared.errors import CairnError

LIMIT_S: Final = 120.0
"""For one request, such as a whole roster on a busy machine."""
TRIES: Final = 30
"""How often a request is sent that is answered with `later`, or that meets a service which is being started again."""
PAUSE_S: Final = 0.5
LATER: Final = frozenset({429, 502, 503, 504})
PAGE: Final = 1_000
MAX_PAGES: Final = 1_000
MAX_CONNECTIONS: Final = 16
IDLE_S: Final = 2.0
"""Idle connections are closed before a server closes them, else a request could meet one that is just being closed."""
READ_TRIES: Final = 3


class Unexpected(CairnError):
    """Cairn answered something that this demonstration did not expect. It says what, and ends."""


class Cairn:
    """Speaks to an installation. Every answer to something that was sent goes into the acknowledgements, where a file is given."""

    def __init__(self, address: str, acks: Path | None = None, limit_s: float = LIMIT_S) -> None:
        self.address = address
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=IDLE_S)
        self._http = httpx.AsyncClient(base_url=address, timeout=limit_s, limits=limits)
        self.acks_path = acks
        self._acks: IO[str] | None = None if acks is None else acks.open("w", encoding="utf-8")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()
        if self._acks is not None:
            self._acks.close()

    async def send(
        self, method: str, path: str, body: object = None, *, content: bytes | None = None, media: str = "application/json", **query: str
    ) -> httpx.Response:
        """Return the answer to something sent, whatever it is; what is answered with `later` is sent again, as any client would.

        Raises:
            Unexpected: nobody took it after TRIES tries.
        """
        sent = json.dumps(body).encode() if content is None else content
        problem = ""
        for _ in range(TRIES):
            try:
                answer = await self._http.request(method, path, content=sent, params=query, headers={"Content-Type": media})
            except httpx.TransportError as error:
                problem = type(error).__name__
            else:
                self._note(f"{method} {path}", answer)
                if answer.status_code not in LATER:
                    return answer
                problem = f"status {answer.status_code}"
            await asyncio.sleep(PAUSE_S)
        raise Unexpected(f"{method} {path} was not taken after {TRIES} tries: {problem}")

    async def tell(self, method: str, path: str, body: object = None, **more: Any) -> dict[str, Any]:
        """Return the answer to something sent that has to be taken.

        Raises:
            Unexpected: it was refused; the message is Cairn's own.
        """
        return _taken(await self.send(method, path, body, **more), f"{method} {path}")

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return what stands at a path.

        Raises:
            Unexpected: nothing does.
        """
        return _taken(await self._read(path, query), f"GET {path}")

    async def find(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return what stands at a path, or None where nothing does yet."""
        answer = await self._read(path, query)
        return None if answer.status_code in (404, *LATER) else _taken(answer, f"GET {path}")

    async def every(self, path: str, inside: str = "", **query: str) -> list[dict[str, Any]]:
        """Return all items of a list, page after page.

        Args:
            inside: the field that holds the page, where the answer is more than a page.
        """
        return [item async for item in self._items(path, inside, query)]

    async def _items(self, path: str, inside: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        after: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            answer = await self.get(path, limit=str(PAGE), **query, **after)
            page = answer[inside] if inside else answer
            for item in page["items"]:
                yield item
            if not page.get("next"):
                return
            after = {"after": page["next"]}
        raise Unexpected(f"GET {path} has more than {MAX_PAGES} pages")

    async def _read(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        """Return the answer to a GET, which may be asked again where the connection broke."""
        for _ in range(READ_TRIES - 1):
            try:
                return await self._http.get(path, params=query)
            except httpx.TransportError:
                await asyncio.sleep(PAUSE_S)
        return await self._http.get(path, params=query)

    async def text(self, path: str) -> str:
        """Return a page that is no JSON; empty where it cannot be had."""
        try:
            answer = await self._http.get(path)
        except httpx.TransportError:
            return ""
        return answer.text if answer.is_success else ""

    def _note(self, request: str, answer: httpx.Response) -> None:
        """Write down what we were told."""
        if self._acks is None:
            return
        results = _json(answer).get("results", []) if answer.is_success else []
        acts = [{"id": each.get("id"), "act_id": each.get("act_id"), "result": each.get("result")} for each in results]
        line = {"request": request, "status": answer.status_code, "acts": acts, "at": datetime.now(UTC).isoformat()}
        self._acks.write(json.dumps(line) + "\n")
        self._acks.flush()


async def all_at_once(work: Sequence[Any], most: int = MAX_CONNECTIONS) -> list[Any]:
    """Return the results of these coroutines in order, of which at most so many run at the same time."""
    gate = asyncio.Semaphore(most)

    async def one(each: Any) -> Any:
        async with gate:
            return await each

    return await asyncio.gather(*(one(each) for each in work))


def _taken(answer: httpx.Response, what: str) -> dict[str, Any]:
    found = _json(answer)
    if answer.is_success:
        return found
    faults = "; ".join(f"{each['place']}: {each['detail']}" for each in found.get("errors", [])[:3])
    raise Unexpected(f"{what} was answered with {answer.status_code}: {found.get('detail', answer.text[:200])} {faults}".rstrip())


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
