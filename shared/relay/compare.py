"""Whether a ledger still holds what it has published: a database restored from a backup may lie behind its readers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from psycopg import AsyncConnection

from shared.contracts.envelope import Header, digest
from shared.errors import Diverged
from shared.relay.tolerant import TolerantConsumer

LAST: Final = 20
"""Records at the end of each topic partition that are looked at: the very last may be a foreign one, or a repeat."""
TIMEOUT_S: Final = 30.0
POLL_MS: Final = 200
BYTES_OF: Final = "SELECT bytes FROM event WHERE partition = %s AND position = %s"


async def compare(connection: AsyncConnection[Any], kafka_servers: str, topic: str, source: str, partitions: int) -> None:
    """Compare the last records of each topic partition with the ledger.

    Raises:
        Diverged: Kafka holds an event that the ledger does not hold, or holds otherwise.
        aiokafka.errors.KafkaError: the topic cannot be read.
    """
    for place, raws in (await _last_records(kafka_servers, [TopicPartition(topic, number) for number in range(partitions)])).items():
        furthest = max(_ours(raws, source, place.partition), key=lambda header: header.position, default=None)
        if furthest is None:
            continue
        row = await (await connection.execute(BYTES_OF, [place.partition, furthest.position])).fetchone()
        if row is None or digest(bytes(row[0])) != digest(furthest.raw):
            catch_up = f"`cairn ledger catch-up {source.rpartition('/')[2]}`"
            found = (
                f"not in the ledger: this database was restored behind its readers. Keep the service stopped and run {catch_up}, which "
                f"copies back what is missing"
                if row is None
                else f"another one in the ledger: this database was restored behind its readers and has gone on by itself. Restore the "
                f"backup again, keep the service stopped and run {catch_up} before it starts"
            )
            raise Diverged(f"event {furthest.position} of partition {place.partition} was published on {topic} and is {found}")


def _ours(raws: Iterable[bytes], source: str, partition: int) -> list[Header]:
    headers = []
    for raw in raws:
        try:
            header = Header.read(raw)
        except ValueError:
            continue
        if header.attributes["source"] == source and header.attributes["partition"] == partition:
            headers.append(header)
    return headers


async def _last_records(kafka_servers: str, places: list[TopicPartition]) -> dict[TopicPartition, list[bytes]]:
    """Return the values of the last records of each partition, as far as they are still there."""
    consumer = TolerantConsumer(bootstrap_servers=kafka_servers, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign(places)
        starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        unread = {place for place in places if ends[place] > starts[place]}
        for place in places:
            consumer.seek(place, max(starts[place], ends[place] - LAST))
        found: dict[TopicPartition, list[bytes]] = {place: [] for place in places}
        async with asyncio.timeout(TIMEOUT_S):
            while unread:
                for place, records in (await consumer.getmany(*unread, timeout_ms=POLL_MS)).items():
                    found[place] += [record.value or b"" for record in records]
                    if records[-1].offset >= ends[place] - 1:
                        unread.discard(place)
    except TimeoutError:
        raise KafkaTimeoutError(f"the ends of {places[0].topic} could not be read in {TIMEOUT_S} s") from None
    finally:
        await consumer.stop()
    return found
