"""A record's events by streams, though they are read by positions: sorted into temporary files, which nobody else sees and end with us.

PostgreSQL would sort them within one snapshot; so it only gives pages. Memory holds what is in one file: about MOST_BYTES, or one stream.
"""

from __future__ import annotations

import marshal
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from operator import itemgetter
from struct import Struct
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Final, Self

COLUMNS: Final = "position, stream, version, bytes"
"""Of an event, as it is put in and comes out."""
MOST_BYTES: Final = 48 * 1024 * 1024
"""Of a file that is read into memory; a larger one is sorted into more files first."""
PER_FILE: Final = 20_000
"""Events that are expected to fit into a file."""
MAX_FILES: Final = 64
SPLIT: Final = 8
"""Files that one too large is sorted into."""
MAX_SPLITS: Final = 4
"""How often: what is too large then is a single stream, or nearly."""

LENGTH: Final = Struct("<Q")

Row = tuple[int, str, int, bytes]
"""COLUMNS."""


class Spool:
    """Takes events in any order and gives them stream by stream, in whatever order the streams come. Use it as a context."""

    def __init__(self, expected: int) -> None:
        """Prepare for about so many events."""
        self._opened = ExitStack()
        self._files = self._more(min(MAX_FILES, expected // PER_FILE + 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()

    def put(self, rows: Iterable[Row]) -> None:
        """Take events."""
        _put(self._files, rows, 1)

    def streams(self) -> Iterator[tuple[str, Sequence[Row]]]:
        """Yield each stream with its events, in the order of their versions. Once: nothing is left behind it."""
        waiting = [(file, len(self._files)) for file in self._files]
        last = len(self._files) * SPLIT**MAX_SPLITS
        while waiting:
            file, places = waiting.pop()
            if file.tell() > MOST_BYTES and places < last:
                files = self._more(SPLIT)
                for rows in _parts(file):
                    _put(files, rows, places)
                waiting += [(each, places * SPLIT) for each in files]
            else:
                yield from _grouped(row for rows in _parts(file) for row in rows)
            file.close()

    def _more(self, count: int) -> list[IO[bytes]]:
        return [self._opened.enter_context(TemporaryFile()) for _ in range(count)]


def _put(files: Sequence[IO[bytes]], rows: Iterable[Row], places: int) -> None:
    """Write rows into these files, by a digit of a number that their stream has; lower ones had so many values and are used up."""
    parts: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        parts[hash(row[1]) // places % len(files)].append(row)
    for number, some in parts.items():
        packed = marshal.dumps(some)
        files[number].write(LENGTH.pack(len(packed)) + packed)


def _parts(file: IO[bytes]) -> Iterator[list[Row]]:
    file.seek(0)
    while head := file.read(LENGTH.size):
        yield marshal.loads(file.read(*LENGTH.unpack(head)))  # Of this process alone, which has written it.


def _grouped(rows: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[1]].append(row)
    for stream, events in found.items():
        events.sort(key=itemgetter(2))
        yield stream, events
