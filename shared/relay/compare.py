"""Whether a ledger still holds what it has published: a database restored from a backup may lie behind its readers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from psycopg import AsyncConnection

from shared.contracts.envelope import Header
from shared.errors import Diverged
from shared.ledger.patience import in_time
from shared.relay.tolerant import TolerantConsumer

LAST: Final = 20
"""Records at the end of each topic partition that are looked at: the very last may be a foreign one, or a repeat."""
FURTHER: Final = 50
"""Factor by which more is looked at where the end holds but repeats."""
TIMEOUT_S: Final = 30.0
POLL_MS: Final = 200
PUBLISHED: Final = "SELECT partition, position FROM published"
BYTES_OF: Final = "SELECT bytes FROM event WHERE partition = %s AND position = %s"


async def compare(connection: AsyncConnection[Any], kafka_servers: str, topic: str, source: str, partitions: Iterable[int]) -> bool:
    """Compare the last records of these topic partitions with the ledger; return whether they still hold all that was published last.

    Where it does not, it was cut or lost, and cannot say whether the ledger is whole.

    Raises:
        Diverged: Kafka holds an event that the ledger does not hold, or holds otherwise.
        aiokafka.errors.KafkaError: the topic cannot be read.
    """
    async with in_time():
        published = dict(await (await connection.execute(PUBLISHED)).fetchall())
    unseen, back = [TopicPartition(topic, number) for number in partitions], LAST
    vouched = True
    while unseen:
        ends = await _furthest(kafka_servers, unseen, back, source)
        # Where the end holds less than was published, it holds repeats for some reader: what was told last stands before them.
        seen = [place for place in unseen if ends[place].whole or ends[place].position >= published[place.partition] - 1]
        vouched = vouched and all(ends[place].position >= published[place.partition] - 1 for place in seen)
        for furthest in (ends[place].header for place in seen):
            if furthest is not None:
                await _check(connection, furthest, topic, source)
        unseen, back = [place for place in unseen if place not in seen], back * FURTHER
    return vouched


@dataclass(slots=True)
class _End:
    """The furthest event among the last records of a partition; `whole` where these are all that there are."""

    whole: bool
    header: Header | None = None

    @property
    def position(self) -> int:
        return -1 if self.header is None else self.header.position

    def see(self, raw: bytes, source: str, partition: int) -> None:
        """Look at one more record."""
        try:
            header = Header.read(raw)
        except ValueError:
            return
        if (header.attributes["source"], header.attributes["partition"]) == (source, partition) and header.position >= self.position:
            self.header = header


async def _check(connection: AsyncConnection[Any], furthest: Header, topic: str, source: str) -> None:
    number = furthest.attributes["partition"]
    async with in_time():
        row = await (await connection.execute(BYTES_OF, [number, furthest.position])).fetchone()
    if row is not None and bytes(row[0]) == furthest.raw:
        return
    catch_up = f"`cairn ledger catch-up {source.rpartition('/')[2]}`"
    found = (
        f"not in the ledger: this database was restored behind its readers. Keep the service stopped and run {catch_up}, which "
        f"copies back what is missing"
        if row is None
        else f"another one in the ledger: this database was restored behind its readers and has gone on by itself. Restore the "
        f"backup again, keep the service stopped and run {catch_up} before it starts"
    )
    raise Diverged(f"event {furthest.position} of partition {number} was published on {topic} and is {found}")


async def _furthest(kafka_servers: str, places: list[TopicPartition], back: int, source: str) -> dict[TopicPartition, _End]:
    """Return what the last `back` records of each partition hold, as far as they are still there."""
    consumer = TolerantConsumer(bootstrap_servers=kafka_servers, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign(places)
        starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        unread = {place for place in places if ends[place] > starts[place]}
        for place in places:
            consumer.seek(place, max(starts[place], ends[place] - back))
        found = {place: _End(ends[place] - back <= starts[place]) for place in places}
        async with asyncio.timeout(TIMEOUT_S * max(1, back // LAST // FURTHER)):
            while unread:
                for place, records in (await consumer.getmany(*unread, timeout_ms=POLL_MS)).items():
                    for record in records:
                        found[place].see(record.value or b"", source, place.partition)
                    if records[-1].offset >= ends[place] - 1:
                        unread.discard(place)
    except TimeoutError:
        raise KafkaTimeoutError(f"the ends of {places[0].topic} could not be read in time") from None
    finally:
        await consumer.stop()
    return found
