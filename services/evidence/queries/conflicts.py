"""Acts that were told differently, and what is to be done about them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from services.evidence.queries.views import ITEM_REMEDY, PERSON_REMEDY, SCORE_REMEDY, DisputeView
from shared.contracts.evidence import Format
from shared.ledger.tables import Tables
from shared.ledger.types import Row

CONFLICTS: Final = """
    SELECT c.act_id, c.version, a.learner_id, a.item_id, a.score_e6, a.occurred_at, a.format,
        coalesce((SELECT score_e6 FROM amendment WHERE act_id = c.act_id AND NOT void ORDER BY version DESC LIMIT 1), a.score_e6)
            AS counts_e6,
        c.score_e6 AS other_score_e6, c.occurred_at AS other_occurred_at, c.item_id AS other_item_id, c.same_person, c.told_at,
        told.data ->> 'format' AS other_format, told.data ->> 'telling_id' AS other_telling_id
    FROM conflict c JOIN act a USING (act_id)
    CROSS JOIN LATERAL (
        SELECT convert_from(bytes, 'UTF8')::jsonb -> 'data' -> 'told' AS data FROM event
        WHERE stream = 'evidence/act/' || c.act_id AND version = c.version LIMIT 1) told
    WHERE (c.act_id, c.version) > (%(act)s, %(version)s)
        AND NOT EXISTS (
            SELECT FROM amendment m WHERE m.act_id = c.act_id AND (m.void OR m.at >= c.told_at)
            AND (m.cause <> 'regraded' OR (c.same_person AND c.item_id = a.item_id)))
    ORDER BY c.act_id, c.version LIMIT %(most)s"""


async def conflicts(tables: Tables, after: tuple[UUID, int], most: int) -> list[Row]:
    """Return conflicts behind this act and version, in that order; the version is no part of what is shown."""
    return await tables.rows(CONFLICTS, {"act": after[0], "version": after[1], "most": most})  # type: ignore[return-value]


def shown(row: Row) -> DisputeView:
    """Return a conflict with what to do about it."""
    told: dict[str, Any] = {"other_format": Format.CALIPER, **{name: value for name, value in row.items() if value is not None}}
    remedy = PERSON_REMEDY if not row["same_person"] else SCORE_REMEDY if row["item_id"] == row["other_item_id"] else ITEM_REMEDY
    optional = {"learner_id": row["learner_id"], "other_telling_id": row["other_telling_id"]}
    return DisputeView(**told | optional, remedy=remedy.format(act_id=row["act_id"]))
