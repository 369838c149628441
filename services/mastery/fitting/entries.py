"""From what was fitted to the entries of a calibration set, and back to what fitting needs of one; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.mastery.calibration import DEFAULT_ENTRIES, Calibration
from services.mastery.fitting.columns import NO_ITEM, Floats, Responses
from services.mastery.fitting.easiness import Easiness
from services.mastery.fitting.fit import Fitted
from services.mastery.fitting.kernel import NAMES
from shared.contracts.evidence import Kind
from shared.exact import micro
from shared.keys import item_id_of

SEEN: Final = 3
"""Responses from which an item's own easiness is part of a set; others are as easy as their competencies."""


def item_id(name: str) -> UUID:
    """Return the id of an item that a file names so: a UUID stands for itself, everything else is an IRI as a learning platform sends."""
    try:
        return UUID(name)
    except ValueError:
        return item_id_of(name)


def entries_of(fitted: Fitted, responses: Responses, made: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of the set: numbers and kinds first, then competencies and items in the order of their ids.

    Args:
        made: how it was made: integers and texts.
    """
    filtered: dict[str, Any] = {"entry": "filter"}
    filtered |= {f"{name}_e6": micro(float(value)) for name, value in zip(NAMES, fitted.numbers, strict=True)}
    easiness = absolute(fitted.easiness, responses)
    reference = references(easiness, responses, fitted.easiness)
    seen = np.bincount(responses.links, minlength=len(responses.competencies)) > 0
    common = float(np.median(reference[seen]))
    rule = dict(next(entry for entry in DEFAULT_ENTRIES if entry["entry"] == "rule")) | {"reference_easiness_e6": micro(common)}
    return [
        filtered, rule, *_kinds(fitted, responses, common), {"entry": "made", **made},
        *sorted(_competencies(responses, reference, seen), key=lambda entry: str(entry["competency_id"])),
        *sorted(_items(responses, easiness), key=lambda entry: str(entry["item_id"])),
    ]  # fmt: skip


def absolute(easiness: Easiness, responses: Responses) -> Floats:
    """Return the easiness of each item, nan for one that was not seen: its own deviation, its competencies' and its kind's."""
    known = responses.item != NO_ITEM
    whole = easiness.of(responses)[known]
    counts = np.bincount(responses.item[known], minlength=len(responses.items))
    sums = np.bincount(responses.item[known], whole, len(responses.items))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def references(items: Floats, responses: Responses, easiness: Easiness) -> Floats:
    """Return the median easiness of the items of each competency; where there are none, what is typical of it."""
    found = easiness.competencies.copy()
    owner = np.repeat(responses.item, np.diff(responses.first_link))
    pairs = np.unique(np.column_stack((responses.links, owner))[owner != NO_ITEM], axis=0)
    if not len(pairs):
        return found
    starts = np.flatnonzero(np.r_[True, np.diff(pairs[:, 0]) > 0])
    for start, stop in zip(starts, np.r_[starts[1:], len(pairs)], strict=True):
        found[pairs[start, 0]] = float(np.median(items[pairs[start:stop, 1]]))
    return found


def easiness_of(calibration: Calibration, responses: Responses) -> Floats:
    """Return the easiness of each response as the set says."""
    ids = [item_id(name) for name in responses.items]
    kinds = [Kind(name) for name in responses.kinds]
    unnamed = UUID(int=0)
    bounds = responses.first_link.tolist()
    links = [responses.competencies[link] for link in responses.links.tolist()]
    return np.array(
        [
            calibration.easiness(ids[item] if item != NO_ITEM else unnamed, kinds[kind], links[bounds[at] : bounds[at + 1]])
            for at, (item, kind) in enumerate(zip(responses.item.tolist(), responses.kind.tolist(), strict=True))
        ]
    )


def precision_of(calibration: Calibration, responses: Responses) -> Floats:
    """Return the precision of each response's kind."""
    return np.array([calibration.kinds[Kind(name)].precision for name in responses.kinds])[responses.kind]


def _kinds(fitted: Fitted, responses: Responses, common: float) -> list[dict[str, Any]]:
    """Return an entry for every kind; those that the data do not hold keep what ships with the release, beside what is typical."""
    shipped = {entry["kind"]: entry for entry in DEFAULT_ENTRIES if entry["entry"] == "kind"}
    plain = shipped[Kind.ITEM.value]["easiness_e6"]
    found = []
    for kind in Kind:
        precision, off = shipped[kind.value]["precision_e6"], shipped[kind.value]["easiness_e6"] - plain
        if kind.value in responses.kinds:
            at = responses.kinds.index(kind.value)
            base = fitted.easiness.kinds[responses.kinds.index(Kind.ITEM.value)] if Kind.ITEM.value in responses.kinds else 0.0
            precision, off = micro(float(fitted.precisions[at])), micro(float(fitted.easiness.kinds[at] - base))
        found.append({"entry": "kind", "kind": kind.value, "precision_e6": precision, "easiness_e6": micro(common) + off})
    return found


def _competencies(responses: Responses, reference: Floats, seen: NDArray[np.bool_]) -> list[dict[str, Any]]:
    return [
        {"entry": "competency", "competency_id": name, "easiness_e6": micro(float(value))}
        for name, value, there in zip(responses.competencies, reference, seen, strict=True) if there
    ]  # fmt: skip


def _items(responses: Responses, easiness: Floats) -> list[dict[str, Any]]:
    counts = np.bincount(responses.item[responses.item != NO_ITEM], minlength=len(responses.items))
    return [
        {"entry": "item", "item_id": str(item_id(name)), "easiness_e6": micro(float(value))}
        for name, value, count in zip(responses.items, easiness, counts.tolist(), strict=True) if count >= SEEN
    ]  # fmt: skip
