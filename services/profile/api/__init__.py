"""Profile over HTTP: rosters in; people, places and preferences out and in; erasures."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from services.profile.api import erasures, imports, people, preferences, words
from services.profile.queries import Keyring, Queries
from shared.parts import Context


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the routers of profile.

    Raises:
        Misconfigured: there is no district key.
    """
    keyring = Keyring(context.pool, context.settings.district())
    queries = Queries(context.pool, keyring)
    return [
        imports.routes(context, queries, keyring), people.routes(queries), preferences.routes(context, queries, keyring),
        words.routes(queries, keyring), erasures.routes(context, queries, keyring),
    ]  # fmt: skip
