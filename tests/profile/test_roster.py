"""Who a row is, where she belongs, and what a roster asks for against what is known."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from services.profile import oneroster
from services.profile import roster as rosters
from services.profile.person_iri import MAX_TEMPLATES, person_iris
from services.profile.roster import Known, Plan, plan
from shared.contracts.profile import ClassRostered, LearnerRostered, StaffRostered
from shared.errors import BadInput
from shared.keys import alias_of, learner_id_of, person_alias, school_id_of
from tests.profile.district import District, with_too_much_of_one

KEY = bytes(32)
DAY = date(2026, 11, 24)
LMS = "https://lms.example/users/{userIds:LMS}"


def planned(district: District, known: Known | None = None, on: date = DAY, source: str = "sis", iris: Sequence[str] = ()) -> Plan:
    return plan(oneroster.read(district.zip()), source, on, KEY, known or Known(), person_iris(iris))


def test_ids_of_schools_and_classes_are_made_once_however_many_learners_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for name in ("school_id_of", "class_id_of"):
        real = getattr(rosters, name)
        monkeypatch.setattr(rosters, name, lambda *given, name=name, real=real: made.append(name) or real(*given))
    counts = []
    for students in (1, 40):
        district = District()
        for number in range(students):
            district.student(f"n{number}")
            enrollment = {"classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": f"n{number}", "role": "student"}
            district.rows["enrollments.csv"].append({"sourcedId": f"en{number}"} | enrollment)
        assert len(planned(district).learners) == 3 + students
        counts.append(len(made))
        made.clear()
    assert counts[0] == counts[1] > 0


def learners_of(plan: Plan) -> dict[str, LearnerRostered]:
    """By given name."""
    return {named.name.split('"')[1]: named.told for named in plan.learners if isinstance(named.told, LearnerRostered)}


def after(*plans: Plan) -> Known:
    """What is known once these were taken, one after the other."""
    known: dict[type, dict[UUID, Any]] = {LearnerRostered: {}, StaffRostered: {}, ClassRostered: {}}
    for each in plans:
        for one in (*(named.told for named in each.named), *each.gone):
            known[type(one)][next(iter(dict(one).values()))] = one
    return Known({}, known[ClassRostered], known[StaffRostered], known[LearnerRostered])


def faults_of(district: District, known: Known | None = None) -> set[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        planned(district, known)
    return {(fault.place, fault.code) for fault in caught.value.faults}


def alias(name: str, column: str = "") -> str:
    """What the SIS's id in a column is hashed as; by default its `sourcedId`."""
    return alias_of(KEY, f"sis/{column}" if column else "sis", name)


def test_the_earliest_session_is_told_also_one_that_no_class_is_in() -> None:
    assert planned(District()).first_session == date(2026, 8, 31)
    assert planned(District().put("academicSessions.csv", "y", startDate="2026-07-01")).first_session == date(2026, 7, 1)


@pytest.mark.parametrize("placeholder", ["1900-01-01", "1989-12-31", "2101-01-01"])
def test_a_session_that_begins_when_no_course_did_says_nothing_of_the_first_day(placeholder: str) -> None:
    plan = planned(District().put("academicSessions.csv", "y", startDate=placeholder, endDate="2101-06-30"))
    others = [row["startDate"] for row in District().rows["academicSessions.csv"] if row["sourcedId"] != "y"]
    assert plan.first_session == min(map(date.fromisoformat, others), default=None)
    assert [(each.place, each.code) for each in plan.warnings.first if each.code == "no-first-day"] == [
        ("academicSessions.csv:2:startDate", "no-first-day")
    ]


def test_a_learner_belongs_to_a_school_and_classes() -> None:
    plan = planned(District())
    ada, cyd = learners_of(plan)["Ada"], learners_of(plan)["Cyd"]
    assert ada.school_id == school_id_of("sis", "s1")
    assert set(ada.class_ids) == {each.id for each in plan.classes}
    assert (ada.grade, cyd.grade, cyd.class_ids) == ("05", "05", ())
    assert cyd.school_id == school_id_of("sis", "s2")
    assert len(plan.learners) == 3, "guardians and teachers are no learners"


def test_staff_teach_the_subjects_of_their_classes() -> None:
    dora, eve = (named.told for named in planned(District()).staff)
    assert isinstance(dora, StaffRostered)
    assert isinstance(eve, StaffRostered)
    assert dora.subjects == ("drama", "mathematics", "reading"), "the course's where the class names none"
    assert eve.subjects == ()
    assert eve.school_id == school_id_of("sis", "s2"), "her role is the district's, her organisation a school"


@pytest.mark.parametrize("role", ["proctor", "ext:helper"])
def test_who_is_in_a_class_and_no_teacher_of_it_is_not_qualified_for_its_subjects(role: str) -> None:
    district = District().put("enrollments.csv", "e5", role=role)
    dora = planned(district).staff[0].told
    assert isinstance(dora, StaffRostered)
    assert (dora.subjects, len(dora.class_ids)) == (("mathematics",), 2)
    dora = planned(district.put("enrollments.csv", "e4", role=role)).staff[0].told
    assert isinstance(dora, StaffRostered)
    assert (dora.subjects, len(dora.class_ids)) == ((), 2), "she is with the class all the same"


def test_staff_of_no_school_are_passed_over_with_a_warning() -> None:
    plan = planned(District().put("users.csv", "p2", primaryOrgSourcedId=""))
    assert len(plan.staff) == 1
    assert [(fault.place, fault.code) for fault in plan.warnings.first] == [("users.csv:7:sourcedId", "no-school")]


def test_students_of_no_school_are_passed_over_with_a_warning_and_keep_nobody_back() -> None:
    first = planned(District())
    second = planned(District().put("roles.csv", "r3", orgSourcedId="d").student("new-1", "d"), after(first))
    assert learners_of(second).keys() == {"Ada", "Ben"}
    told = {(fault.place, fault.code, fault.detail) for fault in second.warnings.first}
    told_of = ("users.csv:4:sourcedId", "users.csv:9:sourcedId")
    assert told == {(place, "no-school", "learns at no school, so she is not taken") for place in told_of}
    cyd = learners_of(first)["Cyd"]
    assert second.gone == [cyd.model_copy(update={"active": False})], "known before, so withdrawn"
    assert planned(District().put("roles.csv", "r3", orgSourcedId="d"), after(first, second)).gone == []
    assert learners_of(planned(District(), after(first, second)))["Cyd"] == cyd


def departments(**parents: str) -> District:
    """A district with departments, each within an org."""
    district = District()
    for name, parent in parents.items():
        district.rows["orgs.csv"].append({"sourcedId": name, "name": name, "type": "department", "parentSourcedId": parent})
    return district


@pytest.mark.parametrize(
    ("org", "school"), [("s2", "s2"), ("a1", "s1"), ("a2", "s1"), ("b1", None), ("b2", None), ("b3", None), ("n", None), ("d", None)]
)
def test_who_belongs_to_an_org_within_a_school_belongs_to_the_school(org: str, school: str | None) -> None:
    district = departments(a1="s1", a2="a1", b1="b2", b2="b1", b3="b2", n="").student("new-1", org)
    district.put("users.csv", "p2", primaryOrgSourcedId="").put("roles.csv", "r5", orgSourcedId=org)
    plan = planned(district)
    gus = learners_of(plan).get("Gus")
    eve = next((named.told for named in plan.staff if "Eve" in named.name), None)
    assert isinstance(eve, StaffRostered | None)
    wanted = school and school_id_of("sis", school)
    assert [each and each.school_id for each in (gus, eve)] == [wanted, wanted]
    assert len(learners_of(plan).keys() - {"Gus"}) == 3
    assert plan.warnings.total == (0 if school else 2)


def test_a_primary_role_within_a_school_comes_before_a_secondary_one() -> None:
    district = departments(a1="s1").student("new-1", "a1")
    second = {"sourcedId": "r7", "userSourcedId": "new-1", "roleType": "secondary", "role": "student", "orgSourcedId": "s2"}
    district.rows["roles.csv"].append(second)
    assert learners_of(planned(district))["Gus"].school_id == school_id_of("sis", "s1")


def test_an_id_passes_on_to_nobody_who_is_not_taken() -> None:
    """Nor to another row that has it, too: whose work comes under it is not known."""
    first = planned(District())
    district = District().put("users.csv", "u1", userIds="").student("new-1", "d", userIds="{LMS:lms-1},{LTI:new}")
    second = planned(district.put("users.csv", "u2", userIds="{LTI:new}"), after(first))
    assert alias_of(KEY, "LMS", "lms-1") in learners_of(second)["Ada"].aliases
    assert alias_of(KEY, "LTI", "new") not in learners_of(second)["Ben"].aliases
    assert second.handed_on == 0
    assert {("users.csv:9:userIds", "alias-taken"), ("users.csv:3:userIds", "shared-id")} <= warned(second)
    assert "alias-handed-on" not in {code for _, code in warned(second)}


def test_what_has_ended_does_not_count() -> None:
    district = District().put("enrollments.csv", "e1", endDate="2026-11-24").put("enrollments.csv", "e2", endDate="2026-11-25")
    assert len(learners_of(planned(district))["Ada"].class_ids) == 1
    district.put("roles.csv", "r2", endDate="2026-11-01").remove("enrollments.csv", "e3")
    assert "Ben" not in learners_of(planned(district))


def test_what_begins_later_counts_once_it_has_begun() -> None:
    """As exports of autumn carry it: the classes of spring, and a move that is announced."""
    district = District().put("enrollments.csv", "e1", beginDate="2026-11-24").put("enrollments.csv", "e2", beginDate="2026-11-25")
    district.put("roles.csv", "r2", endDate="2027-01-01")
    move = {
        "sourcedId": "r7",
        "userSourcedId": "u2",
        "roleType": "primary",
        "role": "student",
        "orgSourcedId": "s2",
        "beginDate": "2027-01-01",
    }
    district.rows["roles.csv"].insert(0, move)
    now, then = (learners_of(planned(district, on=day)) for day in (DAY, date(2027, 1, 1)))
    assert (len(now["Ada"].class_ids), len(then["Ada"].class_ids)) == (1, 2)
    assert [each["Ben"].school_id for each in (now, then)] == [school_id_of("sis", school) for school in ("s1", "s2")]


def test_before_the_year_begins_its_first_classes_and_schools_count() -> None:
    district = District()
    for file in ("roles.csv", "enrollments.csv"):
        for row in district.rows[file]:
            row["beginDate"] = "2026-08-31"
    district.put("enrollments.csv", "e2", beginDate="2027-01-18")
    plan = planned(district, on=date(2026, 8, 10))
    assert (len(plan.learners), len(plan.staff), len(learners_of(plan)["Ada"].class_ids)) == (3, 2, 1)


SPRING = {
    "sourcedId": "t2",
    "title": "Spring",
    "type": "term",
    "startDate": "2027-01-18",
    "endDate": "2027-06-19",
    "schoolYear": "2027",
}


def with_spring(**own: str) -> District:
    """Ada's mathematics in autumn, her reading in spring; `own` are dates of the enrollments themselves."""
    district = District()
    district.rows["academicSessions.csv"].append(SPRING)
    district.put("classes.csv", "c2", termSourcedIds="t2")
    for enrollment in ("e2", "e5"):
        district.put("enrollments.csv", enrollment, **own)
    return district


@pytest.mark.parametrize(
    ("on", "classes"),
    [
        (date(2026, 7, 1), ["c1"]), (date(2026, 8, 31), ["c1"]), (date(2027, 1, 15), ["c1"]), (date(2027, 1, 16), ["c2"]),
        (date(2027, 1, 18), ["c2"]), (date(2027, 6, 18), ["c2"]), (date(2027, 6, 19), []),
    ],
)  # fmt: skip
def test_classes_are_those_of_the_term_where_enrollments_have_no_dates(on: date, classes: list[str]) -> None:
    plan = planned(with_spring(), on=on)
    ada, dora = learners_of(plan)["Ada"], plan.staff[0].told
    assert isinstance(dora, StaffRostered)
    ids = tuple(rosters.class_id("sis", "s1", each) for each in classes)
    assert (ada.class_ids, dora.class_ids) == (ids, ids)
    assert dora.subjects == {"c1": ("mathematics",), "c2": ("drama", "reading")}.get("".join(classes), ())
    assert (len(plan.learners), len(plan.staff), len(plan.classes)) == (3, 2, 2), "people stay, with or without classes"
    assert [fault.code for fault in plan.warnings.first] == ([] if classes else ["terms-over"])
    again = planned(with_spring(), after(plan), on=on)
    assert ([each.told for each in again.named], again.gone) == ([each.told for each in plan.named], [])


@pytest.mark.parametrize(
    ("own", "count"),
    [
        ({"beginDate": "2026-11-24"}, 2), ({"beginDate": "2026-11-25"}, 1), ({"endDate": "2027-02-01"}, 1), ({"endDate": "2026-12-01"}, 2),
        ({"beginDate": "2026-11-01", "endDate": "2026-11-25"}, 2),
    ],
)  # fmt: skip
def test_dates_of_an_enrollment_come_before_those_of_the_term(own: dict[str, str], count: int) -> None:
    assert len(learners_of(planned(with_spring(**own)))["Ada"].class_ids) == count
    over = with_spring(beginDate="2027-07-01")
    assert len(learners_of(planned(over, on=date(2027, 7, 1)))["Ada"].class_ids) == 1, "terms that her own dates lie outside of say nothing"


def test_a_class_of_several_terms_counts_from_the_first_to_the_last() -> None:
    district = with_spring().put("classes.csv", "c1", termSourcedIds="t2,t1")
    assert len(learners_of(planned(district, on=date(2027, 1, 17)))["Ada"].class_ids) == 1
    assert len(learners_of(planned(district, on=date(2027, 1, 18)))["Ada"].class_ids) == 2


def test_whose_classes_are_over_stays_at_their_school() -> None:
    district = District().put("roles.csv", "r1", orgSourcedId="d").put("roles.csv", "r4", orgSourcedId="d", role="principal")
    plan = planned(district, on=date(2027, 7, 1))
    school = school_id_of("sis", "s1")
    assert [each.told.school_id for each in (*plan.learners, *plan.staff) if "Ada" in each.name or "Dora" in each.name] == [school, school]


@pytest.mark.parametrize(
    ("on", "term"),
    [
        (date(2026, 8, 1), (date(2026, 8, 31), date(2027, 1, 16))),
        (date(2026, 11, 24), (date(2026, 8, 31), date(2027, 1, 16))),
        (date(2027, 1, 16), (date(2027, 1, 18), date(2027, 6, 19))),
        (date(2028, 1, 1), (date(2027, 1, 18), date(2027, 6, 19))),
    ],
)
def test_a_school_is_in_the_term_of_the_day(on: date, term: tuple[date, date]) -> None:
    district = District().put("classes.csv", "c1", termSourcedIds="t1,t2").put("classes.csv", "c2", termSourcedIds="t2")
    district.rows["academicSessions.csv"].append(SPRING)
    brook, hill = planned(district, on=on).schools
    assert (brook.term_starts, brook.term_ends) == term
    assert (hill.term_starts, hill.term_ends) == (None, None), "it has no classes"


def test_a_learner_is_known_under_all_her_ids() -> None:
    of_sis = {alias("u1"), alias("1001", "identifier"), alias("lms-1", "userIds/LMS"), alias("lti-1", "userIds/LTI")}
    ada = learners_of(planned(District()))["Ada"]
    assert set(ada.matches) == of_sis
    assert set(ada.aliases) == {*of_sis, alias_of(KEY, "LMS", "lms-1"), alias_of(KEY, "LTI", "lti-1")}


@pytest.mark.parametrize(
    ("template", "actor"),
    [
        (LMS, "https://lms.example/users/lms-1"),
        (LMS, "https://lms.example/users/lms-1/"),
        ("urn:sis:person:{sourcedId}", "urn:sis:person:u1"),
        ("https://lms.example/u/{identifier}", "https://lms.example/u/1001"),
        ("https://lms.example/u/{userMasterIdentifier}", "https://lms.example/u/m/1"),
        ("https://lms.example/people#{username}", "https://lms.example/people#ada.m"),
    ],
)
def test_a_template_declares_how_a_system_names_the_learners(template: str, actor: str) -> None:
    district = District().put("users.csv", "u1", userMasterIdentifier="m/1")
    one, two = person_alias(KEY, "sis", actor), person_alias(KEY, "", actor)
    assert one == two, "an IRI is its own source"
    assert one not in learners_of(planned(district))["Ada"].aliases, "nobody declared it"
    plan = planned(district, iris=[template])
    assert [given for given, each in learners_of(plan).items() if one in each.aliases] == ["Ada"]
    assert set(learners_of(plan)["Ada"].aliases) == {one, *learners_of(planned(district))["Ada"].aliases}
    assert plan.warnings.total == 0


def test_the_same_last_part_behind_two_prefixes_is_two_aliases() -> None:
    district = District().put("users.csv", "u1", userIds="{Canvas:17}").put("users.csv", "u2", userIds="{Moodle:17}", identifier="17x")
    plan = planned(district, iris=["https://canvas.example/users/{userIds:Canvas}", "https://other-lms.example/u/{userIds:Moodle}"])
    actors = ("https://canvas.example/users/17", "https://other-lms.example/u/17", "https://canvas.example/u/17")
    aliases = [person_alias(KEY, "x", actor) for actor in actors]
    holders = [[given for given, each in learners_of(plan).items() if alias in each.aliases] for alias in aliases]
    assert holders == [["Ada"], ["Ben"], []]
    assert alias_of(KEY, "Canvas", "17") in learners_of(plan)["Ada"].aliases
    assert plan.warnings.total == 0


def test_a_sourced_id_that_is_an_iri_needs_no_template() -> None:
    district = District().put("users.csv", "u2", userIds="{LMS:https://lms.example/users/b}")
    assert person_alias(KEY, "", "https://lms.example/users/b") in learners_of(planned(district))["Ben"].aliases


def test_an_iri_that_two_rows_make_is_nobodys() -> None:
    district = District().put("users.csv", "u2", username="u1")
    plan = planned(district, iris=["https://lms.example/u/{sourcedId}", "https://lms.example/u/{username}"])
    shared = person_alias(KEY, "", "https://lms.example/u/u1")
    assert not [given for given, each in learners_of(plan).items() if shared in each.aliases], "which column the LMS means is not known"
    assert {(fault.place, fault.code) for fault in plan.warnings.first} == {
        ("users.csv:2:sourcedId", "shared-id"),
        ("users.csv:3:username", "shared-id"),
    }


def test_what_no_iri_can_hold_is_warned_of() -> None:
    plan = planned(District().put("users.csv", "u2", username="ben o"), iris=["https://lms.example/u/{username}"])
    assert [(fault.place, fault.code) for fault in plan.warnings.first] == [("users.csv:3:username", "no-iri")]


def test_an_import_with_other_templates_is_another_one() -> None:
    once = {planned(District(), iris=iris).content_hash for iris in ([LMS, "urn:a:{username}"], ["urn:a:{username}", LMS, LMS])}
    assert len(once) == 1
    assert len({*once, planned(District()).content_hash, planned(District(), iris=[LMS]).content_hash}) == 3


@pytest.mark.parametrize(
    "template",
    [
        "", "https://lms.example/users/", "{sourcedId}", "users/{sourcedId}", "https://lms.example/{sourcedId}/", "https://lms.example/{email}",
        "https://lms.example/{userIds}", "https://lms.example/{userIds:}", "https://lms.example/{sourcedId}{username}", "https://lms.example/{}",
        "https://lms example/{sourcedId}", "https://lms.example/{sourcedId", "x" * 3_000 + ":{sourcedId}",
    ],
)  # fmt: skip
def test_a_malformed_template_is_a_fault_that_names_the_parameter(template: str) -> None:
    with pytest.raises(BadInput) as caught:
        person_iris([LMS, template])
    [fault] = caught.value.faults
    assert (fault.place, fault.code) == ("query/person_iri/1", "person-iri")
    assert "userIds:TYPE" in fault.remedy


def test_templates_come_once_and_in_order() -> None:
    texts = [LMS, "https://a.example/{username}", LMS]
    assert [each.text for each in person_iris(texts)] == sorted(set(texts))
    assert len(person_iris([f"urn:{n}:{{sourcedId}}" for n in range(MAX_TEMPLATES)])) == MAX_TEMPLATES


def test_the_same_roster_again_tells_the_same() -> None:
    first = planned(District())
    again = planned(District(), after(first))
    assert again.learners == first.learners
    assert again.staff == first.staff
    assert again.gone == []


@pytest.mark.parametrize(
    ("ids", "new"),
    [
        ({"identifier": "1001"}, []), ({"userIds": "{LMS:lms-1}"}, []), ({"userMasterIdentifier": "m1"}, []),
        ({"userIds": "{SIS:new},{LTI:lti-1}"}, [alias("new", "userIds/SIS"), alias_of(KEY, "SIS", "new")]),
    ],
)  # fmt: skip
def test_a_user_entered_anew_under_another_id_is_the_same_learner(ids: dict[str, str], new: list[str]) -> None:
    first = planned(District().put("users.csv", "u1", userMasterIdentifier="m1"))
    second = planned(District().without_user("u1").student("new-1", **ids), after(first))
    was, now = learners_of(first)["Ada"], learners_of(second)["Gus"]
    assert now.learner_id == was.learner_id
    assert set(now.aliases) == {*was.aliases, alias("new-1"), *new}
    assert now.learner_id not in {each.learner_id for each in second.gone if isinstance(each, LearnerRostered)}


@pytest.mark.parametrize(
    "ids",
    [{"username": "ada.m"}, {"email": "ada@brook.example"}, {"identifier": "lms-1"}, {"identifier": "u1"}, {"userIds": "{Other:lms-1}"}],
)
def test_what_is_handed_on_or_stands_in_another_column_matches_nobody(ids: dict[str, str]) -> None:
    first = planned(District())
    second = planned(District().without_user("u1").student("new-1", **ids), after(first))
    assert learners_of(second)["Gus"].learner_id != learners_of(first)["Ada"].learner_id
    assert set(learners_of(second)["Gus"].aliases).isdisjoint(learners_of(first)["Ada"].aliases)
    assert second.warnings.total == 0, "two columns, two aliases"


def test_another_source_has_other_people() -> None:
    first = planned(District())
    second = planned(District(), source="other")
    assert {each.learner_id for each in learners_of(first).values()}.isdisjoint(each.learner_id for each in learners_of(second).values())


def test_an_id_that_two_rows_have_is_nobodys_alias_unless_it_is_the_sourced_id_of_one() -> None:
    district = District().put("users.csv", "u2", userIds="{sis:u1}", username="ada.m")
    plan = planned(district, iris=["urn:lms:{username}"])
    ada, ben = learners_of(plan)["Ada"], learners_of(plan)["Ben"]
    assert person_alias(KEY, "", "urn:lms:ada.m") not in {*ada.aliases, *ben.aliases}
    assert alias("u1") in ada.aliases
    assert alias("u1") not in ben.aliases
    assert sorted((fault.place, fault.code) for fault in plan.warnings.first) == [
        ("users.csv:2:username", "shared-id"),
        ("users.csv:3:userIds", "shared-id"),
        ("users.csv:3:username", "shared-id"),
    ]


def warned(plan: Plan) -> set[tuple[str, str]]:
    return {(fault.place, fault.code) for fault in plan.warnings.first}


def test_two_who_were_taken_for_one_are_parted_again() -> None:
    """Ada was missing from an export in which her number stood at somebody new by mistake."""
    first = planned(District())
    second = planned(District().without_user("u1").student("new-1", identifier="1001"), after(first))
    assert learners_of(second)["Gus"].learner_id == learners_of(first)["Ada"].learner_id
    known, district = after(first, second), District().student("new-1")
    third = planned(district, known)
    assert learners_of(third)["Ada"].learner_id == learners_of(first)["Ada"].learner_id
    assert learners_of(third)["Gus"].learner_id == learner_id_of(KEY, alias("new-1"))
    assert ("users.csv:9:sourcedId", "id-handed-on") in warned(third)
    again = planned(district, after(first, second, third))
    assert [each.told for each in again.learners] == [each.told for each in third.learners]
    assert "id-handed-on" not in {code for _, code in warned(again)}


@pytest.mark.parametrize("unknown", ["0", "N/A"])
def test_a_placeholder_of_several_users_matches_nobody(unknown: str) -> None:
    first = planned(District().put("users.csv", "u2", identifier=unknown))
    second = planned(District().put("users.csv", "u2", identifier=unknown).put("users.csv", "u3", identifier=unknown), after(first))
    assert {("users.csv:3:identifier", "duplicate-identity"), ("users.csv:4:identifier", "duplicate-identity")} <= warned(second)
    assert alias(unknown, "identifier") not in {match for each in learners_of(second).values() for match in each.matches}
    third = planned(District().without_user("u2").student("new-1", identifier=unknown), after(first, second))
    assert learners_of(third)["Gus"].learner_id != learners_of(first)["Ben"].learner_id


def check_told_apart(*districts: District) -> list[Plan]:
    """Each import is taken, and `u1` and `u2` are who they were at first."""
    plans: list[Plan] = []
    for district in districts:
        plans.append(planned(district, after(*plans)))
        for name in ("Ada", "Ben"):
            assert learners_of(plans[-1])[name].learner_id == learners_of(plans[0])[name].learner_id
    return plans


def test_a_number_typed_at_the_wrong_pupil_is_corrected_the_next_day() -> None:
    wrong = District().put("users.csv", "u1", identifier="1002").put("users.csv", "u2", identifier="")
    _, corrected, again = check_told_apart(wrong, District(), District())
    assert ("users.csv:3:identifier", "id-handed-on") in warned(corrected)
    assert not {code for _, code in warned(again)} & {"id-handed-on"}
    assert alias("1002", "identifier") in learners_of(corrected)["Ben"].matches
    assert alias("1002", "identifier") not in learners_of(corrected)["Ada"].matches


def test_two_numbers_are_exchanged() -> None:
    exchanged = District().put("users.csv", "u1", identifier="1002").put("users.csv", "u2", identifier="1001")
    _, second, _ = check_told_apart(District(), exchanged, District())
    assert {("users.csv:2:identifier", "id-handed-on"), ("users.csv:3:identifier", "id-handed-on")} <= warned(second)
    assert alias("1001", "identifier") in learners_of(second)["Ben"].matches


def test_an_id_is_handed_on_to_one_who_is_new() -> None:
    handed = District().put("users.csv", "u1", userIds="").student("new-1", userIds="{LMS:lms-1}")
    first, second = check_told_apart(District(), handed)
    assert ("users.csv:9:userIds", "id-handed-on") in warned(second)
    assert learners_of(second)["Gus"].learner_id not in {each.learner_id for each in learners_of(first).values()}


def test_records_are_merged() -> None:
    first = planned(District())
    merged = District().without_user("u2").put("users.csv", "u1", identifier="1002")
    second = planned(merged, after(first))
    third = planned(merged, after(first, second))
    for each in (second, third):
        assert learners_of(each)["Ada"].learner_id == learners_of(first)["Ada"].learner_id
    assert ("users.csv:2:identifier", "id-handed-on") in warned(second)
    assert ("users.csv:2:identifier", "id-handed-on") not in warned(third), "said once"


def test_a_new_row_with_ids_of_two_earlier_people_is_somebody_new() -> None:
    first = planned(District())
    both = District().without_user("u1").without_user("u2").student("new-1", identifier="1002", userIds="{LMS:lms-1}")
    second = planned(both, after(first))
    assert ("users.csv:7:sourcedId", "ambiguous-identity") in warned(second)
    assert learners_of(second)["Gus"].learner_id not in {each.learner_id for each in learners_of(first).values()}


def with_lms(**more: str) -> District:
    """A district in which Ben has an LMS id, and more ids where they are given."""
    return District().put("users.csv", "u2", userIds="{LMS:ben.o}", **more)


def gus(**ids: str) -> District:
    """A district without Ben, in which Gus has his LMS id."""
    return District().without_user("u2").student("u9", **{"userIds": "{LMS:ben.o}"} | ids)


OF_LMS = alias_of(KEY, "LMS", "ben.o")


@pytest.mark.parametrize(
    ("bens", "ids"),
    [
        ({}, {"identifier": "3001", "userMasterIdentifier": "M-9"}), ({}, {"userMasterIdentifier": "M-9"}), ({}, {"identifier": "1001"}),
        ({"identifier": "", "userMasterIdentifier": "M-2"}, {"identifier": "3001"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("apart", [False, True])
def test_an_lms_id_that_is_given_to_another_child_does_not_make_her_who_had_it(
    bens: dict[str, str], ids: dict[str, str], apart: bool
) -> None:
    """Ben leaves, and Gus gets `ben.o`; there is a roster between the two, or not."""
    between = [District().without_user("u2")] if apart else []
    *before, last = hands_on(with_lms(**bens), *between, gus(**ids))
    ben, gus_ = learners_of(before[0])["Ben"], learners_of(last)["Gus"]
    assert gus_.learner_id == learner_id_of(KEY, alias("u9"))
    assert (holders(OF_LMS, *before), holders(OF_LMS, *before, last)) == (["Ben"], ["Gus"])
    assert last.handed_on == 2
    assert {("users.csv:8:userIds", "id-handed-on"), ("users.csv:8:userIds", "alias-handed-on")} <= warned(last)
    assert not {code for _, code in warned(last)} & {"known-again", "ambiguous-identity"}
    known = after(*before, last).learners
    assert (known[ben.learner_id].active, known[gus_.learner_id].active) == (False, True)


def test_who_is_entered_anew_beside_one_who_has_her_lms_id_now_is_known_again() -> None:
    first = planned(with_lms())
    both = gus(identifier="3001").student("u12", identifier="1002", givenName="Ben")
    second = planned(both, after(first))
    assert learners_of(second)["Ben"].learner_id == learners_of(first)["Ben"].learner_id
    assert learners_of(second)["Gus"].learner_id == learner_id_of(KEY, alias("u9"))
    assert ("users.csv:9:identifier", "known-again") in warned(second)
    both.rows["users.csv"].reverse()
    assert {name: each.learner_id for name, each in learners_of(planned(both, after(first))).items()} == {
        name: each.learner_id for name, each in learners_of(second).items()
    }, "in whatever order"


def test_who_comes_back_under_another_sourced_id_is_known_again_though_another_had_her_lms_id_meanwhile() -> None:
    back = District().without_user("u2").student("u12", identifier="1002", userIds="{LMS:ben.o}", givenName="Ben")
    plans = hands_on(with_lms(), gus(identifier="3001"), District().without_user("u2"), back)
    assert learners_of(plans[3])["Ben"].learner_id == learners_of(plans[0])["Ben"].learner_id
    assert holders(OF_LMS, *plans) == ["Ben"]


def test_an_lms_id_that_several_had_who_left_says_nobody() -> None:
    plans = hands_on(with_lms(), gus(identifier="3001"), District().without_user("u2"))
    hal = District().without_user("u2").student("u20", userIds="{LMS:ben.o}", givenName="Hal")
    known = after(*plans)
    turned = Known(known.schools, known.classes, known.staff, dict(reversed(list(known.learners.items()))))
    for each in (known, turned):
        fourth = planned(hal, each)
        assert learners_of(fourth)["Hal"].learner_id == learner_id_of(KEY, alias("u20"))
        assert ("users.csv:8:sourcedId", "ambiguous-identity") in warned(fourth)


@pytest.mark.parametrize(
    ("bens", "ids"),
    [
        ({"identifier": ""}, {}), ({}, {}), ({}, {"identifier": "1002"}), ({}, {"identifier": "1002", "userMasterIdentifier": "M-9"}),
        ({"identifier": ""}, {"identifier": "3001"}), ({"identifier": "", "userMasterIdentifier": "M-2"}, {"userMasterIdentifier": "M-2"}),
    ],
)  # fmt: skip
def test_who_is_entered_anew_is_known_again_and_that_is_said_once(bens: dict[str, str], ids: dict[str, str]) -> None:
    """By an id of the school's own, or by that of the LMS where neither of the two rows, or the first one alone, has none."""
    first, second = hands_on(with_lms(**bens), gus(**ids))
    ben, gus_ = learners_of(first)["Ben"], learners_of(second)["Gus"]
    assert gus_.learner_id == ben.learner_id
    (told,) = [fault for fault in second.warnings.first if fault.code == "known-again"]
    column = next((each for each in ("userMasterIdentifier", "identifier") if ids.get(each) in ("1002", "M-2")), "userIds")
    assert told.place == f"users.csv:8:{column}"
    assert str(ben.learner_id) in told.detail
    assert "?dry_run=true" in told.remedy
    assert "known-again" not in {code for _, code in warned(planned(gus(**ids), after(first, second)))}


def test_an_id_of_the_schools_own_that_comes_later_does_not_part_a_child_from_herself() -> None:
    first, second, third = hands_on(with_lms(identifier=""), with_lms(), with_lms(userMasterIdentifier="M-2"))
    assert len({learners_of(each)["Ben"].learner_id for each in (first, second, third)}) == 1
    assert {code for _, code in warned(second) | warned(third)} == set()


@pytest.mark.parametrize(("bens", "same"), [("", True), ("N/A", True), ("1002", False)])
def test_a_placeholder_is_no_id_of_a_childs_own_but_does_not_say_that_she_is_one_who_has_one(bens: str, same: bool) -> None:
    first = planned(with_lms(identifier=bens).put("users.csv", "u3", identifier="N/A").student("u10", identifier="N/A"))
    anew = gus(identifier="N/A", givenName="Ben").put("users.csv", "u3", identifier="N/A")
    second = planned(anew.student("u10", identifier="N/A"), after(first))
    assert (learners_of(second)["Ben"].learner_id == learners_of(first)["Ben"].learner_id) is same


def test_staff_who_are_entered_anew_are_known_again_by_the_same_rule() -> None:
    def anew(**ids: str) -> Plan:
        district = District().put("users.csv", "p1", sourcedId="p9", **{"userIds": "{LMS:dora}", "identifier": ""} | ids)
        for row in (*district.rows["roles.csv"], *district.rows["enrollments.csv"]):
            row["userSourcedId"] = row["userSourcedId"].replace("p1", "p9")
        return planned(district, after(first))

    first = planned(District().put("users.csv", "p1", userIds="{LMS:dora}"))
    dora = first.staff[0].id
    assert [anew(**ids).staff[0].id == dora for ids in ({}, {"identifier": "901"}, {"identifier": "999"})] == [True, True, False]
    assert [fault.place for fault in anew().warnings.first if fault.code == "known-again"] == ["users.csv:6:userIds"]


def test_warnings_of_one_code_hide_no_others() -> None:
    before, anew = District(), District().put("roles.csv", "r3", orgSourcedId="d").put("users.csv", "u1", userIds="")
    for number in range(120):
        before.student(f"n{number}", identifier=f"i{number}")
        anew.student(f"m{number}", identifier=f"i{number}").student(f"x{number}", identifier="N/A")
    second = planned(anew.put("users.csv", "u2", userIds="{LMS:lms-1}"), after(planned(before)))
    assert second.warnings.counts == {
        "known-again": 120, "duplicate-identity": 120, "id-handed-on": 1, "alias-handed-on": 1, "no-school": 1, "shared-id": 120,
    }  # fmt: skip
    codes = [fault.code for fault in second.warnings.first]
    assert len(codes) == 100
    assert Counter(codes) == {
        "known-again": 33, "alias-handed-on": 1, "id-handed-on": 1, "no-school": 1, "duplicate-identity": 32, "shared-id": 32,
    }  # fmt: skip
    assert codes[:35] == [*["known-again"] * 33, "alias-handed-on", "id-handed-on"], "the gravest first"
    lines = [int(fault.place.split(":")[1]) for fault in second.warnings.first if fault.code == "known-again"]
    assert lines == sorted(lines)


def test_a_sourced_id_that_is_another_learners_alias_is_a_warning() -> None:
    first = planned(District().put("users.csv", "u1", userIds="{sis:x1}"))
    plan = planned(District().put("users.csv", "u1", userIds="{sis:x1}").student("x1"), after(first))
    assert ("users.csv:9:sourcedId", "alias-taken") in warned(plan)
    assert alias("x1") not in learners_of(plan)["Gus"].aliases


USERNAME = "https://lms.example/users/{username}"
BENS = person_alias(KEY, "", "https://lms.example/users/ben.o")
"""What the LMS calls Ben, as long as the user name is his."""


def holders(alias: str, *plans: Plan) -> list[str]:
    """Return whose an alias is, as far as rosters told: names are of rows, and of the withdrawn the first ones."""
    known = after(*plans).learners
    named = {each.learner_id: given for plan in reversed(plans) for given, each in learners_of(plan).items()}
    return sorted(named[id] for id, told in known.items() if alias in told.aliases)


def hands_on(*districts: District) -> list[Plan]:
    """Return what rosters ask for, one after another; the same one again asks for nothing, and an alias is one learner's."""
    plans: list[Plan] = []
    for district in districts:
        plans.append(planned(district, after(*plans), iris=[USERNAME]))
        again = planned(district, after(*plans), iris=[USERNAME])
        assert (again.learners, again.gone, again.handed_on) == (plans[-1].learners, [], 0)
        assert "alias-handed-on" not in {code for _, code in warned(again)}, "said once"
        known = [alias for each in after(*plans).learners.values() for alias in each.aliases]
        assert len(set(known)) == len(known)
    return plans


def test_a_user_name_of_one_who_left_passes_on_and_comes_back_by_a_roster_that_says_so() -> None:
    left = District().without_user("u2")
    first, second, third, back = hands_on(District(), left, District().without_user("u2").student("u9", username="ben.o"), District())
    ben, gus = learners_of(first)["Ben"], learners_of(third)["Gus"]
    assert holders(BENS, first, second) == ["Ben"], "nobody else has it"
    assert holders(BENS, first, second, third) == ["Gus"]
    assert third.gone == [ben.model_copy(update={"active": False, "aliases": tuple(each for each in ben.aliases if each != BENS)})]
    assert third.handed_on == 1
    (told,) = [fault for fault in third.warnings.first if fault.code == "alias-handed-on"]
    assert told.place == "users.csv:8:username"
    assert f"learner {ben.learner_id} until now, and is for learner {gus.learner_id} from now on" in told.detail
    assert holders(BENS, first, second, third, back) == ["Ben"]
    assert learners_of(back)["Ben"] == ben


def test_an_lms_id_of_one_who_is_still_there_passes_on() -> None:
    handed = District().put("users.csv", "u1", userIds="{LTI:lti-1}").put("users.csv", "u2", userIds="{LMS:lms-1}")
    first, second = hands_on(District(), handed)
    for of_lms in (alias_of(KEY, "LMS", "lms-1"), alias("lms-1", "userIds/LMS")):
        assert (holders(of_lms, first), holders(of_lms, first, second)) == (["Ada"], ["Ben"])
    assert holders(alias_of(KEY, "LTI", "lti-1"), first, second) == ["Ada"]
    assert second.handed_on == 2
    assert [fault.place for fault in second.warnings.first if fault.code == "alias-handed-on"] == ["users.csv:3:userIds"], (
        "one id, said once"
    )


def test_two_user_names_are_exchanged() -> None:
    exchanged = District().put("users.csv", "u1", username="ben.o").put("users.csv", "u2", username="ada.m")
    first, second = hands_on(District(), exchanged)
    assert holders(BENS, first, second) == ["Ada"]
    assert second.handed_on == 2


def test_an_id_that_its_learner_has_still_does_not_pass_on() -> None:
    first, second = hands_on(District(), District().student("u9", username="ben.o"))
    assert holders(BENS, first, second) == ["Ben"]
    assert ("users.csv:9:username", "shared-id") in warned(second)
    assert second.handed_on == 0


def test_what_several_rows_have_does_not_pass_on_unless_it_is_the_sourced_id_of_one() -> None:
    left = District().without_user("u2")
    several = District().without_user("u2").student("u8", username="ben.o").student("u9", username="ben.o", userIds="{sis:u2}")
    plans = hands_on(District(), left, several)
    assert holders(BENS, *plans) == ["Ben"]
    assert {fault.detail for fault in plans[-1].warnings.first if fault.place.endswith(":username")} == {
        "several rows have the id of one who has it no more, so evidence under it is still recorded for her"
    }
    assert holders(alias("u2"), *plans) == ["Gus"]


def test_an_alias_of_another_source_passes_on_once_its_learner_is_gone_there() -> None:
    def other() -> District:
        small = District().without_user("u1").without_user("u3").put("users.csv", "u2", sourcedId="o1", identifier="")
        for file in ("roles.csv", "enrollments.csv"):
            for row in small.rows[file]:
                row["userSourcedId"] = row["userSourcedId"].replace("u2", "o1")
        return small

    first = planned(District(), iris=[USERNAME])
    second = planned(other(), after(first), source="other", iris=[USERNAME])
    assert learners_of(second)["Ben"].learner_id != learners_of(first)["Ben"].learner_id
    assert BENS not in learners_of(second)["Ben"].aliases, "the other roster says nothing of her"
    assert ("users.csv:2:username", "shared-id") in warned(second)
    third = planned(District().without_user("u2"), after(first, second), iris=[USERNAME])
    fourth = planned(other(), after(first, second, third), source="other", iris=[USERNAME])
    assert BENS in learners_of(fourth)["Ben"].aliases
    assert [BENS in each.aliases for each in fourth.gone if isinstance(each, LearnerRostered)] == [False]


def test_whom_the_roster_no_longer_names_is_withdrawn_and_comes_back_the_same() -> None:
    first = planned(District())
    smaller = District().without_user("u2").without_user("p2").remove("classes.csv", "c2").remove("enrollments.csv", "e2", "e5")
    second = planned(smaller, after(first))
    ben = learners_of(first)["Ben"]
    assert {type(each) for each in second.gone} == {LearnerRostered, StaffRostered, ClassRostered}
    assert [each for each in second.gone if isinstance(each, LearnerRostered)] == [ben.model_copy(update={"active": False})]
    assert planned(smaller, after(first, second)).gone == [], "withdrawn once"
    assert learners_of(planned(District(), after(first, second)))["Ben"] == ben


def test_another_sources_people_are_not_withdrawn() -> None:
    other = District()
    for number, user in enumerate(other.rows["users.csv"]):
        user.update(username=f"x{number}", identifier="", email="", userIds="")
        for file, column in (("users.csv", "sourcedId"), ("roles.csv", "userSourcedId"), ("enrollments.csv", "userSourcedId")):
            for row in other.rows[file]:
                if file != "users.csv" and row[column] == user["sourcedId"]:
                    row[column] = f"x-{user['sourcedId']}"
        user.update(sourcedId=f"x-{user['sourcedId']}", agentSourcedIds="")
    assert planned(other, after(planned(District())), source="other").gone == []


def test_a_class_that_moves_to_another_school_is_another_class() -> None:
    moved = District().put("classes.csv", "c1", schoolSourcedId="s2")
    for enrollment in moved.rows["enrollments.csv"]:
        if enrollment["classSourcedId"] == "c1":
            enrollment["schoolSourcedId"] = "s2"
    first = planned(District())
    second = planned(moved, after(first))
    assert [each.class_id for each in second.gone if isinstance(each, ClassRostered)] == [first.classes[0].id]
    assert second.classes[0].id != first.classes[0].id


def test_what_is_told_of_one_person_has_a_limit() -> None:
    assert faults_of(with_too_much_of_one()) == {("users.csv:2:sourcedId", "too-large")}


def test_ids_are_pseudonyms_that_only_the_district_key_gives() -> None:
    other = plan(oneroster.read(District().zip()), "sis", DAY, bytes(range(32)), Known())
    assert {each.learner_id for each in learners_of(other).values()}.isdisjoint(
        each.learner_id for each in learners_of(planned(District())).values()
    )
    assert all(each.learner_id.version == 8 and each.learner_id != UUID(int=0) for each in learners_of(other).values())
