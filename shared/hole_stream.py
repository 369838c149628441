"""The decider by which a ledger goes on behind a hole. Every service has it; its streams are `<service>/hole/<partition>`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.contracts.envelope import Event, StreamId, partition_of
from shared.contracts.ledger import HoleNoted
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import Parameters

KIND: Final = "hole"
MAX_MARKERS: Final = 1_000_000


@dataclass(frozen=True)
class NoteHole:
    """Go on behind a hole of one partition, for a service."""

    service: str
    hole: HoleNoted

    @property
    def stream(self) -> StreamId:
        return StreamId(self.service, KIND, str(self.hole.partition), self.hole.marker)


@dataclass(frozen=True)
class HoleState:
    """The last position of this partition that is known to be lost."""

    after: int = -1


def hole_decider(service: str) -> Decider[HoleState]:
    """Return the decider of a service's holes."""

    def decide(command: NoteHole, state: HoleState, parameters: Parameters, history: History = ()) -> Sequence[Event] | Refusal:
        hole = command.hole
        if hole.after <= state.after:
            return []
        if hole.first > hole.after:
            return Refusal("no-hole", f"the ledger holds event {hole.after}: nothing is lost")
        return [hole]

    def evolve(state: HoleState, event: HoleNoted) -> HoleState:
        return HoleState(event.after)

    def command_of(event: HoleNoted) -> NoteHole:
        return NoteHole(service, event)

    return Decider("ledger.hole", 1, KIND, HoleState(), decide, evolve, command_of, json_codec(HoleState))


def marker_of(partition: int, partitions: int) -> str:
    """Return the first of `hole-0`, `hole-1`, ... that belongs to a partition; a stream of it has that key for ever."""
    return next(name for n in range(MAX_MARKERS) if partition_of(name := f"hole-{n}", partitions) == partition)
