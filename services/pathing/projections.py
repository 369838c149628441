"""Read tables: where learners belong, what was told of them, their goals, the path in force and those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.contracts.envelope import Recorded, instant_text
from shared.contracts.pathing import ActivityChosen, EnrolmentNoted, GoalsSet, LevelNoted, PathPlanned, PreferencesNoted, ReplanAsked
from shared.ledger.types import Projection, Row

FACTS: Final = (EnrolmentNoted, LevelNoted, PreferencesNoted, GoalsSet, ActivityChosen, ReplanAsked)


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
        yield _path(event) | {"steps": [step.model_dump(mode="json") for step in event.data.steps]}


def _past_paths(event: Recorded[Any]) -> Iterator[Row]:
    """A path as it was, without its options: these are long, and the event keeps them."""
    if isinstance(event.data, PathPlanned):
        steps = [step.model_dump(mode="json", exclude={"options"}) for step in event.data.steps]
        yield _path(event) | {"steps": steps, "causation_id": str(event.causation)}


def _facts(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, FACTS):
        yield {
            "learner_id": str(event.data.learner_id), "version": event.version, "type": event.type,
            "detail": event.data.model_dump(mode="json", exclude={"learner_id"}),
        }  # fmt: skip


def _path(event: Recorded[Any]) -> dict[str, Any]:
    told = event.data.model_dump(mode="json", include={"learner_id", "pace", "minutes_needed", "due"})
    return {**told, "planned_at": instant_text(event.time), "settings": event.settings, "version": event.version}


def _upsert(table: str, key: tuple[str, ...], columns: Mapping[str, str]) -> str:
    """Return the statement that keeps the row of the newest version of each key; `columns` are names and SQL types beside `version`."""
    typed = {**columns, "version": "bigint"}
    names = ", ".join(typed)
    updates = ", ".join(f"{name} = excluded.{name}" for name in typed if name not in key)
    definition = ", ".join(f"{name} {kind}" for name, kind in typed.items())
    guard = f"UPDATE SET {updates} WHERE {table}.version < excluded.version" if "version" not in key else "NOTHING"
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_to_recordset(%(rows)s) AS new({definition}) "  # noqa: S608 - our own names
        f"ON CONFLICT ({', '.join(key)}) DO {guard}"
    )


_PATH: Final = {
    "learner_id": "uuid", "steps": "jsonb", "pace": "text", "minutes_needed": "integer", "due": "date", "planned_at": "timestamptz",
    "settings": "bigint",
}  # fmt: skip
_GOALS: Final = {"learner_id": "uuid", "author_id": "uuid", "role": "text", "set_at": "timestamptz", "goals": "jsonb"}
_LEARNER: Final = {"learner_id": "uuid", "school_id": "uuid", "grade": "text", "active": "boolean"}
_FACT: Final = {"learner_id": "uuid", "type": "text", "detail": "jsonb"}
_ONE: Final = ("learner_id",)
_EACH: Final = ("learner_id", "version")

PROJECTIONS: Final = (
    Projection("learner", _learners, _ONE, _upsert("learner", _ONE, _LEARNER)),
    Projection("goals", _goals, _ONE, _upsert("goals", _ONE, _GOALS)),
    Projection("path", _paths, _ONE, _upsert("path", _ONE, _PATH)),
    Projection("past_path", _past_paths, _EACH, _upsert("past_path", _EACH, _PATH | {"causation_id": "uuid"})),
    Projection("fact", _facts, _EACH, _upsert("fact", _EACH, _FACT)),
)
