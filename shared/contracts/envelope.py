"""The bytes of an event: canonical JSON in a CloudEvents 1.0 envelope, chained by hash. Stored for ever: nothing here may change.

An event is one byte string. It is stored, published and hashed as it is, and never serialized again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

NAMESPACE: Final = UUID("30bdb08c-e9c4-438b-9e74-407a83b7b9af")
_NAMESPACE_BYTES: Final = NAMESPACE.bytes
MAX_EVENT_BYTES: Final = 256 * 1024
MAX_PAGE_BYTES: Final = 192 * 1024
MAX_INTEGER: Final = 2**53 - 1
MICRO: Final = 1_000_000

T = TypeVar("T", str, UUID)


def canonical(value: Any) -> bytes:
    """Return the canonical form (RFC 8785, restricted to integers and ASCII keys) of a JSON value.

    Raises:
        TypeError: for an integer beyond +-(2^53 - 1), or text that is not valid Unicode. Floats are refused by `Event`, not here.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)


def instant_text(at: datetime) -> str:
    """Return an instant as UTC text, always with six digits: `2026-11-24T08:00:00.000000Z`."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:-6] + "Z"


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def _sorted_once(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted(set(values), key=str))


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after the year 9999 in UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_utc), PlainSerializer(instant_text, return_type=str)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SortedTexts = Annotated[tuple[str, ...], AfterValidator(_sorted_once)]
SortedIds = Annotated[tuple[UUID, ...], AfterValidator(_sorted_once)]
Micros = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Share = Annotated[int, Field(ge=0, le=MICRO)]


class Part(BaseModel):
    """A value inside an event. Fields that equal their default are not written, and a default never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Event(Part):
    """One thing that happened. Subclasses name their type; a published class is never edited, a new meaning is a new class."""

    TYPE: ClassVar[str]

    def body(self) -> dict[str, Any]:
        """Return the event as the JSON value that is stored under `data`."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Sealed(Part):
    """Text that only the holder of a learner's key can read, and a code by which equal texts are known as equal."""

    cipher: str = Field(description="Base64 of nonce, ciphertext and tag (AES-256-GCM under the person's key).")
    mac: Hash = Field(description="HMAC-SHA256 of the text under the same person's key.")


@dataclass(frozen=True, slots=True)
class StreamId:
    """One subject's events. A stream never changes its key; the key chooses the partition."""

    service: str
    kind: str
    id: str = ""
    key: str = ""
    name: str = field(init=False, compare=False)
    """As it stands in events, such as `mastery/learner/<uuid>`."""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.id or self.kind)
        object.__setattr__(self, "name", f"{self.service}/{self.kind}/{self.id}" if self.id else f"{self.service}/{self.kind}")

    def __str__(self) -> str:
        return self.name


def partition_of(key: str, partitions: int) -> int:
    """Return the lane of a key, in [0, partitions): the first 8 bytes, big-endian, of its SHA-256, modulo the number of lanes."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % partitions


def event_id(stream: str, version: int) -> UUID:
    """Return the id of a stream's event: UUIDv5 of `<stream>@<version>`. Ids are derived, never drawn."""
    return UUID(bytes=hashlib.sha1(_NAMESPACE_BYTES + f"{stream}@{version}".encode(), usedforsecurity=False).digest()[:16], version=5)


def chain_start(source: str, partition: int) -> str:
    """Return what stands as `previous` in the first event of a partition."""
    return digest(f"cairn.chain.1\n{source}\n{partition}".encode())


@dataclass(frozen=True, slots=True)
class Origin:
    """What led to an event: the event or request before it, and the first in that line."""

    causation: UUID
    correlation: UUID


E = TypeVar("E", bound=Event, covariant=True)
D = TypeVar("D", bound=Event)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[E]):
    """An event as it stands in a ledger. `raw` is the event; the rest is read from it."""

    id: UUID
    type: str
    source: str
    time: datetime
    stream: str
    version: int
    key: str
    partition: int
    position: int
    previous: str
    decider: str
    settings: int
    release: str
    causation: UUID
    correlation: UUID
    data: E
    raw: bytes

    @property
    def service(self) -> str:
        """The service that told it, the last part of `source`."""
        return self.source.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """The kind of its stream, such as `learner`."""
        return self.stream.split("/", 2)[1]

    @property
    def hash(self) -> str:
        """The hash that the next event of the partition names as `previous`."""
        return digest(self.raw)


def envelope(
    *, source: str, stream: StreamId, version: int, partition: int, position: int, previous: str, at: datetime,
    decider: str, settings: int, release: str, origin: Origin, event: Event,
    id: UUID | None = None,
) -> bytes:  # fmt: skip
    """Return the bytes of one event; `id` spares working out its `event_id` twice.

    Raises:
        ValueError: where it is larger than 256 KiB.
    """
    content = canonical(
        {
            "specversion": "1.0",
            "type": event.TYPE,
            "datacontenttype": "application/json",
            "id": str(id or event_id(stream.name, version)),
            "source": source,
            "time": instant_text(at),
            "stream": stream.name,
            "streamversion": version,
            "partitionkey": stream.key,
            "partition": partition,
            "position": position,
            "previous": previous,
            "decider": decider,
            "settings": settings,
            "release": release,
            "causationid": str(origin.causation),
            "correlationid": str(origin.correlation),
            "data": event.body(),
        }
    )
    if len(content) > MAX_EVENT_BYTES:
        raise ValueError(f"{event.TYPE} of {len(content)} bytes is larger than {MAX_EVENT_BYTES}: send it as several commands")
    return content


@dataclass(frozen=True, slots=True)
class Header:
    """An envelope whose `data` has not been looked at, which is all that ordering and chaining need."""

    attributes: Mapping[str, Any]
    raw: bytes

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Return the envelope of these bytes.

        Raises:
            ValueError: where they are not one of our envelopes; the message says what is missing.
        """
        try:
            attributes = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(attributes, dict):
            raise ValueError("not a JSON object")
        for name, kind in _ATTRIBUTES:
            value = attributes.get(name)
            if type(value) is not kind:
                raise ValueError(f"attribute {name} is missing or not a {kind.__name__}")
            if isinstance(value, int) and not 0 <= value <= MAX_INTEGER:
                raise ValueError(f"attribute {name} is not from 0 to {MAX_INTEGER}")
        return cls(attributes, raw)

    @property
    def event_type(self) -> str:
        return str(self.attributes["type"])

    @property
    def position(self) -> int:
        return int(self.attributes["position"])

    @property
    def previous(self) -> str:
        return str(self.attributes["previous"])

    @property
    def key(self) -> str:
        return str(self.attributes["partitionkey"])

    def decode(self, event_class: type[D]) -> Recorded[D]:
        """Return the whole event.

        Raises:
            ValueError: where `data` does not fit the contract, or an attribute its form.
        """
        a = self.attributes
        return Recorded(
            id=UUID(a["id"]), type=a["type"], source=a["source"], time=datetime.fromisoformat(a["time"]), stream=a["stream"],
            version=a["streamversion"], key=a["partitionkey"], partition=a["partition"], position=a["position"], previous=a["previous"],
            decider=a["decider"], settings=a["settings"], release=a["release"], causation=UUID(a["causationid"]),
            correlation=UUID(a["correlationid"]), data=event_class.model_validate(a["data"]), raw=self.raw,
        )  # fmt: skip


_ATTRIBUTES: Final = (
    ("id", str), ("type", str), ("source", str), ("time", str), ("stream", str), ("streamversion", int), ("partitionkey", str),
    ("partition", int), ("position", int), ("previous", str), ("decider", str), ("settings", int), ("release", str),
    ("causationid", str), ("correlationid", str), ("data", dict),
)  # fmt: skip
