"""Read tables: where learners belong, their goals, and their paths. Paths of the past are read where they are: in the learner's stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from shared.contracts.envelope import Recorded, instant_text
from shared.contracts.pathing import EnrolmentNoted, GoalsSet, PathPlanned
from shared.ledger.types import Row, newest


def _learners(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, EnrolmentNoted):
        told = event.data
        yield {
            "learner_id": str(told.learner_id), "school_id": str(told.school_id), "grade": told.grade, "active": told.active,
            "version": event.version,
        }  # fmt: skip


def _goals(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, GoalsSet):
        yield event.data.model_dump(mode="json", include=set(_GOALS)) | {"version": event.version}


def _paths(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, PathPlanned):
        told = event.data.model_dump(mode="json", include={"learner_id", "pace", "minutes_needed", "due", "due_subject", "due_minutes"})
        steps = [step.model_dump(mode="json") for step in event.data.steps]
        yield told | {"steps": steps, "planned_at": instant_text(event.time), "settings": event.settings, "version": event.version}


_KEY: Final = {"learner_id": "uuid"}
_LEARNER: Final = _KEY | {"school_id": "uuid", "grade": "text", "active": "boolean"}
_GOALS: Final = _KEY | {"author_id": "uuid", "role": "text", "set_at": "timestamptz", "goals": "jsonb"}
_PATH: Final = _KEY | {
    "steps": "jsonb", "pace": "text", "minutes_needed": "integer", "due": "date", "due_subject": "text", "due_minutes": "integer",
    "planned_at": "timestamptz", "settings": "bigint",
}  # fmt: skip

PROJECTIONS: Final = (
    newest("learner", tuple(_KEY), _LEARNER, _learners),
    newest("goals", tuple(_KEY), _GOALS, _goals),
    newest("path", tuple(_KEY), _PATH, _paths),
)
