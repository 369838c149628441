"""What the simulated district consists of: the same for the same seed, and taken by the services' own readers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from demo import catalogue, framework, items, resources, roster
from demo.framework import GRADES, SUBJECTS, beneath, of_grade, skills, teaching_order
from demo.school import GRADES as TAUGHT
from demo.school import school, schools
from services.evidence.alignment import from_json
from services.mastery.case import read_package
from services.pathing.api.reading import read_catalogue
from services.profile.oneroster import read
from services.scheduling.checks import faults_of
from shared.contracts.scheduling import SchoolResources
from shared.errors import BadInput

SCHOOL_ID = "5b3a0c77-18c4-5e21-a5a9-7f3d0c1de2aa"


def test_the_framework_is_taken_whole_and_has_no_cycle() -> None:
    competencies, report = read_package(json.loads(json.dumps(framework.package())))
    counts = Counter(known.subject for known in competencies if known.assessable)
    assert counts["mathematics"] >= 150
    assert counts["reading"] >= 40
    assert report.notes == ()
    assert report.prerequisites == sum(len(skill.before) for skill in skills().values())


def test_what_comes_before_is_of_the_same_subject_and_no_higher_grade() -> None:
    for skill in skills().values():
        for before in skill.before:
            assert skills()[before].subject == skill.subject
            assert GRADES.index(skills()[before].grade) <= GRADES.index(skill.grade)


def test_teaching_order_puts_what_comes_before_first() -> None:
    order = teaching_order()
    assert sorted(order) == sorted(skills())
    for skill in skills().values():
        assert all(order.index(before) < order.index(skill.code) for before in skill.before)


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("grade", TAUGHT)
def test_checks_cover_all_that_a_grade_rests_on(subject: str, grade: str) -> None:
    bring = beneath(subject, grade)
    assert bring
    for each in items.checks(subject, grade):
        assert tuple(code for item in each for code in item.codes) == bring
    for code in of_grade(subject, grade):
        assert {b for b in skills()[code].before if skills()[b].grade != grade} <= set(bring)


def test_the_roster_is_taken_whole() -> None:
    taken = read(roster.archive(school(240, 1)))
    assert len(taken["classes.csv"]) == 12
    assert len(taken["users.csv"]) == 240 + 16
    learners = {row["userSourcedId"] for row in taken["roles.csv"] if row["role"] == "student"}
    enrolled = Counter(row["userSourcedId"] for row in taken["enrollments.csv"] if row["role"] == "student")
    assert enrolled == Counter(dict.fromkeys(learners, 2))


def test_a_district_of_several_schools_is_taken_whole() -> None:
    taken = read(roster.archive(*schools(100, 3, 1)))
    assert Counter(row["orgSourcedId"] for row in taken["roles.csv"] if row["role"] == "student") == Counter(
        {"org-willowbank": 33, "org-2": 33, "org-3": 34}
    )
    assert len({row["userIds"] for row in taken["users.csv"]}) == 100 + 3 * 16
    assert len(taken["classes.csv"]) == 3 * 12


def test_every_class_has_a_teacher_and_every_teacher_a_class() -> None:
    everybody = school(240, 1)
    assert all(each.teachers for each in everybody.classes)
    assert {person for each in everybody.classes for person in each.teachers} == {each.sourced_id for each in everybody.teachers}


def test_the_spoilt_roster_has_exactly_one_fault() -> None:
    with pytest.raises(BadInput) as refused:
        read(roster.archive(school(240, 1), spoilt=True))
    (fault,) = refused.value.faults
    assert fault.place.startswith("users.csv:")
    assert fault.place.endswith(":enabledUser")
    assert fault.remedy


@pytest.mark.parametrize("learners", [24, 61, 240, 1_000])
def test_names_are_different_and_everybody_has_a_section(learners: int) -> None:
    everybody = school(learners, 5)
    assert len({(each.given, each.family) for each in (*everybody.learners, *everybody.teachers)}) == learners + 16
    sizes = Counter((each.grade, each.section) for each in everybody.learners)
    assert len(sizes) == 6
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_every_item_is_aligned_to_competencies_of_the_framework() -> None:
    known = {competency.id for competency in read_package(framework.package())[0] if competency.assessable}
    aligned = from_json(items.alignments(items.all_items()))
    assert {competency for each in aligned for competency in each.competency_ids} == known


def test_every_competency_can_be_learned_in_three_ways_of_which_one_is_alone_and_one_in_a_group() -> None:
    ways: dict[str, set[str]] = {}
    for each in read_catalogue(catalogue.activities(1)):
        ways.setdefault(each.competency_id, set()).add(each.modality.value)
    assert set(ways) == {skill.guid for skill in skills().values()}
    grouped = {rule[0] for rule in resources.RULES}
    assert all(len(found) >= 3 and found & grouped and found - grouped for found in ways.values())


@pytest.mark.parametrize("learners", [24, 240, 2_400])
def test_the_spaces_seat_everybody(learners: int) -> None:
    (told,) = resources.resources(SCHOOL_ID, learners)["schools"]
    made = SchoolResources.model_validate(told)
    assert faults_of([made]) == []
    assert len(made.spaces) == 14
    assert len(made.periods) == 6
    assert sum(zone.seats for space in made.spaces for zone in space.zones) > learners


def test_the_same_seed_makes_the_same_district_in_any_process() -> None:
    """Names, roster and activities do not depend on the order of sets, which differs from process to process."""
    told = (
        "import hashlib, json\nfrom demo import catalogue, roster\nfrom demo.school import school\n"
        "print(hashlib.sha256(roster.archive(school(60, 3)) + json.dumps(catalogue.activities(3)).encode()).hexdigest())"
    )
    run = [
        subprocess.run([sys.executable, "-c", told], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True)
        for seed in ("1", "2")
    ]
    assert run[0].stdout == run[1].stdout
    assert roster.archive(school(60, 3)) != roster.archive(school(60, 4))
