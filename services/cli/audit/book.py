"""The oracle's workbook: what all ledgers say, in one place where it can be joined. On disk, so that memory stays small; gone at the end.

A row for each event holds ids and hashes, never content; 10^6 events take about 250 MB of disk and a fixed amount of memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from shared.contracts.topics import Topic

CACHE_KIB: Final = 128 * 1024
"""Memory that the workbook keeps of itself."""
SERVICES: Final = tuple(str(topic) for topic in Topic)
"""A service stands in the workbook as its place in this list."""

TABLES: Final = (
    """CREATE TABLE event (
        service INTEGER, partition INTEGER, position INTEGER, id BLOB, cause BLOB, line BLOB, type INTEGER, stream INTEGER, at INTEGER,
        hash BLOB, body BLOB)""",
    "CREATE TABLE type (name TEXT PRIMARY KEY, number INTEGER)",
    "CREATE TABLE act (role TEXT, act BLOB, partition INTEGER, position INTEGER, copy BLOB)",
    "CREATE TABLE told (act BLOB, alias TEXT, item BLOB, at TEXT)",
    "CREATE TABLE fact (side TEXT, kind TEXT, subject TEXT, value TEXT, version INTEGER, PRIMARY KEY (side, kind, subject)) WITHOUT ROWID",
    "CREATE TABLE inbox (service INTEGER, source INTEGER, partition INTEGER, position INTEGER, head TEXT)",
    "CREATE TABLE aside (service INTEGER, source INTEGER, partition INTEGER, position INTEGER, open INTEGER, gone INTEGER)",
    "CREATE TABLE lane (service INTEGER, partition INTEGER, length INTEGER, published INTEGER)",
    "CREATE TABLE ack (act BLOB, result TEXT, message TEXT, event BLOB)",
    "CREATE TABLE hole (service INTEGER, partition INTEGER, position INTEGER, lost INTEGER, at INTEGER)",
)
INDEXES: Final = (
    "CREATE INDEX event_id ON event (id)",
    "CREATE INDEX event_cause ON event (cause, service)",
    "CREATE INDEX event_place ON event (service, partition, position)",
    "CREATE INDEX act_act ON act (role, act)",
    "CREATE INDEX aside_place ON aside (service, source, partition, position)",
)
KEEP_FACT: Final = """
    INSERT INTO fact (side, kind, subject, value, version) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (side, kind, subject) DO UPDATE SET value = excluded.value, version = excluded.version
    WHERE excluded.version >= fact.version"""


class Book:
    """Filled once by `reading`, then asked by each invariant's file. Use it as a context; it leaves nothing behind."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # "": a file without a name.
        self._types: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        for statement in TABLES:
            self._connection.execute(statement)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def type_number(self, name: str) -> int:
        """Return the number under which a type of event stands in the workbook."""
        if name not in self._types:
            self._types[name] = len(self._types)
            self._connection.execute("INSERT INTO type VALUES (?, ?)", [name, self._types[name]])
        return self._types[name]

    def put(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows to a table."""
        kept = list(rows)
        if not kept:
            return
        places = ", ".join("?" * len(kept[0]))
        statement = KEEP_FACT if table == "fact" else f"INSERT INTO {table} VALUES ({places})"  # noqa: S608 - our own tables
        self._connection.execute("BEGIN")
        self._connection.executemany(statement, kept)
        self._connection.execute("COMMIT")

    def index(self) -> None:
        """Prepare for questions, once everything is in."""
        for statement in INDEXES:
            self._connection.execute(statement)
        self._connection.execute("ANALYZE")

    def rows(self, question: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the answer to a question, row by row."""
        yield from self._connection.execute(question, values)

    def number(self, question: str, *values: Any) -> int:
        """Return an answer that is one number."""
        row = self._connection.execute(question, values).fetchone()
        return int(row[0]) if row and row[0] is not None else 0


def number_of(service: str) -> int:
    """Return the number under which a service stands in the workbook."""
    return SERVICES.index(service)


def place(service: int, partition: int, position: int) -> str:
    """Return where an event is, in words."""
    return f"{SERVICES[service]} partition {partition} position {position}"
