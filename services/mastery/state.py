"""What deciding needs about one learner: a few numbers, and a packed record of integers for each competency and item; pure.

The records lie behind one another in plain bytes. So a copy costs nothing, and keeping a state is joining its parts. The few records that
were changed lately lie open beside them, until somebody asks for all: ten answers about a competency are one splice, not ten. A state is
never changed once it is handed out, but for that: whoever needs another one takes a `copy` and changes that.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from shared.contracts.envelope import NAMESPACE
from shared.contracts.evidence import Kind
from shared.contracts.mastery import Level

MAX_COMPETENCIES: Final = 512
"""Per learner. Beyond it the one that was left alone longest is forgotten: its level stays as told, and new evidence starts anew."""
MAX_ITEMS: Final = 48
"""Items remembered, those worked on last."""
MAX_MARKS: Final = 3
"""Distinct items told apart per competency, for breadth."""
MAX_OVERRIDES: Final = 64
MAX_WAIVERS: Final = 64
"""Per learner, in force at a time."""
MAX_COUNT: Final = 255
MAX_OPEN: Final = 32
"""Changed rows that a copy takes along open."""
MINUTES_PER_DAY: Final = 1_440
MICROSECONDS_PER_MINUTE: Final = 60_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_ALL: Final = -(2**62)
NEVER: Final = 2**32 - 1
"""A minute that does not come."""
FAR: Final = NEVER - 1
"""When what will not be forgotten is due."""

LEVELS: Final = (Level.UNKNOWN, Level.DEVELOPING, Level.NEARLY, Level.MASTERED, Level.REVERIFY)
CODES: Final = {level: code for code, level in enumerate(LEVELS)}
KIND_BITS: Final = {kind: 1 << bit for bit, kind in enumerate(Kind)}
STUCK: Final = 1
HELD: Final = 2
"""Bits of a row's flags: a person was said to be needed; stays mastered though what is in force alone would not grant it."""

_ROW: Final = Struct("<16siIIi3I7BxI")
_ITEM: Final = Struct("<QIBB")
_TIMES: Final = 12
"""Where in an item its count stands."""
_DUE: Final = Struct("<52xI")
ROW_BYTES: Final = _ROW.size
ITEM_BYTES: Final = _ITEM.size
_MICROSECOND: Final = timedelta(microseconds=1)


@lru_cache(maxsize=64)  # The same evidence is asked for its time several times in a row.
def microseconds_of(at: datetime) -> int:
    """Return an instant as microseconds since 1970, negative before."""
    return (at - EPOCH) // _MICROSECOND


@lru_cache(maxsize=64)
def minute_of(at: datetime) -> int:
    """Return an instant as whole minutes since 1970; what is earlier counts as 0."""
    return min(NEVER, max(0, microseconds_of(at) // MICROSECONDS_PER_MINUTE))


def item_mark(item_id: UUID) -> int:
    """Return the 53-bit hash by which an item is remembered: both halves of its id folded together. Never 0."""
    return (item_id.int ^ item_id.int >> 64) & (2**53 - 1) or 1


@lru_cache(maxsize=16_384)
def key_of(competency_id: str) -> bytes:
    """Return the 16 bytes that stand for a competency: of its GUID, or of a GUID derived from an id that is none."""
    try:
        guid = UUID(competency_id)
    except ValueError:
        return uuid5(NAMESPACE, competency_id).bytes
    return guid.bytes if str(guid) == competency_id else uuid5(NAMESPACE, competency_id).bytes


class Row(NamedTuple):
    """What is remembered of a competency."""

    key: bytes
    mean: int
    variance: int
    """In micro-units, as everything of this kind."""
    minute: int
    """When it was last worked on."""
    best: int
    """General and competency mean together when there last was progress."""
    first: int
    second: int
    third: int
    """Hashes of distinct items, 0 for none."""
    scored: int
    days: int
    kinds: int
    """Kinds of evidence that were seen, as bits."""
    level: int
    """Place in `LEVELS` of the level that the estimate gives, which is the one told where no person set another."""
    idle: int
    idle_days: int
    """Scored events without progress, and the distinct days of those."""
    flags: int
    due: int
    """Minute when what is mastered is due to be shown again, 0 for none."""

    def judged(self, level: int, due: int, flags: int) -> Row:
        """Return it with another level, and what goes with that; `_replace` takes three times as long."""
        return Row(*self[:11], level, self.idle, self.idle_days, flags, due)

    @property
    def marks(self) -> tuple[int, ...]:
        """The distinct items."""
        return tuple(mark for mark in (self.first, self.second, self.third) if mark)

    @property
    def items(self) -> int:
        """How many distinct items there are, at most three."""
        return 3 if self.third else 2 if self.second else 1 if self.first else 0


class Item(NamedTuple):
    """What is remembered of an item that was worked on lately."""

    mark: int
    minute: int
    times: int
    percent: int
    """The last score, rounded down to a hundredth."""


class Override(NamedTuple):
    """A level that a person set."""

    name: str
    level: int
    until_us: int


@dataclass(slots=True, eq=False)
class State:
    """Beliefs in micro-units (a variance of 0 means: nothing seen yet), and what breadth, memory of items and lateness need."""

    last_us: int = BEFORE_ALL
    """With `last_id` the watermark: the latest evidence weighed, in the order of (time, id). It never goes back."""
    last_id: int = 0
    general: tuple[int, int] = (0, 0)
    form: tuple[int, int] = (0, 0)
    packed: bytes = b""
    """A `Row` per competency, in the order of their keys; some as they were before they were opened."""
    items: bytes = b""
    """An `Item` each, the latest last."""
    names: tuple[str, ...] = ()
    """Ids of competencies that are no GUIDs."""
    next_due: int = NEVER
    """The earliest `due` of all rows."""
    overrides: tuple[Override, ...] = ()
    waivers: tuple[tuple[str, str], ...] = ()
    """Competency and the prerequisite that does not hold it back."""
    opened: dict[str, Row] = field(default_factory=dict)
    """By id, the rows that changed since they were packed; each has its place there."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self._values() == other._values()

    def _values(self) -> tuple[Any, ...]:
        return (
            self.last_us, self.last_id, self.general, self.form, self.rows, self.items, self.names, self.next_due, self.overrides,
            self.waivers,
        )  # fmt: skip

    @property
    def rows(self) -> bytes:
        """A `Row` per competency, in the order of their keys, as they are now."""
        if self.opened:
            rows = bytearray(self.packed)
            for row in self.opened.values():
                _ROW.pack_into(rows, _place(rows, row.key, ROW_BYTES), *row)
            self.packed, self.opened = bytes(rows), {}
        return self.packed

    def copy(self) -> State:
        """Return a state that may be changed without changing this one."""
        packed = self.rows if len(self.opened) > MAX_OPEN else self.packed
        return State(
            self.last_us, self.last_id, self.general, self.form, packed, self.items, self.names, self.next_due, self.overrides,
            self.waivers, self.opened.copy(),
        )  # fmt: skip

    def row(self, competency_id: str) -> Row | None:
        """Return what is remembered of a competency; None where nothing was seen of it."""
        opened = self.opened.get(competency_id)
        if opened is not None:
            return opened
        at = _place(self.packed, key_of(competency_id), ROW_BYTES)
        return Row(*_ROW.unpack_from(self.packed, at)) if at >= 0 else None

    def every_row(self) -> Iterator[tuple[str, Row]]:
        """Yield all competencies by id with what is remembered of them, in the order of their keys."""
        for values in _ROW.iter_unpack(self.rows):
            row = Row._make(values)
            yield self.name_of(row.key), row

    def name_of(self, key: bytes) -> str:
        """Return the id of the competency with this key."""
        return next((name for name in self.names if key_of(name) == key), None) or str(UUID(bytes=key))

    def own_level(self, competency_id: str) -> Level:
        """Return the level that the estimate gives."""
        row = self.row(competency_id)
        return LEVELS[row.level] if row else Level.UNKNOWN

    def override(self, competency_id: str) -> Override | None:
        """Return the level that a person set, where one did."""
        return next((found for found in self.overrides if found.name == competency_id), None) if self.overrides else None

    def told_level(self, competency_id: str) -> Level:
        """Return what people were last told: what a person set, else what the estimate gives."""
        override = self.override(competency_id)
        return LEVELS[override.level] if override else self.own_level(competency_id)

    def item(self, mark: int) -> Item | None:
        """Return what is remembered of an item, None for nothing."""
        at = _place(self.items, mark.to_bytes(8, "little"), ITEM_BYTES)
        return Item._make(_ITEM.unpack_from(self.items, at)) if at >= 0 else None

    def every_item(self) -> Iterator[Item]:
        """Yield the items that are remembered, the latest last."""
        return map(Item._make, _ITEM.iter_unpack(self.items))

    # What follows changes the state: for a copy that was not handed out yet.

    def put(self, competency_id: str, row: Row) -> None:
        """Set what is remembered of a competency. Rows stand in the order of their keys, so that the order of first evidence leaves no
        trace."""
        opened = self.opened.get(competency_id)
        if opened is not None:
            old = opened.due
        elif (at := _place(self.packed, row.key, ROW_BYTES)) >= 0:
            old = _DUE.unpack_from(self.packed, at)[0]
        else:
            self._insert(competency_id, row)
            return
        self.opened[competency_id] = row
        if row.due != old:
            self._move_due(old, row.due)

    def _insert(self, competency_id: str, row: Row) -> None:
        rows = self.rows
        at = ROW_BYTES * bisect(range(len(rows) // ROW_BYTES), row.key, key=lambda n: rows[n * ROW_BYTES : n * ROW_BYTES + 16])
        self.packed, old = rows[:at] + _ROW.pack(*row) + rows[at:], 0
        if str(UUID(bytes=row.key)) != competency_id:
            self.names = tuple(sorted((*self.names, competency_id)))
        if len(self.packed) > MAX_COMPETENCIES * ROW_BYTES:
            self._forget_oldest()
            old = self.next_due
        if row.due != old:
            self._move_due(old, row.due)

    def drop(self, competency_id: str) -> None:
        """Forget a competency."""
        rows = self.rows
        at = _place(rows, key_of(competency_id), ROW_BYTES)
        if at >= 0:
            (old,) = _DUE.unpack_from(rows, at)
            self.packed = rows[:at] + rows[at + ROW_BYTES :]
            self.names = tuple(name for name in self.names if name != competency_id)
            self._move_due(old, 0)

    def put_item(self, mark: int, minute: int, percent: int) -> None:
        """Note that an item was worked on last, once more than what is remembered of it."""
        items, times = self.items, 1
        at = _place(items, mark.to_bytes(8, "little"), ITEM_BYTES)
        if at >= 0:
            times = min(MAX_COUNT, items[at + _TIMES] + 1)
        elif len(items) >= MAX_ITEMS * ITEM_BYTES:
            at = 0
        kept = items if at < 0 else items[:at] + items[at + ITEM_BYTES :]
        self.items = kept + _ITEM.pack(mark, minute, times, percent)

    def put_items(self, items: Iterator[Item]) -> None:
        """Remember these items in place of all others."""
        self.items = b"".join([_ITEM.pack(*item) for item in items])

    def put_override(self, override: Override) -> None:
        """Note that a person set a level, in place of one that was set before."""
        self.end_override(override.name)
        self.overrides = tuple(sorted((*self.overrides, override)))

    def end_override(self, competency_id: str) -> None:
        """Note that no person sets this level any more."""
        self.overrides = tuple(found for found in self.overrides if found.name != competency_id)

    def _move_due(self, old: int, new: int) -> None:
        if new and new <= self.next_due:
            self.next_due = new
        elif old and old == self.next_due:
            self.next_due = min((due for (due,) in _DUE.iter_unpack(self.rows) if due), default=NEVER)

    def _forget_oldest(self) -> None:
        name = min(self.every_row(), key=lambda each: (each[1].minute, each[1].key))[0]
        self.drop(name)


def _place(records: bytes | bytearray, key: bytes, width: int) -> int:
    """Return where the record that begins with this key lies among others of its width, -1 for nowhere."""
    at = records.find(key)
    while at > 0 and at % width:
        at = records.find(key, at + 1)
    return at


def short_mark(mark: int) -> int:
    """Return the 32 bits of an item's hash that breadth is counted by; never 0."""
    return mark & 0xFFFF_FFFF or 1
