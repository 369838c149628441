"""I3 and I4 on the wire: a topic holds what its ledger published, all of it and nothing else; what is gone was old enough to go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import psycopg

from services.cli.audit.book import Book, number_of
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation
from services.cli.audit.reading import Standing
from shared.contracts.envelope import Header, digest
from shared.contracts.topics import RETENTION_MS, topic_name
from shared.ledger.store import rows_json
from shared.relay.kept import Kept, NoTopic, kept
from shared.relay.walk import stamped

HASHES: Final = "SELECT position, hash FROM event WHERE service = ? AND partition = ? ORDER BY position"
TIMES: Final = "SELECT position, at FROM event WHERE service = ? AND partition = ? ORDER BY position"
HASH_BYTES: Final = 32
LATER: Final = 1_000
"""Records from behind the lengths that were read that are looked up in the ledger at once."""
STANDS_NOW: Final = """
    SELECT partition, position, encode(sha256(bytes), 'hex') FROM event
    JOIN jsonb_to_recordset(%s) AS r(partition int, position bigint) USING (partition, position)"""
LAWFUL: Final = {"message.timestamp.type": "LogAppendTime", "retention.bytes": "-1", "cleanup.policy": "delete"}
"""Settings of a topic under which nothing is lost before its time; nor is it where `retention.ms` is RETENTION_MS or more."""


@dataclass
class _Lane:
    """One partition of a topic as it is read: what the ledger says, and what was seen of it."""

    hashes: bytes
    """32 bytes for each event: 10^6 events of one service are 32 MB."""
    seen: bytearray
    last: int = -1
    count: int = 0
    repeats: int = 0
    foreign: int = 0
    other: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)

    def take(self, partition: int, offset: int, position: int, raw: bytes) -> bool:
        """Take a record that is an envelope, of what the ledger held when it was read; return whether it holds it."""
        hash = bytes.fromhex(digest(raw))
        if self.hashes[position * HASH_BYTES : (position + 1) * HASH_BYTES] != hash:
            self.other.append(f"partition {partition} offset {offset}")
            return False
        if self.seen[position]:
            self.repeats += 1
        elif (
            self.count
            and position > self.last + 1
            and self.hashes[(position - 1) * HASH_BYTES : position * HASH_BYTES] != bytes(HASH_BYTES)
        ):
            self.disorder.append(f"partition {partition} position {position} follows {self.last}")
        self.count += 1
        self.seen[position] = 1
        self.last = max(self.last, position)
        return True


class _Later:
    """Records whose position the ledger had not come to when it was read: each is compared with the ledger as it is now, some at a time.
    Only what was committed is published, so an event that was told meanwhile is there by now."""

    def __init__(self, url: str, lanes: dict[int, _Lane]) -> None:
        self._url, self._lanes = url, lanes
        self._waiting: list[tuple[int, int, int, str]] = []
        self.count = 0
        """Records that the ledger holds by now."""

    async def take(self, partition: int, offset: int, position: int, raw: bytes) -> None:
        """Take a record that is an envelope."""
        self._waiting.append((partition, offset, position, digest(raw)))
        if len(self._waiting) >= LATER:
            await self.look_up()

    async def look_up(self) -> None:
        """Compare what was taken; what no ledger holds is put with its lane's foreign records."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        wanted = rows_json({"partition": partition, "position": position} for partition, _, position, _ in waiting)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            rows = await (await connection.execute(STANDS_NOW, [wanted])).fetchall()
        held = {(partition, position): hash for partition, position, hash in rows}
        for partition, offset, position, hash in waiting:
            if held.get((partition, position)) == hash:
                self.count += 1
            else:
                self._lanes[partition].other.append(f"partition {partition} offset {offset}")


async def check_topic(installation: Installation, service: str, standing: Standing, book: Book, emptied: bool, findings: Findings) -> None:
    """Compare what Kafka holds of a service with its ledger; where it was emptied on purpose, what is missing is only counted."""
    assert installation.kafka_servers is not None
    me, topic = number_of(service), topic_name(installation.prefix, service)
    try:
        found = await kept(installation.kafka_servers, topic, sorted(standing.lengths))
    except NoTopic:
        findings.count("I3", f"{service}: records in Kafka", 0)
        gone = sum(standing.published.values())
        if gone and not emptied:
            findings.wrong("I3", f"{service}: published, and not in Kafka, where there is no topic {topic}", [f"{gone:,} events"])
        return
    lanes = {number: _Lane(_hashes(book, me, number, length), bytearray(length)) for number, length in standing.lengths.items()}
    times, later = _Times(), _Later(installation.urls[service], lanes)
    records = 0
    async for partition, offset, at_ms, raw in stamped(installation.kafka_servers, topic, sorted(lanes)):
        records += 1
        lane = lanes[partition]
        try:
            header = Header.read(raw)
        except ValueError:
            lane.foreign += 1  # Not ours: whoever reads it parks it.
            continue
        if header.position >= len(lane.seen):
            await later.take(partition, offset, header.position, raw)
        elif lane.take(partition, offset, header.position, raw):
            times.see(header, at_ms)
    await later.look_up()
    findings.count("I3", f"{service}: records in Kafka", records)
    findings.count("I3", f"{service}: published meanwhile, and in the ledger by now", later.count)
    findings.count("I3", f"{service}: repeated in Kafka (harmless)", sum(lane.repeats for lane in lanes.values()))
    findings.wrong("I4", f"{service}: Kafka holds records that are not in its ledger", _joined(lane.other for lane in lanes.values()))
    findings.wrong(
        "I3",
        f"{service}: Kafka holds a record ahead of one that is missing",
        _joined(lane.disorder for lane in lanes.values() if not emptied),
    )
    keeps_ms = None if found.retention_ms is None else max(found.retention_ms, RETENTION_MS)
    _check_missing(service, standing, lanes, found, times.gone_before_us(keeps_ms), book, emptied, findings)
    unlike = [
        f"{name} is {found.settings.get(name)}, not {wanted}" for name, wanted in LAWFUL.items() if found.settings.get(name) != wanted
    ]
    if found.retention_ms is not None and found.retention_ms < RETENTION_MS:
        unlike.append(f"retention.ms is {found.retention_ms}, not {RETENTION_MS} or more")
    findings.wrong("I3", f"{service}: the settings of {topic} lose records before their time", unlike)


def _hashes(book: Book, service: int, number: int, length: int) -> bytes:
    """Return the hashes of a partition, each at its position; where a hole was recorded, zeros."""
    hashes = bytearray(length * HASH_BYTES)
    for position, hash in book.rows(HASHES, service, number):
        if position < length:
            hashes[position * HASH_BYTES : (position + 1) * HASH_BYTES] = hash
    return bytes(hashes)


def _check_missing(
    service: str, standing: Standing, lanes: dict[int, _Lane], found: Kept, gone_before_us: int | None, book: Book, emptied: bool,
    findings: Findings,
) -> None:  # fmt: skip
    """Tell what was published and is gone: lawful where Kafka's log was cut and the event is older than Kafka keeps it."""
    lost: list[str] = []
    old = 0
    for number, lane in lanes.items():
        published = standing.published[number]
        if lane.seen.count(0, 0, published) == 0:
            continue
        for position, at_us in book.rows(TIMES, number_of(service), number):
            if position >= published or lane.seen[position]:
                continue
            if found.starts[number] > 0 and gone_before_us is not None and at_us <= gone_before_us:
                old += 1
            else:
                lost.append(f"partition {number} position {position}")
    findings.count("I3", f"{service}: older than Kafka keeps them", old)
    if emptied:
        findings.count("I3", f"{service}: lacking in the topic that was emptied", len(lost))
        return
    findings.wrong("I3", f"{service}: published, younger than Kafka keeps records, and not in Kafka", lost)


class _Times:
    """How the clock that the events tell stands to Kafka's: events may have a simulated time, and were published after they were told."""

    def __init__(self) -> None:
        self._delay_us: int | None = None

    def see(self, header: Header, at_ms: int) -> None:
        """Look at an event and when Kafka took it: the shortest delay seen is nearest to the clocks' difference."""
        told = datetime.fromisoformat(header.attributes["time"]).timestamp()
        delay = at_ms * 1_000 - round(told * 1_000_000)
        self._delay_us = delay if self._delay_us is None else min(self._delay_us, delay)

    def gone_before_us(self, retention_ms: int | None) -> int | None:
        """Return the time of events (microseconds since 1970, by their own clock) before which Kafka may have dropped them; None: never."""
        if retention_ms is None:
            return None
        return round(time.time() * 1_000_000) - retention_ms * 1_000 - (self._delay_us or 0)


def _joined(lists: Iterable[list[str]]) -> list[str]:
    return [case for cases in lists for case in cases]
