"""The end of every scenario: the services come to rest, and the oracle of `cairn audit check` decides over all they hold."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from services.cli import oracle
from services.cli.verify import Lane, replay_lane
from shared.ledger import read
from tests.faults.load import Load
from tests.faults.town import HEARS, Town

CONVERGE_S = 60.0
"""Within which all services must have the same state after the fault has ended."""
LOOK_S = 0.1


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


def at_rest(town: Town) -> bool:
    """Say whether every service has applied all that its sources hold, and published all it holds."""
    lengths = {service: dict(town.ask(service, "SELECT id, length FROM partition")) for service in town.databases}
    for service in town.services:
        published = dict(town.ask(service, "SELECT partition, position FROM published"))
        if published != lengths[service]:
            return False
        rows = town.ask(service, "SELECT source, partition, position FROM inbox")
        if not rows and HEARS[service]:
            return False
        if any(position != lengths[source][partition] - 1 for source, partition, position in rows):
            return False
    return True


HARMED = ("Kafka holds a record ahead of one that is missing", "not in Kafka")
"""What the oracle rightly says about a topic that a scenario has taken records from."""


def judge(town: Town, load: Load | None = None, parked_at_most: int = 0, replay: bool = True, harmed: bool = False) -> Verdict:
    """Wait until the services are at rest, then check everything; the verdict names what is wrong.

    Args:
        parked_at_most: what a scenario may leave set aside.
        replay: also decide everything again.
        harmed: the scenario took records from a topic, so that the topic lacks them.
    """
    began = time.monotonic()
    while not (rest := at_rest(town)) and time.monotonic() - began < CONVERGE_S:
        time.sleep(LOOK_S)
    verdict = Verdict(converged_s=time.monotonic() - began)
    if not rest:
        verdict.violations.append(f"I5: not at rest {CONVERGE_S:.0f} s after the fault ended")
    asyncio.run(_check(town, load, verdict))
    if harmed:
        verdict.violations = [each for each in verdict.violations if not any(word in each for word in HARMED)]
    verdict.parked = sum(count for service in town.services for (count,) in town.ask(service, PARKED))
    if verdict.parked > parked_at_most:
        verdict.violations.append(f"I10: {verdict.parked} records are parked, at most {parked_at_most} may be")
    if replay:
        verdict.violations += [f"I6: {difference}" for service in town.services for difference in _replayed(town, service)]
    for worker in town.workers:
        if worker.alive and not worker.ready():
            verdict.violations.append(f"I9: {worker.name} runs and is not ready at the end")
    return verdict


PARKED = "SELECT count(*) FROM parked WHERE resolved_at IS NULL"


async def _check(town: Town, load: Load | None, verdict: Verdict) -> None:
    findings = oracle.Findings()
    records = {service: await oracle.read_record(url, service, "local", findings) for service, url in town.records.items()}
    for service in town.services:
        await oracle.compare_topic(town.servers.kafka, town.prefix, service, records[service], findings)
    oracle.compare_inboxes(records, findings)
    told = None if load is None else [(str(act["act_id"]), str(act["result"])) for ack in load.acks for act in ack["acts"]]
    if "mastery" in records:
        oracle.compare_evidence(records, told, findings)
    verdict.counts = dict(findings.counts)
    verdict.acknowledged = load.told if load else 0
    verdict.applied = verdict.counts.get("counted by mastery", 0)
    verdict.waiting = verdict.counts.get("  waiting", 0)
    verdict.violations += findings.violations


def _replayed(town: Town, service: str) -> list[str]:
    """Decide everything of a service again, partition by partition, and return what differs."""
    url = town.records[service]

    async def lengths() -> dict[int, tuple[int, str]]:
        from services.cli.verify import reading

        async with reading(url) as pool:
            return await read.lengths(pool)

    found = asyncio.run(lengths())
    lanes = [Lane(url, service, "local", number, len(found), length, head, None) for number, (length, head) in found.items()]
    return [f"{service}: {difference}" for lane in lanes for difference in replay_lane(lane).differences]
