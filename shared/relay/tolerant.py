"""A Kafka consumer that gets past records whose header names are no text; aiokafka's own raises at them again and again, for ever."""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

FETCH_MS: Final = 500
"""Time to fetch again what was dropped."""
MAX_RECORDS: Final = 1_000
UNREADABLE: Final = (
    b"cairn: the name of a header of this record is no text, so that it cannot be read; its bytes are on Kafka at this offset"
)
"""What stands for the value of such a record: not one of our envelopes, hence parked."""


class TolerantConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types.
    """Delivers a record with an unreadable header name as a foreign one, in its place and order."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """Return the next records, as aiokafka does."""
        try:
            found: dict[TopicPartition, list[Any]] = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        except UnicodeDecodeError:
            return await self._one_by_one(set(partitions) or self.assignment() - self.paused(), max_records or MAX_RECORDS)
        return found

    async def _one_by_one(self, partitions: set[TopicPartition], most: int) -> dict[TopicPartition, list[Any]]:
        for place in partitions:  # What was fetched is dropped, and with it what the failed call took from it.
            self.seek(place, await self.position(place))
        found: dict[TopicPartition, list[Any]] = {}
        for place in partitions:
            records: list[Any] = []
            while len(records) < most:
                try:
                    got = await super().getmany(place, timeout_ms=0 if records else FETCH_MS, max_records=1)
                except UnicodeDecodeError:
                    offset = await self.position(place)
                    self.seek(place, offset + 1)
                    records.append(_unreadable(place, offset))
                    break
                if not got:
                    break
                records += got[place]
            if records:
                found[place] = records
        return found


def _unreadable(place: TopicPartition, offset: int) -> Any:
    return ConsumerRecord(place.topic, place.partition, offset, 0, 1, None, UNREADABLE, None, -1, len(UNREADABLE), ())
