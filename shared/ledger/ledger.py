"""`Ledger.handle` and `Ledger.apply`: lock, load, decide, append, project, commit - one READ COMMITTED transaction."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from psycopg_pool import AsyncConnectionPool

from shared.clock import Clock
from shared.contracts.envelope import Header, Recorded, StreamId, chain_start, partition_of
from shared.decider import Decider
from shared.errors import Misconfigured, PrivilegedRole, Refused
from shared.failpoints import reach
from shared.ledger import histories, store
from shared.ledger.clocks import Clocks
from shared.ledger.furthest import Furthest
from shared.ledger.patience import IDLE_LOCK_MS, WHOLE_S, connected
from shared.ledger.states import States
from shared.ledger.turn import Held, Lane, Turn, hold
from shared.ledger.types import Answer, Ask, Batch, Connection, Expand, Inbox, Incoming, Prepare, Projection, Settle, Trouble, Walk
from shared.parameters import NO_PARAMETERS, ParameterKind, Parameters, Parser

if TYPE_CHECKING:
    from shared.telemetry import Metrics

MAX_GUESSES: Final = 5
"""Times that the keys of commands may change between guess and lock before all partitions are locked."""

MANY: Final = 8
"""Asks for each partition from which on all are locked at once: so many need nearly all of them, and guessing which costs more."""

ROLE_RIGHTS: Final = """
    SELECT r.rolsuper OR pg_has_role(current_user, t.tableowner, 'member') FROM pg_roles r, pg_tables t
    WHERE r.rolname = current_user AND t.schemaname = 'public' AND t.tablename = 'event'"""
LAST_EVENTS: Final = """
    SELECT last.bytes FROM partition p
    CROSS JOIN LATERAL (SELECT bytes FROM event WHERE partition = p.id ORDER BY position DESC LIMIT 1) last"""
MAY_STAND: Final = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
TIME: Final = "SELECT clock_timestamp()"
SETTINGS: Final = "SELECT version FROM stream WHERE id = %s"
PAGES: Final = "SELECT hash, data FROM parameter_page WHERE hash = ANY(%s)"
READ_INBOX: Final = "SELECT source, partition, position, head, kafka_offset FROM inbox WHERE source = ANY(%s)"
OPEN_INBOX: Final = "INSERT INTO inbox (source, partition, head) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: the answers of its asks, how many records were parked, and where the inbox is now."""

    answers: tuple[Answer, ...]
    parked: int
    inbox: Mapping[tuple[str, int], Inbox]


class KeysChanged(Exception):
    """What commands depend on changed between guess and lock, and with it the partitions they need."""


class Ledger:
    """One service's record. Safe to use from several tasks; partitions locked in the database keep them apart."""

    def __init__(
        self, *, service: str, installation: str, release: str, partitions: int, pool: AsyncConnectionPool[Any],
        deciders: Sequence[Decider[Any]], kinds: Sequence[ParameterKind[Any]], projections: Sequence[Projection], clock: Clock,
        seal: Callable[[bytes], bytes], expand: Expand | None = None, settle: Settle | None = None,
        metrics: Metrics | None = None,
    ) -> None:  # fmt: skip
        self.service, self.source, self.partitions, self.pool = service, f"/{installation}/{service}", partitions, pool
        self.clock, self.metrics = clock, metrics
        self.on_commit: list[Callable[[Sequence[Recorded[Any]]], None]] = []
        """Called with the events of each transaction after its commit, such as to wake the relay."""
        self.under_way = 0
        """Transactions of requests and records that are not over; sweeps wait for them."""
        self.clocks = Clocks(service, clock)
        self.furthest = Furthest(service, self.clocks)
        self._installation, self._release = installation, release
        self._deciders = {decider.kind: decider for decider in deciders}
        self._projections, self._seal, self._expand = tuple(projections), seal, expand
        self._settle = settle
        self._parser, self._parameters = Parser(kinds), NO_PARAMETERS
        self._states = States()

    async def open(self) -> None:
        """Check that this process may use this database.

        Raises:
            PrivilegedRole: as a superuser or the owner it could change the record.
            Misconfigured: the ledger has other partitions, or belongs to another installation.
        """
        async with connected(self.pool) as connection:
            row = await (await connection.execute(ROLE_RIGHTS)).fetchone()
            if row is None or row[0]:
                raise PrivilegedRole(f"{self.service} runs as a superuser or owner of its record: give it the address with the app role")
            lanes = await self.furthest.look(connection)
            if len(lanes) != self.partitions:
                raise Misconfigured(
                    f"the ledger of {self.service} has {len(lanes)} partitions, CAIRN_PARTITIONS says {self.partitions}: "
                    f"the number is fixed at installation, set it to {len(lanes)}"
                )
            others = [lane for lane in lanes if lane.length == 0 and lane.head != chain_start(self.source, lane.number)]
            last = [bytes(raw) for (raw,) in await (await connection.execute(LAST_EVENTS)).fetchall()]
            strange = sorted(str(source) for source in {_source_of(raw) for raw in last} - {self.source, None})
            if others or strange:
                whose = f" ({strange[0].removeprefix('/').removesuffix(f'/{self.service}')})" if strange else ""
                raise Misconfigured(
                    f"this database belongs to another installation{whose} than {self._installation}: mend CAIRN_INSTALLATION"
                )

    async def handle(self, asks: Sequence[Ask], lock_ms: int = 0, sparing: bool = False) -> list[Answer]:
        """Decide and record these asks in one transaction, and return an answer for each, those that `expand` added included.

        Args:
            lock_ms: longest time to wait for each lock; 0: as long as it takes.
            sparing: lock no partition that is not needed, also where guessing which these are costs more than it is worth.

        Raises what a decider raises, and LockNotAvailable; then nothing was recorded.
        """
        return list((await self._transact(asks, None, lock_ms, sparing)).answers)

    async def held(self, asks: Sequence[Ask]) -> dict[int | None, frozenset[int]]:
        """Return, for each record or request item of these asks, which of the partitions that it needs somebody holds locked now."""
        async with connected(self.pool) as connection:
            expanded = await self._expand(connection, asks) if self._expand else asks
            free = await store.free_lanes(connection)
        needed = defaultdict[int | None, set[int]](set)
        for ask in expanded:
            needed[ask.record].add(partition_of(ask.stream.key, self.partitions))
        return {record: frozenset(numbers - free) for record, numbers in needed.items()}

    async def handle_whole(self, prepare: Prepare) -> list[Answer]:
        """Record what `prepare` returns, and keep what it writes, in one transaction: all of it, or nothing.

        Partitions are locked behind `prepare`, which may take its time.

        Raises:
            Refused: a decider refused one of the asks; nothing was recorded or kept. So it is with whatever else is raised, a lost
                connection aside: then it is unknown.
        """
        async with connected(self.pool, WHOLE_S) as connection, connection.transaction():
            await self.now(connection)  # What it keeps for later may hold today's date.
            await connection.execute(MAY_STAND, [str(int(WHOLE_S * 1000))])
            asks = await prepare(connection)
            await connection.execute(MAY_STAND, [str(IDLE_LOCK_MS)])
            started = time.perf_counter()
            turn = await self.decide(connection, asks, lock_all=True) if asks else None
            for answer in turn.answers if turn else ():
                if answer.refusal is not None:
                    raise Refused(answer.refusal.code, answer.refusal.detail)
        self.committed(turn, time.perf_counter() - started)
        return turn.answers if turn else []

    async def apply(self, batch: Batch) -> Applied:
        """Handle a batch of records exactly once: the inbox moves in the transaction that writes.

        Raises:
            InboxMoved: the inbox is not where `batch.before` says; nothing was done.
        """
        reach("batch.before")
        return await self._transact((), batch)

    async def now(self, connection: Connection) -> datetime:
        """Return the present instant, for whoever writes beside the ledger what keeps its date.

        Raises:
            ClockAhead: nothing may be written with our clock.
            Diverged: nor with this connection.
        """
        await self.furthest.recognize(connection)
        ((database_at,),) = await (await connection.execute(TIME)).fetchall()
        return self.clocks.now(database_at)

    async def walk(self, walk: Walk) -> bool:
        """Ask the commands of the next streams of a walk and move its cursor, in one transaction; return whether the walk is done."""
        started = time.perf_counter()
        async with connected(self.pool) as connection, connection.transaction():
            lanes = await self._lock(connection, {walk.partition})
            ids, done = await store.next_streams(connection, self.service, walk)
            parameters = await self._in_force(connection)
            asks = [Ask(command, walk.origin) for id in ids if id not in walk.passed for command in walk.commands(id, parameters)]
            lanes_of = {ask.stream.key: walk.partition for ask in asks}
            turn = await self._run(connection, asks, lanes, lanes_of, parameters) if asks else None
            await store.move_cursor(connection, walk, ids, done)
        self.committed(turn, time.perf_counter() - started)
        return done

    async def ahead(self, walk: Walk) -> list[str]:
        """Return the ids of the streams that the next step of a walk visits."""
        async with connected(self.pool) as connection:
            return (await store.next_streams(connection, self.service, walk))[0]

    async def inbox(self, sources: Sequence[str]) -> dict[tuple[str, int], Inbox]:
        """Return how far each partition of these services was applied, opening the inbox of those never heard before."""
        async with connected(self.pool) as connection:
            await self.furthest.recognize(connection)
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    OPEN_INBOX,
                    [(s, p, chain_start(f"/{self._installation}/{s}", p)) for s in sorted(sources) for p in range(self.partitions)],
                )
            rows = await (await connection.execute(READ_INBOX, [list(sources)])).fetchall()
        return {(row[0], row[1]): Inbox(*row) for row in rows}

    async def parameters(self) -> Parameters:
        """Return what is in force now."""
        async with connected(self.pool) as connection:
            return await self._in_force(connection)

    async def stream(self, stream: str) -> list[Recorded[Any]]:
        """Return the events of a stream in order."""
        async with connected(self.pool) as connection:
            rows = await (await connection.execute(store.LOAD_EVENTS, [[stream]])).fetchall()
        return [store.decoded(bytes(row[1])) for row in rows]

    async def state(self, stream: str) -> tuple[int, Any]:
        """Return a stream's version and state; version 0 and the decider's beginning where there is none."""
        decider = self._deciders[stream.split("/", 2)[1]]
        async with connected(self.pool) as connection:
            held = await store.load_streams(connection, {stream: -1}, {}, self._deciders)
        return (held[stream].version, held[stream].state) if stream in held else (0, decider.initial)

    async def _transact(self, asks: Sequence[Ask], batch: Batch | None, lock_ms: int = 0, sparing: bool = False) -> Applied:
        started = time.perf_counter()
        guesses = 0
        self.under_way += 1
        try:
            while True:
                try:
                    async with connected(self.pool) as connection, connection.transaction():
                        turn, applied = await self._once(connection, asks, batch, guesses >= MAX_GUESSES, lock_ms, sparing)
                        reach("commit.before")
                    break
                except KeysChanged:
                    guesses += 1
        finally:
            self.under_way -= 1
        reach("commit.after")
        self.committed(turn, time.perf_counter() - started)
        return applied

    def committed(self, turn: Turn | None, seconds: float) -> None:
        """Fill the cache, count, and tell who wants to know. Only ever after the commit."""
        if turn is not None:
            self.furthest.see(turn.lanes.values())
        for held in turn.changed() if turn else ():
            self._states.keep(held.id, held.version, held.state, held.size)
        self._count(seconds, turn)
        if turn is not None and turn.events:
            for told in self.on_commit:
                told(turn.events)

    def _count(self, seconds: float, turn: Turn | None) -> None:
        if self.metrics is None or turn is None:
            return
        self.metrics.handle.observe(seconds)
        self.metrics.batch_size.observe(len(turn.answers))
        for type_name, events in Counter(event.type for event in turn.events).items():
            self.metrics.ledger_events.labels(type_name).inc(events)

    async def _once(
        self, connection: Connection, asks: Sequence[Ask], batch: Batch | None, lock_all: bool, lock_ms: int, sparing: bool
    ) -> tuple[Turn | None, Applied]:
        records: list[Incoming] = []
        if batch is not None:
            await self.furthest.recognize(connection)
            await store.lock_inbox(connection, batch)
            lock_ms = batch.lock_ms
            records = await store.part_blocked(connection, batch)
            asks = [ask for record in records if record.trouble is None for ask in record.asks]
        lock_all = lock_all or (not sparing and self._expand is not None and len(asks) > MANY * self.partitions)
        turn = await self.decide(connection, asks, lock_all, lock_ms) if asks else None
        answers = tuple(turn.answers) if turn else ()
        if batch is None:
            return turn, Applied(answers, 0, {})
        parked = await store.park(connection, [*records, *_refused(records, answers)], self._seal)
        return turn, Applied(answers, parked, await store.move_inbox(connection, batch))

    async def decide(self, connection: Connection, asks: Sequence[Ask], lock_all: bool, lock_ms: int = 0) -> Turn:
        """Lock, load, decide and write within the caller's transaction; after its commit, call `committed`.

        Raises:
            KeysChanged: roll back and do it again.
            ClockAhead: nothing may be written with our clock.
            Diverged: the database was restored from a backup since this process last saw it.
        """
        guess = await self._expand(connection, asks) if self._expand and not lock_all else asks
        lanes_of = {key: partition_of(key, self.partitions) for key in {ask.stream.key for ask in guess}}
        numbers = range(self.partitions) if lock_all else lanes_of.values()
        lanes = await self._lock(connection, set(numbers), lock_ms)
        parameters = await self._in_force(connection)
        if self._expand:
            asks = await self._expand(connection, asks)
            lanes_of = {key: partition_of(key, self.partitions) for key in {ask.stream.key for ask in asks}}
            if not lanes.keys() >= set(lanes_of.values()):
                raise KeysChanged
        if self._settle:
            asks = self._settle(asks, parameters)
        return await self._run(connection, asks, lanes, lanes_of, parameters)

    async def _lock(self, connection: Connection, numbers: Iterable[int], lock_ms: int = 0) -> dict[int, Lane]:
        await self.furthest.recognize(connection)
        lanes = await store.lock_lanes(connection, numbers, lock_ms)
        self.furthest.check(lanes.values())
        return lanes

    async def _run(
        self, connection: Connection, asks: Sequence[Ask], lanes: Mapping[int, Lane], lanes_of: Mapping[str, int], parameters: Parameters
    ) -> Turn:
        """Decide asks whose partitions are locked, and write what they lead to."""
        streams = {ask.stream.name: ask.stream for ask in asks}
        held = await self._load(connection, streams, lanes_of)
        turn = Turn(
            source=self.source, release=self._release, deciders=self._deciders, parameters=parameters, lanes=lanes, held=held,
            now=self.clocks.now(max(lane.asked_at for lane in lanes.values())),
        )  # fmt: skip
        await histories.run(connection, turn, asks, self._deciders)
        if turn.events:
            await self._write(connection, turn)
        return turn

    async def _load(self, connection: Connection, streams: Mapping[str, StreamId], lanes_of: Mapping[str, int]) -> dict[str, Held]:
        cached = {name: found for name in streams if (found := self._states.get(name))}
        known = {name: cached[name][0] if name in cached else -1 for name in streams}
        rows = await store.load_streams(connection, known, {name: state for name, (_, state) in cached.items()}, self._deciders)
        return hold(streams.values(), lanes_of, rows, self._deciders)

    async def _write(self, connection: Connection, turn: Turn) -> None:
        await store.append(connection, turn.events, turn.lanes.values())
        await store.keep_streams(connection, turn.changed(), self._deciders)
        await store.keep_parameters(connection, turn.events)
        await store.project(connection, self._projections, turn.events)

    async def _in_force(self, connection: Connection) -> Parameters:
        stream = f"{self.service}/settings"
        row = await (await connection.execute(SETTINGS, [stream])).fetchone()
        if row is None or row[0] == self._parameters.version:
            return self._parameters if row else NO_PARAMETERS
        found = (await store.load_streams(connection, {stream: -1}, {}, self._deciders))[stream]  # Folded again from another format.
        in_force = found.state.in_force
        missing = self._parser.missing(in_force)
        pages = {h: bytes(d) for h, d in await (await connection.execute(PAGES, [missing])).fetchall()} if missing else {}
        self._parameters = self._parser.parameters(found.version, in_force, pages)
        return self._parameters


def _source_of(raw: bytes) -> str | None:
    """Return whose event this is; None where it cannot be read, which `cairn replay verify` is there to find."""
    try:
        return str(Header.read(raw).attributes["source"])
    except ValueError:
        return None


def _refused(records: Sequence[Incoming], answers: Sequence[Answer]) -> list[Incoming]:
    """Return the records with a refused command, each to be parked alone with the refusal as its reason."""
    reasons = {answer.ask.record: answer.refusal for answer in answers if answer.refusal and answer.ask.record is not None}
    if not reasons:
        return []
    by_index = dict(_indexed(records))
    return [_parked(by_index[index], f"{refusal.code}: {refusal.detail}") for index, refusal in reasons.items() if index in by_index]


def _indexed(records: Sequence[Incoming]) -> list[tuple[int, Incoming]]:
    return [(ask.record, record) for record in records for ask in record.asks if ask.record is not None]


def _parked(record: Incoming, reason: str) -> Incoming:
    return Incoming(
        record.source,
        record.partition,
        record.kafka_offset,
        record.raw,
        record.position,
        record.key,
        record.head,
        (),
        Trouble.REFUSED,
        reason,
    )
