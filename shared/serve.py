"""Runs a service: its ledger, consumer, relay, ticker and HTTP in one process, from the parts that its `app.py` names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from psycopg import AsyncConnection, IsolationLevel, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.clock import Clock, FixedClock, clock_from
from shared.consume import Consumer
from shared.contracts.envelope import Event, Origin, Recorded
from shared.decider import Decider
from shared.errors import LedgerError
from shared.failpoints import arm
from shared.hole_stream import hole_decider
from shared.http import Health, create_app
from shared.key_check import check_keys
from shared.leader import Name
from shared.ledger import patience
from shared.ledger.group import GroupCommit
from shared.ledger.ledger import Ledger
from shared.ledger.types import Answer, Ask, Connection
from shared.lifetime import Parties, until_ended
from shared.parts import Context, Parts
from shared.relay.control import Control
from shared.relay.readers import Witness, Witnessed
from shared.relay.relay import Relay
from shared.revision import newest_revision
from shared.seal import seal_record
from shared.settings import Settings, load_settings
from shared.settings_stream import settings_decider
from shared.telemetry import Metrics, configure_logging, configure_tracing
from shared.ticker import Ticker, tick_origin
from shared.ticker.pool import SearchPool, rare_gc
from shared.versions import v1_settings
from shared.workers import Line

POOL_MIN: Final = 2
POOL_MAX: Final = 8
"""Connections to PostgreSQL of one process, the relay's own aside."""
CONNECT_S: Final = 30.0
"""Time in which they must be there at the start."""
SURVEY_S: Final = 5.0
SURVEY_REST: Final = 20.0
"""Times as long as a look at what waits took, before the next one: where millions wait, counting them is work."""
REQUEST_VERSION: Final = 7
REVISION: Final = "SELECT version_num FROM alembic_version"
DURABLE: Final = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
"""A server that waits for its standbys, too, is left as it is."""
TEST_KEY: Final = "00" * 32

log = structlog.get_logger(__name__)


def all_deciders(parts: Parts) -> list[Decider[Any]]:
    """Return the deciders of a service, those that every service has included."""
    own = [*parts.deciders, hole_decider(parts.name)]
    return own if parts.page_added is None else [*own, settings_decider(parts.name, parts.page_added, parts.kinds)]


def earlier_deciders(parts: Parts) -> list[Decider[Any]]:
    """Return the frozen earlier deciders of a service, those that every service has included: for replay only."""
    shared = [] if parts.page_added is None else [v1_settings.settings_decider(parts.name, parts.page_added, parts.kinds)]
    return [*parts.versions, *shared]


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
    notes: list[str] = field(default_factory=list)
    """What an operator should know of what waits, as it was when it was looked last."""
    client: AsyncClient | None = field(default=None)
    """Speaks HTTP to the service in this process; for tests."""

    async def hear(self, *events: Recorded[Any]) -> list[Answer]:
        """Handle another service's events as the consumer would, in one transaction. For tests."""
        subscription = self.parts.subscription
        assert subscription is not None, f"{self.parts.name} hears nobody"
        commands_for = subscription.commands_by(self.settings.zone())
        asks = [Ask(command, Origin(event.id, event.correlation), n) for n, event in enumerate(events) for command in commands_for(event)]
        return await self.ledger.handle(asks) if asks else []

    async def tick(self) -> int:
        """Run the ticks until nothing is due. For tests."""
        return await self.ticker.settle()

    async def connect(self) -> None:
        """Open the pool, and wait until it has its connections.

        Raises:
            psycopg.OperationalError: it gets none, and as far as PostgreSQL answers, why.
        """
        try:
            await self.pool.open(wait=True, timeout=CONNECT_S)
        except PoolTimeout:  # It tells nobody why: asked directly, a wrong password is told as such.
            async with await AsyncConnection.connect(self.settings.database(), connect_timeout=int(patience.CHECK_S)):
                raise

    async def check(self) -> None:
        """Check that this release, with these settings, may write to this database.

        Raises:
            CairnError: it may not; the message says why and what to do.
        """
        await self.ledger.open()
        await self._check_schema()
        await check_keys(self.pool, self.settings.keys())

    async def start(self) -> None:
        """Check the database, and ask what ships with the release; begin to take requests."""
        await self.check()
        await self.asker.start()
        commands = self.parts.defaults(await self.ledger.parameters())
        if commands:
            await self.asker.ask(commands, UUID(tick_origin(self.parts.name, f"defaults/{self.settings.release}").causation))

    async def _check_schema(self) -> None:
        async with patience.connected(self.pool) as connection:
            row = await (await connection.execute(REVISION)).fetchone()
        needed = newest_revision(self.parts.name)
        if row is None or row[0] < needed:
            raise LedgerError(f"the database of {self.parts.name} is older than this release needs: run `cairn migrate {self.parts.name}`")


async def _prepare(connection: Connection) -> None:
    """Whatever the server's defaults are: what is read after a lock must be what stands then, and a commit must be on disk when it ends."""
    await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
    await connection.execute(DURABLE)
    await connection.commit()


def build(parts: Parts, settings: Settings, clock: Clock, executor: Callable[[], Executor], metrics: Metrics | None = None) -> Service:
    """Return a service that is wired and not yet started. Opens nothing."""
    metrics = metrics or Metrics()
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        settings.database(),
        min_size=POOL_MIN,
        max_size=POOL_MAX,
        open=False,
        configure=_prepare,
        kwargs={**patience.ALIVE, "options": f"{patience.NOTICED} -c idle_in_transaction_session_timeout={patience.IDLE_LOCK_MS}"},
        check=patience.check_connection,
    )
    ledger = Ledger(
        service=parts.name, installation=settings.installation, release=settings.release, partitions=settings.partitions, pool=pool,
        deciders=all_deciders(parts), kinds=parts.kinds, projections=parts.projections, clock=clock,
        seal=partial(seal_record, settings.parking()), expand=parts.expand, settle=parts.settle, metrics=metrics,
    )  # fmt: skip
    if parts.last is not None:
        ledger.on_commit.append(partial(_meter_journeys, metrics, parts.last))
    asker = GroupCommit(ledger, settings.group_commit_max)
    context = Context(pool, asker, clock, settings)
    ticker = Ticker(ledger, parts.ticks(context), executor, settings.ticker_poll_ms, settings.zone())
    return Service(parts, settings, pool, ledger, asker, context, ticker, metrics)


def _meter_journeys(metrics: Metrics, last: type[Event], events: Sequence[Recorded[Any]]) -> None:
    """Meter how long ago that was handed in whose journey ends here: its request's id holds the time (UUIDv7, RFC 9562)."""
    now_ms = time.time() * 1000
    for event in events:
        if isinstance(event.data, last) and (request := UUID(event.correlation)).version == REQUEST_VERSION:
            metrics.end_to_end.observe(max(0.0, now_ms - (request.int >> 80)) / 1000)


async def _survey(service: Service) -> None:
    """Meter, and note, again and again, what waits. What is set aside the consumer meters, which alone sets something aside."""
    parts = service.parts
    while True:
        began = time.monotonic()
        try:
            async with patience.connected(service.pool) as connection:
                if parts.waiting is not None:
                    service.metrics.waiting.set(await parts.waiting(connection))
                service.notes[:] = await parts.notes(connection) if parts.notes is not None else ()
        except OperationalError as error:
            log.warning("what waits is not metered", error=type(error).__name__, again_in_s=SURVEY_S)
        except Exception as error:
            log.error("what waits is not metered", exc_info=error, again_in_s=SURVEY_S)
        await asyncio.sleep(max(SURVEY_S, SURVEY_REST * (time.monotonic() - began)))


def relay_of(service: Service, control: Control) -> Relay:
    """Return a service's relay, not yet started."""
    settings = service.settings
    return Relay(
        dsn=settings.database(), service=service.parts.name, source=service.ledger.source, partitions=settings.partitions,
        kafka_servers=settings.kafka(), prefix=settings.topic_prefix, control=control, poll_ms=settings.relay_poll_ms,
        metrics=service.metrics,
    )  # fmt: skip


async def check_record(service: Service) -> None:
    """Check, as `run` does before anything is written, that the database was not restored behind its topic or a reader that runs.

    The ledger must be open: what is compared must be what is written to. The service may run beside.

    Raises:
        Diverged: it was; the message says what to do.
        WrongPartitionCount: see `ensure_topics`.
        aiokafka.errors.KafkaError, psycopg.Error: a server cannot be reached.
    """
    settings = service.settings
    control = Control(settings.kafka(), settings.topic_prefix)
    witnessed = Witnessed(dsn=settings.database(), service=service.parts.name, control=control)
    vouched = await relay_of(service, control).start()
    await control.start()
    try:
        await witnessed.ask(vouched)
    finally:
        await control.stop()


def application(service: Service, health: Callable[[], Any], lifespan: Any = None) -> FastAPI:
    """Return the HTTP application of a service, its routes under `/<name>`."""
    title, doc = f"Cairn {service.parts.name}", service.parts.doc
    return create_app(
        title, service.settings.release, service.parts.routes(service.context), lifespan, health, service.metrics, description=doc,
        is_full=service.asker.is_full, large=service.parts.large_bodies,
    )  # fmt: skip


async def run(parts: Parts, settings: Settings, line: Line | None = None) -> None:
    """Run a service until SIGTERM or SIGINT: then the batch in hand is finished; a second signal ends it at once.

    Args:
        line: to the supervisor, where this is one of several workers; then it may ask to stop, too.

    Raises:
        CairnError: it must not go on; the message says why and what to do.
    """
    configure_logging(parts.name, settings.log_level)
    arm(settings.failpoint, settings.allow_failpoints)
    tracer = configure_tracing(parts.name, settings.release, settings.otlp_endpoint)
    rare_gc()
    clock = clock_from(settings.now, settings.home)
    pool = SearchPool()
    service = build(parts, settings, clock, pool, Metrics(line.metrics if line else None))
    control = Control(settings.kafka(), settings.topic_prefix)
    relay = relay_of(service, control)
    service.ledger.on_commit.append(relay.wake)
    consumer = None
    if parts.subscription is not None:
        consumer = Consumer(
            ledger=service.ledger, subscription=parts.subscription, service=parts.name, settings=settings, control=control,
            metrics=service.metrics,
        )  # fmt: skip
    async with AsyncExitStack() as stack:
        if tracer is not None:
            stack.callback(tracer.shutdown)
        stack.callback(pool.close)
        await service.connect()
        stack.push_async_callback(service.pool.close)
        await control.start()
        stack.push_async_callback(control.stop)
        witness = Witness(dsn=settings.database(), service=parts.name, sources=_heard(parts), control=control)
        await witness.start()
        stack.push_async_callback(witness.stop)
        # Before anything is written: these find a database that was restored behind its readers.
        witnessed = Witnessed(dsn=settings.database(), service=parts.name, control=control)
        async with patience.connected(service.pool) as connection:  # What they compare must be what is written to.
            await service.ledger.furthest.look(connection)
        await witnessed.ask(await relay.start())
        await service.start()
        stack.push_async_callback(service.asker.stop)
        name = None
        if consumer is not None:
            name = Name(settings.database(), parts.name, settings.instance_of(parts.name))
            stack.push_async_callback(name.give_back)
            await name.claim()
        await service.ticker.start(settings.database())
        stack.push_async_callback(service.ticker.stop)
        if parts.waiting is not None or parts.notes is not None:
            stack.callback(asyncio.create_task(_survey(service), name="survey").cancel)
        parties = Parties(control, relay, witnessed, service.ticker, service.ledger, consumer, name, service.notes)
        await until_ended(settings, partial(application, service), parties, line)


def _heard(parts: Parts) -> tuple[str, ...]:
    return tuple(map(str, parts.subscription.topics)) if parts.subscription else ()


@asynccontextmanager
async def inside(parts: Parts, database: Any, environment: Mapping[str, Any]) -> AsyncIterator[Service]:
    """Yield a service on a migrated database, without Kafka, in this process. For tests."""
    given = {"database_url": database.app_url, "parking_key": TEST_KEY, "district_key": TEST_KEY} | dict(environment)
    clock = given.pop("clock", None) or FixedClock(datetime(2026, 11, 24, 8, tzinfo=UTC))
    settings = load_settings(parts.settings, **given)
    configure_logging(parts.name, "ERROR")
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
