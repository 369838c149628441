"""The rules of a path: facts in any order, one path; choices, goals and schools; and the four properties of every decider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.pathing.app import PARTS
from services.pathing.catalogue import CATALOGUE, CONFERENCE, FRAMEWORK
from services.pathing.domain import (
    Choose,
    NoteEnrolment,
    NoteLevel,
    NotePreferences,
    NoteWaivers,
    PathingCommand,
    Replan,
    SetGoals,
    pathing,
    since_of,
)
from services.pathing.domain.state import MAX_AUTHORS, MAX_CHOICES, MAX_WAIVERS, State, print_of, version_in, waived_of
from services.profile import domain as profile
from shared.contracts.mastery import Level, WaivedPair
from shared.contracts.pathing import (
    ActivityChosen,
    DemandChanged,
    EnrolmentNoted,
    Goal,
    GoalsSet,
    LevelNoted,
    Pace,
    PathPlanned,
    PreferencesNoted,
    Reason,
    ReplanAsked,
    WaiversNoted,
)
from shared.contracts.profile import Area, Modality, Role
from shared.decider import Refusal
from shared.parameters import NO_PARAMETERS, Parameters
from shared.testing import SOME_TIME, Spec, answer, check_decider, in_force
from tests.pathing.district import TODAY, activity, competency, made_catalogue, made_framework

LEARNER, SCHOOL, OTHER_SCHOOL, AUTHOR = (UUID(int=n) for n in range(1, 5))
FRAMEWORK_ENTRIES = [
    competency("A", grade="04"), competency("B", "A"), competency("C", "B"), competency("H", assessable=False),
    competency("S", subject="science"), competency("T", "S", "B", subject="science"),
]  # fmt: skip
CATALOGUE_ENTRIES = [
    activity(f"{id}-{modality.value}", id, modality, levels=("developing",) if modality is Modality.PROJECT else ())
    for id in "ABCST"
    for modality in (Modality.VIDEO, Modality.READING, Modality.PROJECT, Modality.PRACTICE)
]
IN_FORCE = in_force((FRAMEWORK, FRAMEWORK_ENTRIES), (CATALOGUE, CATALOGUE_ENTRIES))
SPEC = Spec(pathing, IN_FORCE)


def enrolled(school: UUID = SCHOOL, grade: str = "05", active: bool = True, version: int = 1, on: date = TODAY) -> NoteEnrolment:
    return NoteEnrolment(EnrolmentNoted(learner_id=LEARNER, school_id=school, grade=grade, active=active, on=on, version=version))


def level(id: str, level: Level = Level.MASTERED, version: int = 1, on: date = TODAY) -> NoteLevel:
    return NoteLevel(LevelNoted(learner_id=LEARNER, competency_id=id, level=level, on=on, version=version))


def waived(*pairs: str, ended: Sequence[str] = (), version: int = 1) -> NoteWaivers:
    """Pairs as texts: a competency, and its prerequisite."""

    def of(texts: Sequence[str]) -> tuple[WaivedPair, ...]:
        return tuple(WaivedPair(competency_id=text.split()[0], prerequisite_id=text.split()[1]) for text in texts)

    return NoteWaivers(WaiversNoted(learner_id=LEARNER, waived=of(pairs), ended=of(ended), on=TODAY, version=version))


def liked(*modalities: Modality, author: UUID = AUTHOR, minute: int = 0, role: Role = Role.LEARNER) -> NotePreferences:
    at = SOME_TIME + timedelta(minutes=minute)
    return NotePreferences(PreferencesNoted(learner_id=LEARNER, author_id=author, role=role, stated_at=at, modalities=modalities))


def goals(*ids: str, due: date | None = None, minute: int = 0, on: date | None = None) -> SetGoals:
    at = SOME_TIME + timedelta(minutes=minute)
    wanted = tuple(Goal(competency_id=id, due=due) for id in ids)
    return SetGoals(GoalsSet(learner_id=LEARNER, author_id=AUTHOR, role=Role.TEACHER, set_at=at, goals=wanted, on=on))


def choose(id: str, activity_id: str, minute: int = 0, on: date | None = None) -> Choose:
    at = SOME_TIME + timedelta(minutes=minute)
    return Choose(ActivityChosen(learner_id=LEARNER, competency_id=id, activity_id=activity_id, chosen_at=at, on=on))


def replan(on: date = TODAY, version: int = 1) -> Replan:
    return Replan(ReplanAsked(learner_id=LEARNER, settings=version, on=on))


def path_in(events: Sequence[Any]) -> PathPlanned:
    return next(event for event in reversed(events) if isinstance(event, PathPlanned))


def demand_in(events: Sequence[Any]) -> DemandChanged:
    return next(event for event in reversed(events) if isinstance(event, DemandChanged))


def ids(path: PathPlanned | DemandChanged) -> list[str]:
    return [step.competency_id for step in (path.steps if isinstance(path, PathPlanned) else path.needs)]


def test_an_enrolment_is_answered_with_a_path_and_a_demand() -> None:
    events = SPEC.when(enrolled()).events
    assert [type(event) for event in events] == [EnrolmentNoted, PathPlanned, DemandChanged]
    path, demand = path_in(events), demand_in(events)
    assert [(step.competency_id, step.reason) for step in path.steps] == [
        ("A", Reason.GAP), ("S", Reason.GOAL), ("B", Reason.GOAL), ("T", Reason.GOAL), ("C", Reason.GOAL),
    ]  # fmt: skip
    assert (path.school_id, demand.school_id, demand.version, demand.check_in) == (SCHOOL, SCHOOL, 1, False)
    assert [(step.subject, step.competency_id, step.waits) for step in demand.needs] == [
        ("mathematics", "A", False), ("mathematics", "B", True), ("science", "S", False),
    ]  # fmt: skip
    assert not any(step.waits for step in path.steps)


def test_a_level_moves_path_and_demand() -> None:
    events = SPEC.asked(enrolled()).when(level("A")).events
    assert [type(event) for event in events] == [LevelNoted, PathPlanned, DemandChanged]
    assert ids(path_in(events)) == ["B", "S", "C", "T"]
    assert demand_in(events).version == 2


def test_a_level_that_changes_nothing_of_the_path_is_noted_alone() -> None:
    SPEC.asked(enrolled(), level("A")).when(level("A", Level.REVERIFY, 2)).then_types(LevelNoted, PathPlanned, DemandChanged)
    SPEC.asked(enrolled()).when(level("elsewhere")).then_types(LevelNoted)


def test_a_level_can_change_what_a_step_offers_first() -> None:
    events = SPEC.asked(enrolled()).when(level("A", Level.DEVELOPING)).events
    assert path_in(events).steps[0].options[0].activity_id == "A-project"


def test_a_repeated_or_overtaken_level_is_no_news() -> None:
    spec = SPEC.asked(enrolled(), level("A", Level.DEVELOPING, 1), level("A", Level.MASTERED, 2))
    spec.when(level("A", Level.DEVELOPING, 1)).then_nothing()
    spec.when(level("A", Level.MASTERED, 2)).then_nothing()


def test_a_lapse_brings_the_step_back() -> None:
    spec = SPEC.asked(enrolled(), level("A"), level("B", version=2))
    spec.when(level("A", Level.DEVELOPING, 3)).then_types(LevelNoted)  # Nothing she still needs rests on it.
    assert ids(path_in(spec.when(level("B", Level.NEARLY, 3)).events)) == ["B", "S", "C", "T"]


def test_a_preference_changes_what_is_offered_first() -> None:
    events = SPEC.asked(enrolled()).when(liked(Modality.VIDEO)).events
    assert {step.options[0].modality for step in path_in(events).steps} == {Modality.VIDEO}


def test_goals_take_the_place_of_those_of_the_grade_and_none_bring_them_back() -> None:
    spec = SPEC.asked(enrolled())
    events = spec.when(goals("C", due=TODAY + timedelta(days=1))).events
    assert [(step.competency_id, step.reason, step.goal_id) for step in path_in(events).steps] == [
        ("A", Reason.GAP, "C"), ("B", Reason.PREREQUISITE, "C"), ("C", Reason.GOAL, "C"),
    ]  # fmt: skip
    assert (path_in(events).pace, demand_in(events).check_in) == (Pace.AT_RISK, True)
    assert path_in(spec.asked(goals("C")).when(goals(minute=1)).events) == path_in(spec.past)


@pytest.mark.parametrize(
    ("command", "code"), [(goals("A", "A"), "duplicate-goal"), (goals("X"), "unknown-competency"), (goals("H"), "not-assessable")]
)
def test_goals_that_cannot_be_are_refused(command: SetGoals, code: str) -> None:
    SPEC.asked(enrolled()).when(command).then_refused(code)


def test_goals_set_before_others_are_refused() -> None:
    SPEC.asked(enrolled(), goals("B", minute=5)).when(goals("C", minute=4)).then_refused("stale")
    SPEC.asked(enrolled(), goals("B", minute=5)).when(goals("B", minute=9)).then_nothing()


def test_goals_set_before_there_is_a_framework_count_once_it_is_there() -> None:
    without = Spec(pathing, NO_PARAMETERS).asked(enrolled(), goals("B", "X"))
    assert ids(path_in(Spec(pathing, IN_FORCE, without.past).when(replan()).events)) == ["A", "B"]


def test_a_choice_stands_first_and_holds_until_the_step_is_done() -> None:
    spec = SPEC.asked(enrolled()).when(choose("B", "B-video"))
    step = path_in(spec.events).steps[2]
    assert (step.competency_id, step.chosen, step.options[0].activity_id) == ("B", "B-video", "B-video")
    held = spec.asked(enrolled(), choose("B", "B-video"), liked(Modality.READING), level("B", Level.NEARLY))
    assert path_in(held.past).steps[2].options[0].activity_id == "B-video"
    done = held.asked(level("B", Level.MASTERED, 2), level("B", Level.DEVELOPING, 3))
    assert [step.chosen for step in path_in(done.past).steps] == [""] * 5


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (choose("B", "A-video"), "not-offered"), (choose("B", CONFERENCE), "not-offered"), (choose("H", "x"), "not-on-path"),
        (choose("X", "x"), "not-on-path"),
    ],
)  # fmt: skip
def test_a_choice_that_is_not_offered_is_refused(command: Choose, code: str) -> None:
    SPEC.asked(enrolled()).when(command).then_refused(code)


def test_a_choice_for_a_learner_without_path_is_refused() -> None:
    SPEC.when(choose("B", "B-video")).then_refused("no-path")
    SPEC.asked(enrolled(), enrolled(active=False, version=2)).when(choose("B", "B-video")).then_refused("no-path")
    Spec(pathing, NO_PARAMETERS).asked(enrolled()).when(choose("B", "B-video")).then_refused("no-path")


def test_an_overtaken_choice_is_refused_and_the_same_again_is_nothing() -> None:
    spec = SPEC.asked(enrolled(), choose("B", "B-video", minute=5))
    spec.when(choose("A", "A-video", minute=4)).then_refused("stale")
    spec.when(choose("B", "B-video", minute=5)).then_nothing()
    spec.when(choose("B", "B-video", minute=9)).then_nothing()


def test_nothing_is_planned_until_everything_is_there() -> None:
    Spec(pathing, NO_PARAMETERS).when(enrolled()).then_types(EnrolmentNoted)
    Spec(pathing, in_force((FRAMEWORK, FRAMEWORK_ENTRIES))).when(enrolled()).then_types(EnrolmentNoted)
    SPEC.when(level("A")).then_types(LevelNoted)
    SPEC.asked(level("A")).when(replan()).then_nothing()


def test_a_replan_that_changes_nothing_leaves_no_trace() -> None:
    SPEC.asked(enrolled()).when(replan(TODAY + timedelta(days=1))).then_nothing()


def test_time_puts_a_learner_at_risk_and_opens_a_check_in() -> None:
    spec = SPEC.asked(enrolled(), goals("C", due=TODAY + timedelta(days=8)))
    assert path_in(spec.past).pace is Pace.ON_TRACK
    events = spec.when(replan(TODAY + timedelta(days=6))).events
    assert [type(event) for event in events] == [ReplanAsked, PathPlanned, DemandChanged]
    assert (path_in(events).pace, demand_in(events).check_in, ids(demand_in(events))) == (Pace.AT_RISK, True, ["A", "B"])


def test_a_date_that_passes_keeps_the_check_in_until_the_work_is_done_or_has_another_date() -> None:
    """At risk on the day itself, she is not ahead on the next: the same path and demand, so nothing is told again."""
    spec = SPEC.asked(enrolled(), goals("C", due=TODAY + timedelta(days=1)))
    assert (path_in(spec.past).pace, demand_in(spec.past).check_in) == (Pace.AT_RISK, True)
    for days in (1, 2, 30):
        spec.when(replan(TODAY + timedelta(days=days))).then_nothing()
    after = spec.asked(level("A", on=TODAY + timedelta(days=2)), level("B", on=TODAY + timedelta(days=2)))
    assert (path_in(after.past).pace, path_in(after.past).due) == (Pace.AT_RISK, TODAY + timedelta(days=1))
    done = after.when(level("C", on=TODAY + timedelta(days=3))).events
    assert (path_in(done).pace, demand_in(done).check_in) == (Pace.AHEAD, False)
    later = after.when(goals("C", due=TODAY + timedelta(days=60), minute=5)).events
    assert (path_in(later).pace, demand_in(later).check_in) == (Pace.AHEAD, False)


def test_an_upgrade_puts_a_learner_at_risk_whose_goal_is_past_its_date() -> None:
    """Version 3 called her well ahead. The sweep that a new version begins plans everybody again; until then what it decided stands."""
    commands = [enrolled(), goals("C", due=TODAY - timedelta(days=1))]
    version_3 = next(each for each in PARTS.versions if each.label == "pathing.plan/3")
    before = Spec(version_3, IN_FORCE).asked(*commands)
    assert (path_in(before.past).pace, demand_in(before.past).check_in) == (Pace.AHEAD, False)
    upgraded = Spec(pathing, IN_FORCE, before.past).when(replan()).events
    assert [type(event) for event in upgraded] == [ReplanAsked, PathPlanned, DemandChanged]
    assert (path_in(upgraded).pace, demand_in(upgraded).check_in) == (Pace.AT_RISK, True)


def test_a_learner_behind_at_the_end_of_the_year_stays_at_risk_until_the_next_one_begins() -> None:
    """Version 4 called her well ahead from 15 June, and gave her steps of the next grade."""
    end, commands = date(2027, 6, 15), [enrolled(), level("A")]
    version_4 = next(each for each in PARTS.versions if each.label == "pathing.plan/4")
    before = Spec(version_4, IN_FORCE).asked(*commands).when(replan(end)).events
    assert (path_in(before).pace, path_in(before).due) == (Pace.AHEAD, date(2028, 6, 15))
    spec = SPEC.asked(*commands, replan(end - timedelta(days=1)))
    assert (path_in(spec.past).pace, demand_in(spec.past).check_in) == (Pace.AT_RISK, True)
    for day in (end, end + timedelta(days=1), date(2027, 7, 31)):
        spec.when(replan(day)).then_nothing()
    begun = spec.when(replan(date(2027, 8, 1))).events
    assert (path_in(begun).pace, path_in(begun).due, demand_in(begun).check_in) == (Pace.AHEAD, date(2028, 6, 15), False)


@pytest.mark.parametrize("day", [date(2027, 5, 28), date(2027, 6, 14), date(2027, 6, 15), date(2027, 7, 12)])
def test_who_is_moved_up_before_the_year_begins_is_not_behind_in_what_she_begins(day: date) -> None:
    """Of a grade that she is moved up to, what is open is due in the next year; that a roster writes her grade otherwise is no move."""
    framework = [competency("A", grade="04"), *(competency(f"N{n:02d}") for n in range(20))]
    in_grade_4 = Spec(pathing, in_force((FRAMEWORK, framework), (CATALOGUE, []))).asked(enrolled(grade="04", on=date(2026, 9, 1)))
    moved = in_grade_4.asked(enrolled(grade="05", version=2, on=day))
    for spec in (moved, moved.asked(enrolled(OTHER_SCHOOL, "5", version=3, on=day + timedelta(days=3)))):
        assert (path_in(spec.past).pace, path_in(spec.past).due) == (Pace.AHEAD, date(2028, 6, 15))
        for later in (date(2027, 7, 20), date(2027, 8, 1)):
            spec.when(replan(later)).then_nothing()
    written = in_grade_4.asked(enrolled(grade="4", version=2, on=day), replan(date(2027, 6, 15)))
    assert (path_in(written.past).pace, path_in(written.past).due) == (Pace.AT_RISK, date(2027, 6, 15))


def test_who_comes_or_has_goals_set_after_the_end_of_the_year_begins_the_next_one() -> None:
    day, next_end = date(2027, 7, 12), date(2028, 6, 15)
    assert path_in(SPEC.when(enrolled(on=day)).events).due == next_end
    at_risk = SPEC.asked(enrolled(), replan(day))
    assert path_in(at_risk.past).due == date(2027, 6, 15)
    days = (day - TODAY).days
    events = at_risk.when(goals("C", minute=days * 24 * 60)).events
    assert (path_in(events).pace, path_in(events).due) == (Pace.AHEAD, next_end)
    during = SPEC.asked(enrolled(), goals("C")).when(replan(day)).events
    assert (path_in(during).pace, path_in(during).due) == (Pace.AT_RISK, date(2027, 6, 15))


def test_a_review_that_is_due_reaches_the_demand_though_much_is_new() -> None:
    framework = [competency(f"C{n}") for n in range(8)] + [competency("R", grade="04")]
    spec = Spec(pathing, in_force((FRAMEWORK, framework), (CATALOGUE, []))).asked(enrolled(), level("R"))
    assert ids(demand_in(spec.past)) == ["C0", "C1", "C2"]
    events = spec.when(level("R", Level.REVERIFY, 2)).events
    assert ids(path_in(events))[:6] == ["C0", "C1", "C2", "C3", "R", "C4"]
    assert ids(demand_in(events)) == ["C0", "C1", "R"]


def test_days_never_go_back() -> None:
    spec = SPEC.asked(enrolled(), goals("C", due=TODAY + timedelta(days=8)), replan(TODAY + timedelta(days=6)))
    spec.when(replan(TODAY)).then_nothing()


def test_who_leaves_needs_nothing_any_more_and_who_was_never_there_neither() -> None:
    events = SPEC.asked(enrolled()).when(enrolled(active=False, version=2)).events
    assert [type(event) for event in events] == [EnrolmentNoted, PathPlanned, DemandChanged]
    assert (ids(path_in(events)), path_in(events).pace, ids(demand_in(events))) == ([], Pace.NO_DATE, [])
    SPEC.when(enrolled(active=False)).then_types(EnrolmentNoted)


def test_who_is_enrolled_with_nothing_on_her_path_is_not_gone() -> None:
    """She has no grade, one that the framework does not have, or mastered everything: her school has her all the same."""
    for command in (enrolled(), enrolled(grade=""), enrolled(grade="KG")):
        demand = demand_in(SPEC.when(command).events)
        assert (demand.school_id, demand.path_empty, not demand.needs) == (SCHOOL, command.fact.grade != "05", command.fact.grade != "05")
    everything = SPEC.asked(enrolled(), *[level(id, version=n) for n, id in enumerate("ABCS", 1)])
    idle = demand_in(everything.when(level("T", version=9)).events)
    assert (idle.school_id, idle.needs, idle.path_empty) == (SCHOOL, (), True)
    everything = everything.asked(level("T", version=9))
    (gone,) = [event for event in everything.when(enrolled(active=False, version=2)).events if isinstance(event, DemandChanged)]
    assert (gone.needs, gone.path_empty) == ((), False)
    moved = everything.when(enrolled(OTHER_SCHOOL, version=2)).events
    told = [(event.school_id, event.path_empty) for event in moved if isinstance(event, DemandChanged)]
    assert told == [(SCHOOL, False), (OTHER_SCHOOL, True)]


def test_who_changes_school_needs_nothing_at_the_old_one() -> None:
    events = SPEC.asked(enrolled()).when(enrolled(OTHER_SCHOOL, version=2)).events
    assert [type(event) for event in events] == [EnrolmentNoted, PathPlanned, DemandChanged, DemandChanged]
    gone, now = [event for event in events if isinstance(event, DemandChanged)]
    assert (gone.school_id, gone.version, ids(gone)) == (SCHOOL, 2, [])
    assert (now.school_id, now.version, len(now.needs)) == (OTHER_SCHOOL, 3, 3)


def test_what_a_learner_needs_now_comes_before_what_opens_later() -> None:
    events = SPEC.asked(level("S", version=1), level("A", version=2)).when(enrolled()).events
    assert ids(path_in(events)) == ["B", "T", "C"]
    assert [(need.competency_id, need.waits) for need in demand_in(events).needs] == [("B", False), ("C", True)]
    freed = demand_in(SPEC.asked(level("S", version=1), level("A", version=2), enrolled()).when(level("B", version=3)).events)
    assert [(need.competency_id, need.waits) for need in freed.needs] == [("C", False), ("T", False)]


def test_a_revision_moves_a_path_once_and_the_levels_that_follow_move_nothing() -> None:
    """Mastery tells level by level that what was replaced is known no more, and what stands in its place is: no news to a path."""
    new = {id: f"{id}2" for id in "ABCST"}
    old = [entry | {"replaced_by": [new[entry["id"]]], "assessable": False} for entry in FRAMEWORK_ENTRIES if entry["id"] in new]
    made = [
        entry | {"id": new[entry["id"]], "prerequisites": [new[before] for before in entry.get("prerequisites", [])]}
        for entry in FRAMEWORK_ENTRIES if entry["id"] in new
    ]  # fmt: skip
    revised = in_force((FRAMEWORK, [*old, *made]), (CATALOGUE, CATALOGUE_ENTRIES), version=3)
    spec = SPEC.asked(enrolled(), level("A"), level("S"), level("B", Level.NEARLY), choose("B", "B-video"))
    moved = Spec(pathing, revised, spec.past).asked(replan(version=3))
    assert ids(path_in(moved.past)) == [new[id] for id in ids(path_in(spec.past))]
    assert [step.chosen for step in path_in(moved.past).steps] == [step.chosen for step in path_in(spec.past).steps]
    known = {"A": Level.MASTERED, "S": Level.MASTERED, "B": Level.NEARLY}
    told = [level(id, Level.UNKNOWN, 9) for id in known] + [level(new[id], each, 9) for id, each in known.items()]
    for order in (told, told[::-1], told[1::2] + told[::2]):
        after = moved.asked(*order)
        assert {type(event) for event in after.past[len(moved.past) :]} == {LevelNoted}
        assert ids(path_in(after.past)) == ids(path_in(moved.past))
    moved.when(goals("C", minute=9)).then_refused("replaced")
    before_it = spec.asked(*told)  # Heard before the framework, which comes by another partition: the same in the end.
    assert path_in(Spec(pathing, revised, before_it.past).asked(replan(version=3)).past) == path_in(moved.past)


def revised_framework(**successors: str) -> Parameters:
    """Return the framework with some of it replaced by others, which take over grade and prerequisites."""
    old = [
        entry | ({"replaced_by": [successors[entry["id"]]], "assessable": False} if entry["id"] in successors else {})
        for entry in FRAMEWORK_ENTRIES
    ]
    new = [
        entry | {"id": successors[entry["id"]], "code": successors[entry["id"]]} for entry in FRAMEWORK_ENTRIES if entry["id"] in successors
    ]
    return in_force((FRAMEWORK, [*old, *new]), (CATALOGUE, CATALOGUE_ENTRIES), version=3)


def test_a_step_chosen_before_a_revision_is_done_with_what_stands_in_its_place() -> None:
    spec = SPEC.asked(enrolled(), choose("B", "B-video"), choose("S", "S-video", minute=1))
    after = Spec(pathing, revised_framework(B="B2"), spec.past).asked(replan(version=3))
    done = after.when(level("B2", version=2)).events
    assert done[0] == LevelNoted(learner_id=LEARNER, competency_id="B2", level=Level.MASTERED, on=TODAY, version=2, finished=("B",))
    lapsed = after.asked(level("B2", version=2), level("B2", Level.NEARLY, 3))
    assert {step.competency_id: step.chosen for step in path_in(lapsed.past).steps} == {
        "A": "", "B2": "", "S": "S-video", "C": "", "T": "",
    }  # fmt: skip
    both = in_force((FRAMEWORK, [
        *(entry | ({"replaced_by": ["B2", "B3"], "assessable": False} if entry["id"] == "B" else {}) for entry in FRAMEWORK_ENTRIES),
        competency("B2"), competency("B3"),
    ]), (CATALOGUE, CATALOGUE_ENTRIES), version=3)  # fmt: skip
    half = Spec(pathing, both, spec.past).asked(replan(version=3), level("B2", version=2))
    assert {step.chosen for step in path_in(half.past).steps if step.competency_id == "B3"} == {"B-video"}, "the other part is not done"
    assert list(half.asked(level("B3", version=3)).state.choices) == ["S"]


def test_a_level_from_before_a_revision_counts_no_more_where_the_revision_is_withdrawn() -> None:
    spec = SPEC.asked(enrolled(), level("A"))
    moved = Spec(pathing, revised_framework(A="A2"), spec.past).asked(replan(version=3), level("A", Level.UNKNOWN, 2))
    assert ids(path_in(moved.past)) == ["B", "S", "C", "T"]
    back = Spec(pathing, IN_FORCE, moved.past).asked(replan(TODAY + timedelta(days=1)))
    assert ids(path_in(back.past)) == ["A", "S", "B", "T", "C"], "mastery says that nothing is known of it"
    assert ids(path_in(back.asked(level("A", version=3)).past)) == ["B", "S", "C", "T"]


def test_what_stands_in_the_place_of_replaced_goals_is_named_once() -> None:
    entries = [entry | ({"replaced_by": ["N"], "assessable": False} if entry["id"] in "AB" else {}) for entry in FRAMEWORK_ENTRIES]
    spec = Spec(pathing, in_force((FRAMEWORK, [*entries, competency("N")]), (CATALOGUE, CATALOGUE_ENTRIES)))
    refusal = answer(pathing, goals("A", "B"), (), spec.parameters)
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "a revision has replaced A, B: set N"


def test_a_waiver_opens_what_it_was_given_for_and_its_end_closes_it() -> None:
    spec = SPEC.asked(enrolled(), goals("C"))
    assert ids(path_in(spec.past)) == ["A", "B", "C"]
    opened = spec.when(waived("B A", version=2)).events
    assert [type(event) for event in opened] == [WaiversNoted, PathPlanned, DemandChanged]
    assert (ids(path_in(opened)), ids(demand_in(opened))) == (["B", "C"], ["B", "C"])
    given = spec.asked(waived("B A", version=2))
    given.when(waived("B A", version=2)).then_nothing()
    assert ids(path_in(given.when(waived(ended=["B A"], version=3)).events)) == ["A", "B", "C"]
    assert ids(path_in(given.when(waived("C B", ended=["B A"], version=3)).events)) == ["C"], "a revision has moved it"


def test_a_waiver_that_is_told_after_its_end_changes_nothing() -> None:
    """One given before pathing heard of waivers is told it later: what was said since wins."""
    spec = SPEC.asked(enrolled(), waived(ended=["B A"], version=9))
    spec.when(waived("B A", version=4)).then_nothing()
    assert waived_of(spec.asked(waived("B A", "T S", version=4)).state) == (("T", "S"),)


def test_a_waiver_before_framework_and_enrolment_counts_once_they_are_there() -> None:
    without = Spec(pathing, NO_PARAMETERS).asked(waived("B A"))
    assert ids(path_in(Spec(pathing, IN_FORCE, without.past).asked(goals("B")).when(enrolled()).events)) == ["B"]


def test_waivers_that_are_over_are_bounded_and_push_out_none_that_stands() -> None:
    spec = SPEC.asked(waived("B A"), *(waived(ended=[f"X{n} Y"], version=n) for n in range(2, MAX_WAIVERS + 9)))
    assert len(spec.state.waivers) == MAX_WAIVERS
    assert waived_of(spec.state) == (("B", "A"),)


def test_a_choice_made_again_on_the_same_day_is_the_last_one() -> None:
    spec = SPEC.asked(enrolled(), choose("B", "B-video"), choose("S", "S-video", minute=1))
    assert list(spec.state.choices) == ["B", "S"]
    assert isinstance(spec.when(choose("B", "B-video", minute=2)).events[0], ActivityChosen)
    again = spec.asked(choose("B", "B-video", minute=2))
    assert list(again.state.choices) == ["S", "B"]
    again.when(choose("B", "B-video", minute=3)).then_nothing()


def test_a_choice_made_again_on_another_day_is_held_from_then_on() -> None:
    spec = SPEC.asked(enrolled(), choose("B", "B-video"))
    assert isinstance(spec.when(choose("B", "B-video", minute=24 * 60)).events[0], ActivityChosen)


def test_goals_and_choices_are_of_the_day_that_they_name() -> None:
    """It was evening in UTC, and still the day before where the district is; or the day after."""
    for days in (-1, 1):
        on = TODAY + timedelta(days=days)
        state = SPEC.asked(enrolled(on=on - timedelta(days=1)), goals("C", on=on), choose("B", "B-video", minute=1, on=on)).state
        assert (state.on, state.goals_on, state.choices["B"].on, since_of(state)) == (on, on, on, on)
    earlier = SPEC.asked(enrolled(on=TODAY - timedelta(days=1)), goals("C"), choose("B", "B-video", minute=1)).state
    assert (earlier.on, earlier.goals_on, earlier.choices["B"].on, since_of(earlier)) == (TODAY, None, TODAY, TODAY)


def test_statements_and_choices_are_bounded() -> None:
    authors = [liked(Modality.VIDEO, author=UUID(int=100 + n), minute=n) for n in range(MAX_AUTHORS + 3)]
    framework = [competency(f"C{n:02d}") for n in range(30)]
    parameters = in_force((FRAMEWORK, framework), (CATALOGUE, [activity(f"x{n:02d}", f"C{n:02d}") for n in range(30)]))
    spec = Spec(pathing, parameters).asked(*authors, enrolled())
    for n in range(MAX_CHOICES + 3):
        first = next(step for step in path_in(spec.past).steps if not step.chosen) if n < MAX_CHOICES else None
        if first:
            spec = spec.asked(choose(first.competency_id, first.options[0].activity_id, minute=n))
    state: State = spec.state
    assert len(state.preferences) == MAX_AUTHORS
    assert min(each.stated_at for each in state.preferences) == SOME_TIME + timedelta(minutes=3)
    assert len(state.choices) == MAX_CHOICES
    spec.when(authors[0]).then_nothing()


def test_a_learners_own_word_is_kept_however_many_others_speak() -> None:
    """In whatever order it is heard: of the others go those who have been silent longest."""
    own = liked(Modality.PROJECT, author=LEARNER)
    others = [liked(Modality.VIDEO, author=UUID(int=100 + n), minute=1 + n, role=Role.TEACHER) for n in range(MAX_AUTHORS + 3)]
    ends = [SPEC.asked(*order).state.preferences for order in ((own, *others), (*others, own), (*others[::-1], own))]
    assert ends[0] == ends[1] == ends[2] == (own.fact, *(each.fact for each in others[4:]))
    again = liked(Modality.READING, author=LEARNER, minute=90)
    told = SPEC.asked(own, *others).when(again)
    assert told.events[0] == again.fact


def test_as_many_others_are_planned_with_as_profile_shows() -> None:
    assert MAX_AUTHORS == profile.MAX_AUTHORS


FACTS: tuple[PathingCommand, ...] = (
    enrolled(on=TODAY - timedelta(days=4)), level("A", on=TODAY - timedelta(days=3)), level("S", Level.REVERIFY, 2, on=TODAY),
    goals("C", "T", due=TODAY + timedelta(days=9)),
)  # fmt: skip


def test_every_interleaving_of_framework_catalogue_enrolment_and_levels_ends_in_the_same_path() -> None:
    ends = set()
    for order in permutations(["framework", "catalogue", *FACTS]):
        past: list[Any] = []
        sets: list[Any] = []
        parameters = NO_PARAMETERS
        for arrival in order:
            command = arrival
            if isinstance(arrival, str):  # A set is adopted, and its sweep reaches the learner.
                sets.append((FRAMEWORK, FRAMEWORK_ENTRIES) if arrival == "framework" else (CATALOGUE, CATALOGUE_ENTRIES))
                parameters = _parsed(tuple(kind.name for kind, _ in sets))
                command = replan(TODAY, parameters.version)
            events = answer(pathing, command, past, parameters)
            assert not isinstance(events, Refusal)
            past.extend(events)
        past.extend(_agreed(answer(pathing, replan(TODAY, parameters.version), past, parameters)))  # The day's sweep.
        demand = demand_in(past).model_copy(update={"version": 1})
        ends.add((path_in(past).model_dump_json(), demand.model_dump_json()))
    assert len(ends) == 1
    assert ids(PathPlanned.model_validate_json(ends.pop()[0])) == ["B", "T", "C", "S"]


def _agreed(answered: Sequence[Any] | Refusal) -> Sequence[Any]:
    assert not isinstance(answered, Refusal)
    return answered


_sets: dict[tuple[str, ...], Parameters] = {}


def _parsed(names: tuple[str, ...]) -> Parameters:
    """Return the sets in force, each parsed once as a running service does."""
    if names not in _sets:
        values = {name: IN_FORCE.values[name] for name in names}
        _sets[names] = Parameters(len(names), values, {name: IN_FORCE.ids[name] for name in names})
    return _sets[names]


MADE = made_framework(3, 40)
MADE_ACTIVITIES = made_catalogue(3, MADE, 3)
MADE_IN_FORCE = in_force((FRAMEWORK, MADE), (CATALOGUE, MADE_ACTIVITIES))
MADE_PAIRS = [f"{entry['id']} {id}" for entry in MADE for id in entry.get("prerequisites", ())]
MADE_IDS = [entry["id"] for entry in MADE] + ["plain-id", "another"]


@st.composite
def histories(draw: st.DrawFn) -> list[PathingCommand]:
    minutes, commands = 0, []
    for version in range(1, draw(st.integers(1, 25)) + 1):
        minutes += draw(st.integers(1, 2_000))
        day = TODAY + timedelta(days=draw(st.integers(-3, 40)))
        some = draw(st.sampled_from(MADE_IDS))
        kinds = ("enrolment", "level", "level", "level", "waivers", "preferences", "goals", "choice", "choice", "replan")
        kind = draw(st.sampled_from(kinds))
        if kind == "enrolment":
            school = draw(st.sampled_from((SCHOOL, OTHER_SCHOOL)))
            commands.append(enrolled(school, draw(st.sampled_from(("04", "5", ""))), draw(st.booleans()), version, day))
        elif kind == "level":
            commands.append(level(some, draw(st.sampled_from(Level)), version, day))
        elif kind == "waivers":
            pairs = st.lists(st.sampled_from(MADE_PAIRS), max_size=2)
            commands.append(waived(*draw(pairs), ended=draw(pairs), version=version))
        elif kind == "preferences":
            modalities = draw(st.lists(st.sampled_from(Modality), max_size=3))
            commands.append(liked(*modalities, author=UUID(int=draw(st.integers(1, 9))), minute=minutes))
        elif kind == "goals":
            commands.append(goals(*draw(st.lists(st.sampled_from(MADE_IDS[:40]), max_size=4, unique=True)), due=day, minute=minutes))
        elif kind == "choice":
            offered = [entry["id"] for entry in MADE_ACTIVITIES if entry["competency_id"] == some] + [CONFERENCE]
            commands.append(choose(some, draw(st.sampled_from(offered)), minute=draw(st.sampled_from((minutes, minutes - 1)))))
        else:
            commands.append(replan(day, version))
    return commands


def test_the_decider_has_the_four_properties() -> None:
    check_decider(pathing, histories(), MADE_IN_FORCE, examples=150)
    check_decider(pathing, histories(), NO_PARAMETERS, examples=30)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_the_path_in_force_is_always_that_of_all_facts_and_no_command_of_the_past_adds_to_it(commands: list[PathingCommand]) -> None:
    past: list[Any] = []
    for command in commands:
        events = answer(pathing, command, past, MADE_IN_FORCE)
        past.extend([] if isinstance(events, Refusal) else events)
    state: State = pathing.fold(past)
    again = answer(pathing, replan(state.on or TODAY), past, MADE_IN_FORCE)
    assert again == []
    for fact in [event for event in past if isinstance(event, EnrolmentNoted | LevelNoted | WaiversNoted | PreferencesNoted)]:
        command = pathing.command_of(fact)
        repeated = answer(pathing, command, past, MADE_IN_FORCE)
        assert repeated == []


def test_a_state_of_150_levels_is_small() -> None:
    made = made_framework(9, 150)
    spec = Spec(pathing, in_force((FRAMEWORK, made), (CATALOGUE, []))).asked(enrolled(), liked(Modality.VIDEO))
    state = pathing.fold([level(entry["id"], Level.NEARLY, n + 2).fact for n, entry in enumerate(made)], spec.state)
    content = pathing.codec.encode(state)
    assert len(content) < 3_800
    assert pathing.codec.decode(content) == state


@pytest.mark.parametrize("version", [2**26 - 1, 2**26, 2**40])
def test_levels_are_kept_wherever_in_its_partition_mastery_told_them(version: int) -> None:
    facts = [level("B", Level.NEARLY, version).fact, level(made_framework(1, 1)[0]["id"], Level.MASTERED, version).fact]
    state = pathing.fold(facts)
    kept = pathing.codec.decode(pathing.codec.encode(state))
    assert kept == state
    assert {version_in(packed) for packed in kept.levels.values()} == {version}


def test_the_area_of_an_interest_is_weighed() -> None:
    fact = PreferencesNoted(learner_id=LEARNER, author_id=AUTHOR, role=Role.LEARNER, stated_at=SOME_TIME, areas=(Area.SPACE,))
    entries = [activity("plain", "B"), activity("stars", "B", Modality.READING, areas=("space",))]
    spec = Spec(pathing, in_force((FRAMEWORK, [competency("B")]), (CATALOGUE, entries))).asked(enrolled())
    assert path_in(spec.past).steps[0].options[0].activity_id == "plain"
    assert path_in(spec.when(NotePreferences(fact)).events).steps[0].options[0].activity_id == "stars"


def test_the_print_of_a_demand_does_not_depend_on_the_order_of_fields_in_its_class() -> None:
    """A release that moves a field must not see every demand as changed, and replay its record otherwise."""

    class Moved(DemandChanged):
        pass

    Moved.model_fields.update({name: Moved.model_fields.pop(name) for name in reversed(list(Moved.model_fields))})
    Moved.model_rebuild(force=True)
    told: dict[str, Any] = {"learner_id": UUID(int=1), "school_id": UUID(int=2), "version": 3, "check_in": True}
    assert list(Moved(**told).body()) != list(DemandChanged(**told).body()), "the fields stand in another order"
    assert print_of(Moved(**told)) == print_of(DemandChanged(**told)) == print_of(DemandChanged(**told | {"version": 4}))
