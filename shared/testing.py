"""What tests of every service use: given/when/then for deciders, their four properties, and a service on a real database."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from shared.contracts.envelope import Event, Origin, Recorded, StreamId, canonical, chain_start, digest, envelope, event_id
from shared.decider import Command, Decider, Refusal
from shared.parameters import NO_PARAMETERS, ParameterKind, Parameters, page_hash, paged, set_id_of

S = TypeVar("S")
SOME_TIME: Final = datetime(2026, 11, 24, 8, tzinfo=UTC)
SOMEBODY: Final = Origin(str(UUID(int=1)), str(UUID(int=1)))


def in_force(*sets: tuple[ParameterKind[Any], Sequence[Any]], version: int = 1) -> Parameters:
    """Return parameters with these sets in force, each given as (kind, items), parsed as a running service would."""
    values, ids = {}, {}
    for kind, items in sets:
        pages = list(paged(items))
        values[kind.name] = kind.parse(pages)
        ids[kind.name] = set_id_of(kind.name, [page_hash(page) for page in pages])
    return Parameters(version, values, ids)


def recorded(stream: StreamId, events: Sequence[Event], at: datetime = SOME_TIME) -> list[Recorded[Any]]:
    """Return events as they would stand in a ledger, as the whole history of one stream."""
    result: list[Recorded[Any]] = []
    head = chain_start(f"/test/{stream.service}", 0)
    for version, event in enumerate(events, 1):
        raw = envelope(
            source=f"/test/{stream.service}", stream=stream, version=version, partition=0, position=version - 1, previous=head, at=at,
            decider="test/1", settings=0, release="test", origin=SOMEBODY, event=event,
        )  # fmt: skip
        result.append(
            Recorded(
                id=event_id(str(stream), version), type=event.TYPE, source=f"/test/{stream.service}", time=at, stream=str(stream),
                version=version, key=stream.key, partition=0, position=version - 1, previous=head, decider="test/1", settings=0,
                release="test", causation=SOMEBODY.causation, correlation=SOMEBODY.correlation, data=event, raw=raw,
            )
        )  # fmt: skip
        head = digest(raw)
    return result


def answer(decider: Decider[Any], command: Any, past: Sequence[Event], parameters: Parameters = NO_PARAMETERS) -> Sequence[Event] | Refusal:
    """Return what a decider answers after these events, with history where it asks for it."""
    state = decider.fold(past)
    history = recorded(command.stream, past) if decider.needs_history(command, state) else ()
    return decider.decide(command, state, parameters, history)


@dataclass(frozen=True)
class Spec(Generic[S]):
    """Given a history, when a command comes, then these events follow.

    `Spec(mastery).given(estimated()).when(right_answer()).then_types(Estimated, LevelChanged)`
    """

    decider: Decider[S]
    parameters: Parameters = NO_PARAMETERS
    past: tuple[Event, ...] = ()
    answered: Sequence[Event] | Refusal = field(default=(), repr=False)

    def given(self, *events: Event) -> Spec[S]:
        """Return a spec whose history goes on with these events."""
        return Spec(self.decider, self.parameters, (*self.past, *events))

    def asked(self, *commands: Any) -> Spec[S]:
        """Return a spec whose history goes on with the answers to these commands, none of which may be refused."""
        spec = self
        for command in commands:
            spec = spec.given(*spec.when(command).events)
        return spec

    def when(self, command: Any) -> Spec[S]:
        """Return a spec that knows the answer to this command."""
        return Spec(self.decider, self.parameters, self.past, answer(self.decider, command, self.past, self.parameters))

    @property
    def events(self) -> tuple[Event, ...]:
        """The answer's events; fails the test where the command was refused."""
        assert not isinstance(self.answered, Refusal), f"refused: {self.answered.code}: {self.answered.detail}"
        return tuple(self.answered)

    @property
    def state(self) -> S:
        """The state after history and answer."""
        return self.decider.fold((*self.past, *self.events))

    def then(self, *events: Event) -> None:
        """Assert that exactly these events follow."""
        assert self.events == events

    def then_types(self, *classes: type[Event]) -> None:
        """Assert that events of exactly these classes follow."""
        assert tuple(type(event) for event in self.events) == classes

    def then_nothing(self) -> None:
        """Assert that nothing follows."""
        assert self.events == ()

    def then_refused(self, code: str) -> None:
        """Assert that the command is refused with this code."""
        assert isinstance(self.answered, Refusal), f"not refused: {self.answered}"
        assert self.answered.code == code


def check_decider(
    decider: Decider[Any], histories: SearchStrategy[list[Any]], parameters: Parameters = NO_PARAMETERS, examples: int = 60
) -> None:
    """Assert the four properties of every decider, for histories made by asking lists of commands of one stream.

    Any history folds without error; repeating any command adds nothing; `command_of` gives back the command; the state survives its
    encoding, and decides alike afterwards.
    """

    @settings(max_examples=examples, deadline=None)
    @given(histories)
    def check(commands: list[Any]) -> None:
        past: list[Event] = []
        answered: list[Any] = []
        for command in commands:
            events = answer(decider, command, past, parameters)
            state = decider.fold(past)
            if not decider.needs_history(command, state):
                decoded = decider.codec.decode(decider.codec.encode(state))
                assert decider.decide(command, decoded, parameters, ()) == events, "a state that was kept decides as one that was folded"
            if decider.apart_by and decider.needs_history(command, state):
                value = getattr(command, decider.apart_by)
                some = recorded(command.stream, [event for event in past if getattr(event, decider.apart_by) == value])
                assert decider.decide(command, state, parameters, some) == events, "no other event of its history matters"
            if isinstance(events, Refusal):
                continue
            if events:
                assert decider.command_of(events[0]) == command, "the first event of an answer carries its command whole"
                assert all(decider.command_of(event) is None for event in events[1:]), "only the first event begins an answer"
                kept = type(events[0]).model_validate(canonical_value(events[0]))
                assert kept == events[0], "an event survives its bytes"
            past.extend(events)
            answered.append(command)
            again = answer(decider, command, past, parameters)
            assert isinstance(again, Refusal) or not again, f"repeating {command} adds {again}"
        state = decider.fold(past)
        decoded = decider.codec.decode(decider.codec.encode(state))
        assert decider.codec.encode(decoded) == decider.codec.encode(state)
        for command in answered[-3:]:
            if not decider.needs_history(command, state):
                assert decider.decide(command, decoded, parameters, ()) == decider.decide(command, state, parameters, ())

    check()


def canonical_value(event: Event) -> Any:
    """Return the JSON value that an event's bytes hold."""
    import orjson

    return orjson.loads(canonical(event.body()))


def a_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(parts: Any, database: Any, **environment: Any) -> AsyncIterator[Any]:
    """Yield a service without Kafka on a migrated database: `.client` (httpx), `.ledger`, `.context`, `.hear(event)`, `.tick()`.

    Args:
        parts: the service's `PARTS`.
        database: what the `database` fixture gives for the service: `app_url`.
        environment: settings that differ from the tests' defaults.
    """
    from shared.serve import inside  # Here, so that tests of pure rooms load no wire.

    async with inside(parts, database, environment) as service:
        yield service


__all__ = [
    "SOMEBODY", "SOME_TIME", "Command", "Spec", "a_port", "answer", "canonical_value", "check_decider", "in_force", "recorded", "running",
]  # fmt: skip
