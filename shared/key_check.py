"""Whether a service has the keys that its database knows: with another district key, every person would be someone else."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

from shared.errors import Misconfigured
from shared.keys import check_value
from shared.ledger import patience
from shared.settings import variable_of

_KEEP: Final = "INSERT INTO key_check (name, value) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_KEPT: Final = "SELECT value FROM key_check WHERE name = %s"
_WITHOUT: Final = {
    "district_key": "with another one every person would be someone else, and no name could be read again",
    "parking_key": "with another one what was set aside could not be read again. Where that key is lost for good, the owner of the "
    "database may delete the row parking_key of its table key_check: the next start goes on under the new key, and what was set aside "
    "before can only be discarded",
}
"""Why a key may not change, and what to do where it has to."""


async def check_keys(pool: AsyncConnectionPool[Any], keys: Mapping[str, bytes]) -> None:
    """Hold a database to its keys: a key that it does not know yet is its own from now on.

    Args:
        keys: by setting, as `Settings.keys` gives them.

    Raises:
        Misconfigured: the database was used with another key; nothing was written.
    """
    async with patience.connected(pool) as connection:
        for name, key in keys.items():
            value = check_value(key)
            await connection.execute(_KEEP, [name, value])
            row = await (await connection.execute(_KEPT, [name])).fetchone()
            if row is None or not hmac.compare_digest(bytes(row[0]), value):
                raise Misconfigured(
                    f"{variable_of(name)} is another key than the one that this database was first used with: set that one again, from "
                    f"where it is kept apart from the database; {_WITHOUT[name]}"
                )
