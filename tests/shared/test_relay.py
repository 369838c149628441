"""The relay on real Kafka and PostgreSQL: in order, repeated rather than skipped, and never from a ledger restored behind its readers."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NotEnoughReplicasError
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from psycopg import AsyncConnection, OperationalError

from shared.contracts.envelope import Header, canonical
from shared.contracts.topics import CONTROL, topic_name
from shared.errors import Diverged, NoTopic, WrongPartitionCount
from shared.ledger import patience
from shared.relay import Lengths, Refill, Relay, ensure_topics
from shared.relay import control as control_room
from shared.relay import relay as relay_room
from shared.relay import topics as topics_room
from shared.relay.control import Control, Told
from shared.relay.fresh import Row
from shared.stack import ServiceDatabase
from tests.shared.wire import PARTITIONS, Note, Wire, asks, events, learners, name_in, rows, until


@pytest.fixture
def wire(kafka_servers: str, topic_prefix: str, database: Callable[[str], ServiceDatabase]) -> Wire:
    return Wire(kafka_servers, topic_prefix, database("evidence").app_url, "")


def some(count: int, first: int = 1) -> list[Note]:
    """Notes of twelve names, in all partitions."""
    return [Note(f"name-{n % 12}", learner) for n, learner in enumerate(learners(count, first))]


async def values(wire: Wire) -> dict[int, list[bytes]]:
    return {partition: [record.value for record in records] for partition, records in (await wire.published()).items()}


async def sent(wire: Wire, count: int) -> dict[int, list[bytes]]:
    """Return the topic's values once it holds so many."""

    async def enough() -> bool:
        return sum(map(len, (await values(wire)).values())) >= count

    await until(enough, f"{count} records on {wire.topic}")
    return await values(wire)


async def test_every_event_is_published_as_it_is_stored_in_its_partition_and_in_order(wire: Wire) -> None:
    async with wire.source() as ledger:
        await ledger.handle(asks(*some(60)))
        async with wire.relaying() as relay:
            ledger.on_commit.append(relay.wake)
            await sent(wire, 60)
            await ledger.handle(asks(*some(30, 100)))
            assert await sent(wire, 90) == await events(ledger)
        records = [record for records in (await wire.published()).values() for record in records]
        assert all(record.key.decode() == Header.read(record.value).key for record in records)
        assert {record.timestamp_type for record in records} == {1}, "Kafka's timestamp is the time of publishing"


async def test_who_stands_still_in_a_copy_is_ended_where_others_wait_and_nowhere_else(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "IDLE_LOCK_MS", 300)
    monkeypatch.setattr(relay_room, "ANNOUNCE_S", 0.1)
    copying = "COPY cursor (name, partition) FROM STDIN"

    async def stand_still(lock: str, done: asyncio.Event) -> None:  # As a process that is stopped there does.
        async with await AsyncConnection.connect(wire.source_url) as connection:
            await connection.execute(lock)
            async with connection.cursor() as cursor, cursor.copy(copying) as copy:
                await done.wait()
                await copy.write_row(("kept", 0))

    done = asyncio.Event()
    async with wire.source() as ledger:
        harmful = asyncio.create_task(stand_still("SELECT id FROM partition FOR UPDATE", done))
        harmless = asyncio.create_task(stand_still("SELECT 1", done))
        await asyncio.sleep(1.0)
        async with wire.relaying():
            waiting = asyncio.create_task(ledger.handle(asks(*some(12))))
            await asyncio.wait([waiting], timeout=10)
            assert waiting.done(), "whoever waits for its locks goes on"
        done.set()
        (ended, kept) = await asyncio.gather(harmful, harmless, return_exceptions=True)
        assert isinstance(ended, OperationalError)
        assert kept is None, "nobody waits for it"
        assert len(await waiting) == 12
        async with ledger.pool.connection() as connection:
            assert await (await connection.execute("SELECT name FROM cursor")).fetchall() == [("kept",)]


async def test_a_partition_that_is_passed_over_turns_health_red_wherever_a_relay_runs(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_room, "ANNOUNCE_S", 0.1)
    monkeypatch.setattr(relay_room, "LOCK_POLL_S", 0.1)
    look = Relay._look

    async def pass_over(self: Relay, connection: AsyncConnection[Any], batches: dict[int, list[Row]], held: Sequence[int]) -> None:
        await look(self, connection, batches, held)
        batches.pop(3, None)

    monkeypatch.setattr(Relay, "_look", pass_over)
    async with wire.source() as ledger, wire.relaying() as first, wire.relaying() as second:

        async def red() -> bool:
            return all(any("partition 3" in said for said in relay.troubles(1.0)) for relay in (first, second))

        async def green() -> bool:
            return not first.troubles(1.0) and not second.troubles(1.0)

        await until(green, "who has nothing to send is well")
        await ledger.handle(asks(*some(60), Note(name_in(3), learners(1)[0])))
        await until(red, "the one that sends, and the one that waits for its lock, say so")
        monkeypatch.setattr(Relay, "_look", look)
        await until(green, "it moves again")
        assert sum(map(len, (await values(wire)).values())) == 61


async def test_a_broker_that_has_just_come_back_ends_no_relay(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may know of no topic and of no broker yet; all services would end at once, and nobody starts them again."""
    calls: list[Exception | None] = [None, AssertionError("no broker is known"), NoTopic([wire.topic])]

    async def coming_back(*arguments: Any) -> None:
        error = calls.pop(0) if calls else None
        if error is not None:
            raise error
        await ensure_topics(*arguments)

    monkeypatch.setattr(relay_room, "RETRY_S", 0.05)
    monkeypatch.setattr(relay_room, "ensure_topics", coming_back)
    async with wire.source() as ledger, wire.relaying():
        await ledger.handle(asks(*some(12)))
        assert sum(map(len, (await sent(wire, 12)).values())) == 12
    assert not calls


async def test_more_than_one_batch_holds_is_published_in_order(wire: Wire) -> None:
    async with wire.source() as ledger:
        name = name_in(3)
        for first in range(1, 2_401, 800):
            await ledger.handle(asks(*(Note(name, learner) for learner in learners(800, first))))
        async with wire.relaying():
            assert (await sent(wire, 2_400))[3] == (await events(ledger))[3]


async def test_after_a_crash_before_the_position_was_moved_events_are_repeated(wire: Wire) -> None:
    async with wire.source() as ledger:
        await ledger.handle(asks(*some(40)))
        async with wire.relaying():
            await sent(wire, 40)
        await rows(ledger, "UPDATE published SET position = 0 RETURNING position")
        await ledger.handle(asks(*some(8, 100)))
        stored = await events(ledger)
        async with wire.relaying():
            topic = await sent(wire, 88)
        for partition, records in topic.items():
            first = len(records) - len(stored[partition])
            assert records == stored[partition][:first] + stored[partition]


async def test_after_many_events_more_come_together_before_the_next_round(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_room, "GATHER_S", 60.0)
    async with wire.source() as ledger:
        async with wire.relaying() as relay:
            ledger.on_commit.append(relay.wake)
            await ledger.handle(asks(*some(relay_room.MANY)))
            await sent(wire, relay_room.MANY)
            await ledger.handle(asks(*some(12, 1_000)))
            await asyncio.sleep(5 * relay._poll_s)
            assert relay.published == relay_room.MANY
        monkeypatch.undo()  # It has stopped at once, whatever it waited for.
        async with wire.relaying():
            assert await sent(wire, relay_room.MANY + 12) == await events(ledger)


def test_few_events_are_not_waited_for_nor_is_a_partition_that_has_more() -> None:
    assert relay_room.may_gather([relay_room.MANY - 1, 1])
    assert not relay_room.may_gather([relay_room.MANY - 2, 1])
    assert not relay_room.may_gather([relay_room.CHUNK, relay_room.MANY])
    assert not relay_room.may_gather([relay_room.MANY - 1, 1], relay_room.CHUNK_BYTES)


class Losing:
    """A producer whose batches are taken and never acknowledged; the relay is asked to stop meanwhile."""

    def __init__(self, real: AIOKafkaProducer, relay: Relay) -> None:
        self.create_batch, self._relay = real.create_batch, relay

    async def send_batch(self, *_: object, **__: object) -> asyncio.Future[None]:
        await self._relay.stop()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lost.set_exception(KafkaTimeoutError())
        return lost


async def test_a_batch_that_kafka_did_not_acknowledge_counts_as_not_sent(wire: Wire) -> None:
    async with wire.source() as ledger, wire.control() as control:
        await ledger.handle(asks(*some(40)))
        relay, producer = wire.relay(control), AIOKafkaProducer(bootstrap_servers=wire.kafka)
        await producer.start()
        try:
            async with await AsyncConnection.connect(wire.source_url, autocommit=True) as connection:
                with pytest.raises(KafkaTimeoutError):
                    await relay._work(connection, Losing(producer, relay))  # type: ignore[arg-type]
        finally:
            await producer.stop()
        assert await rows(ledger, "SELECT max(position) FROM published") == [(0,)]
        async with wire.relaying():
            assert await sent(wire, 40) == await events(ledger)


async def test_a_partition_that_kafka_does_not_take_stops_no_other_and_repeats_none(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where of many brokers those are gone that have it."""
    monkeypatch.setattr(relay_room, "HELD_S", 0.5)
    monkeypatch.setattr(relay_room, "RETRY_S", 0.05)
    send, tries = Relay._send, 0

    async def refuse(self: Relay, producer: AIOKafkaProducer, batch: Sequence[Row]) -> int:
        nonlocal tries
        if batch[0][0] == 3:
            tries += 1
            raise NotEnoughReplicasError
        return await send(self, producer, batch)

    monkeypatch.setattr(Relay, "_send", refuse)
    async with wire.source() as ledger, wire.relaying():
        for n in range(1, 4):
            await ledger.handle(asks(*some(60, 100 * n)))
            recorded = await events(ledger)
            assert await sent(wire, sum(map(len, recorded.values())) - len(recorded[3])) == recorded | {3: []}
        assert tries
        monkeypatch.setattr(Relay, "_send", send)
        assert await sent(wire, 180) == await events(ledger)


async def test_what_kafka_does_not_take_turns_health_red_while_it_is_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is given up after 20 s, and others are sent before it is tried again: no round would see for how long it stands."""
    monkeypatch.setattr(relay_room, "ANNOUNCE_S", 0.1)
    send, taken = Relay._send, asyncio.Event()

    async def wait(self: Relay, producer: AIOKafkaProducer, batch: Sequence[Row]) -> int:
        if batch[0][0] == 3:
            await taken.wait()
        return await send(self, producer, batch)

    monkeypatch.setattr(Relay, "_send", wait)
    async with wire.source() as ledger, wire.relaying() as relay:

        async def red() -> bool:
            return any("partition 3" in said for said in relay.troubles(1.0))

        async def green() -> bool:
            return not relay.troubles(1.0)

        await until(green, "it has nothing to send")
        await ledger.handle(asks(*some(60)))
        await until(red, "it says what stands")
        taken.set()
        await until(green, "it moves again")
        assert await sent(wire, 60) == await events(ledger)


class Leading:
    """Whom the brokers lead, but for partitions that are without a leader for a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *without: int) -> None:
        self.without = set(without)
        monkeypatch.setattr(relay_room, "led", self)
        monkeypatch.setattr(relay_room, "LEADER_S", 0.2)

    async def __call__(self, kafka_servers: str, topic: str) -> set[int]:
        return await topics_room.led(kafka_servers, topic) - self.without


async def test_a_partition_without_a_leader_stops_no_other_and_follows_when_it_has_one(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    leading = Leading(monkeypatch, 5)
    async with wire.source() as ledger, wire.relaying(), wire.control() as reader:
        await ledger.handle(asks(*some(60), *(Note(name_in(5), learner) for learner in learners(20, 500))))
        recorded = await events(ledger)
        others = recorded | {5: []}
        assert await sent(wire, sum(map(len, others.values()))) == others
        for partition in (5, 2):
            await reader.send(Refill(service="evidence", reader="profile", partition=partition, start=0, end=3))
        others[2] = others[2] + others[2][:3]
        assert await sent(wire, sum(map(len, others.values()))) == others
        leading.without.clear()
        assert (await sent(wire, sum(map(len, others.values())) + len(recorded[5])))[5][: len(recorded[5])] == recorded[5]


async def test_what_had_no_leader_is_compared_before_anything_is_sent_to_it(
    wire: Wire, database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wire.source() as ledger:
        await ledger.handle(asks(Note(name_in(5), learners(1)[0])))
        async with wire.relaying():
            before = await sent(wire, 1)
    leading, older = Leading(monkeypatch, 5), database("evidence").app_url
    async with wire.source(older) as restored, wire.control() as control:
        await restored.handle(asks(*some(40, 500), Note(name_in(5), learners(1, 900)[0])))
        others = await events(restored) | {5: before[5]}
        running = asyncio.create_task(wire.relay(control, older).run())
        try:
            assert await sent(wire, sum(map(len, others.values()))) == others
            leading.without.clear()
            await asyncio.wait([running], timeout=10)
            assert running.done(), "it sends what nobody has compared"
            assert "partition 5 was published" in str(running.exception()), "it ends for what it found"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert await values(wire) == others


async def test_two_relays_at_once_only_repeat(wire: Wire) -> None:
    async with wire.source() as ledger, wire.control() as control:
        first, second = wire.relay(control), wire.relay(control)
        await first.start()

        async def work(relay: object) -> None:  # Without the lock, which would keep one of them waiting.
            producer = AIOKafkaProducer(bootstrap_servers=wire.kafka, acks="all", enable_idempotence=True)
            connection = await AsyncConnection.connect(wire.source_url, autocommit=True)
            await producer.start()
            try:
                await relay._work(connection, producer)  # type: ignore[attr-defined]
            finally:
                await producer.stop()
                await connection.close()

        tasks = [asyncio.create_task(work(first)), asyncio.create_task(work(second))]
        for n in range(10):
            await ledger.handle(asks(*some(20, 1 + 20 * n)))
            first.wake()
            second.wake()
        await sent(wire, 200)

        async def moved() -> bool:
            return not await rows(ledger, "SELECT 1 FROM published JOIN partition ON id = partition WHERE position <> length")

        await until(moved, "both relays are done")
        await first.stop()
        await second.stop()
        await asyncio.gather(*tasks)
        stored = await events(ledger)
        for partition, records in (await values(wire)).items():
            seen = 0
            for raw in records:  # Never ahead of what was sent before it.
                position = Header.read(raw).position
                assert position <= seen
                seen = max(seen, position + 1)
                assert raw == stored[partition][position]
            assert seen == len(stored[partition])


async def test_only_one_relay_works_and_another_takes_over(wire: Wire) -> None:
    async with wire.source() as ledger, wire.relaying() as second:
        async with wire.relaying() as first:
            await ledger.handle(asks(*some(10)))
            await sent(wire, 10)
            assert {first.published, second.published} == {0, 10}
        await ledger.handle(asks(*some(10, 100)))
        await sent(wire, 20)
    assert first.published + second.published == 20


async def test_a_database_restored_behind_its_topic_is_refused_before_it_writes(
    wire: Wire, database: Callable[[str], ServiceDatabase]
) -> None:
    async with wire.source() as ledger:
        await ledger.handle(asks(*some(20)))
        async with wire.relaying():
            await sent(wire, 20)
    older = database("evidence").app_url
    async with wire.control() as control:
        with pytest.raises(Diverged, match="not in the ledger: this database was restored behind"):
            await wire.relay(control, older).start()
        async with wire.source(older) as restored:
            await restored.handle(asks(*some(40, 500)))  # It went on after all, with other events.
        with pytest.raises(Diverged, match="another one in the ledger"):
            await wire.relay(control, older).start()
        await wire.relay(control).start()


async def test_foreign_records_at_the_end_of_a_topic_do_not_hide_a_restored_database(
    wire: Wire, database: Callable[[str], ServiceDatabase]
) -> None:
    async with wire.source() as ledger:
        await ledger.handle(asks(Note(name_in(2), learners(1)[0])))
        async with wire.relaying():
            await sent(wire, 1)
    await wire.send(2, b"\xff not ours")
    await wire.send_unreadable(2)
    await wire.send_unreadable(6)
    async with wire.control() as control:
        await wire.relay(control).start()
        with pytest.raises(Diverged):
            await wire.relay(control, database("evidence").app_url).start()


async def test_the_trace_of_a_commit_goes_along(wire: Wire) -> None:
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    async with wire.source() as ledger, wire.relaying() as relay:
        ledger.on_commit.append(relay.wake)
        with use_span(NonRecordingSpan(context)):
            await ledger.handle(asks(Note(name_in(1), learners(1)[0])))
        await ledger.handle(asks(Note(name_in(1), learners(1)[0])))
        await sent(wire, 2)
        traced, untraced = (await wire.published())[1]
    assert traced.headers == (("traceparent", f"00-{0xABC:032x}-{0xDEF:016x}-01".encode()),)
    assert untraced.headers == ()


async def test_control_messages_that_are_none_stop_nobody(wire: Wire) -> None:
    async with wire.source() as ledger, wire.relaying():
        await ledger.handle(asks(*some(10)))
        await sent(wire, 10)
        refill = {"kind": "refill", "service": "evidence", "reader": "profile", "partition": 0}
        for nonsense in (
            b"\xff", b"{}", None, canonical(refill | {"start": 5, "end": 2}), canonical(refill | {"start": 0, "end": 10, "partition": 99}),
            b'{"kind":"refill","service":"evidence","reader":"x","partition":0,"start":0,"end":99999999999999999999}',
        ):  # fmt: skip
            await wire.send(0, nonsense, topic=topic_name(wire.prefix, CONTROL))
        await ledger.handle(asks(*some(10, 100)))
        assert await sent(wire, 20) == await events(ledger)


async def test_a_refill_sends_exactly_what_was_asked_for_again(wire: Wire) -> None:
    async with wire.source() as ledger:
        name = name_in(5)
        await ledger.handle(asks(*(Note(name, learner) for learner in learners(900))))
        async with wire.relaying(), wire.control() as reader:
            await sent(wire, 900)
            await reader.send(Refill(service="evidence", reader="profile", partition=5, start=100, end=800))
            await reader.send(Refill(service="mastery", reader="profile", partition=5, start=0, end=800))
            stored = (await events(ledger))[5]
            assert (await sent(wire, 1600))[5] == stored + stored[100:800]


async def test_lengths_and_heads_are_announced(wire: Wire) -> None:
    heard: list[Told] = []
    async with wire.source() as ledger, wire.relaying(), wire.control() as reader:
        reader.listeners.append(heard.append)
        await ledger.handle(asks(*some(10)))

        async def announced() -> bool:
            told = [told.message for told in heard if isinstance(told.message, Lengths)]
            return bool(told) and sum(each.length for each in told[-1].partitions) == 10

        await until(announced, "lengths of 10 events")
        message = heard[-1].message
        assert isinstance(message, Lengths)
        stored = await rows(ledger, "SELECT id, length, head FROM partition ORDER BY id")
        assert [(each.partition, each.length, each.head) for each in message.partitions] == stored


async def test_no_event_waits_for_an_announcement(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_room, "ANNOUNCE_S", 0.1)
    begun: list[Any] = []

    async def send(self: Control, message: Any) -> bool:
        begun.append(message)
        return await asyncio.Event().wait()

    monkeypatch.setattr(Control, "send", send)
    async with wire.source() as ledger, wire.relaying():
        for n in range(1, 4):
            await ledger.handle(asks(*some(12, 100 * n)))
            assert await sent(wire, 12 * n) == await events(ledger)
            await asyncio.sleep(0.2)
        assert len(begun) == 1, "none begins while the one before is under way"


async def test_a_control_topic_that_is_deleted_is_made_again_and_heard(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_room, "SEND_MS", 1_000)
    monkeypatch.setattr(relay_room, "ANNOUNCE_S", 0.5)
    heard: list[float] = []
    async with wire.relaying(), wire.control() as listening, wire.admin() as admin:
        listening.listeners.append(lambda told: heard.append(monotonic()))
        await admin.delete_topics([topic_name(wire.prefix, CONTROL)])
        gone = monotonic()

        async def again() -> bool:
            return bool(heard) and heard[-1] > gone + 5.0  # Until a topic is really gone it is heard for a moment.

        await until(again, "lengths, by who listened before", 60)


async def test_a_topic_made_anew_is_gone_on_with(wire: Wire) -> None:
    async with wire.source() as ledger, wire.relaying():
        await ledger.handle(asks(*some(10)))
        await sent(wire, 10)
        async with wire.admin() as admin:
            await admin.delete_topics([wire.topic])
        await ledger.handle(asks(*some(10, 100)))
        stored = await events(ledger)

        async def there() -> bool:
            return sum(map(len, (await values(wire)).values())) >= 10

        await until(there, "new events on the new topic", 60)
        for partition, records in (await values(wire)).items():
            assert records == stored[partition][len(stored[partition]) - len(records) :]


async def test_topics_with_another_number_of_partitions_are_refused(wire: Wire) -> None:
    async with wire.admin() as admin:
        await admin.create_topics([NewTopic(wire.topic, PARTITIONS + 1, 1)])
    with pytest.raises(WrongPartitionCount, match=f"has {PARTITIONS + 1} partitions, the ledger {PARTITIONS}"):
        await ensure_topics(wire.kafka, wire.prefix, ["evidence"], PARTITIONS)


async def test_a_broker_that_names_no_leader_counts_as_one_that_cannot_be_reached(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that has just come back: whoever asks for a topic asks again, and no service ends."""

    class Leaderless(AIOKafkaAdminClient):  # type: ignore[misc]  # aiokafka has no types.
        async def create_topics(self, *arguments: Any, **more: Any) -> Any:
            async def nothing_new() -> None:
                self._client.cluster.controller = None

            await nothing_new()
            self._client.force_metadata_update = nothing_new
            return await super().create_topics(*arguments, **more)

    monkeypatch.setattr(topics_room, "AIOKafkaAdminClient", Leaderless)
    with pytest.raises(KafkaConnectionError):
        await ensure_topics(wire.kafka, wire.prefix, ["mastery"], PARTITIONS)


async def test_topics_are_made_once_however_many_ask(wire: Wire) -> None:
    await asyncio.gather(*(ensure_topics(wire.kafka, wire.prefix, ["evidence", "mastery"], PARTITIONS) for _ in range(4)))
    async with wire.admin() as admin:
        described = await admin.describe_topics([wire.topic])
    assert len(described[0]["partitions"]) == PARTITIONS
