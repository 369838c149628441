"""From one piece of evidence and the state before it to what is told: the estimate, and the levels that change; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.mastery.versions.v1_filter import Normal, Numbers, Posterior, carried, faded, predict, repeated, unseen, update
from services.mastery.versions.v1_parameters import Calibration, Framework
from services.mastery.versions.v1_rule import Standing, level_of, probability_e6, reference
from services.mastery.versions.v1_state import MINUTES_PER_DAY, State, item_mark, microseconds_of, minute_of
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import Belief, CompetencyBelief, Estimated, Level, LevelChanged
from shared.exact import micro

_MICROSECONDS_PER_DAY: Final = 86_400_000_000
MET: Final = (Level.MASTERED, Level.REVERIFY)
"""Levels at which a prerequisite holds nothing back: what is due to be shown again was shown once."""


def normal(belief: Belief) -> Normal:
    """Return a belief as the filter takes it."""
    return Normal(belief.mean_e6 / MICRO, belief.variance_e6 / MICRO)


def general_of(state: State, numbers: Numbers) -> Normal:
    """Return the general level of a learner."""
    mean, variance = state.general
    return Normal(mean / MICRO, variance / MICRO) if variance else Normal(0.0, numbers.general_variance)


def form_of(state: State, numbers: Numbers) -> Normal:
    """Return the form of the day at the learner's next event."""
    mean, variance = state.form
    return carried(Normal(mean / MICRO, variance / MICRO), numbers) if variance else Normal(0.0, numbers.form_variance)


def seen_of(state: State, row: int, minute: int, numbers: Numbers) -> Normal:
    """Return what is believed at this minute of the competency in a row."""
    then = Normal(state.means[row] / MICRO, state.variances[row] / MICRO)
    return faded(then, (minute - state.minutes[row]) / MINUTES_PER_DAY, numbers)


def _known(competency_id: str, row: int, state: State, minute: int, numbers: Numbers, framework: Framework) -> Normal:
    if row >= 0:
        return seen_of(state, row, minute, numbers)
    before = (state.find(name) for name in framework.prerequisites.get(competency_id, ()))
    return unseen([seen_of(state, found, minute, numbers) for found in before if found >= 0], numbers)


def _memory(state: State, place: int, minute: int, numbers: Numbers) -> float:
    """Return the logits that remembering the item in this place adds."""
    if place < 0:
        return 0.0
    days = (minute - state.item_minutes[place]) / MINUTES_PER_DAY
    return repeated(state.item_percents[place] / 100, state.item_counts[place], days, numbers)


def _belief(after: Normal) -> Belief:
    return Belief(mean_e6=micro(after.mean), variance_e6=micro(after.variance))


def weigh(seen: EvidenceRecorded, state: State, calibration: Calibration, framework: Framework) -> list[Estimated | LevelChanged]:
    """Return what evidence that is later than all before it changes: one estimate, and a level change for each level it moves."""
    numbers, minute = calibration.numbers, minute_of(seen.occurred_at)
    rows = [state.find(name) for name in seen.competency_ids]
    general, form = general_of(state, numbers), form_of(state, numbers)
    before = [_known(name, row, state, minute, numbers, framework) for name, row in zip(seen.competency_ids, rows, strict=True)]
    mark = item_mark(seen.item_id)
    place = state.item(mark)
    offset = calibration.easiness(seen.item_id, seen.kind) + _memory(state, place, minute, numbers)
    expected = predict(offset, general, form, before)
    precision = calibration.kinds[seen.kind].precision
    after = update(expected, seen.score_e6 / MICRO, precision, general, form, before, numbers)
    breadths = [state.breadth(row, mark, place, minute) for row in rows]
    estimated = _estimated(seen, micro(expected.share), after, breadths)
    return [estimated, *_Levels(seen, minute, estimated, state, calibration, framework).changes(rows)]


def _estimated(seen: EvidenceRecorded, expected_e6: int, after: Posterior, breadths: list[tuple[int, int, int]]) -> Estimated:
    competencies = [
        CompetencyBelief(
            competency_id=name, mean_e6=micro(belief.mean), variance_e6=micro(belief.variance), scored=scored, items=items, days=days
        )
        for name, belief, (scored, items, days) in zip(seen.competency_ids, after.competencies, breadths, strict=True)
    ]  # fmt: skip
    general, form = _belief(after.general), _belief(after.form)
    return Estimated(evidence=seen, expected_e6=expected_e6, general=general, form=form, competencies=tuple(competencies))


@dataclass(slots=True)
class _Levels:
    """Which levels one piece of evidence changes."""

    seen: EvidenceRecorded
    minute: int
    estimated: Estimated
    state: State
    calibration: Calibration
    framework: Framework

    def changes(self, rows: list[int]) -> list[LevelChanged]:
        """Return the changes: what time alone made due, what the evidence is about, and what stood behind a prerequisite now mastered.

        What is due is looked for at the first evidence of a day, not at each: memory fades by days.
        """
        told: dict[str, LevelChanged] = {}
        if self.state.last_us // _MICROSECONDS_PER_DAY != microseconds_of(self.seen.occurred_at) // _MICROSECONDS_PER_DAY:
            for row in self.state.mastered():
                if row not in rows:
                    self._tell(self.state.competency(row), row, None, told)
        beliefs = {belief.competency_id: belief for belief in self.estimated.competencies}
        ready = [name for name, row in zip(beliefs, rows, strict=True) if self._tell(name, row, beliefs[name], told)]
        while ready:  # Ends: each competency becomes mastered at most once, and prerequisites form no cycle.
            for name in self.framework.dependents.get(ready.pop(), ()):
                row = self.state.find(name)
                if (row >= 0 or name in beliefs) and self._tell(name, row, beliefs.get(name), told):
                    ready.append(name)
        return list(told.values())

    def _tell(self, name: str, row: int, belief: CompetencyBelief | None, told: dict[str, LevelChanged]) -> bool:
        """Note the level of a competency where it changes; return whether it is mastered only now."""
        policy, before = self.calibration.policy, self.state.level(row)
        if name in told and told[name].level is Level.MASTERED:
            return False
        standing = self._standing(name, row, belief, told)
        level = level_of(before, standing, policy)
        if level is before:
            return False
        kept = self.state.kept_of(row) if row >= 0 else ()
        by_time = belief is None and level is Level.REVERIFY
        told[name] = LevelChanged(
            learner_id=self.seen.learner_id, competency_id=name, level=level, before=before,
            probability_e6=probability_e6(standing.logit, policy), evidence_ids=kept if by_time else (*kept, self.seen.evidence_id),
        )  # fmt: skip
        return level is Level.MASTERED

    def _standing(self, name: str, row: int, belief: CompetencyBelief | None, told: Mapping[str, LevelChanged]) -> Standing:
        calibration, state = self.calibration, self.state
        if belief is not None:
            now, breadth, share = normal(belief), (belief.scored, belief.items, belief.days), self.seen.score_e6 / MICRO
        else:
            now, share = seen_of(state, row, self.minute, calibration.numbers), None
            breadth = (state.scored[row], len(state.marks_of(row)), state.days[row])
        logit = reference(calibration.reference_easiness, normal(self.estimated.general), now)
        return Standing(logit, *breadth, prerequisites_met=self._met(name, told), share=share)

    def _met(self, name: str, told: Mapping[str, LevelChanged]) -> bool:
        """Return whether nothing that comes before is missing. Before the first framework nobody knows, so that evidence and framework may
        come in any order."""
        if not self.framework.competencies:
            return False
        for before in self.framework.prerequisites.get(name, ()):
            level = told[before].level if before in told else self.state.level(self.state.find(before))
            if level not in MET:
                return False
        return True
