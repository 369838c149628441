"""Runs a service: its ledger, consumer, relay, ticker and HTTP in one process, from the parts that its `app.py` names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient
from psycopg_pool import AsyncConnectionPool

from shared.clock import Clock, FixedClock
from shared.contracts.envelope import Origin, Recorded
from shared.decider import Decider
from shared.errors import LedgerError
from shared.http import Health, create_app
from shared.ledger.group import GroupCommit
from shared.ledger.ledger import Ledger
from shared.ledger.types import Answer, Ask
from shared.migrate import newest_revision
from shared.parts import Context, Parts
from shared.seal import seal_record
from shared.settings import Settings, load_settings
from shared.settings_stream import settings_decider
from shared.telemetry import Metrics
from shared.ticker import Ticker, tick_origin

POOL_MIN: Final = 2
POOL_MAX: Final = 8
"""Connections to PostgreSQL of one process, the relay's own aside."""
REVISION: Final = "SELECT version_num FROM alembic_version"
TEST_KEY: Final = "00" * 32


def all_deciders(parts: Parts) -> list[Decider[Any]]:
    """Return the deciders of a service, the settings' included."""
    if parts.page_added is None:
        return list(parts.deciders)
    return [*parts.deciders, settings_decider(parts.name, parts.page_added, parts.kinds)]


@dataclass
class Service:
    """A service that is being run, or tested without Kafka."""

    parts: Parts
    settings: Settings
    pool: AsyncConnectionPool[Any]
    ledger: Ledger
    asker: GroupCommit
    context: Context
    ticker: Ticker
    metrics: Metrics
    client: AsyncClient | None = field(default=None)
    """Speaks HTTP to the service in this process; for tests."""

    async def hear(self, *events: Recorded[Any]) -> list[Answer]:
        """Handle another service's events as the consumer would, in one transaction. For tests."""
        subscription = self.parts.subscription
        assert subscription is not None, f"{self.parts.name} hears nobody"
        asks = [
            Ask(command, Origin(event.id, event.correlation), n)
            for n, event in enumerate(events)
            for command in subscription.commands_for(event)
        ]
        return await self.ledger.handle(asks) if asks else []

    async def tick(self) -> int:
        """Run the ticks until nothing is due. For tests."""
        return await self.ticker.settle()

    async def start(self) -> None:
        """Check the database, and ask what ships with the release; begin to take requests."""
        await self.ledger.open()
        await self._check_schema()
        await self.asker.start()
        commands = self.parts.defaults(await self.ledger.parameters())
        if commands:
            await self.asker.ask(commands, tick_origin(self.parts.name, f"defaults/{self.settings.release}").causation)

    async def _check_schema(self) -> None:
        async with self.pool.connection() as connection:
            row = await (await connection.execute(REVISION)).fetchone()
        needed = newest_revision(self.parts.name)
        if row is None or row[0] < needed:
            raise LedgerError(f"the database of {self.parts.name} is older than this release needs: run `cairn migrate {self.parts.name}`")


def build(parts: Parts, settings: Settings, clock: Clock, executor: Callable[[], Executor]) -> Service:
    """Return a service that is wired and not yet started. Opens nothing."""
    metrics = Metrics()
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(settings.database(), min_size=POOL_MIN, max_size=POOL_MAX, open=False)
    ledger = Ledger(
        service=parts.name, installation=settings.installation, release=settings.release, partitions=settings.partitions, pool=pool,
        deciders=all_deciders(parts), kinds=parts.kinds, projections=parts.projections, clock=clock,
        seal=partial(seal_record, settings.parking()), expand=parts.expand, metrics=metrics,
    )  # fmt: skip
    asker = GroupCommit(ledger, settings.group_commit_max)
    context = Context(pool, asker, clock, settings)
    return Service(
        parts, settings, pool, ledger, asker, context, Ticker(ledger, parts.ticks(context), executor, settings.ticker_poll_ms), metrics
    )


def application(service: Service, health: Callable[[], Any], lifespan: Any = None) -> FastAPI:
    """Return the HTTP application of a service, its routes under `/<name>`."""
    root = APIRouter(prefix=f"/{service.parts.name}")
    for router in service.parts.routes(service.context):
        root.include_router(router)
    return create_app(f"Cairn {service.parts.name}", service.settings.release, [root], lifespan, health, service.metrics)


@asynccontextmanager
async def inside(parts: Parts, database: Any, environment: Mapping[str, Any]) -> AsyncIterator[Service]:
    """Yield a service on a migrated database, without Kafka, in this process. For tests."""
    given = {"database_url": database.app_url, "parking_key": TEST_KEY, "district_key": TEST_KEY} | dict(environment)
    clock = given.pop("clock", None) or FixedClock(datetime(2026, 11, 24, 8, tzinfo=UTC))
    settings = load_settings(parts.settings, **given)
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(1))
        service = build(parts, settings, clock, lambda: executor)
        await service.pool.open()
        stack.push_async_callback(service.pool.close)
        await service.start()
        stack.push_async_callback(service.asker.stop)
        transport = ASGITransport(application(service, _always_ready), raise_app_exceptions=False)
        service.client = await stack.enter_async_context(AsyncClient(transport=transport, base_url="http://cairn.test"))
        yield service


async def _always_ready() -> Health:
    return Health(ready=True)


def search_pool() -> Executor:
    """Return a pool of one process for searches; a fresh interpreter, since forking one that runs threads is unsafe."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))
