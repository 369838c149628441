"""The statements of one transaction of the ledger. Each function awaits one round trip; none decides anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import accumulate
from typing import Any, Final

import orjson

from shared.contracts import event_class
from shared.contracts.envelope import Header, Recorded, canonical, digest
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted
from shared.decider import Decider
from shared.errors import LedgerError
from shared.failpoints import reach
from shared.ledger.columns import Blobs, CopyRow, Numbers, Texts, blocks, event_row, since_2000, stream_row
from shared.ledger.turn import Held, Lane, Need, check_release
from shared.ledger.types import BLOCKING, MAX_STEP, Batch, Connection, Inbox, InboxMoved, Incoming, Projection, Trouble, Walk, readable

BLOCKED: Final = [str(trouble) for trouble in BLOCKING]

LOCK_INBOX: Final = """
    SELECT i.source, i.partition, i.position, i.head, i.kafka_offset FROM set_config('lock_timeout', %s, true), inbox i
    JOIN jsonb_to_recordset(%s) AS r(source text, partition int) USING (source, partition)
    ORDER BY i.source, i.partition FOR UPDATE OF i"""
"""What it sets holds for the rest of the transaction, and takes no round trip of its own."""
BLOCKED_KEYS: Final = """
    SELECT r.source, r.key FROM unnest(%s, %s) AS r(source, key) CROSS JOIN LATERAL (
        SELECT FROM parked p WHERE p.source = r.source AND p.key = r.key AND p.resolved_at IS NULL AND p.trouble = ANY(%s) LIMIT 1) found"""
MOVE_INBOX: Final = """
    UPDATE inbox SET position = r.position, head = r.head, kafka_offset = r.kafka_offset
    FROM jsonb_to_recordset(%s) AS r(source text, partition int, position bigint, head text, kafka_offset bigint)
    WHERE inbox.source = r.source AND inbox.partition = r.partition"""
PARK: Final = """
    INSERT INTO parked (source, partition, position, kafka_offset, key, trouble, reason, bytes, hash)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (source, partition, kafka_offset, hash) WHERE position IS NULL DO NOTHING"""
LOCK_LANES: Final = """
    SELECT id, length, head, last_at, clock_timestamp() FROM set_config('lock_timeout', %s, true), partition
    WHERE id = ANY(%s) ORDER BY id FOR UPDATE OF partition"""
FREE_LANES: Final = "SELECT id FROM partition FOR KEY SHARE SKIP LOCKED"
LOAD_STREAMS: Final = """
    SELECT r.id, s.key, s.partition, s.version, s.format, CASE WHEN s.version <> r.known THEN s.state END AS state
    FROM unnest(%s, %s) AS r(id, known) CROSS JOIN LATERAL (SELECT * FROM stream WHERE id = r.id LIMIT 1) s"""
"""Each by itself: planned as a join, the table is read whole, for new streams of which it holds none."""
LOAD_EVENTS: Final = "SELECT stream, bytes FROM event WHERE stream = ANY(%s) ORDER BY stream, version"
LOAD_PARTS: Final = """
    SELECT stream, value, bytes FROM (
        SELECT stream, version, bytes, split_part(split_part(convert_from(bytes, 'UTF8'), %s, 2), '"', 1) AS value
        FROM event WHERE stream = ANY(%s)) e
    WHERE value = ANY(%s) ORDER BY stream, version"""
"""Events by the value of a field. All of a stream are looked at, yet in a twentieth of the time that it takes to fetch and parse them."""
COPY_EVENTS: Final = "COPY event (partition, position, stream, version, key, type, recorded_at, bytes) FROM STDIN (FORMAT BINARY)"
MOVE_LANES: Final = """
    UPDATE partition SET length = r.length, head = r.head, last_at = r.last_at
    FROM jsonb_to_recordset(%s) AS r(id int, length bigint, head text, last_at timestamptz) WHERE partition.id = r.id"""
COPY_STREAMS: Final = "COPY stream (id, key, partition, version, format, state) FROM STDIN (FORMAT BINARY)"
MOVE_STREAMS: Final = """
    UPDATE stream SET version = r.version, format = r.format, state = r.state
    FROM unnest(%s, %s, %s, %s, %s) AS r(id, read_version, version, format, state)
    WHERE stream.id = r.id AND stream.version = r.read_version"""
KEEP_PAGE: Final = "INSERT INTO parameter_page (hash, data) VALUES (%s, %s) ON CONFLICT DO NOTHING"
KEEP_SET: Final = "INSERT INTO parameter_set (id, kind, pages) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"

STEP_EVENTS: Final = 20_000
"""Events that the streams of one step of a walk have together, unless it is a single stream: all of them may be needed as history."""
OPEN_CURSOR: Final = "INSERT INTO cursor (name, partition) VALUES (%s, %s) ON CONFLICT DO NOTHING"
READ_CURSOR: Final = "SELECT after_key, done FROM cursor WHERE name = %s AND partition = %s FOR UPDATE"
NEXT_STREAMS: Final = """
    SELECT id, version FROM stream WHERE partition = %s AND id > %s AND id < %s ORDER BY id LIMIT %s"""
MOVE_CURSOR: Final = "UPDATE cursor SET after_key = %s, done = %s WHERE name = %s AND partition = %s"


def rows_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as the JSON array that `jsonb_to_recordset` reads."""
    return orjson.dumps(list(rows)).decode()


async def lock_inbox(connection: Connection, batch: Batch) -> None:
    """Lock the inbox rows of a batch, in order; from here on its transaction waits `batch.lock_ms` for each lock at most.

    Raises:
        InboxMoved: where one is not as the reader believes.
        psycopg.errors.LockNotAvailable: somebody held one for longer.
    """
    places = rows_json({"source": source, "partition": partition} for source, partition in batch.before)
    rows = await (await connection.execute(LOCK_INBOX, [str(batch.lock_ms), places])).fetchall()
    found = {(row[0], row[1]): Inbox(*row) for row in rows}
    if found != dict(batch.before):
        raise InboxMoved


async def part_blocked(connection: Connection, batch: Batch) -> list[Incoming]:
    """Return the records of a batch, those behind a parked record of their key turned into records to park."""
    pairs = list({(record.source, record.key) for record in batch.records if record.asks})
    sources, keys = Texts([source for source, _ in pairs]), Texts([key for _, key in pairs])
    rows = await (await connection.execute(BLOCKED_KEYS, [sources, keys, BLOCKED])).fetchall() if pairs else []
    blocked = {(row[0], row[1]) for row in rows}
    if not blocked and all(record.trouble is None for record in batch.records):
        return list(batch.records)
    result = []
    for record in batch.records:
        place = (record.source, record.key)
        if record.trouble is None and record.asks and place in blocked:
            record = replace(record, asks=(), trouble=Trouble.BEHIND, reason="an earlier record of the same key is parked")
        elif record.trouble in BLOCKING:
            blocked.add(place)
        result.append(record)
    return result


async def move_inbox(connection: Connection, batch: Batch) -> dict[tuple[str, int], Inbox]:
    """Move the inbox behind the last record of each partition, and return what it is then."""
    after = dict(batch.before)
    last = {(record.source, record.partition): record for record in batch.records if record.position is not None}
    for (source, partition), record in last.items():
        assert record.position is not None
        after[source, partition] = Inbox(source, partition, record.position, record.head, None)
    offsets = {(record.source, record.partition): record.kafka_offset + 1 for record in batch.records}
    after |= {place: replace(after[place], kafka_offset=offset) for place, offset in offsets.items()}
    reach("inbox.before")
    await connection.execute(MOVE_INBOX, [rows_json(asdict(inbox) for inbox in after.values())])
    reach("inbox.after")
    return after


async def park(connection: Connection, records: Iterable[Incoming], seal: Callable[[bytes], bytes]) -> int:
    """Set records aside with their reason and sealed bytes; return how many. A foreign one that was read before is parked already."""
    rows = [
        (r.source, r.partition, r.position, r.kafka_offset, r.key, str(r.trouble), readable(r.reason), seal(r.raw), digest(r.raw))
        for r in records if r.trouble
    ]  # fmt: skip
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(PARK, rows)
    return len(rows)


async def lock_lanes(connection: Connection, numbers: Iterable[int], lock_ms: int = 0) -> dict[int, Lane]:
    """Lock partitions in the order of their numbers; from here on the transaction waits `lock_ms` for each lock at most, 0: for as long as
    it takes.

    Raises:
        psycopg.errors.LockNotAvailable: somebody held one for longer.
    """
    rows = await (await connection.execute(LOCK_LANES, [str(lock_ms), sorted(numbers)])).fetchall()
    return {row[0]: Lane(*row) for row in rows}


async def free_lanes(connection: Connection) -> set[int]:
    """Return the partitions that nobody holds locked now."""
    return {row[0] for row in await (await connection.execute(FREE_LANES)).fetchall()}


async def load_streams(
    connection: Connection, known: Mapping[str, int], cached: Mapping[str, Any], deciders: Mapping[str, Decider[Any]]
) -> dict[str, Held]:
    """Return the streams that exist. `known` is stream -> version of the cached state, -1 where none is cached."""
    wanted = [Texts(list(known)), Numbers(list(known.values()))]
    async with connection.cursor(binary=True) as cursor:
        rows = await (await cursor.execute(LOAD_STREAMS, wanted)).fetchall()
    held: dict[str, Held] = {}
    outdated: list[str] = []
    for stream, key, partition, version, format, state in rows:
        decider = deciders[stream.split("/", 2)[1]]
        usable = check_release(stream, format, decider)
        if state is None:
            value = cached[stream]
        elif usable:
            value = decider.codec.decode(state)
        else:
            value, outdated = None, [*outdated, stream]
        held[stream] = Held(stream, key, partition, version, value, version)
    await load_events(connection, held, outdated)
    for stream in outdated:
        held[stream].state = deciders[stream.split("/", 2)[1]].fold(event.data for event in held[stream].stored or ())
    return held


async def load_events(connection: Connection, held: Mapping[str, Held], streams: Sequence[str]) -> None:
    """Load the stored events of these streams, as history."""
    if not streams:
        return
    for stream in streams:
        held[stream].stored = []
    for stream, raw in await (await connection.execute(LOAD_EVENTS, [list(streams)])).fetchall():
        stored = held[stream].stored
        if stored is not None:
            stored.append(decoded(bytes(raw)))


async def load_histories(connection: Connection, held: Mapping[str, Held], needs: Sequence[Need]) -> int:
    """Load the stored events that are needed, and return how many they are."""
    whole = [need.stream for need in needs if not need.apart_by]
    await load_events(connection, held, whole)
    count = sum(held[stream].read_version for stream in whole)
    for field in dict.fromkeys(need.apart_by for need in needs if need.apart_by):
        parts: dict[tuple[str, str], list[Recorded[Any]]] = {(need.stream, need.value): [] for need in needs if need.apart_by == field}
        streams, values = (list(dict.fromkeys(names)) for names in zip(*parts, strict=True))
        for stream, value, raw in await (await connection.execute(LOAD_PARTS, [f'"{field}":"', streams, values])).fetchall():
            if (stream, value) in parts:
                parts[stream, value].append(decoded(bytes(raw)))
                count += 1
        for (stream, value), events in parts.items():
            held[stream].parts[value] = events
    return count


def decoded(raw: bytes) -> Recorded[Any]:
    """Return a stored event.

    Raises:
        LedgerError: where this release does not know its type.
    """
    header = Header.read(raw)
    known = event_class(header.event_type)
    if known is None:
        raise LedgerError(f"this release does not know events of type {header.event_type}: start the newer release")
    return header.decode(known)


async def append(connection: Connection, events: Sequence[Recorded[Any]], lanes: Iterable[Lane]) -> None:
    """Write events and move the partitions behind them."""
    reach("append.before")
    times = {at: since_2000(at) for at in {event.time for event in events}}
    rows = (
        event_row(e.partition, e.position, e.stream, e.version, e.key, e.type, times[e.time], e.raw) for e in events
    )  # fmt: skip
    async with connection.cursor() as cursor, cursor.copy(COPY_EVENTS) as copy:
        reach("append.within")
        for block in blocks(rows):
            await copy.write(block)
    moved = ({"id": lane.number, "length": lane.length, "head": lane.head, "last_at": lane.last_at} for lane in lanes if lane.length)
    await connection.execute(MOVE_LANES, [rows_json(moved)])
    reach("append.after")


async def keep_streams(connection: Connection, changed: Sequence[Held], deciders: Mapping[str, Decider[Any]]) -> None:
    """Write the states of streams that have new events.

    Raises:
        LedgerError: where a stream is not at the version it was read at, which the partition's lock forbids.
    """
    fresh: list[CopyRow] = []
    moved: list[tuple[str, int, int, int, bytes]] = []
    for held in changed:
        decider = deciders[held.id.split("/", 2)[1]]
        state = decider.codec.encode(held.state)
        held.size = len(state) * decider.codec.bulk
        if held.read_version:
            moved.append((held.id, held.read_version, held.version, decider.format, state))
        else:
            fresh.append(stream_row(held.id, held.key, held.partition, held.version, decider.format, state))
    if fresh:
        async with connection.cursor() as cursor, cursor.copy(COPY_STREAMS) as copy:
            for block in blocks(fresh):
                await copy.write(block)
    if moved and await _move(connection, moved) != len(moved):
        raise LedgerError("a stream moved under its partition's lock: is another program writing to this database?")


async def _move(connection: Connection, moved: Iterable[tuple[str, int, int, int, bytes]]) -> int:
    """Return how many streams were where they were read."""
    ids, read, versions, formats, states = zip(*moved, strict=True)
    columns = [Texts(ids), Numbers(read), Numbers(versions), Numbers(formats), Blobs(states)]
    return (await connection.execute(MOVE_STREAMS, columns)).rowcount


async def project(connection: Connection, projections: Iterable[Projection], events: Sequence[Recorded[Any]]) -> None:
    """Bring the read tables up to these events, one statement per projection."""
    classes = {type(event.data) for event in events}
    for projection in projections:
        if projection.events and classes.isdisjoint(projection.events):
            continue
        rows = projection.reduced(events)
        if rows and projection.columns:
            await connection.execute(
                projection.statement, {name: kind([row.get(name) for row in rows]) for name, kind in projection.columns.items()}
            )  # fmt: skip
        elif rows:
            await connection.execute(projection.statement, {"rows": rows_json(rows)})


async def keep_parameters(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
    """Make pages and sets that these events bring part of the record."""
    for event in events:
        match event.data:
            case ParameterPageAdded(content=content):
                data = canonical(content)
                await connection.execute(KEEP_PAGE, [digest(data), data])
            case ParameterSetAdopted(set_id=set_id, pages=pages):
                await connection.execute(KEEP_SET, [set_id, event.data.KIND, list(pages)])
            case _:
                pass


async def next_streams(connection: Connection, service: str, walk: Walk) -> tuple[list[str], bool]:
    """Return the ids of a walk's next streams, without service and kind, and whether the walk ends with them."""
    await connection.execute(OPEN_CURSOR, [walk.name, walk.partition])
    row = await (await connection.execute(READ_CURSOR, [walk.name, walk.partition])).fetchone()
    if row is None or row[1]:
        return [], True
    prefix = f"{service}/{walk.kind}/"
    first, beyond = prefix + row[0], f"{service}/{walk.kind}0"  # "0" is the character after "/".
    rows = await (await connection.execute(NEXT_STREAMS, [walk.partition, first, beyond, MAX_STEP])).fetchall()
    totals = list(accumulate(version for _, version in rows))
    taken = [id.removeprefix(prefix) for (id, _), total in zip(rows, totals, strict=True) if total <= STEP_EVENTS or total == totals[0]]
    return taken, len(taken) == len(rows) < MAX_STEP


async def move_cursor(connection: Connection, walk: Walk, ids: Sequence[str], done: bool) -> None:
    """Move a walk's cursor behind these streams."""
    if ids or done:
        await connection.execute(MOVE_CURSOR, [ids[-1] if ids else "", done, walk.name, walk.partition])
