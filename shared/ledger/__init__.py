"""A service's append-only record of events in PostgreSQL: gapless positions, chained bytes, one transaction per batch."""

from shared.ledger.types import (
    BLOCKING,
    MAX_BATCH,
    Answer,
    Ask,
    Batch,
    Connection,
    Expand,
    Inbox,
    InboxMoved,
    Incoming,
    Projection,
    Row,
    Trouble,
)

__all__ = [
    "BLOCKING",
    "MAX_BATCH",
    "Answer",
    "Ask",
    "Batch",
    "Connection",
    "Expand",
    "Inbox",
    "InboxMoved",
    "Incoming",
    "Projection",
    "Row",
    "Trouble",
]
