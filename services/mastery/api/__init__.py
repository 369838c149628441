"""Mastery over HTTP: frameworks, calibrations and policy in; competencies, levels, explanations, needs out; and what people say."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from services.mastery.api import calibrations, equity, frameworks, learners, people
from services.mastery.queries import Queries
from shared.parts import Context


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the routers of mastery."""
    queries = Queries(context.pool)
    return [room.routes(context, queries) for room in (frameworks, learners, people, calibrations, equity)]
