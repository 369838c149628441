"""`cairn replay verify`: every decision of every ledger is decided again and must give the same bytes; every chain must be whole.

A record is replayed partition by partition, on all processors: partitions share no stream. It is read in pages, so that no transaction
lasts, and sorted by streams in temporary files: they take as much disk as the partitions that are in work.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool

from services.cli import spool
from shared.contracts.topics import Topic
from shared.errors import LedgerError
from shared.ledger import read, store
from shared.parts import Parts
from shared.replay import ChainWalk, Difference, Links, Settings, Verifier
from shared.serve import all_deciders, earlier_deciders
from shared.ticker.pool import rare_gc

SHOWN_DIFFERENCES: Final = 5
"""Differences that are shown whole; the others are counted."""
MAX_WORKERS: Final = 16
SMALL: Final = 5_000
"""Events that are replayed here: another process would take longer to begin."""
DEMANDS: Final = f"{Topic.SCHEDULING}/demand/"
"""How the streams begin of what scheduling heard of learners: the school's id follows, and then the learner's."""

Progress = Callable[["Report"], None]


@dataclass
class Report:
    """What the replay of one service's record has found so far."""

    service: str
    total: int = 0
    """Events that there are to replay."""
    events: int = 0
    decisions: int = 0
    cpu_s: float = 0.0
    """Processor time that replaying them took, of all processes together."""
    differences: list[Difference] = field(default_factory=list)
    chains: int = 0
    """Partitions whose chain was walked; 0 where only one learner is replayed."""

    @property
    def rate(self) -> float:
        """Decisions replayed per second of processor time."""
        return self.decisions / self.cpu_s if self.cpu_s else 0.0


@dataclass(frozen=True)
class Lane:
    """One partition of one record, or a few of its streams, replayed by one process."""

    url: str
    service: str
    installation: str
    number: int
    partitions: int
    length: int
    head: str
    streams: tuple[str, ...] = ()
    """Only these, whatever their partition; the length is theirs."""

    @property
    def source(self) -> str:
        """As events name it."""
        return f"/{self.installation}/{self.service}"


def parts_of(service: str) -> Parts:
    """Return what a service is made of."""
    parts: Parts = import_module(f"services.{service}.app").PARTS
    return parts


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[read.Pool]:
    """Yield a pool for reading a record. Replay writes nothing."""
    async with AsyncConnectionPool[Any](url, min_size=1, max_size=2, open=False) as pool:
        yield pool


@cache
def settings_of(url: str, service: str) -> Settings:
    """Return which parameters were in force at each version of a service's settings; read once by each process."""

    async def events() -> list[Any]:
        async with reading(url) as pool:
            return [store.decoded(raw) async for raw in read.stream(pool, f"{service}/settings")]

    return Settings(parts_of(service).kinds, asyncio.run(events()))


def replay_lane(lane: Lane) -> Report:
    """Return what the replay of one partition, or of a few streams, found. It runs in a process of its own where much is replayed."""
    began = time.process_time()
    parts = parts_of(lane.service)
    links = None if lane.streams else Links(lane.source, lane.number, lane.partitions, lane.length)
    verifier = Verifier([*all_deciders(parts), *earlier_deciders(parts)], settings_of(lane.url, lane.service), links)
    broken: list[Difference] = []
    if lane.streams:
        asyncio.run(_decide_streams_again(lane, verifier))
    else:
        with psycopg.connect(lane.url, autocommit=True) as connection:
            _decide_again(connection, lane, verifier)
            broken = _walk(connection, lane) if links is not None and not links.whole(lane.head) else []
    return Report(
        lane.service, lane.length, verifier.tally.events, verifier.tally.decisions, time.process_time() - began,
        [*broken, *verifier.tally.differences], 0 if lane.streams else 1,
    )  # fmt: skip


def _decide_again(connection: psycopg.Connection, lane: Lane, verifier: Verifier) -> None:
    """Decide the streams of a partition again, up to its length: what was written since belongs to the next replay."""
    with spool.Spool(lane.length) as spooled:
        for rows in read.pages(connection, spool.COLUMNS, lane.number, lane.length):
            spooled.put(rows)
        for name, events in spooled.streams():
            positions, _, _, raws = zip(*events, strict=True)
            verifier.stream(name, raws, positions)


async def _decide_streams_again(lane: Lane, verifier: Verifier) -> None:
    async with reading(lane.url) as pool:
        for name in lane.streams:
            verifier.stream(name, [raw async for raw in read.stream(pool, name)])


def _walk(connection: psycopg.Connection, lane: Lane) -> list[Difference]:
    """Return where the chain of a partition is broken; nothing where it only has holes that were recorded."""
    chain = ChainWalk(lane.source, lane.number, lane.partitions)
    for rows in read.pages(connection, "position, bytes", lane.number, lane.length):
        for position, raw in rows:
            chain.take(position, raw)
    return chain.end(lane.length, lane.head)


def verify(urls: Mapping[str, str], installation: str, services: Sequence[Topic], learner: str | None, progress: Progress) -> list[Report]:
    """Replay the records of these services, and return what was found in each; `progress` hears of every partition.

    Raises:
        LedgerError: there is nothing to replay, which proves nothing.
    """
    reports = replayed(urls, installation, services, learner, progress)
    refuse_nothing(reports, learner)
    return reports


def replayed(
    urls: Mapping[str, str], installation: str, services: Sequence[Topic], learner: str | None, progress: Progress
) -> list[Report]:  # fmt: skip
    """Return what `verify` does, also of records in which there is nothing to replay."""
    reports = {str(service): Report(service) for service in services}
    lanes = []
    for service in services:
        of_service, outside = asyncio.run(_lanes(urls[service], service, installation, learner))
        lanes += of_service
        reports[service].total = sum(lane.length for lane in of_service)
        reports[service].differences += outside
    for part in _parts(lanes):
        whole = reports[part.service]
        whole.events, whole.decisions, whole.cpu_s = whole.events + part.events, whole.decisions + part.decisions, whole.cpu_s + part.cpu_s
        whole.chains += part.chains
        whole.differences.extend(part.differences)
        progress(whole)
    return list(reports.values())


def refuse_nothing(reports: Sequence[Report], learner: str | None) -> None:
    """Raise where a record held nothing to replay.

    Raises:
        LedgerError: neither events nor differences were found in it, which proves nothing.
    """
    empty = [report.service for report in reports if not report.events and not report.differences]
    if empty and (learner is None or len(empty) == len(reports)):  # One learner need not be known to every service.
        what = f"learner {learner}" if learner else f"the ledger of {' and of '.join(empty)}"
        raise LedgerError(
            f"nothing was replayed: {what} holds no decision. Is this the right installation, and was anything recorded? "
            "`--service` replays one ledger alone"
        )


def _parts(lanes: Sequence[Lane]) -> Iterator[Report]:
    """Yield what was found in each partition, on as many processors as there are, the longest partitions first."""
    if sum(lane.length for lane in lanes) <= SMALL:
        settings_of.cache_clear()
        yield from map(replay_lane, lanes)
        return
    workers = min(MAX_WORKERS, os.cpu_count() or 1, max(1, len(lanes)))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=rare_gc) as pool:
        work = [pool.submit(replay_lane, lane) for lane in sorted(lanes, key=lambda lane: -lane.length)]
        for done in as_completed(work):
            yield done.result()


async def _lanes(url: str, service: str, installation: str, learner: str | None) -> tuple[list[Lane], list[Difference]]:
    """Return what is to be replayed of a service, and the events that no replay of a partition reads."""
    async with reading(url) as pool:
        lengths = await read.lengths(pool)
        outside = [
            Difference(stream, version, f"partition {number} position {position}", "no partition counts it: it is no part of any chain")
            for number, position, stream, version in await read.outside(pool)
        ]
        if learner is None:
            lanes = [Lane(url, service, installation, number, len(lengths), length, head) for number, (length, head) in lengths.items()]
            return lanes, outside
        names = await streams_of(pool, service, learner)
        count = await read.count(pool, names)
    lanes = [Lane(url, service, installation, 0, len(lengths), count, "", tuple(names))] if count else []
    return lanes, [difference for difference in outside if difference.stream in names]


async def streams_of(pool: read.Pool, service: str, learner: str) -> list[str]:
    """Return the names that a service's streams of one learner have, whether there are any or not."""
    parts = parts_of(service)
    kinds = dict.fromkeys(decider.kind for decider in (*all_deciders(parts), *earlier_deciders(parts)))
    names = [f"{service}/{kind}/{learner}" for kind in kinds]
    if service == Topic.SCHEDULING:
        names += [f"{DEMANDS}{school}/{learner}" async for school in read.parts_under(pool, DEMANDS)]
    return names


def verdict(reports: Sequence[Report]) -> str:
    """Return the last line of a replay."""
    decisions, differ = sum(report.decisions for report in reports), sum(len(report.differences) for report in reports)
    return f"{decisions:,} decisions replayed, {differ} differ"
