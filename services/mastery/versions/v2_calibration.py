"""The numbers that everything is decided with, as a parameter set, and those that ship with the release; pure.

A set is a list of entries, each with integers only: one `filter`, one `rule`, and any number of `kind`, `competency` and `item` entries.
Values whose name ends in `_e6` are in millionths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from services.mastery.versions.v2_filter import Numbers
from services.mastery.versions.v2_rule import Policy
from shared.contracts.envelope import MICRO, canonical
from shared.contracts.evidence import Kind
from shared.contracts.mastery import CalibrationPublished
from shared.parameters import ParameterKind

BY_NAME: Final = ("item", "competency")
"""Entries of which a set may hold very many."""


@dataclass(frozen=True, slots=True)
class Weight:
    """How a kind of evidence counts."""

    precision: float
    """How many short items it is worth."""
    easiness: float
    """Of a typical one, in logits."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A parsed set."""

    numbers: Numbers
    policy: Policy
    reference_easiness: float
    """Of the item that mastery is measured against, in logits, where its competency has no calibrated items."""
    kinds: Mapping[Kind, Weight]
    items: Mapping[UUID, float]
    """Easiness of calibrated items."""
    head: bytes = b""
    """Canonical JSON of all entries but those of items and competencies, by which frozen deciders read the set their own way."""
    competencies: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Median easiness of the calibrated items of a competency."""

    def easiness(self, item_id: UUID, kind: Kind, competency_ids: Sequence[str] = ()) -> float:
        """Return the easiness of an item, in logits. One that is not calibrated is as easy as those of its kind are about its
        competencies."""
        known = self.items.get(item_id)
        if known is not None:
            return known
        typical = self.kinds[kind].easiness
        if not self.competencies:
            return typical
        plain = self.kinds[Kind.ITEM].easiness
        found = 0.0
        for name in competency_ids:
            found += self.competencies.get(name, plain) - plain
        return typical + found / len(competency_ids) if competency_ids else typical

    def reference_of(self, competency_id: str) -> float:
        """Return the easiness of the item that mastery of a competency is measured against, in logits."""
        return self.competencies.get(competency_id, self.reference_easiness)


def parse(pages: Sequence[Sequence[Mapping[str, Any]]]) -> Calibration:
    """Return the calibration that these pages hold. Kinds without an entry count as a short item does.

    Raises:
        ValueError: where an entry is missing, or holds a name that this release does not know.
    """
    entries = [entry for page in pages for entry in page]
    rule = _only(entries, "rule")
    reference = rule.pop("reference_easiness")
    counts = {name: int(rule.pop(name)) for name in ("scored", "items", "days")}
    weights = {
        Kind(entry["kind"]): Weight(entry["precision_e6"] / MICRO, entry["easiness_e6"] / MICRO)
        for entry in entries if entry["entry"] == "kind"
    }  # fmt: skip
    plain = weights.get(Kind.ITEM, Weight(1.0, reference))
    try:
        numbers, policy = Numbers(**_only(entries, "filter")), Policy(**rule, **counts)  # type: ignore[arg-type]  # By name, at run time: a wrong one is the TypeError below.
    except TypeError as error:
        raise ValueError(f"a calibration lacks a number, or holds one that is not known: {error}") from None
    return Calibration(
        numbers, policy, reference, MappingProxyType({kind: weights.get(kind, plain) for kind in Kind}),
        MappingProxyType({UUID(entry["item_id"]): entry["easiness_e6"] / MICRO for entry in entries if entry["entry"] == "item"}),
        canonical([entry for entry in entries if entry["entry"] not in BY_NAME]),
        MappingProxyType({entry["competency_id"]: entry["easiness_e6"] / MICRO for entry in entries if entry["entry"] == "competency"}),
    )  # fmt: skip


def _only(entries: Iterable[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Return the values of the one entry of this name, millionths as floats."""
    found = [entry for entry in entries if entry["entry"] == name]
    if len(found) != 1:
        raise ValueError(f"a calibration has {len(found)} entries `{name}`: give one")
    return {
        key.removesuffix("_e6"): value / MICRO if key.endswith("_e6") else value for key, value in found[0].items() if key != "entry"
    }  # fmt: skip


DEFAULT_ENTRIES: Final[tuple[Mapping[str, Any], ...]] = (
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
)  # fmt: skip
"""What ships with the release, until a district fits its own."""

DEFAULT: Final = parse([DEFAULT_ENTRIES])

CALIBRATION: Final = ParameterKind(CalibrationPublished, parse)
