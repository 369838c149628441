"""The end of every scenario: the services come to rest, and the oracle of `cairn audit check` decides over all they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from services.cli.audit import IDS, Findings, Installation, Options, check
from tests.faults.load import Load
from tests.faults.town import Town

CONVERGE_S = 60.0
"""Within which all services must have the same state after the fault has ended."""
PARKED = "SELECT count(*) FROM parked WHERE resolved_at IS NULL"
STALLED_S = 30.0


@dataclass
class Verdict:
    """What the oracle counted and found."""

    acknowledged: int = 0
    applied: int = 0
    waiting: int = 0
    parked: int = 0
    converged_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def judge(
    town: Town, load: Load | None = None, parked_at_most: int = 0, harmed: Collection[str] = (), only: Collection[str] = (),
    within_s: float = CONVERGE_S, skew_s: float = 5.0,
) -> Verdict:  # fmt: skip
    """Wait until the services are at rest, then check I1 to I10; the verdict names what is wrong.

    Args:
        parked_at_most: what a scenario may leave set aside.
        harmed: services from whose topic the scenario took records, so that it lacks them.
        only: invariants to check, by default all.
        within_s: time in which the services must come to rest.
        skew_s: how far clocks may differ.
    """
    acks = [] if load is None or not load.acks else [load.write(town.folder / "acks.jsonl")]
    options = Options(within_s, parked_at_most, skew_s, STALLED_S, harmed)
    found = asyncio.run(check(_installation(town), acks, only or IDS, options))
    verdict = Verdict(acknowledged=load.told if load else 0, converged_s=found.seconds.get("convergence", 0.0))
    verdict.violations = list(map(str, found.violations))
    verdict.counts = _counts(found)
    verdict.waiting = verdict.counts.get("waiting", 0)
    verdict.applied = verdict.counts.get("counted", 0)
    verdict.parked = sum(count for service in town.services for (count,) in town.ask(service, PARKED))
    for worker in town.workers:
        if worker.alive and not worker.ready():
            verdict.violations.append(f"I9: {worker.name} runs and is not ready at the end")
    return verdict


def _installation(town: Town) -> Installation:
    return Installation(
        urls=town.records, name="local", owner_urls={service: each.owner_url for service, each in town.databases.items()},
        kafka_servers=town.servers.kafka, prefix=town.prefix,
        addresses={service: running[-1].address for service in town.services if (running := town.of(service))},
    )  # fmt: skip


def _counts(found: Findings) -> dict[str, int]:
    return {what: count for _, what, count in found.checked}
