"""What a decider is: a pure function from command, state and parameters to events, and how its state is folded and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from shared.contracts.envelope import Event, Recorded, StreamId
from shared.parameters import ParameterKind, Parameters

S = TypeVar("S")
History = Sequence[Recorded[Any]]


class Command(Protocol):
    """Something asked. It names the stream that answers it, and is equal to another command that asks the same."""

    @property
    def stream(self) -> StreamId:
        """The stream whose decider answers."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A decider's no. `code` is stable and for programs; `detail` says what the asker can do, without personal data."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Codec(Generic[S]):
    """How a state is kept between batches. Another `format` than the stored one means: fold again."""

    format: int
    encode: Callable[[S], bytes]
    decode: Callable[[bytes], S]
    bulk: int = 1
    """How many times as much memory as other states its own take, decoded, for each byte of their encoded form; by it they are kept."""


def json_codec(state_class: type[S], format: int = 1) -> Codec[S]:
    """Return the default codec: the dataclass as JSON. A decider with large or hot state brings its own."""
    adapter = TypeAdapter(state_class)
    return Codec(format, adapter.dump_json, adapter.validate_json)


def _never(command: Any, state: Any) -> bool:
    return False


@dataclass(frozen=True)
class Decider(Generic[S]):
    """The rules of one kind of stream. Deciders are pure: equal arguments give equal events, everywhere and for ever."""

    name: str
    """Such as `mastery.estimate`; stored with every event as `<name>/<version>`."""
    version: int
    kind: str
    """The kind of stream it decides for: the middle part of `mastery/learner/<id>`."""
    initial: S
    decide: Callable[[Any, S, Parameters, History], Sequence[Event] | Refusal]
    """Answer a command. Nothing to say is an empty list. The first event of an answer carries its command whole."""
    evolve: Callable[[S, Any], S]
    """The state after an event. Never refuses: it has already happened."""
    command_of: Callable[[Any], Command | None]
    """The command whose answer this event begins, or None where it continues one."""
    codec: Codec[S]
    needs_history: Callable[[Any, S], bool] = field(default=_never)
    """Whether the state alone is not enough, so that the stream's events must be passed as history."""
    apart_by: str = ""
    """Name of a field of its events, a text without quotes as JSON, that its commands have, too: of the events of a history those alone
    matter where it is the command's, and of a long stream the others are not read. Empty: all of them matter."""
    kinds: tuple[ParameterKind[Any], ...] | None = None
    """The parameter sets that replay reads for it: of an earlier version as it read them, frozen with it; empty for one that decides with
    none. None: as the service reads them now."""

    @property
    def label(self) -> str:
        """What events name as their decider."""
        return f"{self.name}/{self.version}"

    @property
    def format(self) -> int:
        """What is stored beside an encoded state: a new version or codec folds again."""
        return self.version * 1_000 + self.codec.format

    def fold(self, events: Iterable[Event], state: S | None = None) -> S:
        """Return the state after these events, from `state` or from the beginning."""
        current = self.initial if state is None else state
        for event in events:
            current = self.evolve(current, event)
        return current
