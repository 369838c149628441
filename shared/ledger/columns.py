"""Many values at once for PostgreSQL, packed by hand in its binary forms: arrays for `unnest`, rows for COPY.

psycopg adapts arrays and rows element by element; JSON is parsed three times over and knows no bytes. Packed here, a value costs a tenth.
Forms: PostgreSQL documentation, `COPY`, "Binary Format"; of arrays, src/backend/utils/adt/arrayfuncs.c, `array_recv`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from struct import Struct
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import UUID

import psycopg
from orjson import dumps
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_LENGTH: Final = Struct(">i").pack
_INT4: Final = Struct(">ii").pack
_INT8: Final = Struct(">iq").pack
_HEAD: Final = Struct(">iiIii").pack
_NULL: Final = _LENGTH(-1)
_UUID_HEAD: Final = _LENGTH(16)
_JSONB: Final = b"\x01"
"""The version of its binary form."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

BLOCK_BYTES: Final = 64 * 1024
"""Of the largest parts of the rows of a block. psycopg cuts blocks of more than 128 KiB, which is one copy more."""
_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = b"\xff\xff"
_EVENT_HEAD: Final = Struct(">hiiiqi").pack
_NUMBER_AND_LENGTH: Final = Struct(">iqi").pack
_STREAM_HEAD: Final = Struct(">hi").pack
_STREAM_NUMBERS: Final = Struct(">iiiqiii").pack


class Column(ABC):
    """A column of values as a parameter of a statement: an array, where None is null."""

    element: ClassVar[int]
    __slots__ = ("packed",)

    def __init__(self, values: Sequence[Any]) -> None:
        self.packed = b"".join((_HEAD(1, 1, self.element, len(values), 1), *self._elements(values)))

    @staticmethod
    @abstractmethod
    def _elements(values: Sequence[Any]) -> Iterable[bytes]:
        """Return each value behind its length."""


class Texts(Column):
    """A `text[]`."""

    element = 25
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[str | None]) -> Iterable[bytes]:
        return _with_lengths([value if value is None else value.encode() for value in values])


class Blobs(Column):
    """A `bytea[]`."""

    element = 17
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[bytes | None]) -> Iterable[bytes]:
        return _with_lengths(values)


class Json(Column):
    """A `jsonb[]` of values that are written as JSON."""

    element = 3802
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[Any]) -> Iterable[bytes]:
        return _with_lengths([value if value is None else _JSONB + dumps(value) for value in values])


class Integers(Column):
    """An `integer[]`."""

    element = 23
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[int | None]) -> Iterable[bytes]:
        return [_NULL if value is None else _INT4(4, value) for value in values]


class Numbers(Column):
    """A `bigint[]`."""

    element = 20
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[int | None]) -> Iterable[bytes]:
        return [_NULL if value is None else _INT8(8, value) for value in values]


class Instants(Column):
    """A `timestamptz[]`."""

    element = 1184
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[datetime | None]) -> Iterable[bytes]:
        packed = {value: _NULL if value is None else _INT8(8, since_2000(value)) for value in set(values)}
        return [packed[value] for value in values]


class Uuids(Column):
    """A `uuid[]` of ids, or of their texts."""

    element = 2950
    __slots__ = ()

    @staticmethod
    def _elements(values: Sequence[UUID | str | None]) -> Iterable[bytes]:
        return [
            _NULL
            if value is None
            else _UUID_HEAD + (bytes.fromhex(value.replace("-", "")) if isinstance(value, str) else value.int.to_bytes(16))
            for value in values
        ]


CopyRow = tuple[bytes, ...]
"""A row for COPY in its parts, the largest last: put together only once, with others."""


def event_row(
    partition: int, position: int, stream: str, version: int, key: str, type_name: str, recorded_us: int, content: bytes
) -> CopyRow:  # fmt: skip
    """Return a row for COPY into `event`; `recorded_us` is what `since_2000` gives."""
    name, of, kind = stream.encode(), key.encode(), type_name.encode()
    return (
        _EVENT_HEAD(8, 4, partition, 8, position, len(name)), name, _NUMBER_AND_LENGTH(8, version, len(of)), of, _LENGTH(len(kind)), kind,
        _NUMBER_AND_LENGTH(8, recorded_us, len(content)), content,
    )  # fmt: skip


def stream_row(stream: str, key: str, partition: int, version: int, format: int, state: bytes) -> CopyRow:
    """Return a row for COPY into `stream`."""
    name, of = stream.encode(), key.encode()
    numbers = _STREAM_NUMBERS(4, partition, 8, version, 4, format, len(state))
    return _STREAM_HEAD(6, len(name)), name, _LENGTH(len(of)), of, numbers, state


def blocks(rows: Iterable[CopyRow]) -> Iterator[bytes]:
    """Yield rows as blocks for COPY FROM STDIN (FORMAT BINARY): each is put together and sent while it lies in the processor's cache, and
    so are its rows where they are made only now."""
    parts, size = [_COPY_HEAD], 0
    for row in rows:
        parts += row
        size += len(row[-1])
        if size >= BLOCK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(_COPY_END)
    yield b"".join(parts)


def since_2000(at: datetime) -> int:
    """Return an instant in microseconds as PostgreSQL counts them."""
    return (at - _EPOCH) // _MICROSECOND


def _with_lengths(values: Sequence[bytes | None]) -> Iterable[bytes]:
    return chain.from_iterable([(_NULL,) if value is None else (_LENGTH(len(value)), value) for value in values])


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> Buffer:
        packed: bytes = obj.packed
        return packed


ARRAYS: Final[Mapping[type[Column], int]] = MappingProxyType(
    {Texts: 1009, Blobs: 1001, Json: 3807, Integers: 1007, Numbers: 1016, Instants: 1185, Uuids: 2951}
)
"""Column -> the type of its array: `oid` in PostgreSQL's src/include/catalog/pg_type.dat."""


def _register() -> None:
    for column, oid in ARRAYS.items():
        psycopg.adapters.register_dumper(column, type(f"_{column.__name__}Dumper", (_ColumnDumper,), {"oid": oid}))


_register()
