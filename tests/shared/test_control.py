"""The control topic is listened to as long as the service runs, whatever happens to whoever listens; and a start does not wait for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from shared.relay import control as module
from shared.relay.control import Control, Told, WhoHeard


@dataclass
class Record:
    value: bytes
    timestamp: int = 0


class Consumer:
    """A consumer that meets what it is told to, call by call; `None` goes well."""

    meets: dict[str, list[Exception | None]]
    hears = True

    def __init__(self, **_: Any) -> None:
        self.told = False

    async def start(self) -> None:
        self._meet("start")

    async def stop(self) -> None:
        self._meet("stop")

    def assign(self, places: Any) -> None:
        self._meet("assign")

    async def seek_to_end(self, place: Any) -> None:
        self._meet("seek")

    async def getmany(self, **_: Any) -> dict[Any, list[Record]]:
        await asyncio.sleep(0.001)
        self._meet("read")
        return {0: [Record(WhoHeard(service="evidence").model_dump_json().encode())]} if self.hears else {}

    def _meet(self, what: str) -> None:
        error = self.meets[what].pop(0) if self.meets.get(what) else None
        if error is not None:
            raise error


class Producer:
    def __init__(self, **_: Any) -> None:
        self.stopped = False

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        self.stopped = True

    async def send_and_wait(self, *_: Any, **__: Any) -> None:
        raise UnknownTopicOrPartitionError


@asynccontextmanager
async def listening(monkeypatch: pytest.MonkeyPatch, meets: dict[str, list[Exception | None]]) -> AsyncIterator[Control]:
    async def ensure(*_: Any) -> None:
        """The topic is there."""

    monkeypatch.setattr(module, "ensure_topics", ensure)
    monkeypatch.setattr(module, "AIOKafkaProducer", Producer)
    monkeypatch.setattr(module, "TolerantConsumer", type("Meeting", (Consumer,), {"meets": meets}))
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    control = Control("127.0.0.1:9", "test")
    try:
        yield control
    finally:
        await control.stop()


@pytest.mark.parametrize("what", ["start", "assign", "seek", "read", "stop"])
@pytest.mark.parametrize("error", [AssertionError, OSError, KafkaError, RuntimeError])
async def test_it_is_listened_again_after_any_error(monkeypatch: pytest.MonkeyPatch, what: str, error: type[Exception]) -> None:
    meets: dict[str, list[Exception | None]] = {what: [error()], "read": [error()]}
    async with listening(monkeypatch, meets) as control, asyncio.timeout(20):
        heard = asyncio.Event()
        control.listeners.append(lambda told: heard.set() if not any(meets.values()) else None)
        await control.start()
        await heard.wait()


async def test_a_listener_that_breaks_keeps_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Told] = []

    def breaks(told: Told) -> None:
        raise RuntimeError("a fault of ours")

    async with listening(monkeypatch, {}) as control, asyncio.timeout(20):
        control.listeners += [breaks, taken.append]
        await control.start()
        while len(taken) < 3:  # noqa: ASYNC110 - what was heard is all that can be seen.
            await asyncio.sleep(0.001)


async def test_a_start_that_cannot_listen_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_S", 0.1)
    always: list[Exception | None] = [AssertionError() for _ in range(10_000)]
    async with listening(monkeypatch, {"start": always}) as control, asyncio.timeout(20):
        with pytest.raises(KafkaTimeoutError, match=r"test\.control could not be heard"):
            await control.start()
        assert control._task is not None
        assert control._task.done()
        assert control._producer.stopped


async def test_it_says_for_how_long_nobody_has_listened(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(monkeypatch, {}) as control, asyncio.timeout(20):
        await control.start()
        control._listened_at -= 1_000
        while control.silent_s() >= 1_000:  # noqa: ASYNC110 - it comes to an end by itself.
            await asyncio.sleep(0.001)
        await control.stop()
        control._listened_at -= 1_000
        assert control.silent_s() >= 1_000


async def test_who_listens_and_hears_nothing_says_so_and_listens_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a topic that is not there any more: its reader is told of no error."""
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    async with listening(monkeypatch, {}) as control, asyncio.timeout(20):
        await control.start()
        await asyncio.sleep(0.3)
        assert control.silent_s() < 0.2, "it hears something"
        monkeypatch.setattr(Consumer, "hears", False)
        while control.silent_s() < 0.3:  # noqa: ASYNC110 - the clock is all that can be seen.
            await asyncio.sleep(0.01)
        monkeypatch.setattr(module.TolerantConsumer, "__init__", hearing_again)
        while control.silent_s() >= 0.3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def hearing_again(self: Any, **_: Any) -> None:
    self.hears = True


async def test_after_a_message_that_is_not_sent_the_topic_is_made_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(monkeypatch, {}) as control, asyncio.timeout(20):
        await control.start()
        made, wait, asked = asyncio.Event(), asyncio.Event(), 0

        async def ensure(*arguments: Any) -> None:
            nonlocal asked
            asked += 1
            assert arguments == ("127.0.0.1:9", "test", (), 1), "the control topic, and no other one"
            await wait.wait()
            made.set()

        monkeypatch.setattr(module, "ensure_topics", ensure)
        for _ in range(2):
            assert not await control.send(WhoHeard(service="evidence"))
            await asyncio.sleep(0.01)
        wait.set()
        await made.wait()
        assert asked == 1, "not while it is made already"
