"""Mastery over HTTP: frameworks and policy in; competencies, levels, explanations and needs out; and what people say against them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from services.mastery.api import frameworks, learners, people
from shared.parts import Context


def routes(context: Context) -> Sequence[APIRouter]:
    """Return the routers of mastery."""
    return [frameworks.routes(context), learners.routes(context), people.routes(context)]
