"""A path: no step before its prerequisites, alternatives of different modality, stable, and the same everywhere."""

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.pathing.catalogue import CODE_OF, CONFERENCE, Curriculum, Framework, curriculum, parse_catalogue, parse_framework
from services.pathing.needs import NEEDS_PER_SUBJECT
from services.pathing.options import Taste, taste_of
from services.pathing.pace import school_days
from services.pathing.planner import HELD_DAYS, MAX_HELD, Chosen, Learner, Plan, plan
from shared.contracts.envelope import canonical
from shared.contracts.mastery import Level
from shared.contracts.pathing import MAX_OPTIONS, MAX_STEPS, Goal, Pace, PreferencesNoted, Reason
from shared.contracts.profile import Area, Modality, Role
from shared.testing import SOME_TIME
from tests.pathing.district import TODAY, activity, competency, made_catalogue, made_framework, made_levels

NOBODY = taste_of([])
KNOWN = {Level.MASTERED, Level.REVERIFY}


def both(framework: list[dict[str, Any]], catalogue: list[dict[str, Any]] | None = None) -> Curriculum:
    entries = made_catalogue(1, framework, 3) if catalogue is None else catalogue
    return curriculum(parse_framework([framework]), parse_catalogue([entries]))


def learner(levels: dict[str, Level] | None = None, grade: str = "05", **more: Any) -> Learner:
    return Learner(grade, TODAY, levels or {}, more.pop("taste", NOBODY), **more)


def steps_of(made: Plan) -> list[tuple[str, Reason]]:
    return [(step.competency_id, step.reason) for step in made.steps]


def mastered(*ids: str) -> dict[str, Level]:
    return dict.fromkeys(ids, Level.MASTERED)


def needed_first(framework: list[dict[str, Any]], made: Learner) -> dict[str, set[str]]:
    """Return the prerequisites of each competency that are not waived."""
    waived = set(made.waived)
    return {entry["id"]: {id for id in entry.get("prerequisites", []) if (entry["id"], id) not in waived} for entry in framework}


def unmet(framework: list[dict[str, Any]], made: Learner, found: Plan) -> list[str]:
    """Return the new steps that stand before one of their prerequisites."""
    before = needed_first(framework, made)
    met = {id for id, level in made.levels.items() if level in KNOWN}
    early = []
    for step in found.steps:
        if step.reason is not Reason.REVIEW and not met.issuperset(before[step.competency_id]):
            early.append(step.competency_id)
        met.add(step.competency_id)
    return early


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Learner]:
    seed = draw(st.integers(0, 10_000))
    framework = made_framework(seed, draw(st.integers(1, 60)), subjects=draw(st.integers(1, 3)))
    ids = [entry["id"] for entry in framework]
    lost = random.Random(seed)
    catalogue = [entry for entry in made_catalogue(seed, framework, 3) if lost.random() < 0.8]
    due = st.none() | st.integers(-5, 200).map(lambda days: TODAY + timedelta(days=days))
    goals = draw(st.lists(st.builds(Goal, competency_id=st.sampled_from(ids), due=due, weight_e6=st.integers(0, 1_000_000)), max_size=8))
    activities = {entry["competency_id"]: entry["id"] for entry in catalogue}
    choices = {id: Chosen(activities.get(id, CONFERENCE), TODAY) for id in draw(st.lists(st.sampled_from(ids), max_size=6))}
    some = st.lists(st.sampled_from(Modality), max_size=3)
    pairs = [(entry["id"], id) for entry in framework for id in entry.get("prerequisites", [])]
    waived = draw(st.lists(st.sampled_from(pairs), max_size=4)) if pairs else []
    return framework, catalogue, learner(
        made_levels(seed, framework, draw(st.sampled_from((0.0, 0.3, 0.9)))), draw(st.sampled_from(("03", "5", "06", "09", ""))),
        goals=tuple(goals), choices=choices, taste=taste_of([likes(draw(some), draw(some))]), waived=tuple(waived),
    )  # fmt: skip


def likes(
    modalities: Sequence[Modality], avoided: Sequence[Modality] = (), areas: tuple[Area, ...] = (), role: Role = Role.LEARNER
) -> PreferencesNoted:
    return PreferencesNoted(
        learner_id=UUID(int=1), author_id=UUID(int=2), role=role, stated_at=SOME_TIME, areas=areas, modalities=tuple(modalities),
        avoided=tuple(avoided),
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_path_keeps_its_promises(case: tuple[list[dict[str, Any]], list[dict[str, Any]], Learner]) -> None:
    framework, catalogue, made = case
    known = both(framework, catalogue)
    found = plan(known, made)
    assert unmet(framework, made, found) == []
    ids = [step.competency_id for step in found.steps]
    assert len(ids) == len(set(ids)) <= MAX_STEPS
    activities = {entry["id"]: entry for entry in catalogue}
    for step in found.steps:
        assert 1 <= len(step.options) <= MAX_OPTIONS
        assert len({option.modality for option in step.options}) == len(step.options)
        here = {entry["modality"] for entry in catalogue if entry["competency_id"] == step.competency_id}
        assert len(step.options) == min(MAX_OPTIONS, max(len(here), len(here | {Modality.TEACHER_LED}) if len(here) < 2 else 0))
        for option in step.options:
            assert option.activity_id == CONFERENCE or activities[option.activity_id]["competency_id"] == step.competency_id
        scores = [option.score for option in step.options if option.activity_id != step.chosen]
        assert all(better >= worse for better, worse in pairwise(scores))
        is_known = made.levels.get(step.competency_id) in KNOWN
        assert is_known == (step.reason is Reason.REVIEW)
    needs = found.needs
    assert {step.subject for step in needs} <= {step.subject for step in found.steps}
    assert all(sum(need.subject == subject for need in needs) <= NEEDS_PER_SUBJECT for subject in {need.subject for need in needs})
    assert (found.pace is Pace.NO_DATE) == (found.due is None)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_needs_reach_the_first_review_of_every_subject(case: tuple[list[dict[str, Any]], list[dict[str, Any]], Learner]) -> None:
    framework, catalogue, made = case
    found = plan(both(framework, catalogue), made)
    for subject in {step.subject for step in found.steps}:
        reviews = [step for step in found.steps if step.subject == subject and step.reason is Reason.REVIEW]
        needs = [need for need in found.needs if need.subject == subject]
        assert len(needs) <= NEEDS_PER_SUBJECT
        assert [need for need in needs if need.reason is Reason.REVIEW][:1] == reviews[:1]


@settings(max_examples=100, deadline=None)
@given(cases())
def test_a_need_waits_for_nothing_but_earlier_open_needs_of_its_subject(
    case: tuple[list[dict[str, Any]], list[dict[str, Any]], Learner],
) -> None:
    framework, catalogue, made = case
    found = plan(both(framework, catalogue), made)
    met = {id for id, level in made.levels.items() if level in KNOWN}
    before, open_now = needed_first(framework, made), dict[str, set[str]]()
    for need in found.needs:
        unmet = set() if need.reason is Reason.REVIEW else before[need.competency_id] - met
        assert need.waits == bool(unmet)
        assert unmet <= open_now.setdefault(need.subject, set())
        if not unmet:
            open_now[need.subject].add(need.competency_id)
    assert not any(step.waits for step in found.steps), "it is a word of needs"


def test_what_waits_for_another_need_says_so_and_nothing_waits_for_it() -> None:
    found = plan(both([competency("A"), competency("B", "A"), competency("C", "B")]), learner())
    assert [(need.competency_id, need.waits) for need in found.needs] == [("A", False), ("B", True)]
    assert [(step.competency_id, step.waits) for step in found.steps] == [("A", False), ("B", False), ("C", False)]


def test_a_step_that_waits_for_another_subject_is_no_need_yet() -> None:
    """Whichever subject comes first: no school day need look at two of them to know what waits for what."""
    maths = [competency("M1"), competency("M2", "S1"), competency("M3", "M1")]
    science = [competency("S0", subject="science"), competency("S1", subject="science"), competency("S2", "M1", subject="science")]
    known = both([*maths, *science], [])
    assert [(need.competency_id, need.waits) for need in plan(known, learner()).needs] == [
        ("M1", False), ("M3", True), ("S0", False), ("S1", False),
    ]  # fmt: skip
    assert [need.competency_id for need in plan(known, learner(mastered("S1", "M1"))).needs] == ["M3", "M2", "S0", "S2"]


def test_a_path_walks_down_from_the_goal_and_names_each_reason() -> None:
    framework = [competency("A", grade="04"), competency("B", "A"), competency("C", "B"), competency("D")]
    found = plan(both(framework), learner(goals=(Goal(competency_id="C"),)))
    assert steps_of(found) == [("A", Reason.GAP), ("B", Reason.PREREQUISITE), ("C", Reason.GOAL)]
    assert [step.goal_id for step in found.steps] == ["C", "C", "C"]


def test_the_walk_ends_at_what_is_mastered() -> None:
    framework = [competency("A"), competency("B", "A"), competency("C", "B")]
    assert steps_of(plan(both(framework), learner(mastered("B"), goals=(Goal(competency_id="C"),)))) == [("C", Reason.GOAL)]


def test_without_goals_her_grade_is_the_goal_and_what_is_beneath_it_a_gap() -> None:
    beneath = [competency("A", grade="03"), competency("B", "A", grade="04"), competency("E", grade="04")]
    framework = [*beneath, competency("C", "A"), competency("D")]
    found = plan(both(framework), learner(mastered("D"), grade="5"))
    assert steps_of(found) == [("A", Reason.GAP), ("C", Reason.GOAL)]


def test_a_heading_is_never_a_step_and_blocks_nobody() -> None:
    framework = [competency("H", assessable=False), competency("A", "H"), competency("B", "A")]
    assert steps_of(plan(both(framework), learner())) == [("A", Reason.GOAL), ("B", Reason.GOAL)]


@pytest.mark.parametrize("level", list(Level))
def test_what_is_in_use_no_more_is_never_a_step_whatever_is_known_of_it(level: Level) -> None:
    """It was withdrawn or is over: mastery keeps what is known of learners, and tells that it fades."""
    entries = [competency("A"), competency("B", "A"), competency("N"), competency("R")]
    gone = [entry | {"assessable": False} if entry["id"] == "A" else entry for entry in revised(*entries, R="N")]
    found = plan(both(gone), learner({"A": level, "R": level, "N": Level.DEVELOPING}, goals=(Goal(competency_id="B"),)))
    assert steps_of(found) == [("B", Reason.GOAL)]
    assert [need.competency_id for need in found.needs] == ["B"]


def test_urgent_goals_come_first_and_then_the_cheapest() -> None:
    framework = [competency("A"), competency("B", "A"), competency("C"), competency("Z")]
    soon, same, late = TODAY + timedelta(days=3), TODAY + timedelta(days=20), TODAY + timedelta(days=60)
    goals = (Goal(competency_id="C", due=late), Goal(competency_id="B", due=soon), Goal(competency_id="Z", due=same))
    assert [id for id, _ in steps_of(plan(both(framework, []), learner(goals=goals)))] == ["Z", "A", "B", "C"]


def test_a_goal_of_less_weight_counts_as_dearer() -> None:
    framework = [competency("A"), competency("B", "A"), competency("C")]
    goals = (Goal(competency_id="B"), Goal(competency_id="C", weight_e6=400_000))
    assert [id for id, _ in steps_of(plan(both(framework, []), learner(goals=goals)))] == ["A", "B", "C"]
    goals = (Goal(competency_id="B"), Goal(competency_id="C"))
    assert [id for id, _ in steps_of(plan(both(framework, []), learner(goals=goals)))] == ["C", "A", "B"]


def test_what_goals_share_makes_the_next_one_cheaper() -> None:
    needed = [competency("A"), competency("B"), competency("X")]
    framework = [*needed, competency("G1", "A", "B"), competency("G2", "A", "B"), competency("G3", "X")]
    goals = (Goal(competency_id="G1", weight_e6=1_000_000), Goal(competency_id="G2"), Goal(competency_id="G3", weight_e6=500_000))
    assert [id for id, _ in steps_of(plan(both(framework, []), learner(goals=goals)))] == ["A", "B", "G1", "G2", "X", "G3"]


def test_every_subject_with_goals_has_steps() -> None:
    framework = [competency(f"M{n:02d}") for n in range(20)] + [competency(f"S{n:02d}", subject="science") for n in range(20)]
    found = plan(both(framework), learner())
    assert [step.subject for step in found.steps] == ["mathematics", "science"] * 6


def test_one_review_comes_after_four_new_steps_and_reviews_fill_what_is_left() -> None:
    framework = [competency(f"C{n:02d}") for n in range(9)] + [competency(f"R{n}", grade="04") for n in range(5)]
    levels = {f"R{n}": Level.REVERIFY for n in range(5)}
    reasons = [reason for _, reason in steps_of(plan(both(framework), learner(levels)))]
    new, review = Reason.GOAL, Reason.REVIEW
    assert reasons == [new] * 4 + [review] + [new] * 4 + [review, new, review]


def test_a_review_behind_three_open_steps_has_the_third_place_of_its_subjects_needs() -> None:
    known = both([competency(f"C{n:02d}") for n in range(9)] + [competency(f"R{n}", grade="04") for n in range(2)], [])
    levels = {f"R{n}": Level.REVERIFY for n in range(2)}

    def needs(levels: dict[str, Level]) -> list[str]:
        return [need.competency_id for need in plan(known, learner(levels)).needs]

    assert needs({}) == ["C00", "C01", "C02"]
    assert needs(levels) == ["C00", "C01", "R0"], "one of them: the other is the next one's turn"
    nearly_done = mastered(*(f"C{n:02d}" for n in range(8)))
    assert needs(levels | nearly_done) == ["C08", "R0", "R1"], "where fewer new steps are open, all stand as on the path"


def test_a_review_takes_the_place_of_no_step_of_another_subject_and_of_none_that_waits() -> None:
    framework = [competency(f"C{n}") for n in range(2)] + [competency("D", "C0"), competency("E", "D"), competency("R", grade="04")]
    science = [competency(f"S{n}", subject="science") for n in range(2)] + [competency("T", "E", "S0", subject="science")]
    found = plan(both([*framework, *science], []), learner({"R": Level.REVERIFY}))
    assert [step.reason for step in found.steps].index(Reason.REVIEW) == 4
    assert [need.competency_id for need in found.needs] == ["C0", "C1", "R", "S0", "S1"], "what is open stands before what waits"


def test_a_competency_without_activity_becomes_a_talk_with_a_teacher() -> None:
    found = plan(both([competency("A")], []), learner())
    assert [(option.activity_id, option.modality) for option in found.steps[0].options] == [(CONFERENCE, Modality.TEACHER_LED)]


def test_where_all_activities_are_of_one_modality_a_teacher_is_the_alternative() -> None:
    found = plan(both([competency("A")], [activity("v1", "A"), activity("v2", "A")]), learner())
    assert [option.activity_id for option in found.steps[0].options] == ["v1", CONFERENCE]


def test_activities_are_chosen_by_level_modality_interest_and_gain() -> None:
    framework = [competency("A")]
    catalogue = [
        activity("video", "A", Modality.VIDEO), activity("text", "A", Modality.READING, areas=("space",)),
        activity("project", "A", Modality.PROJECT, levels=("nearly",)), activity("drill", "A", Modality.PRACTICE, gain_e6=500_000),
    ]  # fmt: skip

    def best(**more: Any) -> str:
        return plan(both(framework, catalogue), learner(**more)).steps[0].options[0].activity_id

    assert best() == "drill"
    assert best(levels={"A": Level.NEARLY}) == "project"
    assert best(taste=taste_of([likes([Modality.VIDEO])])) == "video"
    assert best(taste=taste_of([likes([], areas=(Area.SPACE,))])) == "text"
    assert best(taste=taste_of([likes([], [Modality.PRACTICE])])) == "text"


def test_the_learners_own_word_weighs_most() -> None:
    own, teacher = likes([Modality.VIDEO]), likes([Modality.READING], role=Role.TEACHER)
    points = taste_of([own, teacher]).points
    assert points[Modality.VIDEO] == 2 * points[Modality.READING] == 400_000


def test_who_names_no_modality_takes_no_weight_from_those_who_do() -> None:
    """Words alone, interests alone, and what was taken back again."""
    own = likes([Modality.PROJECT], [Modality.VIDEO])
    silent = [likes([], role=Role.TEACHER), likes([], role=Role.GUARDIAN, areas=(Area.SPACE,))]
    assert taste_of([own, *silent * 3]) == Taste(taste_of([own]).points, frozenset({Area.SPACE}))
    assert taste_of(silent).points == NOBODY.points


def test_a_choice_stands_first_while_its_activity_exists() -> None:
    framework, catalogue = [competency("A")], [activity(f"a{n}", "A", modality) for n, modality in enumerate(Modality)]
    found = plan(both(framework, catalogue), learner(choices={"A": Chosen("a5", TODAY)})).steps[0]
    assert (found.chosen, found.options[0].activity_id, len(found.options)) == ("a5", "a5", MAX_OPTIONS)
    gone = plan(both(framework, catalogue[:5]), learner(choices={"A": Chosen("a5", TODAY)})).steps[0]
    assert (gone.chosen, [option.activity_id for option in gone.options]) == ("", ["a0", "a1", "a2"])


def test_a_chosen_step_stays_on_the_path_until_it_is_done() -> None:
    framework = [competency(f"C{n:02d}") for n in range(20)]
    known = both(framework, [activity(f"x{n}", f"C{n:02d}") for n in range(20)])
    lately = {"C15": Chosen("x15", TODAY - timedelta(days=HELD_DAYS - 1))}
    assert "C15" not in [id for id, _ in steps_of(plan(known, learner()))]
    held = plan(known, learner(choices=lately))
    assert steps_of(held)[-1] == ("C15", Reason.CHOICE)
    assert len(held.steps) == MAX_STEPS
    assert "C15" not in [id for id, _ in steps_of(plan(known, learner(mastered("C15"), choices=lately)))]
    assert "C15" not in [id for id, _ in steps_of(plan(known, learner(choices={"C15": Chosen("x15", TODAY - timedelta(days=HELD_DAYS))})))]


def test_old_choices_leave_the_path_to_her_goals() -> None:
    """Twelve chosen steps that were never finished take a quarter of it, those chosen last, and none after a month."""
    framework = [competency(f"C{n:02d}", grade="05") for n in range(12)] + [competency(f"D{n:02d}", grade="06") for n in range(12)]
    known = both(framework, [activity(f"x{n:02d}", f"C{n:02d}") for n in range(12)])
    chosen = {f"C{n:02d}": Chosen(f"x{n:02d}", TODAY - timedelta(days=12 - n)) for n in range(12)}
    steps = steps_of(plan(known, learner(grade="06", choices=chosen)))
    assert steps[: MAX_STEPS - MAX_HELD] == [(f"D{n:02d}", Reason.GOAL) for n in range(MAX_STEPS - MAX_HELD)]
    assert steps[MAX_STEPS - MAX_HELD :] == [(f"C{n:02d}", Reason.CHOICE) for n in (9, 10, 11)]
    older = {id: Chosen(each.activity_id, TODAY - timedelta(days=HELD_DAYS)) for id, each in chosen.items()}
    assert {reason for _, reason in steps_of(plan(known, learner(grade="06", choices=older)))} == {Reason.GOAL}


def test_a_chosen_step_does_not_leave_the_path_because_what_it_needs_does() -> None:
    """Neither a step that she chose long ago, nor one that is held: what is dropped for it is what nothing chosen rests on."""
    chain = [competency(f"C{n:02d}", *([f"C{n - 1:02d}"] if n else [])) for n in range(12)]
    framework = [*chain, *(competency(f"D{n}", grade="06") for n in range(3)), competency("E", "C11", grade="06")]
    known = both(framework, [activity(f"x{entry['id']}", entry["id"]) for entry in framework])

    def path(*ids: str) -> list[tuple[str, Reason]]:
        return steps_of(plan(known, learner(choices={id: Chosen(f"x{id}", TODAY) for id in ids}, goals=(Goal(competency_id="C11"),))))

    everything = [(f"C{n:02d}", Reason.PREREQUISITE) for n in range(11)] + [("C11", Reason.GOAL)]
    assert path("C11", "D0", "D1") == everything
    assert path("E") == everything
    assert path("C09", "D0", "D1") == [*everything[:10], ("D0", Reason.CHOICE), ("D1", Reason.CHOICE)]
    assert path("D0", "D2", "C10", "D1") == [*everything[:11], ("D1", Reason.CHOICE)], "of those held, the one chosen last"


def revised(*entries: dict[str, Any], **successors: str) -> list[dict[str, Any]]:
    """Return entries of a framework of which some were replaced."""
    return [entry | ({"replaced_by": successors[entry["id"]].split()} if entry["id"] in successors else {}) for entry in entries]


def test_what_was_replaced_is_learned_in_what_stands_in_its_place() -> None:
    """Its goals, activities, choices, levels and those that need it follow, through several revisions and into several parts."""
    before = (competency("A"), competency("B", "A"), competency("C", "B"), competency("D", "A"), competency("E"), competency("F"))
    known = both(revised(*before, A="D E", E="F"), [activity("a1", "A"), activity("a2", "A", Modality.READING), activity("f1", "F")])
    assert steps_of(plan(known, learner(goals=(Goal(competency_id="A"),)))) == [("F", Reason.GOAL), ("D", Reason.GOAL)]
    found = plan(known, learner(goals=(Goal(competency_id="C"),), choices={"A": Chosen("a2", TODAY)}))
    assert [id for id, _ in steps_of(found)] == ["F", "D", "B", "C"]
    assert [step.chosen for step in found.steps[:2]] == ["a2", "a2"]
    assert [{option.activity_id for option in step.options} for step in found.steps[:2]] == [{"a1", "a2"}] * 2
    assert [id for id, _ in steps_of(plan(known, learner({"A": Level.MASTERED}, goals=(Goal(competency_id="C"),))))] == ["B", "C"]
    told = {"A": Level.MASTERED, "F": Level.NEARLY}
    assert [id for id, _ in steps_of(plan(known, learner(told, goals=(Goal(competency_id="C"),))))] == ["F", "B", "C"]
    assert plan(known, learner({"A": Level.MASTERED})).needs


def lowest(framework: Framework, id: str, levels: dict[str, Level], seen: frozenset[str] = frozenset()) -> Level:
    """Return the level that stands for one that is not told of, as it is defined."""
    before = [each for each in framework.directly.get(id, ()) if each not in seen]
    found = [levels.get(each) or lowest(framework, each, levels, seen | {id}) for each in before]
    return min(found, key=CODE_OF.__getitem__, default=Level.UNKNOWN)


@given(st.lists(st.sets(st.integers(-2, 5), max_size=3), min_size=2, max_size=9), st.data())
def test_a_level_is_handed_on_through_any_revisions(further: list[set[int]], data: st.DataObject) -> None:
    """Also through cycles, which a framework may have that was taken before mastery refused them."""
    ids = [f"C{n:02d}" for n in range(len(further) + 5)]
    successors = {ids[n]: " ".join(ids[max(0, n + step)] for step in sorted(steps)) for n, steps in enumerate(further) if steps}
    framework = parse_framework([revised(*map(competency, ids), **successors)])
    levels = data.draw(st.dictionaries(st.sampled_from(ids), st.sampled_from(list(Level))))
    some = not framework.now.keys().isdisjoint(levels)
    told = {framework.index[id]: level for id, level in levels.items() if id not in framework.now}
    former = {place: lowest(framework, framework.entries[place].id, levels) for place in framework.former} if some else {}
    assert framework.levels_by_place(levels) == former | told


@pytest.mark.timeout(60)
def test_revisions_may_be_many_and_long() -> None:
    """A path for each way through them would be too many: the levels of each are looked at once."""
    pairs = [f"{side}{n:04d}" for n in range(300) for side in "AB"]
    successors = {id: f"A{int(id[1:]) + 1:04d} B{int(id[1:]) + 1:04d}" for id in pairs[:-2]}
    framework = parse_framework([revised(*map(competency, pairs), **successors)])
    found = framework.levels_by_place({"A0000": Level.MASTERED, "B0000": Level.NEARLY})
    assert {framework.entries[place].id: level for place, level in found.items()} == dict.fromkeys(pairs[-2:], Level.NEARLY)


def test_of_two_that_became_one_the_lower_level_counts_until_it_is_told_of() -> None:
    known = both(revised(competency("A"), competency("B"), competency("N"), A="N", B="N"))
    levels = {"A": Level.MASTERED, "B": Level.DEVELOPING}
    assert steps_of(plan(known, learner(levels))) == steps_of(plan(known, learner(dict(reversed(levels.items()))))) == [("N", Reason.GOAL)]
    assert plan(known, learner(levels | {"N": Level.MASTERED})).steps == ()


def test_what_nothing_is_known_of_counts_as_not_known_among_those_that_became_one() -> None:
    known = both(revised(competency("A"), competency("B"), competency("N"), competency("Z", "N"), A="N", B="N"))
    assert [id for id, _ in steps_of(plan(known, learner(mastered("B"))))] == ["N", "Z"]
    assert [id for id, _ in steps_of(plan(known, learner(mastered("A", "B"))))] == ["Z"]


def test_of_revisions_one_after_the_other_the_last_that_is_told_of_counts() -> None:
    """Who came after the first of them never had a level in what it replaced: that takes nothing away."""
    known = both(revised(competency("A"), competency("B"), competency("N"), A="B", B="N"))
    assert plan(known, learner(mastered("B"))).steps == ()
    assert plan(known, learner(mastered("A"))).steps == ()
    assert steps_of(plan(known, learner(mastered("A") | {"B": Level.DEVELOPING}))) == [("N", Reason.GOAL)]


def test_a_waived_prerequisite_holds_nothing_back() -> None:
    framework = [competency("A", grade="04"), competency("B", "A"), competency("C", "B"), competency("D", "A", grade="04")]
    known, goals = both(framework, []), (Goal(competency_id="C", due=TODAY + timedelta(days=2)),)
    held = plan(known, learner(goals=goals))
    assert ([id for id, _ in steps_of(held)], held.pace) == (["A", "B", "C"], Pace.AT_RISK)
    freed = plan(known, learner(goals=goals, waived=(("B", "A"), ("B", "nowhere"), ("C", "D"))))
    assert steps_of(freed) == [("B", Reason.PREREQUISITE), ("C", Reason.GOAL)]
    assert (freed.minutes_needed, held.minutes_needed) == (120, 180)
    assert [(need.competency_id, need.waits) for need in freed.needs] == [("B", False), ("C", True)]
    one_more = plan(known, learner(goals=(*goals, Goal(competency_id="D")), waived=(("B", "A"),)))
    assert [id for id, _ in steps_of(one_more)] == ["B", "C", "A", "D"]
    assert [need.competency_id for need in one_more.needs] == ["B", "A", "C"], "both are open now"


def test_a_waiver_holds_for_what_stands_in_the_place_of_its_pair() -> None:
    entries = (competency("A"), competency("B", "A"), competency("A2"), competency("B2", "A"))
    known = both(revised(*entries, A="A2", B="B2"))
    found = plan(known, learner(goals=(Goal(competency_id="B2"),), waived=(("B", "A"),)))
    assert steps_of(found) == [("B2", Reason.GOAL)]


def test_what_is_open_of_the_next_grade_minds_waivers() -> None:
    framework = [competency("A"), competency("B", "A", "X", grade="06"), competency("X", grade="07")]
    assert plan(both(framework), learner(mastered("A"))).steps == ()
    assert steps_of(plan(both(framework), learner(mastered("A"), waived=(("B", "X"),)))) == [("B", Reason.ENRICHMENT)]


def test_what_was_replaced_by_nothing_that_is_known_stays_what_it_is() -> None:
    known = both(revised(competency("A"), competency("B", "A"), A="elsewhere", B="B"))
    assert [id for id, _ in steps_of(plan(known, learner()))] == ["A", "B"]


def test_goals_that_the_framework_does_not_know_give_way_to_those_of_the_grade() -> None:
    known = both([competency("A"), competency("H", assessable=False)])
    assert steps_of(plan(known, learner(goals=(Goal(competency_id="gone"), Goal(competency_id="H"))))) == [("A", Reason.GOAL)]


def test_an_open_goal_past_its_date_comes_first_and_puts_her_at_risk() -> None:
    """Whatever there is time for until other dates. Of such dates the earliest is named, and nothing of the next grade is offered."""
    yesterday, before = TODAY - timedelta(days=1), TODAY - timedelta(days=40)
    known = both([competency("A"), competency("B"), competency("C"), competency("D", grade="06")], [])
    goals = (Goal(competency_id="A"), Goal(competency_id="C", due=yesterday), Goal(competency_id="B", due=before))
    found = plan(known, learner(goals=goals[:2]))
    assert (steps_of(found), found.pace, found.due) == ([("C", Reason.GOAL), ("A", Reason.GOAL)], Pace.AT_RISK, yesterday)
    both_late = plan(known, learner(goals=goals))
    assert ([id for id, _ in steps_of(both_late)], both_late.pace, both_late.due) == (["B", "C", "A"], Pace.AT_RISK, before)
    assert found.minutes_needed < both_late.minutes_needed
    today = plan(known, learner(goals=(*goals[:2], Goal(competency_id="B", due=TODAY))))
    assert (today.pace, today.due) == (Pace.AT_RISK, yesterday), "the day that is left for the other one is no time for this one"


@pytest.mark.parametrize("level", sorted(KNOWN))
def test_a_goal_that_was_mastered_weighs_nothing_once_its_date_is_past(level: Level) -> None:
    known = both([competency("A"), competency("C"), competency("D", grade="06")])
    goals = (Goal(competency_id="A"), Goal(competency_id="C", due=TODAY - timedelta(days=1)))
    found = plan(known, learner({"C": level}, goals=goals))
    assert (found.pace, found.due, found.steps[0].competency_id) == (Pace.AHEAD, date(2027, 6, 15), "A")
    assert Reason.ENRICHMENT in {step.reason for step in found.steps}
    alone = plan(known, learner({"C": level}, goals=goals[1:]))
    assert (alone.pace, alone.due, alone.minutes_needed) == (Pace.AHEAD, date(2027, 6, 15), 0)


def test_of_two_goals_in_one_that_are_past_their_dates_the_earlier_counts() -> None:
    known = both(revised(competency("A"), competency("B"), competency("N"), A="N", B="N"))
    days = [TODAY - timedelta(days=n) for n in (3, 9)]
    for order in (days, days[::-1]):
        found = plan(known, learner(goals=tuple(Goal(competency_id=id, due=due) for id, due in zip("AB", order, strict=True))))
        assert (steps_of(found), found.due) == ([("N", Reason.GOAL)], days[1])


@settings(max_examples=100, deadline=None)
@given(cases())
def test_whoever_has_an_open_goal_past_its_date_is_at_risk_and_gets_nothing_of_the_next_grade(
    case: tuple[list[dict[str, Any]], list[dict[str, Any]], Learner],
) -> None:
    framework, catalogue, made = case
    found = plan(both(framework, catalogue), made)
    open_goals = [goal for goal in made.goals if made.levels.get(goal.competency_id) not in KNOWN]
    passed = [goal.due for goal in open_goals if goal.due is not None and goal.due < made.on]
    if passed:
        assert (found.pace, found.due) == (Pace.AT_RISK, min(passed))
        assert Reason.ENRICHMENT not in {step.reason for step in found.steps}
    else:
        assert found.due is None or found.due >= made.on
    assert plan(both(framework, catalogue), made) == found


@pytest.mark.parametrize(("days", "pace"), [(3, Pace.AT_RISK), (4, Pace.ON_TRACK), (5, Pace.ON_TRACK), (6, Pace.AHEAD), (0, Pace.AT_RISK)])
def test_pace_is_minutes_needed_by_minutes_available(days: int, pace: Pace) -> None:
    framework = [competency("A"), competency("B"), competency("C")]
    monday = date(2026, 11, 23)
    due = monday + timedelta(days=days - 1 if days <= 5 else days + 1)
    made = Learner("05", monday, {}, NOBODY, tuple(Goal(competency_id=id, due=due) for id in "ABC"))
    found = plan(both(framework, []), made)
    assert (found.minutes_needed, found.pace, found.due) == (180, pace, due)


def test_pace_is_that_of_the_date_that_binds() -> None:
    framework = [competency("A"), competency("B", subject="science")]
    near, far = TODAY, TODAY + timedelta(days=100)
    found = plan(both(framework, []), learner(goals=(Goal(competency_id="A", due=far), Goal(competency_id="B", due=near))))
    assert (found.pace, found.due, found.minutes_needed) == (Pace.AT_RISK, near, 120)


def test_what_is_due_by_the_date_that_binds_is_that_of_its_subject_alone() -> None:
    """Of mathematics two are due by then, the third one later; science is due then, too, and needs less."""
    due, later = TODAY + timedelta(days=2), TODAY + timedelta(days=90)
    known = both([*(competency(id) for id in "ABC"), competency("S", subject="science"), competency("T", "S", subject="science")], [])
    goals = tuple(Goal(competency_id=id, due=later if id in "CT" else due) for id in "ABCST")
    found = plan(known, learner(goals=goals))
    assert (found.due, found.due_subject, found.due_minutes, found.minutes_needed) == (due, "mathematics", 120, 300)
    passed = plan(known, Learner("05", due + timedelta(days=1), {}, NOBODY, goals))
    assert (passed.due, passed.due_subject, passed.due_minutes, passed.minutes_needed) == (due, "mathematics", 120, 300), "told once"
    half = plan(known, Learner("05", due + timedelta(days=1), mastered("A", "B"), NOBODY, goals))
    assert (half.pace, half.due_subject, half.due_minutes) == (Pace.AT_RISK, "science", 60)
    assert plan(known, learner(mastered(*"ABCST"), goals=goals)).due_minutes == 0


YEAR_END = date(2027, 6, 15)
DURING_THE_YEAR, AFTER_IT = date(2026, 9, 1), date(2027, 6, 15)


@pytest.mark.parametrize("goals", [(), (Goal(competency_id="A"), Goal(competency_id="B"))], ids=["of her grade", "set"])
@pytest.mark.parametrize(
    ("on", "due", "pace"),
    [
        (date(2027, 6, 11), YEAR_END, Pace.AHEAD), (date(2027, 6, 14), YEAR_END, Pace.AHEAD), (YEAR_END, YEAR_END, Pace.AT_RISK),
        (date(2027, 6, 16), YEAR_END, Pace.AT_RISK), (date(2027, 7, 31), YEAR_END, Pace.AT_RISK),
        (date(2027, 8, 1), date(2028, 6, 15), Pace.AHEAD),
    ],
)  # fmt: skip
def test_what_is_open_at_the_end_of_a_school_year_puts_her_at_risk_until_the_next_one_begins(
    goals: tuple[Goal, ...], on: date, due: date, pace: Pace
) -> None:
    known = both([competency("A"), competency("B"), competency("N", grade="06")], [])
    found = plan(known, Learner("05", on, mastered("A"), NOBODY, goals, since=DURING_THE_YEAR))
    assert (found.pace, found.due, found.due_minutes) == (pace, due, 60)
    assert (Reason.ENRICHMENT in {step.reason for step in found.steps}) == (pace is Pace.AHEAD)
    done = plan(known, Learner("05", on, mastered("A", "B"), NOBODY, goals, since=DURING_THE_YEAR))
    assert (done.pace, steps_of(done)) == (Pace.AHEAD, [("N", Reason.ENRICHMENT)])


@pytest.mark.parametrize("on", [YEAR_END, date(2027, 6, 16), date(2027, 7, 31), date(2027, 8, 1)])
def test_goals_from_after_the_end_of_a_school_year_are_those_of_the_next_one(on: date) -> None:
    """One with a date of its own that has passed stays what it is, and comes first."""
    known = both([competency("A"), competency("B")], [])
    for goals in ((), (Goal(competency_id="A"), Goal(competency_id="B"))):
        found = plan(known, Learner("05", on, {}, NOBODY, goals, since=AFTER_IT))
        assert (found.pace, found.due) == (Pace.AHEAD, date(2028, 6, 15))
    dated = (Goal(competency_id="A"), Goal(competency_id="B", due=date(2027, 6, 1)))
    found = plan(known, Learner("05", on, {}, NOBODY, dated, since=AFTER_IT))
    assert (found.pace, found.due, [id for id, _ in steps_of(found)]) == (Pace.AT_RISK, date(2027, 6, 1), ["B", "A"])


def test_who_has_mastered_her_goals_is_ahead_and_offered_the_next_grade() -> None:
    next_grade = [competency("B", "A", grade="06"), competency("C", "B", grade="06"), competency("D", "X", grade="06")]
    framework = [competency("A"), *next_grade, competency("X", grade="07")]
    found = plan(both(framework), learner(mastered("A")))
    assert (found.pace, steps_of(found)) == (Pace.AHEAD, [("B", Reason.ENRICHMENT), ("C", Reason.ENRICHMENT)])


def test_without_grade_and_goals_there_is_no_path_and_no_date() -> None:
    assert plan(both([competency("A")]), learner(grade="")) == Plan()


def test_school_days_are_weekdays_and_a_day_counts_until_it_is_over() -> None:
    for on in (date(2026, 11, 23) + timedelta(days=n) for n in range(7)):
        counted = [sum((on + timedelta(days=n)).weekday() < 5 for n in range(days + 1)) for days in range(30)]
        assert [school_days(on, on + timedelta(days=days)) for days in range(30)] == counted
        assert [school_days(on, on - timedelta(days=days)) for days in range(1, 30)] == [0] * 29


@pytest.mark.parametrize(("minutes", "needed", "pace"), [(10, 45, Pace.ON_TRACK), (15, 60, Pace.AT_RISK)])
def test_on_the_due_day_there_is_time_for_what_one_lesson_holds(minutes: int, needed: int, pace: Pace) -> None:
    known = both([competency("A")], [activity(f"a{n}", "A", modality, minutes=minutes) for n, modality in enumerate(Modality)])
    found = plan(known, learner(goals=(Goal(competency_id="A", due=TODAY),)))
    assert (found.pace, found.due_minutes) == (pace, needed)


def test_a_cycle_or_an_unknown_prerequisite_ends_no_plan() -> None:
    framework = [competency("A", "B", "nowhere"), competency("B", "A"), competency("C", "B"), competency("D")]
    assert [id for id, _ in steps_of(plan(both(framework), learner()))] == ["A", "D", "B", "C"]


def test_what_lies_behind_a_cycle_keeps_its_prerequisites() -> None:
    """Also where only what a revision put in the place of another closes the cycle, which earlier releases took."""
    cycle = (competency("N", "B"), competency("B", "A"), competency("A"))
    framework = revised(*cycle, competency("X", "Y"), competency("Y", "N"), competency("W", "X"), A="N")
    parsed = parse_framework([framework])
    ids = [entry.id for entry in parsed.entries]
    before = {id: {ids[place] for place in parsed.before[parsed.index[id]]} for id in ids}
    assert before == {"A": set(), "B": set(), "N": {"B"}, "Y": {"N"}, "X": {"Y"}, "W": {"X"}}
    assert [id for id, _ in steps_of(plan(both(framework), learner()))] == ["B", "N", "Y", "X", "W"]


def test_what_the_path_does_not_need_moves_none_of_its_next_steps() -> None:
    framework = made_framework(11, 200)
    known, levels = both(framework), made_levels(11, framework, 0.4)
    needed = _needed(framework, levels)
    before = plan(known, learner(levels)).steps[:8]
    unrelated = [id for id in sorted({entry["id"] for entry in framework} - needed) if levels.get(id) not in KNOWN]
    assert len(unrelated) > 20
    for id in unrelated:
        for level in (Level.DEVELOPING, Level.NEARLY, Level.MASTERED):
            assert plan(known, learner(levels | {id: level})).steps[:8] == before


def test_a_level_elsewhere_on_the_way_to_her_goals_hardly_moves_the_next_steps() -> None:
    framework = made_framework(12, 300)
    known, changed, compared = both(framework), 0, 0
    for seed in range(12):
        levels = made_levels(seed, framework, 0.4)
        before = plan(known, learner(levels)).steps
        ids = [step.competency_id for step in before[:8]]
        elsewhere = sorted(_needed(framework, levels) - {step.competency_id for step in before})
        for id in elsewhere[::3]:
            after = plan(known, learner(levels | {id: Level.NEARLY})).steps[:8]
            changed += sum(step.competency_id not in {each.competency_id for each in after} for step in before[:8])
            compared += len(ids)
    assert compared > 1_000
    assert changed <= compared // 100


def _needed(framework: list[dict[str, Any]], levels: dict[str, Level]) -> set[str]:
    entries = {entry["id"]: entry for entry in framework}
    needed: set[str] = set()
    waiting = [id for id, entry in entries.items() if entry["grades"] == ["05"]]
    while waiting:
        id = waiting.pop()
        if id not in needed and levels.get(id) not in KNOWN:
            needed.add(id)
            waiting.extend(entries[id].get("prerequisites", []))
    return needed


def paths_of_many() -> bytes:
    """Return the canonical bytes of many paths; run in processes of different hash seeds."""
    framework = made_framework(5, 150)
    known = both(framework)
    goals = tuple(Goal(competency_id=entry["id"]) for entry in framework[:9])
    made = [plan(known, learner(made_levels(seed, framework), goals=goals if seed % 2 else ())) for seed in range(20)]
    return canonical([[step.model_dump(mode="json") for step in each.steps] + [each.pace, each.minutes_needed] for each in made])


def test_paths_are_the_same_bytes_in_every_process_and_in_any_order_of_pages() -> None:
    root = Path(__file__).parents[2]
    code = "import sys; from tests.pathing.test_planner import paths_of_many; sys.stdout.buffer.write(paths_of_many())"
    made = set()
    for seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, check=True, timeout=120)
        made.add(done.stdout)
    assert made == {paths_of_many()}
    framework = made_framework(5, 80)
    catalogue = made_catalogue(1, framework, 3)
    halves = curriculum(parse_framework([framework[40:], framework[:40]]), parse_catalogue([catalogue[::-1]]))
    assert plan(halves, learner()) == plan(both(framework, catalogue), learner())
