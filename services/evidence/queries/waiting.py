"""From told to meant: what decides, under the partition's lock, whether an act is recorded at once or waits; and what releases it later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from orjson import dumps
from psycopg.rows import dict_row

from services.evidence.domain import AcceptEvidence, RecordEvidence
from shared.contracts.envelope import Origin, event_id
from shared.contracts.evidence import Kind
from shared.ledger import Ask, Connection
from shared.ledger.columns import Texts

MAX_RELEASED: Final = 500
"""Acts released in one transaction."""
MAX_NEWS: Final = 2_000
"""Events of a partition that are looked through, before everything that waits is."""

# Each id is looked up by itself: planned as a join, or with `= ANY`, the tables may be read whole, or each id is weighed by the planner,
# which costs more than the query.
KEPT: Final = """
    SELECT wanted.id, found.alias FROM unnest(%s) AS wanted(id)
    CROSS JOIN LATERAL (SELECT alias FROM act WHERE act_id = wanted.id::uuid AND alias IS NOT NULL LIMIT 1) found"""
LEARNERS: Final = """
    SELECT wanted.alias, (
        SELECT l.learner_id FROM alias l WHERE l.alias = wanted.alias AND (
            SELECT 1 FROM act w JOIN alignment i USING (item_id) WHERE w.alias = l.alias AND w.learner_id IS NULL
                AND (c.begins_at IS NULL OR w.occurred_at >= c.begins_at) LIMIT 1) IS NULL), c.begins_at
    FROM unnest(%s) AS wanted(alias) LEFT JOIN calendar c ON true"""
COMPETENCIES: Final = """
    SELECT wanted.id, found.competency_ids FROM unnest(%s) AS wanted(id)
    CROSS JOIN LATERAL (SELECT competency_ids FROM alignment WHERE item_id = wanted.id::uuid LIMIT 1) found"""
LENGTHS: Final = "SELECT id, length FROM partition"
NEWS: Final = """
    WITH news AS MATERIALIZED (
        SELECT CASE WHEN e.type = 'evidence.alias-noted.v1' THEN split_part(e.stream, '/', 3) END AS alias,
            CASE WHEN e.type = 'evidence.item-aligned.v1' THEN split_part(e.stream, '/', 3)::uuid END AS item_id,
            CASE WHEN e.type = 'evidence.accepted.v1' THEN split_part(e.stream, '/', 3)::uuid END AS act_id,
            e.type = 'evidence.calendar-noted.v1' AS calendar
        FROM jsonb_to_recordset(%(since)s) AS r(partition integer, position bigint), LATERAL (
            SELECT type, stream FROM event WHERE partition = r.partition AND position >= r.position ORDER BY position LIMIT %(most)s) e
    ), touched AS (
        SELECT a.alias, a.item_id, a.occurred_at FROM news n JOIN act a ON a.alias = n.alias WHERE a.learner_id IS NULL
        UNION ALL SELECT a.alias, a.item_id, a.occurred_at FROM news n JOIN act a ON a.item_id = n.item_id WHERE a.learner_id IS NULL
        UNION ALL SELECT a.alias, a.item_id, a.occurred_at FROM news n JOIN act a ON a.act_id = n.act_id WHERE a.learner_id IS NULL
    )
    SELECT EXISTS (SELECT FROM news WHERE calendar) OR EXISTS (
        SELECT FROM touched t JOIN alias USING (alias) JOIN alignment USING (item_id) LEFT JOIN calendar c ON true
        WHERE c.begins_at IS NULL OR t.occurred_at >= c.begins_at)"""
# An alias that passed on: an act is of whom it was of when the act was accepted, in the same partition; or of the first whose it was.
OWNER: Final = """
    CASE WHEN l.version = 1 THEN l.learner_id ELSE coalesce((
        SELECT (convert_from(e.bytes, 'UTF8')::jsonb #>> '{data,learner_id}')::uuid FROM event e
        WHERE e.stream = 'evidence/alias/' || a.alias AND (e.version = 1 OR e.position < a.position) ORDER BY e.version DESC LIMIT 1
    ), l.learner_id) END"""
DUE: Final = f"""
    SELECT a.correlation, a.act_id AS evidence_id, {OWNER} AS learner_id, a.item_id, i.competency_ids, a.score_e6,
        a.occurred_at, a.kind, a.duration_ms
    FROM act a JOIN alias l USING (alias) JOIN alignment i USING (item_id) LEFT JOIN calendar c ON true
    WHERE a.learner_id IS NULL AND (c.begins_at IS NULL OR a.occurred_at >= c.begins_at) ORDER BY a.partition, a.position LIMIT %s"""  # noqa: S608 - our own words


async def expand(connection: Connection, asks: Sequence[Ask]) -> list[Ask]:
    """Return the asks, each act under the alias it was first told with; and behind each new act what it means, where that is known.

    It is not yet known where the alias is no learner, the item has no alignment, or earlier acts of the alias are still to be released;
    nor is it where the act happened before any course began, as far as rosters and people say. Then it waits, and `Releases` finds it.
    """
    told = [ask.command for ask in asks if isinstance(ask.command, AcceptEvidence)]
    if not told:
        return list(asks)
    kept: dict[str, str] = await _pairs(connection, KEPT, {command.stream.id for command in told})
    fresh = [command.told for command in told if command.stream.id not in kept]
    learners, begins_at = await _learners(connection, {act.alias for act in fresh})
    items = {act.item_id: str(act.item_id) for act in fresh}
    aligned = await _pairs(connection, COMPETENCIES, set(items.values()))
    competencies: dict[UUID, tuple[str, ...]] = {item: tuple(aligned[id]) for item, id in items.items() if id in aligned}
    result: list[Ask] = []
    for ask in asks:
        if not isinstance(ask.command, AcceptEvidence):
            result.append(ask)
            continue
        act, id = ask.command.told, ask.stream.id
        if id in kept:
            result.append(replace(ask, command=AcceptEvidence(act, kept[id])))
            continue
        kept[id] = act.alias
        result.append(ask)
        learner, competency_ids = learners.get(act.alias), competencies.get(act.item_id)
        if learner is not None and competency_ids is not None and (begins_at is None or act.occurred_at >= begins_at):
            meant = RecordEvidence(
                act.act_id, learner, act.item_id, competency_ids, act.score_e6, act.occurred_at, act.kind, act.duration_ms
            )  # fmt: skip
            result.append(Ask(meant, Origin(_acceptance(id), ask.origin.correlation), ask.record))
    return result


class Releases:
    """Finds acts that wait although their learner and competencies are known by now, in the order in which they were accepted.

    Everything that waits is walked through only after an event that lets an act go; many may wait for long.
    """

    def __init__(self) -> None:
        self._settled: dict[int, int] | None = None
        """Lengths of the partitions before the last walk that found nothing; None: walk, whatever happened."""

    async def due(self, connection: Connection, now: str) -> list[Ask]:
        """Return what the next waiting acts mean; nothing where none can be released."""
        lengths: dict[int, int] = dict(await (await connection.execute(LENGTHS)).fetchall())
        if self._settled is not None and not await _news(connection, self._settled, lengths):
            self._settled = lengths
            return []
        async with connection.cursor(row_factory=dict_row) as cursor:
            rows = await (await cursor.execute(DUE, [MAX_RELEASED])).fetchall()
        self._settled = None if rows else lengths  # What was found may still fail to be recorded: look again.
        return [_released(**row) for row in rows]


async def _news(connection: Connection, since: Mapping[int, int], lengths: Mapping[int, int]) -> bool:
    """Return whether an event after these lengths lets an act go, or so much happened that it is quicker to walk."""
    moved = [{"partition": number, "position": since[number]} for number in since if lengths[number] > since[number]]
    if any(lengths[number] - since[number] > MAX_NEWS for number in since):
        return True
    rows = await (await connection.execute(NEWS, {"since": dumps(moved).decode(), "most": MAX_NEWS})).fetchall() if moved else [[False]]
    return bool(rows[0][0])


async def _learners(connection: Connection, aliases: Collection[str]) -> tuple[dict[str, UUID], datetime | None]:
    """Return the learners of these aliases, those unknown or with acts to be released left out; and from when on acts are of a course."""
    rows = await (await connection.execute(LEARNERS, [Texts(list(aliases))])).fetchall() if aliases else []
    return {alias: learner for alias, learner, _ in rows if learner is not None}, rows[0][2] if rows else None


async def _pairs(connection: Connection, query: str, keys: Collection[str]) -> dict[Any, Any]:
    """Return what a query finds for these keys, those without it left out."""
    rows = await (await connection.execute(query, [Texts(list(keys))])).fetchall() if keys else []
    return {key: value for key, value in rows if value is not None}


def _released(correlation: UUID, competency_ids: list[str], kind: str, **other: Any) -> Ask:
    meant = RecordEvidence(competency_ids=tuple(competency_ids), kind=Kind(kind), **other)
    return Ask(meant, Origin(_acceptance(str(meant.evidence_id)), str(correlation)))


def _acceptance(act_id: str) -> str:
    """Return the id of the event by which the act was accepted, always the first of its stream."""
    return event_id(f"evidence/act/{act_id}", 1)
