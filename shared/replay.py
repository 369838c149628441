"""Replay: every decision of a record is decided again, on the state before it, and must give the bytes that follow.

Needs a stream's events and the parameter sets they name; no clock, no network, no table but the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson

from shared.contracts import event_class
from shared.contracts.envelope import Header, Recorded, canonical, chain_start, digest, event_id, partition_of
from shared.contracts.ledger import hole_before
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted
from shared.decider import Command, Decider, Refusal
from shared.parameters import NO_PARAMETERS, ParameterKind, Parameters, Parser, page_hash

BEFORE_DATA: Final = b'","data":'
BEHIND_DATA: Final = b',"datacontenttype":'
HASH_BYTES: Final = 32
"""Of a SHA-256."""
DATA_AT: Final = len('{"causationid":"') + len('","correlationid":"') + 2 * 36 + len(BEFORE_DATA)
"""Where `data` begins in the canonical form: its keys are sorted, and the ids before it have 36 characters."""
MAX_SHOWN: Final = 2_000
"""Characters of an answer that a difference shows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a record and its replay part: the place, what stands there, and what is decided now."""

    stream: str
    version: int
    place: str
    what: str
    stored: str = ""
    decided: str = ""

    def __str__(self) -> str:
        lines = [f"{self.stream}@{self.version} ({self.place}): {self.what}"]
        lines += [f"  stored:  {self.stored}"] if self.stored else []
        lines += [f"  decided: {self.decided}"] if self.decided else []
        return "\n".join(lines)


@dataclass
class Tally:
    """What a replay has seen so far."""

    events: int = 0
    decisions: int = 0
    differences: list[Difference] = field(default_factory=list)


class Settings:
    """Which parameters were in force at each version of a service's settings stream."""

    def __init__(self, kinds: Sequence[ParameterKind[Any]], events: Iterable[Recorded[Any]]) -> None:
        self._kinds = tuple(kinds)
        self._parsers: dict[tuple[ParameterKind[Any], ...], Parser] = {}
        self._pages: dict[str, bytes] = {}
        self._in_force: list[Mapping[str, tuple[str, tuple[str, ...]]]] = [{}]
        self._last: dict[tuple[ParameterKind[Any], ...], Parameters] = {}
        for event in events:
            current = dict(self._in_force[-1])
            match event.data:
                case ParameterPageAdded(content=content):
                    self._pages[page_hash(content)] = canonical(content)
                case ParameterSetAdopted(set_id=set_id, pages=pages):
                    current[event.data.KIND] = (set_id, pages)
                case _:
                    pass
            self._in_force.append(current)

    @property
    def latest(self) -> int:
        """The version that is in force after all events."""
        return len(self._in_force) - 1

    def at(self, version: int, kinds: tuple[ParameterKind[Any], ...] | None = None) -> Parameters:
        """Return what was in force at a version of the settings stream.

        Args:
            kinds: those of a decider, which reads the sets as it always did; sets of other kinds it does not know.

        Raises:
            IndexError: the stream never had this version.
        """
        read = self._kinds if kinds is None else kinds
        last = self._last.get(read, NO_PARAMETERS)
        if version != last.version or not version:  # Nearly always the same as for the decision before.
            parser = self._parsers.setdefault(read, Parser(read))
            names = {kind.name for kind in read}
            in_force = {name: found for name, found in self._in_force[version].items() if kinds is None or name in names}
            last = self._last[read] = parser.parameters(version, in_force, self._pages)
        return last


class Verifier:
    """Replays the streams of one service's record, one after another."""

    def __init__(self, deciders: Sequence[Decider[Any]], settings: Settings, links: Links | None = None) -> None:
        """Prepare.

        Args:
            links: takes every event that is read, where its chain is of interest.
        """
        self._deciders = {decider.label: decider for decider in deciders}
        self._settings, self._links = settings, links
        self.tally = Tally()

    def stream(self, name: str, raws: Sequence[bytes], positions: Sequence[int] = ()) -> list[Difference]:
        """Decide a stream's decisions again and return the differences; stops at a stream's first. `positions` are for the links."""
        self.tally.events += len(raws)
        try:
            differences = self._stream(name, raws, positions)
        except (ValueError, LookupError, TypeError) as error:
            differences = [Difference(name, 0, "the stream", f"it cannot be read again: {error}")]
        except Exception as error:  # What a pure room raises is a finding about this stream; the others are replayed all the same.
            differences = [Difference(name, 0, "the stream", f"it breaks the code: {type(error).__name__}")]
        self.tally.differences.extend(differences)
        return differences

    def _stream(self, name: str, raws: Sequence[bytes], positions: Sequence[int]) -> list[Difference]:
        events: list[Recorded[Any]] = []
        for version, raw in enumerate(raws, 1):
            header = Header.read(raw)
            if self._links is not None:
                self._links.take(positions[version - 1], header)
            known = event_class(header.event_type)
            if known is None:
                return [Difference(name, version, _place(header), f"this release does not know events of type {header.event_type}")]
            event = header.decode(known)
            if event.version != version or event.stream != name or event.id != event_id(name, version):
                return [Difference(name, version, _place(header), "its stream, version and id do not belong together")]
            if event.decider not in self._deciders:
                return [Difference(name, version, _place(header), f"no decider {event.decider or '(none named)'} is part of this release")]
            events.append(event)
        return self._answers(name, events)

    def _answers(self, name: str, events: Sequence[Recorded[Any]]) -> list[Difference]:
        # Each decider follows the stream up to its own last event: an earlier version need not know what a later one tells.
        last = {event.decider: place for place, event in enumerate(events)}
        states: dict[str, Any] = {label: self._deciders[label].initial for label in last}
        start = 0
        command = self._command(events, 0)
        while start < len(events):
            first = events[start]
            if command is None:
                return [Difference(name, first.version, _where(first), "it continues an answer, and no answer begins before it")]
            end, following = start + 1, self._command(events, start + 1)
            while end < len(events) and following is None:
                end, following = end + 1, self._command(events, end + 1)
            self.tally.decisions += 1
            difference = self._again(first, command, states[first.decider], events, start, end)
            if difference is not None:
                return [difference]
            for label, place in last.items():
                if place >= end:
                    states[label] = self._deciders[label].fold((event.data for event in events[start:end]), states[label])
            start, command = end, following
        return []

    def _command(self, events: Sequence[Recorded[Any]], place: int) -> Command | None:
        """Return the command whose answer begins at this place of a stream."""
        return self._deciders[events[place].decider].command_of(events[place].data) if place < len(events) else None

    def _again(
        self, first: Recorded[Any], command: Command, state: Any, events: Sequence[Recorded[Any]], start: int, end: int
    ) -> Difference | None:
        """Decide a command again whose answer is events[start:end]; return where the answer differs."""
        decider = self._deciders[first.decider]
        history = events[:start] if decider.needs_history(command, state) else ()
        decided = decider.decide(command, state, self._settings.at(first.settings, decider.kinds), history)
        if isinstance(decided, Refusal):
            return Difference(first.stream, first.version, _where(first), f"its command is now refused: {decided.code}: {decided.detail}")
        stored = events[start:end]
        found = [(event.TYPE, canonical(event.body())) for event in decided]
        if len(found) == len(stored) and all(_holds(event, *answer) for event, answer in zip(stored, found, strict=True)):
            return None
        expected = [(event.type, canonical(_data_of(event.raw))) for event in stored]
        if expected == found:  # Written in another form than the canonical one; that it is so, the chain does not mind.
            return None
        place = next((n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), min(len(expected), len(found)))
        told = stored[min(place, len(stored) - 1)]
        return Difference(
            told.stream, told.version, _where(told), "the same command on the same state gives another answer now",
            _shown(expected, place), _shown(found, place),
        )  # fmt: skip


class Links:
    """Whether one partition's record is gapless and chained, from events that come in any order; keeps 64 bytes of each.

    Where it is, nobody has to read it a second time. Where it is not, or has a hole that was recorded, `ChainWalk` finds out more.
    """

    def __init__(self, source: str, number: int, partitions: int, length: int) -> None:
        self._source, self._number, self._partitions, self._length = source, number, partitions, length
        self._links, self._taken = bytearray(), 0

    def take(self, position: int, header: Header) -> None:
        """Note an event: which one it is chained to, and its own hash."""
        if position >= self._length:
            return
        told = header.attributes
        placed = position == told["position"] and told["source"] == self._source
        if not placed or not told["partition"] == self._number == partition_of(told["partitionkey"], self._partitions):
            return
        try:
            before = bytes.fromhex(told["previous"])
        except ValueError:
            return
        if len(before) == HASH_BYTES and before.hex() == told["previous"]:
            at = 2 * HASH_BYTES * position
            if at > len(self._links):  # Streams come one after another, so positions leap.
                self._links.extend(bytes(at - len(self._links)))
            self._links[at : at + 2 * HASH_BYTES] = before + sha256(header.raw).digest()
            self._taken += 1

    def whole(self, head: str) -> bool:
        """Return whether every event up to the partition's length was taken, each chained to the one before it, and `head` is the last."""
        if not self._taken == self._length == len(self._links) // (2 * HASH_BYTES):  # The length is whatever the partition's row says.
            return False
        hashes = bytes.fromhex(chain_start(self._source, self._number)) + self._links
        pairs = range(0, len(hashes) - HASH_BYTES, 2 * HASH_BYTES)
        return hashes[-HASH_BYTES:].hex() == head and all(
            hashes[at : at + HASH_BYTES] == hashes[at + HASH_BYTES : at + 2 * HASH_BYTES] for at in pairs
        )  # fmt: skip


class ChainWalk:
    """Walks one partition's record in order, and finds where it is not gapless and chained. Holds one hash, however long the record is."""

    def __init__(self, source: str, number: int, partitions: int) -> None:
        self._source, self._number, self._partitions = source, number, partitions
        self._previous, self._expected = chain_start(source, number), 0
        self.broken: Difference | None = None
        self.holes = 0
        """Positions that the record says are lost."""

    def take(self, position: int, raw: bytes) -> None:
        """Look at the next event; after the first that is wrong, nothing more is looked at."""
        if self.broken is not None:
            return
        try:
            header = Header.read(raw)
        except ValueError as error:
            self.broken = Difference(f"partition {self._number}", position, f"position {position}", f"it is no event: {error}")
            return
        self.follow(position, header, digest(raw))

    def follow(self, position: int, header: Header, hash: str) -> None:
        """Look at the next event, whose envelope and hash are known already."""
        if self.broken is not None:
            return
        hole = hole_before(header)
        if hole is not None and (hole.first, hole.before) == (self._expected, self._previous):
            self._expected, self._previous = header.position, header.previous
            self.holes += hole.after - hole.first + 1
        wrong = _misplaced(header, self._source, self._number, self._partitions, position, self._expected, self._previous)
        if wrong:
            self.broken = Difference(header.attributes["stream"], header.attributes["streamversion"], _place(header), wrong)
        self._previous, self._expected = hash, self._expected + 1

    def end(self, length: int, head: str) -> list[Difference]:
        """Return what is wrong; an empty list means that the record is whole up to `length` and `head`."""
        if self.broken is None and (self._expected, self._previous) != (length, head):
            what = f"the partition's row says {length} events, and the last of {self._expected} is not the one it names"
            self.broken = Difference(f"partition {self._number}", self._expected, f"position {self._expected}", what)
        return [self.broken] if self.broken else []


def _misplaced(header: Header, source: str, number: int, partitions: int, position: int, expected: int, previous: str) -> str:
    told = header.attributes
    if not position == expected == told["position"]:
        return f"position {expected} is missing"
    if told["previous"] != previous:
        return "it is not chained to the event before it: one of the two was changed"
    if told["source"] != source:
        return f"it comes from {told['source']}"
    if not told["partition"] == number == partition_of(told["partitionkey"], partitions):
        return "its key belongs to another partition"
    return ""


def _holds(event: Recorded[Any], type_name: str, data: bytes) -> bool:
    """Return whether an event's bytes hold this type and content, at the place that the canonical form has for it: no need to read them."""
    return (
        event.type == type_name and event.raw.startswith(data, DATA_AT) and event.raw.startswith(BEHIND_DATA, DATA_AT + len(data))
        and event.raw.startswith(BEFORE_DATA, DATA_AT - len(BEFORE_DATA))
    )  # fmt: skip


def _data_of(raw: bytes) -> Any:
    return orjson.loads(raw)["data"]


def _where(event: Recorded[Any]) -> str:
    return f"{event.type} at partition {event.partition}, position {event.position}"


def _place(header: Header) -> str:
    return f"{header.event_type} at partition {header.attributes['partition']}, position {header.position}"


def _shown(answer: Sequence[tuple[str, bytes]], place: int) -> str:
    if place >= len(answer):
        return "nothing more"
    type_name, content = answer[place]
    return f"{type_name} {content.decode()[:MAX_SHOWN]}"
