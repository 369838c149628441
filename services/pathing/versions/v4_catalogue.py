"""What paths are made of: the framework as an indexed graph, the activities of each competency, and both together.

Parsed once for each parameter set, and equal on every machine: indices follow from the content, nothing from hashing or time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from pydantic import TypeAdapter

from shared.contracts.mastery import Competency, Level
from shared.contracts.pathing import Activity, CatalogueAdopted, FrameworkNoted
from shared.contracts.profile import Modality
from shared.parameters import ParameterKind

LEVELS: Final = tuple(Level)
"""A level's code is its place here."""
CODE_OF: Final = {level: code for code, level in enumerate(LEVELS)}

CONFERENCE: Final = "conference"
"""Id of the option that stands in where the catalogue has too few: a talk with a teacher. No activity may have it."""
CONFERENCE_MINUTES: Final = 15

FITS: Final = 1_000_000
"""Points of an activity made for the learner's level; one made for every level has half of them, one made for another level none."""
RATE_WEIGHT: Final = 10
MAX_RATE_E6: Final = 50_000
"""Expected gain per minute (millionths of a logit) counts tenfold, up to this: an activity cannot win by gain alone."""

MINUTE_CLASSES: Final = (15, 30, 45, 60, 90, 120, 180, 240)
"""Efforts are rounded up to one of these, so that the minutes of a set of competencies are a few popcounts."""
GAIN_TO_MASTER_E6: Final = 1_500_000
"""Gain from not knowing to mastered, in millionths of a logit: from about even odds to the bar of the mastery rule."""
DEFAULT_TRIES, MAX_TRIES = 4, 8
"""Activities it takes to master a competency where their gain is not known, and at most."""

_LATEST: Final = 100
_RANKS: Final = {"IT": -4, "PR": -3, "PK": -2, "TK": -1, "KG": 0, "K": 0, "PS": 14}


def rank_of(grade: str) -> int | None:
    """Return the place of a grade level code (CEDS) in the order of grades, KG being 0, or None for a code that has none.

    >>> rank_of("05"), rank_of("KG"), rank_of("Other")
    (5, 0, None)
    """
    return int(grade) if grade.isascii() and grade.isdigit() and len(grade) <= 2 else _RANKS.get(grade.upper())


def grade_key(grade: str) -> str:
    """Return the grade so that `5` and `05` are the same one."""
    rank = rank_of(grade)
    return grade if rank is None else str(rank)


@dataclass(frozen=True, eq=False, slots=True)
class Framework:
    """The competencies in an order in which every prerequisite comes before what needs it. A place in it stands for a competency."""

    entries: tuple[Competency, ...]
    index: Mapping[str, int]
    before: tuple[tuple[int, ...], ...]
    """Direct prerequisites that can be learned. Headings cannot, so they are nobody's prerequisite."""
    top_ranks: tuple[int, ...]
    """Rank of the highest grade of each; very high where it has none, for then it belongs to every grade."""
    of_grade: Mapping[str, tuple[int, ...]]
    """Grade key -> indices of its assessable competencies, ascending."""
    gradeless: tuple[int, ...]
    now: Mapping[str, tuple[int, ...]]
    """Id of what a revision replaced -> those that stand in its place."""
    former: Mapping[int, tuple[str, ...]]
    """The other way round; ids in order."""
    directly: Mapping[str, tuple[str, ...]]
    """Id -> those that it replaced itself, in the revision that brought it, not those that were replaced before; the oldest first."""
    in_cycles: frozenset[str]
    """Those of them that replaced one another, or something that did: mastery refuses it, and did not always."""

    def places_of(self, competency_id: str) -> tuple[int, ...]:
        """Return where a competency is learned today: its own place, or those of what replaced it; none where it is not known."""
        place = self.index.get(competency_id)
        return () if place is None else self.now.get(competency_id, (place,))

    def levels_by_place(self, levels: Mapping[str, Level]) -> dict[int, Level]:
        """Return a learner's levels by place. Until one is told of what stands in the place of others, it has the lowest of theirs.

        One of them that nothing is known of counts as not known: that she needs less than she does would show only when she fails.
        """
        known = {self.index[id]: level for id, level in levels.items() if id in self.index and id not in self.now}
        if self.now.keys().isdisjoint(levels):
            return known
        lowest: dict[str, Level] = {}
        for id in self.directly:
            if id not in self.in_cycles:
                lowest[id] = self._lowest(id, levels, lowest, frozenset())
        former = {place: self.entries[place].id for place in self.former if place not in known}
        return known | {place: lowest.get(id) or self._lowest(id, levels, lowest, frozenset()) for place, id in former.items()}

    def _lowest(self, id: str, levels: Mapping[str, Level], lowest: Mapping[str, Level], seen: frozenset[str]) -> Level:
        """Return the lowest level of those that a competency replaced itself; that of one which is not told is found the same way.

        Args:
            lowest: what was found so.
            seen: those on the way here, which count for nothing: where revisions form a cycle, each way is gone for itself.
        """
        before = [each for each in self.directly.get(id, ()) if each not in seen]
        found = [levels.get(each) or lowest.get(each) or self._lowest(each, levels, lowest, seen | {id}) for each in before]
        return min(found, key=CODE_OF.__getitem__, default=Level.UNKNOWN)

    def before_without(self, waived: Iterable[tuple[str, str]]) -> Sequence[tuple[int, ...]]:
        """Return `before` less what is waived: pairs of a competency and one before it, or of what they have replaced."""
        pairs = {(place, first) for id, other in waived for place in self.places_of(id) for first in self.places_of(other)}
        if not pairs:
            return self.before
        before = list(self.before)
        for place, first in pairs:
            before[place] = tuple(each for each in before[place] if each != first)
        return before

    def goals_of(self, grade: str) -> tuple[int, ...]:
        """Return the indices of the assessable competencies of a grade, ascending; none for a learner without grade."""
        return self.of_grade.get(grade_key(grade), self.gradeless) if grade else ()


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """An activity as it is weighed for a learner. Known by identity, which is what makes it cheap to look up."""

    activity_id: str
    modality: Modality
    minutes: int
    areas: frozenset[str]
    points: tuple[int, ...]
    """What it is worth before a learner's tastes, by code of her level."""


A_TALK: Final = Candidate(CONFERENCE, Modality.TEACHER_LED, CONFERENCE_MINUTES, frozenset(), (0,) * len(LEVELS))
"""So that no competency is without a way, nor a step without an alternative: a person is always one."""


@dataclass(frozen=True, eq=False, slots=True)
class Catalogue:
    """The activities."""

    activities: Mapping[str, Activity]
    """In order of id."""
    candidates: Mapping[str, tuple[Candidate, ...]]
    """Competency -> its activities in order of id."""


@dataclass(frozen=True, eq=False, slots=True)
class Curriculum:
    """A framework with the activities of a catalogue: all that a plan is made from, beside the learner."""

    framework: Framework
    candidates: tuple[tuple[Candidate, ...], ...]
    """The ways to learn each: its activities, and a talk with a teacher where they are not of two modalities."""
    minutes: tuple[int, ...]
    """What it takes to master each, a minutes class."""
    classes: tuple[tuple[int, int], ...]
    """(minutes, mask of the competencies that take that long)."""

    def minutes_of(self, mask: int) -> int:
        """Return the minutes it takes to master the competencies of a mask."""
        total = 0
        for minutes, members in self.classes:
            total += minutes * (mask & members).bit_count()
        return total


def parse_framework(pages: Sequence[Any]) -> Framework:
    """Return the graph of a framework. What mastery refuses at import is passed over: unknown prerequisites, and of a cycle the one that
    closes it.

    What was replaced by competencies that are known is a heading from then on: they are prerequisites, goals and steps in its place.
    """
    known = {entry.id: entry for page in pages for entry in _COMPETENCIES.validate_python(page)}
    replaced = _replaced(known)
    known |= {id: known[id].model_copy(update={"assessable": False}) for id in replaced}
    named = {id: {now for p in entry.prerequisites for now in replaced.get(p, (p,)) if now in known} - {id} for id, entry in known.items()}
    entries = tuple(known[id] for id in _topological(known, named))
    index = {entry.id: place for place, entry in enumerate(entries)}
    before = tuple(
        tuple(sorted(index[p] for p in named[entry.id] if known[p].assessable and index[p] < index[entry.id])) for entry in entries
    )
    now = {id: tuple(sorted(index[end] for end in ends)) for id, ends in replaced.items()}
    former: dict[int, list[str]] = {}
    for id in sorted(now):
        for place in now[id]:
            former.setdefault(place, []).append(id)
    assessable = [place for place, entry in enumerate(entries) if entry.assessable]
    gradeless = tuple(place for place in assessable if not entries[place].grades)
    keys = {grade_key(grade) for place in assessable for grade in entries[place].grades}
    of_grade = {
        key: tuple(p for p in assessable if not entries[p].grades or key in map(grade_key, entries[p].grades)) for key in sorted(keys)
    }
    replacing: dict[str, set[str]] = {id: set() for id in known}
    for id in now:
        for successor in known[id].replaced_by:
            replacing.get(successor, set()).add(id)
    oldest_first = _oldest_first(replacing)
    in_cycles = frozenset(replacing.keys() - set(oldest_first))
    directly = {id: tuple(sorted(replacing[id])) for id in (*oldest_first, *sorted(in_cycles)) if replacing[id]}
    return Framework(
        entries, index, before, tuple(_top_rank(entry) for entry in entries), of_grade, gradeless, now,
        {place: tuple(ids) for place, ids in former.items()}, directly, in_cycles,
    )  # fmt: skip


def parse_catalogue(pages: Sequence[Any]) -> Catalogue:
    """Return the activities of a catalogue, those of each competency in order of id."""
    activities = {activity.id: activity for page in pages for activity in _ACTIVITIES.validate_python(page)}
    candidates: dict[str, list[Candidate]] = {}
    for activity_id in sorted(activities):
        activity = activities[activity_id]
        candidates.setdefault(activity.competency_id, []).append(_candidate(activity))
    return Catalogue({id: activities[id] for id in sorted(activities)}, {id: tuple(found) for id, found in candidates.items()})


FRAMEWORK: Final = ParameterKind(FrameworkNoted, parse_framework)
CATALOGUE: Final = ParameterKind(CatalogueAdopted, parse_catalogue)


@lru_cache(maxsize=64)
def curriculum(framework: Framework, catalogue: Catalogue) -> Curriculum:
    """Return both together. Kept for the pairs last asked for (replay asks for many), known by identity: a set is parsed once."""
    found = [
        tuple(candidate for id in (entry.id, *framework.former.get(place, ())) for candidate in catalogue.candidates.get(id, ()))
        for place, entry in enumerate(framework.entries)
    ]
    candidates = tuple(each if len({candidate.modality for candidate in each}) > 1 else (*each, A_TALK) for each in found)
    minutes = tuple(_effort([catalogue.activities[candidate.activity_id] for candidate in each]) for each in found)
    members = dict.fromkeys(MINUTE_CLASSES, 0)
    for place, effort in enumerate(minutes):
        members[effort] |= 1 << place
    return Curriculum(framework, candidates, minutes, tuple((effort, mask) for effort, mask in members.items() if mask))


def _replaced(known: Mapping[str, Competency]) -> dict[str, tuple[str, ...]]:
    """Return what stands in the place of each replaced competency today: the ends of all revisions since that are known and assessable."""
    found: dict[str, tuple[str, ...]] = {}
    for id, entry in known.items():
        ends, waiting, seen = set[str](), list(entry.replaced_by), {id}
        while waiting:  # Ends: nothing is looked at twice.
            following = waiting.pop()
            if following in seen or following not in known:
                continue
            seen.add(following)
            waiting.extend(known[following].replaced_by)
            if known[following].assessable and not any(further in known for further in known[following].replaced_by):
                ends.add(following)
        if ends:
            found[id] = tuple(sorted(ends))
    return found


def _oldest_first(replacing: Mapping[str, Set[str]]) -> list[str]:
    """Return the ids, each behind those that it replaced; those that lie on a cycle or behind one are left out."""
    sorter, found = TopologicalSorter(replacing), list[str]()
    with suppress(CycleError):  # What no cycle blocks can be had all the same.
        sorter.prepare()
    while ready := sorter.get_ready():
        found.extend(ready)
        sorter.done(*ready)
    return found


def _topological(known: Mapping[str, Competency], named: Mapping[str, Set[str]]) -> Iterable[str]:
    """Yield the ids, prerequisites first, and where there is a choice by grade, code and id.

    Where only what lies on a cycle or behind one is left, one on a cycle goes first, as if what closes the cycle did not come before it.

    Args:
        named: the known prerequisites of each.
    """
    waiting = {id: len(named[id]) for id in known}
    after: dict[str, list[str]] = {id: [] for id in known}
    for id, prerequisites in named.items():
        for prerequisite in prerequisites:
            after[prerequisite].append(id)
    ready = [_order(known[id]) for id, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    while waiting:
        if not ready:
            ready.append(_order(known[_on_a_cycle(waiting.keys(), known, named)]))
        id = heapq.heappop(ready)[-1]
        del waiting[id]
        yield id
        for dependent in after[id]:
            if dependent in waiting:
                waiting[dependent] -= 1
                if waiting[dependent] == 0:
                    heapq.heappush(ready, _order(known[dependent]))


def _on_a_cycle(waiting: Set[str], known: Mapping[str, Competency], named: Mapping[str, Set[str]]) -> str:
    """Return the first, in their order, of a cycle among those that wait, each for another one of them."""

    def first(ids: Iterable[str]) -> str:
        return min(ids, key=lambda id: _order(known[id]))

    walk = dict.fromkeys([first(waiting)])
    while (following := first(named[next(reversed(walk))] & waiting)) not in walk:
        walk[following] = None
    ids = list(walk)
    return first(ids[ids.index(following) :])


def _order(entry: Competency) -> tuple[int, str, str]:
    return _top_rank(entry), entry.code, entry.id


def _top_rank(entry: Competency) -> int:
    ranks = [rank for grade in entry.grades if (rank := rank_of(grade)) is not None]
    return max(ranks, default=_LATEST)


def _candidate(activity: Activity) -> Candidate:
    rate = min(activity.gain_e6 // activity.minutes, MAX_RATE_E6) * RATE_WEIGHT
    points = tuple(rate + (FITS if level in activity.levels else 0 if activity.levels else FITS // 2) for level in LEVELS)
    return Candidate(activity.id, activity.modality, activity.minutes, frozenset(activity.areas), points)


def _effort(activities: Sequence[Activity]) -> int:
    """Return the minutes class of a competency: the median over its activities of one's minutes times how often it takes."""
    efforts = sorted(_minutes_to_master(activity) for activity in activities) or [CONFERENCE_MINUTES * DEFAULT_TRIES]
    median = efforts[len(efforts) // 2]
    return next((minutes for minutes in MINUTE_CLASSES if median <= minutes), MINUTE_CLASSES[-1])


def _minutes_to_master(activity: Activity) -> int:
    tries = -(-GAIN_TO_MASTER_E6 // activity.gain_e6) if activity.gain_e6 else DEFAULT_TRIES
    return activity.minutes * min(tries, MAX_TRIES)


_COMPETENCIES: Final = TypeAdapter(list[Competency])
_ACTIVITIES: Final = TypeAdapter(list[Activity])
