"""Histories as a ledger would hold them: asked step by step, kept as one event a line, replayed to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from services.mastery.app import PARTS
from shared.contracts import event_class
from shared.contracts.envelope import Header, Origin, Recorded, StreamId, chain_start, digest, envelope
from shared.decider import Command, Decider, Refusal
from shared.parameters import Parameters
from shared.parts import Parts
from shared.replay import Difference, Settings, Verifier
from shared.serve import all_deciders, earlier_deciders
from shared.settings_stream import settings_decider
from shared.testing import SOME_TIME, SOMEBODY


class History:
    """A record of mastery with one partition, made by asking commands of any of its deciders, whatever their version."""

    parts: ClassVar[Parts] = PARTS
    """Of the service: a subclass may be of another one."""

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        self.lines: list[bytes] = list(lines)

    @property
    def events(self) -> list[Recorded[Any]]:
        """All events, decoded."""
        return [decoded(raw) for raw in self.lines]

    def of(self, stream: str) -> list[Recorded[Any]]:
        """Return the events of a stream."""
        return [event for event in self.events if event.stream == stream]

    def parameters(self) -> Parameters:
        """Return what is in force at the end."""
        settings = self._settings()
        return settings.at(settings.latest)

    def _settings(self) -> Settings:
        return Settings(self.parts.kinds, self.of(f"{self.parts.name}/settings"))

    def ask(self, decider: Decider[Any], *commands: Command) -> Self:
        """Let a decider answer commands, none of which may be refused, and keep what it says."""
        for command in commands:
            past = self.of(command.stream.name)
            state = decider.fold(event.data for event in past)
            parameters = self.parameters()
            history = past if decider.needs_history(command, state) else ()
            answered = decider.decide(command, state, parameters, history)
            assert not isinstance(answered, Refusal), f"{answered.code}: {answered.detail}"
            for number, event in enumerate(answered, len(past) + 1):
                self._keep(decider, command.stream, number, parameters.version, event)
        return self

    def set(self, *commands: Command) -> Self:
        """Change what is in force."""
        assert self.parts.page_added is not None
        return self.ask(settings_decider(self.parts.name, self.parts.page_added, self.parts.kinds), *commands)

    def _keep(self, decider: Decider[Any], stream: StreamId, version: int, settings: int, event: Any) -> None:
        source = f"/test/{self.parts.name}"
        head = digest(self.lines[-1]) if self.lines else chain_start(source, 0)
        self.lines.append(
            envelope(
                source=source, stream=stream, version=version, partition=0, position=len(self.lines), previous=head, at=SOME_TIME,
                decider=decider.label, settings=settings, release="test", origin=Origin(SOMEBODY.causation, SOMEBODY.correlation),
                event=event,
            )
        )  # fmt: skip

    def replay(self) -> list[Difference]:
        """Decide everything again with the deciders of this release, frozen ones included, and return the differences."""
        verifier = Verifier([*all_deciders(self.parts), *earlier_deciders(self.parts)], self._settings())
        streams = dict.fromkeys(event.stream for event in self.events)
        return [found for name in streams for found in verifier.stream(name, [event.raw for event in self.of(name)])]


def decoded(raw: bytes) -> Recorded[Any]:
    """Return the event of these bytes."""
    header = Header.read(raw)
    known = event_class(header.event_type)
    assert known is not None
    return header.decode(known)
