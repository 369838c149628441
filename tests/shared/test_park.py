"""Parked records on real Kafka and PostgreSQL: taken up again in order after a repair, never past the live reader."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared.consume import write
from shared.consume.inward import Inward
from shared.consume.reader import Lane
from shared.contracts.envelope import Event, Header, StreamId
from shared.contracts.evidence import AliasNoted
from shared.decider import Decider, History, Refusal
from shared.errors import BadInput, LedgerError, NotFound
from shared.ledger import Batch, Incoming, Projection, Trouble
from shared.ledger.ledger import Ledger
from shared.ledger.park import Parked, Retried, discard, listed, retry, shown
from shared.ledger.passed import WHY, TakenUp, take_up
from shared.ledger.read import aside
from shared.ledger.types import MAX_REASON
from shared.parameters import Parameters
from shared.testing import recorded
from tests.shared.wire import (
    DECIDERS,
    POISON,
    SUBSCRIPTION,
    Copy,
    Note,
    State,
    Wire,
    a_ledger,
    alias,
    asks,
    copied,
    events,
    learners,
    name_in,
    rows,
    until,
    wait_for_locks,
)

NAME = name_in(3)
OTHER = name_in(6)
LAST = UUID(int=9)


def unseal(raw: bytes) -> bytes:
    assert raw.startswith(b"sealed:")
    return raw.removeprefix(b"sealed:")


def repaired(hearer: Ledger, decide: Callable[..., Any] | None = None) -> Ledger:
    """The next release, in another process's memory."""

    def copy(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        return [alias_noted(command)]

    decider: Decider[State] = replace(DECIDERS["profile"], decide=decide or copy)
    return a_ledger("profile", hearer.pool, deciders=[decider])


async def taken_up(ledger: Ledger, ids: list[int] | None = None) -> Retried:
    return await retry(ledger, Inward(SUBSCRIPTION).asks, unseal, ids)


async def a_queue(wire: Wire, source: Ledger, hearer: Ledger, behind: int) -> list[Parked]:
    """Park a poison record of NAME, with others of its key behind it; a record of OTHER is applied."""
    notes = [Note(NAME, UUID(int=1)), Note(NAME, POISON), *(Note(NAME, learner) for learner in learners(behind, 2))]
    await source.handle(asks(*notes, Note(OTHER, UUID(int=900))))
    async with wire.relaying(), wire.hearing(hearer):
        await until(lambda: _parked(hearer, behind + 1), f"{behind + 1} parked records")
        await until(lambda: _applied(hearer, 2), "two events")
    return await listed(hearer.pool, limit=1_000)


async def _parked(hearer: Ledger, count: int) -> bool:
    return len(await listed(hearer.pool, limit=1_000)) == count


async def _applied(hearer: Ledger, count: int) -> bool:
    return (await rows(hearer, "SELECT count(*) FROM event"))[0][0] == count


async def test_after_a_repair_a_queue_is_taken_up_in_order(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    queue = await a_queue(wire, source, hearer, 250)
    assert [record.trouble for record in queue] == ["poison"] + ["behind"] * 250
    assert (await taken_up(repaired(hearer))).applied == 251
    assert (await copied(hearer))[alias(NAME)] == [UUID(int=1), POISON, *learners(250, 2)]
    assert await listed(hearer.pool) == []
    assert await taken_up(repaired(hearer)) == Retried()
    async with wire.relaying(), wire.hearing(hearer):
        await source.handle(asks(Note(NAME, UUID(int=901))))
        await until(lambda: _applied(hearer, 254), "the key goes on")


async def test_without_a_repair_nothing_moves_and_the_attempt_is_counted(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    first, *_ = await a_queue(wire, source, hearer, 3)
    result = await taken_up(hearer)
    assert (result.applied, [record.id for record in result.stuck]) == (0, [first.id])
    assert (await listed(hearer.pool))[0] == replace(first, attempts=1)
    assert first.reason.startswith("RuntimeError in copy, wire.py:")
    assert (await copied(hearer))[alias(NAME)] == [UUID(int=1)]


async def test_a_later_record_is_not_taken_up_before_an_earlier_one(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    queue = await a_queue(wire, source, hearer, 3)
    assert [record.id for record in (await taken_up(hearer, [queue[2].id])).stuck] == [queue[0].id]
    assert (await taken_up(repaired(hearer), [queue[2].id])).applied == 4
    assert (await copied(hearer))[alias(NAME)] == [UUID(int=1), POISON, *learners(3, 2)]


async def test_a_discarded_record_lets_those_behind_it_go_on(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    first, *later = await a_queue(wire, source, hearer, 3)
    assert await aside(hearer.pool) == {(record.source, record.partition, record.position) for record in (first, *later)}
    with pytest.raises(BadInput, match="say why"):
        await discard(hearer.pool, first.id, " ")
    await discard(hearer.pool, first.id, "a test of the district")
    with pytest.raises(NotFound):
        await discard(hearer.pool, first.id, "again")
    assert (await taken_up(hearer)).applied == 3
    assert (await copied(hearer))[alias(NAME)] == [UUID(int=1), *learners(3, 2)]
    ((why,),) = await rows(hearer, "SELECT resolution FROM parked WHERE id = %s", first.id)
    assert why == "discarded: a test of the district"
    assert await aside(hearer.pool) == {(first.source, first.partition, first.position)}, "what was taken up is aside no more"
    async with wire.relaying(), wire.hearing(hearer):
        await source.handle(asks(Note(NAME, UUID(int=901))))
        await until(lambda: _applied(hearer, 6), "the key goes on")


async def test_a_parked_record_is_shown_with_its_bytes(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    first, *_ = await a_queue(wire, source, hearer, 1)
    record, raw = await shown(hearer.pool, first.id, unseal)
    assert record == first
    assert raw == (await events(source))[3][1]
    assert Header.read(raw).position == record.position == 1
    with pytest.raises(NotFound):
        await shown(hearer.pool, first.id + 1_000, unseal)


async def test_a_refused_record_blocks_nothing_and_is_taken_up_alone(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    def refuse(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        return Refusal("unwanted", "not this one") if command.learner_id == UUID(int=2) else []

    refusing = repaired(hearer, refuse)
    await source.handle(asks(*(Note(NAME, learner) for learner in learners(3))))
    async with wire.relaying(), wire.hearing(refusing):
        await until(lambda: _parked(hearer, 1), "one parked record")
    (record,) = await listed(hearer.pool)
    assert (record.trouble, record.reason, record.position) == ("refused", "unwanted: not this one", 1)
    assert await taken_up(refusing) == Retried(refused=1)
    assert await taken_up(repaired(hearer)) == Retried(applied=1)


async def test_a_refused_record_that_is_taken_up_in_vain_goes_on_blocking_nothing(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    """Whatever it fails for then: later records of its key were applied, and the child's next answers must not wait behind it."""

    def refuse(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        return Refusal("unwanted", "not this one") if command.learner_id == UUID(int=2) else [alias_noted(command)]

    def break_down(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        raise RuntimeError("of a later release")

    await source.handle(asks(*(Note(NAME, learner) for learner in learners(3))))
    async with wire.relaying(), wire.hearing(repaired(hearer, refuse)):
        await until(lambda: _parked(hearer, 1), "one parked record")
        await until(lambda: _applied(hearer, 2), "what came behind it")
        (record,) = await listed(hearer.pool)
        broken = repaired(hearer, break_down)
        for breaks in (Inward(SUBSCRIPTION).asks, lambda header, number: ((), Trouble.UNKNOWN, "this release does not know it")):
            assert [each.id for each in (await retry(broken, breaks, unseal)).stuck] == [record.id]
        (still,) = await listed(hearer.pool)
        assert not still.blocks, "nothing waits behind it"
        assert still == replace(record, attempts=2, reason="this release does not know it")
        await source.handle(asks(Note(NAME, LAST)))
        await until(lambda: _applied(hearer, 3), "the key goes on")
    assert await taken_up(repaired(hearer)) == Retried(applied=1)


def alias_noted(command: Copy) -> AliasNoted:
    return AliasNoted(alias=command.alias, learner_id=command.learner_id)


async def test_a_foreign_record_can_only_be_discarded(wire: Wire, hearer: Ledger) -> None:
    await wire.send(3, b"nonsense")
    async with wire.hearing(hearer):
        await until(lambda: _parked(hearer, 1), "one parked record")
    (record,) = await listed(hearer.pool)
    assert await aside(hearer.pool) == set(), "it stands for no event that anybody could miss"
    assert await taken_up(hearer) == Retried()
    with pytest.raises(BadInput, match="not one of our envelopes"):
        await taken_up(hearer, [record.id])
    await discard(hearer.pool, record.id, "nonsense")
    assert await listed(hearer.pool) == []


async def test_taking_up_never_overtakes_the_live_reader(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    await a_queue(wire, source, hearer, 60)
    after = repaired(hearer)
    async with wire.relaying(), wire.hearing(after):

        async def tell() -> None:
            for learner in learners(120, 1_000):
                await source.handle(asks(Note(NAME, learner)))

        async def take_up() -> None:
            for _ in range(12):
                await taken_up(after)
                await asyncio.sleep(0.05)

        await asyncio.gather(tell(), take_up())
        await until(lambda: _settled(after, 2 + 1 + 60 + 120), "everything applied")
    assert (await copied(hearer))[alias(NAME)] == [UUID(int=1), POISON, *learners(60, 2), *learners(120, 1_000)]


async def _settled(hearer: Ledger, count: int) -> bool:
    await taken_up(hearer)
    return await _applied(hearer, count)


async def test_a_record_at_an_offset_that_was_parked_before_is_parked_too(hearer: Ledger) -> None:
    """As after a topic was made anew: its offsets begin at 0 again."""
    for position in range(2):
        before = {("evidence", 3): (await hearer.inbox(["evidence"]))["evidence", 3]}
        record = Incoming("evidence", 3, 0, b"bytes", position, "key", "0" * 64, (), Trouble.POISON, "a test")
        await hearer.apply(Batch(before, (record,)))
    assert [(record.kafka_offset, record.position) for record in await listed(hearer.pool)] == [(0, 0), (0, 1)]


async def set_aside(hearer: Ledger, raw: bytes, position: int | None = None, trouble: Trouble = Trouble.FOREIGN, reason: str = "") -> None:
    before = {("evidence", 3): (await hearer.inbox(["evidence"]))["evidence", 3]}
    await hearer.apply(Batch(before, (Incoming("evidence", 3, 7, raw, position, "", "0" * 64, (), trouble, reason),)))


async def test_a_foreign_record_that_is_read_again_is_parked_once(hearer: Ledger) -> None:
    for _ in range(2):
        await set_aside(hearer, b"bytes")
    assert [record.kafka_offset for record in await listed(hearer.pool)] == [7]


async def test_a_foreign_record_at_an_offset_where_another_was_parked_is_parked_too(hearer: Ledger) -> None:
    """As after a topic was made anew: also where the one before is resolved."""
    await set_aside(hearer, b"bytes")
    await set_aside(hearer, b"others")
    found = await listed(hearer.pool)
    for record in found:
        await discard(hearer.pool, record.id, "a test")
    await set_aside(hearer, b"bytes of a third")
    found += await listed(hearer.pool)
    assert [(await shown(hearer.pool, record.id, unseal))[1] for record in found] == [b"bytes", b"others", b"bytes of a third"]


async def test_a_reason_is_kept_so_that_it_can_be_stored_and_shown(hearer: Ledger) -> None:
    def refuse(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        return Refusal("unwanted", "\0\ud800" + "x" * 2_000)

    await set_aside(hearer, b"foreign", reason="\0\ud800\x1b[2J" + "\0" * 2_000)
    (record,) = await listed(hearer.pool)
    assert record.reason.startswith(r"\x00\ud800\x1b[2J\x00")
    assert len(record.reason) == MAX_REASON
    [event] = recorded(StreamId("evidence", "note", NAME), [AliasNoted(alias=alias(NAME), learner_id=UUID(int=1))])
    await set_aside(hearer, event.raw, 0, Trouble.REFUSED, "by the release before")
    assert await taken_up(repaired(hearer, refuse)) == Retried(refused=1)
    *_, refused = await listed(hearer.pool)
    assert (refused.reason[:26], len(refused.reason)) == (r"unwanted: \x00\ud800xxxxxx", MAX_REASON)


async def test_a_parked_record_that_this_release_takes_for_no_envelope_stays_and_lets_others_be_taken_up(
    wire: Wire, source: Ledger, hearer: Ledger
) -> None:
    await a_queue(wire, source, hearer, 1)
    before = {("evidence", 5): (await hearer.inbox(["evidence"]))["evidence", 5]}
    await hearer.apply(Batch(before, (Incoming("evidence", 5, 7, b"{}", 0, "key", "0" * 64, (), Trouble.POISON, "a test"),)))
    done = await taken_up(repaired(hearer))
    assert (done.applied, [record.reason for record in done.stuck]) == (2, ["a test"])
    (left,) = await listed(hearer.pool)
    assert (left.trouble, left.reason, left.attempts) == ("poison", "attribute id is missing or not a str", 1)


async def test_what_is_taken_up_while_it_is_discarded_is_not_said_to_be_discarded(wire: Wire, source: Ledger, hearer: Ledger) -> None:
    first, *_ = await a_queue(wire, source, hearer, 1)
    async with hearer.pool.connection() as other:
        async with other.transaction():
            await other.execute("SELECT 1 FROM inbox WHERE source = 'evidence' AND partition = %s FOR UPDATE", [first.partition])
            discarding = asyncio.create_task(discard(hearer.pool, first.id, "a test"))
            await until(lambda: wait_for_locks(hearer), "it waits for the lock")
            await other.execute("UPDATE parked SET resolved_at = now(), resolution = 'taken up again' WHERE id = %s", [first.id])
        with pytest.raises(NotFound):
            await discarding
    assert (await shown(hearer.pool, first.id, unseal))[0].resolution == "taken up again"


TEXTS = [
    "", "\0", "a\0b", "\ud800", "\x1b[2J", "\u202e", "\uffff", '"\\' * 2_000, "x" * 5_000, "\U0010ffff" * 512, "\U0010ffff" * 513,
    "".join(map(chr, range(0x4E00, 0x4E00 + 512))), "".join(map(chr, range(0x4E00, 0x4E00 + 9_000))),
]  # fmt: skip
ATTRIBUTES = [
    "id", "type", "time", "stream", "partitionkey", "decider", "release", "causationid", "correlationid", "a field", "an alias",
]  # fmt: skip


async def test_nothing_that_a_record_holds_keeps_it_from_being_set_aside(hearer: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "MAX_PARKED_IN_WINDOW", 1_000)
    reader = Lane("evidence", "/local/evidence", (await hearer.inbox(["evidence"]))["evidence", 3])
    inward, records = Inward(SUBSCRIPTION), list[Incoming]()
    for number, (name, text) in enumerate(product(ATTRIBUTES, TEXTS)):
        [event] = recorded(StreamId("evidence", "note", f"name-{number}"), [AliasNoted(alias=alias(""), learner_id=UUID(int=number))])
        told = orjson.loads(event.raw) | {"source": reader.source, "partition": 3, "position": reader.next, "previous": reader.head}
        if name == "a field":
            told["data"][text] = 1
        else:
            (told["data"] if name == "an alias" else told)[name.removeprefix("an ")] = text
        raw = json.dumps(told).encode()
        verdict = reader.read(number, raw)
        assert verdict is not None
        records.append(inward.incoming(reader, number, raw, verdict, number))
    await write.Writer(hearer, asyncio.Event(), 0).write(records, {reader.place: reader})
    assert (await hearer.inbox(["evidence"]))["evidence", 3].kafka_offset == len(records) == reader.inbox.kafka_offset
    kept = {record.kafka_offset: await shown(hearer.pool, record.id, unseal) for record in await listed(hearer.pool, limit=1_000)}
    assert all(raw == records[number].raw and record.reason for number, (record, raw) in kept.items())
    ((applied,),) = await rows(hearer, "SELECT count(*) FROM event")
    assert applied > 0
    assert len(kept) + applied == len(records)


FAILING = {
    "data": "SELECT 1 / (SELECT count(*) FROM jsonb_to_recordset(%(rows)s) AS r(learner text) WHERE false)",
    "time": "SELECT pg_sleep(30) FROM jsonb_to_recordset(%(rows)s) AS r(learner text)",
}


@pytest.mark.parametrize("failing", FAILING)
async def test_a_record_that_the_database_cannot_take_is_found_and_parked(wire: Wire, source: Ledger, failing: str) -> None:
    table = Projection(
        "copy", lambda event: [{"learner": "bad"}] if event.data.learner_id == UUID(int=13) else [], ("learner",), FAILING[failing]
    )
    await source.handle(asks(*(Note(NAME if learner.int % 2 else OTHER, learner) for learner in learners(20))))
    async with wire.hearer("-c statement_timeout=1000", projections=[table]) as hearer, wire.relaying(), wire.hearing(hearer):
        await until(lambda: _parked(hearer, 4), "the bad record and those behind it", 90)
        await until(lambda: _applied(hearer, 16), "all others")
        found = await listed(hearer.pool)
    assert [(record.trouble, record.position) for record in found] == [("poison", 6), ("behind", 7), ("behind", 8), ("behind", 9)]
    assert found[0].reason.startswith("DivisionByZero 22012" if failing == "data" else "QueryCanceled 57014")


async def passed(source: Ledger, hearer: Ledger, heard: int) -> list[tuple[int, bytes]]:
    """Tell three notes in partition 3, of which the hearer has passed by the first `heard`; return their positions and bytes."""
    await source.handle(asks(*(Note(NAME, learner) for learner in learners(3))))
    told = [(position, bytes(raw)) for position, raw in await rows(source, "SELECT position, bytes FROM event ORDER BY position")]
    await hearer.inbox(["evidence"])
    async with hearer.pool.connection() as connection:
        await connection.execute("UPDATE inbox SET position = %s WHERE source = 'evidence' AND partition = 3", [heard - 1])
    return told


async def take(hearer: Ledger, told: list[tuple[int, bytes]]) -> TakenUp:
    result = TakenUp()
    await take_up(hearer, Inward(SUBSCRIPTION).asks, lambda raw: b"sealed:" + raw, "evidence", 3, told, result)
    return result


async def test_what_was_passed_by_is_taken_up_and_what_is_still_to_be_heard_is_left(source: Ledger, hearer: Ledger) -> None:
    told = await passed(source, hearer, 2)
    assert await take(hearer, told) == TakenUp(2)
    assert (await copied(hearer))[alias(NAME)] == learners(2)
    noted = await rows(hearer, "SELECT position, reason, resolution, attempts FROM parked ORDER BY position")
    assert noted == [(position, WHY, "taken up again", 1) for position in (0, 1)]
    assert await aside(hearer.pool) == set()
    assert await take(hearer, told) == TakenUp(), "Copy doubles what it is asked twice"


async def test_what_is_set_aside_is_left_to_its_queue(source: Ledger, hearer: Ledger) -> None:
    told = await passed(source, hearer, 3)
    async with hearer.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO parked (source, partition, position, kafka_offset, key, trouble, reason, bytes) "
            "VALUES ('evidence', 3, 1, 1, %s, 'poison', '', %s)", [alias(NAME), b"sealed:" + told[1][1]],
        )  # fmt: skip
    assert await take(hearer, told) == TakenUp(2)
    assert (await copied(hearer))[alias(NAME)] == [UUID(int=1), UUID(int=3)]
    assert [record.position for record in await listed(hearer.pool)] == [1]


async def test_what_was_passed_by_and_is_refused_is_set_aside(source: Ledger, hearer: Ledger) -> None:
    def refuse(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        return Refusal("no", "not this one") if command.learner_id == UUID(int=2) else [AliasNoted(alias=command.alias, learner_id=LAST)]

    told = await passed(source, hearer, 3)
    assert await take(repaired(hearer, refuse), told) == TakenUp(2, ["no: not this one"])
    [record] = await listed(hearer.pool)
    assert (record.position, record.trouble, record.reason, record.blocks) == (1, "refused", "no: not this one", False)


async def test_what_this_release_cannot_take_up_either_changes_nothing(source: Ledger, hearer: Ledger) -> None:
    told = await passed(source, hearer, 3)
    unknown = told[1][1].replace(b"evidence.alias-noted.v1", b"evidence.alias-noted.v9")
    with pytest.raises(LedgerError, match="event 1 of partition 3 of evidence cannot be taken up"):
        await take(hearer, [told[0], (1, unknown), told[2]])
    assert await copied(hearer) == {}
