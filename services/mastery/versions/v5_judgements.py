"""What people say against the estimate: whether it is news, and where it goes on once a revision replaced what it was said of; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from services.mastery.versions.v2_commands import EndOverride, GiveOverride, WaivePrerequisite, WithdrawWaiver
from services.mastery.versions.v2_state import CODES, MAX_OVERRIDES, MAX_WAIVERS, Override, State, microseconds_of
from services.mastery.versions.v4_framework import Framework
from services.mastery.versions.v4_inputs import Inputs
from shared.contracts.mastery import (
    JudgementsMoved,
    MovedOverride,
    MovedWaiver,
    OverrideEnded,
    OverrideGiven,
    PrerequisiteWaived,
    WaivedPair,
    WaiverWithdrawn,
)
from shared.decider import History, Refusal

Saying = GiveOverride | EndOverride | WaivePrerequisite | WithdrawWaiver
Word = OverrideGiven | OverrideEnded | PrerequisiteWaived | WaiverWithdrawn
Pair = tuple[str, str]
SAID: Final = ("author_id", "role", "reason", "words", "at")
"""What goes on unchanged, whatever it is said of."""


def word_of(command: Saying, state: State, inputs: Inputs) -> Word | Refusal | None:
    """Return the event of a person's word, None where it changes nothing."""
    match command:
        case GiveOverride(given=given):
            if given.until <= given.at:
                return Refusal("until-past", "an override ends after it begins: give a later `until`")
            if not inputs.framework.competencies.keys() & {given.competency_id} and state.row(given.competency_id) is None:
                return Refusal("unknown-competency", "neither the framework in force nor any evidence names this competency: mend its id")
            if len(state.overrides) >= MAX_OVERRIDES and state.override(given.competency_id) is None:
                return Refusal("too-many-overrides", f"{MAX_OVERRIDES} levels of this learner are overridden: withdraw one first")
            return None if state.override(given.competency_id) == override_of(given) else given
        case EndOverride(ended=ended):
            known = state.override(ended.competency_id)
            if ended.author_id is None:  # Its time: nobody needs to hear that it was ended before.
                return ended if known is not None and known.until_us <= microseconds_of(ended.at) else None
            return ended if known else Refusal("no-override", "no person sets the level of this competency: there is nothing to withdraw")
        case WaivePrerequisite(waived=waived):
            if waived.prerequisite_id not in inputs.framework.prerequisites.get(waived.competency_id, ()):
                return Refusal("no-such-prerequisite", "the framework in force has no such prerequisite of this competency: mend the ids")
            if (waived.competency_id, waived.prerequisite_id) in state.waivers:
                return None
            if len(state.waivers) >= MAX_WAIVERS:
                return Refusal("too-many-waivers", f"{MAX_WAIVERS} prerequisites are waived for this learner: withdraw one first")
            return waived
        case WithdrawWaiver(withdrawn=withdrawn):
            known_waiver = (withdrawn.competency_id, withdrawn.prerequisite_id) in state.waivers
            return withdrawn if known_waiver else Refusal("no-waiver", "this prerequisite is not waived: there is nothing to withdraw")


def override_of(given: OverrideGiven | MovedOverride) -> Override:
    """Return what deciding needs of a level that a person set."""
    return Override(given.competency_id, CODES[given.level], microseconds_of(given.until))


def revised_judgements(learner_id: UUID, settings: int, state: State, framework: Framework, history: History) -> JudgementsMoved | None:
    """Return where people's words go on whose competencies were replaced; None where there are none.

    Of several words about what has become one competency, that which was said last counts. A waiver goes on for each pair of those in its
    pair's place that the framework puts before one another; where there is none, it stays as it is.
    """
    overrides, waivers = _standing(history)
    old = sorted(found.name for found in state.overrides if found.name in framework.replaced and found.name in overrides)
    new = _latest((found for name in old for found in _overrides(overrides[name], framework)), overrides)
    waived, pairs = set(state.waivers), list[MovedWaiver]()
    for pair in state.waivers:
        found = _waivers(waivers[pair], framework) if pair in waivers else []
        after = (waived - {pair}) | {(known.competency_id, known.prerequisite_id) for known in found}
        if found and len(after) <= MAX_WAIVERS:
            waived = after
            pairs += found
    if not old and not pairs:
        return None
    return JudgementsMoved(
        learner_id=learner_id, settings=settings, overrides=tuple(new[: MAX_OVERRIDES - len(state.overrides) + len(old)]),
        waivers=tuple(pairs), ended=tuple(old),
    )  # fmt: skip


def succeed(event: JudgementsMoved, state: State) -> None:
    """Change the state as the event does. For a copy that was not handed out yet."""
    for name in event.ended:
        state.end_override(name)
    for override in event.overrides:
        state.put_override(override_of(override))
    ended = {(moved.before.competency_id, moved.before.prerequisite_id) for moved in event.waivers}
    added = {(moved.competency_id, moved.prerequisite_id) for moved in event.waivers}
    state.waivers = tuple(sorted(set(state.waivers) - ended | added))


def _standing(history: History) -> tuple[dict[str, OverrideGiven | MovedOverride], dict[Pair, PrerequisiteWaived | MovedWaiver]]:
    """Return what people said last of each competency and of each pair, whether or not it is still in force."""
    overrides: dict[str, OverrideGiven | MovedOverride] = {}
    waivers: dict[Pair, PrerequisiteWaived | MovedWaiver] = {}
    for event in history:
        match event.data:
            case OverrideGiven() as given:
                overrides[given.competency_id] = given
            case PrerequisiteWaived() as waived:
                waivers[waived.competency_id, waived.prerequisite_id] = waived
            case OverrideEnded(competency_id=name):
                overrides.pop(name, None)
            case JudgementsMoved() as told:
                for name in told.ended:
                    overrides.pop(name, None)
                overrides.update({known.competency_id: known for known in told.overrides})
                waivers.update({(known.competency_id, known.prerequisite_id): known for known in told.waivers})
            case _:
                pass
    return overrides, waivers


def _overrides(said: OverrideGiven | MovedOverride, framework: Framework) -> list[MovedOverride]:
    """Return a level that a person set, under each competency in the place of the one it was set for."""
    same = {name: getattr(said, name) for name in (*SAID, "level", "until")}
    return [MovedOverride(competency_id=now, before_id=said.competency_id, **same) for now in framework.replaced[said.competency_id]]


def _latest(found: Iterable[MovedOverride], known: dict[str, OverrideGiven | MovedOverride]) -> list[MovedOverride]:
    """Return for each competency the level that was set last, those left out whose own was set later, in the order of their ids."""
    last: dict[str, MovedOverride] = {}
    for moved_here in found:
        name = moved_here.competency_id
        other = last.get(name) or known.get(name)
        if other is None or other.at < moved_here.at:
            last[name] = moved_here
    return [last[name] for name in sorted(last)]


def _waivers(said: PrerequisiteWaived | MovedWaiver, framework: Framework) -> list[MovedWaiver]:
    """Return a waiver for the pairs in the place of its own; nothing where neither end was replaced."""
    name, before = said.competency_id, said.prerequisite_id
    if framework.replaced.keys().isdisjoint((name, before)):
        return []
    same = {name: getattr(said, name) for name in SAID}
    own = WaivedPair(competency_id=name, prerequisite_id=before)
    return [
        MovedWaiver(competency_id=now, prerequisite_id=first, before=own, **same)
        for now in framework.current((name,)) for first in framework.current((before,))
        if first in framework.prerequisites.get(now, ())
    ]  # fmt: skip
