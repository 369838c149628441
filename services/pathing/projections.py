"""Read tables: where learners belong, their goals, and their paths. Paths of the past are read where they are: in the learner's stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.contracts.envelope import Recorded, instant_text
from shared.contracts.pathing import EnrolmentNoted, GoalsSet, PathPlanned
from shared.ledger.types import Projection, Row


def _learners(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, EnrolmentNoted):
        told = event.data
        yield {
            "learner_id": str(told.learner_id), "school_id": str(told.school_id), "grade": told.grade, "active": told.active,
            "version": event.version,
        }  # fmt: skip


def _goals(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, GoalsSet):
        yield event.data.model_dump(mode="json") | {"version": event.version}


def _paths(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, PathPlanned):
        told = event.data.model_dump(mode="json", include={"learner_id", "pace", "minutes_needed", "due"})
        steps = [step.model_dump(mode="json") for step in event.data.steps]
        yield told | {"steps": steps, "planned_at": instant_text(event.time), "settings": event.settings, "version": event.version}


def _upsert(table: str, columns: Mapping[str, str]) -> str:
    """Return the statement that keeps each learner's row of the newest version; `columns` are names and SQL types of the others."""
    typed = {"learner_id": "uuid", **columns, "version": "bigint"}
    names = ", ".join(typed)
    updates = ", ".join(f"{name} = excluded.{name}" for name in typed if name != "learner_id")
    definition = ", ".join(f"{name} {kind}" for name, kind in typed.items())
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_to_recordset(%(rows)s) AS new({definition}) "  # noqa: S608 - our own names
        f"ON CONFLICT (learner_id) DO UPDATE SET {updates} WHERE {table}.version < excluded.version"
    )


_LEARNER: Final = {"school_id": "uuid", "grade": "text", "active": "boolean"}
_GOALS: Final = {"author_id": "uuid", "role": "text", "set_at": "timestamptz", "goals": "jsonb"}
_PATH: Final = {
    "steps": "jsonb", "pace": "text", "minutes_needed": "integer", "due": "date", "planned_at": "timestamptz", "settings": "bigint",
}  # fmt: skip
_KEY: Final = ("learner_id",)

PROJECTIONS: Final = (
    Projection("learner", _learners, _KEY, _upsert("learner", _LEARNER)),
    Projection("goals", _goals, _KEY, _upsert("goals", _GOALS)),
    Projection("path", _paths, _KEY, _upsert("path", _PATH)),
)
