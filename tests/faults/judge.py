"""The end of every scenario: the services come to rest, and the oracle of `cairn audit check` decides over all they hold."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from services.cli.audit import IDS, Findings, Installation, Options, check
from tests.faults.load import Load
from tests.faults.town import STALLED_S, Town

CONVERGE_S = 60.0
"""Within which all services must have the same state after the fault has ended, or after the load where a fault ends at no one moment."""
TAKEN_S = 30.0
"""Within which evidence must be taken again after the fault has ended: a service starts, or a client repeats what it gave up after 15 s."""
PARKED = "SELECT count(*) FROM parked WHERE resolved_at IS NULL"
OF_PLANS = "I8"
"""The one invariant that only a town with scheduling has something of."""
ASIDE = {"I2": "do not come from the ledger", "I6": "its ledger is empty"}
"""What the oracle never looks at, as it says so itself: keys, which are drawn; and the ledger of a service that does not run here."""


@dataclass
class Verdict:
    """What the oracle counted and found."""

    acknowledged: int = 0
    applied: int = 0
    waiting: int = 0
    parked: int = 0
    waited: int = 0
    """Acts that waited when they were acknowledged."""
    converged_s: float = 0.0
    """From the end of the load to rest."""
    taken_s: float | None = None
    """From the end of the fault, where that is one moment, to the first acknowledgement."""
    rest_s: float | None = None
    """From the end of the fault to rest. Evidence comes in for a part of this time."""
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    looks: int = 0
    """Looks at the health of services in which something waited, from the beginning to the end."""
    day_looks: int = 0
    """Looks at a school day, whether it is visible half-written."""
    not_seen: list[str] = field(default_factory=list)
    """Invariants that the scenario says cannot be looked at, and why."""


def judge(
    town: Town, load: Load | None = None, parked_at_most: int = 0, harmed: Collection[str] = (), only: Collection[str] = (),
    within_s: float = CONVERGE_S, skew_s: float = 5.0, unseen: Mapping[str, str] = MappingProxyType({}), ended: float | None = None,
    taken_s: float = TAKEN_S,
) -> Verdict:  # fmt: skip
    """Wait until the services are at rest, then check I1 to I10; the verdict names what is wrong. What could not be looked at is wrong too.

    Args:
        parked_at_most: what a scenario may leave set aside.
        harmed: services from whose topic the scenario took records, so that it lacks them.
        only: invariants to check, by default all.
        within_s: time in which the services must come to rest, from the end of the fault, or of the load where that is not known.
        skew_s: how far clocks may differ.
        unseen: invariants that cannot be looked at in this scenario, and why; the reason is printed.
        ended: when the fault ended, by the monotonic clock in seconds; None where it ends at no one moment.
        taken_s: time in which evidence must be acknowledged after that.
    """
    began = time.monotonic()
    acks = [] if load is None or not load.acks else [load.write(town.folder / "acks.jsonl")]
    options = Options(within_s, parked_at_most, skew_s, STALLED_S, harmed)
    found = asyncio.run(check(_installation(town), acks, only or IDS, options))
    verdict = Verdict(acknowledged=load.told if load else 0, waited=load.waited if load else 0)
    verdict.converged_s = found.seconds.get("convergence", 0.0)
    verdict.violations = list(map(str, found.violations))
    if ended is not None:
        first = load.first_after(ended) if load else None
        verdict.taken_s, verdict.rest_s = first and first - ended, began + verdict.converged_s - ended
        verdict.violations += too_late(verdict, within_s, taken_s if load else None)
    verdict.violations += not_looked_at(found, only or IDS, town.services, unseen)
    verdict.not_seen = [f"{id}: {why}" for id, why in unseen.items()]
    verdict.counts = _counts(found)
    verdict.waiting = verdict.counts.get("waiting", 0)
    if verdict.waiting:
        verdict.violations.append(f"I10: {verdict.waiting} acts wait at the end, when every learner and every item is known")
    verdict.applied = verdict.counts.get("counted", 0)
    verdict.parked = sum(count for service in town.services for (count,) in town.ask(service, PARKED))
    for worker in town.workers:
        if worker.alive and not worker.ready():
            verdict.violations.append(f"I9: {worker.name} runs and is not ready at the end")
    return verdict


def too_late(verdict: Verdict, within_s: float, taken_s: float | None) -> list[str]:
    """Return what took longer after the end of the fault than is stated.

    Args:
        within_s: time to come to rest.
        taken_s: time to acknowledge evidence; None where nobody tells any.
    """
    first, rest = verdict.taken_s, verdict.rest_s
    wrong = []
    if taken_s is not None and (first is None or first > taken_s):
        came = "none came" if first is None else f"the first came after {first:.1f} s"
        wrong.append(f"I5: no acknowledgement within {taken_s:g} s after the fault had ended: {came}")
    if rest is not None and rest > within_s:
        wrong.append(f"I5: not at rest within {within_s:g} s after the fault had ended, but after {rest:.1f} s")
    return wrong


def not_looked_at(found: Findings, ids: Collection[str], services: Collection[str], unseen: Mapping[str, str]) -> list[str]:
    """Return what is wrong with how much the oracle looked at: it left out a part of an invariant, or met nothing that falls under it.

    Args:
        services: those that run; only they must have something to look at.
        unseen: invariants for which that is so on purpose. One that was looked at after all is wrong, too: the reason does not hold.
    """
    left = [(id, why) for id, why in found.left_out if not _is_aside(id, why, services)]
    seen = Counter[str]()
    for id, _, number in found.checked:
        seen[id] += number
    nothing = [id for id in ids if not seen[id] and id != "I9" and (id != OF_PLANS or "scheduling" in services)]  # I9 is watched, too.
    wrong = [f"{id}: not looked at: {why}" for id, why in left if id not in unseen]
    wrong += [f"{id}: not looked at: there was nothing that falls under it" for id in nothing if id not in unseen]
    lacking = {id for id, _ in left} | set(nothing)
    return wrong + [f"{id}: said to be left out ({why}), and was looked at" for id, why in unseen.items() if id not in lacking]


def _is_aside(id: str, why: str, services: Collection[str]) -> bool:
    service, _, words = why.partition(": ")
    return id in ASIDE and ASIDE[id] in words and (id != "I6" or service not in services)


def _installation(town: Town) -> Installation:
    return Installation(
        urls=town.records, name="local", owner_urls={service: each.owner_url for service, each in town.databases.items()},
        kafka_servers=town.servers.kafka, prefix=town.prefix,
        addresses={service: running[-1].address for service in town.services if (running := town.of(service))},
    )  # fmt: skip


def _counts(found: Findings) -> dict[str, int]:
    return {what: count for _, what, count in found.checked}
