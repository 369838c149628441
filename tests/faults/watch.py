"""I9 while the fault lasts: beside the load, somebody looks again and again whether a service stands still and says that it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx
import psycopg

from services.cli.audit import Installation
from services.cli.audit.place import heard_by
from services.cli.audit.settling import HEALTH_LIMIT_S, TOLD_S, Stalls, look_at
from tests.faults.town import STALLED_S, WATCH, Town, Worker

EVERY_S = 0.7
"""Pause between two looks."""


@dataclass
class Watched:
    """What was seen."""

    looks: int = 0
    """Looks at all databases."""
    behind: int = 0
    """Looks at a service that was behind."""
    wrong: list[str] = field(default_factory=list)


@contextmanager
def watched(town: Town) -> Iterator[Watched]:
    """Yield what is filled in at the end: services that had lag without progress for longer than their stated time, and were ready."""
    seen, ending = Watched(), Event()
    thread = Thread(target=lambda: asyncio.run(_watch(town, seen, ending)), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ending.set()
        thread.join()


async def _watch(town: Town, seen: Watched, ending: Event) -> None:
    try:
        stated_s = float(town.environment.get("CAIRN_STALLED_AFTER_S", STALLED_S))
        installation = Installation({service: f"{url}?application_name={WATCH}" for service, url in town.records.items()})
        async with httpx.AsyncClient(timeout=HEALTH_LIMIT_S) as client:

            async def well(service: str) -> bool:
                return await all_well(client, [town.of(each) for each in (service, *heard_by(service)) if each in town.services])

            stalls = Stalls(town.services, stated_s + TOLD_S, well)
            while not ending.is_set():
                await _look(installation, stalls, seen)
                await asyncio.sleep(EVERY_S)
            seen.behind = stalls.watched
            seen.wrong += [f"I9: {line}" for line in stalls.silent]
    except Exception as error:
        seen.wrong.append(f"I9: nobody watched any more: {type(error).__name__}: {error}")


async def _look(installation: Installation, stalls: Stalls, seen: Watched) -> None:
    try:
        look = await look_at(installation)
    except psycopg.Error:  # The connection was ended in the middle of a question.
        return
    seen.looks += look is not None
    await stalls.see(look, asyncio.get_running_loop().time())


async def all_well(client: httpx.AsyncClient, services: list[list[Worker]]) -> bool:
    """Return whether each of these services runs, and all its processes answer that they are ready."""
    return all([bool(running) and all([await _ready(client, each) for each in running]) for running in services])


async def _ready(client: httpx.AsyncClient, worker: Worker) -> bool:
    try:
        return (await client.get(f"{worker.address}/health/ready")).is_success
    except httpx.TransportError:
        return False
