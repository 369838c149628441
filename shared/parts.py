"""What a service is made of. Every `app.py` fills this in; `shared/serve.py` runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from shared.clock import Clock
from shared.contracts.envelope import Event, Recorded, StreamId
from shared.contracts.parameters import ParameterPageAdded
from shared.contracts.topics import Topic
from shared.decider import Command, Decider
from shared.ledger.types import Answer, Ask, Connection, Expand, Prepare, Projection, Settle
from shared.parameters import ParameterKind, Parameters
from shared.settings import Settings
from shared.zones import day_in

if TYPE_CHECKING:
    from fastapi import APIRouter
    from psycopg_pool import AsyncConnectionPool


class Asker(Protocol):
    """Takes commands and answers once they are committed; commands that arrive together share a transaction."""

    async def ask(self, commands: Sequence[Command], request_id: UUID | None = None) -> list[Answer]:
        """Return one answer per command, in order, after the commit. All commands of one call are decided in one transaction,
        unless they are more than a transaction holds (then in several, in order).

        Args:
            request_id: what the events name as their cause; by default a new id that holds the time of asking (UUIDv7), by which the
                age of everything that follows is known.

        Raises:
            Overloaded: where too many wait already; nothing was stored, or, of more commands than a transaction holds, not the rest.
        """
        ...

    async def ask_whole(self, prepare: Prepare) -> list[Answer]:
        """Ask what `prepare` returns, in the transaction in which it was worked out: all of it is done, or nothing.

        Raises:
            Refused: a decider refused a command; nothing was stored.
            Overloaded: the service is stopping; nothing was stored.
        """
        ...

    async def parameters(self) -> Parameters:
        """Return what is in force now."""
        ...

    async def state(self, stream: StreamId) -> Any:
        """Return a stream's state as its decider has it, to ask what would be; the decider's beginning where there is no such stream."""
        ...


@dataclass(frozen=True)
class Subscription:
    """Which services' events are heard, and the commands they lead to. `shared/consume/` does the rest."""

    topics: tuple[Topic, ...]
    commands_for: Callable[[Recorded[Any]], Sequence[Command]]
    """Pure. What this service does about another one's event; none for what it has no use for."""
    events: tuple[type[Event], ...] = ()
    """The types that `commands_for` has a use for; others are not decoded, which is cheaper."""
    commands_in: Callable[[Recorded[Any], tzinfo], Sequence[Command]] | None = None
    """`commands_for` in a time zone, where commands carry the day of the event."""

    def commands_by(self, zone: tzinfo) -> Callable[[Recorded[Any]], Sequence[Command]]:
        """Return what this service does about another one's event, where days are those of a time zone."""
        told = self.commands_in
        return self.commands_for if told is None else lambda event: told(event, zone)


@dataclass(frozen=True)
class Sweep:
    """Commands to every stream of a kind, once for each name: a new framework, or the start of a day in the installation's time zone.

    Walked in small transactions by a cursor row per partition, so that it resumes after a crash and yields to live batches.
    """

    kind: str
    """Kind of stream whose keys are walked."""
    name: Callable[[Parameters, str], str | None]
    """From what is in force and today's date (ISO): the name of the sweep that ought to have been made, or None for none."""
    commands: Callable[[str, Parameters, str], Sequence[Command]]
    """From a stream's id (the part behind its kind), what is in force and today's date: idempotent commands."""


@dataclass(frozen=True)
class Drain:
    """Work that lies in a read table until commands have done it, such as acts that wait for a learner."""

    name: str
    due: Callable[[Connection, str], Awaitable[Sequence[Command | Ask]]]
    """Given a connection without locks and the current instant (canonical text): the commands to ask next (at most 500), in order, or
    none. An `Ask` names what led to it; a bare command is said to come from the ticker."""


@dataclass(frozen=True)
class Work:
    """Work that a service does in transactions of its own, such as the steps of a roster, until there is none."""

    name: str
    step: Callable[[], Awaitable[bool]]
    """Does some of it, and returns whether there was any."""


@dataclass(frozen=True)
class Sought:
    """One search to run: what is due of a stream, read at a version."""

    stream: str
    """Name of the stream that takes the answer; one that breaks the code rests for a while."""
    value: Any
    """What is searched from, picklable."""
    before: Sequence[Command | Ask] = ()
    """Asked in the same transaction, ahead of the answer: what the search knows already and the stream does not."""
    causes: Sequence[str] = ()
    """Events that led to it, whose traces go on in the answer."""


@dataclass(frozen=True)
class Search:
    """A long search outside any transaction: read at a version, search in another process, bring the answer in as a command.

    One look after another, each in sequence, so that no answer comes too late because of what its own service does meanwhile.
    """

    name: str
    due: Callable[[Connection, str], Awaitable[Sequence[Sought]]]
    """Given a connection without locks and the current instant (canonical text): the searches to run, or none. Where there are more than
    it returns, those that were not looked at for the longest come first."""
    solve: Callable[[Any], Command | Ask]
    """Pure, at module level (it runs in a process pool): from such a value to the command that brings in the answer."""
    greedy: Callable[[Any], Command | Ask] | None = None
    """After two stale answers: the command that searches inside its decider."""
    window_ms: int = 500
    """From the start of a look to that of the next, in milliseconds: what changes meanwhile is searched for once."""


@dataclass(frozen=True)
class Lapse:
    """States that are let go of once a day: of streams that are over. Their events stay; whoever asks such a stream folds them again."""

    kind: str
    before: Callable[[str], str]
    """From today's date (ISO) to a text: streams the last part of whose id comes before it are over."""


Tick = Sweep | Drain | Work | Search | Lapse


@dataclass(frozen=True)
class Context:
    """What routes are given. They import nothing that reaches a wire."""

    pool: AsyncConnectionPool[Any]
    asker: Asker
    clock: Clock
    settings: Settings

    def day_of(self, at: datetime) -> date:
        """Return the day of an instant in the installation's time zone."""
        return day_in(self.settings.zone(), at)

    def today(self) -> date:
        """Return what day it is in the installation's time zone."""
        return self.day_of(self.clock.now())


@dataclass(frozen=True)
class Parts:
    """A service: its rules, its tables, what it hears, what it does in time, and its routes."""

    name: Topic
    doc: str
    deciders: Sequence[Decider[Any]]
    """All kinds of streams but `settings`, which every service has."""
    page_added: type[ParameterPageAdded] | None
    kinds: Sequence[ParameterKind[Any]]
    projections: Sequence[Projection]
    routes: Callable[[Context], Sequence[APIRouter]]
    """Routers by `shared.http.router_of`: their routes stand under `/<name>`."""
    settings: type[Settings] = Settings
    """The service's settings class, where it has settings of its own."""
    subscription: Subscription | None = None
    ticks: Callable[[Context], Sequence[Tick]] = field(default=lambda context: ())
    expand: Expand | None = None
    settle: Settle | None = None
    waiting: Callable[[Connection], Awaitable[int]] | None = None
    """How much is accepted and waits for something else to become known; for the metric of that name."""
    notes: Callable[[Connection], Awaitable[list[str]]] | None = None
    """What an operator should know and do about what waits, in words: health tells it, and is ready all the same."""
    last: type[Event] | None = None
    """The event with which the journey of a piece of evidence ends; the time since it was handed in is metered."""
    defaults: Callable[[Parameters], Sequence[Command]] = field(default=lambda parameters: ())
    """Asked at every start, before anything is heard, with what is in force: such as adopting what ships with the release."""
    versions: Sequence[Decider[Any]] = ()
    """Frozen earlier deciders, for replay only."""
    large_bodies: Mapping[str, int] = field(default_factory=dict)
    """Address -> bytes, where bodies may be larger than elsewhere; one at a time."""
