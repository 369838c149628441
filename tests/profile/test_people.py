"""Who a row is where a SIS gives its ids again, numbers people anew, or names one person twice."""

from collections import Counter

import pytest

from services.profile.roster import Known, Plan
from shared.contracts.profile import LearnerRostered
from shared.keys import alias_of, learner_id_of, person_alias
from tests.profile.district import District
from tests.profile.test_roster import KEY, after, alias, learners_of, planned, warned

NUMBERED = {"identifier": "1002", "userMasterIdentifier": "STATE-2"}
ZOE = {"username": "zoe.n", "givenName": "Zoe", "familyName": "New", "identifier": "7777", "userMasterIdentifier": "STATE-7"}


def numbered(**cells: str) -> District:
    """The district, in which Ben has a number of the school and one of the state."""
    return District().put("users.csv", "u2", **NUMBERED | cells)


def renumbered() -> District:
    """Ben under another `sourcedId`."""
    return District().without_user("u2").student("n2", givenName="Ben", familyName="Okafor", **NUMBERED)


def taken(*districts: District) -> list[Plan]:
    """Return what rosters ask for, one after another. The same one again asks for nothing, and an id is one person's at most."""
    plans: list[Plan] = []
    for district in districts:
        plans.append(planned(district, after(*plans)))
        again, known = planned(district, after(*plans)), after(*plans)
        assert ([each.told for each in again.named], again.gone) == ([each.told for each in plans[-1].named], [])
        assert not {code for _, code in warned(again)} & {"sourced-id-reused", "ids-changed", "one-again", "id-handed-on", "known-again"}
        active = [match for each in known.learners.values() if each.active for match in each.matches]
        assert max(Counter(active).values(), default=0) <= 1
    return plans


def id_of(plan: Plan, name: str = "Ben") -> object:
    return learners_of(plan)[name].learner_id


def gave_again(**cells: str) -> District:
    return District().put("users.csv", "u2", **ZOE | cells)


@pytest.mark.parametrize("ids", [{}, {"identifier": ""}, {"userMasterIdentifier": ""}, {"userIds": "{LMS:zoe}"}])
def test_a_sourced_id_that_is_given_again_behind_a_withdrawal_makes_nobody_another(ids: dict[str, str]) -> None:
    first, left, again = taken(numbered(userIds="{LMS:ben}"), District().without_user("u2"), gave_again(**ids))
    assert id_of(again, "Zoe") != id_of(first)
    assert ("users.csv:3:sourcedId", "sourced-id-reused") in warned(again)
    known = after(first, left, again).learners
    assert [each.active for each in known.values() if alias("u2") in each.aliases] == [True], "evidence under it is hers now"
    ben = known[learners_of(first)["Ben"].learner_id]
    assert (ben.active, alias("u2") in ben.matches) == (False, False)


def test_both_children_of_one_sourced_id_come_back_as_who_they_are() -> None:
    left = District().without_user("u2")
    plans = taken(numbered(), left, gave_again(), left, gave_again(), left, numbered(), left, gave_again(identifier="8888"))
    first, _, zoe, _, zoe_again, _, ben_again, _, zoe_third = plans
    assert id_of(zoe, "Zoe") == id_of(zoe_again, "Zoe") == id_of(zoe_third, "Zoe")
    assert id_of(first) == id_of(ben_again)


def test_one_who_was_parted_wrongly_is_the_one_again_as_the_warning_says() -> None:
    left = District().without_user("u2")
    first, _, parted, _, again = taken(numbered(), left, gave_again(), left, gave_again(identifier="1002", userMasterIdentifier=""))
    assert id_of(parted, "Zoe") != id_of(first) == id_of(again, "Zoe")


def test_a_child_who_is_there_and_whose_ids_are_corrected_stays_who_she_is() -> None:
    first, second = taken(numbered(), numbered(identifier="2002", userMasterIdentifier="STATE-9"))
    assert id_of(first) == id_of(second)
    assert ("users.csv:3:sourcedId", "ids-changed") in warned(second)
    _, second = taken(numbered(), numbered(identifier="2002"))
    assert "ids-changed" not in {code for _, code in warned(second)}, "the other one says it is she"


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ({}, {}), ({}, {"identifier": "2002"}), ({"userMasterIdentifier": "", "identifier": ""}, NUMBERED),
        ({"identifier": "", "userMasterIdentifier": "", "userIds": "{LMS:ben}"}, NUMBERED | {"userIds": "{LMS:ben}"}),
        ({}, {"identifier": "", "userMasterIdentifier": ""}),
    ],
)  # fmt: skip
def test_who_comes_back_under_her_sourced_id_is_the_same_where_nothing_contradicts_it(before: dict[str, str], then: dict[str, str]) -> None:
    first, _, back = taken(numbered(**before), District().without_user("u2"), numbered(**then))
    assert id_of(first) == id_of(back)
    assert "sourced-id-reused" not in {code for _, code in warned(back)}


def test_who_came_back_with_an_id_typed_wrong_is_herself_once_it_is_right() -> None:
    typed = numbered(identifier="10020", userMasterIdentifier="")
    first, _, wrong, right = taken(numbered(), District().without_user("u2"), typed, numbered())
    assert id_of(wrong) != id_of(first) == id_of(right)
    assert ("users.csv:3:sourcedId", "one-again") in warned(right)


def test_who_is_there_never_becomes_one_who_left_by_a_number_typed_wrong() -> None:
    gone = District().without_user("u2")
    first, _, typed, corrected = taken(numbered(), gone, District().without_user("u2").put("users.csv", "u3", **NUMBERED), gone)
    assert id_of(first, "Cyd") == id_of(typed, "Cyd") == id_of(corrected, "Cyd") != id_of(first)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("ids", [ZOE, ZOE | {"identifier": "", "userMasterIdentifier": ""}])
def test_of_two_sourced_ids_of_one_child_she_is_the_one_with_her_numbers(turned: bool, ids: dict[str, str]) -> None:
    """Ben was numbered anew, and a year later his former `sourcedId` is Zoe's."""
    both = renumbered().student("u2", **ids)
    if turned:
        both.rows["users.csv"].reverse()
    first, second, third = taken(numbered(), renumbered(), both)
    assert id_of(first) == id_of(second) == id_of(third)
    assert id_of(third, "Zoe") not in {id_of(first, name) for name in ("Ada", "Ben", "Cyd")}


def test_also_where_she_is_numbered_anew_in_the_roster_that_gives_her_sourced_id_to_another() -> None:
    first, second = taken(numbered(), renumbered().student("u2", **ZOE))
    assert id_of(first) == id_of(second) != id_of(second, "Zoe")
    assert {("users.csv:8:userMasterIdentifier", "known-again"), ("users.csv:9:sourcedId", "sourced-id-reused")} <= warned(second)


def test_a_former_owner_of_an_id_who_comes_back_does_not_keep_it() -> None:
    """Ada left, Ben got her LMS id, and Ada comes back with another one."""
    handed = District().without_user("u1").put("users.csv", "u2", userIds="{LMS:lms-1}")
    back = District().put("users.csv", "u1", userIds="{LMS:new}").put("users.csv", "u2", userIds="{LMS:lms-1}")
    *_, last = taken(District(), handed, back)
    assert [name for name, each in learners_of(last).items() if alias("lms-1", "userIds/LMS") in each.matches] == ["Ben"]
    *_, last = taken(District(), handed, District().put("users.csv", "u1", userIds=""))
    assert [name for name, each in learners_of(last).items() if alias("lms-1", "userIds/LMS") in each.matches] == ["Ben"], "nobody has it"


@pytest.mark.parametrize(("left", "stays", "number"), [("u1", "u2", "1001"), ("u2", "u1", "1002")])
def test_who_has_a_number_of_one_who_came_back_is_known_again_by_it(left: str, stays: str, number: str) -> None:
    name = {"u1": "Ada", "u2": "Ben"}[stays]
    anew = District().without_user(stays).put("users.csv", left, identifier="3333").student("n9", givenName=name, identifier=number)
    plans = taken(
        District(),
        District().without_user(left).put("users.csv", stays, identifier=number),
        District().put("users.csv", stays, identifier=number).put("users.csv", left, identifier="3333"),
        anew,
    )
    assert id_of(plans[0], name) == id_of(plans[3], name)


def test_an_id_of_the_lms_says_nothing_where_both_numbers_say_who_she_is() -> None:
    """The LMS gave Ben, who comes back, an account name of Xia, who left years ago."""
    with_xia = numbered().student("x9", userIds="{LMS:xy}", identifier="9999")
    first, _, back = taken(with_xia, District().without_user("u2"), renumbered().put("users.csv", "n2", userIds="{LMS:xy}"))
    assert id_of(first) == id_of(back)
    assert ("users.csv:8:userMasterIdentifier", "known-again") in warned(back)


def test_a_blank_id_is_none() -> None:
    first = planned(District().put("users.csv", "u1", userIds="{LMS: },{LTI:lti-1}"))
    assert person_alias(KEY, "LMS", "") not in learners_of(first)["Ada"].aliases
    assert alias_of(KEY, "LTI", "lti-1") in learners_of(first)["Ada"].aliases
    blank = planned(District().without_user("u1").student("n1", userIds="{LMS: }"), after(first))
    assert learners_of(blank)["Gus"].learner_id == learner_id_of(KEY, alias("n1"))


@pytest.mark.parametrize("turned", [False, True])
def test_a_child_whom_two_rows_name_for_a_day_is_herself_when_one_is_left(turned: bool) -> None:
    """Both rows stand while Ben leaves one school and begins at another."""
    both = numbered().student("n2", "s2", givenName="Ben", familyName="Okafor", userIds="{LMS:ben}", **NUMBERED)
    if turned:
        both.rows["users.csv"].reverse()
    first, second, third = taken(numbered(), both, renumbered().put("users.csv", "n2", userIds="{LMS:ben}"))
    (former,) = {each.learner_id for each in after(first, second).learners.values()} - {each.learner_id for each in first_of(first)}
    assert id_of(first) == id_of(third)
    assert ("users.csv:8:sourcedId", "one-again") in warned(third)
    assert [each.active for each in third.gone if isinstance(each, LearnerRostered) and each.learner_id == former] == [False]


def first_of(plan: Plan) -> list[LearnerRostered]:
    return list(learners_of(plan).values())


def test_two_rows_with_one_number_and_one_name_leave_it_with_the_one_whose_it_was() -> None:
    """So that giving the row that is left a `sourcedId` of its own, or her former one, makes it her."""
    one = {"givenName": "Ben", "familyName": "Okafor", "identifier": "1002"}
    first, _, left, back = taken(
        District(), District().student("n2", "s2", **one), District().without_user("u2").student("n2", "s2", **one), District()
    )
    assert ("users.csv:8:identifier", "id-handed-on") in warned(left)
    assert id_of(first) == id_of(back)


@pytest.mark.parametrize("ids", [{"identifier": "5555"}, {"identifier": "1002"}, NUMBERED | {"userMasterIdentifier": "M-5"}])
def test_one_who_has_a_number_of_her_own_is_not_who_left(ids: dict[str, str]) -> None:
    first, _, third = taken(numbered(), numbered().student("n2", identifier="5555"), District().without_user("u2").student("n2", **ids))
    assert id_of(third, "Gus") != id_of(first)


def test_what_is_known_counts_in_any_order() -> None:
    known = after(*taken(numbered(), District().without_user("u2"), gave_again()))
    turned = Known(known.schools, known.classes, known.staff, dict(reversed(list(known.learners.items()))))
    assert planned(gave_again(), known).learners == planned(gave_again(), turned).learners
