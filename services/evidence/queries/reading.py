"""Reads the tables of evidence. Nothing here names a person other than by a pseudonymous id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, get_args
from uuid import UUID

from psycopg.rows import dict_row

from services.evidence.queries.views import REMEDIES, ActView, AlignmentView, AmendmentView, ConflictView, Counts, EvidenceView, Reason
from shared.errors import NotFound
from shared.ledger import Connection
from shared.ledger.patience import connected
from shared.ledger.tables import Tables
from shared.ledger.types import Row

MAX_CONFLICTS_SHOWN: Final = 16
MAX_COUNTED: Final = 1_000_000
"""Waiting acts that are counted one by one for why they wait; of more, a sample is."""
SAMPLE: Final = 200_000
"""Acts of a sample, waiting and recorded."""

REASON: Final = """CASE WHEN l.learner_id IS NULL THEN 'unknown-learner' WHEN i.item_id IS NULL THEN 'unaligned'
    WHEN c.begins_at IS NULL THEN 'no-first-day' WHEN a.occurred_at < c.begins_at THEN 'before-first-day' ELSE 'being-released' END"""
KNOWN: Final = "FROM act a LEFT JOIN alias l USING (alias) LEFT JOIN alignment i USING (item_id) LEFT JOIN calendar c ON true"
WAITING_ACTS: Final = f"{KNOWN} WHERE a.learner_id IS NULL"
TOTALS: Final = """
    SELECT sum(n.accepted + e.accepted)::bigint AS accepted, sum(n.recorded + e.recorded)::bigint AS recorded,
        sum(n.conflicts + e.conflicts)::bigint AS conflicts
    FROM noticed n CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE type = 'evidence.accepted.v1') AS accepted,
            count(*) FILTER (WHERE type = 'evidence.recorded.v1') AS recorded,
            count(*) FILTER (WHERE type = 'evidence.conflicted.v1') AS conflicts
        FROM event WHERE partition = n.partition AND position >= n.position) e"""
"""What was counted when the ledger was gone through, and what came since."""
COUNTS: Final = f"""
    SELECT t.*, (SELECT count(*) FROM alias) AS aliases, (SELECT count(*) FROM alignment) AS items FROM ({TOTALS}) t"""  # noqa: S608 - our own words
WAITING_COUNTS: Final = f"SELECT {REASON}, count(*) {WAITING_ACTS} GROUP BY 1"
WAITING_SAMPLE: Final = WAITING_COUNTS.replace("FROM act a", "FROM act a TABLESAMPLE SYSTEM (%s)")
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
KEPT_AMENDMENT: Final = """
    SELECT (convert_from(e.bytes, 'UTF8')::jsonb ->> 'id')::uuid AS id FROM amendment a
    JOIN event e ON e.stream = 'evidence/learner/' || %s::uuid AND e.version = a.version
    WHERE a.act_id = %s AND a.void = %s ORDER BY a.version DESC LIMIT 1"""
OF_LEARNER: Final = """
    SELECT act_id, item_id, competency_ids, act.score_e6, occurred_at, kind, format, duration_ms, recorded_at,
        coalesce(m.void, false) AS void, m.score_e6 AS corrected_e6 FROM act
    LEFT JOIN LATERAL (
        SELECT bool_or(void) AS void, (array_agg(score_e6 ORDER BY version DESC) FILTER (WHERE NOT void))[1] AS score_e6
        FROM amendment WHERE amendment.act_id = act.act_id) m ON true
    WHERE learner_id = %s AND (occurred_at, act_id) < (%s, %s) ORDER BY occurred_at DESC, act_id DESC LIMIT %s"""
HEARD: Final = """
    SELECT 1 AS heard FROM act WHERE learner_id = %(learner)s UNION ALL SELECT 1 FROM alias WHERE learner_id = %(learner)s LIMIT 1"""
ALIGNMENTS: Final = """
    SELECT item_id, iri, competency_ids FROM alignment WHERE iri > %(after)s AND (%(item)s::text IS NULL OR iri = %(item)s)
    ORDER BY iri LIMIT %(most)s"""


class Queries(Tables):
    """Answers from the read tables of evidence."""

    async def counts(self) -> Counts:
        """Return how many acts are in each state, as of one instant."""
        async with connected(self._pool) as connection, connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            async with connection.cursor(row_factory=dict_row) as cursor:
                (known,) = await (await cursor.execute(COUNTS)).fetchall()
            waits, found = known["accepted"] - known["recorded"], dict[Any, int]()
            if waits > MAX_COUNTED:
                sample = await connection.execute(WAITING_SAMPLE, [min(100.0, 100.0 * SAMPLE / known["accepted"])])
                found = shared_out(waits, dict(await sample.fetchall()))
            exact = not found
            if exact:
                found = dict(await (await connection.execute(WAITING_COUNTS)).fetchall())
        return Counts(waiting={reason: found.get(reason, 0) for reason in get_args(Reason)}, exact=exact, **known)

    async def act(self, act_id: UUID) -> ActView:
        """Return what has become of an act.

        Raises:
            NotFound: no such act was ever told.
        """
        row = await self.row(ACT, [act_id])
        if row is None:
            raise NotFound("no act with this id was told")
        known = {name: value for name, value in row.items() if value is not None}
        conflicts = await self.all(ConflictView, CONFLICTS, [act_id, MAX_CONFLICTS_SHOWN])
        amended = await self.all(AmendmentView, AMENDMENTS, [act_id, MAX_CONFLICTS_SHOWN])
        known |= {"remedy": REMEDIES[known["reason"]]} if "reason" in known else {}
        return ActView(status="recorded" if row["learner_id"] else "waiting", conflicts=conflicts, amendments=amended, **known)

    async def amendment(self, act_id: UUID, learner_id: UUID, void: bool) -> UUID | None:
        """Return the event that voids an act of this learner, or the last one that corrects it; None where there is none."""
        row = await self.row(KEPT_AMENDMENT, [learner_id, act_id, void])
        return row["id"] if row else None

    async def evidence_of(self, learner_id: UUID, before: tuple[datetime, UUID], most: int) -> list[EvidenceView]:
        """Return a learner's evidence from before this instant and id, the newest first."""
        return await self.all(EvidenceView, OF_LEARNER, [learner_id, *before, most])

    async def has_heard_of(self, learner_id: UUID) -> bool:
        """Return whether a learner has evidence, or is known by an alias. Looks through all aliases where she has none."""
        return await self.row(HEARD, {"learner": learner_id}) is not None

    async def waiting(self, after: tuple[int, int], most: int) -> Sequence[Row]:
        """Return the acts that wait behind this partition and position, which are no part of what is shown."""
        return [{**row, "remedy": REMEDIES[row["reason"]]} for row in await self.rows(WAITING, [*after, most])]

    async def first_day(self) -> date | None:
        """Return the first day of any course; None where nobody told of one yet."""
        row = await self.row("SELECT first_day FROM calendar")
        return row["first_day"] if row else None

    async def alignments(self, item: str | None, after: str, most: int) -> list[AlignmentView]:
        """Return alignments by the IRI of the item, behind this one; or that of one item."""
        return await self.all(AlignmentView, ALIGNMENTS, {"item": item, "after": after, "most": most})


def shared_out(total: int, counted: Mapping[str, int]) -> dict[str, int]:
    """Return the total in the proportions that were counted; nothing where nothing was.

    >>> shared_out(1_000, {"unaligned": 2, "unknown-learner": 1})
    {'unaligned': 667, 'unknown-learner': 333}
    """
    whole = sum(counted.values())
    shares = {name: total * count // whole for name, count in counted.items()}
    if shares:
        shares[max(shares, key=lambda name: shares[name])] += total - sum(shares.values())
    return shares


async def waiting_now(connection: Connection) -> int:
    """Return how many accepted acts are not recorded yet."""
    ((accepted, recorded, _),) = await (await connection.execute(TOTALS)).fetchall()
    return int(accepted - recorded)


async def notes_now(connection: Connection) -> list[str]:
    """Return that acts wait until somebody tells when courses began, and what to do, where that is so."""
    if await (await connection.execute("SELECT FROM calendar")).fetchone() is not None:
        return []
    waits = await waiting_now(connection)
    return [f"evidence waits ({waits} acts now): {REMEDIES['no-first-day']}"] if waits else []
