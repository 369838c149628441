"""A learner's path: the need-set of her goals, goal after goal, with reviews, alternatives, a reason for each step, and the pace.

Integers only, and nothing of the path before: equal facts give the equal path, in whatever order they came to be known.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from services.pathing.versions.v3_catalogue import Curriculum, Framework, rank_of
from services.pathing.versions.v3_options import Taste, options_for
from services.pathing.versions.v4_goals import Lanes, Target, closures_of, targets_of
from services.pathing.versions.v4_needs import needs_of
from services.pathing.versions.v4_pace import pace_of
from shared.contracts.envelope import MICRO
from shared.contracts.mastery import Level
from shared.contracts.pathing import MAX_STEPS, Goal, Pace, Reason, Step

BUCKET_DAYS: Final = 21
"""Goals due within the same three weeks are equally urgent: then the cheapest comes first."""
NEW_PER_REVIEW: Final = 4
MAX_ENRICHMENT: Final = 3
MAX_HELD: Final = MAX_STEPS // 4
"""Chosen steps that stay on the path though it would go elsewhere: those chosen last."""
HELD_DAYS: Final = 30
"""For so long; on the path a choice counts until its step is done."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An activity that a learner chose, and on which day."""

    activity_id: str
    on: date


@dataclass(frozen=True, slots=True)
class Learner:
    """What is known of a learner when her path is planned."""

    grade: str
    on: date
    levels: Mapping[str, Level]
    taste: Taste
    goals: tuple[Goal, ...] = ()
    """None: the competencies of her grade."""
    choices: Mapping[str, Chosen] = field(default_factory=dict)
    """Competency -> activity she chose, oldest choice first."""
    waived: tuple[tuple[str, str], ...] = ()
    """Pairs of a competency, and a prerequisite of it that shall not hold her back."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A path, what it means for a school day, and how the learner stands against her dates."""

    steps: tuple[Step, ...] = ()
    needs: tuple[Step, ...] = ()
    pace: Pace = Pace.NO_DATE
    minutes_needed: int = 0
    due: date | None = None


@dataclass(slots=True)
class _Draft:
    """What is on the path so far. All lanes write into it."""

    before: Sequence[Sequence[int]]
    """The prerequisites of each place, less those that are waived."""
    done: Set[int]
    closures: Mapping[int, int]
    """Needed competency -> itself and its unmastered prerequisites, all the way down, as a mask."""
    planned: int = 0
    picked: list[tuple[int, Reason, int]] = field(default_factory=list)
    """(competency, reason, goal)."""

    def take(self, place: int, reason: Reason, goal: int) -> None:
        self.planned |= 1 << place
        self.picked.append((place, reason, goal))

    def ready(self, place: int) -> bool:
        """Return whether every prerequisite is mastered or an earlier step."""
        return all(p in self.done or self.planned >> p & 1 for p in self.before[place])

    def needed(self, places: Sequence[int]) -> int:
        """Return, as a mask, these places and what has to be mastered before them."""
        mask, waiting = 0, list(places)
        while waiting:
            place = waiting.pop()
            if not mask >> place & 1:
                mask |= 1 << place
                waiting.extend(p for p in self.before[place] if place not in self.done and p not in self.done)
        return mask


def plan(curriculum: Curriculum, learner: Learner) -> Plan:
    """Return the learner's path of at most twelve steps.

    No new step has an unmastered prerequisite that is not an earlier step, but such as are waived. A review needs none: it was mastered.
    """
    framework = curriculum.framework
    levels, before, chosen = (
        framework.levels_by_place(learner.levels),
        framework.before_without(learner.waived),
        _chosen(framework, learner),
    )
    mastered, again = Level.MASTERED, Level.REVERIFY
    done = {place for place, level in levels.items() if level is mastered or level is again}
    targets = targets_of(framework, learner.goals, learner.grade, learner.on)
    draft = _Draft(before, done, closures_of(before, targets, done))
    pace, minutes, due = pace_of(curriculum, learner.on, targets, draft.closures)
    _fill(curriculum, learner, targets, draft, sorted(place for place in done if levels[place] is again))
    if pace is Pace.AHEAD:
        _enrich(framework, learner, targets, draft)
    _hold(framework, learner.on, chosen, draft)
    steps = tuple(
        _step(curriculum, learner, *picked, levels.get(picked[0], Level.UNKNOWN), chosen.get(picked[0])) for picked in draft.picked
    )
    return Plan(steps, needs_of(framework, before, done, steps), pace, minutes, due)


def _lane(curriculum: Curriculum, on: date, targets: Sequence[Target], draft: _Draft) -> Iterator[tuple[int, int]]:
    """Yield (competency, goal) of one subject: goals by deadline bucket, cheapest remaining closure, place; prerequisites first."""
    buckets: dict[int, list[Target]] = {}
    for target in targets:
        if target.place in draft.closures:
            buckets.setdefault(-1 if target.passed else (target.due - on).days // BUCKET_DAYS, []).append(target)
    for _, bucket in sorted(buckets.items()):
        seen = draft.planned
        left = {target.place: draft.closures[target.place] & ~seen for target in bucket}
        per_minute = {target.place: MICRO * MICRO // target.weight_e6 for target in bucket}  # Half the weight is twice as dear.
        price = {place: curriculum.minutes_of(mask) * per_minute[place] for place, mask in left.items()}
        heap = [(amount, place) for place, amount in price.items()]
        heapq.heapify(heap)
        while heap:
            amount, goal = heapq.heappop(heap)
            if goal not in left or amount != price[goal]:
                continue  # Its price fell since, and it lies in the heap a second time.
            for place in _places(left.pop(goal)):
                if not draft.planned >> place & 1:
                    yield place, goal
            fresh, seen = draft.planned & ~seen, draft.planned
            for other, mask in left.items():
                if shared := mask & fresh:  # What this goal shares with others, they need no more: they became cheaper.
                    price[other] -= sum([curriculum.minutes[place] for place in _places(shared)]) * per_minute[other]
                    left[other] = mask ^ shared
                    heapq.heappush(heap, (price[other], other))


def _fill(curriculum: Curriculum, learner: Learner, targets: Lanes, draft: _Draft, due: Sequence[int]) -> None:
    """Take steps from the subjects in turn, after every four new ones a review, and reviews alone where nothing is new."""
    framework, rank = curriculum.framework, rank_of(learner.grade)
    lanes = [_lane(curriculum, learner.on, lane, draft) for lane in targets.values()]
    reviews = iter(due)
    turn = fresh = 0
    while len(draft.picked) < MAX_STEPS:
        if fresh < NEW_PER_REVIEW and lanes:
            turn %= len(lanes)
            found = next(lanes[turn], None)
            if found is None:
                del lanes[turn]
                continue
            place, goal = found
            below = rank is not None and framework.top_ranks[place] < rank
            draft.take(place, Reason.GOAL if place == goal else Reason.GAP if below else Reason.PREREQUISITE, goal)
            turn, fresh = turn + 1, fresh + 1
        elif (review := next(reviews, None)) is not None:
            draft.take(review, Reason.REVIEW, review)
            fresh = 0
        elif lanes:
            fresh = 0
        else:
            return


def _enrich(framework: Framework, learner: Learner, targets: Lanes, draft: _Draft) -> None:
    """Offer what is open of the next grade in the subjects of her goals, where there is room on the path."""
    rank = rank_of(learner.grade)
    room = min(MAX_STEPS - len(draft.picked), MAX_ENRICHMENT)
    if rank is None or room <= 0:
        return
    for place in framework.of_grade.get(str(rank + 1), ()):
        open_to_her = place not in draft.done and not draft.planned >> place & 1 and draft.ready(place)
        if open_to_her and framework.entries[place].subject in targets:
            draft.take(place, Reason.ENRICHMENT, place)
            room -= 1
            if not room:
                return


def _hold(framework: Framework, on: date, chosen: Mapping[int, Chosen], draft: _Draft) -> None:
    """Keep a step that the learner lately chose how to take, where it would leave the path undone: it takes a place at the end.

    The last steps give way that she neither chose nor needs for one that she chose. Nothing that stays needs them: what does comes later.
    """
    lately = [place for place, choice in chosen.items() if (on - choice.on).days < HELD_DAYS and framework.entries[place].assessable]
    off_path = [place for place in lately if place not in draft.done and not draft.planned >> place & 1]
    lost = [place for place in off_path if draft.ready(place)][-MAX_HELD:]
    if not lost:
        return
    kept, room = draft.picked, MAX_STEPS - len(lost)
    stays = draft.needed([*lost, *(place for place, _, _ in kept if place in chosen)])
    for at in range(len(kept) - 1, -1, -1):
        if len(kept) > room and not stays >> kept[at][0] & 1:
            kept = kept[:at] + kept[at + 1 :]
    fitting = lost[max(len(lost) + len(kept) - MAX_STEPS, 0) :]
    draft.planned, draft.picked = 0, []
    for place, reason, goal in [*kept, *((place, Reason.CHOICE, place) for place in sorted(fitting))]:
        draft.take(place, reason, goal)


def _chosen(framework: Framework, learner: Learner) -> dict[int, Chosen]:
    """Return the choices by place, oldest first; those of what was replaced count for what stands in its place, where there is none yet."""
    found: dict[int, Chosen] = {}
    for id, choice in learner.choices.items():
        for place in framework.places_of(id):
            if id not in framework.now or framework.entries[place].id not in learner.choices:
                found.pop(place, None)
                found[place] = choice
    return found


def _step(curriculum: Curriculum, learner: Learner, place: int, reason: Reason, goal: int, level: Level, choice: Chosen | None) -> Step:
    entry = curriculum.framework.entries[place]
    options, chosen = options_for(curriculum.candidates[place], level, learner.taste, "" if choice is None else choice.activity_id)
    goal_id = curriculum.framework.entries[goal].id if reason in _FOR_A_GOAL else ""
    return Step(competency_id=entry.id, subject=entry.subject, reason=reason, goal_id=goal_id, options=options, chosen=chosen)


def _places(mask: int) -> Iterator[int]:
    """Yield the places of a mask's bits, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


_FOR_A_GOAL: Final = frozenset({Reason.GOAL, Reason.PREREQUISITE, Reason.GAP})
