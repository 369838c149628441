"""The ledger on a real PostgreSQL: gapless, chained, one transaction per batch, and nothing left behind by what failed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from psycopg.errors import LockNotAvailable
from psycopg_pool import AsyncConnectionPool

from shared.clock import FixedClock
from shared.contracts.envelope import Event, Origin, StreamId, chain_start, partition_of
from shared.contracts.evidence import AliasNoted
from shared.decider import Decider, History, Refusal, json_codec
from shared.errors import Misconfigured, OutdatedDecider, Overloaded, PrivilegedRole, Unavailable
from shared.ledger.group import GroupCommit
from shared.ledger.ledger import Ledger
from shared.ledger.types import Ask, Batch, InboxMoved, Incoming, Projection, Trouble, Walk
from shared.parameters import Parameters
from shared.stack import ServiceDatabase

PARTITIONS = 8
NOBODY = Origin(str(UUID(int=7)), str(UUID(int=7)))
LEARNERS = [UUID(int=n) for n in range(1, 2_000)]


@dataclass(frozen=True)
class Note:
    """Note that a name belongs to a learner; `alias` "bad" breaks the code, "long" an index, "no" is refused."""

    name: str
    learner_id: UUID

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "note", self.name)


@dataclass(frozen=True)
class State:
    learners: tuple[UUID, ...] = ()


def decide(command: Note, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
    if command.name == "bad":
        raise ValueError("poison")
    if command.name == "long":
        raise psycopg.errors.ProgramLimitExceeded("index row size 3000 exceeds btree maximum")
    if command.name == "no":
        return Refusal("unwanted", "not this one")
    if command.learner_id in state.learners:
        return []
    return [AliasNoted(alias=hashlib.sha256(command.name.encode()).hexdigest(), learner_id=command.learner_id)]


def evolve(state: State, event: AliasNoted) -> State:
    return State((*state.learners, event.learner_id))


def noting(version: int = 1, needs_history: Callable[[Any, Any], bool] = lambda c, s: False) -> Decider[State]:
    return Decider("test.note", version, "note", State(), decide, evolve, lambda event: None, json_codec(State), needs_history)


COUNTED: list[int] = []


@pytest.fixture
async def ledger(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Ledger]:
    async with AsyncConnectionPool(database("evidence").app_url, min_size=2, max_size=10, open=False) as pool:
        made = a_ledger(pool)
        await made.open()
        yield made


def a_ledger(pool: AsyncConnectionPool[Any], **given: Any) -> Ledger:
    defaults: dict[str, Any] = {
        "service": "evidence", "installation": "local", "release": "test", "partitions": PARTITIONS, "pool": pool, "deciders": [noting()],
        "kinds": [], "projections": [], "clock": FixedClock(datetime(2026, 11, 24, 8, tzinfo=UTC)), "seal": lambda raw: b"sealed:" + raw,
    }  # fmt: skip
    return Ledger(**(defaults | given))


def asks(*notes: Note) -> list[Ask]:
    return [Ask(note, NOBODY, n) for n, note in enumerate(notes)]


async def rows(ledger: Ledger, statement: str, *values: Any) -> list[Any]:
    async with ledger.pool.connection() as connection:
        return await (await connection.execute(statement, values)).fetchall()


async def check_chain(ledger: Ledger) -> int:
    """Assert that every partition is gapless and chained, reading nothing but bytes, and return the number of events."""
    count = 0
    for number, length, head in await rows(ledger, "SELECT id, length, head FROM partition ORDER BY id"):
        previous = chain_start("/local/evidence", number)
        stored = await rows(ledger, "SELECT position, bytes FROM event WHERE partition = %s ORDER BY position", number)
        for expected, (position, raw) in enumerate(stored):
            event = orjson.loads(raw)
            assert position == expected == event["position"]
            assert event["previous"] == previous
            previous = hashlib.sha256(raw).hexdigest()
        assert (length, head) == (len(stored), previous)
        count += length
    return count


async def test_positions_are_gapless_under_concurrent_writers(ledger: Ledger) -> None:
    async def writer(number: int) -> None:
        for turn in range(12):
            await ledger.handle(
                asks(*(Note(f"name-{(number * 7 + turn * 5 + n) % 90}", LEARNERS[number * 200 + turn * 12 + n]) for n in range(12)))
            )

    await asyncio.gather(*(writer(number) for number in range(8)))
    assert await check_chain(ledger) == 8 * 12 * 12


async def test_writers_in_two_processes_memory_do_not_deadlock_and_see_each_other(ledger: Ledger) -> None:
    other = a_ledger(ledger.pool)
    for turn in range(5):
        await ledger.handle(asks(Note("shared", LEARNERS[2 * turn])))
        await other.handle(asks(Note("shared", LEARNERS[2 * turn + 1])))
        for writer in (ledger, other):
            assert (await writer.handle(asks(Note("shared", LEARNERS[2 * turn]))))[0].events == (), "asked again, both know it"
    version, state = await ledger.state("evidence/note/shared")
    assert (version, len(state.learners)) == (10, 10)


async def test_what_a_transaction_began_leaves_no_trace_when_it_fails(ledger: Ledger) -> None:
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    before = [await rows(ledger, f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("partition", "event", "stream", "inbox")]  # noqa: S608
    with pytest.raises(ValueError, match="poison"):
        await ledger.handle(asks(Note("a", LEARNERS[1]), Note("b", LEARNERS[2]), Note("bad", LEARNERS[3])))
    after = [await rows(ledger, f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("partition", "event", "stream", "inbox")]  # noqa: S608
    assert before == after
    assert len((await ledger.handle(asks(Note("a", LEARNERS[1]))))[0].events) == 1, "the cache kept nothing of it either"


async def test_a_refusal_is_an_answer_and_the_rest_goes_on(ledger: Ledger) -> None:
    answers = await ledger.handle(asks(Note("a", LEARNERS[0]), Note("no", LEARNERS[1]), Note("b", LEARNERS[2])))
    assert [len(answer.events) for answer in answers] == [1, 0, 1]
    assert answers[1].refusal == Refusal("unwanted", "not this one")


async def test_the_record_cannot_be_changed(ledger: Ledger, database: Callable[[str], ServiceDatabase]) -> None:
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    for statement in ("UPDATE event SET key = 'x'", "DELETE FROM event", "TRUNCATE event", "DELETE FROM parameter_page"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await rows(ledger, statement)
    await check_chain(ledger)


async def test_even_the_owner_is_refused_by_the_trigger(database: Callable[[str], ServiceDatabase]) -> None:
    async with await psycopg.AsyncConnection.connect(database("evidence").owner_url, autocommit=True) as owner:
        for statement in ("UPDATE event SET key = 'x'", "DELETE FROM event", "TRUNCATE event"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"):
                await owner.execute(statement)


async def test_a_service_does_not_run_as_owner(database: Callable[[str], ServiceDatabase]) -> None:
    async with AsyncConnectionPool(database("evidence").owner_url, min_size=1, open=False) as pool:
        with pytest.raises(PrivilegedRole, match="app role"):
            await a_ledger(pool).open()


async def test_another_partition_count_or_installation_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Misconfigured, match="has 8 partitions"):
        await a_ledger(ledger.pool, partitions=32).open()
    with pytest.raises(Misconfigured, match="another installation"):
        await a_ledger(ledger.pool, installation="elsewhere").open()
    await ledger.handle(asks(*(Note(notes_in(number, 1)[0], LEARNERS[0]) for number in range(PARTITIONS))))
    with pytest.raises(Misconfigured, match=r"another installation \(local\) than elsewhere"):  # Also where no partition is empty any more.
        await a_ledger(ledger.pool, installation="elsewhere").open()
    await a_ledger(ledger.pool).open()


async def test_time_never_runs_backwards_within_a_partition(ledger: Ledger) -> None:
    clock = FixedClock(datetime(2026, 11, 24, 8, tzinfo=UTC))
    behind = FixedClock(datetime(2026, 11, 24, 7, tzinfo=UTC))
    await a_ledger(ledger.pool, clock=clock).handle(asks(Note("a", LEARNERS[0])))
    answer = (await a_ledger(ledger.pool, clock=behind).handle(asks(Note("a", LEARNERS[1]))))[0]
    assert answer.events[0].time == clock.now()


async def test_an_older_release_stops_and_a_newer_one_folds_again(ledger: Ledger) -> None:
    await a_ledger(ledger.pool, deciders=[noting(version=2)]).handle(asks(Note("a", LEARNERS[0])))
    with pytest.raises(OutdatedDecider, match="start the newer release"):
        await a_ledger(ledger.pool).handle(asks(Note("a", LEARNERS[1])))
    newest = a_ledger(ledger.pool, deciders=[noting(version=3)])
    assert (await newest.handle(asks(Note("a", LEARNERS[0]))))[0].events == ()
    assert (await newest.handle(asks(Note("a", LEARNERS[2]))))[0].events[0].version == 2


async def test_history_holds_stored_events_and_those_of_the_batch(ledger: Ledger) -> None:
    seen: list[int] = []

    def counting(command: Note, state: State, parameters: Parameters, history: History = ()) -> Sequence[Event] | Refusal:
        seen.append(len(history))
        return decide(command, state, parameters, history)

    decider = Decider("test.note", 1, "note", State(), counting, evolve, lambda e: None, json_codec(State), lambda c, s: bool(s.learners))
    keen = a_ledger(ledger.pool, deciders=[decider])
    await keen.handle(asks(Note("a", LEARNERS[0]), Note("a", LEARNERS[1])))
    await a_ledger(ledger.pool, deciders=[decider]).handle(asks(Note("a", LEARNERS[2]), Note("a", LEARNERS[3])))
    assert seen == [0, 1, 2, 3]


def incoming(offset: int, note: Note, position: int, trouble: Trouble | None = None) -> Incoming:
    ask = Ask(note, NOBODY, offset)
    return Incoming("profile", 0, offset, b"raw", position, note.name, f"head-{position}", (ask,), trouble, "why" if trouble else "")


@pytest.mark.parametrize(
    "held", ["inbox WHERE (source, partition) = ('profile', 0)", f"partition WHERE id = {partition_of('a', PARTITIONS)}"]
)
async def test_a_batch_waits_for_a_lock_as_long_as_it_says(ledger: Ledger, held: str) -> None:
    here = {("profile", 0): (await ledger.inbox(["profile"]))[("profile", 0)]}
    records = (incoming(0, Note("a", LEARNERS[0]), 0),)
    async with ledger.pool.connection() as holder:
        await holder.execute(f"SELECT FROM {held} FOR UPDATE")
        async with asyncio.timeout(30):
            with pytest.raises(LockNotAvailable):
                await ledger.apply(Batch(here, records, lock_ms=50))
        asked = asyncio.create_task(ledger.handle(asks(Note("a", LEARNERS[1]))))
        await asyncio.sleep(0.2)
        assert not asked.done() or held.startswith("inbox"), "who asks waits on"
    await asked
    assert len((await ledger.apply(Batch(here, records))).answers) == 1


async def test_a_batch_moves_the_inbox_once_whatever_is_repeated(ledger: Ledger) -> None:
    before = await ledger.inbox(["profile"])
    here = {("profile", 0): before[("profile", 0)]}
    batch = Batch(here, (incoming(0, Note("a", LEARNERS[0]), 0), incoming(1, Note("b", LEARNERS[1]), 1)))
    applied = await ledger.apply(batch)
    assert (applied.inbox[("profile", 0)].position, applied.inbox[("profile", 0)].kafka_offset) == (1, 2)
    with pytest.raises(InboxMoved):
        await ledger.apply(batch)
    assert (await ledger.inbox(["profile"]))[("profile", 0)] == applied.inbox[("profile", 0)]
    assert await check_chain(ledger) == 2


async def test_a_parked_key_holds_back_its_followers_and_nobody_else(ledger: Ledger) -> None:
    here = {("profile", 0): (await ledger.inbox(["profile"]))[("profile", 0)]}
    first = await ledger.apply(
        Batch(
            here,
            (
                incoming(0, Note("a", LEARNERS[0]), 0, Trouble.POISON),
                incoming(1, Note("a", LEARNERS[1]), 1),
                incoming(2, Note("b", LEARNERS[2]), 2),
            ),
        )
    )
    assert [len(answer.events) for answer in first.answers] == [1]
    second = await ledger.apply(Batch(dict(first.inbox), (incoming(3, Note("a", LEARNERS[3]), 3), incoming(4, Note("no", LEARNERS[4]), 4))))
    assert (second.parked, second.inbox[("profile", 0)].position) == (2, 4)
    third = await ledger.apply(Batch(dict(second.inbox), (incoming(5, Note("no2", LEARNERS[5]), 5),)))
    assert third.parked == 0
    parked = await rows(ledger, "SELECT kafka_offset, key, trouble, reason, bytes FROM parked ORDER BY kafka_offset")
    assert [(offset, key, trouble) for offset, key, trouble, _, _ in parked] == [
        (0, "a", "poison"), (1, "a", "behind"), (3, "a", "behind"), (4, "no", "refused")
    ]  # fmt: skip
    assert all(bytes(sealed).startswith(b"sealed:") for *_, sealed in parked)


async def test_projections_are_reduced_to_the_last_row_of_a_key(ledger: Ledger) -> None:
    async with ledger.pool.connection() as connection:
        await connection.execute("INSERT INTO cursor (name, partition) VALUES ('probe', 0)")
    probe = Projection(
        "cursor", lambda event: [{"name": "probe", "after_key": str(event.data.learner_id)}], ("name",),
        "UPDATE cursor SET after_key = r.after_key FROM jsonb_to_recordset(%(rows)s) AS r(name text, after_key text) "
        "WHERE cursor.name = r.name",
    )  # fmt: skip
    await a_ledger(ledger.pool, projections=[probe]).handle(asks(*(Note("a", learner) for learner in LEARNERS[:5])))
    assert await rows(ledger, "SELECT after_key FROM cursor WHERE name = 'probe'") == [(str(LEARNERS[4]),)]


async def test_a_walk_visits_every_stream_once_and_resumes_after_a_crash(ledger: Ledger) -> None:
    names = [f"{n:04}" for n in range(250)]
    await ledger.handle(asks(*(Note(name, LEARNERS[0]) for name in names)))
    visited: list[str] = []
    crash = {"after": 2}

    def commands(id: str, parameters: Parameters) -> list[Note]:
        visited.append(id)
        return [Note(id, LEARNERS[1])]

    async def sweep() -> None:
        for partition in range(PARTITIONS):
            walk = Walk("probe", partition, "note", NOBODY, commands)
            while not await ledger.walk(walk):
                crash["after"] -= 1
                if not crash["after"]:
                    raise KeyboardInterrupt

    for _ in range(2):
        try:
            await sweep()
        except KeyboardInterrupt:
            continue
    assert sorted(set(visited)) == names
    assert len(visited) == len(names)
    await sweep()
    assert len(visited) == len(names)
    assert await check_chain(ledger) == 500


async def test_requests_that_arrive_together_share_a_transaction_and_a_broken_one_breaks_only_itself(ledger: Ledger) -> None:
    group = GroupCommit(ledger)
    committed: list[int] = []
    ledger.on_commit.append(lambda events: committed.append(len(events)))
    await group.start()
    try:
        answers = await asyncio.gather(*(group.ask([Note(f"n{n}", LEARNERS[n])], uuid4()) for n in range(50)))
        assert [len(one[0].events) for one in answers] == [1] * 50
        assert len(committed) < 10
        mixed = await asyncio.gather(
            *(group.ask([Note(name, LEARNERS[60])], uuid4()) for name in ("x", "bad", "long", "y")), return_exceptions=True
        )
        assert [type(one).__name__ for one in mixed] == ["list", "ValueError", "ProgramLimitExceeded", "list"]
    finally:
        await group.stop()
    assert await check_chain(ledger) == 52


async def test_who_asks_for_more_than_a_transaction_while_the_service_stops_is_told_so(ledger: Ledger) -> None:
    group = GroupCommit(ledger, most=2)
    await group.start()
    asked = asyncio.create_task(group.ask([Note(f"n{n}", LEARNERS[n]) for n in range(5)], uuid4()))
    await asyncio.sleep(0)
    await group.stop()
    with pytest.raises(Unavailable, match="stopping"):  # Not 429: what came before is stored.
        await asyncio.wait_for(asked, 10)


async def test_a_large_request_waits_part_by_part_beside_others(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ledger.group.MAX_WAITING", 4)
    group = GroupCommit(ledger, most=2)
    await group.start()
    try:
        one = asyncio.create_task(group.ask([Note("n0", LEARNERS[0])], uuid4()))
        await asyncio.sleep(0)
        assert len(await group.ask([Note(f"n{n}", LEARNERS[n]) for n in range(1, 9)], uuid4())) == 8
        await one
    finally:
        await group.stop()
    assert await check_chain(ledger) == 9


async def test_who_would_wait_for_too_long_is_told_to_come_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ledger.group.MAX_WAIT_S", 0.0)
    group, handle, gate = GroupCommit(ledger, most=1), ledger.handle, asyncio.Event()

    async def slow(asked: Sequence[Ask], *how: Any) -> Any:
        await gate.wait()
        return await handle(asked, *how)

    monkeypatch.setattr(ledger, "handle", slow)
    await group.start()
    try:
        asked = [asyncio.create_task(group.ask([Note(f"n{n}", LEARNERS[n])], uuid4())) for n in range(3)]
        await asyncio.sleep(0)
        assert not group.is_full(), "nobody knows yet how long a transaction takes"
        gate.set()
        await asked[0]
        assert group.is_full()
        with pytest.raises(Overloaded):
            await group.ask([Note("n3", LEARNERS[3])], uuid4())
        await asyncio.gather(*asked)
        assert not group.is_full(), "nobody waits"
        await group.ask([Note("n3", LEARNERS[3])], uuid4())
    finally:
        await group.stop()
    assert await check_chain(ledger) == 4


@asynccontextmanager
async def grouping(ledger: Ledger, **given: Any) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(ledger, **given)
    await group.start()
    try:
        yield group
    finally:
        await group.stop()


def notes_in(partition: int, count: int) -> list[str]:
    """Return names whose streams lie in a partition."""
    return list(islice((name for name in map(str, range(10_000)) if partition_of(name, PARTITIONS) == partition), count))


HOLD = "SELECT FROM partition WHERE id = 3 FOR UPDATE"


async def test_requests_of_other_partitions_do_not_wait_with_one_that_somebody_holds(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.ledger.group.LOCK_MS", 1_500)
    held, other = notes_in(3, 10), notes_in(4, 40)
    async with grouping(ledger) as group:
        async with ledger.pool.connection() as holder:
            await holder.execute(HOLD)
            waiting = [asyncio.create_task(group.ask([Note(name, LEARNERS[0])])) for name in held[:5]]
            async with asyncio.timeout(10):
                await asyncio.gather(*(group.ask([Note(name, LEARNERS[0])]) for name in other[:10]))  # These came into one group with them.
            monkeypatch.setattr("shared.ledger.group.LOCK_MS", 600_000)
            async with asyncio.timeout(30):
                for name in other[10:]:  # Who comes later waits for no lock at all.
                    await group.ask([Note(name, LEARNERS[0])])
            waiting += [asyncio.create_task(group.ask([Note(name, LEARNERS[0])])) for name in held[5:]]
            waiting.append(asyncio.create_task(group.ask([Note(held[0], LEARNERS[1]), Note(other[0], LEARNERS[1])])))
            await asyncio.sleep(0.5)
            assert not any(task.done() for task in waiting)
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*waiting)
    assert [len(answer.events) for each in answers for answer in each] == [1] * 12
    assert await check_chain(ledger) == 52


async def test_many_requests_lock_no_partition_that_they_do_not_need_while_somebody_waits(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise as many lock all at once, which spares guessing."""
    monkeypatch.setattr("shared.ledger.group.LOCK_MS", 300)

    async def expand(connection: Any, asked: Sequence[Ask]) -> list[Ask]:
        return list(asked)

    guessing, other = a_ledger(ledger.pool, expand=expand), notes_in(4, 100)
    async with grouping(guessing) as group, ledger.pool.connection() as holder:
        await holder.execute(HOLD)
        async with asyncio.timeout(10):
            answers = await group.ask([Note(name, LEARNERS[0]) for name in other])
    assert len(answers) == 100


async def test_who_waits_for_a_lock_for_too_long_is_told_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ledger.group.LOCK_MS", 100)
    monkeypatch.setattr("shared.ledger.group.ASIDE_S", 0.3)
    monkeypatch.setattr("shared.ledger.group.MAX_ASIDE", 4)
    held = notes_in(3, 10)
    async with grouping(ledger) as group:
        async with ledger.pool.connection() as holder:
            await holder.execute(HOLD)
            async with asyncio.timeout(20):
                said = await asyncio.gather(*(group.ask([Note(name, LEARNERS[0])]) for name in held), return_exceptions=True)
            assert [type(each).__name__ for each in said] == ["Unavailable"] * 4 + ["Overloaded"] * 6
        assert await group.ask([Note(held[0], LEARNERS[0])])
    assert await check_chain(ledger) == 1


async def test_a_service_that_stops_waits_for_no_lock(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ledger.group.LOCK_MS", 100)
    async with ledger.pool.connection() as holder:
        await holder.execute(HOLD)
        async with grouping(ledger) as group, asyncio.timeout(10):
            waiting = asyncio.create_task(group.ask([Note(notes_in(3, 1)[0], LEARNERS[0])]))
            await asyncio.sleep(0.5)
        with pytest.raises(Overloaded, match="stopping"):
            await waiting
    assert await check_chain(ledger) == 0


async def test_what_is_locked_beside_the_partitions_is_waited_for_too(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.ledger.group.LOCK_MS", 100)
    place = database("evidence")
    async with AsyncConnectionPool(place.app_url, min_size=1, max_size=4, open=False) as pool, grouping(a_ledger(pool)) as group:
        async with await psycopg.AsyncConnection.connect(place.owner_url) as holder:
            await holder.execute("LOCK TABLE event IN SHARE ROW EXCLUSIVE MODE")
            waiting = asyncio.create_task(group.ask([Note("a", LEARNERS[0])]))
            await asyncio.sleep(0.5)
            assert not waiting.done()
        async with asyncio.timeout(10):
            assert (await waiting)[0].events


async def test_keys_that_change_between_guess_and_lock_are_guessed_again(ledger: Ledger) -> None:
    calls = {"count": 0}

    async def expand(connection: Any, asked: Sequence[Ask]) -> list[Ask]:
        calls["count"] += 1
        wanted = "first" if calls["count"] == 1 else "second"
        assert partition_of("first", PARTITIONS) != partition_of("second", PARTITIONS)
        return [Ask(Note(wanted, ask.command.learner_id), ask.origin, ask.record) for ask in asked if isinstance(ask.command, Note)]

    answers = await a_ledger(ledger.pool, expand=expand).handle(asks(Note("x", LEARNERS[0])))
    assert answers[0].events[0].stream == "evidence/note/second"
    assert calls["count"] == 4
    await check_chain(ledger)


async def test_events_bear_the_later_of_clock_and_partition(ledger: Ledger) -> None:
    clock = FixedClock(datetime(2026, 11, 24, 8, tzinfo=UTC))
    mine = a_ledger(ledger.pool, clock=clock)
    await mine.handle(asks(Note("a", LEARNERS[0])))
    clock.advance(timedelta(hours=1))
    answer = (await mine.handle(asks(Note("a", LEARNERS[1]))))[0]
    assert answer.events[0].time == datetime(2026, 11, 24, 9, tzinfo=UTC)


async def test_a_stream_that_another_process_made_meanwhile_is_met_as_it_is(ledger: Ledger) -> None:
    """Two processes told the same new act under different keys: whoever comes second is asked again, and finds the first."""

    class Told(Note):
        key = ""

        @property
        def stream(self) -> StreamId:
            return StreamId("evidence", "note", "one", self.key)

    def told(key: str, learner: int) -> Note:
        command = Told("one", LEARNERS[learner])
        object.__setattr__(command, "key", key)
        return command

    async def expand(connection: Any, asked: Sequence[Ask]) -> list[Ask]:
        row = await (await connection.execute("SELECT key FROM stream WHERE id = 'evidence/note/one'")).fetchone()
        if row is None:
            await overtake()
        return [Ask(told(row[0] if row else "second", 1), ask.origin, ask.record) for ask in asked]

    async def overtake() -> None:
        if not await rows(ledger, "SELECT 1 FROM stream"):
            await ledger.handle([Ask(told("first", 0), NOBODY, 0)])

    group = GroupCommit(a_ledger(ledger.pool, expand=expand))
    await group.start()
    try:
        answers = await group.ask([told("second", 1)])
    finally:
        await group.stop()
    assert [event.key for event in answers[0].events] == ["first"]
    assert await check_chain(ledger) == 2
