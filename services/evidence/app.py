"""Evidence, assembled."""

from __future__ import annotations

from typing import Final

from services import evidence
from services.evidence.api import routes
from services.evidence.domain import DECIDERS
from services.evidence.projections import PROJECTIONS
from services.evidence.queries import expand, notes_now, waiting_now
from services.evidence.settings import Settings
from services.evidence.subscribers import SUBSCRIPTION, ticks
from shared.contracts.topics import Topic
from shared.parts import Parts

PARTS: Final = Parts(
    name=Topic.EVIDENCE,
    doc=evidence.__doc__ or "",
    deciders=DECIDERS,
    page_added=None,
    kinds=(),
    projections=PROJECTIONS,
    routes=routes,
    settings=Settings,
    subscription=SUBSCRIPTION,
    ticks=ticks,
    expand=expand,
    waiting=waiting_now,
    notes=notes_now,
)
