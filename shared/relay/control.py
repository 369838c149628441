"""What services tell each other on the control topic: how long their ledgers are, and which lost records they want again.

These messages are hints: each may be lost, repeated or late. They are read from now on, never from the past.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.contracts.envelope import MAX_INTEGER, Hash
from shared.contracts.topics import CONTROL, topic_name
from shared.relay.tolerant import TolerantConsumer
from shared.relay.topics import ensure_topics
from shared.tasks import end

RETRY_S: Final = 1.0
START_S: Final = 60.0
"""Time for which a start waits to hear the topic that was just found."""
POLL_MS: Final = 500
SEND_MS: Final = 10_000
"""Time after which a message is given up: well below the reader's GRACE_MS, so that no old length contradicts a newer event."""
QUIET_S: Final = 30.0
"""Time in which nothing may have been told though all is well: lengths are told every 5 s, but for half a minute the relay's lock may be
that of a machine which was cut off. After it the topic is listened to anew."""
MAX_MESSAGES: Final = 500
"""Control messages taken at once."""

MAX_PARTITIONS: Final = 4_096
"""Partitions that one message may tell of."""

log = structlog.get_logger(__name__)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Length(_Message):
    """How far one partition of a ledger reaches, and the hash of its last event (where it is empty, the start of its chain)."""

    partition: int = Field(ge=0, le=MAX_INTEGER)
    length: int = Field(ge=0, le=MAX_INTEGER)
    head: Hash


class Lengths(_Message):
    """What a service's ledger holds."""

    kind: Literal["lengths"] = "lengths"
    service: str
    partitions: tuple[Length, ...]


class Refill(_Message):
    """A reader has lost the records of positions [start, end) of a service's partition."""

    kind: Literal["refill"] = "refill"
    service: str = Field(max_length=64, description="Whose ledger they come from.")
    reader: str = Field(
        max_length=64, description="The service that lost them; a later request of the same reader replaces its earlier one."
    )
    partition: int = Field(ge=0, le=MAX_INTEGER)
    start: int = Field(ge=0, le=MAX_INTEGER)
    end: int = Field(gt=0, le=MAX_INTEGER)


class Heard(_Message):
    """How far a reader has applied one partition: the last position, and the hash of that event."""

    partition: int = Field(ge=0, le=MAX_INTEGER)
    position: int = Field(ge=0, le=MAX_INTEGER)
    head: Hash


class Heads(_Message):
    """How far a reader has applied a service's partitions; those of which it applied nothing are left out."""

    kind: Literal["heads"] = "heads"
    service: str = Field(max_length=64, description="Whose ledger it is about.")
    reader: str = Field(max_length=64)
    partitions: tuple[Heard, ...] = Field(max_length=MAX_PARTITIONS)


class WhoHeard(_Message):
    """A service asks its readers how far they have applied it, since Kafka does not say."""

    kind: Literal["who-heard"] = "who-heard"
    service: str = Field(max_length=64)


Message = Lengths | Refill | Heads | WhoHeard
_MESSAGES: Final[TypeAdapter[Message]] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


@dataclass(frozen=True, slots=True)
class Told:
    """A control message and when the broker took it, in milliseconds."""

    message: Message
    at_ms: int


class Control:
    """This process's line to the control topic. `listeners` are called with each message and must not wait."""

    def __init__(self, kafka_servers: str, prefix: str) -> None:
        self._servers, self._prefix, self._topic = kafka_servers, prefix, topic_name(prefix, CONTROL)
        self.listeners: list[Callable[[Told], None]] = []
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[bool] | None = None
        self._making: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._listened_at = self._heard_at = time.monotonic()

    async def start(self) -> None:
        """Create the topic where it is missing, and begin to listen; returns once messages sent from now on will be heard.

        Raises:
            aiokafka.errors.KafkaError: the topic cannot be made, or not be heard.
        """
        await self._ensure_topic()
        producer = AIOKafkaProducer(bootstrap_servers=self._servers, acks="all", request_timeout_ms=SEND_MS)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        self._task = asyncio.create_task(self._listen(), name="control")
        try:
            async with asyncio.timeout(START_S):
                await self._ready.wait()
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise KafkaTimeoutError(f"the topic {self._topic} could not be heard within {START_S:.0f} s") from None
            raise

    async def stop(self) -> None:
        """Stop listening and sending."""
        await end(*(task for task in (self._task, self._telling, self._making) if task is not None))
        if self._producer is not None:
            await self._producer.stop()

    def silent_s(self) -> float:
        """Return for how many seconds nobody has listened, or nothing was heard where something must have been told: what was told since
        then is not known here.
        """
        now = time.monotonic()
        return max(now - self._listened_at, now - self._heard_at - QUIET_S)

    def tell(self, message: Message) -> None:
        """Send a message while the caller goes on; where the one before is still under way, leave it out: another will follow."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self.send(message), name="control-tell")

    async def send(self, message: Message) -> bool:
        """Send a message and return whether the broker took it. A failure is logged: whoever needs an answer asks again. The topic is then
        made where it is missing, as one is that was deleted beneath the services; this message would be too old for it.
        """
        if self._producer is None:
            return False
        try:
            await self._producer.send_and_wait(self._topic, message.model_dump_json().encode(), partition=0)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that it knows the partition, which a topic made anew has not yet.
            log.warning("control message not sent", kind=message.kind, error=type(error).__name__)
            if self._making is None or self._making.done():
                self._making = asyncio.create_task(self._make_topic(), name="control-topic")
            return False
        return True

    async def _ensure_topic(self) -> None:
        await ensure_topics(self._servers, self._prefix, (), 1)

    async def _make_topic(self) -> None:
        try:
            await self._ensure_topic()
        except Exception as error:  # It is tried again after the next message that is not sent.
            log.warning("control topic not made", error=type(error).__name__)

    async def _listen(self) -> None:
        while True:
            try:
                await self._read()
            except KafkaError as error:
                log.warning("control topic not read", error=type(error).__name__, again_in_s=RETRY_S)
            except Exception as error:  # Nobody would ask for lost records, nor notice that some are lost.
                log.error("control topic not read", exc_info=error, again_in_s=RETRY_S)
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        await self._ensure_topic()  # aiokafka searches without pause for a topic that is not there.
        consumer = TolerantConsumer(bootstrap_servers=self._servers, auto_offset_reset="latest", enable_auto_commit=False)
        try:
            await consumer.start()
            place = TopicPartition(self._topic, 0)
            consumer.assign([place])
            await consumer.seek_to_end(place)
            self._ready.set()
            await self._hear_all(consumer)
        finally:
            await consumer.stop()

    async def _hear_all(self, consumer: TolerantConsumer) -> None:
        quiet_since = time.monotonic()
        while (now := time.monotonic()) - quiet_since < QUIET_S:
            for records in (await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_MESSAGES)).values():
                for record in records:
                    self._hear(record.value, record.timestamp)
                quiet_since = self._heard_at = now
            self._listened_at = time.monotonic()
        log.warning("control topic is silent, listening anew", silent_s=QUIET_S)

    def _hear(self, value: bytes | None, at_ms: int) -> None:
        try:
            told = Told(_MESSAGES.validate_json(value or b""), at_ms)
        except ValidationError as error:
            log.warning("control message not understood", faults=error.error_count())
            return
        for listener in self.listeners:
            try:
                listener(told)
            except Exception as error:  # The others hear it all the same.
                log.error("control message not taken", kind=told.message.kind, exc_info=error)
