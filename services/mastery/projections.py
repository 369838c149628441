"""Read tables: what is believed of each learner and competency, the level in force, and how levels changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from services.mastery.state import minute_of
from shared.contracts.envelope import Recorded, instant_text
from shared.contracts.mastery import Estimated, LevelChanged, Reestimated
from shared.ledger.types import Projection, Row


def _upsert(table: str, key: tuple[str, ...], columns: dict[str, str]) -> str:
    """Return the statement that keeps the row of the newest version; `columns` are names and SQL types beside `version`."""
    typed = columns | {"version": "bigint"}
    names = ", ".join(typed)
    updates = ", ".join(f"{name} = excluded.{name}" for name in typed if name not in key)
    definition = ", ".join(f"{name} {kind}" for name, kind in typed.items())
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_to_recordset(%(rows)s) AS new({definition}) "  # noqa: S608 - our own names
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates} WHERE {table}.version < excluded.version"
    )


def _learner(event: Recorded[Any]) -> Iterator[Row]:
    match event.data:
        case Estimated() | Reestimated() as data:
            yield {
                "learner_id": _learner_id(data), "general_mean_e6": data.general.mean_e6, "general_variance_e6": data.general.variance_e6,
                "form_mean_e6": data.form.mean_e6, "form_variance_e6": data.form.variance_e6, "version": event.version,
            }  # fmt: skip


def _competencies(event: Recorded[Any]) -> Iterator[Row]:
    match event.data:
        case Estimated(evidence=seen) as data:
            beside = {"last_minute": minute_of(seen.occurred_at), "evidence_id": str(seen.evidence_id)}
            for belief in data.competencies:
                yield belief.model_dump() | beside | {"learner_id": _learner_id(data), "version": event.version}
        case Reestimated() as data:
            for trace in data.competencies:
                row = trace.model_dump(mode="json", exclude={"item_marks", "evidence_ids"})
                last = str(trace.evidence_ids[-1]) if trace.evidence_ids else None
                yield row | {"evidence_id": last, "learner_id": _learner_id(data), "version": event.version}


def _levels(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, LevelChanged):
        told = event.data.model_dump(mode="json")
        yield told | {"changed_at": instant_text(event.time), "settings": event.settings, "version": event.version}


def _learner_id(data: Estimated | Reestimated) -> str:
    return str(data.evidence.learner_id if isinstance(data, Estimated) else data.learner_id)


_LEARNER: Final = {
    "learner_id": "uuid", "general_mean_e6": "bigint", "general_variance_e6": "bigint", "form_mean_e6": "bigint",
    "form_variance_e6": "bigint",
}  # fmt: skip
_COMPETENCY: Final = {
    "learner_id": "uuid", "competency_id": "text", "mean_e6": "bigint", "variance_e6": "bigint", "scored": "integer", "items": "integer",
    "days": "integer", "last_minute": "bigint", "evidence_id": "uuid",
}  # fmt: skip
_LEVEL: Final = {
    "learner_id": "uuid", "competency_id": "text", "level": "text", "probability_e6": "integer", "evidence_ids": "jsonb",
    "changed_at": "timestamptz",
}  # fmt: skip

_OF_COMPETENCY: Final = ("learner_id", "competency_id")
_OF_CHANGE: Final = ("learner_id", "version")

PROJECTIONS: Final = (
    Projection("learner_estimate", _learner, ("learner_id",), _upsert("learner_estimate", ("learner_id",), _LEARNER)),
    Projection("competency_estimate", _competencies, _OF_COMPETENCY, _upsert("competency_estimate", _OF_COMPETENCY, _COMPETENCY)),
    Projection("level", _levels, _OF_COMPETENCY, _upsert("level", _OF_COMPETENCY, _LEVEL | {"settings": "bigint"})),
    Projection("level_change", _levels, _OF_CHANGE, _upsert("level_change", _OF_CHANGE, _LEVEL | {"before": "text"})),
)
