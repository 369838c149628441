"""By what a district judges each family of competencies, as a parameter set: entries with integers only; pure.

An entry names its family; the one with an empty name is for all competencies that no other entry is for. Before a district sets any, the
rule of the calibration in force is the policy of all. The entry with the empty name also says which days there are, alike for all families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from services.mastery.versions.v2_rule import Policy
from services.mastery.versions.v2_state import KIND_BITS, MINUTES_PER_DAY
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import Kind
from shared.contracts.mastery import PolicyAdopted
from shared.errors import BadInput, Fault
from shared.parameters import ParameterKind
from shared.zones import timezones, winter_offset_minutes

MAX_FAMILIES: Final = 200
MAX_FAMILY: Final = 64
SHARES: Final = ("bar_e6", "certainty_e6", "verify_below_e6", "nearly_from_e6", "enrich_from_e6")
BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(SHARES, (10_000, 999_000)), "doubt_e6": (100_000, 3_000_000), "scored": (1, 100), "items": (1, 3), "days": (1, 30),
    "stuck_events": (3, 255), "stuck_days": (1, 60), "progress_e6": (0, 1_000_000),
}  # fmt: skip
"""Smallest and largest value of each number."""
DEFAULT_ENTRY: Final[Mapping[str, int]] = {
    "bar_e6": 800_000, "certainty_e6": 900_000, "verify_below_e6": 750_000, "nearly_from_e6": 500_000, "enrich_from_e6": 975_000,
    "doubt_e6": 800_000, "scored": 3, "items": 2, "days": 2, "stuck_events": 10, "stuck_days": 3, "progress_e6": 50_000,
}  # fmt: skip
"""What an entry says where it says nothing."""
OF_DAYS: Final = ("timezone", "utc_offset_minutes")
"""What the entry with the empty name says of days, where a time zone was named."""


@dataclass(frozen=True, slots=True)
class Days:
    """Which day an instant is part of. One offset holds all year, so that deciding needs no database of time zones."""

    timezone: str = ""
    """IANA name from which the offset was found; empty where nobody named one."""
    utc_offset_minutes: int = 0
    """By how much clocks are ahead of UTC when a day begins at their midnight."""

    @property
    def name(self) -> str:
        """Whose days they are, for people."""
        return self.timezone or "UTC"

    def number(self, minute: int) -> int:
        """Return the number of the day that a minute since 1970 is part of; the first day of 1970 is 0."""
        return (minute + self.utc_offset_minutes) // MINUTES_PER_DAY

    def date(self, at: datetime) -> date:
        """Return the day that an instant is part of."""
        return (at.astimezone(UTC) + timedelta(minutes=self.utc_offset_minutes)).date()


UTC_DAYS: Final = Days()


@dataclass(frozen=True, slots=True)
class Policies:
    """A parsed set."""

    default: Policy
    families: Mapping[str, Policy]
    """Those that differ from it, by family."""
    entries: tuple[Mapping[str, Any], ...]
    """As they were set, complete, but for what they say of days."""
    days: Days


def parse(pages: Sequence[Sequence[Mapping[str, Any]]]) -> Policies:
    """Return the policies that these pages hold."""
    entries = tuple(entry for page in pages for entry in page)
    policies = {entry["family"]: _policy(entry) for entry in entries}
    told = next(entry for entry in entries if not entry["family"])
    days = Days(**{name: told[name] for name in OF_DAYS if name in told})
    plain = tuple({name: value for name, value in entry.items() if name not in OF_DAYS} for entry in entries)
    return Policies(policies[""], {name: policy for name, policy in policies.items() if name}, plain, days)


def _policy(entry: Mapping[str, Any]) -> Policy:
    values = {name: entry[name] for name in DEFAULT_ENTRY}
    progress = values.pop("progress_e6")
    kinds = sum(KIND_BITS[Kind(kind)] for kind in entry["kinds"])
    floats = {name.removesuffix("_e6"): value / MICRO for name, value in values.items() if name.endswith("_e6")}
    counts = {name: value for name, value in values.items() if not name.endswith("_e6")}
    return Policy(**floats, **counts, kinds=kinds, progress_e6=progress)


def entry_of(policy: Policy) -> dict[str, Any]:
    """Return a policy as the entry of all families."""
    entry: dict[str, Any] = {"family": "", "kinds": [kind.value for kind in Kind if policy.kinds & KIND_BITS[kind]]}
    for name in DEFAULT_ENTRY:
        share = name.endswith("_e6") and name != "progress_e6"
        entry[name] = round(getattr(policy, name.removesuffix("_e6")) * MICRO) if share else getattr(policy, name)
    return entry


def read_policies(value: Any, now: datetime, before: Days = UTC_DAYS) -> list[dict[str, Any]]:
    """Return the entries of a request, complete and sorted by family.

    Args:
        now: decides what a time zone's offset is.
        before: what stays where the request names no time zone.

    Raises:
        BadInput: something in it is not known, out of bounds or at odds with something else; a fault names each place.
    """
    faults: list[Fault] = []
    listed = value.get("policies") if isinstance(value, dict) else None
    if not isinstance(listed, list) or not listed or value.keys() - {"policies", "timezone"}:
        said = "the policy is an object with `policies`, at least one, where it may be a `timezone`, and nothing else"
        fault = Fault("/policies", "not-a-list", said, "see `GET`")
        raise BadInput(str(fault), [fault])
    days = _days(value.get("timezone"), now, before, faults)
    if len(listed) > MAX_FAMILIES:
        fault = Fault("/policies", "too-many", f"{len(listed)} policies, at most {MAX_FAMILIES}", "let families share a policy")
        raise BadInput(str(fault), [fault])
    entries: dict[str, dict[str, Any]] = {}
    for index, given in enumerate(listed):
        place = f"/policies/{index}"
        if not isinstance(given, dict):
            faults.append(Fault(place, "not-an-object", "a policy is an object", 'send it like {"family": "", "days": 3}'))
            continue
        entry = _entry(given, place, faults)
        if entry["family"] in entries:
            faults.append(Fault(f"{place}/family", "twice", "this family has a policy already", "keep one of them"))
        entries[entry["family"]] = entry
    if "" not in entries and not faults:
        faults.append(Fault("/policies", "no-default", "no policy is for all other competencies", 'add one with the family ""'))
    if faults:
        raise BadInput(f"the policy cannot be taken, so nothing changed. {faults[0]}", faults)
    if days.timezone:  # Else the set is what it was before there were time zones.
        entries[""] |= {name: getattr(days, name) for name in OF_DAYS}
    return [entries[name] for name in sorted(entries)]


def _days(timezone: Any, now: datetime, before: Days, faults: list[Fault]) -> Days:
    if timezone is None:
        return before
    if not isinstance(timezone, str) or timezone not in timezones():
        remedy = "send a name of the IANA time zone database, such as America/Los_Angeles"
        faults.append(Fault("/timezone", "unknown-timezone", "there is no such time zone", remedy))
        return before
    return Days(timezone, winter_offset_minutes(timezone, now.year))


def _entry(given: Mapping[str, Any], place: str, faults: list[Fault]) -> dict[str, Any]:
    entry: dict[str, Any] = {**DEFAULT_ENTRY, "family": "", "kinds": []}
    for name, value in given.items():
        if name == "family":
            if isinstance(value, str) and len(value) <= MAX_FAMILY:
                entry[name] = value.strip().lower()
            else:
                faults.append(Fault(f"{place}/family", "not-text", f"a family is a text of at most {MAX_FAMILY} characters", "mend it"))
        elif name == "kinds":
            known = [kind.value for kind in Kind]
            if isinstance(value, list) and all(kind in known for kind in value):
                entry[name] = sorted(set(value), key=known.index)
            else:
                remedy = f"name some of {', '.join(known)}"
                faults.append(Fault(f"{place}/kinds", "unknown-kind", "not a list of kinds of evidence", remedy))
        elif name in OF_DAYS:
            remedy = "name the `timezone` beside `policies`, once"
            faults.append(Fault(f"{place}/{name}", "unknown", "days are the district's, and alike for all families", remedy))
        elif name not in BOUNDS:
            faults.append(Fault(f"{place}/{name}", "unknown", "a policy has no such number", f"it has {', '.join(BOUNDS)}"))
        elif type(value) is not int or not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
            least, most = BOUNDS[name]
            faults.append(Fault(f"{place}/{name}", "out-of-bounds", f"not a whole number from {least} to {most}", "mend it"))
        else:
            entry[name] = value
    order = ("nearly_from_e6", "verify_below_e6", "certainty_e6")
    if not entry[order[0]] <= entry[order[1]] < entry[order[2]] <= entry["enrich_from_e6"]:
        said = "nearly_from_e6 <= verify_below_e6 < certainty_e6 <= enrich_from_e6 does not hold"
        faults.append(Fault(place, "order", said, "a level must be harder to reach than to keep"))
    if entry["items"] > entry["scored"]:
        faults.append(Fault(f"{place}/items", "order", "more items are asked for than scored events", "raise `scored`"))
    return entry


POLICY: Final = ParameterKind(PolicyAdopted, parse)
