"""From a record to what the ledger is to do about it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from shared.consume.reader import Apply, Foreign, Lane
from shared.contracts import event_class
from shared.contracts.envelope import Event, Header, Origin, Recorded
from shared.decider import Command
from shared.errors import Misconfigured
from shared.ledger.types import Ask, Incoming, Trouble
from shared.parts import Subscription


class Inward:
    """Decodes the events that a service has a use for, and asks its pure `commands_for` about them. Never raises for a record."""

    def __init__(self, subscription: Subscription) -> None:
        """Take a subscription.

        Raises:
            Misconfigured: it hears topics, but has a use for no event.
        """
        if subscription.topics and not subscription.events:
            raise Misconfigured("a subscription names in `events` every type that its `commands_for` has a use for; this one names none")
        self._commands_for: Callable[[Recorded[Any]], Sequence[Command]] = subscription.commands_for
        self._events: dict[str, type[Event]] = {event.TYPE: event for event in subscription.events}

    def incoming(self, lane: Lane, offset: int, raw: bytes, verdict: Apply | Foreign, number: int) -> Incoming:
        """Return what the ledger is to do about a record of this lane; `number` is unique among the records of a poll."""
        if isinstance(verdict, Foreign):
            return Incoming(lane.service, lane.partition, offset, raw, trouble=Trouble.FOREIGN, reason=verdict.reason)
        header = verdict.header
        asks, trouble, reason = self._asks(header, number)
        return Incoming(lane.service, lane.partition, offset, raw, header.position, header.key, verdict.head, asks, trouble, reason)

    def _asks(self, header: Header, number: int) -> tuple[tuple[Ask, ...], Trouble | None, str]:
        wanted = self._events.get(header.event_type)
        if wanted is None:
            if event_class(header.event_type) is None:
                return (), Trouble.UNKNOWN, f"this release does not know {header.event_type}: upgrade, then `cairn park retry`"
            return (), None, ""
        try:
            event = header.decode(wanted)
            origin = Origin(causation=event.id, correlation=event.correlation)
            return tuple(Ask(command, origin, number) for command in self._commands_for(event)), None, ""
        except Exception as error:
            return (), Trouble.POISON, reason_of(error)


def reason_of(error: BaseException) -> str:
    """Return why a record broke the code: the error's class and where it came from, and none of its words, which may quote data."""
    if isinstance(error, ValidationError):
        faults = "; ".join(
            f"{'/'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors(include_input=False, include_context=False)
        )
        return f"data does not fit {error.title}: {faults}"
    frame = next(reversed(traceback.extract_tb(error.__traceback__)), None)
    place = f" in {frame.name}, {frame.filename.rpartition('/')[2]}:{frame.lineno}" if frame else ""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__qualname__}{f' {state}' if state else ''}{place}"
