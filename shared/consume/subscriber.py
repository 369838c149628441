"""One FastStream batch subscriber over all topics that a service hears, wired by `shared/consume/wiring.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from psycopg import Error

from shared.consume.hands import Hands
from shared.consume.health import Health, Progress, Unread
from shared.consume.inward import Inward
from shared.consume.reader import Lane
from shared.consume.wiring import DRAIN_S, MAX_POLL_INTERVAL_MS, batches, start, traceparents
from shared.consume.write import Impatient, Stopping, Writer
from shared.contracts.topics import topic_name
from shared.errors import NoTopic
from shared.ledger import InboxMoved, Incoming
from shared.ledger.failures import is_passing
from shared.ledger.ledger import Ledger
from shared.ledger.park import unresolved
from shared.ledger.patience import in_time
from shared.parts import Subscription
from shared.relay.control import Control, Lengths, Refill, Told
from shared.relay.topics import ensure_topics
from shared.settings import Settings
from shared.tasks import end
from shared.telemetry import span

if TYPE_CHECKING:
    from shared.telemetry import Metrics

MAX_REREADS: Final = 5
"""Times that a batch is read again because the inbox moved under it, before it is fetched again."""
LOOK_S: Final = 1.0
"""Time between two looks for lost records and partitions that stand still."""
UNREAD_S: Final = 30.0
"""Time that a partition may be behind and stand still, while this worker does not read it, before the group is joined again."""
SURVEY_S: Final = 5.0
"""Time between two surveys of the whole inbox; committed offsets follow at the same pace, as a hint for lag metrics."""

log = structlog.get_logger(__name__)


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types.
    """Hears a service's sources. `run` until `stop`; `progress` at any time."""

    def __init__(
        self, *, ledger: Ledger, subscription: Subscription, service: str, settings: Settings, control: Control,
        metrics: Metrics | None = None,
    ) -> None:  # fmt: skip
        """Prepare; nothing is opened.

        Raises:
            Misconfigured: Kafka's address is not set, or the subscription has a use for no event.
        """
        self._ledger, self._service, self._settings, self._control = ledger, service, settings, control
        self._sources = [str(topic) for topic in subscription.topics]
        self._source_of = {topic_name(settings.topic_prefix, source): source for source in self._sources}
        self._stopping, self._ended = asyncio.Event(), asyncio.Event()
        self._inward = Inward(subscription, settings.zone())
        self._writer = Writer(ledger, self._stopping, MAX_POLL_INTERVAL_MS / 2_000)
        self._hands = Hands(settings.consume_max_records)
        self._health = Health(settings.stalled_after_s, time.monotonic(), metrics)
        self._lanes: dict[TopicPartition, Lane] = {}
        self._unseated: set[TopicPartition] = set()
        self._in_hand: set[TopicPartition] = set()
        """Partitions whose records are being applied: their lanes are ahead of the inbox."""
        self._sought: set[TopicPartition] = set()
        """Partitions that were sought since the last poll: its records of theirs are not the next ones."""
        self._unread = Unread()
        self._failure: Exception | None = None
        self.broker, self._subscriber = batches(settings, service, list(self._source_of), self, self._handle)
        control.listeners.append(self._hear)

    async def run(self) -> None:
        """Consume until stopped; then finish the batch in hand.

        Raises:
            TooManyParked, Unparkable, OutdatedDecider, psycopg.Error: going on would help nobody; the service must stop.
            WrongPartitionCount: a source's topic has another number of partitions than this ledger.
        """
        watch = None
        try:
            await self._begin()
            watch = asyncio.create_task(self._watch(), name="consumer-watch")
            await self._ended.wait()
        finally:
            self._stopping.set()
            if watch is not None:
                await end(watch)
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._hands.rest()
            await self.broker.stop()
        if self._failure is not None:
            raise self._failure

    async def _begin(self) -> None:
        """Find the topics and join the group; where Kafka cannot do it yet, such as while it elects a leader, again and again."""
        settings, begun = self._settings, False
        while not begun and not self._stopping.is_set():
            try:
                await ensure_topics(settings.kafka(), settings.topic_prefix, self._sources, settings.partitions)
                await start(self.broker)
                begun = True
            except (KafkaError, NoTopic, OSError) as error:
                log.warning("consumer starts again", error=type(error).__name__, again_in_s=LOOK_S)
                await self.broker.stop()
                await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """Let `run` end: the batch in hand is committed, what waits for a passing error is left for the next start."""
        self._stopping.set()
        self._ended.set()

    def lag(self) -> int:
        """Return how many events of all sources are not applied yet."""
        return self._health.lag()

    def progress(self) -> Progress:
        """Return whether this consumer gets on; readiness asks for it."""
        return self._health.progress(time.monotonic(), tuple(lane.diverged for lane in self._lanes.values() if lane.diverged))

    @property
    def _consumer(self) -> Any:
        return self._subscriber.consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Forget everything: another worker may go on. A batch in hand meets the inbox as it is."""
        self._lanes, self._unseated = {}, set()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin where the inbox says."""
        self._lanes, self._unseated = {}, set(assigned)
        if self._unseated:
            self._consumer.pause(*self._unseated)  # Fetching has begun already, at Kafka's offsets.
            await self._seat()

    async def _seat(self) -> None:
        """Read the inbox of the partitions just assigned, seek there, let them flow; while the database is away, the watch tries again."""
        try:
            inboxes = await self._ledger.inbox(self._sources)
        except Error as error:
            if not is_passing(error):
                self._fail(error)
            log.warning("inbox not read", error=type(error).__name__, again_in_s=LOOK_S)
            return
        for place in list(self._unseated):
            source = self._source_of[place.topic]
            lane = Lane(source, f"/{self._settings.installation}/{source}", inboxes[source, place.partition])
            if self._go_to(place, lane):
                self._lanes[place] = lane
                self._consumer.resume(place)
            self._unseated.discard(place)

    def _go_to(self, place: TopicPartition, lane: Lane, offset: int | None = None) -> bool:
        """Seek to an offset, by default to the inbox; at 0 and where the log is cut, Kafka's reset takes over. False: no longer ours."""
        self._sought.add(place)
        try:
            self._consumer.seek(place, lane.inbox.kafka_offset or 0 if offset is None else offset)
        except IllegalStateError:
            return False
        return True

    async def _handle(self, records: Sequence[Any]) -> None:
        """Take one poll's records; returns when they are committed or under way. Never raises: FastStream would skip the batch."""
        self._sought = set()
        if self._stopping.is_set():
            await self._hands.rest()
        else:
            await self._hands.take(records, partial(self._carry, self._sought))

    async def _carry(self, sought: set[TopicPartition], records: Sequence[Any]) -> None:
        """Apply records of one poll; returns when they are committed, or the service stops."""
        if self._stopping.is_set():
            return
        try:
            links = traceparents(records)
            with span("consume", parent=links[0] if links else None, links=links[1:], records=len(records)):
                await self._take(records, sought)
        except Stopping:
            pass
        except Exception as error:
            self._fail(error)

    async def _take(self, records: Sequence[Any], sought: set[TopicPartition]) -> None:
        reason = "the inbox moved again and again"
        for _ in range(MAX_REREADS):
            lanes, incoming = self._read(records, sought)
            self._in_hand.update(lanes)
            try:
                if incoming:
                    await self._writer.write(incoming, {lane.place: lane for lane in lanes.values()})
                    self._health.applied({lane.place: lane.inbox for lane in lanes.values()}, time.monotonic())
                await self._settle(lanes)
                return
            except InboxMoved:  # Another worker went on meanwhile, or a commit of unknown outcome was one: nothing was written.
                log.warning("batch refused, the inbox has moved", records=len(records))
                await self._reseat(lanes)
            except Impatient as error:
                reason = str(error)
                break
            finally:
                self._in_hand.difference_update(lanes)
        self._put_back(lanes, reason)

    def _put_back(self, lanes: dict[TopicPartition, Lane], reason: str) -> None:
        """Poll again from where the inbox was last seen: a transaction finds out where it is."""
        log.warning("batch put back", reason=reason)
        for place, lane in lanes.items():
            lane.seat(lane.inbox)
            if self._lanes.get(place) is lane:
                self._go_to(place, lane)

    def _read(self, records: Sequence[Any], sought: set[TopicPartition]) -> tuple[dict[TopicPartition, Lane], list[Incoming]]:
        lanes: dict[TopicPartition, Lane] = {}
        incoming: list[Incoming] = []
        at: tuple[str, int] | None = None
        lane: Lane | None = None
        for number, record in enumerate(records):
            if at != (record.topic, record.partition):
                at = record.topic, record.partition
                place = TopicPartition(*at)
                lane = None if place in sought else self._lanes.get(place)
                if lane is not None:
                    lanes[place] = lane
            if lane is None:  # No longer ours, not seated yet, or sought meanwhile: it will be fetched again.
                continue
            raw = record.value or b""
            verdict = lane.read(record.offset, raw, record.timestamp)
            if verdict is not None:
                incoming.append(self._inward.incoming(lane, record.offset, raw, verdict, number))
        return lanes, incoming

    async def _reseat(self, lanes: dict[TopicPartition, Lane]) -> None:
        """Read the inbox again and put these lanes there; where the database stays away, where they last saw it."""
        end = time.monotonic() + MAX_POLL_INTERVAL_MS / 2_000
        inboxes = {lane.place: lane.inbox for lane in lanes.values()}
        while time.monotonic() < end and not self._stopping.is_set():
            try:
                inboxes = await self._ledger.inbox(self._sources)
                break
            except Error as error:
                if not is_passing(error):
                    raise
                log.warning("inbox not read", error=type(error).__name__, again_in_s=LOOK_S)
                await asyncio.sleep(LOOK_S)
        for lane in lanes.values():
            lane.seat(inboxes[lane.place])

    async def _settle(self, lanes: dict[TopicPartition, Lane]) -> None:
        """Seek where the lanes ask for it, and hold those that diverged."""
        missing = {place: lane for place, lane in lanes.items() if lane.reseat}
        if missing:
            await self._reseat(missing)
        for place, lane in lanes.items():
            if self._lanes.get(place) is not lane:
                continue
            if place in missing:
                self._go_to(place, lane)
            elif lane.seek is not None:
                self._go_to(place, lane, lane.seek)
                lane.seat(lane.inbox)
            if lane.diverged:
                self._hold(place, lane)

    def _hold(self, place: TopicPartition, lane: Lane) -> None:
        if self._consumer is not None and place in self._consumer.assignment() - self._consumer.paused():
            log.error("partition stopped", source=lane.service, partition=lane.partition, reason=lane.diverged)
            self._consumer.pause(place)

    def _fail(self, error: Exception) -> None:
        log.error("consumer stops", exc_info=error)
        self._failure = self._failure or error
        self._stopping.set()
        self._ended.set()

    def _hear(self, told: Told) -> None:
        message = told.message
        if not isinstance(message, Lengths) or message.service not in self._sources:
            return
        for each in message.partitions:
            self._health.told(message.service, each.partition, each.length)
            place = TopicPartition(topic_name(self._settings.topic_prefix, message.service), each.partition)
            lane = self._lanes.get(place)
            if lane is not None:
                lane.told(each.length, each.head, told.at_ms)
                if lane.diverged:
                    self._hold(place, lane)

    async def _watch(self) -> None:
        surveyed = 0.0
        while True:
            try:
                async with in_time():
                    if self._unseated:
                        await self._seat()
                    await self._look()
                    if time.monotonic() - surveyed >= SURVEY_S:
                        surveyed = time.monotonic()
                        await self._survey()
            except Exception as error:
                if not isinstance(error, KafkaError) and not (isinstance(error, Error) and is_passing(error)):
                    self._fail(error)
                    return
                log.warning("what was not received is not looked for", error=type(error).__name__, again_in_s=LOOK_S)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        """Ask for records that are missing."""
        now = time.monotonic()
        for place, lane in list(self._lanes.items()):
            if place not in self._in_hand:
                lane.look(now, at_end=await self._at_end(place))
            wanted = lane.wanted(now)
            if wanted:
                refill = Refill(service=lane.service, reader=self._service, partition=lane.partition, start=wanted[0], end=wanted[1])
                log.warning("records are missing, asking for them", **refill.model_dump())
                await self._control.send(refill)

    async def _at_end(self, place: TopicPartition) -> bool:
        try:
            end = self._consumer.highwater(place)
            return end is not None and await self._consumer.position(place) >= end
        except (IllegalStateError, AssertionError):  # Revoked meanwhile.
            return False

    def _ask_for_unread(self, now: float) -> None:
        """Let the group assign anew where a partition stands still that this worker does not read."""
        mine = {lane.place for lane in self._lanes.values()}
        unread = {place: at for place, at in self._health.unmoved(now, UNREAD_S).items() if place not in mine}
        if self._unread.is_due(unread, now):
            log.warning("partitions stand still unread here, joining the group again", partitions=len(unread))
            self._consumer.join_again()

    async def _survey(self) -> None:
        """Look how far the whole service is, and commit offsets, for lag metrics and autoscaling only."""
        self._health.applied(await self._ledger.inbox(self._sources), time.monotonic())
        self._ask_for_unread(time.monotonic())
        self._health.parked(self._service, await unresolved(self._ledger.pool))
        offsets = {place: lane.inbox.kafka_offset for place, lane in self._lanes.items() if lane.inbox.kafka_offset is not None}
        if offsets:
            await self._consumer.commit(offsets)
