"""What mastery decides: each piece of evidence moves a learner's estimates, in the order of time, whatever order it arrives in; what people
say wins over what is estimated, and is told as such; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never
from uuid import UUID

from services.mastery.codec import CODEC
from services.mastery.commands import (
    CountEvidence,
    DeferEvidence,
    EndOverride,
    FollowRevision,
    GiveOverride,
    MasteryCommand,
    MasteryEvent,
    Recalibrate,
    Rescore,
    Void,
    WaivePrerequisite,
    WithdrawWaiver,
    command_of,
)
from services.mastery.inputs import Inputs, inputs_of
from services.mastery.judgements import Saying, Word, override_of, revised_judgements, succeed, word_of
from services.mastery.refold import counting, difference, evidence_in, hold, level_changes, loses, refold, rescored, row_of, says_something
from services.mastery.rule import MET, probability_e6
from services.mastery.state import (
    CODES,
    HELD,
    KIND_BITS,
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
from services.mastery.weigh import Weighed, cited, move_watermark, weigh, with_mark
from shared.contracts.envelope import made
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import (
    Belief,
    CompetencyBelief,
    Due,
    Estimated,
    EvidenceDeferred,
    JudgementsMoved,
    LevelChanged,
    LevelHeld,
    OverrideEnded,
    OverrideGiven,
    PersonNeeded,
    PrerequisiteWaived,
    Reestimated,
    WaiverWithdrawn,
)
from shared.decider import Decider, History, Refusal
from shared.exact import micro
from shared.parameters import Parameters


def decide(command: MasteryCommand, state: State, parameters: Parameters, history: History = ()) -> list[MasteryEvent] | Refusal:
    """Return the new estimate and the levels that change with it; nothing for what was decided before."""
    inputs = inputs_of(parameters)
    match command:
        case CountEvidence(evidence=seen):
            if not needs_history(command, state):
                return _told(seen, state, weigh(seen, state, inputs), inputs)
            if seen.evidence_id in evidence_in(history):
                return []
            return _again(seen.learner_id, state, inputs, history, {seen.evidence_id: seen}, evidence=seen)
        case DeferEvidence(evidence=seen):
            return [] if seen.evidence_id in evidence_in(history) else [EvidenceDeferred(evidence=seen)]
        case Rescore(rescored=told):
            old = evidence_in(history).get(told.evidence_id)
            if old is None or old == rescored(old, told) or any(told == getattr(event.data, "rescored", None) for event in history):
                return []
            return _again(told.learner_id, state, inputs, history, {told.evidence_id: rescored(old, told)}, rescored=told)
        case Void(voided=told):
            void = evidence_in(history).get(told.evidence_id)
            if void is None:
                return []
            about = inputs.framework.current(void.competency_ids)
            return _again(told.learner_id, state, inputs, history, {told.evidence_id: None}, about, voided=told)
        case Recalibrate(learner_id=learner_id, settings=settings):
            after = refold(counting(evidence_in(history), history, inputs), state, inputs)
            hold(state, after, inputs, everything=True)
            if after == state:
                return []
            event = difference(learner_id, state, after, settings=settings)
            return [event, *level_changes(learner_id, state, after, inputs)]
        case GiveOverride() | EndOverride() | WaivePrerequisite() | WithdrawWaiver():
            return _said(command, state, inputs, history)
        case FollowRevision(learner_id=learner_id, settings=settings):
            moved = revised_judgements(learner_id, settings, state, inputs.framework, history)
            return [] if moved is None else _after(moved, state, inputs, history)
    assert_never(command)


def _told(seen: EvidenceRecorded, state: State, weighed: Weighed, inputs: Inputs) -> list[MasteryEvent]:
    """Return the events of evidence that came in order."""
    rows, names = weighed.rows, weighed.names
    others = () if len(rows) == len(names) else [name for name in rows if name not in names and name not in weighed.moves]
    events: list[MasteryEvent] = [
        made(
            Estimated, evidence=seen, expected_e6=micro(weighed.expected),
            general=made(Belief, mean_e6=weighed.general[0], variance_e6=weighed.general[1]),
            form=made(Belief, mean_e6=weighed.form[0], variance_e6=weighed.form[1]),
            competencies=tuple([_belief(name, rows[name]) for name in names]),
            due=tuple([Due(competency_id=name, due_minute=rows[name].due) for name in others]) if others else (),
        )
    ]  # fmt: skip
    for move in weighed.moves.values():
        kind = LevelHeld if state.override(move.name) else LevelChanged
        events.append(
            kind(
                learner_id=seen.learner_id, competency_id=move.name, level=move.level, before=move.before, due_minute=move.due,
                probability_e6=probability_e6(move.logit, inputs.policy_of(move.name)), evidence_ids=cited(seen.evidence_id, move),
            )
        )  # fmt: skip
    for name, needed, idle, days in weighed.persons:
        told = {"learner_id": seen.learner_id, "competency_id": name, "idle": idle, "idle_days": days, "evidence_id": seen.evidence_id}
        events.append(PersonNeeded(needed=needed, **told))  # type: ignore[arg-type]  # By name.
    return events


def _belief(name: str, row: Row) -> CompetencyBelief:
    return made(
        CompetencyBelief, competency_id=name, mean_e6=row.mean, variance_e6=row.variance, scored=row.scored, items=row.items, days=row.days,
        due_minute=row.due, idle=row.idle, idle_days=row.idle_days,
    )  # fmt: skip


def _again(
    learner_id: UUID,
    state: State,
    inputs: Inputs,
    history: History,
    news: Mapping[UUID, EvidenceRecorded | None],
    released: tuple[str, ...] = (),
    **cause: Any,
) -> list[MasteryEvent]:
    """Return what comes out otherwise once all evidence was weighed again with what is new of it; the first event carries the cause.

    Only the news may take mastery back. What other parameters than those that it was mastered under, or a prerequisite that is only held,
    would take back stays, as it does where nothing is new: whether the news or the parameters come first makes no difference.
    """
    counted = evidence_in(history)
    after = refold(counting({**counted, **news}, history, inputs), state, inputs)
    if loses(state, after, inputs):
        without = refold(counting(counted, history, inputs), state, inputs, keep=False)
        hold(state, without, inputs, everything=True)
        hold(without, after, inputs, everything=False, but=released)
    return [difference(learner_id, state, after, **cause), *level_changes(learner_id, state, after, inputs, tuple(news))]


def _said(command: Saying, state: State, inputs: Inputs, history: History) -> list[MasteryEvent] | Refusal:
    """Return what a person's word changes: the levels of the competency, and of those it stands before."""
    event = word_of(command, state, inputs)
    if event is None or isinstance(event, Refusal):
        return [] if event is None else event
    if any(known.data == event for known in history):
        return []
    return _after(event, state, inputs, history)


def _after(event: Word | JudgementsMoved, state: State, inputs: Inputs, history: History) -> list[MasteryEvent]:
    """Return the event, and what comes out otherwise once it has happened. All that the estimate called mastered stays so."""
    after = refold(counting(evidence_in(history), history, inputs), evolve(state, event), inputs)
    hold(state, after, inputs, everything=True)
    weighed = difference(event.learner_id, state, after)
    news: list[MasteryEvent] = [weighed] if says_something(weighed, state) else []
    return [event, *news, *level_changes(event.learner_id, state, after, inputs)]


def evolve(state: State, event: MasteryEvent) -> State:
    """Return the state after the event. Never refuses: it has already happened."""
    after = state.copy()
    match event:
        case Estimated():
            _take(event, after)
        case Reestimated():
            _take_again(event, after)
        case EvidenceDeferred(evidence=seen):
            move_watermark(seen, after)
        case JudgementsMoved():
            succeed(event, after)
        case LevelChanged(competency_id=name, override=override):
            if not override:
                _set_level(event, after)
        case LevelHeld():
            _set_level(event, after)
        case PersonNeeded(competency_id=name, needed=needed):
            if row := after.row(name):
                after.put(name, row._replace(flags=row.flags | STUCK if needed else row.flags & ~STUCK))
        case OverrideGiven():
            after.put_override(override_of(event))
        case OverrideEnded(competency_id=name):
            after.end_override(name)
        case PrerequisiteWaived(competency_id=name, prerequisite_id=before):
            after.waivers = tuple(sorted({*after.waivers, (name, before)}))
        case WaiverWithdrawn(competency_id=name, prerequisite_id=before):
            after.waivers = tuple(pair for pair in after.waivers if pair != (name, before))
        case _:
            assert_never(event)
    return after


def _take(event: Estimated, state: State) -> None:
    """Change the state as an estimate does."""
    seen, minute, mark = event.evidence, minute_of(event.evidence.occurred_at), item_mark(event.evidence.item_id)
    move_watermark(seen, state)
    state.general, state.form = (event.general.mean_e6, event.general.variance_e6), (event.form.mean_e6, event.form.variance_e6)
    bit, short = KIND_BITS[seen.kind], short_mark(mark)
    for belief in event.competencies:
        name, row = belief.competency_id, state.row(belief.competency_id)
        marks = with_mark(row, short) if row else (short, 0, 0)
        best = row.best if row and belief.idle else state.general[0] + belief.mean_e6
        told = (row.kinds | bit, row.level) if row else (bit, 0)
        state.put(
            name,
            Row(
                row.key if row else key_of(name), belief.mean_e6, belief.variance_e6, minute, best, *marks, belief.scored, belief.days,
                *told, belief.idle, belief.idle_days, row.flags if row else 0, belief.due_minute,
            ),
        )  # fmt: skip
    for due in event.due:
        if row := state.row(due.competency_id):
            state.put(due.competency_id, row._replace(due=due.due_minute))
    state.put_item(mark, minute, seen.score_e6 // 10_000)


def _take_again(event: Reestimated, state: State) -> None:
    """Change the state as weighing everything again does."""
    if event.evidence is not None:
        move_watermark(event.evidence, state)
    state.general, state.form = (event.general.mean_e6, event.general.variance_e6), (event.form.mean_e6, event.form.variance_e6)
    for name in event.gone:
        state.drop(name)
    for trace in event.competencies:
        state.put(trace.competency_id, row_of(trace, state.row(trace.competency_id)))
    if event.items is not None:
        state.put_items(Item(known.mark, known.last_minute, known.count, known.percent) for known in event.items)
    if event.held is not None:
        for name, row in list(state.every_row()):
            flags = row.flags | HELD if name in event.held else row.flags & ~HELD
            if flags != row.flags:
                state.put(name, row._replace(flags=flags))


def _set_level(event: LevelChanged | LevelHeld, state: State) -> None:
    if row := state.row(event.competency_id):
        held = row.flags if event.level in MET else row.flags & ~HELD
        state.put(event.competency_id, row.judged(CODES[event.level], event.due_minute, held))


def needs_history(command: MasteryCommand, state: State) -> bool:
    """Late or repeated evidence is weighed among all the rest, and so is everything where something else than new evidence counts."""
    if isinstance(command, (CountEvidence, DeferEvidence)):
        seen = command.evidence
        at = microseconds_of(seen.occurred_at)
        return at < state.last_us or (at == state.last_us and seen.evidence_id.int <= state.last_id)
    return not isinstance(command, FollowRevision) or bool(state.overrides or state.waivers)


mastery: Final = Decider("mastery.estimate", 6, "learner", State(), decide, evolve, command_of, CODEC, needs_history)
DECIDERS: Final = (mastery,)
