"""Scheduling, assembled."""

from __future__ import annotations

from typing import Final

from services import scheduling
from services.scheduling.api import routes
from services.scheduling.domain import DECIDERS
from services.scheduling.projections import PROJECTIONS
from services.scheduling.resources import RESOURCES
from services.scheduling.settings import Settings
from services.scheduling.subscribers import SUBSCRIPTION, ticks
from services.scheduling.versions import VERSIONS
from shared.contracts.scheduling import PlanAdopted, SchedulingPageAdded
from shared.contracts.topics import Topic
from shared.parts import Parts

PARTS: Final = Parts(
    name=Topic.SCHEDULING,
    doc=scheduling.__doc__ or "",
    deciders=DECIDERS,
    page_added=SchedulingPageAdded,
    kinds=(RESOURCES,),
    projections=PROJECTIONS,
    routes=routes,
    settings=Settings,
    subscription=SUBSCRIPTION,
    last=PlanAdopted,
    ticks=ticks,
    versions=VERSIONS,
)
