"""I9 and I8 while the fault lasts: beside the load, somebody looks again and again whether a service stands still and says that it is well,
and whether a school day can be seen half-written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import httpx
import psycopg

from services.cli.audit import Installation
from services.cli.audit.days import SERVICE
from services.cli.audit.settling import CONNECT_S, HEALTH_LIMIT_S, TOLD_S, Stalls, look_at
from services.cli.audit.tables import SEEN_DAYS
from tests.faults.town import STALLED_S, WATCH, Town, Worker

EVERY_S = 0.7
"""Pause between two looks at all databases."""
DAYS_EVERY_S = 0.05
"""Pause between two looks at the days of a town's schools: what is visible half-written is so for milliseconds."""
AGAIN_S = 0.5
"""Pause before a connection that was lost is made again."""


@dataclass
class Watched:
    """What was seen."""

    looks: int = 0
    """Looks at all databases."""
    behind: int = 0
    """Looks at a service in which something waited."""
    days: int = 0
    """Looks at a day that was published."""
    halves: dict[str, int] = field(default_factory=dict)
    """Day -> how often it was seen half-written."""
    wrong: list[str] = field(default_factory=list)


@contextmanager
def watched(town: Town) -> Iterator[Watched]:
    """Yield what is filled in at the end: services that had lag without progress for longer than their stated time, and were ready."""
    seen, ending = Watched(), Event()
    thread = Thread(target=lambda: asyncio.run(_both(town, seen, ending)), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ending.set()
        thread.join()
        seen.wrong += [f"I8: {day} was visible half-written, {count} times" for day, count in seen.halves.items()]


async def _both(town: Town, seen: Watched, ending: Event) -> None:
    url = town.records.get(SERVICE) if SERVICE in town.services else None
    await asyncio.gather(_watch(town, seen, ending), *([watch_days(url, seen, ending)] if url else []))


async def watch_days(url: str, seen: Watched, ending: Event) -> None:
    """Look again and again whether a day is visible whose rows do not belong together, until this is to end."""
    while not ending.is_set():
        try:
            connection = await psycopg.AsyncConnection.connect(
                url, application_name=WATCH, autocommit=True, connect_timeout=CONNECT_S, options=f"-c statement_timeout={CONNECT_S}s"
            )
            async with connection:
                while not ending.is_set():
                    await look_at_days(connection, seen)
                    await asyncio.sleep(DAYS_EVERY_S)
        except psycopg.OperationalError:  # The fault of the scenario: nobody sees anything.
            await asyncio.sleep(AGAIN_S)
        except Exception as error:
            seen.wrong.append(f"I8: nobody watched the days any more: {type(error).__name__}: {error}")
            return


async def look_at_days(connection: psycopg.AsyncConnection[Any], seen: Watched) -> None:
    """Look at each published day once."""
    for school, on, half in await (await connection.execute(SEEN_DAYS)).fetchall():
        seen.days += 1
        if half:
            day = f"{on} of school {school}"
            seen.halves[day] = seen.halves.get(day, 0) + 1


async def _watch(town: Town, seen: Watched, ending: Event) -> None:
    try:
        stated_s = float(town.environment.get("CAIRN_STALLED_AFTER_S", STALLED_S))
        records = {service: f"{url}?application_name={WATCH}" for service, url in town.records.items()}
        installation = Installation(records, kafka_servers=town.servers.kafka)  # Known, what is not published counts, too.
        async with httpx.AsyncClient(timeout=HEALTH_LIMIT_S) as client:

            async def well(service: str) -> bool:
                return await all_well(client, [town.of(service)])

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
