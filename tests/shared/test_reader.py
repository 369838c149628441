"""The reader as a state machine, beside a model: whatever the wire does, positions 0..n are applied once each, in order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.consume.reader import ASK_AGAIN_S, GRACE_MS, IDLE_S, Apply, Foreign, Lane
from shared.contracts.envelope import Origin, StreamId, canonical, chain_start, digest, envelope
from shared.contracts.mastery import Level, LevelChanged
from shared.ledger.types import Inbox

SOURCE = "/test/mastery"
LEARNER = UUID(int=7)
ORIGIN = Origin(str(UUID(int=1)), str(UUID(int=2)))


def chain(count: int, probability: int = 5) -> list[bytes]:
    """The first events of partition 0."""
    events: list[bytes] = []
    for position in range(count):
        previous = digest(events[-1]) if events else chain_start(SOURCE, 0)
        events.append(
            envelope(
                source=SOURCE,
                stream=StreamId("mastery", "learner", str(LEARNER)),
                version=position + 1,
                partition=0,
                position=position,
                previous=previous,
                at=datetime(2026, 11, 23, tzinfo=UTC),
                decider="mastery.estimate/1",
                settings=1,
                release="test",
                origin=ORIGIN,
                event=LevelChanged(learner_id=LEARNER, competency_id="c", level=Level.MASTERED, probability_e6=probability),
            )
        )
    return events


EVENTS = chain(40)
BEGINNING = Inbox("mastery", 0, -1, chain_start(SOURCE, 0), None)


def lane(inbox: Inbox = BEGINNING) -> Lane:
    return Lane("mastery", SOURCE, inbox)


def applied(position: int, offset: int | None = None) -> Inbox:
    return Inbox("mastery", 0, position, digest(EVENTS[position]), position + 1 if offset is None else offset)


def test_the_next_event_is_applied_and_a_seen_one_skipped() -> None:
    reader = lane()
    first = reader.read(0, EVENTS[0])
    assert isinstance(first, Apply)
    assert (first.header.position, first.head) == (0, digest(EVENTS[0]))
    assert reader.read(1, EVENTS[0]) is None
    assert isinstance(reader.read(2, EVENTS[1]), Apply)
    assert not reader.reseat


def test_what_is_no_envelope_of_this_partition_is_foreign_and_moves_nothing() -> None:
    reader = Lane("mastery", SOURCE, Inbox("mastery", 0, -1, chain_start(SOURCE, 0), None))
    elsewhere = Lane("mastery", "/other/mastery", BEGINNING)
    assert isinstance(reader.read(0, b"\xff\x00"), Foreign)
    assert isinstance(reader.read(1, b""), Foreign)
    assert isinstance(reader.read(2, b'{"specversion":"1.0"}'), Foreign)
    assert isinstance(elsewhere.read(0, EVENTS[0]), Foreign)
    assert isinstance(reader.read(3, EVENTS[0]), Apply)


def test_an_event_with_text_that_no_ledger_can_hold_is_foreign_and_moves_nothing() -> None:
    reader = lane()
    for name, text in (("type", "a\0"), ("partitionkey", "\0"), ("partitionkey", "x" * 3_000), ("stream", "\0"), ("previous", "x" * 9_999)):
        assert isinstance(reader.read(0, canonical(orjson.loads(EVENTS[0]) | {name: text})), Foreign)
    assert isinstance(reader.read(1, EVENTS[0]), Apply)


def test_another_chain_stops_the_partition_and_is_named() -> None:
    reader = lane()
    reader.read(0, chain(1, probability=6)[0])
    assert reader.read(1, EVENTS[1]) is None
    assert "event 1 follows" in (reader.diverged or "")
    assert reader.read(2, EVENTS[0]) is None


def test_a_gap_is_asked_for_only_after_the_inbox_was_read_again() -> None:
    reader = lane()
    assert reader.read(5, EVENTS[3]) is None
    assert reader.reseat
    assert reader.wanted(0) is None
    assert reader.read(6, EVENTS[0]) is None  # Until the seek, nothing is taken.
    reader.seat(BEGINNING)
    assert reader.read(5, EVENTS[3]) is None
    assert not reader.reseat
    assert reader.wanted(0) == (0, 3)


def test_a_refill_is_taken_in_order_and_reading_goes_on_behind_the_gap() -> None:
    reader = lane()
    for _ in range(2):
        reader.read(5, EVENTS[3])
        reader.seat(BEGINNING)
    reader.read(5, EVENTS[3])
    assert reader.read(6, EVENTS[4]) is None
    for position in range(3):
        assert reader.seek is None
        assert isinstance(reader.read(7 + position, EVENTS[position]), Apply)
    assert reader.seek == 5
    assert reader.read(10, EVENTS[3]) is None
    reader.committed(applied(2, 10))
    reader.seat(applied(2, 10))
    assert isinstance(reader.read(5, EVENTS[3]), Apply)


def test_a_refill_that_does_not_come_is_asked_for_again_and_progress_gives_it_time() -> None:
    reader = lane()
    for _ in range(2):
        reader.read(5, EVENTS[3])
        if reader.reseat:
            reader.seat(BEGINNING)
    assert reader.wanted(0) == (0, 3)
    assert reader.wanted(ASK_AGAIN_S - 1) is None
    assert reader.wanted(ASK_AGAIN_S) == (0, 3)
    reader.read(6, EVENTS[0])
    reader.committed(applied(0))
    assert reader.wanted(2 * ASK_AGAIN_S) is None
    assert reader.wanted(3 * ASK_AGAIN_S) == (1, 3)


def test_a_lost_tail_is_asked_for_once_there_is_nothing_more_to_read() -> None:
    reader = lane(applied(4))
    reader.told(8, digest(EVENTS[7]), 0)
    reader.look(0, at_end=True)
    reader.look(IDLE_S - 1, at_end=True)
    reader.look(IDLE_S, at_end=False)
    reader.look(IDLE_S + 1, at_end=True)
    assert reader.wanted(IDLE_S + 1) is None
    reader.look(2 * IDLE_S, at_end=True)
    assert reader.wanted(2 * IDLE_S) == (5, 8)


def test_a_reader_that_is_not_behind_asks_for_nothing() -> None:
    reader = lane(applied(4))
    reader.told(5, digest(EVENTS[4]), 0)
    for now in range(100):
        reader.look(now, at_end=True)
    assert reader.wanted(100) is None
    assert reader.diverged is None


def test_another_head_at_the_same_length_stops_the_reader() -> None:
    reader = lane(applied(4))
    reader.told(5, digest(EVENTS[3]), 0)
    assert "its last event 4" in (reader.diverged or "")


def test_a_shorter_ledger_stops_the_reader_but_an_old_message_does_not() -> None:
    reader = lane(applied(3))
    assert isinstance(reader.read(4, EVENTS[4], at_ms=100_000), Apply)
    reader.committed(applied(4))
    reader.told(4, digest(EVENTS[3]), 100_000 + GRACE_MS)
    assert reader.diverged is None
    reader.told(4, digest(EVENTS[3]), 100_001 + GRACE_MS)
    reader.told(5, digest(EVENTS[4]), 100_002 + GRACE_MS)
    reader.told(4, digest(EVENTS[3]), 100_003 + GRACE_MS)
    assert reader.diverged is None, "a relay that stood still said it once"
    reader.told(4, digest(EVENTS[3]), 100_004 + GRACE_MS)
    assert "holds 4 events" in (reader.diverged or "")


@dataclass
class Wire:
    """A topic partition that loses, repeats and gets foreign records, and a consumer that commits, or crashes before or after."""

    log: list[bytes | None] = field(default_factory=list)
    inbox: Inbox = BEGINNING
    order: list[int] = field(default_factory=list)
    at: int = 0
    reader: Lane = field(default_factory=lane)

    def step(self, records: int, crash: int, published: int, now: float) -> None:
        """Poll so many records, commit them (or not, and start anew), answer a request for refill."""
        batch = [(offset, self.log[offset]) for offset in range(self.at, min(self.at + records, len(self.log)))]
        self.at = min(self.at + records, len(self.log))
        after, positions = self.inbox, []
        for offset, raw in batch:
            match self.reader.read(offset, raw) if raw is not None else None:
                case Apply(header=header, head=head):
                    after = Inbox("mastery", 0, header.position, head, offset + 1)
                    positions.append(header.position)
                case Foreign():
                    after = Inbox("mastery", 0, after.position, after.head, offset + 1)
                case None:
                    pass
        if crash != 1:
            self.inbox = after
            self.order += positions
            self.reader.committed(after)
        if crash:
            self.reader, self.at = lane(self.inbox), self.inbox.kafka_offset or 0
        elif self.reader.reseat:
            self.reader.seat(self.inbox)
            self.at = self.inbox.kafka_offset or 0
        elif self.reader.seek is not None:
            self.at = self.reader.seek
            self.reader.seat(self.inbox)
        self.reader.look(now, at_end=self.at >= len(self.log))
        wanted = self.reader.wanted(now)
        if wanted:
            self.log += EVENTS[wanted[0] : min(wanted[1], published)]


@given(st.sampled_from(["position", "streamversion", "settings", "partition"]), st.sampled_from([-1, 2**53, 2**60]))
def test_numbers_that_no_ledger_can_hold_make_a_record_foreign(name: str, number: int) -> None:
    """Otherwise one forged record would ask for a refill of positions that no message can name, and end the consumer again and again."""
    reader = lane()
    assert isinstance(reader.read(0, orjson.dumps(orjson.loads(EVENTS[0]) | {name: number})), Foreign)
    assert not reader.reseat


steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "lose", "repeat", "foreign", "jump"]),
        st.integers(1, 6),
        st.integers(1, 8),
        st.sampled_from([0, 0, 0, 1, 2]),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(steps)
def test_whatever_the_wire_does_every_event_is_applied_once_and_in_order(moves: list[tuple[str, int, int, int]]) -> None:
    wire, published, now = Wire(), 0, 0.0
    for move, amount, records, crash in moves:
        now += 1
        match move:
            case "publish":
                wire.log += EVENTS[published : published + amount]
                published = min(published + amount, len(EVENTS))
            case "lose":  # Records vanish from the topic before they were read, as by retention.
                wire.log[-amount:] = [None] * min(amount, len(wire.log))
            case "repeat":
                start = max(0, published - amount)
                wire.log += EVENTS[start:published]
            case "foreign":
                wire.log.append(b"not ours")
            case "jump":  # Sent, and lost at once.
                published = min(published + amount, len(EVENTS))
        wire.step(records, crash, published, now)
    for _ in range(40):  # In peace, everything comes.
        now += ASK_AGAIN_S
        head = digest(EVENTS[published - 1]) if published else chain_start(SOURCE, 0)
        wire.reader.told(published, head, 0)
        wire.step(30, 0, published, now)
    assert wire.order == list(range(published))
    assert wire.inbox.position == published - 1
    assert wire.reader.diverged is None
