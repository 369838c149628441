"""What lets acts go that wait: the service goes through its own ledger, behind itself, and puts aside which may go; these are recorded.

Nothing here reads all that waits, but after news of the calendar, and then in parts: an LMS tells more items than a district ever aligns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final
from uuid import UUID

from orjson import dumps
from psycopg.rows import dict_row

from services.evidence.domain import RecordEvidence
from shared.contracts.envelope import Origin, event_id
from shared.contracts.evidence import Kind
from shared.ledger import Ask, Connection

MAX_RELEASED: Final = 500
"""Acts released in one transaction."""
MAX_EVENTS: Final = 2_000
"""Events of a partition that are gone through in one transaction."""
MAX_ACTS: Final = 5_000
"""Waiting acts that are gone through in one transaction."""
AT_ONCE_S: Final = 1.0
"""Time for which one look goes on."""

NEWS: Final = """
    SELECT n.partition, n.position, n.after_partition, n.after_position, p.length FROM noticed n JOIN partition p ON p.id = n.partition
    WHERE p.length > n.position ORDER BY n.partition"""
LETTING: Final = """
    SELECT e.partition, e.position, CASE WHEN e.type = 'evidence.alias-noted.v1' THEN split_part(e.stream, '/', 3) END AS alias,
        CASE WHEN e.type = 'evidence.item-aligned.v1' THEN split_part(e.stream, '/', 3)::uuid END AS item
    FROM jsonb_to_recordset(%s) AS r(partition integer, since bigint, until bigint), LATERAL (
        SELECT partition, position, type, stream FROM event WHERE partition = r.partition AND position >= r.since AND position < r.until
        AND type IN ('evidence.alias-noted.v1', 'evidence.item-aligned.v1', 'evidence.calendar-noted.v1')) e
    ORDER BY 1, 2"""
"""Which of these events may let acts go."""
# Each id is looked up by itself: see waiting.py.
MAY_GO: Final = """
    CROSS JOIN LATERAL (SELECT FROM alias WHERE alias = a.alias LIMIT 1) l
    CROSS JOIN LATERAL (SELECT FROM alignment WHERE item_id = a.item_id LIMIT 1) i
    JOIN calendar c ON a.occurred_at >= c.begins_at"""
_PUT_ASIDE: Final = "INSERT INTO due_act (partition, position, act_id, alias) SELECT a.partition, a.position, a.act_id, a.alias"
WALK: Final = f"""
    WITH walked AS MATERIALIZED (
        SELECT partition, position, act_id, alias, item_id, occurred_at FROM act
        WHERE learner_id IS NULL AND {{of}} (partition, position) > (%(after_partition)s, %(after_position)s)
        ORDER BY partition, position LIMIT %(most)s
    ), aside AS ({_PUT_ASIDE} FROM walked a {MAY_GO} ON CONFLICT DO NOTHING)
    SELECT (SELECT count(*) FROM walked), partition, position FROM walked ORDER BY partition DESC, position DESC LIMIT 1"""  # noqa: S608 - our own words
WALK_ALIAS: Final = WALK.format(of="alias = %(alias)s AND")
WALK_ITEM: Final = WALK.format(of="item_id = %(item)s AND")
WALK_ALL: Final = WALK.format(of="")
ARRIVED: Final = f"""
    WITH moved AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(moved)s) AS r(
            partition integer, since bigint, since_partition integer, since_position bigint, until bigint, after_partition integer,
            after_position bigint)
    ), news AS MATERIALIZED (
        SELECT e.partition, e.type, CASE WHEN e.type = 'evidence.accepted.v1' THEN split_part(e.stream, '/', 3)::uuid END AS act_id
        FROM moved r, LATERAL (
            SELECT partition, type, stream FROM event WHERE partition = r.partition AND position >= r.since AND position < r.until) e
    ), aside AS ({_PUT_ASIDE} FROM news e CROSS JOIN LATERAL (
        SELECT * FROM act WHERE act_id = e.act_id AND learner_id IS NULL LIMIT 1) a {MAY_GO} ON CONFLICT DO NOTHING
    )
    UPDATE noticed n SET position = r.until, after_partition = r.after_partition, after_position = r.after_position,
        accepted = n.accepted + found.accepted, recorded = n.recorded + found.recorded, conflicts = n.conflicts + found.conflicts
    FROM moved r, LATERAL (
        SELECT count(*) FILTER (WHERE type = 'evidence.accepted.v1') AS accepted,
            count(*) FILTER (WHERE type = 'evidence.recorded.v1') AS recorded,
            count(*) FILTER (WHERE type = 'evidence.conflicted.v1') AS conflicts FROM news WHERE news.partition = r.partition) found
    WHERE n.partition = r.partition
        AND (n.position, n.after_partition, n.after_position) = (r.since, r.since_partition, r.since_position)"""  # noqa: S608 - our own words
"""Puts aside which of the acts that these events tell of may go: their learner or item may have been noted while they were accepted."""
_FIRST: Final = "SELECT partition, position, act_id FROM due_act ORDER BY partition, position LIMIT %s"
GONE: Final = f"""
    DELETE FROM due_act d USING ({_FIRST}) f WHERE (d.partition, d.position) = (f.partition, f.position)
    AND (SELECT learner_id FROM act WHERE act_id = f.act_id LIMIT 1) IS NOT NULL"""  # noqa: S608 - our own words
# An alias that passed on: an act is of whom it was of when the act was accepted, in the same partition; or of the first whose it was.
OWNER: Final = """
    CASE WHEN l.version = 1 THEN l.learner_id ELSE coalesce((
        SELECT (convert_from(e.bytes, 'UTF8')::jsonb #>> '{data,learner_id}')::uuid FROM event e
        WHERE e.stream = 'evidence/alias/' || a.alias AND (e.version = 1 OR e.position < a.position) ORDER BY e.version DESC LIMIT 1
    ), l.learner_id) END"""
DUE: Final = f"""
    SELECT a.correlation, a.act_id AS evidence_id, {OWNER} AS learner_id, a.item_id, i.competency_ids, a.score_e6, a.occurred_at, a.kind,
        a.duration_ms
    FROM ({_FIRST}) f
    CROSS JOIN LATERAL (SELECT * FROM act WHERE act_id = f.act_id AND learner_id IS NULL LIMIT 1) a
    CROSS JOIN LATERAL (SELECT learner_id, version FROM alias WHERE alias = a.alias LIMIT 1) l
    CROSS JOIN LATERAL (SELECT competency_ids FROM alignment WHERE item_id = a.item_id LIMIT 1) i
    ORDER BY f.partition, f.position"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition is gone through: the next event, and of the waiting acts that this one lets go, the last that was looked at."""

    partition: int
    position: int
    after_partition: int
    after_position: int
    length: int


@dataclass(frozen=True, slots=True)
class Letting:
    """An event that may let acts go: those of an alias, those at an item or, without either, any."""

    position: int
    alias: str | None
    item: UUID | None


async def due(connection: Connection, now: str) -> list[Ask]:
    """Go through what is new in the ledger, and return what the next acts mean that wait although it is known by now whose they are and of
    what, in the order in which they were accepted; nothing where there are none, or while there is more to go through."""
    ends_at = monotonic() + AT_ONCE_S
    while await _notice(connection):
        if monotonic() > ends_at:
            return []
    while (await connection.execute(GONE, [MAX_RELEASED])).rowcount == MAX_RELEASED:
        await connection.commit()
    async with connection.cursor(row_factory=dict_row) as cursor:
        rows = await (await cursor.execute(DUE, [MAX_RELEASED])).fetchall()
    return [_released(**row) for row in rows]


async def _notice(connection: Connection) -> bool:
    """Go through the next events of each partition in one transaction; return whether there were any."""
    places = [Place(*row) for row in await (await connection.execute(NEWS)).fetchall()]
    if not places:
        return False
    untils = {place.partition: min(place.length, place.position + MAX_EVENTS) for place in places}
    asked = [{"partition": each.partition, "since": each.position, "until": untils[each.partition]} for each in places]
    letting: dict[int, list[Letting]] = {place.partition: [] for place in places}
    for partition, *rest in await (await connection.execute(LETTING, [dumps(asked).decode()])).fetchall():
        letting[partition].append(Letting(*rest))
    moved: list[dict[str, Any]] = []
    left = MAX_ACTS
    for place in places:
        after, left = await _walked(connection, replace(place, length=untils[place.partition]), letting[place.partition], left)
        moved.append(
            {"partition": place.partition, "since": place.position, "since_partition": place.after_partition,
             "since_position": place.after_position, "until": after.position, "after_partition": after.after_partition,
             "after_position": after.after_position}
        )  # fmt: skip
    await connection.execute(ARRIVED, {"moved": dumps(moved).decode()})
    await connection.commit()
    return True


async def _walked(connection: Connection, place: Place, letting: Sequence[Letting], left: int) -> tuple[Place, int]:
    """Put aside which acts these events let go, and return where that ended, and how many more acts may be gone through."""
    for event in letting:
        if event.position > place.position:
            place = replace(place, position=event.position, after_partition=-1, after_position=-1)
        if left <= 0:
            return place, 0
        statement = WALK_ALIAS if event.alias is not None else WALK_ITEM if event.item is not None else WALK_ALL
        values = {"alias": event.alias, "item": event.item, "most": left, "after_partition": place.after_partition,
                  "after_position": place.after_position}  # fmt: skip
        rows = await (await connection.execute(statement, values)).fetchall()
        if rows and rows[0][0] == left:
            return replace(place, after_partition=rows[0][1], after_position=rows[0][2]), 0
        left -= rows[0][0] if rows else 0
    return replace(place, position=place.length, after_partition=-1, after_position=-1), left


def _released(correlation: UUID, competency_ids: list[str], kind: str, occurred_at: datetime, **other: Any) -> Ask:
    meant = RecordEvidence(competency_ids=tuple(competency_ids), kind=Kind(kind), occurred_at=occurred_at.astimezone(UTC), **other)
    return Ask(meant, Origin(acceptance(str(meant.evidence_id)), str(correlation)))


def acceptance(act_id: str) -> str:
    """Return the id of the event by which an act was accepted, always the first of its stream."""
    return event_id(f"evidence/act/{act_id}", 1)
