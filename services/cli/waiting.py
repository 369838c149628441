"""Acts of a learner that are not recorded yet: they are told under an alias, and nothing in the record names her beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from services.cli.unread import event_of
from services.evidence.queries.reading import REASON, WAITING_ACTS
from services.evidence.queries.views import REMEDIES
from shared.contracts.envelope import Recorded
from shared.contracts.evidence import AliasNoted
from shared.contracts.topics import Topic
from shared.ledger import read

MAX_WAITING: Final = 1_000
"""Waiting acts of an alias that are told, the first ones: an LMS tells more items than a district ever aligns."""
WAITING: Final = f"""
    SELECT a.act_id, {REASON} {WAITING_ACTS} AND a.alias = %s AND a.position >= %s AND a.position < %s
    ORDER BY a.partition, a.position LIMIT {MAX_WAITING}"""


async def waiting_of(pool: read.Pool, learner: UUID, events: Sequence[Recorded[Any]]) -> dict[str, str]:
    """Return the streams of the acts that wait and are hers, and in words why each does, and what is to be done.

    An act is of whom its alias was of when it was accepted; where it was nobody's yet, of whom it was first.

    Args:
        events: of evidence, that name her: also which aliases were ever hers.
    """
    found = {}
    for name in dict.fromkeys(event.stream for event in events if isinstance(event.data, AliasNoted)):
        told: list[Recorded[Any]] = [event_of(raw, Topic.EVIDENCE) async for raw in read.stream(pool, name)]
        noted = [event for event in told if isinstance(event.data, AliasNoted)]
        for place, event in enumerate(noted):
            if event.data.learner_id == learner:
                since = event.position if place else 0
                until = noted[place + 1].position if place + 1 < len(noted) else read.FOREVER
                for act_id, reason in await read.found(pool, WAITING, [event.data.alias, since, until]):
                    found[f"evidence/act/{act_id}"] = f"; it waits ({reason}): {REMEDIES[reason]}"
    return found
