"""Mastery, assembled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services import mastery
from services.mastery.api import routes
from services.mastery.api.frameworks import PACKAGES
from services.mastery.calibration import CALIBRATION, DEFAULT_ENTRIES
from services.mastery.case import MAX_BODY_BYTES
from services.mastery.domain import DECIDERS
from services.mastery.framework import FRAMEWORK
from services.mastery.membership import membership
from services.mastery.policy import POLICY
from services.mastery.projections import PROJECTIONS
from services.mastery.queries import deferred_now
from services.mastery.settings import Settings
from services.mastery.subscribers import SUBSCRIPTION, settle, ticks
from services.mastery.versions import VERSIONS
from shared.contracts.mastery import MasteryPageAdded
from shared.contracts.topics import Topic
from shared.decider import Command
from shared.parameters import Parameters
from shared.parts import Parts
from shared.settings_stream import adoption


def defaults(parameters: Parameters) -> Sequence[Command]:
    """Return what to ask at a start: to adopt the calibration that ships with the release, where none is in force."""
    return () if parameters.get(CALIBRATION) else adoption(Topic.MASTERY, CALIBRATION, DEFAULT_ENTRIES, base="")


PARTS: Final = Parts(
    name=Topic.MASTERY,
    doc=mastery.__doc__ or "",
    deciders=(*DECIDERS, membership),
    page_added=MasteryPageAdded,
    kinds=(FRAMEWORK, CALIBRATION, POLICY),
    projections=PROJECTIONS,
    routes=routes,
    settings=Settings,
    subscription=SUBSCRIPTION,
    ticks=ticks,
    settle=settle,
    waiting=deferred_now,
    defaults=defaults,
    versions=VERSIONS,
    large_bodies={f"/{Topic.MASTERY}{PACKAGES}": MAX_BODY_BYTES},
)
