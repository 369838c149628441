"""Pathing, assembled."""

from __future__ import annotations

from typing import Final

from services import pathing
from services.pathing.api import routes
from services.pathing.catalogue import CATALOGUE, FRAMEWORK
from services.pathing.domain import DECIDERS
from services.pathing.projections import PROJECTIONS
from services.pathing.settings import Settings
from services.pathing.subscribers import SUBSCRIPTION, ticks
from services.pathing.versions import VERSIONS
from shared.contracts.pathing import PathingPageAdded
from shared.contracts.topics import Topic
from shared.parts import Parts

PARTS: Final = Parts(
    name=Topic.PATHING,
    doc=pathing.__doc__ or "",
    deciders=DECIDERS,
    page_added=PathingPageAdded,
    kinds=(FRAMEWORK, CATALOGUE),
    projections=PROJECTIONS,
    routes=routes,
    settings=Settings,
    subscription=SUBSCRIPTION,
    ticks=ticks,
    versions=VERSIONS,
)
