"""Profile, assembled."""

from __future__ import annotations

from typing import Final

from services import profile
from services.profile.api import routes
from services.profile.domain import DECIDERS
from services.profile.erasure import erasures
from services.profile.projections import PROJECTIONS
from services.profile.settings import Settings
from services.profile.subscribers import ticks
from services.profile.versions import VERSIONS
from shared.contracts.topics import Topic
from shared.parts import Parts

PARTS: Final = Parts(
    name=Topic.PROFILE,
    doc=profile.__doc__ or "",
    deciders=(*DECIDERS, erasures),
    page_added=None,
    kinds=(),
    projections=PROJECTIONS,
    routes=routes,
    settings=Settings,
    ticks=ticks,
    versions=VERSIONS,
)
