"""What a service heard and passed by because its release of then had no use for it: taken up now, from its source's ledger.

It is noted as set aside and taken up again, which is what became of it: its effects stand behind those of later events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from shared.contracts.envelope import Header
from shared.errors import LedgerError
from shared.ledger import store
from shared.ledger.ledger import Ledger
from shared.ledger.park import AsksOf
from shared.ledger.patience import connected
from shared.ledger.types import Ask, Incoming, Trouble

MOST: Final = 100
"""Records that are taken up in one transaction."""
WHY: Final = "an earlier release had no use for it"
LOCK_INBOX: Final = "SELECT position FROM inbox WHERE source = %s AND partition = %s FOR UPDATE"
ASIDE: Final = "SELECT position FROM parked WHERE source = %s AND partition = %s AND position = ANY(%s)"
TAKEN_UP: Final = """
    UPDATE parked SET resolved_at = now(), resolution = 'taken up again', attempts = 1
    WHERE source = %s AND partition = %s AND position = ANY(%s) AND resolved_at IS NULL"""


@dataclass
class TakenUp:
    """What taking up came to."""

    applied: int = 0
    """Records that led to something."""
    refused: list[str] = field(default_factory=list)
    """The reasons for which a decider refused others: these are set aside."""


async def take_up(
    ledger: Ledger, asks_of: AsksOf, seal: Callable[[bytes], bytes], source: str, partition: int, records: Sequence[tuple[int, bytes]],
    result: TakenUp,
) -> None:  # fmt: skip
    """Take up records of a partition in one transaction. Safe to repeat, and while the service runs.

    Those that the service has still to hear are left to it, and those that were set aside to `park.retry`.

    Args:
        asks_of: from an envelope to what this release does about it.
        records: position and bytes of each, in order; at most 100.

    Raises:
        LedgerError: this release cannot say what one of them asks for; nothing was done.
    """
    started = time.perf_counter()
    async with connected(ledger.pool) as connection, connection.transaction():
        row = await (await connection.execute(LOCK_INBOX, [source, partition])).fetchone()
        heard = -1 if row is None else int(row[0])
        positions = [position for position, _ in records]
        aside = {row[0] for row in await (await connection.execute(ASIDE, [source, partition, positions])).fetchall()}
        asks: list[Ask] = []
        passed: list[Incoming] = []
        for position, raw in records:
            if position <= heard and position not in aside:
                header = Header.read(raw)
                found, trouble, reason = asks_of(header, len(passed))
                if trouble is not None:
                    raise LedgerError(f"event {position} of partition {partition} of {source} cannot be taken up: {reason}")
                asks.extend(found)
                passed.append(Incoming(source, partition, 0, raw, position, header.key, trouble=Trouble.UNKNOWN, reason=WHY))
        if not asks:
            return
        turn = await ledger.decide(connection, asks, lock_all=True)
        refusals: dict[int, str] = {}
        told: set[int] = set()
        for answer in turn.answers:
            assert answer.ask.record is not None
            if answer.refusal:
                refusals[answer.ask.record] = f"{answer.refusal.code}: {answer.refusal.detail}"
            elif answer.events:
                told.add(answer.ask.record)
        led = [passed[n] for n in sorted(told - refusals.keys())]
        refused = [replace(passed[n], trouble=Trouble.REFUSED, reason=reason) for n, reason in refusals.items()]
        await store.park(connection, [*led, *refused], seal)
        await connection.execute(TAKEN_UP, [source, partition, [each.position for each in led]])
    ledger.committed(turn, time.perf_counter() - started)
    result.applied += len(led)
    result.refused += refusals.values()
