"""Ways to tamper with a copy of a district, past all guards: a byte, a row, an event that nobody decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import orjson
import psycopg

from shared.contracts.envelope import canonical, digest, event_id

Owner = psycopg.Connection[Any]
Change = Callable[[dict[str, Any]], None]

COLUMNS = "partition, position, stream, version, key, type, recorded_at, bytes"


def one(owner: Owner, statement: str, *values: Any) -> Any:
    """Return the first row of an answer, which must be there."""
    row = owner.execute(statement, values).fetchone()
    assert row is not None, f"nothing to tamper with: {statement}"
    return row


def some_event(owner: Owner, type_name: str, order: str = "recorded_at, partition, position") -> tuple[int, int, dict[str, Any]]:
    """Return partition, position and content of the first event of a type."""
    statement = f"SELECT partition, position, bytes FROM event WHERE type = %s ORDER BY {order} LIMIT 1"  # noqa: S608 - our own words
    partition, position, raw = one(owner, statement, type_name)
    return partition, position, orjson.loads(bytes(raw))


def edit(owner: Owner, type_name: str, change: Change, order: str = "recorded_at, partition, position") -> None:
    """Change the first event of a type in place. Its chain breaks by that, which is another finding."""
    partition, position, event = some_event(owner, type_name, order)
    change(event)
    owner.execute("UPDATE event SET bytes = %s WHERE partition = %s AND position = %s", [canonical(event), partition, position])


def remove(owner: Owner, type_name: str, order: str = "recorded_at, partition, position") -> dict[str, Any]:
    """Take the first event of a type out of the record, and return it."""
    partition, position, event = some_event(owner, type_name, order)
    owner.execute("DELETE FROM event WHERE partition = %s AND position = %s", [partition, position])
    return event


def append(owner: Owner, like: str, change: Change = lambda event: None, order: str = "recorded_at, partition, position") -> dict[str, Any]:
    """Append an event like the first of a type at its partition's end: chained, gapless, in its stream, and decided by nobody."""
    partition, _, event = some_event(owner, like, order)
    length, head, last_at = one(owner, "SELECT length, head, last_at FROM partition WHERE id = %s", partition)
    (version,) = one(owner, "SELECT max(version) + 1 FROM event WHERE stream = %s", event["stream"])
    event |= {"position": length, "previous": head, "streamversion": version}
    change(event)
    event["id"] = str(event_id(event["stream"], version))
    raw = canonical(event)
    row = [partition, length, event["stream"], version, event["partitionkey"], event["type"], last_at, raw]
    owner.execute(f"INSERT INTO event ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)  # noqa: S608 - our own columns
    owner.execute("UPDATE partition SET length = length + 1, head = %s WHERE id = %s", [digest(raw), partition])
    return event


def forge(owner: Owner, like: str, partition: int | None, position: int) -> dict[str, Any]:
    """Put an event like the first of a type into its stream, where no partition counts it; None: in its own partition."""
    own, _, event = some_event(owner, like)
    (version,) = one(owner, "SELECT max(version) + 1 FROM event WHERE stream = %s", event["stream"])
    event |= {"partition": own if partition is None else partition, "position": position, "streamversion": version}
    event["id"] = str(event_id(event["stream"], version))
    row = [event["partition"], position, event["stream"], version, event["partitionkey"], like, event["time"], canonical(event)]
    owner.execute(f"INSERT INTO event ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)  # noqa: S608 - our own columns
    return event


def pass_over(owner: Owner, source: str, event: Mapping[str, Any]) -> None:
    """Move a reader's inbox past an event as if it had been applied."""
    owner.execute(
        "UPDATE inbox SET position = %s, head = %s WHERE source = %s AND partition = %s",
        [event["position"], digest(canonical(event)), source, event["partition"]],
    )


def named(number: int) -> str:
    """Return an id that nobody has."""
    return str(UUID(int=number, version=4))
