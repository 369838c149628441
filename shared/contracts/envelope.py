"""The bytes of an event: canonical JSON in a CloudEvents 1.0 envelope, chained by hash. Stored for ever: nothing here may change.

An event is one byte string. It is stored, published and hashed as it is, and never serialized again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Self, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel

from shared.contracts.value import (
    MAX_INTEGER,
    MICRO,
    PLACE,
    Event,
    Hash,
    Instant,
    Micros,
    Part,
    Recorded,
    Sealed,
    Share,
    SortedIds,
    SortedTexts,
    digest,
    instant_text,
)

NAMESPACE: Final = UUID("30bdb08c-e9c4-438b-9e74-407a83b7b9af")
_NAMED: Final = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_THREE_IDS: Final = re.compile(r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}){3}")
MAX_EVENT_BYTES: Final = 256 * 1024
MAX_PAGE_BYTES: Final = 192 * 1024
MAX_ATTRIBUTE: Final = 512
"""Characters of a text that stands in an envelope beside `data`. Ours are ids, names, hashes and instants, of a hundred at most."""

P = TypeVar("P", bound=Part)


def canonical(value: Any) -> bytes:
    """Return the canonical form (RFC 8785, restricted to integers and ASCII keys) of a JSON value.

    Raises:
        TypeError: for an integer beyond +-(2^53 - 1), or text that is not valid Unicode. Floats are refused by `Event`, not here.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)


_time_text: Final = lru_cache(maxsize=16)(instant_text)  # All events of a transaction have the same.


_NEW: Final = object.__new__
_SET_FIELDS, _SET_NAMED, _SET_EXTRA, _SET_PRIVATE = (
    vars(BaseModel)[place].__set__ for place in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)
"""What pydantic keeps in an object, each written straight to its place: `object.__setattr__` looks through all base classes first."""
_NONE_NAMED: Final[set[str]] = set()
"""Which fields were given by name: of no concern in what is frozen, hence one for all."""


def made(part: type[P], /, **values: Any) -> P:
    """Return a part or an event with these values, taken as they are: every field of it, of the right type and within its bounds. It takes
    a third of the time of looking at them. For what a pure room has worked out; whatever comes from outside is validated."""
    new: P = _NEW(part)
    _SET_FIELDS(new, values)
    _SET_NAMED(new, _NONE_NAMED)
    _SET_EXTRA(new, None)
    _SET_PRIVATE(new, None)
    return new


@dataclass(slots=True, unsafe_hash=True)
class StreamId:
    """One subject's events. A stream never changes its key; the key chooses the partition.

    Nobody changes one, nor an `Origin`; they are not frozen, because making frozen ones, for every record and command, takes twice as long.
    """

    service: str
    kind: str
    id: str = ""
    key: str = ""
    name: str = field(init=False, compare=False)
    """As it stands in events, such as `mastery/learner/<uuid>`."""

    def __post_init__(self) -> None:
        if not self.key:
            self.key = self.id or self.kind
        self.name = f"{self.service}/{self.kind}/{self.id}" if self.id else f"{self.service}/{self.kind}"

    def __str__(self) -> str:
        return self.name


@lru_cache(maxsize=4_096)  # A learner's events come together, and replay looks at each.
def partition_of(key: str, partitions: int) -> int:
    """Return the lane of a key, in [0, partitions): the first 8 bytes, big-endian, of its SHA-256, modulo the number of lanes."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % partitions


def event_id(stream: str, version: int) -> str:
    """Return the id of a stream's event: UUIDv5 (RFC 9562) of `<stream>@<version>`, as text. Ids are derived, never drawn."""
    named = _NAMED.copy()
    named.update(f"{stream}@{version}".encode())
    digits = named.hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def chain_start(source: str, partition: int) -> str:
    """Return what stands as `previous` in the first event of a partition."""
    return digest(f"cairn.chain.1\n{source}\n{partition}".encode())


@dataclass(slots=True, unsafe_hash=True)
class Origin:
    """What led to an event: the id of the event or request before it, and of the first in that line, as text."""

    causation: str
    correlation: str


D = TypeVar("D", bound=Event)


def envelope(
    *, source: str, stream: StreamId, version: int, partition: int, position: int, previous: str, at: datetime,
    decider: str, settings: int, release: str, origin: Origin, event: Event,
    id: str | None = None,
) -> bytes:  # fmt: skip
    """Return the bytes of one event; `id` spares working out its `event_id` twice.

    They are those of `canonical` over all attributes and `data`, put together from the texts as they are.

    Raises:
        ValueError: where it is larger than 256 KiB.
    """
    texts: Sequence[str] = (
        origin.causation, origin.correlation, decider, id or event_id(stream.name, version), stream.key, previous, release, source,
        stream.name, event.TYPE,
    )  # fmt: skip
    joined = "".join(texts)
    if len(canonical(joined)) != len(joined) + 2:  # The quotes aside: something in them is not written as it is.
        texts = [canonical(text).decode()[1:-1] for text in texts]
    cause, line, decider, id, key, previous, release, source, name, type_name = texts
    before = f'{{"causationid":"{cause}","correlationid":"{line}","data":'
    behind = (
        f',"datacontenttype":"application/json","decider":"{decider}","id":"{id}","partition":{partition},"partitionkey":"{key}",'
        f'"position":{position},"previous":"{previous}","release":"{release}","settings":{settings},"source":"{source}",'
        f'"specversion":"1.0","stream":"{name}","streamversion":{version},"time":"{_time_text(at)}","type":"{type_name}"}}'
    )
    content = b"".join((before.encode(), canonical(event.body()), behind.encode()))
    if len(content) > MAX_EVENT_BYTES:
        raise ValueError(f"{event.TYPE} of {len(content)} bytes is larger than {MAX_EVENT_BYTES}: send it as several commands")
    return content


@dataclass(slots=True)
class Header:
    """An envelope whose `data` has not been looked at, which is all that ordering and chaining need."""

    attributes: Mapping[str, Any]
    raw: bytes
    values: Sequence[Any] = field(repr=False)
    """Of the attributes, in the order of `Recorded`."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Return the envelope of these bytes.

        Text that no ledger can hold, with U+0000 in it or longer than MAX_ATTRIBUTE, makes it none of ours.

        Raises:
            ValueError: where they are not one of our envelopes; the message says what is missing, and quotes nothing.
        """
        try:
            attributes = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(attributes, dict):
            raise ValueError("not a JSON object")
        values = _sound(attributes)
        if values is None:
            raise ValueError(_fault_of(attributes))
        return cls(attributes, raw, values)

    @property
    def event_type(self) -> str:
        return self.attributes["type"]  # type: ignore[no-any-return]  # `read` has looked.

    @property
    def position(self) -> int:
        return self.attributes["position"]  # type: ignore[no-any-return]

    @property
    def previous(self) -> str:
        return self.attributes["previous"]  # type: ignore[no-any-return]

    @property
    def key(self) -> str:
        return self.attributes["partitionkey"]  # type: ignore[no-any-return]

    def decode(self, event_class: type[D]) -> Recorded[D]:
        """Return the whole event.

        Raises:
            ValueError: where `data` does not fit the contract, or an attribute its form.
        """
        (
            id, type_name, source, time, stream, version, key, partition, position, previous, decider, settings, release, causation,
            correlation, data,
        ) = self.values  # fmt: skip
        if len(id) != len(causation) or len(id) != len(correlation) or not _THREE_IDS.fullmatch(id + causation + correlation):
            raise ValueError("id, causationid or correlationid is not a UUID in lower case")
        at = datetime.fromisoformat(time)
        if at.tzinfo is None:
            raise ValueError("time is not an instant: it knows no time zone")
        return Recorded(
            id, type_name, source, at, stream, version, key, partition, position, previous, decider, settings, release, causation,
            correlation, event_class.__pydantic_validator__.validate_python(data), self.raw,  # As `model_validate` does.
        )  # fmt: skip


_ATTRIBUTES: Final = {  # In the order of `Recorded`.
    "id": str, "type": str, "source": str, "time": str, "stream": str, "streamversion": int, "partitionkey": str, "partition": int,
    "position": int, "previous": str, "decider": str, "settings": int, "release": str, "causationid": str, "correlationid": str,
    "data": dict,
}  # fmt: skip
_VALUES: Final = itemgetter(*_ATTRIBUTES)
_NUMBERS: Final = itemgetter(*(place for place, kind in enumerate(_ATTRIBUTES.values()) if kind is int))
_TEXTS: Final = itemgetter(*(place for place, kind in enumerate(_ATTRIBUTES.values()) if kind is str))


def _sound(attributes: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return the values of an envelope's attributes, in the order of `Recorded`; None where they are not sound."""
    try:
        values: Sequence[Any] = _VALUES(attributes)
        texts = "".join(_TEXTS(values))
    except (KeyError, TypeError):  # One is missing, or is no text.
        return None
    if type(values[-1]) is not dict or "\0" in texts:
        return None
    if len(texts) > MAX_ATTRIBUTE and max(map(len, _TEXTS(values))) > MAX_ATTRIBUTE:
        return None
    version, partition, position, settings = _NUMBERS(values)
    if not type(version) is type(partition) is type(position) is type(settings) is int:
        return None
    inside = 0 <= version <= MAX_INTEGER and 0 <= partition <= MAX_INTEGER and 0 <= position <= MAX_INTEGER and 0 <= settings <= MAX_INTEGER
    return values if inside else None


def _fault_of(attributes: Mapping[str, Any]) -> str:
    """Return what is wrong with an envelope that is not sound."""
    for name, kind in _ATTRIBUTES.items():
        value = attributes.get(name)
        if type(value) is not kind:
            return f"attribute {name} is missing or not a {kind.__name__}"
        if isinstance(value, int) and not 0 <= value <= MAX_INTEGER:
            return f"attribute {name} is not from 0 to {MAX_INTEGER}"
        if isinstance(value, str) and ("\0" in value or len(value) > MAX_ATTRIBUTE):
            return f"attribute {name} holds U+0000, or more than {MAX_ATTRIBUTE} characters"
    raise AssertionError("it is sound")


__all__ = [
    "MAX_EVENT_BYTES",
    "MAX_INTEGER",
    "MAX_PAGE_BYTES",
    "MICRO",
    "NAMESPACE",
    "PLACE",
    "Event",
    "Hash",
    "Header",
    "Instant",
    "Micros",
    "Origin",
    "Part",
    "Recorded",
    "Sealed",
    "Share",
    "SortedIds",
    "SortedTexts",
    "StreamId",
    "canonical",
    "chain_start",
    "digest",
    "envelope",
    "event_id",
    "instant_text",
    "made",
    "partition_of",
]  # fmt: skip
