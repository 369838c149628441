"""From one piece of evidence and the state before it to what comes out otherwise: estimates, levels, and whether a person is needed; pure.

The same function weighs evidence as it comes and evidence in its place among all the rest; only the first makes events of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple
from uuid import UUID

from services.mastery.filter import Normal, Numbers, carried, faded, predict, repeated, unseen, update
from services.mastery.inputs import Inputs
from services.mastery.rule import MET, Policy, Standing, level_of, score_of
from services.mastery.state import (
    CODES,
    HELD,
    KIND_BITS,
    LEVELS,
    MAX_COUNT,
    MINUTES_PER_DAY,
    STUCK,
    Item,
    Row,
    State,
    item_mark,
    key_of,
    microseconds_of,
    minute_of,
    short_mark,
)
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import Level
from shared.exact import micro

MET_CODES: Final = tuple(CODES[level] for level in MET)
"""Levels at which a prerequisite holds nothing back, as they stand in rows."""


class Move(NamedTuple):
    """A level that the estimate gives from now on, in place of another."""

    name: str
    before: Level
    level: Level
    logit: Normal
    """Of an answer to the reference item."""
    due: int
    by_time: bool
    """Whether time alone did it."""


class Person(NamedTuple):
    """Whether a person is needed for a competency, where that changes."""

    name: str
    needed: bool
    idle: int
    idle_days: int


@dataclass(slots=True)
class Weighed:
    """What evidence changes."""

    names: tuple[str, ...]
    """The competencies that it is about today."""
    expected: float
    general: tuple[int, int]
    form: tuple[int, int]
    rows: dict[str, Row]
    """Those competencies, then others of which something changed; all as they are afterwards."""
    moves: dict[str, Move]
    persons: list[Person]


def general_of(general: tuple[int, int], numbers: Numbers) -> Normal:
    """Return the general level of a learner."""
    mean, variance = general
    return Normal(mean / MICRO, variance / MICRO) if variance else Normal(0.0, numbers.general_variance)


def form_of(form: tuple[int, int], numbers: Numbers) -> Normal:
    """Return the form of the day at the learner's next event."""
    mean, variance = form
    return carried(Normal(mean / MICRO, variance / MICRO), numbers) if variance else Normal(0.0, numbers.form_variance)


def seen_of(row: Row, minute: int, numbers: Numbers) -> Normal:
    """Return what is believed at this minute of a competency."""
    return faded(Normal(row.mean / MICRO, row.variance / MICRO), (minute - row.minute) / MINUTES_PER_DAY, numbers)


def unseen_of(name: str, state: State, minute: int, inputs: Inputs) -> Normal:
    """Return what is believed at this minute of a competency that was not seen yet."""
    numbers = inputs.calibration.numbers
    before = [state.row(found) for found in inputs.framework.prerequisites.get(name, ())]
    return unseen([seen_of(found, minute, numbers) for found in before if found is not None], numbers)


def memory_of(item: Item | None, minute: int, numbers: Numbers) -> float:
    """Return the logits that remembering the item adds."""
    if item is None:
        return 0.0
    return repeated(item.percent / 100, item.times, (minute - item.minute) / MINUTES_PER_DAY, numbers)


class Estimation(NamedTuple):
    """What evidence does to beliefs; levels apart."""

    names: tuple[str, ...]
    """The competencies that it is about today."""
    rows: list[Row | None]
    """As they were."""
    expected: float
    general: tuple[int, int]
    form: tuple[int, int]
    beliefs: list[tuple[int, int]]
    short: int
    """Hash of the item."""
    again: bool
    """Whether the item is remembered."""


def estimate(seen: EvidenceRecorded, state: State, inputs: Inputs, minute: int, share: float) -> Estimation:
    """Return what is believed after evidence that is later than all before it."""
    calibration, names = inputs.calibration, inputs.framework.current(seen.competency_ids)
    numbers, kind = calibration.numbers, seen.kind
    rows, known = [], []
    for name in names:
        row = state.row(name)
        rows.append(row)
        known.append(unseen_of(name, state, minute, inputs) if row is None else seen_of(row, minute, numbers))
    general, form = general_of(state.general, numbers), form_of(state.form, numbers)
    mark = item_mark(seen.item_id)
    item = state.item(mark)
    offset = calibration.easiness(seen.item_id, kind, names) + memory_of(item, minute, numbers)
    expected = predict(offset, general, form, known)
    general, form, beliefs = update(expected, share, calibration.kinds[kind].precision, general, form, known, numbers)
    return Estimation(
        names, rows, expected.share, (micro(general.mean), micro(general.variance)), (micro(form.mean), micro(form.variance)),
        [(micro(mean), micro(variance)) for mean, variance in beliefs], short_mark(mark), item is not None,
    )  # fmt: skip


def weigh(seen: EvidenceRecorded, state: State, inputs: Inputs) -> Weighed:
    """Return what evidence that is later than all before it changes."""
    minute, share, bit = minute_of(seen.occurred_at), seen.score_e6 / MICRO, KIND_BITS[seen.kind]
    names, rows, expected, general, form, beliefs, short, again = estimate(seen, state, inputs, minute, share)
    told = Weighed(names, expected, general, form, {}, {}, [])
    today = inputs.days.number(minute)
    for name, row, (mean, variance) in zip(names, rows, beliefs, strict=True):
        reached = general[0] + mean
        if row is None:
            told.rows[name] = Row(key_of(name), mean, variance, minute, reached, short, 0, 0, 1, 1, bit, 0, 0, 0, 0, 0)
        else:
            another_day, progress = inputs.days.number(row.minute) != today, inputs.policy_of(name).progress_e6
            told.rows[name] = _moved(row, mean, variance, reached, minute, another_day, short, again, bit, progress)
    judging = Judging(state, inputs, told, minute, [])
    for name in names:
        judging.judge(name, share)
    judging.others()
    return told


def apply(seen: EvidenceRecorded, weighed: Weighed, state: State) -> None:
    """Change the state as the evidence does. For a copy that was not handed out yet."""
    move_watermark(seen, state)
    state.general, state.form = weighed.general, weighed.form
    for name, row in weighed.rows.items():
        state.put(name, row)
    state.put_item(item_mark(seen.item_id), minute_of(seen.occurred_at), seen.score_e6 // 10_000)


def move_watermark(seen: EvidenceRecorded, state: State) -> None:
    """Move the watermark to this evidence, unless it lies before."""
    at, number = microseconds_of(seen.occurred_at), seen.evidence_id.int
    if (at, number) > (state.last_us, state.last_id):
        state.last_us, state.last_id = at, number


def _moved(
    row: Row, mean: int, variance: int, reached: int, minute: int, another_day: bool, short: int, again: bool, bit: int, progress: int
) -> Row:  # fmt: skip
    """Return a competency after more evidence about it; its level and what follows from that are still to be judged.

    Args:
        reached: general and competency mean together.
        another_day: whether it is another day than when the competency was last worked on.
        short: hash of the item; `again` is whether it is remembered, so that it counts no more, unless it was about
            other competencies only.
        progress: least growth of the mean that is some.
    """
    (
        key, _, _, _, best, first, second, third, scored, days, kinds, level, idle, idle_days, flags, due,
    ) = row  # fmt: skip
    if reached >= best + progress or level in MET_CODES:
        best, idle, idle_days = reached, 0, 0
    else:
        if (another_day or not idle) and idle_days < MAX_COUNT:
            idle_days += 1
        idle = min(MAX_COUNT, idle + 1)
    if not third:
        again = again and short in (first, second)  # Else it was about other competencies then.
        first, second, third = with_mark(row, short)
    return Row(
        key, mean, variance, minute, best, first, second, third, scored if again or scored == MAX_COUNT else scored + 1,
        days + 1 if another_day and days < MAX_COUNT else days, kinds | bit, level, idle, idle_days, flags, due,
    )  # fmt: skip


def with_mark(row: Row, short: int) -> tuple[int, int, int]:
    """Return the distinct items of a competency once this one was worked on."""
    first, second, third = row.first, row.second, row.third
    if short in (first, second) or third:
        return first, second, third
    return (first, second, short) if second else (first, short, 0)


@dataclass(slots=True)
class Judging:
    """Which levels change, once beliefs are what they are: of the evidence, of what stood behind a prerequisite now mastered, and of what
    time made due."""

    state: State
    inputs: Inputs
    told: Weighed
    minute: int
    ready: list[str]
    """Competencies mastered only now, whose dependents are still to be looked at."""

    def judge(self, name: str, share: float | None) -> None:
        """Judge a competency whose row is among those told. `share` is the score, None where the evidence is about others."""
        row, inputs = self.told.rows[name], self.inputs
        policy, general = inputs.policy_of(name), self.told.general
        easiness = inputs.calibration.reference_of(name)
        mean, variance = row.mean / MICRO, row.variance / MICRO  # As it is kept.
        if share is None:
            mean, variance = seen_of(row, self.minute, inputs.calibration.numbers)
        logit = Normal(easiness + general[0] / MICRO + mean, general[1] / MICRO + variance)
        old = LEVELS[row.level]
        met = old in MET or (score_of(logit, policy) >= policy.certainty_z and self._met(name))  # Asked for by nothing below that.
        level = level_of(old, Standing(logit, row.scored, row.items, row.days, met, share, row.kinds), policy)
        due = inputs.due_minute(general, row, easiness, policy) if level is Level.MASTERED else 0
        if due and due <= self.minute:  # Halving found another day than this very minute shows.
            due = self.minute + MINUTES_PER_DAY
        flags = row.flags
        if level is not old:
            flags = flags if level in MET else flags & ~HELD
            first = self.told.moves.get(name)
            self.told.moves[name] = Move(name, first.before if first else old, level, logit, due, level is Level.REVERIFY and share is None)
            if level is Level.MASTERED and old not in MET:
                self.ready.append(name)
        if share is not None or level in MET:  # Work on others never shows that a person is needed, but may end it.
            flags = self._stuck(name, row, level, flags, policy)
        if level is not old or due != row.due or flags != row.flags:
            self.told.rows[name] = row.judged(CODES[level], due, flags)

    def others(self) -> None:
        """Judge what stood behind what is mastered only now, and what has become due."""
        rows, state = self.told.rows, self.state
        while self.ready:  # Ends: each competency becomes mastered at most once, and prerequisites form no cycle.
            for name in self.inputs.framework.dependents.get(self.ready.pop(), ()):
                row = rows.get(name) or state.row(name)
                if row is not None and row.level not in MET_CODES:
                    self._judge_again(name, row)
        if state.next_due <= self.minute:
            for name, row in state.every_row():
                if row.due and row.due <= self.minute and name not in rows:
                    self._judge_again(name, row)

    def _judge_again(self, name: str, row: Row) -> None:
        told = self.told.rows
        had = name in told
        told[name] = row
        self.judge(name, None)
        if not had and told[name] == row:
            del told[name]

    def _stuck(self, name: str, row: Row, level: Level, flags: int, policy: Policy) -> int:
        """Return the flags, and tell where it changes whether a person is needed. What is mastered needs nobody."""
        stuck = row.idle >= policy.stuck_events and row.idle_days >= policy.stuck_days and level not in MET
        if stuck == bool(flags & STUCK):
            return flags
        persons, before = self.told.persons, Person(name, not stuck, row.idle, row.idle_days)
        if before in persons:  # Judged before what held it back was: of the two that one piece of evidence would tell, neither.
            persons.remove(before)
        else:
            persons.append(Person(name, stuck, row.idle, row.idle_days))
        return flags | STUCK if stuck else flags & ~STUCK

    def _met(self, name: str) -> bool:
        """Return whether nothing that comes before is missing. Of what no framework in force names nobody knows, so that evidence and
        framework may come in any order."""
        framework, state = self.inputs.framework, self.state
        if name not in framework.competencies:
            return False
        for before in framework.prerequisites.get(name, ()):
            if state.waivers and (name, before) in state.waivers:
                continue
            override = state.override(before)
            row = None if override else self.told.rows.get(before) or state.row(before)
            if LEVELS[override.level if override else row.level if row else 0] not in MET:
                return False
        return True


def score_at(name: str, general: tuple[int, int], row: Row, minute: int, inputs: Inputs) -> tuple[Normal, float]:
    """Return the logit of an answer to the reference item at this minute, and by how many deviations it lies above the bar."""
    belief = seen_of(row, minute, inputs.calibration.numbers)
    wide = general_of(general, inputs.calibration.numbers)
    policy = inputs.policy_of(name)
    logit = Normal(inputs.calibration.reference_of(name) + wide.mean + belief.mean, wide.variance + belief.variance)
    return logit, (logit.mean - policy.bar_logit) / sqrt(logit.variance)


def cited(seen: UUID | None, move: Move) -> tuple[UUID, ...]:
    """Return the evidence that a change of level names: none where time alone did it."""
    return () if seen is None or move.by_time else (seen,)
