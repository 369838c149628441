"""From a record to what the ledger is to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Any

from shared.consume.reader import Apply, Foreign, Lane
from shared.contracts import event_class
from shared.contracts.envelope import Event, Header, Origin, Recorded
from shared.decider import Command
from shared.errors import Misconfigured
from shared.ledger.failures import reason_of
from shared.ledger.types import Ask, Incoming, Trouble
from shared.parts import Subscription


class Inward:
    """Decodes the events that a service has a use for, and asks its pure `commands_for` about them. Never raises for a record."""

    def __init__(self, subscription: Subscription, zone: tzinfo = UTC) -> None:
        """Take a subscription, and the time zone in which days are counted.

        Raises:
            Misconfigured: it hears topics, but has a use for no event.
        """
        if subscription.topics and not subscription.events:
            raise Misconfigured("a subscription names in `events` every type that its `commands_for` has a use for; this one names none")
        self._commands_for: Callable[[Recorded[Any]], Sequence[Command]] = subscription.commands_by(zone)
        self._events: dict[str, type[Event]] = {event.TYPE: event for event in subscription.events}

    def incoming(self, lane: Lane, offset: int, raw: bytes, verdict: Apply | Foreign, number: int) -> Incoming:
        """Return what the ledger is to do about a record of this lane; `number` is unique among the records of a poll."""
        if isinstance(verdict, Foreign):
            return Incoming(lane.service, lane.partition, offset, raw, trouble=Trouble.FOREIGN, reason=verdict.reason)
        header = verdict.header
        asks, trouble, reason = self.asks(header, number)
        return Incoming(lane.service, lane.partition, offset, raw, header.position, header.key, verdict.head, asks, trouble, reason)

    def asks(self, header: Header, number: int) -> tuple[tuple[Ask, ...], Trouble | None, str]:
        """Return what this release asks about an event, or why it cannot: the trouble and its reason."""
        wanted = self._events.get(header.event_type)
        if wanted is None:
            if event_class(header.event_type) is None:
                return (), Trouble.UNKNOWN, f"this release does not know {header.event_type}: upgrade, then `cairn park retry`"
            return (), None, ""
        try:
            event = header.decode(wanted)
            origin = Origin(causation=event.id, correlation=event.correlation)
            return tuple([Ask(command, origin, number) for command in self._commands_for(event)]), None, ""
        except Exception as error:
            return (), Trouble.POISON, reason_of(error)
