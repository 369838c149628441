"""The client of `overload`: what it offers does not fall where nobody answers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import pytest

from tests.faults.load import Request
from tests.faults.offered import Offered, offer

PER_S = 100.0
BROKEN = 0
"""In place of a status: an answer with 200 that is none of ours."""
ANSWERS = {
    BROKEN: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    200: b'HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{"results":[]}',
    429: b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
}


@contextmanager
def server(after_s: float, *statuses: int) -> Iterator[str]:
    """Yield the address of a server that answers each request so late, with these statuses in turn."""
    begun, stopping, port = Event(), asyncio.Event(), list[int]()
    turn = iter(statuses * 100)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                await asyncio.sleep(after_s)
                writer.write(ANSWERS[next(turn)])
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        made = await asyncio.start_server(answer, "127.0.0.1")
        port.append(made.sockets[0].getsockname()[1])
        begun.set()
        await stopping.wait()
        made.close()

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    begun.wait()
    try:
        yield f"http://127.0.0.1:{port[0]}"
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


def requests(number: int) -> Iterator[Request]:
    return (("/evidence", {"items": [n]}) for n in range(number))


def test_requests_are_sent_when_they_are_due_however_late_the_answers_are() -> None:
    began = monotonic()
    with server(1.0, 200) as address:
        told = offer(address, requests(40), PER_S, connections=40)
    assert all(began + 1.0 <= ack["at"] <= monotonic() for ack in told.acks)
    assert (told.sent, told.kept_back, told.answers[200], len(told.acks)) == (40, 0, 40, 40)
    assert told.rate == pytest.approx(PER_S, rel=0.3), "one after the other there would be 1 in a second"
    assert told.typical_s >= 1.0
    assert told.all_taken


def test_what_finds_no_free_connection_is_counted_and_not_sent() -> None:
    with server(2.0, 200) as address:
        told = offer(address, requests(20), PER_S, connections=5)
    assert (told.sent, told.kept_back, told.answers[200]) == (5, 15, 5)
    assert told.rate <= PER_S / 4
    assert not told.all_taken


def test_who_is_refused_does_not_come_again() -> None:
    with server(0.0, 429, 200, 503) as address:
        told = offer(address, requests(30), PER_S, connections=30)
    assert told.answers == {429: 10, 200: 10, 503: 10}
    assert (told.retry_after, len(told.waited_s)) == (10, 10)
    assert not told.all_taken


@pytest.mark.filterwarnings("error:coroutine")
def test_an_answer_without_results_is_no_answer_that_may_be_counted() -> None:
    """Also where others, whose answers are well, end later; and none of them is left in the middle of connecting."""
    with server(0.0, BROKEN, *[200] * 19) as address, pytest.raises(KeyError, match="results"):
        offer(address, requests(20), PER_S, connections=20)
    gc.collect()


def test_nobody_there_is_no_answer_and_no_wait() -> None:
    with server(0.0, 200) as address:
        pass
    told = offer(address, requests(3), PER_S, connections=3)
    assert told == Offered(sent=3, seconds=told.seconds, answers=told.answers)
    assert told.answers == {0: 3}
    assert told.typical_s == float("inf")
