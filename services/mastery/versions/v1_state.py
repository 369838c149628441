"""What deciding needs about one learner, in columns of integers, so that keeping it costs little; pure.

A state is never changed once it is handed out: whoever needs another one takes a `copy` and changes that.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from sys import byteorder
from typing import Final
from uuid import UUID, uuid5

from shared.contracts.envelope import NAMESPACE
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import CompetencyBelief, CompetencyTrace, ItemTrace, Level

MAX_COMPETENCIES: Final = 512
"""Per learner. Beyond it the one that was left alone longest is forgotten: its level stays as told, and new evidence starts anew."""
MAX_ITEMS: Final = 48
"""Items remembered, those worked on last."""
MAX_MARKS: Final = 3
"""Distinct items told apart per competency, for breadth."""
MAX_KEPT: Final = 2
"""Pieces of evidence remembered by id per competency."""
MAX_COUNT: Final = 255
MINUTES_PER_DAY: Final = 1_440
MICROSECONDS_PER_MINUTE: Final = 60_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_LEVELS: Final = (Level.UNKNOWN, Level.DEVELOPING, Level.NEARLY, Level.MASTERED, Level.REVERIFY)
_CODES: Final = {level: code for code, level in enumerate(_LEVELS)}
_MASTERED: Final = bytes([_CODES[Level.MASTERED]])
_LAST_MINUTE: Final = 2**32 - 1
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1)
_BEFORE_ALL: Final = -(2**62)


def microseconds_of(at: datetime) -> int:
    """Return an instant as microseconds since 1970, negative before."""
    return (at - EPOCH) // _MICROSECOND


def minute_of(at: datetime) -> int:
    """Return an instant as whole minutes since 1970; what is earlier counts as 0."""
    return min(_LAST_MINUTE, max(0, (at - EPOCH) // _MINUTE))


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


def _integers(code: str) -> array[int]:
    return array(code)


@dataclass(slots=True)
class State:
    """Beliefs in micro-units (a variance of 0 means: nothing seen yet), and what breadth, memory of items and lateness need."""

    last_us: int = _BEFORE_ALL
    """With `last_id` the watermark: the latest evidence weighed, in the order of (time, id). It never goes back."""
    last_id: int = 0
    general: tuple[int, int] = (0, 0)
    form: tuple[int, int] = (0, 0)
    keys: bytes = b""
    """16 bytes per competency, in their order; all columns down to `kept` have its rows."""
    means: array[int] = field(default_factory=lambda: _integers("i"))
    variances: array[int] = field(default_factory=lambda: _integers("I"))
    minutes: array[int] = field(default_factory=lambda: _integers("I"))
    scored: array[int] = field(default_factory=lambda: _integers("B"))
    days: array[int] = field(default_factory=lambda: _integers("B"))
    levels: array[int] = field(default_factory=lambda: _integers("B"))
    marks: array[int] = field(default_factory=lambda: _integers("I"))
    """Three per competency, 0 for none."""
    kept: bytes = b""
    """32 bytes per competency: the ids of its last two pieces of evidence, zeros for none."""
    names: tuple[str, ...] = ()
    """Ids of competencies that are no GUIDs."""
    item_marks: array[int] = field(default_factory=lambda: _integers("Q"))
    """Items, the latest last."""
    item_minutes: array[int] = field(default_factory=lambda: _integers("I"))
    item_counts: array[int] = field(default_factory=lambda: _integers("B"))
    item_percents: array[int] = field(default_factory=lambda: _integers("B"))

    def copy(self) -> State:
        """Return a state that may be changed without changing this one."""
        return State(
            self.last_us, self.last_id, self.general, self.form, self.keys, self.means[:], self.variances[:], self.minutes[:],
            self.scored[:], self.days[:], self.levels[:], self.marks[:], self.kept, self.names, self.item_marks[:], self.item_minutes[:],
            self.item_counts[:], self.item_percents[:],
        )  # fmt: skip

    def find(self, competency_id: str) -> int:
        """Return the row of a competency, -1 where nothing was seen of it."""
        key, at = key_of(competency_id), -1
        while (at := self.keys.find(key, at + 1)) >= 0:
            if not at & 15:
                return at >> 4
        return -1

    def competency(self, row: int) -> str:
        """Return the id of the competency in a row."""
        key = self.keys[16 * row : 16 * row + 16]
        return next((name for name in self.names if key_of(name) == key), None) or str(UUID(bytes=key))

    def competencies(self) -> list[str]:
        """Return the ids of all competencies, by row."""
        return [self.competency(row) for row in range(len(self.means))]

    def level(self, row: int) -> Level:
        """Return what was last told about the competency in a row; row -1 is one not seen."""
        return _LEVELS[self.levels[row]] if row >= 0 else Level.UNKNOWN

    def mastered(self) -> list[int]:
        """Return the rows whose level is mastered."""
        if _MASTERED not in (levels := self.levels.tobytes()):
            return []
        return [row for row, code in enumerate(levels) if code == _MASTERED[0]]

    def marks_of(self, row: int) -> tuple[int, ...]:
        """Return the hashes of the distinct items of a row, at most three."""
        return tuple([mark for mark in self.marks[3 * row : 3 * row + 3] if mark])

    def kept_of(self, row: int) -> tuple[UUID, ...]:
        """Return the ids of the last evidence of a row, at most two, the latest last."""
        ids = (self.kept[at : at + 16] for at in (32 * row, 32 * row + 16))
        return tuple(UUID(bytes=name) for name in ids if any(name))

    def item(self, mark: int) -> int:
        """Return the place of an item among those remembered, -1 for none."""
        at, key, column = -1, mark.to_bytes(8, byteorder), self.item_marks.tobytes()  # Bytes are searched ten times faster than integers.
        while (at := column.find(key, at + 1)) >= 0:
            if not at & 7:
                return at >> 3
        return -1

    def breadth(self, row: int, mark: int, place: int, minute: int) -> tuple[int, int, int]:
        """Return scored events, distinct items and distinct days of a competency once work on an item is counted.

        An item repeated on the same day is not scored again, as far as it is still remembered.

        Args:
            mark, place: hash of the item, and where it is among those remembered.
        """
        if row < 0:
            return 1, 1, 1
        day = minute // MINUTES_PER_DAY
        again = place >= 0 and self.item_minutes[place] // MINUTES_PER_DAY == day
        marks = self.marks_of(row)
        scored = self.scored[row] + (not again)
        days = self.days[row] + (self.minutes[row] // MINUTES_PER_DAY != day)
        items = len(marks) + (_short(mark) not in marks)
        return min(MAX_COUNT, scored), min(MAX_MARKS, items), min(MAX_COUNT, days)

    # What follows changes the state: for a copy that was not handed out yet.

    def move_watermark(self, seen: EvidenceRecorded) -> None:
        """Move the watermark to this evidence, unless it lies before."""
        at = microseconds_of(seen.occurred_at), seen.evidence_id.int
        self.last_us, self.last_id = max((self.last_us, self.last_id), at)

    def remember_item(self, seen: EvidenceRecorded, minute: int) -> None:
        """Note that this item was worked on last."""
        mark, count = item_mark(seen.item_id), 1
        place = self.item(mark)
        if place < 0 and len(self.item_marks) == MAX_ITEMS:
            self._drop_item(0)
        elif place >= 0:
            count = min(MAX_COUNT, self.item_counts[place] + 1)
            self._drop_item(place)
        self._append_item(mark, minute, count, seen.score_e6 // 10_000)

    def remember_items(self, items: tuple[ItemTrace, ...]) -> None:
        """Remember these items in place of all others."""
        for column in (self.item_marks, self.item_minutes, self.item_counts, self.item_percents):
            del column[:]
        for known in items:
            self._append_item(known.mark, known.last_minute, known.count, known.percent)

    def take(self, belief: CompetencyBelief, seen: EvidenceRecorded, minute: int) -> None:
        """Set what is believed of a competency after this evidence about it."""
        row = self._row(belief)
        self.minutes[row] = minute
        mark, marks = _short(item_mark(seen.item_id)), self.marks_of(row)
        if mark not in marks and len(marks) < MAX_MARKS:
            self.marks[3 * row + len(marks)] = mark
        at = 32 * row
        older = self.kept[at + 16 : at + 32] if any(self.kept[at + 16 : at + 32]) else b""
        self._keep(row, older + seen.evidence_id.bytes)

    def replace(self, trace: CompetencyTrace) -> None:
        """Set all that is remembered of a competency."""
        row = self._row(trace)
        self.minutes[row] = trace.last_minute
        self.marks[3 * row : 3 * row + 3] = array("I", (*trace.item_marks, 0, 0, 0)[:MAX_MARKS])
        self._keep(row, b"".join(name.bytes for name in trace.evidence_ids[-MAX_KEPT:]))

    def set_level(self, competency_id: str, level: Level) -> None:
        """Note what is told about a competency from now on."""
        if (row := self.find(competency_id)) >= 0:
            self.levels[row] = _CODES[level]

    def forget_oldest(self) -> None:
        """Forget what was left alone longest, until the limit holds."""
        while len(self.means) > MAX_COMPETENCIES:
            row = min(range(len(self.means)), key=lambda at: (self.minutes[at], self.keys[16 * at : 16 * at + 16]))
            gone = self.competency(row)
            self.names = tuple(name for name in self.names if name != gone)
            self.keys, self.kept = _without(self.keys, row, 16), _without(self.kept, row, 32)
            for column in (self.means, self.variances, self.minutes, self.scored, self.days, self.levels):
                del column[row]
            del self.marks[3 * row : 3 * row + 3]

    def _row(self, belief: CompetencyBelief) -> int:
        row = self.find(belief.competency_id)
        if row < 0:
            row = self._insert(belief.competency_id)
        self.means[row], self.variances[row] = belief.mean_e6, belief.variance_e6
        self.scored[row], self.days[row] = belief.scored, belief.days
        return row

    def _insert(self, competency_id: str) -> int:
        """Make room for a competency; rows are in the order of their keys, so that the order of first evidence leaves no trace."""
        key = key_of(competency_id)
        row = bisect_left(range(len(self.means)), key, key=lambda at: self.keys[16 * at : 16 * at + 16])
        self.keys = self.keys[: 16 * row] + key + self.keys[16 * row :]
        self.kept = self.kept[: 32 * row] + bytes(32) + self.kept[32 * row :]
        for column in (self.means, self.variances, self.minutes, self.scored, self.days, self.levels):
            column.insert(row, 0)
        self.marks[3 * row : 3 * row] = array("I", (0, 0, 0))
        if str(UUID(bytes=key)) != competency_id:
            self.names = tuple(sorted((*self.names, competency_id)))
        return row

    def _keep(self, row: int, ids: bytes) -> None:
        self.kept = self.kept[: 32 * row] + ids.rjust(32, b"\0") + self.kept[32 * row + 32 :]

    def _append_item(self, mark: int, minute: int, count: int, percent: int) -> None:
        self.item_marks.append(mark)
        self.item_minutes.append(minute)
        self.item_counts.append(count)
        self.item_percents.append(percent)

    def _drop_item(self, place: int) -> None:
        for column in (self.item_marks, self.item_minutes, self.item_counts, self.item_percents):
            column.pop(place)


def _short(mark: int) -> int:
    """Return the 32 bits of an item's hash that breadth is counted by; never 0."""
    return mark & 0xFFFF_FFFF or 1


def _without(column: bytes, row: int, width: int) -> bytes:
    return column[: width * row] + column[width * row + width :]
