"""Read tables: what a roster told last of each person and place, and what each author said last, and who is erased. Names
and titles stay sealed in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from shared.contracts.envelope import Event, Recorded, instant_text
from shared.contracts.profile import (
    ClassRostered,
    ErasureLifted,
    LearnerErased,
    LearnerRostered,
    PreferencesStated,
    RosterImported,
    SchoolRostered,
    StaffRostered,
)
from shared.ledger.types import Row, newest


def _rows(kind: type[Event], *names: str) -> Callable[[Recorded[Any]], Iterator[Row]]:
    """Return how events of one class become rows of the named fields, the whole body, and the version."""

    def rows(event: Recorded[Any]) -> Iterator[Row]:
        if isinstance(event.data, kind):
            plain = event.data.model_dump(mode="json", include=set(names))
            yield plain | {"body": event.data.body(), "version": event.version}

    return rows


def _imports(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, RosterImported):
        yield event.data.model_dump(mode="json") | {"imported_at": instant_text(event.time), "version": event.version}


def _erasures(event: Recorded[Any]) -> Iterator[Row]:
    if isinstance(event.data, LearnerErased | ErasureLifted):
        yield {
            "learner_id": str(event.data.learner_id), "erased": isinstance(event.data, LearnerErased), "since": instant_text(event.time),
            "body": event.data.body(), "version": event.version,
        }  # fmt: skip


_PERSON: Final = {"school_id": "uuid", "class_ids": "jsonb", "active": "boolean", "body": "jsonb"}
_IMPORT: Final = {"content_hash": "text", "source": "text", "rows": "bigint", "person_iris": "jsonb", "imported_at": "timestamptz"}
_ERASURE: Final = {"learner_id": "uuid", "erased": "boolean", "since": "timestamptz", "body": "jsonb"}

PROJECTIONS: Final = (
    newest(
        "school", ("school_id",), {"school_id": "uuid", "title": "text", "body": "jsonb"}, _rows(SchoolRostered, "school_id", "title")
    ),
    newest(
        "school_class", ("class_id",), {"class_id": "uuid", "school_id": "uuid", "active": "boolean", "body": "jsonb"},
        _rows(ClassRostered, "class_id", "school_id", "active"),
    ),
    newest(
        "learner", ("learner_id",), {"learner_id": "uuid"} | _PERSON,
        _rows(LearnerRostered, "learner_id", "school_id", "class_ids", "active"),
    ),
    newest("staff", ("staff_id",), {"staff_id": "uuid"} | _PERSON, _rows(StaffRostered, "staff_id", "school_id", "class_ids", "active")),
    newest(
        "preference", ("learner_id", "author_id"), {"learner_id": "uuid", "author_id": "uuid", "body": "jsonb"},
        _rows(PreferencesStated, "learner_id", "author_id"),
    ),
    newest("roster_import", ("content_hash",), _IMPORT, _imports),
    newest("erasure", ("learner_id",), _ERASURE, _erasures),
)  # fmt: skip
