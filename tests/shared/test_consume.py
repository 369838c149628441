"""The consumer on real Kafka and PostgreSQL: nothing lost, doubled or reordered, and a bad record stops no other."""

import asyncio
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from aiokafka.errors import KafkaConnectionError
from psycopg import sql

from shared.consume import TooManyParked, hands, reader, subscriber, wiring, write
from shared.contracts.envelope import canonical, digest, partition_of
from shared.errors import NoTopic
from shared.ledger import Batch, InboxMoved
from shared.ledger.ledger import Applied, Ledger
from shared.ledger.types import MAX_REASON
from shared.relay import ensure_topics
from shared.stack import ServiceDatabase
from shared.telemetry import Metrics
from tests.shared.wire import (
    PARTITIONS,
    POISON,
    UNTRANSLATABLE,
    Note,
    Wire,
    alias,
    asks,
    copied,
    events,
    heard,
    learners,
    name_in,
    rows,
    until,
)

NAMES = [name_in(partition) for partition in range(PARTITIONS)]


async def tell(source: Ledger, count: int, first: int = 1) -> None:
    """Write notes in all partitions, each learner once."""
    await source.handle(asks(*(Note(NAMES[n % PARTITIONS], learner) for n, learner in enumerate(learners(count, first)))))


async def parked(hearer: Ledger) -> list[tuple[str, int | None]]:
    return await rows(hearer, "SELECT trouble, position FROM parked ORDER BY partition, kafka_offset")


async def same(source: Ledger, hearer: Ledger) -> None:
    """Assert that the hearer holds exactly what was told, in order."""
    told: dict[str, list[UUID]] = {}
    for raws in (await events(source)).values():
        for raw in raws:
            data = orjson.loads(raw)["data"]
            told.setdefault(data["alias"], []).append(UUID(data["learner_id"]))
    assert await copied(hearer) == told


async def test_what_is_told_is_heard_once_and_in_order_across_restarts(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying() as relay:
        source.on_commit.append(relay.wake)
        await tell(source, 400)
        async with wire.hearing(hearer):
            await heard(hearer, 400)
        await tell(source, 400, 1_000)
        async with wire.hearing(hearer):
            await heard(hearer, 800)
            await tell(source, 40, 2_000)
            await heard(hearer, 840)
    await same(source, hearer)


async def test_of_several_servers_that_are_named_one_that_answers_is_enough(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # Bound and not listening: whoever asks there is refused.
        several = replace(wire, kafka=f"127.0.0.1:{nobody.getsockname()[1]},{wire.kafka}")
        async with several.relaying(), several.hearing(hearer):
            await tell(source, 8)
            await heard(hearer, 8)
    await same(source, hearer)


async def test_a_consumer_ended_in_the_middle_loses_and_doubles_nothing(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying():
        await tell(source, 960)
        await tell(source, 960, 2_000)
        for n in range(6):
            async with wire.hearing(hearer, kill=True):
                await asyncio.sleep(0.3 + 0.1 * n)
        async with wire.hearing(hearer):
            await heard(hearer, 1_920)
    await same(source, hearer)


async def test_a_consumer_ends_though_its_watch_loses_a_cancellation(wire: Wire, hearer: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the wait for a connection of the pool does, where it comes just when there is one."""
    waits, lost = asyncio.Event(), asyncio.Event()

    async def look(self: subscriber.Consumer) -> None:
        if not lost.is_set():
            waits.set()
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                lost.set()

    monkeypatch.setattr(subscriber.Consumer, "_look", look)
    async with asyncio.timeout(60):
        async with wire.hearing(hearer):
            await waits.wait()
    assert lost.is_set()


async def test_repeats_of_the_relay_are_skipped(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    await tell(source, 80)
    async with wire.hearing(hearer):
        async with wire.relaying():
            await heard(hearer, 80)
        await rows(source, "UPDATE published SET position = 0 RETURNING position")
        await tell(source, 8, 500)
        async with wire.relaying():
            await heard(hearer, 88)
    await same(source, hearer)


async def test_records_deleted_from_the_topic_come_back_by_refill(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying():
        await tell(source, 80)
        async with wire.hearing(hearer):
            await heard(hearer, 80)
        await tell(source, 160, 1_000)  # Ten of each partition are applied; of the next twenty the first fifteen are lost.
        await until(lambda: _published(wire, 240), "240 records")
        for partition in range(PARTITIONS):
            await wire.cut(partition, 25)
        async with wire.hearing(hearer):
            await heard(hearer, 240)
            await tell(source, 8, 5_000)
            await heard(hearer, 248)
    await same(source, hearer)


async def test_a_reader_that_never_read_gets_all_by_refill(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying():
        await tell(source, 80)
        await until(lambda: _published(wire, 80), "80 records")
        for partition in range(PARTITIONS):
            await wire.cut(partition, 7)
        async with wire.hearing(hearer):
            await heard(hearer, 80)
    await same(source, hearer)


async def test_a_topic_emptied_to_its_end_comes_back_by_refill(
    wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "IDLE_S", 2.0)
    async with wire.relaying():
        await tell(source, 80)
        await until(lambda: _published(wire, 80), "80 records")
        for partition in range(PARTITIONS):
            await wire.cut(partition, 10)
        async with wire.hearing(hearer) as consumer:
            await heard(hearer, 80)
            await until(lambda: _lag_is(consumer, 0), "no lag")
    await same(source, hearer)


async def test_a_topic_made_anew_loses_nothing(wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "IDLE_S", 2.0)
    async with wire.relaying():
        await tell(source, 80)
        async with wire.hearing(hearer):
            await heard(hearer, 80)
        await tell(source, 80, 1_000)
        await until(lambda: _published(wire, 160), "160 records")
    async with wire.admin() as admin:
        await admin.delete_topics([wire.topic])
    await ensure_topics(wire.kafka, wire.prefix, ["evidence"], PARTITIONS)
    await tell(source, 24, 2_000)
    async with wire.relaying(), wire.hearing(hearer):
        await heard(hearer, 184)
    await same(source, hearer)


async def test_a_worker_that_took_over_a_name_while_a_topic_was_away_reads_it_when_it_is_back(
    wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka gives a member that comes again under its name what the name had, and nobody assigns anew: the topic was assigned to nobody."""
    monkeypatch.setattr(wiring, "METADATA_MAX_AGE_MS", 500)
    monkeypatch.setattr(subscriber, "UNREAD_S", 3.0)
    async with wire.relaying():
        await tell(source, 80)
        async with wire.hearing(hearer) as consumer:
            await heard(hearer, 80)
            async with wire.admin() as admin:
                await admin.delete_topics([wire.topic])
            await until(lambda: _reads(consumer, 0), "nobody is assigned what is not there")
    await ensure_topics(wire.kafka, wire.prefix, ["evidence"], PARTITIONS)
    await tell(source, 24, 2_000)
    async with wire.relaying(), wire.hearing(hearer) as consumer:
        await heard(hearer, 104)
        assert await _reads(consumer, PARTITIONS)
    await same(source, hearer)


async def test_a_broker_that_has_just_come_back_ends_no_consumer(
    wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Exception] = [NoTopic([wire.topic]), KafkaConnectionError("nobody leads"), OSError("no route to host")]

    async def coming_back(*arguments: Any) -> None:
        if calls:
            raise calls.pop(0)
        await ensure_topics(*arguments)

    monkeypatch.setattr(subscriber, "LOOK_S", 0.05)
    monkeypatch.setattr(subscriber, "ensure_topics", coming_back)
    async with wire.relaying(), wire.hearing(hearer):
        await tell(source, 12)
        await heard(hearer, 12)
    assert not calls


async def test_headers_of_any_bytes_and_records_that_are_none_stop_nothing(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying(), wire.hearing(hearer):
        await tell(source, 80)
        await heard(hearer, 80)
        await wire.send(0, (await events(source))[0][0], headers=[("x", b"\xff\xfe\x00"), ("traceparent", b"\xff")])
        await wire.send(1, b"\x00\xff no JSON")
        await wire.send(2, None)
        await wire.send(3, canonical({"specversion": "1.0", "position": 10}))
        await wire.send(4, (await events(source))[5][0])
        await wire.send_unreadable(5)
        await tell(source, 80, 1_000)
        await heard(hearer, 160)
        assert await parked(hearer) == [("foreign", None)] * 5
        (stored,) = await rows(hearer, "SELECT bytes FROM parked WHERE partition = 1")
        assert bytes(stored[0]) == b"sealed:\x00\xff no JSON"
    await same(source, hearer)


@pytest.mark.parametrize("broken", [POISON, UNTRANSLATABLE])
async def test_poison_is_parked_its_key_waits_behind_it_and_others_go_on(wire: Wire, source: Ledger, hearer: Ledger, broken: UUID) -> None:
    other = next(name for name in (f"name-{n}" for n in range(10_000)) if name != NAMES[3] and partition_of(name, PARTITIONS) == 3)
    notes = [*(Note(NAMES[3], learner) for learner in learners(50)), Note(NAMES[3], broken)]
    notes += [Note(name, learner) for learner in learners(50, 100) for name in (NAMES[3], other, NAMES[5])]
    await source.handle(asks(*notes))
    async with wire.relaying(), wire.hearing(hearer):
        await heard(hearer, 150)
        await source.handle(asks(Note(NAMES[3], UUID(int=900)), Note(other, UUID(int=901))))
        await heard(hearer, 151)
    found = await copied(hearer)
    assert found[alias(NAMES[3])] == learners(50)
    assert found[alias(other)] == [*learners(50, 100), UUID(int=901)]
    assert found[alias(NAMES[5])] == learners(50, 100)
    assert [trouble for trouble, _ in await parked(hearer)] == ["poison"] + ["behind"] * 51
    reasons = [reason for (reason,) in await rows(hearer, "SELECT reason FROM parked WHERE trouble = 'poison'")]
    assert "secret" not in reasons[0]
    assert "Error in " in reasons[0]
    assert "wire.py" in reasons[0]


async def test_a_type_this_release_does_not_know_is_parked_and_a_known_one_nobody_wants_is_not(
    wire: Wire, source: Ledger, hearer: Ledger
) -> None:
    # The chain of partition 3 as a newer release would have told it: an unknown type between two known ones.
    await source.handle(asks(*(Note(NAMES[3], learner) for learner in learners(2))))
    first = orjson.loads((await events(source))[3][0])
    unknown = canonical(first | {"type": "evidence.unheard-of.v9", "position": 1, "previous": digest(canonical(first))})
    unwanted = canonical(
        first | {"type": "evidence.item-aligned.v1", "partitionkey": "an item", "position": 2, "previous": digest(unknown)}
    )
    last = canonical(first | {"partitionkey": "another", "position": 3, "previous": digest(unwanted)})
    behind = canonical(first | {"position": 4, "previous": digest(last)})
    for raw in (canonical(first), unknown, unwanted, last, behind):
        await wire.send(3, raw)
    async with wire.hearing(hearer):
        await heard(hearer, 2)
        await until(lambda: _parked_is(hearer, [("unknown-type", 1), ("behind", 4)]), "unknown type parked")


async def test_hostile_text_in_a_record_ends_no_service(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    await source.handle(asks(*(Note(NAMES[5], learner) for learner in learners(2)), Note(NAMES[3], UUID(int=900))))
    ours, first = await events(source), orjson.loads((await events(source))[3][0])
    data, other = first["data"], {"partitionkey": "another", "position": 2}
    long = secrets.token_hex(8_000)  # Too long for an index, and no compression helps.
    hostile = [
        first | {"type": "evidence.new\0.v1"},
        first | {"partitionkey": "\0"},
        first | {"partitionkey": long},
        first | {"stream": "\0"},
    ]
    poison = [first | {"data": data | {"\0\x1b[2J": 1}}, first | {"data": data | {long: 1}, "position": 1}]
    poison[1]["previous"] = digest(canonical(poison[0]))
    last = canonical(first | other | {"previous": digest(canonical(poison[1]))})
    async with wire.hearing(hearer):
        for each in (*hostile, *poison):
            await wire.send(3, canonical(each))
        await wire.send(5, ours[5][0])
        await wire.send(3, last)
        await heard(hearer, 2)
    async with wire.hearing(hearer):
        await wire.send(5, ours[5][1])
        await heard(hearer, 3)
    assert await parked(hearer) == [("foreign", None)] * 4 + [("poison", 0), ("poison", 1)]
    found = await rows(hearer, "SELECT reason, bytes FROM parked ORDER BY kafka_offset")
    assert [bytes(raw) for _, raw in found] == [b"sealed:" + canonical(each) for each in (*hostile, *poison)]
    assert [reason.split(" holds ")[0] for reason, _ in found[:4]] == [
        f"attribute {name}" for name in ("type", "partitionkey", "partitionkey", "stream")
    ]
    assert found[4][0] == "data does not fit AliasNoted: \\x00\\x1b[2J: extra_forbidden"
    assert len(found[5][0]) == MAX_REASON


async def test_another_chain_stops_its_partition_and_no_other(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying():
        await tell(source, 16)
        async with wire.hearing(hearer) as consumer:
            await heard(hearer, 16)
            first = orjson.loads((await events(source))[2][1])
            await wire.send(2, canonical(first | {"position": 2, "previous": "0" * 64}))
            await until(lambda: _diverged(consumer, 1), "a divergence")
            assert "partition 2 of evidence" in consumer.progress().diverged[0]
            await tell(source, 16, 1_000)
            await heard(hearer, 30)


async def test_a_source_restored_behind_its_reader_stops_the_reader(
    wire: Wire, source: Ledger, hearer: Ledger, database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "GRACE_MS", 4_000)
    async with wire.relaying():
        await tell(source, 16)
        async with wire.hearing(hearer):
            await heard(hearer, 16)
    async with wire.admin() as admin:
        await admin.delete_topics([wire.topic])
    await ensure_topics(wire.kafka, wire.prefix, ["evidence"], PARTITIONS)
    async with wire.hearing(hearer) as consumer, wire.relaying(database("evidence").app_url):
        await until(lambda: _diverged(consumer, PARTITIONS), "every partition stands still")
        assert "holds 0 events, this service applied 2" in consumer.progress().diverged[0]


async def test_connections_that_break_are_waited_out(wire: Wire, source: Ledger, hearer: Ledger, postgres_url: str) -> None:
    """Each in the middle of a transaction, which a lock holds up until its connection is cut."""
    name = psycopg.conninfo.conninfo_to_dict(wire.hearer_url)["dbname"]
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    async with (
        wire.relaying(), wire.hearing(hearer),
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as admin,
        await psycopg.AsyncConnection.connect(postgres_url, dbname=name) as holder,
    ):  # fmt: skip

        async def broken() -> bool:
            return bool(await (await admin.execute(cut, [name])).fetchall())

        await tell(source, 160)
        for n in range(1, 4):
            await heard(hearer, 160 * n)
            await holder.execute("LOCK TABLE inbox IN EXCLUSIVE MODE")
            await tell(source, 160, 1_000 * n)
            await until(broken, "a transaction that is cut")
            await holder.rollback()
        await heard(hearer, 640)
    assert await parked(hearer) == []
    await same(source, hearer)


async def test_a_commit_whose_answer_is_lost_is_not_done_twice(wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: Any) -> None:
    real, lost = Ledger.apply, [psycopg.OperationalError("the connection was lost")]

    async def apply(ledger: Ledger, batch: Batch) -> Applied:
        applied = await real(ledger, batch)
        if lost:
            raise lost.pop()
        return applied

    monkeypatch.setattr(Ledger, "apply", apply)
    async with wire.relaying(), wire.hearing(hearer):
        for count in (160, 320):  # The second time shows what became of the first.
            await tell(source, 160, 1_000 * count)
            await heard(hearer, count)
    await same(source, hearer)


@pytest.mark.parametrize("fault", [InboxMoved(), psycopg.OperationalError("the connection was lost")])
async def test_of_many_records_two_halves_are_applied_at_a_time_and_a_fault_of_one_costs_the_other_nothing(
    wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: Any, fault: Exception
) -> None:
    real, faults, under_way, most = Ledger.apply, [fault], set[int](), 0

    async def apply(ledger: Ledger, batch: Batch) -> Applied:
        nonlocal most
        (odd,) = {partition % 2 for _, partition in batch.before}
        assert odd not in under_way, "each partition's records are applied in order"
        under_way.add(odd)
        most = max(most, len(under_way))
        try:
            if odd and faults:
                await asyncio.sleep(0.05)
                raise faults.pop()
            return await real(ledger, batch)
        finally:
            under_way.remove(odd)

    monkeypatch.setattr(Ledger, "apply", apply)
    monkeypatch.setattr(hands, "FULL", 0.0)
    async with wire.relaying():
        await tell(source, 400)
        async with wire.hearing(hearer):
            await heard(hearer, 400)
    await same(source, hearer)
    assert most == 2
    assert not faults


async def test_a_group_that_is_put_back_takes_the_polls_behind_it_along(
    wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: Any
) -> None:
    real, settings, tries, missed = Ledger.apply, wire.settings, 0, list[int]()

    async def apply(ledger: Ledger, batch: Batch) -> Applied:
        nonlocal tries
        (odd,) = {partition % 2 for _, partition in batch.before}
        tries += odd
        if odd and tries in (2, 4, 5, 8):  # While the poll behind waits for this one.
            await asyncio.sleep(0.1)
            raise psycopg.OperationalError("the connection was lost")
        return await real(ledger, batch)

    def miss(lane: reader.Lane, position: int, offset: int) -> None:
        missed.append(position)
        lane.reseat = True

    monkeypatch.setattr(Ledger, "apply", apply)
    monkeypatch.setattr(hands, "FULL", 0.0)
    monkeypatch.setattr(subscriber, "MAX_POLL_INTERVAL_MS", 0)  # No patience.
    monkeypatch.setattr(wire, "settings", lambda instance: settings(instance).model_copy(update={"consume_max_records": 40}))
    monkeypatch.setattr(reader.Lane, "_miss", miss)
    async with wire.relaying():
        await tell(source, 800)
        async with wire.hearing(hearer):
            await heard(hearer, 800)
    await same(source, hearer)
    assert tries > 8
    assert missed == [], "records that were fetched before the partition was sought are no sign of lost ones"


async def test_a_poll_takes_of_even_and_of_odd_partitions(wire: Wire, source: Ledger) -> None:
    async with wire.relaying():
        await tell(source, 800)
        async with wire.consumer() as consumer:
            await asyncio.sleep(1)
            async with asyncio.timeout(20):
                seen: list[set[int]] = []
                left = 800
                while left:
                    found = await consumer.getmany(timeout_ms=200, max_records=100)
                    left -= sum(map(len, found.values()))
                    seen += [{place.partition % 2 for place in found}] if found else []
    assert seen[0] == {0, 1}
    assert sum(numbers == {0, 1} for numbers in seen) >= 4


async def test_a_database_away_for_longer_than_kafka_waits_loses_nothing(
    wire: Wire, source: Ledger, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "MAX_POLL_INTERVAL_MS", 1_000)
    name = psycopg.conninfo.conninfo_to_dict(wire.hearer_url)["dbname"]
    open_again = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(str(name)))
    async with (
        wire.relaying(), wire.hearer(timeout=1) as hearer, wire.hearing(hearer) as consumer,
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as admin,
    ):  # fmt: skip
        await tell(source, 80)
        await heard(hearer, 80)
        await admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(str(name))))
        try:
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            await tell(source, 160, 1_000)
            await asyncio.sleep(8)
            assert consumer._failure is None
        finally:
            await admin.execute(open_again)
        async with wire.hearer() as unbroken:
            await heard(unbroken, 240)
            assert await parked(unbroken) == []
            await same(source, unbroken)


async def test_two_workers_share_the_partitions_and_take_over_from_each_other(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying(), wire.hearing(hearer, "profile-0") as first:
        await tell(source, 80)
        await heard(hearer, 80)
        async with wire.hearer() as other, wire.hearing(other, "profile-1") as second:

            async def shared() -> bool:
                return (len(first._lanes), len(second._lanes)) == (PARTITIONS // 2, PARTITIONS // 2)

            await until(shared, "both have partitions")
            await tell(source, 80, 1_000)
            await heard(hearer, 160)
        await tell(source, 80, 2_000)
        await heard(hearer, 240)
    await same(source, hearer)


async def test_too_many_parked_records_stop_the_consumer(
    wire: Wire, source: Ledger, hearer: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "MAX_PARKED_IN_WINDOW", 5)
    for n in range(7):
        await wire.send(n, b"nonsense")
    with pytest.raises(TooManyParked, match="6 records were parked"):
        await _hear_until_it_ends(wire, hearer, 7)


async def _hear_until_it_ends(wire: Wire, hearer: Ledger, most: int) -> None:
    """Hear until the consumer ends; it fails where so many records are parked and it goes on."""
    async with wire.hearing(hearer) as consumer:

        async def over() -> bool:
            return consumer._ended.is_set() or await rows(hearer, "SELECT count(*) FROM parked") == [(most,)]

        await until(over, "the records are parked")
        await asyncio.wait([asyncio.create_task(consumer._ended.wait())], timeout=5)
        assert consumer._ended.is_set(), "it goes on to park one record after the other"


async def test_metrics_say_how_far_it_is_and_what_is_parked(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    metrics = Metrics()
    await wire.send(7, b"nonsense")
    async with wire.relaying(), wire.hearing(hearer, metrics=metrics):
        await tell(source, 16)
        await heard(hearer, 16)

        async def shown() -> bool:
            text = metrics.render().decode()
            return 'cairn_position{partition="3",source="evidence"} 1.0' in text and 'cairn_parked{service="profile"} 1.0' in text

        await until(shown, "metrics")


async def test_readiness_is_progress(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying(), wire.hearing(hearer) as consumer:
        consumer._health._stalled_after_s = 1.0
        await tell(source, 16)
        await heard(hearer, 16)
        await until(lambda: _lag_is(consumer, 0), "no lag")
        assert not consumer.progress().stalled
        async with hearer.pool.connection() as blocker, blocker.transaction():
            await blocker.execute("SELECT 1 FROM inbox FOR UPDATE")
            await tell(source, 8, 500)
            await until(lambda: _lag_is(consumer, 8), "lag of 8")
            await until(lambda: _is_stalled(consumer), "work, and nothing moves")
        await heard(hearer, 24)
        await until(lambda: _lag_is(consumer, 0), "no lag")


async def test_a_partition_that_is_not_fetched_beside_others_is_named(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    async with wire.relaying(), wire.hearing(hearer) as consumer:
        consumer._health._stalled_after_s = 1.0
        await tell(source, 16)
        await heard(hearer, 16)
        place = next(place for place in consumer._lanes if place.partition == 3)
        consumer._consumer.pause(place)
        first = 500

        async def told_again() -> bool:
            nonlocal first
            await tell(source, 8, first)
            first += 8
            await asyncio.sleep(0.3)
            return bool(consumer.progress().stuck)

        await until(told_again, "one partition stands still", 60)
        progress = consumer.progress()
        assert not progress.stalled
        assert [line.partition(" wait")[0].partition(" of ")[2] for line in progress.stuck] == ["partition 3 of evidence"]
        consumer._consumer.resume(place)
        await heard(hearer, 16 + first - 500)
        await until(lambda: _is_stuck(consumer, 0), "nobody stands still")


async def _reads(consumer: object, count: int) -> bool:
    return len(consumer._consumer.assignment()) == count  # type: ignore[attr-defined]


async def _is_stuck(consumer: object, count: int) -> bool:
    return len(consumer.progress().stuck) == count  # type: ignore[attr-defined]


async def _published(wire: Wire, count: int) -> bool:
    return sum(map(len, (await wire.published()).values())) >= count


async def _is_stalled(consumer: object) -> bool:
    return consumer.progress().stalled  # type: ignore[attr-defined, no-any-return]


async def _lag_is(consumer: object, lag: int) -> bool:
    return consumer.lag() == lag  # type: ignore[attr-defined, no-any-return]


async def _diverged(consumer: object, count: int) -> bool:
    return len(consumer.progress().diverged) == count  # type: ignore[attr-defined]


async def _parked_is(hearer: Ledger, expected: list[tuple[str, int]]) -> bool:
    return await parked(hearer) == expected
