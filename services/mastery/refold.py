"""Weighing all of a learner's evidence again, in the order of time; what comes out otherwise, and what stays mastered; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.mastery.inputs import Inputs
from services.mastery.rule import probability_e6
from services.mastery.state import (
    CODES,
    HELD,
    KIND_BITS,
    LEVELS,
    MICROSECONDS_PER_MINUTE,
    STUCK,
    Override,
    Row,
    State,
    key_of,
)
from services.mastery.weigh import MET_CODES, apply, score_at, weigh
from shared.contracts.evidence import EvidenceRecorded, EvidenceRescored, EvidenceVoided
from shared.contracts.mastery import (
    Belief,
    CompetencyTrace,
    Estimated,
    EvidenceDeferred,
    ItemTrace,
    Level,
    LevelChanged,
    LevelHeld,
    PersonNeeded,
    Reestimated,
)
from shared.decider import History

EVERY: Final = 32
"""Pieces of evidence between two states that are kept of a folding."""
MAX_FOLDED: Final = 10_000
"""Pieces of evidence of all foldings that are kept, the latest ones: some 20 MB, and the parameters that they were weighed under."""


@dataclass(slots=True)
class Folding:
    """How a learner's evidence was weighed last: late evidence is seldom alone, and what lies before it is weighed as it was then."""

    inputs: Inputs
    overrides: tuple[Override, ...]
    waivers: tuple[tuple[str, str], ...]
    evidence: list[EvidenceRecorded]
    """In the order of time."""
    states: list[State]
    """After none of it, after EVERY pieces, after twice as many, ..., as they were before anything else: for copies."""


_FOLDED: dict[UUID, Folding] = {}


def evidence_in(history: History) -> dict[UUID, EvidenceRecorded | None]:
    """Return all evidence that was counted or deferred, with the score that it has by now; None for what was voided."""
    counted: dict[UUID, EvidenceRecorded | None] = {}
    for event in history:
        match event.data:
            case Estimated(evidence=seen) | EvidenceDeferred(evidence=seen) | Reestimated(evidence=EvidenceRecorded() as seen):
                counted[seen.evidence_id] = seen
            case Reestimated(rescored=EvidenceRescored() as told):
                counted[told.evidence_id] = rescored(counted.get(told.evidence_id), told)
            case Reestimated(voided=EvidenceVoided() as told):
                counted[told.evidence_id] = None
            case _:
                pass
    return counted


def counting(found: Mapping[UUID, EvidenceRecorded | None], history: History, inputs: Inputs) -> list[EvidenceRecorded]:
    """Return the evidence among this that counts: not what is void, nor what was deferred and still names no competency in force."""
    known = inputs.framework.competencies.keys()
    deferred = [event.data.evidence for event in history if isinstance(event.data, EvidenceDeferred)]
    waiting = {seen.evidence_id for seen in deferred if known.isdisjoint(seen.competency_ids)}
    return [seen for seen in found.values() if seen is not None and seen.evidence_id not in waiting]


def rescored(seen: EvidenceRecorded | None, told: EvidenceRescored) -> EvidenceRecorded | None:
    """Return evidence with its corrected score, and the time at which it happened where that is told anew."""
    if seen is None:
        return None
    return seen.model_copy(update={"score_e6": told.score_e6, "occurred_at": told.occurred_at or seen.occurred_at})


def refold(evidence: Iterable[EvidenceRecorded | None], before: State, inputs: Inputs, keep: bool = True) -> State:
    """Return the state as if this evidence had arrived in the order of (time, id), under what people set; the watermark stays `before`'s
    where that is later.

    Args:
        keep: whether the next one is likely to begin with this evidence.
    """
    known = [seen for seen in evidence if seen is not None]
    known.sort(key=lambda each: (each.occurred_at, each.evidence_id.int))
    states = _known_states(known, before, inputs)
    place = EVERY * (len(states) - 1)
    state = states[-1].copy()
    for seen in known[place:]:
        apply(seen, weigh(seen, state, inputs), state)
        place += 1
        if place % EVERY == 0:
            states.append(state.copy())
    if keep and len(known) > EVERY:
        _keep(Folding(inputs, before.overrides, before.waivers, known, states))
    if (before.last_us, before.last_id) > (state.last_us, state.last_id):
        state.last_us, state.last_id = before.last_us, before.last_id
    return state


def _known_states(evidence: Sequence[EvidenceRecorded], before: State, inputs: Inputs) -> list[State]:
    """Return the states that lead up to this evidence, as far as it was weighed so, in the same order and under the same, the last time."""
    folding = _FOLDED.get(evidence[0].learner_id) if evidence else None
    if folding is None or folding.inputs is not inputs or (folding.overrides, folding.waivers) != (before.overrides, before.waivers):
        return [State(overrides=before.overrides, waivers=before.waivers)]
    same = 0
    for seen, was in zip(evidence, folding.evidence, strict=False):
        if seen is not was and seen != was:
            break
        same += 1
    return folding.states[: same // EVERY + 1]


def _keep(folding: Folding) -> None:
    """Keep a folding in place of the learner's last one, and let go of the oldest ones where they are too many."""
    learner_id = folding.evidence[0].learner_id
    _FOLDED.pop(learner_id, None)
    _FOLDED[learner_id] = folding
    count = sum([len(kept.evidence) for kept in _FOLDED.values()])
    while count > MAX_FOLDED and len(_FOLDED) > 1:
        count -= len(_FOLDED.pop(next(iter(_FOLDED))).evidence)


def hold(before: State, after: State, inputs: Inputs, everything: bool, but: Collection[str] = ()) -> None:
    """Let stay mastered in `after` what was held before, or, where `everything` is, all that was mastered: nothing but work that fails to
    confirm it, or evidence that is void, takes mastery back. Where its probability is too low for that, it is due to be shown again.

    Args:
        but: competencies whose evidence is void; they are held no more.
    """
    minute = max(0, after.last_us // MICROSECONDS_PER_MINUTE)
    for was, name, row in _lost(before, after, inputs):
        if name not in but and (everything or was.flags & HELD):
            policy = inputs.policy_of(name)
            _, score = score_at(name, after.general, row, minute, inputs)
            keeps = LEVELS[was.level] is Level.MASTERED and score >= policy.verify_z
            easiness = inputs.calibration.reference_of(name)
            due = inputs.due_minute(after.general, row, easiness, policy) if keeps else 0
            level = Level.MASTERED if keeps else Level.REVERIFY
            after.put(name, row._replace(level=CODES[level], due=due, flags=row.flags & ~STUCK | HELD))


def loses(before: State, after: State, inputs: Inputs) -> bool:
    """Return whether anything that was mastered is so no more."""
    return any(True for _ in _lost(before, after, inputs))


def _lost(before: State, after: State, inputs: Inputs) -> Iterator[tuple[Row, str, Row]]:
    """Yield what was mastered and is so no more: as it was, its id today and as it is."""
    for name, row in before.every_row():
        if row.level in MET_CODES:
            for now in inputs.framework.current((name,)):
                found = after.row(now)
                if found is not None and found.level not in MET_CODES:
                    yield row, now, found


def difference(learner_id: UUID, before: State, after: State, **cause: Any) -> Reestimated:
    """Return the event that leads from one state to the other, levels, watermark and what people set apart. `cause` is what led to it."""
    old, new = dict(before.every_row()), dict(after.every_row())
    changed = [_trace(name, row) for name, row in new.items() if name not in old or _estimate(old[name]) != _estimate(row)]
    was_held, held = _held(old), _held(new)
    return Reestimated(
        learner_id=learner_id, **cause,
        general=Belief(mean_e6=after.general[0], variance_e6=after.general[1]),
        form=Belief(mean_e6=after.form[0], variance_e6=after.form[1]),
        competencies=tuple(changed), items=None if after.items == before.items else _items(after),
        gone=tuple(name for name in old if name not in new), held=None if was_held == held else held,
    )  # fmt: skip


def says_something(event: Reestimated, before: State) -> bool:
    """Return whether anything comes out otherwise, causes apart."""
    general, form = (event.general.mean_e6, event.general.variance_e6), (event.form.mean_e6, event.form.variance_e6)
    moved = general != before.general or form != before.form
    return bool(moved or event.competencies or event.gone or event.items is not None or event.held is not None)


def _estimate(row: Row) -> Row:
    return row._replace(level=0, flags=0)


def _held(rows: dict[str, Row]) -> tuple[str, ...]:
    return tuple(sorted(name for name, row in rows.items() if row.flags & HELD))


def _trace(name: str, row: Row) -> CompetencyTrace:
    return CompetencyTrace(
        competency_id=name, mean_e6=row.mean, variance_e6=row.variance, scored=row.scored, items=row.items, days=row.days,
        due_minute=row.due, idle=row.idle, idle_days=row.idle_days, last_minute=row.minute, item_marks=row.marks, best_e6=row.best,
        kinds=tuple(kind for kind, bit in KIND_BITS.items() if row.kinds & bit),
    )  # fmt: skip


def row_of(trace: CompetencyTrace, before: Row | None) -> Row:
    """Return what a trace remembers, with the level that was told before."""
    first, second, third = (*trace.item_marks, 0, 0, 0)[:3]
    return Row(
        key_of(trace.competency_id), trace.mean_e6, trace.variance_e6, trace.last_minute, trace.best_e6, first, second, third,
        trace.scored, trace.days, sum(KIND_BITS[kind] for kind in trace.kinds), before.level if before else 0, trace.idle,
        trace.idle_days, before.flags if before else 0, trace.due_minute,
    )  # fmt: skip


def _items(state: State) -> tuple[ItemTrace, ...]:
    return tuple(ItemTrace(mark=item.mark, last_minute=item.minute, count=item.times, percent=item.percent) for item in state.every_item())


def level_changes(
    learner_id: UUID, before: State, after: State, inputs: Inputs, evidence_ids: tuple[UUID, ...] = ()
) -> Iterator[LevelChanged | LevelHeld | PersonNeeded]:
    """Yield the changes of level between two states, with the probability at the latest evidence, and whether a person is needed."""
    minute = max(0, after.last_us // MICROSECONDS_PER_MINUTE)
    old, new = dict(before.every_row()), dict(after.every_row())
    names = {**new, **old, **{found.name: None for found in (*before.overrides, *after.overrides)}}
    for name in sorted(names):
        row, was = new.get(name), before.told_level(name)
        own, now, override = after.own_level(name), after.told_level(name), after.override(name)
        moved = own is not before.own_level(name)
        if moved or now is not was:
            logit, _ = score_at(name, after.general, row or _unseen(name, minute, inputs), minute, inputs)
            common: dict[str, Any] = {
                "learner_id": learner_id, "competency_id": name, "evidence_ids": evidence_ids, "due_minute": row.due if row else 0,
                "probability_e6": probability_e6(logit, inputs.policy_of(name)),
            }  # fmt: skip
            if moved and (override is not None or now is was):
                yield LevelHeld(**common, level=own, before=before.own_level(name))
            if now is not was:
                yield LevelChanged(**common, level=now, before=was, override=override is not None)
        stuck, needed = bool(name in old and old[name].flags & STUCK), bool(row and row.flags & STUCK)
        if stuck != needed:
            idle, days = (row.idle, row.idle_days) if row else (0, 0)
            cited = evidence_ids[0] if evidence_ids else None
            yield PersonNeeded(learner_id=learner_id, competency_id=name, needed=needed, idle=idle, idle_days=days, evidence_id=cited)


def _unseen(name: str, minute: int, inputs: Inputs) -> Row:
    variance = round(inputs.calibration.numbers.competency_variance * 1_000_000)
    return Row(key_of(name), 0, variance, minute, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
