"""Version 1 of the decider of settings, which kept every page that was ever added: a state that grew with each changed date of a school."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import PlainSerializer

from shared.contracts.envelope import Event
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted, ParameterSetNoted, set_id_of
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import ParameterKind, Parameters, page_hash
from shared.settings_stream import AddPage, AdoptSet


@dataclass(frozen=True)
class SettingsState:
    """Which pages are known, and which set of each kind is in force."""

    pages: Annotated[frozenset[str], PlainSerializer(sorted)] = frozenset()
    in_force: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)


def settings_decider(service: str, page_added: type[ParameterPageAdded], kinds: Sequence[ParameterKind[Any]]) -> Decider[SettingsState]:
    """Return the settings decider of a service as it was in version 1."""
    adopted = {kind.name: kind.adopted for kind in kinds}

    def decide(command: AddPage | AdoptSet, state: SettingsState, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
        match command:
            case AddPage(content=content):
                return [] if page_hash(content) in state.pages else [page_added(content=content)]
            case AdoptSet(kind=kind, pages=pages, version=version, base=base):
                if kind not in adopted:
                    return Refusal("unknown-kind", f"{service} decides with no parameter set of kind {kind}")
                if not state.pages.issuperset(pages):
                    return Refusal("missing-page", "a page of this set is not part of the record: send the pages first")
                set_id, before = set_id_of(kind, pages), state.in_force.get(kind, ("",))[0]
                if before == set_id or version < state.heard.get(kind, 0):
                    return []
                if base not in (None, before):
                    return Refusal("stale", "another set of this kind was put in force meanwhile: look at it, and ask again from there")
                told = {"version": version} if issubclass(adopted[kind], ParameterSetNoted) else {}
                return [adopted[kind](set_id=set_id, pages=pages, **told)]

    def evolve(state: SettingsState, event: ParameterPageAdded | ParameterSetAdopted) -> SettingsState:
        match event:
            case ParameterPageAdded(content=content):
                return replace(state, pages=state.pages | {page_hash(content)})
            case ParameterSetAdopted(set_id=set_id, pages=pages):
                heard = {event.KIND: event.version} if isinstance(event, ParameterSetNoted) else {}
                return replace(state, in_force=state.in_force | {event.KIND: (set_id, pages)}, heard=state.heard | heard)

    def command_of(event: ParameterPageAdded | ParameterSetAdopted) -> AddPage | AdoptSet | None:
        match event:
            case ParameterPageAdded(content=content):
                return AddPage(service, content)
            case ParameterSetAdopted(pages=pages):
                return AdoptSet(service, event.KIND, pages, event.version if isinstance(event, ParameterSetNoted) else 0)

    return Decider(
        f"{service}.settings", 1, "settings", SettingsState(), decide, evolve, command_of, json_codec(SettingsState, 2), kinds=()
    )
