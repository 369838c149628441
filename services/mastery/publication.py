"""Taking a calibration that was fitted elsewhere: what it may hold, and when it may take the place of the one in force; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.mastery.calibration import DEFAULT_ENTRIES
from shared.contracts.evidence import Kind
from shared.errors import BadInput, Fault, Refused

MAX_ENTRIES: Final = 300_000
MAX_FAULTS: Final = 50
MAX_NAME: Final = 64
MAX_REASON: Final = 500
MOST_E6: Final = 30_000_000
"""Largest value of a number of the filter: logits, logits squared or exponents."""
NOISIEST_E6: Final = 100_000
"""Largest noise of a learner and of the form: each response adds it to the doubt about them, and where all are right nothing takes it away
again, until a state cannot hold it. This is asked of new sets alone: what was published before stays readable."""
EASIEST_E6: Final = 15_000_000
MOST_PRECISE_E6: Final = 100_000_000
SMALLEST_DOUBT_E6: Final = 1_000
"""Of a variance before anything was seen: with less, no evidence would move anything."""
MOST_LEARNED_E6: Final = 1_000_000
MAX_INTEGER: Final = 2**53 - 1

FILTER: Final = tuple(name for name in DEFAULT_ENTRIES[0] if name != "entry")
SIGNED: Final = ("repeat_outcome_e6", "repeat_count_e6", "gain_wrong_e6", "gain_right_e6")
NOISE: Final = ("general_noise_e6", "form_noise_e6")
MADE: Final = ("responses", "learners", "seed", "rmse_e6", "log_loss_e6", "ece_e6", "bias_e6", "before_id", "before_log_loss_e6")
"""What a set says of its making, at least. It says no `auc_e6` where all scores lie on one side of one half: then there is none."""


def read_entries(value: Any) -> list[dict[str, Any]]:
    """Return the entries of a set, checked, in the order given.

    Raises:
        BadInput: something is missing, not known, or out of bounds; the first faults name their place.
    """
    if not isinstance(value, list) or not value or len(value) > MAX_ENTRIES:
        fault = Fault("/entries", "not-a-list", f"no list of 1 to {MAX_ENTRIES} entries", "send calibration.json as it was written")
        raise BadInput(str(fault), [fault])
    faults: list[Fault] = []
    seen: set[tuple[str, Any]] = set()
    for index, entry in enumerate(value):
        if len(faults) >= MAX_FAULTS:
            break
        place = f"/entries/{index}"
        if not isinstance(entry, dict) or not isinstance(entry.get("entry"), str) or entry["entry"] not in CHECKS:
            faults.append(Fault(place, "unknown-entry", "no entry that is known", f"`entry` is one of {', '.join(CHECKS)}"))
            continue
        name = entry["entry"]
        CHECKS[name](entry, place, faults)
        key = (name, str(entry.get(NAMED[name])) if name in NAMED else None)
        if key in seen:
            faults.append(Fault(place, "twice", f"there is such an entry `{name}` already", "keep one of them"))
        seen.add(key)
    for name in ("filter", "rule", "made"):
        if (name, None) not in seen and not faults:
            faults.append(Fault("/entries", "missing", f"no entry `{name}`", "send calibration.json as it was written"))
    if faults:
        raise BadInput(f"the calibration cannot be taken, so nothing changed. {faults[0]}", faults)
    return value


def with_reason(entries: Sequence[Mapping[str, Any]], why: str) -> list[Mapping[str, Any]]:
    """Return the entries as they are kept: the reason, where there is one, beside how the set was made."""
    return [{**entry, "why": why} if entry["entry"] == "made" and why else entry for entry in entries]


def restored(entries: Sequence[Mapping[str, Any]], set_id: str, why: str) -> list[Mapping[str, Any]]:
    """Return the entries of a set that was in force, as they are put in force again: with the reason, and the id that they had."""
    said = {"why": why, "restored_id": set_id}
    found = [{**entry, **said} if entry["entry"] == "made" else entry for entry in entries]
    return found if any(entry["entry"] == "made" for entry in entries) else [*found, {"entry": "made", **said}]


def let_in(entries: Sequence[Mapping[str, Any]], in_force: str, why: str) -> None:
    """Raise where a set may not take the place of the one in force.

    Raises:
        Refused: it was held against another set than the one in force; or it predicts no better, and no reason is given.
    """
    made = next(entry for entry in entries if entry["entry"] == "made")
    if made["before_id"] != in_force:
        raise Refused(
            "stale",
            f"it was held against {made['before_id'][:12]}, but {in_force[:12]} is in force: calibrate again; one that was in force "
            "before is taken back by `cairn mastery calibration restore`",
        )
    if made["log_loss_e6"] >= made["before_log_loss_e6"] and not why:
        detail = f"its log loss is {made['log_loss_e6']} millionths, that of the one in force {made['before_log_loss_e6']}"
        raise Refused("no-better", f"{detail}: give a reason (--force --why) to publish it all the same")


def _numbers(entry: Mapping[str, Any], names: Sequence[str], place: str, faults: list[Fault]) -> bool:
    """Note what is missing or no integer within bounds; return whether all is well."""
    before = len(faults)
    for name in sorted(set(entry) - {"entry", *names}):
        faults.append(Fault(f"{place}/{name}", "unknown", "this release knows no such number", "take a set that this release made"))
    for name in names:
        value, least, most = entry.get(name), -MOST_E6 if name in SIGNED else 0, NOISIEST_E6 if name in NOISE else MOST_E6
        if type(value) is not int or not least <= value <= most:
            faults.append(Fault(f"{place}/{name}", "out-of-bounds", f"not a whole number from {least} to {most}", "mend it"))
    return len(faults) == before


def _filter(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    if not _numbers(entry, FILTER, place, faults):
        return
    if entry["form_keep_e6"] >= 1_000_000:
        faults.append(Fault(f"{place}/form_keep_e6", "out-of-bounds", "the form would never pass", "give less than 1000000"))
    if not entry["gain_wrong_e6"] <= entry["gain_right_e6"] <= MOST_LEARNED_E6:
        said = "a right answer must not teach less than a wrong one"
        faults.append(Fault(f"{place}/gain_right_e6", "order", said, "give gain_wrong_e6 <= gain_right_e6 <= 1000000"))
    for name in ("general_variance_e6", "competency_variance_e6"):
        if entry[name] < SMALLEST_DOUBT_E6:
            faults.append(Fault(f"{place}/{name}", "out-of-bounds", "no evidence would move anything", f"give {SMALLEST_DOUBT_E6} or more"))


def _rule(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    shares = ("bar_e6", "certainty_e6", "verify_below_e6", "nearly_from_e6")
    least = dict.fromkeys(shares, (10000, 999000)) | {"doubt_e6": (100_000, 3_000_000), "items": (1, 3), "days": (1, 30)}
    bounds = least | {"scored": (1, 100), "reference_easiness_e6": (-EASIEST_E6, EASIEST_E6)}
    for name in sorted(set(entry) - {"entry", *bounds}):
        faults.append(Fault(f"{place}/{name}", "unknown", "this release knows no such number", "take a set that this release made"))
    wrong = [name for name, (low, high) in bounds.items() if type(entry.get(name)) is not int or not low <= entry[name] <= high]
    for name in wrong:
        low, high = bounds[name]
        faults.append(Fault(f"{place}/{name}", "out-of-bounds", f"not a whole number from {low} to {high}", "mend it"))
    if wrong:
        return
    if not entry["nearly_from_e6"] <= entry["verify_below_e6"] < entry["certainty_e6"]:
        said = "nearly_from_e6 <= verify_below_e6 < certainty_e6 does not hold"
        faults.append(Fault(f"{place}/certainty_e6", "order", said, "a level must be harder to reach than to keep"))
    if entry["items"] > entry["scored"]:
        faults.append(Fault(f"{place}/items", "order", "more items are asked for than scored events", "raise `scored`"))


def _made(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    for name in MADE:
        if name not in entry:
            faults.append(Fault(f"{place}/{name}", "missing", f"it does not say `{name}`", "calibrate again with this release"))
    for name, value in entry.items():
        whole = type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER
        number = name.endswith("_e6") or (name in MADE and name != "before_id")
        if not (whole or (isinstance(value, str) and len(value) <= MAX_REASON)) or (number and not whole):
            faults.append(Fault(f"{place}/{name}", "out-of-bounds", "neither a whole number nor a short text", "mend it"))
    if not isinstance(entry.get("before_id", ""), str):
        faults.append(Fault(f"{place}/before_id", "not-text", "an id is a text", "mend it"))


def _kind(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    if entry.get("kind") not in list(Kind):
        faults.append(Fault(f"{place}/kind", "unknown-kind", "no kind of evidence", f"name one of {', '.join(Kind)}"))
    precision = entry.get("precision_e6")
    if type(precision) is not int or not 0 <= precision <= MOST_PRECISE_E6:
        faults.append(Fault(f"{place}/precision_e6", "out-of-bounds", f"not a whole number from 0 to {MOST_PRECISE_E6}", "mend it"))
    _easiness(entry, place, faults)


def _item(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    try:
        known = str(UUID(entry["item_id"])) == entry["item_id"]
    except (LookupError, ValueError, AttributeError, TypeError):
        known = False
    if not known:
        faults.append(Fault(f"{place}/item_id", "not-a-uuid", "no UUID in small letters", "send calibration.json as it was written"))
    _easiness(entry, place, faults)


def _competency(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    name = entry.get("competency_id")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        faults.append(Fault(f"{place}/competency_id", "not-text", f"an id has 1 to {MAX_NAME} characters", "mend it"))
    _easiness(entry, place, faults)


def _easiness(entry: Mapping[str, Any], place: str, faults: list[Fault]) -> None:
    value = entry.get("easiness_e6")
    if type(value) is not int or not -EASIEST_E6 <= value <= EASIEST_E6:
        faults.append(Fault(f"{place}/easiness_e6", "out-of-bounds", f"not a whole number from -{EASIEST_E6} to {EASIEST_E6}", "mend it"))


CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], str, list[Fault]], None]]] = {
    "filter": _filter, "rule": _rule, "made": _made, "kind": _kind, "competency": _competency, "item": _item,
}  # fmt: skip
NAMED: Final = {"kind": "kind", "competency": "competency_id", "item": "item_id"}
"""Entries of which a set holds one for each name."""
