"""Scheduling over HTTP: resources in; days, groups and reasons out."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from services.scheduling.api import dates, days, resources
from services.scheduling.queries import Queries
from shared.http import router_of
from shared.parts import Context


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the router of scheduling."""
    router, queries = router_of("scheduling"), Queries(context.pool)
    change = resources.Change(context, queries)
    resources.add_to(router, context, queries, change)
    dates.add_to(router, context, queries, change)
    days.add_to(router, context, queries)
    return [router]
