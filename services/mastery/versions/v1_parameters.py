"""What version 1 decided with, read from the sets that were in force then; pure.

The entries of a calibration are read here, as version 1 read them; easiness of items and the framework's links are what the sets hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

import orjson

from services.mastery.versions.v1_filter import Numbers
from services.mastery.versions.v1_rule import Policy
from shared.contracts.envelope import MICRO, canonical
from shared.contracts.evidence import Kind
from shared.parameters import Parameters

MAX_PARSED: Final = 32
"""Calibrations kept parsed."""


class Framework(Protocol):
    """What version 1 knew of a framework."""

    @property
    def competencies(self) -> Mapping[str, Any]: ...
    @property
    def prerequisites(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def dependents(self) -> Mapping[str, tuple[str, ...]]: ...


@dataclass(frozen=True, slots=True)
class NoFramework:
    """Before the first was adopted."""

    competencies: Mapping[str, Any] = field(default_factory=dict)
    prerequisites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weight:
    """How a kind of evidence counts."""

    precision: float
    easiness: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A set as version 1 read it."""

    numbers: Numbers
    policy: Policy
    reference_easiness: float
    kinds: Mapping[Kind, Weight]
    items: Mapping[UUID, float]

    def easiness(self, item_id: UUID, kind: Kind) -> float:
        """Return the easiness of an item, in logits."""
        known = self.items.get(item_id)
        return self.kinds[kind].easiness if known is None else known


def calibration_of(parameters: Parameters) -> Calibration:
    """Return the calibration in force, else the one that shipped with the release of version 1."""
    found = parameters.values.get("calibration")
    return _parsed(_SHIPPED, MappingProxyType({})) if found is None else _parsed(found.head, found.items)


def framework_of(parameters: Parameters) -> Framework:
    """Return the framework in force, else an empty one."""
    found: Framework | None = parameters.values.get("framework")
    return NoFramework() if found is None else found


def _parsed(head: bytes, items: Mapping[UUID, float]) -> Calibration:
    numbers, policy, reference, kinds = _read(head)
    return Calibration(numbers, policy, reference, kinds, items)


@lru_cache(maxsize=MAX_PARSED)
def _read(head: bytes) -> tuple[Numbers, Policy, float, Mapping[Kind, Weight]]:
    """Return what the entries of a set hold that are about no single item."""
    entries: list[dict[str, Any]] = orjson.loads(head)
    rule = _only(entries, "rule")
    reference = rule.pop("reference_easiness")
    counts = {name: int(rule.pop(name)) for name in ("scored", "items", "days")}
    weights = {
        Kind(entry["kind"]): Weight(entry["precision_e6"] / MICRO, entry["easiness_e6"] / MICRO)
        for entry in entries if entry["entry"] == "kind"
    }  # fmt: skip
    plain = weights.get(Kind.ITEM, Weight(1.0, reference))
    numbers, policy = Numbers(**_only(entries, "filter")), Policy(**rule, **counts)  # type: ignore[arg-type]  # By name; an edge let it in.
    return numbers, policy, reference, MappingProxyType({kind: weights.get(kind, plain) for kind in Kind})


def _only(entries: Iterable[Mapping[str, Any]], name: str) -> dict[str, float]:
    (found,) = [entry for entry in entries if entry["entry"] == name]
    return {key.removesuffix("_e6"): value / MICRO if key.endswith("_e6") else value for key, value in found.items() if key != "entry"}


_SHIPPED: Final = canonical(
    [
        {
            "entry": "filter",
            "general_variance_e6": 800_000, "general_noise_e6": 500,
            "form_variance_e6": 100_000, "form_keep_e6": 900_000, "form_noise_e6": 20_000,
            "competency_variance_e6": 250_000, "competency_noise_e6": 4_000, "time_noise_e6": 5_000, "fade_e6": 40_000,
            "gain_right_e6": 40_000, "gain_wrong_e6": 10_000, "prerequisite_weight_e6": 500_000,
            "repeat_outcome_e6": 500_000, "repeat_count_e6": 200_000, "repeat_fade_e6": 300_000,
        },
        {
            "entry": "rule",
            "bar_e6": 800_000, "certainty_e6": 900_000, "verify_below_e6": 750_000, "nearly_from_e6": 500_000, "doubt_e6": 800_000,
            "reference_easiness_e6": 600_000, "scored": 3, "items": 2, "days": 2,
        },
        {"entry": "kind", "kind": "item", "precision_e6": 1_000_000, "easiness_e6": 600_000},
        {"entry": "kind", "kind": "quiz", "precision_e6": 3_000_000, "easiness_e6": 600_000},
        {"entry": "kind", "kind": "rubric", "precision_e6": 2_000_000, "easiness_e6": 600_000},
        {"entry": "kind", "kind": "observation", "precision_e6": 1_000_000, "easiness_e6": 600_000},
        {"entry": "kind", "kind": "project", "precision_e6": 3_000_000, "easiness_e6": 600_000},
        {"entry": "kind", "kind": "portfolio", "precision_e6": 3_000_000, "easiness_e6": 600_000},
    ]
)  # fmt: skip
