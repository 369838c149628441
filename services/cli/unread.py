"""Events of a record that do not fit their type any more, as where somebody wrote to it: what can be read is told beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.contracts.envelope import Header, Recorded
from shared.ledger import store

FIRST: Final = datetime.min.replace(tzinfo=UTC)
"""When an event was told whose time cannot be read."""

_NOTHING: Final[Mapping[str, Any]] = defaultdict(str, streamversion=0, partition=0, position=0, settings=0)
"""What is told of an event that is not even an envelope."""


@dataclass(frozen=True)
class Unreadable:
    """Stands in place of what an event says."""

    words: str


def event_of(raw: bytes, service: str) -> Recorded[Any]:
    """Return a stored event of a service; where it cannot be read, one that says so and has what its envelope tells of its place and time.

    Raises:
        LedgerError: where this release does not know its type.
    """
    try:
        return store.decoded(raw)
    except ValueError:
        return _placed(raw, service)


def _placed(raw: bytes, service: str) -> Recorded[Any]:
    try:
        told = Header.read(raw).attributes
        where = f", at partition {told['partition']} position {told['position']}"
    except ValueError:
        told, where = _NOTHING, ""
    return Recorded(
        told["id"], told["type"], f"/{service}", _instant(told["time"]), told["stream"], told["streamversion"], told["partitionkey"],
        told["partition"], told["position"], told["previous"], told["decider"], told["settings"], told["release"], told["causationid"],
        told["correlationid"], Unreadable(f"an event that cannot be read{where}: run `cairn replay verify --service {service}`"), raw,
    )  # fmt: skip


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return FIRST
    return at if at.tzinfo is not None else FIRST
