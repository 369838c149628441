"""Whose a database is, as its ledger says: asked before `cairn up` changes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import psycopg

from shared.contracts.envelope import Header, chain_start
from shared.errors import Misconfigured
from shared.settings import variable_of

HAS_LEDGER: Final = "SELECT to_regclass('public.event') IS NOT NULL"
LANES: Final = "SELECT id, length, head FROM partition ORDER BY id"
LAST_EVENTS: Final = """
    SELECT last.bytes FROM partition p
    CROSS JOIN LATERAL (SELECT bytes FROM event WHERE partition = p.id ORDER BY position DESC LIMIT 1) last"""
TOLD: Final = "SELECT FROM published WHERE position > 0 LIMIT 1"


@dataclass(frozen=True)
class _Ledger:
    """What a ledger says of itself: its lanes as number, length and head, and the installations that its last events name."""

    service: str
    lanes: Sequence[tuple[int, int, str]]
    recorded: Set[str]


def require_own_ledgers(owner_urls: Mapping[str, str], installation: str, partitions: int) -> None:
    """Return when each of these services' databases holds no ledger yet, or this installation's; changes nothing.

    Raises:
        Misconfigured: one is another installation's, or has another number of partitions; the message names what is recorded.
    """
    ledgers = [ledger for service, url in owner_urls.items() if (ledger := _ledger(service, url)) is not None]
    for ledger in ledgers:
        for other in sorted(ledger.recorded - {installation}):
            raise Misconfigured(
                f"the database of {ledger.service} belongs to the installation {other}, not to {installation}: say --installation {other} "
                f"(or {variable_of('installation')}). Nothing was changed"
            )
    for ledger in ledgers:
        if len(ledger.lanes) != partitions:
            raise Misconfigured(
                f"the ledger of {ledger.service} has {len(ledger.lanes)} partitions, {variable_of('partitions')} says {partitions}: the "
                f"number is fixed at installation, set it to {len(ledger.lanes)}. Nothing was changed"
            )
        source = f"/{installation}/{ledger.service}"
        if any(length == 0 and head != chain_start(source, number) for number, length, head in ledger.lanes):
            raise Misconfigured(
                f"the database of {ledger.service} was made for another installation than {installation}, which no event of it names: "
                f"say the name that it was made with as --installation (or {variable_of('installation')}). Nothing was changed"
            )


def _ledger(service: str, owner_url: str) -> _Ledger | None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        if owner.execute(HAS_LEDGER).fetchone() != (True,):
            return None
        lanes = owner.execute(LANES).fetchall()
        recorded = {_installation_of(bytes(raw)) for (raw,) in owner.execute(LAST_EVENTS).fetchall()}
    return _Ledger(service, lanes, {name for name in recorded if name is not None})


def has_told(owner_url: str) -> bool:
    """Say whether something of this ledger was published. A service goes that far only where the topic is its own."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        return owner.execute(HAS_LEDGER).fetchone() == (True,) and owner.execute(TOLD).fetchone() is not None


def _installation_of(raw: bytes) -> str | None:
    """Return what the event says; None where it cannot be read, which `cairn replay verify` is there to find."""
    try:
        return str(Header.read(raw).attributes["source"]).split("/")[1]
    except (ValueError, IndexError):
        return None
