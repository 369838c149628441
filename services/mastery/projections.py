"""Read tables: what is believed of each learner and competency, the level in force and how it changed, what people set, who is needed,
what evidence was deferred, who is in which class, and the framework in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from services.mastery.state import minute_of
from shared.contracts.envelope import Event, Recorded, instant_text
from shared.contracts.evidence import EvidenceVoided
from shared.contracts.mastery import (
    CompetencyBelief,
    Estimated,
    EvidenceDeferred,
    FrameworkAdopted,
    JudgementsMoved,
    LevelChanged,
    LevelHeld,
    MasteryPageAdded,
    MembershipNoted,
    OverrideEnded,
    OverrideGiven,
    PersonNeeded,
    PrerequisiteWaived,
    Reestimated,
    WaiverWithdrawn,
)
from shared.ledger.types import Projection, Row, newest
from shared.parameters import page_hash

Rows = Callable[[Recorded[Any]], Iterable[Row]]


def _table(table: str, rows: Rows, of: tuple[type[Event], ...], key: tuple[str, ...], **columns: str) -> Projection:
    """Return a table that keeps the row of the newest version; `columns` are names and SQL types beside `version`."""
    return newest(table, key, columns, rows, of)


# The key of a learner's stream is the learner's id, as text: in every event, without making one of the UUID again.


def _learner(event: Recorded[Any]) -> Iterable[Row]:
    data = event.data
    row = {
        "learner_id": event.key, "general_mean_e6": data.general.mean_e6, "general_variance_e6": data.general.variance_e6,
        "form_mean_e6": data.form.mean_e6, "form_variance_e6": data.form.variance_e6, "version": event.version,
    }  # fmt: skip
    return (row,)


def _competencies(event: Recorded[Any]) -> Iterable[Row]:
    data: Estimated | Reestimated = event.data
    if isinstance(data, Estimated):
        minute = minute_of(data.evidence.occurred_at)
        return [_belief(belief, minute, event) for belief in data.competencies]
    gone = [_NOTHING | {"learner_id": event.key, "competency_id": name, "version": event.version} for name in data.gone]
    return [*(_belief(trace, trace.last_minute, event) for trace in data.competencies), *gone]


_NOTHING: Final = dict.fromkeys(("mean_e6", "variance_e6", "scored", "items", "days", "last_minute"), 0)


def _belief(known: CompetencyBelief, minute: int, event: Recorded[Any]) -> Row:
    return {
        "learner_id": event.key, "competency_id": known.competency_id, "mean_e6": known.mean_e6, "variance_e6": known.variance_e6,
        "scored": known.scored, "items": known.items, "days": known.days, "last_minute": minute, "version": event.version,
    }  # fmt: skip


def _due(event: Recorded[Any]) -> Iterable[Row]:
    match event.data:
        case Estimated(competencies=beliefs, due=due):
            told = [_due_row(known.competency_id, known.due_minute, event) for known in beliefs if known.due_minute]
            return [*told, *(_due_row(known.competency_id, known.due_minute, event) for known in due)] if due else told
        case Reestimated(competencies=traces, gone=gone):
            changed = [_due_row(trace.competency_id, trace.due_minute, event) for trace in traces]
            return [*changed, *(_due_row(name, 0, event) for name in gone)]
        case LevelHeld() | LevelChanged(override=False) as level:
            return (_due_row(level.competency_id, level.due_minute, event),)
    return ()


def _due_row(name: str, minute: int, event: Recorded[Any]) -> Row:
    return {"learner_id": event.key, "competency_id": name, "due_minute": minute, "version": event.version}


def _levels(event: Recorded[Any]) -> Iterable[Row]:
    told: LevelChanged = event.data
    row = {
        "learner_id": event.key, "competency_id": told.competency_id, "level": told.level, "before": told.before,
        "probability_e6": told.probability_e6, "evidence_ids": told.evidence_ids, "override": told.override,
        "changed_at": instant_text(event.time), "settings": event.settings, "version": event.version,
    }  # fmt: skip
    return (row,)


def _told(event: Recorded[Any]) -> Iterator[Row]:
    """Yield a row that holds what the event says."""
    beside = {"version": event.version, "told_at": instant_text(event.time)}
    yield event.data.model_dump(mode="json") | beside | {"waived": isinstance(event.data, PrerequisiteWaived)}


def _overrides(event: Recorded[Any]) -> Iterator[Row]:
    moved = event.data.overrides if isinstance(event.data, JudgementsMoved) else (event.data,)
    for given in moved:
        yield given.model_dump(mode="json") | {"learner_id": event.key, "ended": False, "version": event.version}


def _override_ends(event: Recorded[Any]) -> Iterator[Row]:
    ended = event.data.ended if isinstance(event.data, JudgementsMoved) else (event.data.competency_id,)
    for name in ended:
        yield {"learner_id": event.key, "competency_id": name, "version": event.version}


def _waivers(event: Recorded[Any]) -> Iterator[Row]:
    if not isinstance(event.data, JudgementsMoved):
        yield from _told(event)
        return
    rows = [moved.model_dump(mode="json") | {"version": event.version} for moved in event.data.waivers]
    for row, waived in [(row | row["before"], False) for row in rows] + [(row, True) for row in rows]:
        yield row | {"learner_id": str(event.data.learner_id), "waived": waived}


def _deferred(event: Recorded[Any]) -> Iterator[Row]:
    """Yield what was deferred; what is void names nothing any more."""
    match event.data:
        case EvidenceDeferred(evidence=seen):
            yield seen.model_dump(mode="json") | {"deferred_at": instant_text(event.time), "version": event.version}
        case Reestimated(voided=EvidenceVoided() as void):
            row = {"evidence_id": str(void.evidence_id), "learner_id": str(void.learner_id), "competency_ids": []}
            yield row | dict.fromkeys(("item_id", "occurred_at", "deferred_at")) | {"version": event.version}


def _membership(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, MembershipNoted):
        for member, classes in ((False, event.data.left), (True, event.data.class_ids)):
            for class_id in classes:
                learner_id = str(event.data.learner_id)
                yield {"class_id": str(class_id), "learner_id": learner_id, "member": member, "version": event.version}


def _pages(event: Recorded[Any]) -> Iterator[Row]:
    """Yield the competencies of a page; pages of other sets hold entries of another kind."""
    if isinstance(event.data, MasteryPageAdded) and isinstance(event.data.content, list):
        competencies = [entry for entry in event.data.content if isinstance(entry, dict) and "statement" in entry]
        page = page_hash(event.data.content) if competencies else ""
        for entry in competencies:
            yield {
                "page": page, "competency_id": entry["id"], "code": entry.get("code", ""), "subject": entry.get("subject", ""),
                "family": entry.get("family", ""), "assessable": entry.get("assessable", True),
                "prerequisites": entry.get("prerequisites", []),
            }  # fmt: skip


def _in_force(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, FrameworkAdopted):
        yield {"kind": event.data.KIND, "pages": list(event.data.pages), "version": event.version}


_OF_COMPETENCY: Final = ("learner_id", "competency_id")
_IDS: Final = {"learner_id": "uuid", "competency_id": "text"}
_AUTHOR: Final = {"author_id": "uuid", "role": "text", "reason": "text", "words": "jsonb", "at": "timestamptz"}
_LEVEL: Final = _IDS | {
    "level": "text", "probability_e6": "integer", "evidence_ids": "jsonb", "changed_at": "timestamptz", "override": "boolean",
}  # fmt: skip
_ENDED: Final = """
    UPDATE override o SET ended = true
    FROM jsonb_to_recordset(%(rows)s) AS new(learner_id uuid, competency_id text, version bigint)
    WHERE (o.learner_id, o.competency_id) = (new.learner_id, new.competency_id) AND o.version <= new.version
"""
_PAGES: Final = """
    INSERT INTO framework_page (page, competency_id, code, subject, family, assessable, prerequisites)
    SELECT page, competency_id, code, subject, family, assessable, prerequisites FROM jsonb_to_recordset(%(rows)s) AS new(
        page text, competency_id text, code text, subject text, family text, assessable boolean, prerequisites jsonb)
    ON CONFLICT (competency_id, page) DO NOTHING
"""

_ESTIMATES: Final = (Estimated, Reestimated)

PROJECTIONS: Final = (
    _table(
        "learner_estimate", _learner, _ESTIMATES, ("learner_id",), learner_id="uuid", general_mean_e6="bigint",
        general_variance_e6="bigint", form_mean_e6="bigint", form_variance_e6="bigint",
    ),
    _table(
        "competency_estimate", _competencies, _ESTIMATES, _OF_COMPETENCY, **_IDS, mean_e6="bigint", variance_e6="bigint", scored="integer",
        items="integer", days="integer", last_minute="bigint",
    ),
    _table("due", _due, (*_ESTIMATES, LevelHeld, LevelChanged), _OF_COMPETENCY, **_IDS, due_minute="bigint"),
    _table("level", _levels, (LevelChanged,), _OF_COMPETENCY, **_LEVEL, settings="bigint"),
    _table("level_change", _levels, (LevelChanged,), ("learner_id", "version"), **_LEVEL, before="text"),
    _table(
        "person_needed", _told, (PersonNeeded,), _OF_COMPETENCY, **_IDS, needed="boolean", idle="integer", idle_days="integer",
        evidence_id="uuid", told_at="timestamptz",
    ),
    _table(
        "override", _overrides, (OverrideGiven, JudgementsMoved), _OF_COMPETENCY, **_IDS, level="text", until="timestamptz", **_AUTHOR,
        ended="boolean",
    ),
    Projection("override", _override_ends, _OF_COMPETENCY, _ENDED, (OverrideEnded, JudgementsMoved)),
    _table(
        "waiver", _waivers, (PrerequisiteWaived, WaiverWithdrawn, JudgementsMoved), (*_OF_COMPETENCY, "prerequisite_id"), **_IDS,
        prerequisite_id="text", waived="boolean", **_AUTHOR,
    ),
    _table("membership", _membership, (MembershipNoted,), ("class_id", "learner_id"), class_id="uuid", learner_id="uuid", member="boolean"),
    _table(
        "deferred", _deferred, (EvidenceDeferred, Reestimated), ("evidence_id",), evidence_id="uuid", learner_id="uuid", item_id="uuid",
        competency_ids="jsonb", occurred_at="timestamptz", deferred_at="timestamptz",
    ),
    Projection("framework_page", _pages, ("competency_id", "page"), _PAGES, (MasteryPageAdded,)),
    _table("framework_in_force", _in_force, (FrameworkAdopted,), ("kind",), kind="text", pages="jsonb"),
)  # fmt: skip
