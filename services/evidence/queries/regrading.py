"""From grades to corrections: behind an act that is told again, or released, stands what its tellings come to by now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from services.evidence.amending import AmendEvidence
from services.evidence.domain import AcceptEvidence, RecordEvidence
from services.evidence.grading import Telling, began_at, compare, latest, regrade, tellings_in
from services.evidence.queries import waiting
from services.evidence.queries.releasing import OWNER
from shared.contracts.envelope import Origin, event_id
from shared.contracts.evidence import EvidenceAccepted
from shared.ledger import Ask, Connection
from shared.ledger.columns import Texts
from shared.ledger.store import decoded

TELLINGS: Final = """
    SELECT wanted.id, told.bytes FROM unnest(%s) AS wanted(id)
    CROSS JOIN LATERAL (
        SELECT version, bytes FROM event WHERE stream = 'evidence/act/' || wanted.id AND type <> 'evidence.conflicted.v1') told
    ORDER BY wanted.id, told.version"""
LEARNERS: Final = f"""
    SELECT wanted.id, found.learner_id FROM unnest(%s) AS wanted(id)
    CROSS JOIN LATERAL (
        SELECT coalesce(a.learner_id, {OWNER}) AS learner_id FROM act a LEFT JOIN alias l USING (alias)
        WHERE a.act_id = wanted.id::uuid LIMIT 1) found
    WHERE found.learner_id IS NOT NULL"""  # noqa: S608 - our own words


async def expand(connection: Connection, asks: Sequence[Ask]) -> list[Ask]:
    """Return what `waiting.expand` does, and behind each telling that is a further grade the correction that follows from it, where it is
    known whose work it is; behind evidence that is released, what its act was graded while it waited.

    A correction is asked for even where the act waits: then it comes to nothing, but its learner's partition is locked, so that whoever
    releases the act finds the grade.
    """
    expanded = await waiting.expand(connection, asks)
    told = Counter(ask.stream.id for ask in expanded if isinstance(ask.command, AcceptEvidence))
    learners = {str(ask.command.evidence_id): ask.command.learner_id for ask in expanded if isinstance(ask.command, RecordEvidence)}
    kept = {id for id in told if id not in learners}
    tellings = await _tellings(connection, kept | (learners.keys() - told.keys()))
    if not tellings and all(count == 1 for count in told.values()):
        return expanded
    learners |= await _learners(connection, kept & tellings.keys())
    result: list[Ask] = []
    for ask in expanded:
        result.append(ask)
        match ask.command:
            case AcceptEvidence(told=act):
                id = ask.stream.id
                if _moves(act, tellings.setdefault(id, [])) and id in learners:
                    result.append(_regraded(tellings[id], learners[id], ask))
            case RecordEvidence(evidence_id=evidence_id, learner_id=learner_id):
                graded = tellings.get(str(evidence_id), [])
                if len(graded) > 1:
                    result.append(_regraded(graded, learner_id, ask))
            case _:
                pass
    return result


def _moves(act: EvidenceAccepted, tellings: list[EvidenceAccepted]) -> bool:
    """Keep a telling among those of its act; return whether by it another score counts, or another time."""
    if not tellings:
        tellings.append(act)
        return False
    if compare(act, tellings) is not Telling.FURTHER:
        return False
    before = latest(tellings).score_e6, began_at(tellings)
    tellings.append(act)
    return (latest(tellings).score_e6, began_at(tellings)) != before


def _regraded(tellings: Sequence[EvidenceAccepted], learner_id: UUID, ask: Ask) -> Ask:
    accepted = event_id(f"evidence/act/{tellings[0].act_id}", 1)
    return Ask(AmendEvidence(regrade(tellings, learner_id)), Origin(accepted, ask.origin.correlation), ask.record)


async def _tellings(connection: Connection, ids: Collection[str]) -> dict[str, list[EvidenceAccepted]]:
    """Return the tellings of these acts that agree with one another; acts that nobody told of are left out."""
    found: dict[str, list[EvidenceAccepted]] = {}
    for id, raw in await (await connection.execute(TELLINGS, [Texts(list(ids))])).fetchall() if ids else []:
        found.setdefault(id, []).extend(tellings_in([decoded(bytes(raw))]))
    return found


async def _learners(connection: Connection, ids: Collection[str]) -> dict[str, UUID]:
    """Return whose work these acts are, recorded or not; those of nobody known are left out."""
    rows = await (await connection.execute(LEARNERS, [Texts(list(ids))])).fetchall() if ids else []
    return dict(rows)
