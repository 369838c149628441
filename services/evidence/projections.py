"""Events of evidence as rows: acts as told and as meant, conflicts, aliases, alignments, the calendar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from services.evidence.calendar import begins_at
from shared.contracts.envelope import Recorded
from shared.contracts.evidence import (
    AliasNoted,
    CalendarNoted,
    EvidenceAccepted,
    EvidenceConflicted,
    EvidenceRecorded,
    EvidenceRescored,
    EvidenceVoided,
    ItemAligned,
)
from shared.ledger import Projection, Row
from shared.ledger.columns import Instants, Integers, Json, Numbers, Texts, Uuids

ACT_COLUMNS: Final = {
    "act_id": Uuids, "alias": Texts, "item_id": Uuids, "score_e6": Integers, "occurred_at": Instants, "kind": Texts, "format": Texts,
    "duration_ms": Numbers, "partition": Integers, "position": Numbers, "accepted_at": Instants, "correlation": Uuids,
    "learner_id": Uuids, "competency_ids": Json, "recorded_at": Instants,
}  # fmt: skip
ACT: Final = f"""
    INSERT INTO act ({", ".join(ACT_COLUMNS)}) SELECT * FROM unnest({", ".join(f"%({name})s" for name in ACT_COLUMNS)})
    ON CONFLICT (act_id) DO UPDATE SET
        alias = coalesce(act.alias, excluded.alias), item_id = coalesce(act.item_id, excluded.item_id),
        score_e6 = coalesce(act.score_e6, excluded.score_e6), occurred_at = coalesce(act.occurred_at, excluded.occurred_at),
        kind = coalesce(act.kind, excluded.kind), format = coalesce(act.format, excluded.format),
        duration_ms = coalesce(act.duration_ms, excluded.duration_ms), partition = coalesce(act.partition, excluded.partition),
        position = coalesce(act.position, excluded.position), accepted_at = coalesce(act.accepted_at, excluded.accepted_at),
        correlation = coalesce(act.correlation, excluded.correlation), learner_id = coalesce(act.learner_id, excluded.learner_id),
        competency_ids = coalesce(act.competency_ids, excluded.competency_ids),
        recorded_at = coalesce(act.recorded_at, excluded.recorded_at)
    WHERE act.alias IS NULL OR act.learner_id IS NULL
"""  # noqa: S608 - our own names
CONFLICT: Final = """
    INSERT INTO conflict (act_id, version, score_e6, occurred_at, item_id, same_person, told_at)
    SELECT act_id, version, score_e6, occurred_at, item_id, same_person, told_at FROM jsonb_to_recordset(%(rows)s) AS new(
        act_id uuid, version bigint, score_e6 integer, occurred_at timestamptz, item_id uuid, same_person boolean, told_at timestamptz)
    ON CONFLICT (act_id, version) DO NOTHING
"""
ALIAS: Final = """
    INSERT INTO alias (alias, learner_id, version, partition, position)
    SELECT alias, learner_id, version, partition, position FROM jsonb_to_recordset(%(rows)s) AS new(
        alias text, learner_id uuid, version bigint, partition integer, position bigint)
    ON CONFLICT (alias) DO UPDATE SET learner_id = excluded.learner_id, version = excluded.version, partition = excluded.partition,
        position = excluded.position
    WHERE alias.version < excluded.version
"""
ALIGNMENT: Final = """
    INSERT INTO alignment (item_id, iri, competency_ids, version, partition, position)
    SELECT item_id, iri, competency_ids, version, partition, position FROM jsonb_to_recordset(%(rows)s) AS new(
        item_id uuid, iri text, competency_ids jsonb, version bigint, partition integer, position bigint)
    ON CONFLICT (item_id) DO UPDATE SET competency_ids = excluded.competency_ids, version = excluded.version,
        partition = excluded.partition, position = excluded.position
    WHERE alignment.version < excluded.version
"""


def act_rows(event: Recorded[Any]) -> Iterable[Row]:
    """Return the half of an act's row that the event tells. Either half is told once, so neither needs a version."""
    match event.data:
        case EvidenceAccepted() as told:
            return [{
                "act_id": told.act_id, "alias": told.alias, "item_id": told.item_id, "score_e6": told.score_e6,
                "occurred_at": told.occurred_at, "kind": told.kind, "format": told.format, "duration_ms": told.duration_ms,
                "partition": event.partition, "position": event.position, "accepted_at": event.time,
                "correlation": event.correlation,
            }]  # fmt: skip
        case EvidenceRecorded() as meant:
            return [{
                "act_id": meant.evidence_id, "learner_id": meant.learner_id, "competency_ids": meant.competency_ids,
                "recorded_at": event.time,
            }]  # fmt: skip
        case _:
            return []


def conflict_rows(event: Recorded[Any]) -> Iterable[Row]:
    """Return a row for each telling that disagrees with the first."""
    match event.data:
        case EvidenceConflicted(told=told):
            return [{
                "act_id": told.act_id, "version": event.version, "score_e6": told.score_e6, "occurred_at": told.occurred_at,
                "item_id": told.item_id, "same_person": event.data.alias is None, "told_at": event.time,
            }]  # fmt: skip
        case _:
            return []


AMENDMENT: Final = """
    INSERT INTO amendment (act_id, version, void, score_e6, author_id, cause, at)
    SELECT act_id, version, void, score_e6, author_id, cause, at FROM jsonb_to_recordset(%(rows)s) AS new(
        act_id uuid, version bigint, void boolean, score_e6 integer, author_id uuid, cause text, at timestamptz)
    ON CONFLICT (act_id, version) DO NOTHING
"""


def amendment_rows(event: Recorded[Any]) -> Iterable[Row]:
    """Return a row for each correction or void."""
    match event.data:
        case EvidenceRescored() | EvidenceVoided() as told:
            return [{
                "act_id": told.evidence_id, "version": event.version, "void": isinstance(told, EvidenceVoided),
                "score_e6": told.score_e6 if isinstance(told, EvidenceRescored) else None, "author_id": told.author_id,
                "cause": told.cause, "at": told.at,
            }]  # fmt: skip
        case _:
            return []


def _place(event: Recorded[Any]) -> dict[str, Any]:
    """Return the version of what is noted, and where in the ledger that was: what is behind it knows of it."""
    return {"version": event.version, "partition": event.partition, "position": event.position}


def alias_rows(event: Recorded[Any]) -> Iterable[Row]:
    """Return which learner an alias is now."""
    match event.data:
        case AliasNoted(alias=alias, learner_id=learner_id):
            return [{"alias": alias, "learner_id": learner_id} | _place(event)]
        case _:
            return []


def alignment_rows(event: Recorded[Any]) -> Iterable[Row]:
    """Return what an item gives evidence about now."""
    match event.data:
        case ItemAligned(item_id=item_id, iri=iri, competency_ids=competency_ids):
            return [{"item_id": item_id, "iri": iri, "competency_ids": competency_ids} | _place(event)]
        case _:
            return []


CALENDAR: Final = """
    INSERT INTO calendar (id, first_day, begins_at, version, partition, position)
    SELECT id, first_day, begins_at, version, partition, position FROM jsonb_to_recordset(%(rows)s) AS new(
        id smallint, first_day date, begins_at timestamptz, version bigint, partition integer, position bigint)
    ON CONFLICT (id) DO UPDATE SET first_day = excluded.first_day, begins_at = excluded.begins_at, version = excluded.version,
        partition = excluded.partition, position = excluded.position
    WHERE calendar.version < excluded.version
"""


def calendar_rows(event: Recorded[Any]) -> Iterable[Row]:
    """Return the one row of the calendar."""
    match event.data:
        case CalendarNoted(first_day=first_day):
            return [{"id": 1, "first_day": first_day, "begins_at": begins_at(first_day)} | _place(event)]
        case _:
            return []


PROJECTIONS: Final = (
    Projection("act", act_rows, ("act_id",), ACT, (EvidenceAccepted, EvidenceRecorded), halves=True, columns=ACT_COLUMNS),
    Projection("conflict", conflict_rows, ("act_id", "version"), CONFLICT, (EvidenceConflicted,)),
    Projection("amendment", amendment_rows, ("act_id", "version"), AMENDMENT, (EvidenceRescored, EvidenceVoided)),
    Projection("alias", alias_rows, ("alias",), ALIAS, (AliasNoted,)),
    Projection("alignment", alignment_rows, ("item_id",), ALIGNMENT, (ItemAligned,)),
    Projection("calendar", calendar_rows, ("id",), CALENDAR, (CalendarNoted,)),
)
