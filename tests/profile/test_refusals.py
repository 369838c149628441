"""What a roster is refused for as a whole, unless somebody says that it is no mistake; and what it is never refused for."""

from datetime import timedelta
from typing import Any

from services.profile.refusals import FEW, FEW_ANEW, cut_short, of_nobody
from services.profile.roster import MAX_TOLD_BYTES, Known, Plan
from shared.contracts.envelope import canonical
from shared.keys import person_alias
from tests.profile.district import District
from tests.profile.test_http import get, place, profile, send
from tests.profile.test_roster import KEY, USERNAME, after, alias, learners_of, planned, warned

__all__ = ["place", "profile"]
"""Fixtures."""


async def test_a_source_that_was_never_seen_beside_another_one_is_taken_only_on_purpose(profile: Any) -> None:
    await send(profile, District(), source="PowerSchool", new_source=False)
    problem = await send(profile, District(), 409, source="sis")
    assert [each["code"] for each in problem["errors"]] == ["new-source"]
    for told in ("no roster of sis", "PowerSchool", "?new_source=true", "`cairn roster import --new-source`"):
        assert told in problem["detail"]
    assert "no roster of sis" in (await send(profile, District(), source="sis", dry_run=True))["refused"]
    assert len((await get(profile, "/learners"))["items"]) == 3
    assert (await send(profile, District(), source="sis", new_source=True))["learners"]["created"] == 3
    assert (await send(profile, District(), source="sis"))["events"] == 0


def test_a_source_whose_people_are_all_gone_is_no_other_one() -> None:
    first = planned(District(), source="old")
    gone = [each.model_copy(update={"active": False}) for each in learners_of(first).values()]
    assert of_nobody(Known(learners={each.learner_id: each for each in gone}), "sis") == ""
    assert of_nobody(Known(learners={each.learner_id: each for each in learners_of(first).values()}, templates={"sis": ()}), "sis") == ""


def test_a_roster_in_which_most_are_others_than_they_were_is_taken_only_on_purpose() -> None:
    """As where a SIS numbers everybody anew in the summer, when all were withdrawn."""

    def of(many: int, year: str) -> District:
        district = District()
        for number in range(many):
            district.student(f"n{number}", identifier=f"{year}-{number}")
        return district

    def back(many: int) -> tuple[Plan, Known]:
        first = planned(of(many, "a"))
        known = after(first, planned(District(), after(first)))
        return planned(of(many, "b"), known), known

    plan, known = back(FEW + 1)
    assert cut_short(plan, known, "sis").startswith(f"{FEW + 1} of {FEW + 6} people would be somebody new")
    assert cut_short(*back(FEW_ANEW), "sis") == ""


def test_whom_a_roster_names_as_of_later_on_is_said_where_too_many_go() -> None:
    district = District()
    for number in range(2 * FEW):
        district.student(f"n{number}")
    known = after(planned(district))
    for row in district.rows["roles.csv"][-FEW - 5 :]:
        row["beginDate"] = "2027-08-30"
    told = cut_short(planned(district, known), known, "sis")
    assert f"it names {FEW + 5} as of later on only" in told
    assert "no longer names" not in told
    for _ in range(FEW + 5):
        district.rows["users.csv"].pop()
        district.rows["roles.csv"].pop()
    district.student("k1")
    district.rows["roles.csv"][-1]["beginDate"] = "2027-08-30"
    told = cut_short(planned(district, known), known, "sis")
    assert (f"no longer names {FEW + 5}" in told, "later on" in told) == (True, False)


def test_what_earlier_rosters_added_refuses_none() -> None:
    """An id that changes with each roster: of the former ones so many are kept as there is room for."""
    plan, size, sizes = planned(District()), 0, []
    for number in range(0, 2_000, 40):
        named = ",".join(f"{{badge:{number + each:06}}}" for each in range(40))
        district = District().put("users.csv", "u1", userIds=named)
        plan = planned(district, after(plan))
        ada = learners_of(plan)["Ada"]
        size = len(canonical(ada.body()))
        sizes.append(size)
        assert size <= MAX_TOLD_BYTES
        assert {alias("u1"), alias("1001", "identifier")} <= {*ada.matches} & {*ada.aliases}
        assert person_alias(KEY, "badge", f"{number:06}") in ada.aliases
    assert max(sizes) > MAX_TOLD_BYTES - 200, "no more makes way than has to"
    again = planned(district, after(plan))
    assert [each.told for each in again.learners] == [each.told for each in plan.learners]


def test_a_template_that_came_with_the_last_roster_of_the_source_and_is_missing_is_a_warning() -> None:
    first = planned(District(), iris=[USERNAME])
    learners = {each.learner_id: each for each in learners_of(first).values()}
    known = Known(learners=learners, templates={"sis": (USERNAME,), "other": ("urn:a:{username}",)})
    plan = planned(District(), known)
    assert warned(plan) == {("query/person_iri", "template-missing")}
    assert USERNAME in plan.warnings.first[0].detail
    assert warned(planned(District(), known, iris=[USERNAME, "urn:b:{sourcedId}"])) == set()


async def test_it_is_the_last_one_that_counts(profile: Any) -> None:
    await send(profile, District(), person_iri=[USERNAME])
    profile.context.clock.at += timedelta(days=1)
    without = await send(profile, District())
    assert [each["code"] for each in without["warnings"]] == ["template-missing"]
    assert without["warnings_by_code"] == {"template-missing": 1}
    profile.context.clock.at += timedelta(days=1)
    assert (await send(profile, District().without_user("u2")))["warnings"] == []
