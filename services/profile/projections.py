"""Read tables: what a roster told last of each person and place, and what each author said last. Names and titles stay sealed in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from shared.contracts.envelope import Event, Recorded, instant_text
from shared.contracts.profile import (
    ClassRostered,
    LearnerRostered,
    PreferencesStated,
    RosterImported,
    SchoolRostered,
    StaffRostered,
)
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


_PERSON: Final = {"school_id": "uuid", "class_ids": "jsonb", "active": "boolean", "body": "jsonb"}
_IMPORT: Final = {"content_hash": "text", "source": "text", "rows": "bigint", "person_iris": "jsonb", "imported_at": "timestamptz"}

PROJECTIONS: Final = (
    Projection(
        "school", _rows(SchoolRostered, "school_id", "title"), ("school_id",),
        _upsert("school", ("school_id",), {"school_id": "uuid", "title": "text", "body": "jsonb"}),
    ),
    Projection(
        "school_class", _rows(ClassRostered, "class_id", "school_id", "active"), ("class_id",),
        _upsert("school_class", ("class_id",), {"class_id": "uuid", "school_id": "uuid", "active": "boolean", "body": "jsonb"}),
    ),
    Projection(
        "learner", _rows(LearnerRostered, "learner_id", "school_id", "class_ids", "active"), ("learner_id",),
        _upsert("learner", ("learner_id",), {"learner_id": "uuid"} | _PERSON),
    ),
    Projection(
        "staff", _rows(StaffRostered, "staff_id", "school_id", "class_ids", "active"), ("staff_id",),
        _upsert("staff", ("staff_id",), {"staff_id": "uuid"} | _PERSON),
    ),
    Projection(
        "preference", _rows(PreferencesStated, "learner_id", "author_id"), ("learner_id", "author_id"),
        _upsert("preference", ("learner_id", "author_id"), {"learner_id": "uuid", "author_id": "uuid", "body": "jsonb"}),
    ),
    Projection(
        "roster_import", _imports, ("content_hash",),
        _upsert("roster_import", ("content_hash",), _IMPORT),
    ),
)  # fmt: skip
