"""The only words that services share: the envelope, the topics, one module for each publishing service, and what any ledger tells."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from shared.contracts import evidence, ledger, mastery, pathing, profile, scheduling
from shared.contracts.envelope import Event

EVENTS: Final = MappingProxyType(
    {event.TYPE: event for module in (profile, evidence, mastery, pathing, scheduling, ledger) for event in module.EVENTS}
)
"""Type -> class of every event that this release knows."""


def event_class(type_name: str) -> type[Event] | None:
    """Return the class of a type, or None where this release does not know it."""
    return EVENTS.get(type_name)
