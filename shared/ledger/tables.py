"""Reading a service's own tables, for its routes. Never writes, and never within a transaction that does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from psycopg.rows import class_row, dict_row
from psycopg_pool import AsyncConnectionPool

from shared.ledger.patience import connected
from shared.ledger.types import Row

Values = Sequence[Any] | Mapping[str, Any]
T = TypeVar("T")


class Tables:
    """What the `Queries` of every service extend. Each statement takes a connection of its own."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def rows(self, statement: str, values: Values = ()) -> Sequence[Row]:
        """Return what a statement finds: rows by the names of their columns."""
        async with connected(self._pool) as connection, connection.cursor(row_factory=dict_row) as cursor:
            found: list[dict[str, Any]] = await (await cursor.execute(statement.encode(), values)).fetchall()
            return found

    async def row(self, statement: str, values: Values = ()) -> Row | None:
        """Return the first row that a statement finds, or None."""
        return next(iter(await self.rows(statement, values)), None)

    async def all(self, kind: type[T], statement: str, values: Values = ()) -> list[T]:
        """Return what a statement finds, each row as one of these, its fields named as the columns."""
        async with connected(self._pool) as connection, connection.cursor(row_factory=class_row(kind)) as cursor:
            found: list[T] = await (await cursor.execute(statement.encode(), values)).fetchall()
            return found
