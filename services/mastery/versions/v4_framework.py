"""The competencies in force, indexed; pure.

All frameworks of a district are in force side by side, as one set: each competency names the document it stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from shared.contracts.mastery import Competency, FrameworkAdopted
from shared.parameters import ParameterKind

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Framework:
    """What can be learned, and what comes before what."""

    competencies: Mapping[str, Competency] = field(default_factory=lambda: _NONE)
    """By id, in order of the ids."""
    prerequisites: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NONE)
    """Id -> those before it that can be shown: in the framework and assessable. Without an entry: none."""
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NONE)
    """The other way round."""
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NONE)
    """Id -> the competencies that stand in its place since a revision, themselves not replaced."""

    def current(self, competency_ids: tuple[str, ...]) -> tuple[str, ...]:
        """Return the competencies that evidence about these counts for today: what was replaced counts for what stands in its place."""
        if not self.replaced or self.replaced.keys().isdisjoint(competency_ids):
            return competency_ids
        return tuple(sorted({now for name in competency_ids for now in self.replaced.get(name, (name,))}))


EMPTY: Final = Framework()


def parse(pages: Sequence[Sequence[Mapping[str, Any]]]) -> Framework:
    """Return the framework that these pages of `Competency` values hold."""
    return indexed(Competency.model_validate(entry) for page in pages for entry in page)


def indexed(found: Iterable[Competency]) -> Framework:
    """Return these competencies, indexed."""
    competencies = {known.id: known for known in sorted(found, key=lambda known: known.id)}
    replaced = _replaced(competencies)
    prerequisites: dict[str, tuple[str, ...]] = {}
    dependents: dict[str, list[str]] = {}
    for known in competencies.values():
        named = dict.fromkeys(now for name in known.prerequisites for now in replaced.get(name, (name,)))
        before = tuple(name for name in named if name in competencies and competencies[name].assessable)
        if before:
            prerequisites[known.id] = before
        for name in before:
            dependents.setdefault(name, []).append(known.id)
    return Framework(
        MappingProxyType(competencies),
        MappingProxyType(prerequisites),
        MappingProxyType({name: tuple(after) for name, after in dependents.items()}),
        MappingProxyType(replaced),
    )


def _replaced(competencies: Mapping[str, Competency]) -> dict[str, tuple[str, ...]]:
    """Return where each replaced competency's evidence counts today: at the ends of all revisions since that are known. What has none
    stays itself, so that it can still be mastered."""
    found: dict[str, tuple[str, ...]] = {}
    for name, known in competencies.items():
        if known.replaced_by:
            ends, waiting, seen = set[str](), list(known.replaced_by), {name}
            while waiting:  # Ends: nothing is looked at twice.
                following = waiting.pop()
                if following in seen or following not in competencies:
                    continue
                seen.add(following)
                further = [after for after in competencies[following].replaced_by if after in competencies]
                waiting.extend(further)
                if not further:
                    ends.add(following)
            if ends:
                found[name] = tuple(sorted(ends))
    return found


FRAMEWORK: Final = ParameterKind(FrameworkAdopted, parse)
