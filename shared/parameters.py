"""Parameter sets: large immutable inputs of decisions, named by the hash of their content, and which of them is in force.

Pages and the event that adopts them lie in the stream `<service>/settings`; its version is written into every event decided under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import orjson

from shared.contracts.envelope import MAX_PAGE_BYTES, canonical, digest
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted, set_id_of
from shared.errors import BadInput, Fault

T = TypeVar("T")
MAX_PARSED: Final = 32
"""Sets kept parsed, those in force aside; the one used least lately goes first. Replay goes back and forth between them."""


@dataclass(frozen=True)
class ParameterKind(Generic[T]):
    """A kind of parameter set that a service decides with: the event that adopts one, and how its pages are read."""

    adopted: type[ParameterSetAdopted]
    parse: Callable[[Sequence[Any]], T]
    """From the pages' JSON values, in order. Never fails for a set that an edge let in."""

    @property
    def name(self) -> str:
        return self.adopted.KIND


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is in force while a command is decided."""

    version: int = 0
    """Version of the service's settings stream, 0 before the first."""
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Kind -> what its `parse` returned."""
    ids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Kind -> id of the set."""

    def get(self, kind: ParameterKind[T]) -> T | None:
        """Return the set of this kind that is in force, or None before the first was adopted."""
        value: T | None = self.values.get(kind.name)
        return value

    def id_of(self, kind: ParameterKind[Any]) -> str | None:
        """Return the id of the set of this kind that is in force."""
        return self.ids.get(kind.name)


NO_PARAMETERS: Final = Parameters()


def page_hash(content: Any) -> str:
    """Return the hash that names a page."""
    return digest(canonical(content))


def paged(items: Iterable[Any], limit: int = MAX_PAGE_BYTES) -> Iterator[list[Any]]:
    """Yield the items in lists whose canonical form fits a page each. A page is a JSON array.

    Raises:
        BadInput: where a single item is larger than a page, or holds a float.
    """
    page: list[Any] = []
    size = 2
    for place, item in enumerate(items):
        refuse_floats(item, f"/{place}")
        length = len(canonical(item)) + 1
        if length + 2 > limit:
            raise BadInput("an item is larger than a page", [Fault(f"/{place}", "too-large", f"{length} bytes, at most {limit}")])
        if size + length > limit:
            yield page
            page, size = [], 2
        page.append(item)
        size += length
    yield page


def refuse_floats(value: Any, place: str = "") -> None:
    """Raise BadInput where a JSON value holds a float: parameters are integers with their unit in the name."""
    if isinstance(value, float):
        raise BadInput("a parameter is not an integer", [Fault(place, "float", "parameters hold no floats", "use millionths")])
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, part in parts:
        if not isinstance(part, str | int):  # Most are.
            refuse_floats(part, f"{place}/{name}")


class Parser:
    """Parses the sets in force, each once while it is among the MAX_PARSED used last. Pages are JSON bytes by their hash."""

    def __init__(self, kinds: Sequence[ParameterKind[Any]]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self._parsed: dict[str, Any] = {}

    def missing(self, in_force: Mapping[str, tuple[str, tuple[str, ...]]]) -> list[str]:
        """Return the hashes of pages that `parameters` will need; the sets that are there already count as used last."""
        for set_id in [set_id for set_id, _ in in_force.values() if set_id in self._parsed]:
            self._parsed[set_id] = self._parsed.pop(set_id)
        return sorted({page for _, (set_id, pages) in in_force.items() if set_id not in self._parsed for page in pages})

    def parameters(self, version: int, in_force: Mapping[str, tuple[str, tuple[str, ...]]], pages: Mapping[str, bytes]) -> Parameters:
        """Return what is in force; `in_force` is kind -> (set id, page hashes)."""
        wanted = {set_id for set_id, _ in in_force.values()}
        for kind, (set_id, hashes) in in_force.items():
            if set_id not in self._parsed:
                self._parsed[set_id] = self._kinds[kind].parse([orjson.loads(pages[page]) for page in hashes])
        for set_id in [known for known in self._parsed if known not in wanted][: max(len(self._parsed) - MAX_PARSED, 0)]:
            del self._parsed[set_id]
        ids = {kind: set_id for kind, (set_id, _) in in_force.items()}
        return Parameters(version, {kind: self._parsed[set_id] for kind, set_id in ids.items()}, ids)


__all__ = [
    "NO_PARAMETERS", "ParameterKind", "ParameterPageAdded", "ParameterSetAdopted", "Parameters", "Parser", "page_hash", "paged",
    "refuse_floats", "set_id_of",
]  # fmt: skip
