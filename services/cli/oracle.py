"""What `cairn audit check` finds out: nothing acknowledged is lost, nothing doubled or reordered, topics equal ledgers.

It reads what clients were told, the ledgers, the topics and the inboxes, and trusts none of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from services.cli.verify import parts_of, reading
from shared.contracts.envelope import Header, digest
from shared.contracts.topics import Topic, topic_name
from shared.errors import MalformedInput
from shared.ledger import read
from shared.relay.walk import records
from shared.replay import ChainWalk

SHOWN: Final = 5
"""Cases of one violation that are named; the others are counted."""
RECORDED: Final = "evidence.recorded.v1"
KEPT: Final = ("recorded", "waiting", "duplicate", "conflict")
"""Results after which an act must be in evidence's ledger."""


@dataclass
class Findings:
    """What was counted, and what is wrong."""

    counts: list[tuple[str, int]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def count(self, what: str, number: int) -> None:
        self.counts.append((what, number))

    def wrong(self, what: str, cases: Iterable[object]) -> None:
        """Note a violation, where there are cases of it."""
        found = sorted(map(str, cases))
        if found:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            self.violations.append(f"{what}: {', '.join(found[:SHOWN])}{more}")


@dataclass
class Record:
    """One service's ledger as it was read: the hash of every event by its place, and the ids that other checks need."""

    lengths: dict[int, tuple[int, str]]
    hashes: dict[int, list[str]] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    """Type -> the acts or pieces of evidence that events of this type are about, in the order they were read."""
    inbox: dict[tuple[str, int], int] = field(default_factory=dict)
    parked: Counter[str] = field(default_factory=Counter)
    published: dict[int, int] = field(default_factory=dict)
    aside: set[tuple[str, int, int]] = field(default_factory=set)
    """Source, partition and position of what it heard, set aside and did not take up again."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Piece of evidence -> partition and position of the event that records it."""


def _about(type_name: str, data: Mapping[str, Any]) -> str | None:
    """Return the act or piece of evidence that an event is about, where the counts need it."""
    match type_name:
        case "evidence.accepted.v1":
            return str(data["act_id"])
        case "evidence.recorded.v1":
            return str(data["evidence_id"])
        case "mastery.estimated.v1" | "mastery.re-estimated.v1":
            return data["evidence"]["evidence_id"] if data.get("evidence") else None
        case _:
            return None


async def read_record(url: str, service: str, installation: str, findings: Findings) -> Record:
    """Read a service's whole ledger once, checking its chains on the way."""
    async with reading(url) as pool:
        record = Record(await read.lengths(pool))
        for number, (length, head) in record.lengths.items():
            chain = ChainWalk(f"/{installation}/{service}", number, len(record.lengths))
            hashes = record.hashes.setdefault(number, [])
            async for position, raw in read.partition(pool, number):
                chain.take(position, raw)
                hashes.append(digest(raw))
                event = orjson.loads(raw)
                about = _about(event["type"], event["data"])
                if about is not None:
                    record.ids.setdefault(event["type"], []).append(about)
                    if event["type"] == RECORDED:
                        record.places[about] = number, position
            findings.wrong(f"{service}: a chain is broken", chain.end(length, head))
        record.inbox, record.parked, record.published = await read.standing(pool)
        record.aside = await read.aside(pool)
    return record


async def compare_topic(kafka_servers: str, prefix: str, service: str, record: Record, findings: Findings) -> int:
    """Compare what Kafka holds with the ledger; every published position must be there, or lie before the log's start. Return the count."""
    seen: dict[int, set[int]] = {number: set() for number in record.lengths}
    count, repeats = 0, 0
    other: list[str] = []
    last: dict[int, int] = {}
    disorder: list[str] = []
    async for partition, offset, raw in records(kafka_servers, topic_name(prefix, service), sorted(record.lengths)):
        count += 1
        try:
            position = Header.read(raw).position
        except ValueError:
            continue  # Not ours: whoever reads it parks it.
        hashes = record.hashes[partition]
        if position >= len(hashes) or hashes[position] != digest(raw):
            other.append(f"partition {partition} offset {offset}")
        if position in seen[partition]:
            repeats += 1
        elif position > last.get(partition, position - 1) + 1:
            disorder.append(f"partition {partition} position {position}")
        seen[partition].add(position)
        last[partition] = max(position, last.get(partition, -1))
    findings.wrong(f"{service}: Kafka holds records that are not in its ledger", other)
    findings.wrong(f"{service}: Kafka holds a record ahead of one that is missing", disorder)
    missing = [
        f"partition {number} position {position}"
        for number, positions in seen.items()
        for position in range(min(positions, default=0), record.published.get(number, 0))
        if position not in positions and positions
    ]
    findings.wrong(f"{service}: published and not in Kafka", missing)
    findings.count(f"{service}: records repeated in Kafka (harmless)", repeats)
    return count


def compare_inboxes(records_of: Mapping[str, Record], findings: Findings) -> None:
    """Check that every subscriber has applied every position of every source."""
    for service, record in records_of.items():
        behind = []
        subscription = parts_of(service).subscription
        for source in subscription.topics if subscription else ():
            for number, (length, _) in records_of[source].lengths.items():
                position = record.inbox.get((str(source), number), -1)
                if position != length - 1:
                    behind.append(f"{source} partition {number} at {position} of {length - 1}")
        findings.wrong(f"{service}: has not applied everything it hears", behind)


def read_acks(path: Path) -> list[tuple[str, str]]:
    """Return (act id, result) for each act that a client was told something about.

    Raises:
        MalformedInput: a line is not what a client writes; it names the line. Or no act stands there, which would prove nothing.
    """
    told: list[tuple[str, str]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            entry = orjson.loads(line)
            if 200 <= int(entry["status"]) < 300:
                told.extend((str(act["act_id"]), str(act["result"])) for act in entry["acts"] if act.get("act_id"))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise MalformedInput(
                f"{path.name}:{number}: not a line of acknowledgements: each is {{status, acts: [{{act_id, result}}]}}"
            ) from None
    if not told:
        raise MalformedInput(f"{path.name} names no act that was acknowledged, so there is nothing to compare: is it the client's log?")
    return told


def compare_evidence(records_of: Mapping[str, Record], acks: list[tuple[str, str]] | None, findings: Findings) -> None:
    """Check accepted = recorded + waiting, recorded = counted + set aside, piece by piece, and that all that was acknowledged is there."""
    evidence, mastery = records_of[Topic.EVIDENCE], records_of[Topic.MASTERY]
    accepted, recorded = evidence.ids.get("evidence.accepted.v1", []), evidence.ids.get(RECORDED, [])
    counted = [*mastery.ids.get("mastery.estimated.v1", []), *mastery.ids.get("mastery.re-estimated.v1", [])]
    waiting = set(accepted) - set(recorded)
    aside = {id for id, place in evidence.places.items() if (str(Topic.EVIDENCE), *place) in mastery.aside}
    findings.count("evidence accepted", len(accepted))
    findings.count("  recorded", len(recorded))
    findings.count("  waiting", len(waiting))
    findings.count("counted by mastery", len(counted))
    findings.count("  set aside by mastery", len(aside))
    for what, ids in (("accepted", accepted), ("recorded", recorded), ("counted", counted)):
        findings.wrong(f"evidence {what} twice", (id for id, times in Counter(ids).items() if times > 1))
    findings.wrong("recorded without being accepted", set(recorded) - set(accepted))
    findings.wrong("counted without being recorded", set(counted) - set(recorded))
    findings.wrong("recorded, and neither counted nor set aside", set(recorded) - set(counted) - aside)
    if acks is not None:
        findings.count("acts that clients were told about", len({act for act, _ in acks}))
        findings.wrong("acknowledged and not in the ledger", {act for act, result in acks if result in KEPT} - set(accepted))
        was_told = {act for act, result in acks if result == "recorded"}
        findings.wrong("told as recorded and not recorded", was_told - set(recorded))


async def settle(urls: Mapping[str, str], seconds: float, pause_s: float) -> None:
    """Wait until every subscriber has applied what its sources hold, or the time is over."""
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        lengths, inboxes = {}, {}
        for service in urls:
            async with reading(urls[service]) as pool:
                lengths[service] = {number: length for number, (length, _) in (await read.lengths(pool)).items()}
                inboxes[service], _, _ = await read.standing(pool)
        if all(position == lengths[source][number] - 1 for inbox in inboxes.values() for (source, number), position in inbox.items()):
            return
        await asyncio.sleep(pause_s)
