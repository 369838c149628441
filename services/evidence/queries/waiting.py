"""From told to meant: what decides, under the partition's lock, whether an act is recorded at once or waits. `releasing` finds it later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.evidence.domain import AcceptEvidence, RecordEvidence
from services.evidence.queries.releasing import acceptance
from shared.contracts.envelope import Origin
from shared.ledger import Ask, Connection
from shared.ledger.columns import Texts

# Each id is looked up by itself: planned as a join, or with `= ANY`, the tables may be read whole, or each id is weighed by the planner,
# which costs more than the query.
KEPT: Final = """
    SELECT wanted.id, found.alias FROM unnest(%s) AS wanted(id)
    CROSS JOIN LATERAL (SELECT alias FROM act WHERE act_id = wanted.id::uuid AND alias IS NOT NULL LIMIT 1) found"""
LEARNERS: Final = """
    SELECT wanted.alias, (
        SELECT l.learner_id FROM alias l WHERE l.alias = wanted.alias
        AND (SELECT 1 FROM due_act d WHERE d.alias = l.alias LIMIT 1) IS NULL
        AND (NOT (
            (SELECT 1 FROM noticed n, LATERAL (SELECT FROM alignment WHERE partition = n.partition AND position >= n.position LIMIT 1) i
                LIMIT 1) IS NOT NULL
            OR (SELECT 1 FROM noticed n WHERE n.partition = c.partition AND n.position <= c.position) IS NOT NULL
            OR (SELECT 1 FROM noticed n WHERE n.partition = l.partition AND n.position <= l.position) IS NOT NULL
        ) OR (SELECT 1 FROM act w WHERE w.alias = l.alias AND w.learner_id IS NULL LIMIT 1) IS NULL)), c.begins_at
    FROM unnest(%s) AS wanted(alias) LEFT JOIN calendar c ON true"""
"""Of an alias whose acts are being released, or are still to be looked at since something was noted, there is no learner yet."""
COMPETENCIES: Final = """
    SELECT wanted.id, found.competency_ids FROM unnest(%s) AS wanted(id)
    CROSS JOIN LATERAL (SELECT competency_ids FROM alignment WHERE item_id = wanted.id::uuid LIMIT 1) found"""


async def expand(connection: Connection, asks: Sequence[Ask]) -> list[Ask]:
    """Return the asks, each act under the alias it was first told with; and behind each new act what it means, where that is known.

    It is not yet known where the alias is no learner, the item has no alignment, or earlier acts of the alias are still to be released;
    nor is it where the act happened before any course began, as far as rosters and people say, or while none of them has said when one did.
    Then it waits, and `releasing.due` finds it.
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
        if learner is not None and competency_ids is not None and begins_at is not None and act.occurred_at >= begins_at:
            meant = RecordEvidence(
                act.act_id, learner, act.item_id, competency_ids, act.score_e6, act.occurred_at, act.kind, act.duration_ms
            )  # fmt: skip
            result.append(Ask(meant, Origin(acceptance(id), ask.origin.correlation), ask.record))
    return result


async def _learners(connection: Connection, aliases: Collection[str]) -> tuple[dict[str, UUID], datetime | None]:
    """Return the learners of these aliases, those unknown or with acts to be released left out; and from when on acts are of a course."""
    rows = await (await connection.execute(LEARNERS, [Texts(list(aliases))])).fetchall() if aliases else []
    return {alias: learner for alias, learner, _ in rows if learner is not None}, rows[0][2] if rows else None


async def _pairs(connection: Connection, query: str, keys: Collection[str]) -> dict[Any, Any]:
    """Return what a query finds for these keys, those without it left out."""
    rows = await (await connection.execute(query, [Texts(list(keys))])).fetchall() if keys else []
    return {key: value for key, value in rows if value is not None}
