"""What mastery decides: each piece of evidence moves a learner's estimates, in the order of time, whatever order it arrives in; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never
from uuid import UUID

from services.mastery.versions.v1_codec import CODEC
from services.mastery.versions.v1_parameters import Calibration, Framework, calibration_of, framework_of
from services.mastery.versions.v1_rule import probability_e6, reference
from services.mastery.versions.v1_state import MICROSECONDS_PER_MINUTE, State, microseconds_of, minute_of
from services.mastery.versions.v1_weigh import MET, general_of, seen_of, weigh
from shared.contracts.envelope import StreamId
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import Belief, CompetencyTrace, Estimated, ItemTrace, Level, LevelChanged, Reestimated
from shared.decider import Decider, History
from shared.parameters import Parameters


@dataclass(frozen=True)
class CountEvidence:
    """Count one piece of scored evidence towards a learner's competencies."""

    evidence: EvidenceRecorded

    @property
    def stream(self) -> StreamId:
        return StreamId("mastery", "learner", str(self.evidence.learner_id))


@dataclass(frozen=True)
class Recalibrate:
    """Weigh all of a learner's evidence again, with the parameters in force. Where nothing comes out otherwise, nothing is said."""

    learner_id: UUID
    settings: int
    """Version of mastery's settings that asks for it."""

    @property
    def stream(self) -> StreamId:
        return StreamId("mastery", "learner", str(self.learner_id))


MasteryCommand: TypeAlias = CountEvidence | Recalibrate
MasteryEvent: TypeAlias = Estimated | Reestimated | LevelChanged


def decide(command: MasteryCommand, state: State, parameters: Parameters, history: History = ()) -> list[MasteryEvent]:
    """Return the new estimate and the levels that change with it; nothing for evidence that was counted before."""
    calibration, framework = calibration_of(parameters), framework_of(parameters)
    match command:
        case CountEvidence(evidence=seen):
            if not needs_history(command, state):
                return [*weigh(seen, state, calibration, framework)]
            counted = evidence_in(history)
            if any(known.evidence_id == seen.evidence_id for known in counted):
                return []
            after = refold([*counted, seen], calibration, framework)
            return [_difference(seen.learner_id, state, after, late=seen), *_levels(seen.learner_id, state, after, calibration, seen)]
        case Recalibrate(learner_id=learner_id, settings=settings):
            after = _not_taken_back(state, refold(evidence_in(history), calibration, framework))
            if after == state:
                return []
            return [
                _difference(learner_id, state, after, settings=settings), *_levels(learner_id, state, after, calibration)
            ]  # fmt: skip


def evidence_in(history: History) -> list[EvidenceRecorded]:
    """Return all evidence that was counted, in the order it arrived in."""
    return [seen for event in history if (seen := getattr(event.data, "evidence", None)) is not None]


def refold(evidence: Iterable[EvidenceRecorded], calibration: Calibration, framework: Framework) -> State:
    """Return the state as if this evidence had arrived in the order of (time, id)."""
    state = State()
    for seen in sorted(evidence, key=lambda known: (known.occurred_at, known.evidence_id.int)):
        for event in weigh(seen, state, calibration, framework):
            state = evolve(state, event)
    return state


def _not_taken_back(before: State, after: State) -> State:
    """Return `after` with what was mastered before and is not any more as due to be shown again: new numbers alone take nothing back."""
    for row, name in enumerate(before.competencies()):
        if before.level(row) in MET and after.level(after.find(name)) not in MET:
            after.set_level(name, Level.REVERIFY)
    return after


def _difference(
    learner_id: UUID, before: State, after: State, late: EvidenceRecorded | None = None, settings: int | None = None
) -> Reestimated:  # fmt: skip
    """Return the event that leads from one state to the other, levels and watermark apart."""
    old = dict(zip(before.competencies(), _traces(before), strict=True))
    changed = [trace for trace in _traces(after) if old.get(trace.competency_id) != trace]
    items = _items(after)
    return Reestimated(
        learner_id=learner_id, evidence=late, settings=settings,
        general=Belief(mean_e6=after.general[0], variance_e6=after.general[1]),
        form=Belief(mean_e6=after.form[0], variance_e6=after.form[1]),
        competencies=tuple(changed), items=None if items == _items(before) else items,
    )  # fmt: skip


def _traces(state: State) -> list[CompetencyTrace]:
    return [
        CompetencyTrace(
            competency_id=name, mean_e6=state.means[row], variance_e6=state.variances[row], scored=state.scored[row],
            items=len(state.marks_of(row)), days=state.days[row], last_minute=state.minutes[row], item_marks=state.marks_of(row),
            evidence_ids=state.kept_of(row),
        )
        for row, name in enumerate(state.competencies())
    ]  # fmt: skip


def _items(state: State) -> tuple[ItemTrace, ...]:
    columns = zip(state.item_marks, state.item_minutes, state.item_counts, state.item_percents, strict=True)
    return tuple(ItemTrace(mark=mark, last_minute=minute, count=count, percent=percent) for mark, minute, count, percent in columns)


def _levels(
    learner_id: UUID, before: State, after: State, calibration: Calibration, late: EvidenceRecorded | None = None
) -> list[LevelChanged]:  # fmt: skip
    """Return the changes of level between two states, with the probability at the latest evidence."""
    changes = []
    minute = after.last_us // MICROSECONDS_PER_MINUTE
    for row, name in enumerate(after.competencies()):
        was, level = before.level(before.find(name)), after.level(row)
        if was is level:
            continue
        known = seen_of(after, row, minute, calibration.numbers)
        logit = reference(calibration.reference_easiness, general_of(after, calibration.numbers), known)
        ids = after.kept_of(row)
        if late is not None and late.evidence_id not in ids:
            ids = (late.evidence_id, *ids)
        changes.append(
            LevelChanged(
                learner_id=learner_id, competency_id=name, level=level, before=was, evidence_ids=ids,
                probability_e6=probability_e6(logit, calibration.policy),
            )
        )  # fmt: skip
    return changes


def evolve(state: State, event: MasteryEvent) -> State:
    """Return the state after the event. Never refuses: it has already happened."""
    after = state.copy()
    match event:
        case Estimated(evidence=seen, general=general, form=form):
            minute = minute_of(seen.occurred_at)
            after.move_watermark(seen)
            after.general, after.form = (general.mean_e6, general.variance_e6), (form.mean_e6, form.variance_e6)
            for belief in event.competencies:
                after.take(belief, seen, minute)
            after.remember_item(seen, minute)
            after.forget_oldest()
        case Reestimated(evidence=late, general=general, form=form):
            if late is not None:
                after.move_watermark(late)
            after.general, after.form = (general.mean_e6, general.variance_e6), (form.mean_e6, form.variance_e6)
            for trace in event.competencies:
                after.replace(trace)
            if event.items is not None:
                after.remember_items(event.items)
            after.forget_oldest()
        case LevelChanged(competency_id=name, level=level):
            after.set_level(name, level)
        case _:
            assert_never(event)
    return after


def command_of(event: MasteryEvent) -> MasteryCommand | None:
    """Return the command that this event answers first, so that replay can ask it again."""
    match event:
        case Estimated(evidence=seen):
            return CountEvidence(seen)
        case Reestimated(evidence=late, settings=settings):
            if late is not None:
                return CountEvidence(late)
            return None if settings is None else Recalibrate(event.learner_id, settings)
        case LevelChanged():
            return None


def needs_history(command: MasteryCommand, state: State) -> bool:
    """Late or repeated evidence is weighed among all the rest, and so is everything where the numbers changed."""
    match command:
        case CountEvidence(evidence=seen):
            return (microseconds_of(seen.occurred_at), seen.evidence_id.int) <= (state.last_us, state.last_id)
        case Recalibrate():
            return True


mastery: Final = Decider("mastery.estimate", 1, "learner", State(), decide, evolve, command_of, CODEC, needs_history)
