"""From events as they pass to the way of each piece of evidence: which cause chain ends in a day's plan, and when it was where. Pure.

Each event names in `causationid` the one that led to it; a plan is made for many learners at once, so the last two hops go by what the
events say instead: a day *takes* a demand where a `day-demanded` names the learner with that version of hers; the plan *serves* it where it
is the first that the same day adopted from a version of the day that had taken it (`base_version`). Where every day took a newer one, the
demand was replaced before any took it: no day event ever names it, and the way tells when the newer one was served.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HOPS: Final = ("accepted", "recorded", "level", "demand", "noted", "taken", "planned")
"""Where evidence passes, in order."""


@dataclass(frozen=True, slots=True)
class Way:
    """When a piece of evidence was at each hop it reached, in seconds; and whether a day took exactly the demand it led to."""

    at: Mapping[str, float]
    named: bool = False

    @property
    def led_to_demand(self) -> bool:
        """Whether it changed what the learner needs of a day."""
        return "demand" in self.at

    @property
    def planned(self) -> float | None:
        """When the plan that serves its demand was seen; None: it led to no demand, or nothing serves it yet."""
        return self.at.get("planned")


@dataclass(frozen=True, slots=True)
class _Caused:
    id: str
    at: float
    learner: str = ""
    version: int = 0
    """By which scheduling knows the learner's demand: its place in pathing's partition."""


@dataclass(frozen=True, slots=True)
class _Take:
    day: str
    """Name of the day's stream."""
    day_version: int
    demand_version: int
    at: float


@dataclass
class Causes:
    """All events that matter, as they were seen; in whatever order the topics brought them."""

    accepted: dict[str, float] = field(default_factory=dict)
    """Act -> when."""
    recorded: dict[str, _Caused] = field(default_factory=dict)
    """Act -> its record."""
    levels: defaultdict[str, list[_Caused]] = field(default_factory=lambda: defaultdict(list))
    """By the event that led to them, as the next one."""
    demands: defaultdict[str, list[_Caused]] = field(default_factory=lambda: defaultdict(list))
    noted: dict[str, float] = field(default_factory=dict)
    """By the change of demand that led to it."""
    takes: defaultdict[str, list[_Take]] = field(default_factory=lambda: defaultdict(list))
    """By learner."""
    plans: defaultdict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """Day's stream -> (version it was searched from, when)."""

    def see(self, at: float, event: Mapping[str, Any]) -> None:
        """Note an event that was seen at this time; one seen again counts where it was first seen."""
        data, cause, id = event["data"], event["causationid"], event["id"]
        match event["type"]:
            case "evidence.accepted.v1":
                self.accepted.setdefault(data["act_id"], at)
            case "evidence.recorded.v1":
                self.recorded.setdefault(data["evidence_id"], _Caused(id, at))
            case "mastery.level-changed.v1":
                _add(self.levels[cause], _Caused(id, at))
            case "pathing.demand-changed.v1":
                _add(self.demands[cause], _Caused(id, at, data["learner_id"], event["position"] + 1))
            case "scheduling.demand-noted.v1":
                self.noted.setdefault(cause, at)
            case "scheduling.day-demanded.v1":
                for demand in data["demands"]:
                    self.takes[demand["learner_id"]].append(_Take(event["stream"], event["streamversion"], demand["version"], at))
            case "scheduling.plan-adopted.v1":
                self.plans[event["stream"]].append((data["base_version"], at))

    def way(self, act_id: str) -> Way:
        """Return the way of an act. Where it led to several demands, that of the demand which is served last, or not at all; of those
        served at the same time, that of one which a day names."""
        at: dict[str, float] = {}
        if act_id in self.accepted:
            at["accepted"] = self.accepted[act_id]
        recorded = self.recorded.get(act_id)
        if recorded is None:
            return Way(at)
        at["recorded"] = recorded.at
        levels = self.levels.get(recorded.id, [])
        ways = [self._served(at | {"level": level.at}, demand) for level in levels for demand in self.demands.get(level.id, [])]
        if not ways:
            return Way(at | {"level": levels[0].at} if levels else at)
        return max(ways, key=lambda way: (way.at.get("planned", float("inf")), way.named))

    def _served(self, at: dict[str, float], demand: _Caused) -> Way:
        at["demand"] = demand.at
        if demand.id in self.noted:
            at["noted"] = self.noted[demand.id]
        first: dict[str, _Take] = {}
        for take in self.takes.get(demand.learner, []):
            if take.demand_version >= demand.version and (take.day not in first or take.day_version < first[take.day].day_version):
                first[take.day] = take
        served = [
            (min((seen for base, seen in self.plans.get(take.day, []) if base >= take.day_version), default=float("inf")), take)
            for take in first.values()
        ]
        if not served:
            return Way(at)
        named = [each for each in served if each[1].demand_version == demand.version]
        planned, take = min(named or served, key=lambda each: (each[0], each[1].at))
        at["taken"] = take.at
        if planned < float("inf"):
            at["planned"] = planned
        return Way(at, bool(named))


def _add(known: list[_Caused], new: _Caused) -> None:
    if all(each.id != new.id for each in known):
        known.append(new)
