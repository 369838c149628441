"""What runs side by side in a service's process until one of it ends: HTTP, relay and consumer; and how they are: health is progress."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI

from shared.consume import Consumer
from shared.http import Health
from shared.leader import Name
from shared.ledger.ledger import Ledger
from shared.relay.control import Control
from shared.relay.readers import Witnessed
from shared.relay.relay import Relay
from shared.settings import Settings
from shared.tasks import end
from shared.ticker import Ticker
from shared.workers import MAX_CLIENTS, REPORT_S, Line, bound

GRACE_S: Final = 20
"""Time that a request or batch in hand is given when the service is asked to stop."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Parties:
    """What runs in a service's process beside HTTP, each started."""

    control: Control
    relay: Relay
    witnessed: Witnessed
    ticker: Ticker
    ledger: Ledger
    """The service's, which may be restored beneath it."""
    consumer: Consumer | None = None
    name: Name | None = None
    """That this worker has in the consumer group, and must keep."""
    surveyed: Sequence[str] = ()
    """What should be known of what waits, kept up to date by whoever looks."""

    def working(self) -> list[Relay | Witnessed | Consumer]:
        """Return those that run until they are asked to stop."""
        return [self.relay, self.witnessed, *([self.consumer] if self.consumer else [])]

    def watching(self) -> list[Coroutine[Any, Any, None]]:
        """Return what ends only where the service must not go on."""
        return [self.ledger.furthest.watch(self.ledger.pool), *([self.name.keep()] if self.name else [])]

    def notes(self) -> list[str]:
        """Return what should be known, and keeps this worker from nothing."""
        return [*self.ledger.clocks.notes(), *self.surveyed]

    def troubles(self, stalled_after_s: float) -> list[str]:
        """Return why this worker is not ready."""
        reasons: list[str] = []
        silent_s = self.control.silent_s()
        if silent_s >= stalled_after_s:
            reasons.append(f"the control topic has not been heard for more than {silent_s:.0f} s: what others hold, or lack, is not known")
        reasons += [*self.ledger.clocks.troubles(), *self.relay.troubles(stalled_after_s), *self.ticker.troubles(stalled_after_s)]
        if self.consumer is None:
            return reasons
        progress = self.consumer.progress()
        reasons += [*progress.diverged, *progress.stuck]
        if progress.stalled:
            reasons.append(f"{progress.lag} events wait, and none was applied for {progress.idle_s:.0f} s")
        return reasons


async def until_ended(
    settings: Settings, application: Callable[[Callable[[], Any]], FastAPI], parties: Parties, line: Line | None = None
) -> None:  # fmt: skip
    """Serve HTTP, relay and consume until one of them ends; then end the others and raise what ended it.

    Args:
        application: what is served, given how to tell whether the service is ready.
        line: to the supervisor, where this is one of several workers.

    Raises:
        CannotListen: the port is taken.
    """
    listening = line.socket() if line else bound(settings.host, settings.port)
    troubles = partial(parties.troubles, settings.stalled_after_s)
    server = _server(settings, application(partial(_health, troubles, parties.notes, line)))
    tasks = [asyncio.create_task(server.serve([listening]), name="http")]
    tasks += [asyncio.create_task(each.run(), name=type(each).__name__.lower()) for each in parties.working()]
    if line is not None:
        tasks.append(asyncio.create_task(_attend(line, troubles), name="line"))
    watches = [asyncio.create_task(each) for each in parties.watching()]
    log.info("serving", port=settings.port, release=settings.release)
    ended, _ = await asyncio.wait([*tasks, *watches], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping", ended=sorted(task.get_name() for task in ended))
    for watch in watches:
        watch.cancel()
    server.should_exit = True
    await asyncio.gather(*(each.stop() for each in parties.working()))
    _, late = await asyncio.wait(tasks, timeout=GRACE_S)
    await end(*late, *watches)
    for task in ended:
        task.result()


def _server(settings: Settings, app: FastAPI) -> _Server:
    """Return the server of an application, which SIGTERM and SIGINT end."""
    server = _Server(
        uvicorn.Config(
            app, host=settings.host, port=settings.port, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S,
            limit_concurrency=MAX_CLIENTS,
        )
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
    return server


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to us: its own handling ends the process while a batch is still in hand."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; the second time, at once."""
        log.info("asked to stop", signal=signal.Signals(sig).name, at_once=self.should_exit)
        if self.should_exit:
            os._exit(1)
        self.should_exit = True


async def _attend(line: Line, troubles: Callable[[], list[str]]) -> None:
    """Tell the supervisor how this worker is, until it asks to stop."""
    following = asyncio.create_task(line.follow())
    while not following.done():
        line.report(troubles())
        await asyncio.wait([following], timeout=REPORT_S)
    await following


async def _health(troubles: Callable[[], list[str]], notes: Callable[[], list[str]], line: Line | None) -> Health:
    """Say whether the service gets on, on all workers of this machine: health is progress."""
    reasons = [*troubles(), *(line.others if line else ())]
    return Health(ready=not reasons, reasons=reasons, notes=notes())
