"""What an event holds: values of few kinds, each with one way to be written; and an event as it was recorded. Stored for ever: nothing
here may change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from shared.contracts.plain import plain

MAX_INTEGER: Final = 2**53 - 1
MICRO: Final = 1_000_000

T = TypeVar("T", str, UUID)


def instant_text(at: datetime) -> str:
    """Return an instant as UTC text, always with six digits: `2026-11-24T08:00:00.000000Z`."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return text if utc.microsecond else text[:-1] + ".000000Z"


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def _sorted_once(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted(set(values), key=str)) if len(values) > 1 else values


def _utc(at: datetime) -> datetime:
    if at.tzinfo is UTC:
        return at
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
        """Return the event as the value that `canonical` makes `data` of."""
        return plain(self)


class Sealed(Part):
    """Text that only the holder of a learner's key can read, and a code by which equal texts are known as equal."""

    cipher: str = Field(description="Base64 of nonce, ciphertext and tag (AES-256-GCM under the person's key).")
    mac: Hash = Field(description="HMAC-SHA256 of the text under the same person's key.")


E = TypeVar("E", bound=Event, covariant=True)

PLACE: Final = "Where what told it stands in the other service's partition, from 1; first releases noted the version of its stream."
"""What a service notes of an event that it heard, to know the newer one (`Recorded.order`): never below the version, hence comparable."""


@dataclass(slots=True)
class Recorded(Generic[E]):
    """An event as it stands in a ledger. `raw` is the event; the rest is read from it, ids as text.

    Nobody changes one; it is not frozen, because making a frozen one takes as long as decoding it.
    """

    id: str
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
    causation: str
    correlation: str
    data: E
    raw: bytes

    @property
    def order(self) -> int:
        """Where it stands among all that its source tells of this key: the larger was told later, also behind a hole, where the source has
        lost events and gives the versions of its streams a second time. Never below the version."""
        return self.position + 1

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
