"""What a record from Kafka meets: applied once and in order, skipped, parked, or found to miss others before it.

A pure state machine, one for each partition of a source. It knows neither clock nor wire: time comes as an argument, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.contracts.envelope import Header, digest
from shared.contracts.ledger import HoleNoted, hole_before
from shared.ledger.types import Inbox

ASK_AGAIN_S: Final = 30.0
"""Time without progress after which lost records are asked for again."""
IDLE_S: Final = 10.0
"""Time that a partition may have nothing more to read while its ledger is longer, before its tail counts as lost."""
GRACE_MS: Final = 30_000
"""Time that a relay takes at most from reading its lengths to having them on Kafka: a length told later than that after an event was
published must cover it."""


@dataclass(slots=True)
class Apply:
    """The next event: handle it, or park it where it cannot be handled."""

    header: Header
    head: str

    def __init__(self, header: Header, head: str) -> None:
        """Written out: what `dataclass` makes is never compiled."""
        self.header, self.head = header, head


@dataclass(frozen=True, slots=True)
class Foreign:
    """Not one of our envelopes: park it; positions do not move."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Lost records: those before `end` are asked for. Where the record at `end` was seen, reading goes on there afterwards."""

    end: int
    offset: int | None
    asked_at: float | None = None
    asked_from: int = 0


class Lane:
    """How far one partition of a source was read. Between `read` and `committed` it is ahead of the inbox; `seat` brings it back."""

    def __init__(self, service: str, source: str, inbox: Inbox) -> None:
        """Begin at the inbox.

        Args:
            service: whose topic it is, such as `evidence`.
            source: `/<installation>/<service>`; another one in an envelope makes it foreign.
        """
        self.service, self.source, self.partition = service, source, inbox.partition
        self.inbox, self.next, self.head = inbox, inbox.position + 1, inbox.head
        self.gap: Gap | None = None
        self.doubted = False
        """The inbox was read again because of a gap; the next one is real."""
        self.reseat = False
        """Records are missing: read the inbox again, `seat`, and seek to it."""
        self.seek: int | None = None
        """The gap is filled: once that is committed, seek to this offset."""
        self.diverged: str | None = None
        """Why this partition stands still for good."""
        self._length = 0
        self._short = False
        """The length that was told last is less than what was applied."""
        self._applied_ms: int | None = None
        self._idle: tuple[int, float] | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Service and partition, as in the inbox."""
        return self.service, self.partition

    def read(self, offset: int, raw: bytes, at_ms: int = 0) -> Apply | Foreign | None:
        """Return what to do about a record: None means skip it. Afterwards look at `reseat`, `seek` and `diverged`.

        Args:
            at_ms: when Kafka took it.
        """
        if self.reseat or self.seek is not None or self.diverged:
            return None
        try:
            header = Header.read(raw)
        except ValueError as error:
            return Foreign(str(error))
        if header.attributes["source"] != self.source or header.attributes["partition"] != self.partition:
            return Foreign(f"envelope of another source or partition than {self.source}, {self.partition}")
        position = header.position
        if position < self.next:
            return None
        hole = hole_before(header)
        if position > self.next and (hole is None or self.next < hole.first):
            self._miss(position if hole is None else hole.first, offset)
            return None
        if not self._follows(header, hole):
            self.diverged = self._differs(f"event {position} follows {header.previous}, this service applied {self.head} before it")
            return None
        self.next, self.head, self.doubted, self._applied_ms = position + 1, digest(raw), False, at_ms
        if self.gap is not None and self.next >= self.gap.end:
            self.seek, self.gap = self.gap.offset, None
        return Apply(header, self.head)

    def _follows(self, header: Header, hole: HoleNoted | None) -> bool:
        """Return whether an event follows what was applied. Whoever stands inside a recorded hole goes on behind it."""
        if hole is None or self.next > hole.after:
            return header.previous == self.head
        return self.next > hole.first or hole.before == self.head

    def _miss(self, position: int, offset: int) -> None:
        if self.gap is None and self.doubted:
            self.gap = Gap(position, offset)
        elif self.gap is None:
            self.doubted = self.reseat = True
        elif self.gap.offset is None and position == self.gap.end:
            self.gap = Gap(position, offset, self.gap.asked_at, self.gap.asked_from)

    def committed(self, inbox: Inbox) -> None:
        """Note where the inbox is after a transaction."""
        self.inbox = inbox

    def seat(self, inbox: Inbox) -> None:
        """Go back, or on, to where the inbox is; the consumer seeks to `inbox.kafka_offset`, where there is none to the log's start."""
        self.inbox, self.next, self.head = inbox, inbox.position + 1, inbox.head
        self.reseat, self.seek = False, None
        if self.gap is not None and self.next >= self.gap.end:
            self.gap = None

    def told(self, length: int, head: str, at_ms: int) -> None:
        """Note how long the source says its partition is. Too short once, it was said by a relay that stood still, and did not know that
        another one had taken its place; twice in a row it is no mistake.

        Args:
            head: hash of its last event.
            at_ms: when Kafka took the message.
        """
        self._length = length
        if self._applied_ms is None:
            self._applied_ms = at_ms
        position = self.inbox.position
        if length == position + 1 and head != self.inbox.head:
            self.diverged = self._differs(f"its last event {position} is {head}, this service applied {self.inbox.head}")
        short, self._short = self._short, length <= position and at_ms > self._applied_ms + GRACE_MS
        if short and self._short:
            self.diverged = self._differs(f"it holds {length} events, this service applied {position + 1}")

    def look(self, now: float, at_end: bool) -> None:
        """Notice a lost tail: nothing more to read (`at_end`), and yet the ledger is longer, for some time."""
        if self.gap is not None or self.reseat or self.seek is not None or self.diverged:
            return
        if not at_end or self._length <= self.next or self._idle is None or self._idle[0] != self.next:
            self._idle = (self.next, now)
        elif now - self._idle[1] >= IDLE_S:
            self.gap, self._idle = Gap(self._length, None), None

    def wanted(self, now: float) -> tuple[int, int] | None:
        """Return the positions [start, end) to ask the source for, where that is due now; asking is then noted as done."""
        gap, start = self.gap, self.inbox.position + 1
        if gap is None or self.diverged or start >= gap.end:
            return None
        if gap.asked_at is not None and (start != gap.asked_from or now - gap.asked_at < ASK_AGAIN_S):
            if start != gap.asked_from:  # Progress: the clock starts anew.
                self.gap = Gap(gap.end, gap.offset, now, start)
            return None
        self.gap = Gap(gap.end, gap.offset, now, start)
        return start, gap.end

    def _differs(self, how: str) -> str:
        return (
            f"partition {self.partition} of {self.service} differs from what this service has applied: {how}. One of the two databases was "
            f"restored from a backup. Was it that of {self.service}: stop it and run `cairn ledger catch-up {self.service}`"
        )
