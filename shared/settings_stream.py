"""The one decider that every service shares: which parameter sets are in force. Its stream is `<service>/settings`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final

from pydantic import PlainSerializer

from shared.contracts.envelope import Event, StreamId
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted, ParameterSetNoted, set_id_of
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import ParameterKind, Parameters, page_hash, paged

STALE: Final = "stale"
"""Code of the refusal of a set that was made from one which is in force no more: whoever asked looks again, and asks from there."""


@dataclass(frozen=True)
class AddPage:
    """Make a page part of a service's record. Adding it again changes nothing."""

    service: str
    content: Any

    @property
    def stream(self) -> StreamId:
        return StreamId(self.service, "settings")


@dataclass(frozen=True)
class AdoptSet:
    """Put a set whose pages are part of the record in force; one that was heard of changes nothing, if it is older than what is known."""

    service: str
    kind: str
    pages: tuple[str, ...]
    version: int = 0
    """Version of the other service's stream that told it; 0 for a set that is this service's own."""
    base: str | None = field(default=None, compare=False)
    """Id of the set that this one was made from, empty where there was none: where another is in force by now, it is refused. None, where
    that does not matter. It is part of no event: that it held is all that the answer needs, so replay asks without it."""

    @property
    def stream(self) -> StreamId:
        return StreamId(self.service, "settings")


@dataclass(frozen=True)
class SettingsState:
    """Which pages are known, and which set of each kind is in force."""

    pages: Annotated[frozenset[str], PlainSerializer(sorted)] = frozenset()
    """Those that a set may name: of the sets in force, and those that no set has named yet. Whoever comes back to a page of a set that was
    replaced adds it again. Where a kind is another service's, which tells no page twice, all pages that were ever added.

    Kept in order: sets of texts are ordered otherwise in each process, and equal states are equal bytes."""
    in_force: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Kind -> (set id, page hashes)."""
    heard: dict[str, int] = field(default_factory=dict)
    """Kind -> version that told the set in force, for those that another service adopts."""


def settings_decider(service: str, page_added: type[ParameterPageAdded], kinds: Sequence[ParameterKind[Any]]) -> Decider[SettingsState]:
    """Return the settings decider of a service: its own page event, and one adoption event for each kind."""
    adopted = {kind.name: kind.adopted for kind in kinds}
    forgets = not any(issubclass(kind.adopted, ParameterSetNoted) for kind in kinds)

    def decide(command: AddPage | AdoptSet, state: SettingsState, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        match command:
            case AddPage(content=content):
                return [] if page_hash(content) in state.pages else [page_added(content=content)]
            case AdoptSet(kind=kind, pages=pages, version=version, base=base):
                if kind not in adopted:
                    return Refusal("unknown-kind", f"{service} decides with no parameter set of kind {kind}")
                set_id, before = set_id_of(kind, pages), state.in_force.get(kind, ("",))[0]
                if before == set_id or version < state.heard.get(kind, 0):
                    return []
                if base not in (None, before):
                    return Refusal(STALE, "another set of this kind was put in force meanwhile: look at it, and ask again from there")
                if not state.pages.issuperset(pages):
                    return Refusal("missing-page", "a page of this set is not part of what is known: send it again, with all of its pages")
                told = {"version": version} if issubclass(adopted[kind], ParameterSetNoted) else {}
                return [adopted[kind](set_id=set_id, pages=pages, **told)]

    def evolve(state: SettingsState, event: ParameterPageAdded | ParameterSetAdopted) -> SettingsState:
        match event:
            case ParameterPageAdded(content=content):
                return replace(state, pages=state.pages | {page_hash(content)})
            case ParameterSetAdopted(set_id=set_id, pages=pages):
                heard = {event.KIND: event.version} if isinstance(event, ParameterSetNoted) else {}
                in_force = state.in_force | {event.KIND: (set_id, pages)}
                named = {page for _, some in in_force.values() for page in some}  # Version 1 adopted pages that are forgotten by now.
                gone = set(state.in_force.get(event.KIND, ("", ()))[1]) - named if forgets else set()
                return replace(state, pages=(state.pages | named) - gone, in_force=in_force, heard=state.heard | heard)

    def command_of(event: ParameterPageAdded | ParameterSetAdopted) -> AddPage | AdoptSet | None:
        match event:
            case ParameterPageAdded(content=content):
                return AddPage(service, content)
            case ParameterSetAdopted(pages=pages):
                return AdoptSet(service, event.KIND, pages, event.version if isinstance(event, ParameterSetNoted) else 0)

    return Decider(
        f"{service}.settings", 2, "settings", SettingsState(), decide, evolve, command_of, json_codec(SettingsState, 2), kinds=()
    )


def adoption(
    service: str, kind: ParameterKind[Any], items: Sequence[Any], base: str | None = None, together: int | None = None
) -> list[AddPage | AdoptSet]:
    """Return the commands that bring in the items as one set of this kind and put it in force; for `base` see `AdoptSet`.

    Args:
        together: items at most on a page, where they change one by one: a page is stored anew with whatever stands on it, and a larger
            item must not move those behind it to other pages. None: as many as there is room for.
    """
    pages = [page for some in _parted(items, together) for page in paged(some)]
    hashes = tuple(page_hash(page) for page in pages)
    return [*(AddPage(service, page) for page in pages), AdoptSet(service, kind.name, hashes, base=base)]


def _parted(items: Sequence[Any], most: int | None) -> list[Sequence[Any]]:
    return [items] if most is None else [items[start : start + most] for start in range(0, len(items), most)] or [items]


def adopted_id(commands: Sequence[AddPage | AdoptSet]) -> str:
    """Return the id of the set that an adoption puts in force."""
    last = commands[-1]
    assert isinstance(last, AdoptSet)
    return set_id_of(last.kind, last.pages)
