"""The oracle's one entrance: `check` reads an installation and returns what it found. The command line and the fault runs both call it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from services.cli.audit import applied, causes, days, decisions, evidence, settling, tables, topics
from services.cli.audit.book import Book
from services.cli.audit.findings import Findings, chosen
from services.cli.audit.place import Installation
from services.cli.audit.reading import Standing, read_all
from shared.contracts.topics import Topic

FROM_LEDGERS: Final = frozenset({"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I10"})
"""Invariants that need a pass over the ledgers."""


@dataclass(frozen=True, slots=True)
class Options:
    """How strict the check is."""

    within_s: float = 20.0
    """Time in which all services must come to rest (I5); 0: look at things as they are."""
    most_parked: int | None = None
    """Records that each service may have set aside (I10); None: any number."""
    skew_s: float = 5.0
    """How far the clocks of two processes may differ (I7)."""
    stalled_after_s: float = 30.0
    """The services' setting of that name (I9)."""
    emptied: Collection[str] = ()
    """Services whose topic was emptied on purpose: what it lacks is counted, and no violation (I3)."""
    quiet_s: float = settling.QUIET_S
    """Time for which nothing may move before that counts as rest (I5)."""


async def check(
    installation: Installation, acks: Sequence[Path] = (), only: Collection[str] = (), options: Options = Options(),
    findings: Findings | None = None,
) -> Findings:  # fmt: skip
    """Return what is wrong with an installation, and what was looked at. Reads only; may be run while the services run.

    For a fault run: let the fault end, then

        findings = await check(installation_at(home), [acks_file], options=Options(within_s=60, most_parked=0))
        assert not findings.violations, "\\n".join(map(str, findings.violations))

    `installation_at(home)` knows what `cairn up --home` started; `Installation(urls=...)` takes addresses of any other. `findings.violated`
    is the set of ids that do not hold, `findings.seconds["convergence"]` how long the services took to come to rest,
    `findings.counted("acts that clients were told about")` a count, `findings.as_json()` everything.

    Args:
        acks: logs of what clients were told, a line for each answer: `{"status": 200, "acts": [{"act_id": ..., "result": ...}]}`.
        only: ids such as "I3"; by default all that can be checked with what the installation gives. What cannot is in `left_out`.
        findings: to be filled, for who wants what was found before something raised.

    Raises:
        BadInput: an id does not exist. MalformedInput: a log of acknowledgements cannot be read, or proves nothing.
        psycopg.OperationalError, aiokafka.errors.KafkaError: a server does not answer.
    """
    ids, findings = chosen(only), Findings() if findings is None else findings
    try:
        await _check(installation, acks, ids, options, findings)
    finally:
        findings.keep(ids)
    return findings


async def _check(installation: Installation, acks: Sequence[Path], ids: frozenset[str], options: Options, findings: Findings) -> None:
    rest = await _settle(installation, ids, options, findings)
    with Book() as book:
        if ids & FROM_LEDGERS:
            with _timed("reading the ledgers", findings):
                standings = await asyncio.to_thread(read_all, installation, book, findings)
            lengths = {service: standing.lengths for service, standing in standings.items()}
            at_rest = rest is not None and settling.still(rest, lengths)
            await _of_ledgers(installation, standings, book, acks, ids, at_rest, options, findings)
        if ids & {"I3", "I4"}:
            await _of_topics(installation, standings, book, options, findings)
    await _of_services(installation, ids, rest, findings)


async def _settle(installation: Installation, ids: frozenset[str], options: Options, findings: Findings) -> settling.Look | None:
    """Wait for rest, as far as it is asked for; return how everything stands at rest, None where it is not."""
    settled = await settling.settle(installation, options.within_s, options.stalled_after_s, "I9" in ids, options.quiet_s)
    settling.tell(settled, options.within_s, installation, findings)
    return settled.last if settled.at_rest else None


async def _of_ledgers(
    installation: Installation, standings: Mapping[str, Standing], book: Book, acks: Sequence[Path], ids: frozenset[str], at_rest: bool,
    options: Options, findings: Findings,
) -> None:  # fmt: skip
    """Check what the workbook answers."""

    def ask() -> None:
        if acks and "I1" in ids:
            evidence.check_acks(book, acks, findings)
        elif "I1" in ids:
            findings.leave_out("I1", "no log of acknowledgements was given: see --acks")
        if "I2" in ids:
            evidence.check_effects(book, findings)
        if "I3" in ids:
            applied.check_order(book, findings)
            applied.check_gaps(installation, book, findings)
        if "I4" in ids:
            applied.check_inboxes(installation, book, findings)
            evidence.check_copies(book, findings)
        if "I5" in ids and at_rest:
            settling.check_same(installation.urls, book, findings)
        elif "I5" in ids:
            findings.leave_out("I5", "not at rest while the ledgers were read, so that services may hold older states than were told")
        if "I7" in ids:
            causes.check_causes(installation, standings, options.skew_s, book, findings)
        if "I10" in ids:
            evidence.check_balance(book, options.most_parked, at_rest, findings)
            if not at_rest:
                findings.leave_out("I10", "not at rest while the ledgers were read: what waits may still have to be taken up")

    with _timed("asking the workbook", findings):
        await asyncio.to_thread(ask)
    if "I10" in ids and at_rest and installation.gateway is not None:
        await _of_gateway(installation, installation.gateway, standings[Topic.EVIDENCE], book, findings)
    if "I6" in ids:
        with _timed("replay", findings):
            await asyncio.to_thread(decisions.check_decisions, installation, standings, findings)


async def _of_gateway(installation: Installation, gateway: str, standing: Standing, book: Book, findings: Findings) -> None:
    """Check what clients are told now; it can be compared with the workbook as long as the ledger has not grown."""
    told = Findings()
    try:
        await evidence.check_told(gateway, book, told)
    except httpx.HTTPError as error:
        answer = f"HTTP {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        findings.leave_out("I10", f"evidence does not say over HTTP what it holds ({answer}): `cairn status` says what runs")
        return
    if await asyncio.to_thread(settling.lengths_now, installation.urls[Topic.EVIDENCE]) == standing.lengths:
        findings.violations += told.violations
    else:
        findings.leave_out("I10", "not at rest: evidence recorded more before it was asked for its counts")


async def _of_topics(
    installation: Installation, standings: Mapping[str, Standing], book: Book, options: Options, findings: Findings
) -> None:
    if installation.kafka_servers is None:
        findings.leave_out("I3", "Kafka's address is not known, so topics were not compared")
        return
    with _timed("topics", findings):
        for service, standing in standings.items():
            await topics.check_topic(installation, service, standing, book, service in options.emptied, findings)


async def _of_services(installation: Installation, ids: frozenset[str], rest: settling.Look | None, findings: Findings) -> None:
    """Check what each service's own database answers: its read tables, and scheduling's days."""
    if ids & {"I2", "I8"}:
        with _timed("read tables", findings):
            for service in installation.urls:
                if service not in installation.owner_urls:
                    findings.leave_out("I2", f"{service}: no address with the owner's role, so its tables were not folded anew")
                elif "I2" in ids or service == days.SERVICE:
                    compared = await asyncio.to_thread(tables.compare_tables, installation.owner_urls[service], service)
                    tables.tell(compared, ids, findings)
    if ids & {"I7", "I8"} and days.SERVICE in installation.urls:
        with _timed("days", findings):
            rested = rest.lengths[days.SERVICE] if rest else None
            await asyncio.to_thread(days.check_days, installation.urls[days.SERVICE], rested, ids, findings)


@contextmanager
def _timed(what: str, findings: Findings) -> Iterator[None]:
    began = time.monotonic()
    yield
    findings.seconds[what] = time.monotonic() - began
