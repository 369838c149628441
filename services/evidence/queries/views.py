"""Acts, waiting, alignments and counts, as clients see them. Nothing here names a person other than by a pseudonymous id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from shared.contracts.evidence import Cause, Format, Kind
from shared.errors import NotFound
from shared.ledger import Connection
from shared.ledger.patience import connected

MAX_CONFLICTS_SHOWN: Final = 16
Reason = Literal["unknown-learner", "unaligned", "before-first-day", "being-released"]
REMEDIES: Final[Mapping[Reason, str]] = {
    "unknown-learner": "import a roster that names this learner, with --person-iri where the sender names people in a form of its own",
    "unaligned": "say what the item gives evidence about: PUT /evidence/alignments",
    "before-first-day": "it happened before the first day of any course: import a roster with the academic session that it belongs to, "
    "or name an earlier day: PUT /evidence/calendar",
    "being-released": "nothing: it is recorded within seconds",
}

REASON: Final = """CASE WHEN l.learner_id IS NULL THEN 'unknown-learner' WHEN i.item_id IS NULL THEN 'unaligned'
    WHEN a.occurred_at < c.begins_at THEN 'before-first-day' ELSE 'being-released' END"""
KNOWN: Final = "FROM act a LEFT JOIN alias l USING (alias) LEFT JOIN alignment i USING (item_id) LEFT JOIN calendar c ON true"
WAITING_ACTS: Final = f"{KNOWN} WHERE a.learner_id IS NULL"
COUNTS: Final = """
    SELECT (SELECT count(*) FROM act WHERE alias IS NOT NULL) AS accepted,
        (SELECT count(*) FROM act WHERE learner_id IS NOT NULL) AS recorded,
        (SELECT count(*) FROM conflict) AS conflicts, (SELECT count(*) FROM alias) AS aliases, (SELECT count(*) FROM alignment) AS items"""
WAITING_COUNTS: Final = f"SELECT {REASON}, count(*) {WAITING_ACTS} GROUP BY 1"
WAITING: Final = f"""
    SELECT a.act_id, a.item_id, a.occurred_at, a.accepted_at, a.partition, a.position, {REASON} AS reason {WAITING_ACTS}
    AND (a.partition, a.position) > (%s, %s) ORDER BY a.partition, a.position LIMIT %s"""
ACT: Final = f"""
    SELECT a.act_id, a.item_id, a.score_e6, a.occurred_at, a.kind, a.format, a.duration_ms, a.accepted_at, a.learner_id, a.competency_ids,
        a.recorded_at, CASE WHEN a.learner_id IS NULL THEN {REASON} END AS reason
    {KNOWN} WHERE a.act_id = %s AND a.alias IS NOT NULL"""
CONFLICTS: Final = """
    SELECT score_e6, occurred_at, item_id, same_person, told_at FROM conflict WHERE act_id = %s ORDER BY version LIMIT %s"""
AMENDMENTS: Final = """
    SELECT void, score_e6, author_id, cause, at FROM amendment WHERE act_id = %s ORDER BY version DESC LIMIT %s"""
OF_LEARNER: Final = """
    SELECT act_id, item_id, competency_ids, act.score_e6, occurred_at, kind, format, duration_ms, recorded_at,
        coalesce(m.void, false) AS void, m.score_e6 AS corrected_e6 FROM act
    LEFT JOIN LATERAL (
        SELECT bool_or(void) AS void, (array_agg(score_e6 ORDER BY version DESC) FILTER (WHERE NOT void))[1] AS score_e6
        FROM amendment WHERE amendment.act_id = act.act_id) m ON true
    WHERE learner_id = %s AND (occurred_at, act_id) < (%s, %s) ORDER BY occurred_at DESC, act_id DESC LIMIT %s"""
ALIGNMENTS: Final = """
    SELECT item_id, iri, competency_ids FROM alignment WHERE iri > %(after)s AND (%(item)s::text IS NULL OR iri = %(item)s)
    ORDER BY iri LIMIT %(limit)s"""


class EvidenceView(BaseModel):
    """One piece of a learner's evidence."""

    act_id: UUID
    item_id: UUID
    competency_ids: list[str]
    score_e6: int = Field(description="Share of the possible score as it was told, in millionths.")
    corrected_e6: int | None = Field(default=None, description="The score that it counts with since it was corrected; else null.")
    void: bool = Field(default=False, description="Whether it counts for nothing.")
    occurred_at: datetime
    kind: Kind
    format: Format | None = None
    duration_ms: int | None = None
    recorded_at: datetime


class ConflictView(BaseModel):
    """A later telling of the act that disagrees with the first."""

    score_e6: int
    occurred_at: datetime
    item_id: UUID
    same_person: bool
    told_at: datetime


class AmendmentView(BaseModel):
    """A correction or a void, with its author and cause."""

    void: bool
    score_e6: int | None = None
    author_id: UUID
    cause: Cause
    at: datetime


class ActView(BaseModel):
    """What has become of an act that a client was told is kept."""

    act_id: UUID
    status: Literal["recorded", "waiting"]
    reason: Reason | None = Field(default=None, description="Why it waits.")
    remedy: str | None = Field(default=None, description="What lets it go.")
    item_id: UUID
    score_e6: int
    occurred_at: datetime
    kind: Kind
    format: Format
    duration_ms: int | None = None
    accepted_at: datetime
    learner_id: UUID | None = None
    competency_ids: list[str] = []
    recorded_at: datetime | None = None
    conflicts: list[ConflictView] = []
    amendments: list[AmendmentView] = Field(default=[], description="The latest first, at most 16.")


class WaitingView(BaseModel):
    """An act that waits, and for what."""

    act_id: UUID
    item_id: UUID
    reason: Reason
    remedy: str = Field(description="What lets it go.")
    occurred_at: datetime
    accepted_at: datetime


class Counts(BaseModel):
    """How many acts there are in each state. Always: accepted = recorded + the sum of waiting."""

    accepted: int
    recorded: int
    waiting: dict[Reason, int]
    conflicts: int
    aliases: int = Field(description="Names of learners that are known.")
    items: int = Field(description="Items that are aligned.")


class AlignmentView(BaseModel):
    """What an item gives evidence about."""

    item_id: UUID
    iri: str
    competency_ids: list[str]


@dataclass(frozen=True)
class Queries:
    """Reads the tables of evidence. Lists are read with one row more than wanted, which tells that more follows."""

    pool: AsyncConnectionPool[Any]

    async def counts(self) -> Counts:
        """Return how many acts are in each state, as of one instant."""
        async with connected(self.pool) as connection, connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            waiting: dict[Any, int] = dict(await (await connection.execute(WAITING_COUNTS)).fetchall())
            async with connection.cursor(row_factory=dict_row) as cursor:
                rows = await (await cursor.execute(COUNTS)).fetchall()
        return Counts(waiting={reason: waiting.get(reason, 0) for reason in get_args(Reason)}, **rows[0])

    async def act(self, act_id: UUID) -> ActView:
        """Return what has become of an act.

        Raises:
            NotFound: no such act was ever told.
        """
        rows = await self._rows(ACT, [act_id])
        if not rows:
            raise NotFound("no act with this id was told")
        known = {name: value for name, value in rows[0].items() if value is not None}
        conflicts = await self._rows(CONFLICTS, [act_id, MAX_CONFLICTS_SHOWN])
        amended = [AmendmentView(**row) for row in await self._rows(AMENDMENTS, [act_id, MAX_CONFLICTS_SHOWN])]
        known |= {"remedy": REMEDIES[known["reason"]]} if "reason" in known else {}
        status = "recorded" if rows[0]["learner_id"] else "waiting"
        return ActView(status=status, conflicts=[ConflictView(**row) for row in conflicts], amendments=amended, **known)  # type: ignore[arg-type]  # Columns.

    async def evidence_of(self, learner_id: UUID, before: tuple[datetime, UUID], limit: int) -> Sequence[Mapping[str, Any]]:
        """Return a learner's evidence before this instant and id, the newest first."""
        return await self._rows(OF_LEARNER, [learner_id, *before, limit + 1])

    async def waiting(self, after: tuple[int, int], limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the acts that wait behind this partition and position."""
        return [{**row, "remedy": REMEDIES[row["reason"]]} for row in await self._rows(WAITING, [*after, limit + 1])]

    async def first_day(self) -> date | None:
        """Return the first day of any course; None where nobody told of one yet."""
        rows = await self._rows("SELECT first_day FROM calendar", [])
        return rows[0]["first_day"] if rows else None

    async def alignments(self, item: str | None, after: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return alignments by the IRI of the item, behind this one; or that of one item."""
        return await self._rows(ALIGNMENTS, {"item": item, "after": after, "limit": limit + 1})

    async def _rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        async with connected(self.pool) as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows: list[dict[str, Any]] = await (await cursor.execute(statement, values)).fetchall()
            return rows


async def waiting_now(connection: Connection) -> int:
    """Return how many accepted acts are not recorded yet."""
    return sum(count for _, count in await (await connection.execute(WAITING_COUNTS)).fetchall())
