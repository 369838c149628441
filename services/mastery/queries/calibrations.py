"""Sets that are or were in force, as they were brought in."""

from __future__ import annotations

from typing import Any, Final

import orjson
from psycopg_pool import AsyncConnectionPool

from services.mastery.queries.reading import read

_PAGES: Final = """
    SELECT p.data FROM parameter_set s, unnest(s.pages) WITH ORDINALITY AS named (hash, place) JOIN parameter_page p USING (hash)
    WHERE s.kind = %s AND s.id = %s ORDER BY named.place
"""


async def entries_of_set(pool: AsyncConnectionPool[Any], kind: str, set_id: str) -> list[dict[str, Any]] | None:
    """Return the entries of a set; None where none of this kind has the id."""
    pages = await read(pool, _PAGES, [kind, set_id])
    return [entry for page in pages for entry in orjson.loads(bytes(page["data"]))] if pages else None
