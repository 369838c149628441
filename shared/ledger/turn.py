"""One transaction in memory: commands are decided in order, their events chained. Reaches no wire; the caller loads and stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.contracts.envelope import Event, Origin, Recorded, StreamId, digest, envelope, event_id
from shared.decider import Decider, Refusal
from shared.errors import KeyChanged, OutdatedDecider
from shared.ledger.types import Answer, Ask
from shared.parameters import Parameters

UNKNOWN: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Lane:
    """A locked partition: where the next event goes, and what it is chained to."""

    number: int
    length: int
    head: str
    last_at: datetime | None
    asked_at: datetime = UNKNOWN
    """What PostgreSQL's clock showed when it was asked for the partition, before it waited for a lock."""


@dataclass(slots=True)
class Held:
    """A stream while commands are decided on it."""

    id: str
    key: str
    partition: int
    version: int
    state: Any
    read_version: int
    stored: list[Recorded[Any]] | None
    """Its events in the database, once somebody needed them."""
    parts: dict[str, list[Recorded[Any]]]
    """Of these, those with one value of their decider's `apart_by`, where somebody needed only them."""
    fresh: list[Recorded[Any]]
    """Its events decided in this transaction."""
    size: int
    """Bytes of the state as it was written, times its codec's bulk."""

    def __init__(self, id: str, key: str, partition: int, version: int, state: Any, read_version: int) -> None:
        """Written out: what `dataclass` makes is never compiled."""
        self.id, self.key, self.partition, self.version, self.state, self.read_version = id, key, partition, version, state, read_version
        self.stored, self.parts, self.fresh, self.size = None, {}, [], 0

    def history(self, need: Need) -> list[Recorded[Any]] | None:
        """Return the stored events that are needed; None where they are not loaded yet."""
        return self.parts.get(need.value) if self.stored is None and need.apart_by else self.stored


@dataclass(frozen=True, slots=True)
class Need:
    """The events of a stream that a command is decided with: all, or those whose field has a value."""

    stream: str
    apart_by: str = ""
    value: str = ""


def need_of(ask: Ask, decider: Decider[Any]) -> Need:
    """Return which events an ask is decided with, where it needs its stream's history."""
    value = str(getattr(ask.command, decider.apart_by)) if decider.apart_by else ""
    return Need(ask.stream.name, decider.apart_by, value)


class NeedsHistory(Exception):
    """Stored events of a stream must be loaded before the next command can be decided."""

    def __init__(self, need: Need) -> None:
        super().__init__(need.stream)
        self.need = need


class Turn:
    """Decides a list of asks. Raises what a pure room raises: that is poison, and the whole transaction is rolled back."""

    def __init__(
        self, *, source: str, release: str, deciders: Mapping[str, Decider[Any]], parameters: Parameters, lanes: Mapping[int, Lane],
        held: dict[str, Held], now: datetime,
    ) -> None:  # fmt: skip
        self._source, self._release, self._deciders, self._parameters = source, release, deciders, parameters
        self._labels = {kind: decider.label for kind, decider in deciders.items()}
        self.lanes, self._now = lanes, now
        self.held = held
        self.answers: list[Answer] = []
        self.events: list[Recorded[Any]] = []

    def run(self, asks: Sequence[Ask]) -> None:
        """Decide the asks that have no answer yet.

        Raises:
            NeedsHistory: then load these events into `held` and call again.
        """
        for ask in asks[len(self.answers) :]:
            self.answers.append(self._answer(ask))

    def _answer(self, ask: Ask) -> Answer:
        stream = ask.stream
        held = self.held[stream.name]
        if held.key != stream.key:
            raise KeyChanged(held.id)
        decider = self._deciders[stream.kind]
        history: Sequence[Recorded[Any]] = ()
        if decider.needs_history(ask.command, held.state):
            need = need_of(ask, decider)
            stored = held.history(need) if held.read_version else []
            if stored is None:
                raise NeedsHistory(need)
            history = [*stored, *held.fresh]
        decided = decider.decide(ask.command, held.state, self._parameters, history)
        if isinstance(decided, Refusal):
            return Answer(ask, refusal=decided)
        return Answer(ask, tuple([self._record(ask.origin, stream, held, decider, event) for event in decided]))

    def _record(self, origin: Origin, stream: StreamId, held: Held, decider: Decider[Any], event: Event) -> Recorded[Any]:
        lane = self.lanes[held.partition]
        number, position, previous = lane.number, lane.length, lane.head
        at = self._now if lane.last_at is None or lane.last_at < self._now else lane.last_at
        name, version, settings, label = held.id, held.version + 1, self._parameters.version, self._labels[stream.kind]
        id = event_id(name, version)
        raw = envelope(
            id=id, source=self._source, stream=stream, version=version, partition=number, position=position, previous=previous,
            at=at, decider=label, settings=settings, release=self._release, origin=origin, event=event,
        )  # fmt: skip
        recorded = Recorded(
            id, event.TYPE, self._source, at, name, version, held.key, number, position, previous, label, settings, self._release,
            origin.causation, origin.correlation, event, raw,
        )  # fmt: skip
        lane.length, lane.head, lane.last_at = position + 1, digest(raw), at
        held.version, held.state = version, decider.evolve(held.state, event)
        held.fresh.append(recorded)
        self.events.append(recorded)
        return recorded

    def forget_histories(self) -> None:
        """Let go of the stored events of all streams; where they are needed again, they are loaded again."""
        for held in self.held.values():
            held.stored = None
            held.parts.clear()

    def changed(self) -> list[Held]:
        """Return the streams that have new events."""
        return [held for held in self.held.values() if held.fresh]


def hold(
    streams: Iterable[StreamId], partition: Mapping[str, int], rows: Mapping[str, Held], deciders: Mapping[str, Decider[Any]]
) -> dict[str, Held]:
    """Return every stream of a transaction: as it was loaded, or from its decider's beginning."""
    held = dict(rows)
    for stream in streams:
        name = str(stream)
        if name not in held:
            held[name] = Held(name, stream.key, partition[stream.key], 0, deciders[stream.kind].initial, 0)
    return held


def check_release(stream: str, format: int, decider: Decider[Any]) -> bool:
    """Return whether a stored state can be decoded by this decider; otherwise it must be folded again.

    Raises:
        OutdatedDecider: where a newer version wrote it.
    """
    stored_version = format // 1_000
    if stored_version > decider.version:
        raise OutdatedDecider(stream, decider.version, stored_version)
    return format == decider.format
