"""A Kafka consumer that gets past records whose header names are no text, where aiokafka's own raises at them again and again, for ever;
that takes records of even and of odd partitions alike, where aiokafka's takes all of one partition before it turns to the next; that
can be stopped while a broker is away; and that can join its group again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

FETCH_MS: Final = 500
"""Time to fetch again what was dropped."""
MAX_RECORDS: Final = 1_000
UNREADABLE: Final = (
    b"cairn: the name of a header of this record is no text, so that it cannot be read; its bytes are on Kafka at this offset"
)
"""What stands for the value of such a record: not one of our envelopes, hence parked."""


class TolerantConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types.
    """Delivers a record with an unreadable header name as a foreign one, in its place and order."""

    async def stop(self) -> None:
        """Stop, as aiokafka does. It cancels its fetches then; one that waits to be tried again, since its broker is away, lets the
        cancellation out, which would end whoever stops the consumer.
        """
        try:
            await super().stop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            for fetch in self._fetcher._pending_tasks:
                fetch.cancel()
            await self._client.close()

    def join_again(self) -> None:
        """Ask the group for partitions again. Kafka assigns all anew where this member leads the group, and else changes nothing."""
        self._coordinator.request_rejoin()

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """Return the next records, as aiokafka does; half of `max_records` at most from partitions with even numbers, where it is two
        or more: of one alone the odd ones would take all, for as long as they have records."""
        before = self._positions(partitions)
        try:
            found: dict[TopicPartition, list[Any]] = {}
            if max_records is not None and max_records > 1 and not partitions:
                found = await self._of_both(max_records)
            if not found:
                found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        except UnicodeDecodeError:
            mine = self.assignment()
            return await self._one_by_one({place: at for place, at in before.items() if place in mine}, max_records or MAX_RECORDS)
        return found

    async def _of_both(self, most: int) -> dict[TopicPartition, list[Any]]:
        """Return records that have been fetched already."""
        mine = self.assignment()
        even = [place for place in mine if place.partition % 2 == 0]
        found: dict[TopicPartition, list[Any]] = {}
        for places, share in ((even, most // 2), ([place for place in mine if place.partition % 2], most)):
            left = share - sum(map(len, found.values()))
            try:
                if places and left > 0:
                    found |= await super().getmany(*places, timeout_ms=0, max_records=left)
            except KafkaError:
                if not found:  # Else what is there comes first; the fault comes again with the next fetch.
                    raise
        return found

    def _positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where these partitions, or all that are not paused, are read next; those that have no place yet have no records."""
        subscription = self._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return {}
        states = {place: subscription.assignment.state_value(place) for place in partitions or self.assignment() - self.paused()}
        return {place: state.position for place, state in states.items() if state is not None and state.has_valid_position}

    async def _one_by_one(self, partitions: Mapping[TopicPartition, int], most: int) -> dict[TopicPartition, list[Any]]:
        for place, position in partitions.items():  # What was fetched is dropped; what the failed call took of other partitions, too.
            self.seek(place, position)
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
