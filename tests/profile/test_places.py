"""Who is here on a day, as a learner or as staff, and at which school."""

from datetime import date

import pytest

from services.profile.roster import Plan, class_id
from shared.contracts.profile import LearnerRostered, StaffRostered
from shared.keys import school_id_of
from tests.profile.district import District
from tests.profile.test_roster import after, learners_of, planned, warned, with_spring

AUTUMN = "2027-08-30"
S1, S2 = (school_id_of("sis", school) for school in ("s1", "s2"))


def staff_of(plan: Plan) -> dict[str, StaffRostered]:
    """By given name."""
    return {named.name.split('"')[1]: named.told for named in plan.staff if isinstance(named.told, StaffRostered)}


def role(user: str, school: str, kind: str = "student", **cells: str) -> dict[str, str]:
    named = {"sourcedId": f"role-{user}-{school}", "userSourcedId": user, "roleType": "primary", "role": kind, "orgSourcedId": school}
    return named | cells


def announced(school: str = "s1", begins: str = AUTUMN) -> District:
    """A child who is registered beforehand, and a teacher who is hired from then on."""
    district = District().student("k1", school, grades="KG")
    district.rows["roles.csv"][-1]["beginDate"] = begins
    hal = {"sourcedId": "p9", "enabledUser": "true", "username": "hal", "givenName": "Hal", "familyName": "Newhire"}
    district.rows["users.csv"].append(hal)
    district.rows["roles.csv"].append(role("p9", school, "teacher", beginDate=begins))
    return district


@pytest.mark.parametrize("school", ["s1", "s2"])
def test_who_begins_after_the_term_that_is_under_way_is_not_here_yet(school: str) -> None:
    """Also at a school without classes, whose terms are those of all."""
    plan = planned(announced(school))
    assert (set(learners_of(plan)), set(staff_of(plan))) == ({"Ada", "Ben", "Cyd"}, {"Dora", "Eve"})
    assert warned(plan) == {("users.csv:9:sourcedId", "not-yet"), ("users.csv:10:sourcedId", "not-yet")}
    then = planned(announced(school), after(plan), on=date(2027, 8, 30))
    assert (learners_of(then)["Gus"].school_id, staff_of(then)["Hal"].school_id) == (school_id_of("sis", school),) * 2


@pytest.mark.parametrize(("begins", "here"), [("2026-11-25", True), ("2026-11-29", True), ("2026-11-30", False)])
def test_who_begins_within_days_is_here_so_that_nobody_misses_her_first_day(begins: str, here: bool) -> None:
    plan = planned(announced(begins=begins))
    assert ("Gus" in learners_of(plan), "Hal" in staff_of(plan)) == (here, here)


def test_who_changes_schools_over_a_weekend_is_not_withdrawn_in_between() -> None:
    first, moved = planned(District()), District().put("roles.csv", "r2", endDate="2026-11-24").remove("enrollments.csv", "e3")
    moved.rows["roles.csv"].append(role("u2", "s2", beginDate="2026-11-26"))
    second = planned(moved, after(first))
    assert (learners_of(second)["Ben"].school_id, second.gone) == (S2, [])


def test_while_some_are_at_summer_school_those_who_begin_in_autumn_are_here() -> None:
    district = District()
    for number in range(12):
        district.student(f"n{number}")
        district.rows["roles.csv"][-1].update(beginDate="2026-09-02" if number else "2026-08-03")
    plan = planned(district.put("academicSessions.csv", "t1", startDate="2026-08-03"), on=date(2026, 8, 10))
    assert len(plan.learners) == 15


def test_who_left_and_is_announced_for_the_next_year_is_away_until_then() -> None:
    first = planned(District())
    back = District().put("roles.csv", "r2", endDate="2026-11-01").remove("enrollments.csv", "e3")
    back.rows["roles.csv"].append(role("u2", "s1", beginDate=AUTUMN))
    second = planned(back, after(first))
    assert second.gone == [learners_of(first)["Ben"].model_copy(update={"active": False})]
    assert learners_of(planned(back, after(first, second), on=date(2027, 8, 10)))["Ben"].active


def test_an_enrollment_that_begins_later_makes_nobody_a_learner_or_staff() -> None:
    district = District()
    for user in ("u2", "p1"):
        district.rows["roles.csv"] = [row for row in district.rows["roles.csv"] if row["userSourcedId"] != user]
        district.rows["roles.csv"].append(role(user, "s1", "counselor"))
        for row in district.rows["enrollments.csv"]:
            row.update({"beginDate": "2026-12-01"} if row["userSourcedId"] == user else {})
    plan = planned(district)
    assert ("Ben" in learners_of(plan), "Dora" in staff_of(plan)) == (False, False)
    assert {code for _, code in warned(plan)} == {"not-yet"}


@pytest.mark.parametrize(("begins", "here"), [("2027-01-18", True), ("2027-02-01", True), (AUTUMN, False)])
def test_between_two_terms_those_of_the_next_one_are_here(begins: str, here: bool) -> None:
    district = with_spring().put("classes.csv", "c2", termSourcedIds="t2").student("n1")
    district.rows["roles.csv"][-1]["beginDate"] = begins
    assert ("Gus" in learners_of(planned(district, on=date(2027, 1, 16)))) is here


def test_a_class_that_was_dropped_before_it_began_does_not_count() -> None:
    district = District().put("enrollments.csv", "e2", beginDate="2026-09-07", endDate="2027-06-19")
    for enrollment in ("e1", "e3"):
        district.put("enrollments.csv", enrollment, beginDate="2026-08-31", endDate="2026-08-31")
    learners = learners_of(planned(district, on=date(2026, 8, 20)))
    assert learners["Ada"].class_ids == (class_id("sis", "s1", "c2"),)
    assert learners["Ben"].class_ids == ()


def at_two_schools(first: bool) -> District:
    """A learner and a teacher with a role at each school, that of the second one above or below."""
    district = District()
    more = [role("u1", "s2"), role("p1", "s2", "teacher")]
    district.rows["roles.csv"] = more + district.rows["roles.csv"] if first else district.rows["roles.csv"] + more
    return district


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("home", "enrolled", "begins", "school"),
    [
        ("s2", True, "", S2), ("", True, "2026-11-01", S1), ("", False, "2026-11-01", S2), ("", False, "", S1),
        ("d", False, "2026-11-01", S2),
    ],
)  # fmt: skip
def test_of_several_roles_it_is_never_the_order_of_rows_that_says_the_school(
    first: bool, home: str, enrolled: bool, begins: str, school: object
) -> None:
    """It is the primary organisation, or else where she is enrolled, or else the role that began last, or else the order of their ids."""
    district = at_two_schools(first)
    for user in ("u1", "p1"):
        district.put("users.csv", user, primaryOrgSourcedId=home)
        if begins:
            district.row("roles.csv", f"role-{user}-s2")["beginDate"] = begins
    if not enrolled:
        district.rows["enrollments.csv"] = []
    for name, each in (("r1", "u1"), ("r4", "p1")):
        district.put("roles.csv", name, sourcedId=f"role-{each}-s1")
    plan = planned(district)
    assert (learners_of(plan)["Ada"].school_id, staff_of(plan)["Dora"].school_id) == (school, school)


def test_who_moves_in_the_middle_of_the_year_is_where_she_learns_now() -> None:
    """The role at her former school stands without an end until the year is over."""
    district = at_two_schools(first=False)
    for enrollment in ("e1", "e2"):
        district.put("enrollments.csv", enrollment, endDate="2026-11-16")
    district.row("roles.csv", "role-u1-s2")["beginDate"] = "2026-11-16"
    assert learners_of(planned(district))["Ada"].school_id == S2


def test_who_teaches_at_several_schools_is_a_warning() -> None:
    assert warned(planned(at_two_schools(first=False))) == {("users.csv:6:sourcedId", "several-schools")}


@pytest.mark.parametrize("word", ["ext:peerTutor", "ext:observer"])
def test_a_role_of_the_districts_own_in_a_class_makes_no_staff_of_children_and_parents(word: str) -> None:
    district = District()
    for user in ("u2", "g1"):
        of_class = {"classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": user, "role": word}
        district.rows["enrollments.csv"].append({"sourcedId": f"x-{user}"} | of_class)
    plan = planned(district)
    assert staff_of(plan).keys() == {"Dora", "Eve"}
    assert isinstance(learners_of(plan)["Ben"], LearnerRostered)
    assert warned(plan) == set()


@pytest.mark.parametrize("word", ["teacher", "proctor"])
def test_nor_does_any_enrollment_and_that_is_a_warning(word: str) -> None:
    district = District()
    of_class = {"classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": "g1", "role": word}
    district.rows["enrollments.csv"].append({"sourcedId": "x1"} | of_class)
    plan = planned(district)
    assert staff_of(plan).keys() == {"Dora", "Eve"}
    assert warned(plan) == {("enrollments.csv:7:role", "not-staff")}


@pytest.mark.parametrize(("kind", "word", "staff"), [
    ("principal", "teacher", True), ("ext:paraeducator", "ext:helper", True), ("principal", "ext:observer", False),
])  # fmt: skip
def test_of_others_it_says_who_is_staff(kind: str, word: str, staff: bool) -> None:
    district = District().put("roles.csv", "r4", role=kind).put("enrollments.csv", "e4", role=word).remove("enrollments.csv", "e5")
    assert ("Dora" in staff_of(planned(district))) is staff
