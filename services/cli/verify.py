"""`cairn replay verify`: every decision of every ledger is decided again and must give the same bytes; every chain must be whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

from shared.contracts.topics import Topic
from shared.errors import LedgerError
from shared.ledger import read, store
from shared.parts import Parts
from shared.replay import Difference, Settings, Verifier, check_partition
from shared.serve import all_deciders

SHOWN_DIFFERENCES: Final = 5
"""Differences of one service that are reported whole; the others are counted."""
YIELD_EVERY: Final = 200
"""Streams between two reports of progress."""

Progress = Callable[["Report"], None]


@dataclass
class Report:
    """What a replay of one service's record found."""

    service: str
    total: int = 0
    events: int = 0
    decisions: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    chains: int = 0
    """Partitions whose chain was walked; 0 where only one learner is replayed."""

    @property
    def rate(self) -> float:
        """Decisions replayed per second."""
        return self.decisions / self.seconds if self.seconds else 0.0


def parts_of(service: str) -> Parts:
    """Return what a service is made of."""
    parts: Parts = import_module(f"services.{service}.app").PARTS
    return parts


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[read.Pool]:
    """Yield a pool for reading a record. Replay writes nothing."""
    async with AsyncConnectionPool[Any](url, min_size=1, max_size=2, open=False) as pool:
        yield pool


async def verify_service(url: str, service: str, installation: str, learner: str | None, progress: Progress) -> Report:
    """Replay one service's record, or one learner's streams in it, and walk its chains."""
    parts = parts_of(service)
    started = time.perf_counter()
    async with reading(url) as pool:
        like = f"%/{learner}" if learner else None
        report = Report(service, total=await read.count(pool, like))
        settings = [store.decoded(raw) async for _, raw in read.streams(pool, f"{service}/settings")]
        verifier = Verifier([*all_deciders(parts), *parts.versions], Settings(parts.kinds, settings))
        await _decisions(pool, like, verifier, report, progress)
        if learner is None:
            await _chains(pool, f"/{installation}/{service}", report)
    report.seconds = time.perf_counter() - started
    progress(report)
    return report


async def _decisions(pool: read.Pool, like: str | None, verifier: Verifier, report: Report, progress: Progress) -> None:
    name, raws, seen = "", list[bytes](), 0

    def finish() -> None:
        verifier.stream(name, raws)
        report.events, report.decisions, report.differences = verifier.tally.events, verifier.tally.decisions, verifier.tally.differences

    started = time.perf_counter()
    async for stream, raw in read.streams(pool, like):
        if stream != name and raws:
            finish()
            raws, seen = [], seen + 1
            if seen % YIELD_EVERY == 0:
                report.seconds = time.perf_counter() - started
                progress(report)
                await asyncio.sleep(0)
        name = stream
        raws.append(raw)
    if raws:
        finish()


async def _chains(pool: read.Pool, source: str, report: Report) -> None:
    lengths = await read.lengths(pool)
    for number, (length, head) in lengths.items():
        rows = [row async for row in read.partition(pool, number)]
        report.differences.extend(check_partition(source, number, len(lengths), rows, length, head))
        report.chains += 1


async def verify(
    urls: Mapping[str, str], installation: str, services: Sequence[Topic], learner: str | None, progress: Progress
) -> list[Report]:
    """Replay the records of these services, one after another.

    Raises:
        LedgerError: there is nothing to replay, which proves nothing.
    """
    reports = [await verify_service(urls[service], service, installation, learner, progress) for service in services]
    if not any(report.decisions for report in reports):
        what = f"learner {learner}" if learner else "these ledgers"
        raise LedgerError(f"nothing was replayed: {what} holds no decision. Is this the right installation, and was anything recorded?")
    return reports


def verdict(reports: Sequence[Report]) -> str:
    """Return the last line of a replay."""
    decisions, differ = sum(report.decisions for report in reports), sum(len(report.differences) for report in reports)
    return f"{decisions:,} decisions replayed, {differ} differ"
