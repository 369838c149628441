"""The rules of a learner's path: what is noted of her, what she sets and chooses, and the path and demand that follow.

Every answer begins with the fact. Once framework, catalogue and enrolment are there, each fact that changes something plans anew, from all
facts together and from nothing of the path before: so the order in which they came does not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never
from uuid import UUID

from services.pathing.catalogue import CATALOGUE, FRAMEWORK, Curriculum, Framework, curriculum
from services.pathing.domain.commands import (
    Choose,
    NoteEnrolment,
    NoteLevel,
    NotePreferences,
    NoteWaivers,
    PathingCommand,
    Replan,
    SetGoals,
    command_of,
)
from services.pathing.domain.state import (
    MAX_LEVELS,
    STATE_CODEC,
    Fact,
    PathingEvent,
    State,
    day_of,
    evolve,
    level_in,
    levels_of,
    preferences_after,
    print_of,
    since_of,
    version_in,
    waived_of,
    waivers_after,
)
from services.pathing.options import taste_of
from services.pathing.planner import Chosen, Learner, Plan, plan
from shared.contracts.envelope import Event
from shared.contracts.mastery import Level
from shared.contracts.pathing import (
    ActivityChosen,
    DemandChanged,
    EnrolmentNoted,
    GoalsSet,
    LevelNoted,
    Pace,
    PathPlanned,
    PreferencesNoted,
    ReplanAsked,
    WaiversNoted,
)
from shared.decider import Decider, History, Refusal
from shared.parameters import Parameters

_NAMED: Final = 5
"""Ids that a refusal lists."""


def decide(command: PathingCommand, state: State, parameters: Parameters, history: History = ()) -> Sequence[Event] | Refusal:
    """Return the fact, the path where it changes, and the demand where it changes; nothing for what is known already."""
    news = _is_news(command, state, parameters)
    if isinstance(news, Refusal):
        return news
    if not news:
        return []
    fact = _followed(command.fact, state, parameters.get(FRAMEWORK))
    planned = _replanned(fact.learner_id, evolve(state, fact), parameters)
    if isinstance(command, Replan) and not planned:
        return []
    return [fact, *planned]


def learner_of(state: State, framework: Framework) -> Learner | None:
    """Return what is planned from; None before an enrolment, or after it ended."""
    if state.school_id is None or state.on is None or not state.active:
        return None
    return Learner(
        state.grade, state.on, levels_of(state, framework), taste_of(state.preferences), state.goals, state.choices, waived_of(state),
        since_of(state),
    )  # fmt: skip


def curriculum_of(parameters: Parameters) -> Curriculum | None:
    """Return what paths are made of; None until both framework and catalogue are in force."""
    framework, catalogue = parameters.get(FRAMEWORK), parameters.get(CATALOGUE)
    return None if framework is None or catalogue is None else curriculum(framework, catalogue)


def _followed(fact: Fact, state: State, framework: Framework | None) -> Fact:
    """Return the fact, and what it means for what a revision replaced.

    What is not known any more since then is known of what stands in its place. Mastery tells that level by level, one after the other:
    until it has told of those, the level before counts for them. A step chosen before it is done once all that stands in its place is.
    """
    if not isinstance(fact, LevelNoted) or framework is None:
        return fact
    if fact.level is Level.UNKNOWN and fact.competency_id in framework.now:
        return fact.model_copy(update={"moved": True})
    if fact.level is Level.MASTERED:
        after = framework.levels_by_place(levels_of(evolve(state, fact), framework))
        mine = set(framework.places_of(fact.competency_id))
        finished = [id for id in state.choices if (now := framework.now.get(id)) and mine.intersection(now) and _are_met(now, after)]
        return fact.model_copy(update={"finished": tuple(sorted(finished))}) if finished else fact
    return fact


def _are_met(places: Iterable[int], levels: Mapping[int, Level]) -> bool:
    return all(levels.get(place) in (Level.MASTERED, Level.REVERIFY) for place in places)


def _is_news(command: PathingCommand, state: State, parameters: Parameters) -> bool | Refusal:
    """Return whether a command tells or asks something new, or why it cannot be taken."""
    match command.fact:
        case EnrolmentNoted() as told:
            known = (state.school_id, state.grade, state.active)
            return told.version >= state.enrolment_version and (told.school_id, told.grade, told.active) != known
        case LevelNoted() as told:
            return _is_new_level(told, state)
        case WaiversNoted() as told:
            return waivers_after(state, told) != state.waivers
        case PreferencesNoted() as told:
            return _is_new_preference(told, state)
        case GoalsSet() as told:
            return _are_new_goals(told, state, parameters.get(FRAMEWORK))
        case ActivityChosen() as told:
            return _is_new_choice(told, state, parameters)
        case ReplanAsked():
            return True
        case _:
            assert_never(command.fact)


def _is_new_level(told: LevelNoted, state: State) -> bool | Refusal:
    packed = state.levels.get(told.competency_id)
    if packed is None:
        if len(state.levels) >= MAX_LEVELS:
            return Refusal("too-many-levels", f"levels of more than {MAX_LEVELS} competencies are not kept for one learner")
        return True
    return told.version >= version_in(packed) and told.level is not level_in(packed)


def _is_new_preference(told: PreferencesNoted, state: State) -> bool:
    known = next((each for each in state.preferences if each.author_id == told.author_id), None)
    if known is not None:
        return told.stated_at >= known.stated_at and told != known
    return told in preferences_after(state, told)


def _are_new_goals(told: GoalsSet, state: State, framework: Framework | None) -> bool | Refusal:
    if told.goals == state.goals and state.goals_at is not None:
        return False
    if state.goals_at is not None and told.set_at < state.goals_at:
        return Refusal("stale", "other goals were set since: look at them and send again")
    ids = [goal.competency_id for goal in told.goals]
    if len(set(ids)) < len(ids):
        return Refusal("duplicate-goal", "a competency is a goal twice: send it once")
    if framework is None:
        return True
    unknown = [id for id in ids if id not in framework.index]
    if unknown:
        return Refusal("unknown-competency", f"not in the framework: {', '.join(unknown[:_NAMED])}")
    replaced = [id for id in ids if id in framework.now]
    if replaced:
        instead = dict.fromkeys(framework.entries[place].id for id in replaced[:_NAMED] for place in framework.now[id])
        return Refusal("replaced", f"a revision has replaced {', '.join(replaced[:_NAMED])}: set {', '.join(instead)}")
    headings = [id for id in ids if not framework.entries[framework.index[id]].assessable]
    if headings:
        return Refusal("not-assessable", f"headings cannot be mastered, choose competencies beneath them: {', '.join(headings[:_NAMED])}")
    return True


def _is_new_choice(told: ActivityChosen, state: State, parameters: Parameters) -> bool | Refusal:
    last = next(reversed(state.choices.items()), None)
    if last == (told.competency_id, Chosen(told.activity_id, day_of(told))):
        return False
    if state.chosen_at is not None and told.chosen_at < state.chosen_at:
        return Refusal("stale", "another choice was made since: look at the path and choose again")
    made_of = curriculum_of(parameters)
    learner = None if made_of is None else learner_of(state, made_of.framework)
    if made_of is None or learner is None:
        return Refusal("no-path", "the learner has no path yet: it needs a framework, a catalogue of activities and an enrolment")
    offered = {step.competency_id: step.options for step in plan(made_of, learner).steps}
    if told.competency_id not in offered:
        return Refusal("not-on-path", "this competency is not a step of the learner's path: choose for one that is")
    ids = [option.activity_id for option in offered[told.competency_id]]
    if told.activity_id not in ids:
        return Refusal("not-offered", f"this step does not offer that activity: choose one of {', '.join(ids)}")
    return True


def _replanned(learner_id: UUID, state: State, parameters: Parameters) -> list[Event]:
    """Return the path and the demand where they are others than those in force."""
    made_of = curriculum_of(parameters)
    if made_of is None or state.school_id is None:
        return []
    learner = learner_of(state, made_of.framework)
    if learner is None and not state.path:
        return []
    found = Plan() if learner is None else plan(made_of, learner)
    path = PathPlanned(
        learner_id=learner_id, school_id=state.school_id, steps=found.steps, pace=found.pace, minutes_needed=found.minutes_needed,
        due=found.due, due_subject=found.due_subject, due_minutes=found.due_minutes,
    )  # fmt: skip
    demand = DemandChanged(
        learner_id=learner_id,
        school_id=state.school_id,
        version=state.demand_version + 1,
        needs=found.needs,
        check_in=found.pace is Pace.AT_RISK,
        path_empty=learner is not None and not found.steps,
    )
    events: list[Event] = [] if print_of(path) == state.path else [path]
    if print_of(demand) == state.demand:
        return events
    if state.demand_school in (None, state.school_id):
        return [*events, demand]
    gone = DemandChanged(learner_id=learner_id, school_id=state.demand_school, version=demand.version)
    return [*events, gone, demand.model_copy(update={"version": demand.version + 1})]


pathing: Final = Decider("pathing.plan", 5, "learner", State(), decide, evolve, command_of, STATE_CODEC)
DECIDERS: Final = (pathing,)

__all__ = [
    "DECIDERS",
    "Choose",
    "NoteEnrolment",
    "NoteLevel",
    "NotePreferences",
    "NoteWaivers",
    "PathingCommand",
    "PathingEvent",
    "Replan",
    "SetGoals",
    "State",
    "curriculum_of",
    "learner_of",
    "pathing",
    "since_of",
    "waived_of",
]
