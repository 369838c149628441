"""The competencies in force, indexed; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


EMPTY: Final = Framework()


def parse(pages: Sequence[Sequence[Mapping[str, Any]]]) -> Framework:
    """Return the framework that these pages of `Competency` values hold."""
    competencies = {found.id: found for page in pages for entry in page for found in (Competency.model_validate(entry),)}
    prerequisites: dict[str, tuple[str, ...]] = {}
    dependents: dict[str, list[str]] = {}
    for found in competencies.values():
        before = tuple(name for name in found.prerequisites if name in competencies and competencies[name].assessable)
        if before:
            prerequisites[found.id] = before
        for name in before:
            dependents.setdefault(name, []).append(found.id)
    return Framework(
        MappingProxyType(competencies),
        MappingProxyType(prerequisites),
        MappingProxyType({name: tuple(after) for name, after in dependents.items()}),
    )


FRAMEWORK: Final = ParameterKind(FrameworkAdopted, parse)
