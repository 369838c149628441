"""Profile over HTTP on a real database: rosters in, people out, and nobody's name in clear anywhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
import pytest

from services.profile.api import imports
from services.profile.app import PARTS
from services.profile.domain import MAX_AUTHORS, TakeRostered
from services.profile.refusals import FEW
from shared.clock import FixedClock
from shared.contracts.envelope import Header
from shared.contracts.profile import RosterImported, StaffRostered
from shared.keys import alias_of, learner_id_of, person_alias, school_id_of
from shared.replay import Settings, Verifier
from shared.testing import SOME_TIME, running
from tests.profile.district import District, with_too_much_of_one

KEY = bytes(32)
"""What the tests' settings give."""
IMPORTS = "/profile/oneroster/imports"
EVENTS = 20
"""Of the first import of the small district."""
LMS = "https://lms.example/users/{userIds:LMS}"
TABLES = ["school", "school_class", "learner", "staff", "preference", "roster_import", "roster_step", "person_key", "stream"]


@pytest.fixture
def place(database: Any) -> Any:
    return database("profile")


@pytest.fixture
async def profile(place: Any) -> AsyncIterator[Any]:
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        yield service


async def destroy_key(place: Any, id: str) -> None:
    """Do what the owner of the database alone may do."""
    async with await psycopg.AsyncConnection.connect(place.owner_url) as owner:
        assert (await owner.execute("DELETE FROM person_key WHERE person_id = %s", [id])).rowcount == 1


async def send(profile: Any, district: District, status: int = 200, **query: Any) -> dict[str, Any]:
    content = {"content": district.zip(), "headers": {"Content-Type": "application/zip"}}
    response = await profile.client.post(IMPORTS, params={"source": "sis"} | query, **content)
    assert response.status_code == status, response.text
    return dict(response.json())


async def get(profile: Any, path: str, status: int = 200, **query: Any) -> Any:
    response = await profile.client.get(f"/profile{path}", params=query)
    assert response.status_code == status, response.text
    return response.json()


async def rows(profile: Any, statement: str) -> list[Any]:
    async with profile.pool.connection() as connection:
        return list(await (await connection.execute(statement)).fetchall())


async def events(profile: Any) -> list[bytes]:
    return [bytes(row[0]) for row in await rows(profile, "SELECT bytes FROM event ORDER BY partition, position")]


async def types(profile: Any) -> Counter[str]:
    return Counter(Header.read(raw).event_type.split(".")[1] for raw in await events(profile))


async def store(profile: Any) -> list[Any]:
    return [await rows(profile, f"SELECT t::text FROM {table} t ORDER BY 1") for table in ("event", *TABLES)]  # noqa: S608 - our own words


async def learners(profile: Any, **query: Any) -> dict[str, Any]:
    return {each["given_name"]: each for each in (await get(profile, "/learners", **query))["items"]}


async def test_a_first_roster_is_told_whole(profile: Any) -> None:
    answer = await send(profile, District())
    assert answer["learners"] == {"created": 3, "changed": 0, "unchanged": 0, "withdrawn": 0}
    assert (answer["staff"]["created"], answer["schools"]["created"], answer["classes"]["created"], answer["rows"]) == (2, 2, 2, 26)
    assert answer["aliases"] == 6 + 2 + 2
    told = {"learner-identified": 10, "learner-rostered": 3, "staff-rostered": 2, "school-rostered": 2, "class-rostered": 2}
    assert await types(profile) == told | {"roster-imported": 1}
    assert answer["events"] == EVENTS
    assert answer["warnings"] == []


async def test_the_same_roster_again_is_no_event(profile: Any) -> None:
    await send(profile, District())
    before = await store(profile)
    answer = await send(profile, District())
    assert (answer["events"], answer["aliases"]) == (0, 0)
    assert answer["learners"] == {"created": 0, "changed": 0, "unchanged": 3, "withdrawn": 0}
    assert await store(profile) == before


async def test_a_roster_that_an_earlier_release_took_tells_its_first_session_when_it_is_sent_again(
    profile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:  # As releases told it that did not read sessions.
        earlier.setattr(imports, "RosterImported", lambda *, first_session, **told: RosterImported(**told))
        await send(profile, District())
    answer = await send(profile, District())
    assert (answer["events"], answer["learners"]["unchanged"]) == (1, 3)
    told = [Header.read(raw) for raw in await events(profile)]
    first, second = [each.attributes["data"] for each in told if each.event_type == "profile.roster-imported.v1"]
    assert second == first | {"first_session": "2026-08-31"}
    assert (await send(profile, District()))["events"] == 0
    assert len((await get(profile, "/imports"))["items"]) == 1


async def test_a_dry_run_says_what_would_change_and_stores_nothing(profile: Any) -> None:
    before = await store(profile)
    tried = await send(profile, District(), dry_run=True)
    assert await store(profile) == before
    done = await send(profile, District())
    assert tried["events"] == 0
    assert tried | {"dry_run": False, "events": EVENTS} == done
    before = await store(profile)
    changed = District().put("users.csv", "u1", givenName="Ida").without_user("u2")
    assert (await send(profile, changed, dry_run=True))["learners"] == {"created": 0, "changed": 1, "unchanged": 1, "withdrawn": 1}
    assert await store(profile) == before


async def test_what_changed_is_told_and_nothing_else(profile: Any) -> None:
    await send(profile, District())
    before = await types(profile)
    answer = await send(profile, District().put("users.csv", "u1", givenName="Ida").put("users.csv", "u2", grades="06"))
    assert answer["learners"] == {"created": 0, "changed": 2, "unchanged": 1, "withdrawn": 0}
    assert await types(profile) - before == {"learner-rostered": 2, "roster-imported": 1}
    assert set(await learners(profile)) == {"Ida", "Ben", "Cyd"}
    assert (await learners(profile))["Ben"]["grade"] == "06"


async def test_whom_a_later_roster_no_longer_names_is_withdrawn_and_never_removed(profile: Any) -> None:
    await send(profile, District())
    ben = (await learners(profile))["Ben"]
    answer = await send(profile, District().without_user("u2").without_user("p2"))
    assert (answer["learners"]["withdrawn"], answer["staff"]["withdrawn"], answer["events"]) == (1, 1, 3)
    assert set(await learners(profile)) == {"Ada", "Cyd"}
    assert (await learners(profile, withdrawn=True))["Ben"] == ben | {"active": False}
    assert (await get(profile, f"/learners/{ben['learner_id']}"))["given_name"] == "Ben"
    assert (await send(profile, District().without_user("u2").without_user("p2")))["events"] == 0
    assert (await send(profile, District()))["learners"] == {"created": 0, "changed": 1, "unchanged": 2, "withdrawn": 0}
    assert (await learners(profile))["Ben"] == ben


async def test_who_teaches_elsewhere_from_now_on_is_withdrawn_from_the_school_before(profile: Any) -> None:
    await send(profile, District())
    before = len(await events(profile))
    moved = District().put("users.csv", "p2", primaryOrgSourcedId="s1")
    answer = await send(profile, moved)
    assert (answer["staff"], answer["events"]) == ({"created": 0, "changed": 1, "unchanged": 1, "withdrawn": 0}, 3)
    told = [Header.read(raw).attributes for raw in await events(profile)]
    eve = [each["data"] for each in told if each["type"] == "profile.staff-rostered.v1" and each["streamversion"] > 1]
    hill, brook = (str(school_id_of("sis", school)) for school in ("s2", "s1"))
    assert [(each["school_id"], each.get("active", True)) for each in eve] == [(hill, False), (brook, True)]
    assert len(told) == before + 3
    assert (await send(profile, moved))["events"] == 0
    assert (await send(profile, District().without_user("p2")))["staff"]["withdrawn"] == 1


async def test_who_went_to_another_school_before_that_was_told_is_withdrawn_from_hers_by_the_next_import(profile: Any) -> None:
    """An earlier release told the new school alone, of one who teaches there now and of one who has left the district since."""
    await send(profile, District())
    hill, brook = (school_id_of("sis", school) for school in ("s2", "s1"))
    (dora,) = [StaffRostered.model_validate(body) for (body,) in await rows(profile, f"SELECT body FROM staff WHERE school_id = '{brook}'")]  # noqa: S608
    (eve,) = [StaffRostered.model_validate(body) for (body,) in await rows(profile, f"SELECT body FROM staff WHERE school_id = '{hill}'")]  # noqa: S608
    moved = eve.model_copy(update={"school_id": brook})
    gone = [dora.model_copy(update={"school_id": hill, "active": active}) for active in (True, False)]
    await profile.asker.ask([TakeRostered(moved)])
    for each in gone:
        await profile.asker.ask([TakeRostered(each)])
    roster = District().put("users.csv", "p2", primaryOrgSourcedId="s1").without_user("p1")
    assert (await send(profile, roster, dry_run=True))["staff"] == {"created": 0, "changed": 2, "unchanged": 0, "withdrawn": 0}
    answer = await send(profile, roster)
    assert (answer["staff"], answer["events"]) == ({"created": 0, "changed": 2, "unchanged": 0, "withdrawn": 0}, 5)
    told = [[event.data for event in await profile.ledger.stream(f"profile/staff/{each.staff_id}")] for each in (eve, dora)]
    assert told[0] == [eve, moved, eve.model_copy(update={"active": False}), moved]
    assert told[1] == [dora, *gone, dora.model_copy(update={"active": False}), gone[-1]]
    assert (await send(profile, roster))["events"] == 0, "healed once"
    assert (await send(profile, District().put("users.csv", "p2", primaryOrgSourcedId="s1")))["events"] == 2, (
        "who comes back, at one school, and that it was imported"
    )


async def test_most_learners_are_withdrawn_only_on_purpose(profile: Any) -> None:
    large = District()
    for number in range(FEW + 1):
        large.student(f"n{number}")
    await send(profile, large)
    before = await store(profile)
    problem = await send(profile, District(), 409)
    assert [each["code"] for each in problem["errors"]] == ["too-many-withdrawn"]
    assert "21 of 24 learners would be withdrawn: the roster no longer names 21. Send" in problem["detail"]
    for way in ("?withdraw_many=true", "`cairn roster import --withdraw-many`"):
        assert way in problem["detail"]
    looked = await send(profile, District(), dry_run=True)
    assert (looked["learners"]["withdrawn"], looked["refused"]) == (21, problem["detail"]), "a dry run tells what stands against it"
    assert (await send(profile, District(), dry_run=True, withdraw_many=True))["refused"] is None
    assert await store(profile) == before
    unplaced = deepcopy(large)
    for number in range(FEW):
        unplaced.put("roles.csv", f"role-n{number}", orgSourcedId="d")
    told = (await send(profile, unplaced.without_user(f"n{FEW}"), 409))["detail"]
    assert "21 of 24 learners would be withdrawn: the roster no longer names 1 and it names 20 at no school (?dry_run=true" in told
    assert (await send(profile, District(), withdraw_many=True))["learners"]["withdrawn"] == 21
    await send(profile, large)
    assert (await send(profile, large.without_user("n0")))["learners"]["withdrawn"] == 1, "a few may go"


def with_many(learners: int = 0, teachers: int = 0) -> District:
    """A district with more learners in classes, and more teachers of one."""
    district = District()
    for number in range(learners):
        district.student(f"n{number}")
    for number in range(teachers):
        user = {"enabledUser": "true", "username": f"user.t{number}", "givenName": "Tom", "familyName": "Tern"}
        district.rows["users.csv"].append({"sourcedId": f"t{number}"} | user)
        teaches = {"userSourcedId": f"t{number}", "roleType": "primary", "role": "teacher", "orgSourcedId": "s1"}
        district.rows["roles.csv"].append({"sourcedId": f"role-t{number}"} | teaches)
    people = [*((f"n{number}", "student") for number in range(learners)), *((f"t{number}", "teacher") for number in range(teachers))]
    for person, role in people:
        enrollment = {"classSourcedId": "c1", "schoolSourcedId": "s1", "userSourcedId": person, "role": role}
        district.rows["enrollments.csv"].append({"sourcedId": f"en-{person}"} | enrollment)
    return district


def without_enrollments(district: District, role: str = "") -> District:
    """Take all enrollments out, or those of one role."""
    district.rows["enrollments.csv"] = [row for row in district.rows["enrollments.csv"] if role and row["role"] != role]
    return district


async def test_an_export_without_enrollments_is_taken_only_on_purpose(profile: Any) -> None:
    large = with_many(learners=FEW, teachers=FEW)
    await send(profile, large)
    before = await store(profile)
    problem = await send(profile, without_enrollments(deepcopy(large)), 409)
    assert [each["code"] for each in problem["errors"]] == ["too-many-withdrawn"]
    for told in ("22 of 22 learners who are in classes would be in none", "21 of 21 staff who are in classes would be in none"):
        assert told in problem["detail"]
    for way in ("enrollments.csv", "Send a whole export", "?withdraw_many=true", "`cairn roster import --withdraw-many`"):
        assert way in problem["detail"]
    for role, sort in (("student", "22 of 22 learners"), ("teacher", "21 of 21 staff")):
        told = (await send(profile, without_enrollments(deepcopy(large), role), 409))["detail"]
        assert told.count("who are in classes would be in none") == 1
        assert sort in told
    assert (await send(profile, without_enrollments(deepcopy(large)), dry_run=True))["learners"]["changed"] == 22
    assert await store(profile) == before
    assert (await send(profile, without_enrollments(deepcopy(large)), withdraw_many=True))["learners"]["changed"] == 22
    assert (await send(profile, without_enrollments(deepcopy(large))))["events"] == 0, "who is in no class loses none"
    assert (await send(profile, large))["learners"]["changed"] == 22


async def test_a_few_or_half_of_all_may_be_in_no_class_any_more(profile: Any) -> None:
    few = with_many(learners=FEW - 2)
    await send(profile, few)
    assert (await send(profile, without_enrollments(few)))["learners"]["changed"] == FEW
    half = with_many(learners=2 * FEW)
    await send(profile, half)
    half.remove("enrollments.csv", *(f"en-n{number}" for number in range(FEW + 1)))
    assert (await send(profile, half))["learners"]["changed"] == FEW + 1


async def test_where_the_school_year_is_over_everybody_may_be_in_no_class(profile: Any) -> None:
    large = with_many(learners=FEW, teachers=FEW)
    await send(profile, large)
    profile.context.clock.at += timedelta(days=365)
    answer = await send(profile, large)
    assert (answer["learners"]["changed"], [each["code"] for each in answer["warnings"]]) == (22, ["terms-over"])
    one_more = with_many(learners=FEW + 1)
    await send(profile, one_more)
    assert "21 of 24 learners would be withdrawn" in (await send(profile, District(), 409))["detail"], "who leaves is counted as ever"


async def test_between_two_years_a_roster_of_classes_that_nobody_is_in_yet_is_taken(profile: Any) -> None:
    large = with_many(learners=FEW, teachers=FEW)
    await send(profile, large)
    following = without_enrollments(deepcopy(large))
    for session in ("y", "t1"):
        following.put("academicSessions.csv", session, startDate="2027-08-30", endDate="2028-06-17", schoolYear="2028")
    profile.context.clock.at = datetime(2027, 7, 1, tzinfo=UTC)
    assert (await send(profile, following))["learners"]["changed"] == 22
    profile.context.clock.at += timedelta(days=90)
    full = deepcopy(following)
    full.rows["enrollments.csv"] = deepcopy(large.rows["enrollments.csv"])
    await send(profile, full)
    assert "would be in none" in (await send(profile, following, 409))["detail"], "a year that is under way has classes"


async def test_most_staff_are_withdrawn_only_on_purpose(profile: Any) -> None:
    large = with_many(teachers=FEW + 1)
    await send(profile, large)
    before = await store(profile)
    problem = await send(profile, District(), 409)
    assert [each["code"] for each in problem["errors"]] == ["too-many-withdrawn"]
    assert "21 of 23 staff would be withdrawn: the roster no longer names 21. Send" in problem["detail"]
    unplaced = deepcopy(large)
    for number in range(FEW):
        unplaced.put("roles.csv", f"role-t{number}", orgSourcedId="d").remove("enrollments.csv", f"en-t{number}")
    told = (await send(profile, unplaced.without_user(f"t{FEW}"), 409))["detail"]
    assert "21 of 23 staff would be withdrawn: the roster no longer names 1 and it names 20 at no school (?dry_run=true" in told
    assert "learners" not in told
    assert (await send(profile, District(), dry_run=True))["staff"]["withdrawn"] == 21
    assert await store(profile) == before
    assert (await send(profile, District(), withdraw_many=True))["staff"]["withdrawn"] == 21


async def test_a_user_entered_anew_keeps_her_learner(profile: Any) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]
    assert UUID(ada["learner_id"]) == learner_id_of(KEY, alias_of(KEY, "sis", "u1"))
    answer = await send(profile, District().without_user("u1").student("new-1", givenName="Ada", identifier="1001", username="ada.m"))
    assert answer["learners"] == {"created": 0, "changed": 1, "unchanged": 2, "withdrawn": 0}
    assert answer["aliases"] == 1
    assert [(each["place"], each["code"]) for each in answer["warnings"]] == [("users.csv:8:identifier", "known-again")]
    assert (await learners(profile))["Ada"]["learner_id"] == ada["learner_id"]
    assert (await get(profile, f"/learners/{ada['learner_id']}"))["aliases"] == 7
    for source, name in (("sis", "u1"), ("sis", "new-1"), ("sis/identifier", "1001"), ("sis/userIds/LMS", "lms-1"), ("LMS", "lms-1")):
        (raw,) = [raw for raw in await events(profile) if f"profile/alias/{alias_of(KEY, source, name)}".encode() in raw]
        assert ada["learner_id"].encode() in raw


async def test_who_gets_the_lms_id_of_one_who_left_is_somebody_new(profile: Any) -> None:
    def roster() -> District:
        ids = {"userIds": "{LMS:ben.o}", "identifier": "3001", "userMasterIdentifier": "M-9"}
        return District().without_user("u2").student("u9", grades="KG", **ids)

    await send(profile, District().put("users.csv", "u2", userIds="{LMS:ben.o}"), person_iri=LMS)
    ben = (await learners(profile))["Ben"]
    tried, answer = [await send(profile, roster(), person_iri=LMS, dry_run=dry_run) for dry_run in (True, False)]
    for each in (tried, answer):
        assert (each["learners"]["created"], each["learners"]["withdrawn"], each["handed_on"]) == (1, 1, 3)
        assert {(told["place"], told["code"]) for told in each["warnings"]} == {
            ("users.csv:8:userIds", "id-handed-on"), ("users.csv:8:userIds", "alias-handed-on"),
        }  # fmt: skip
    gus = (await learners(profile))["Gus"]
    assert UUID(gus["learner_id"]) == learner_id_of(KEY, alias_of(KEY, "sis", "u9"))
    left = (await learners(profile, withdrawn=True))["Ben"]
    assert (left["learner_id"], left["grade"], left["active"], gus["grade"]) == (ben["learner_id"], "05", False, "KG")
    again = await send(profile, roster(), person_iri=LMS)
    assert (again["events"], again["warnings"]) == (0, [])


async def test_a_bad_row_leaves_the_store_as_it_was(profile: Any) -> None:
    for known in (False, True):
        if known:
            await send(profile, District())
        before = await store(profile)
        for dry_run in (False, True):
            problem = await send(
                profile, District().student("u9").put("enrollments.csv", "e3", userSourcedId="nobody"), 422, dry_run=dry_run
            )
            assert problem["errors"][0]["place"] == "enrollments.csv:4:userSourcedId"
            assert problem["errors"][0]["code"] == "unknown-reference"
            assert problem["errors"][0]["remedy"]
        assert (await send(profile, with_too_much_of_one(), 422))["errors"][0]["code"] == "too-large", "seen when it is compared"
        assert await store(profile) == before


async def test_a_sourced_id_that_is_another_learners_alias_is_taken_with_a_warning(profile: Any) -> None:
    def typed() -> District:
        return District().put("users.csv", "u1", userIds="{sis:x1}")

    await send(profile, typed())
    answer = await send(profile, typed().student("x1"))
    assert (answer["learners"]["created"], answer["handed_on"]) == (1, 0)
    assert ("users.csv:9:sourcedId", "alias-taken") in {(each["place"], each["code"]) for each in answer["warnings"]}


async def test_a_user_name_that_is_handed_on_is_taken_from_who_left(profile: Any) -> None:
    def handed() -> District:
        return District().without_user("u2").student("u9", username="ben.o")

    iri = "urn:lms:{username}"
    await send(profile, District(), person_iri=iri)
    ben = (await learners(profile))["Ben"]["learner_id"]
    left = await send(profile, District().without_user("u2"), person_iri=iri)
    assert (left["learners"]["withdrawn"], left["handed_on"], (await get(profile, f"/learners/{ben}"))["aliases"]) == (1, 0, 3)
    tried = await send(profile, handed(), person_iri=iri, dry_run=True)
    answer = await send(profile, handed(), person_iri=iri)
    assert [(each["learners"]["created"], each["learners"]["changed"], each["learners"]["withdrawn"]) for each in (tried, answer)] == [
        (1, 1, 0), (1, 1, 0),
    ], "who left loses an alias, and does not leave twice"  # fmt: skip
    assert (tried["handed_on"], answer["handed_on"], answer["aliases"]) == (1, 1, 2)
    gus = (await learners(profile))["Gus"]["learner_id"]
    (warning,) = answer["warnings"]
    assert (warning["place"], warning["code"]) == ("users.csv:8:username", "alias-handed-on")
    assert f"learner {ben} until now, and is for learner {gus} from now on" in warning["detail"]
    assert [(await get(profile, f"/learners/{each}"))["aliases"] for each in (ben, gus)] == [2, 2]
    assert (await get(profile, f"/learners/{ben}"))["active"] is False
    assert (await send(profile, handed(), person_iri=iri))["events"] == 0
    told = await profile.ledger.stream(f"profile/alias/{person_alias(KEY, '', 'urn:lms:ben.o')}")
    assert [str(event.data.learner_id) for event in told] == [ben, gus]


@pytest.mark.parametrize(
    ("query", "headers", "content", "status"),
    [
        ({"source": "sis"}, {"Content-Type": "application/json"}, b"{}", 415),
        ({"source": "sis"}, {}, b"", 415),
        ({"source": "sis"}, {"Content-Type": "application/zip"}, b"PK no more", 400),
        ({"source": "sis"}, {"Content-Type": "application/zip"}, b"x" * (16 * 1024 * 1024 + 1), 413),
        ({}, {"Content-Type": "application/zip"}, District().zip(), 422),
        ({"source": "a/b"}, {"Content-Type": "application/zip"}, District().zip(), 422),
        ({"source": "sis", "person_iri": [LMS, "https://lms.example/users/"]}, {"Content-Type": "application/zip"}, District().zip(), 422),
        ({"source": "sis", "person_iri": [LMS] * 17}, {"Content-Type": "application/zip"}, District().zip(), 422),
        ({"source": "sis", "dry_run": "perhaps"}, {"Content-Type": "application/zip"}, District().zip(), 422),
    ],
)
async def test_what_is_no_roster_is_refused(
    profile: Any, query: dict[str, Any], headers: dict[str, str], content: bytes, status: int
) -> None:
    before = await store(profile)
    response = await profile.client.post(IMPORTS, params=query, headers=headers, content=content)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert await store(profile) == before


async def test_the_same_roster_with_another_template_claims_new_aliases(profile: Any) -> None:
    await send(profile, District())
    before = await types(profile)
    tried = await send(profile, District(), person_iri=[LMS, "urn:sis:{username}"], dry_run=True)
    answer = await send(profile, District(), person_iri=["urn:sis:{username}", LMS])
    assert (tried["aliases"], answer["aliases"], answer["learners"]["changed"]) == (4, 4, 3), "all have a username, Ada is known to the LMS"
    assert await types(profile) - before == {"learner-identified": 4, "learner-rostered": 3, "roster-imported": 1}
    assert (await send(profile, District(), person_iri=[LMS, "urn:sis:{username}"]))["events"] == 0
    assert (await send(profile, District()))["events"] == 0, "what was claimed stays"
    shown = (await get(profile, "/imports"))["items"]
    assert [each["person_iris"] for each in shown if each["content_hash"] == answer["content_hash"]] == [[LMS, "urn:sis:{username}"]]
    assert [each["person_iris"] for each in shown if each["content_hash"] != answer["content_hash"]] == [[]]


async def test_a_malformed_template_is_named_by_its_place(profile: Any) -> None:
    problem = await send(profile, District(), 422, person_iri=[LMS, "https://lms.example/{email}", "{sourcedId}"])
    assert [(each["place"], each["code"]) for each in problem["errors"]] == [
        ("query/person_iri/1", "person-iri"),
        ("query/person_iri/2", "person-iri"),
    ]


async def test_one_roster_is_taken_at_a_time(profile: Any) -> None:
    content = {"params": {"source": "sis"}, "content": District().zip(), "headers": {"Content-Type": "application/zip"}}
    responses = await asyncio.gather(*(profile.client.post(IMPORTS, **content) for _ in range(3)))
    refused = [response for response in responses if response.status_code != 200]
    assert [response.json()["type"] for response in refused] == ["urn:cairn:problem:overloaded"] * 2
    assert {response.headers["retry-after"] for response in refused} == {str(imports.RETRY_AFTER_S)}
    assert (await send(profile, District()))["events"] == 0


async def test_every_decision_replays_to_the_same_bytes(profile: Any) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]["learner_id"]
    await profile.client.post(f"/profile/learners/{ada}/preferences", json={"author_id": ada, "role": "learner", "words": "rockets"})
    await send(profile, District().without_user("u1"))
    await send(profile, District().put("users.csv", "u2", givenName="Bo"))
    stored = await rows(profile, "SELECT stream, bytes FROM event ORDER BY stream, version")
    verifier = Verifier(PARTS.deciders, Settings((), ()))
    for stream, events_of in groupby(stored, key=itemgetter(0)):
        verifier.stream(stream, [bytes(raw) for _, raw in events_of])
    tally = verifier.tally
    assert tally.differences == []
    assert tally.decisions == len(stored) == EVENTS + 1 + 2 + 3


async def test_nobodys_name_or_id_is_in_clear_in_events_or_tables(profile: Any) -> None:
    district = District().put("users.csv", "u1", sms="555-canary", preferredGivenName="Canary-Pip", pronouns="canary/they")
    await send(profile, district.put("classes.csv", "c1", title="Ms Miller-Canary P3"), person_iri=[LMS])
    ada = (await learners(profile))["Canary-Pip"]
    assert (ada["given_name"], ada["family_name"]) == ("Canary-Pip", "Canary-Marmalade")
    said = {"author_id": ada["learner_id"], "role": "learner", "areas": ["space"], "words": "I love canary-rockets"}
    await profile.client.post(f"/profile/learners/{ada['learner_id']}/preferences", json=said)
    assert (await get(profile, f"/learners/{ada['learner_id']}"))["preferences"][0]["words"] == "I love canary-rockets"
    titles = {each["title"] for each in (await get(profile, f"/learners/{ada['learner_id']}"))["classes"]}
    assert "Ms Miller-Canary P3" in titles
    names = await rows(profile, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    assert {"event", *TABLES} <= {name for (name,) in names}
    content = b"".join(await events(profile))
    for (table,) in names:
        content += str(await rows(profile, f"SELECT t::text FROM {table} t")).encode()  # noqa: S608 - PostgreSQL's own words
    assert ada["learner_id"].encode() in content, "what is searched is there"
    for canary in (
        "canary",
        "Canary",
        "Marmalade",
        "Okafor",
        "Quill",
        "Miller",
        "ada.m",
        "ada@brook",
        "lms-1",
        "rockets",
    ):  # Shorter ones turn up in ciphertext by chance.
        for form in (canary.encode(), canary.encode().hex().encode()):
            assert form not in content, canary


async def test_a_learners_profile_says_where_she_belongs_and_who_said_what_when(profile: Any) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]
    path = f"/learners/{ada['learner_id']}"
    teacher = (await get(profile, "/staff"))["items"][0]["staff_id"]
    hers = {"author_id": ada["learner_id"], "role": "learner", "areas": ["space", "art"], "modalities": ["video"], "avoided": ["reading"]}
    his = {"author_id": teacher, "role": "teacher", "modalities": ["project"], "words": "Builds things, Zoë says."}
    for said, news in ((hers, True), (hers, False), (his, True), (his, False)):
        profile.context.clock.at = profile.context.clock.now().replace(minute=profile.context.clock.now().minute + 1)
        response = await profile.client.post(f"/profile{path}/preferences", json=said)
        assert (response.status_code, response.json()) == (200, {"recorded": news})
    shown = await get(profile, path)
    assert (shown["given_name"], shown["family_name"], shown["grade"], shown["source"]) == ("Ada", "Canary-Marmalade", "05", "sis")
    assert shown["school"]["title"] == "Brook School"
    assert shown["school"]["term_ends"] == "2027-06-19"
    assert sorted(each["title"] for each in shown["classes"]) == ["5a Mathematics", '5a Reading, "aloud"']
    assert shown["aliases"] == 6
    latest, first = shown["preferences"]
    assert (latest["author_id"], latest["role"], latest["words"], latest["stated_at"]) == (
        teacher, "teacher", "Builds things, Zoë says.", "2026-11-24T08:03:00Z",
    )  # fmt: skip
    assert (first["areas"], first["modalities"], first["avoided"], first["stated_at"]) == (
        ["space", "art"], ["video"], ["reading"], "2026-11-24T08:01:00Z",
    )  # fmt: skip


async def test_as_many_authors_are_shown_as_are_heard_the_latest_ones(profile: Any) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]["learner_id"]
    authors = [str(UUID(int=100 + number)) for number in range(MAX_AUTHORS + 2)]
    for author in [*authors, authors[0], authors[0]]:
        profile.context.clock.at += timedelta(minutes=1)
        response = await profile.client.post(f"/profile/learners/{ada}/preferences", json={"author_id": author, "role": "teacher"})
        assert response.status_code == 200, response.text
    assert response.json() == {"recorded": False}
    shown = (await get(profile, f"/learners/{ada}"))["preferences"]
    assert [each["author_id"] for each in shown] == [authors[0], *reversed(authors[3:])]


async def test_an_author_is_heard_again_where_the_clock_was_put_back(profile: Any) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]["learner_id"]
    told = []
    for minutes, modality in ((0, "video"), (-20, "project"), (1, "reading"), (20, "practice")):
        profile.context.clock.at += timedelta(minutes=minutes)
        said = {"author_id": ada, "role": "learner", "modalities": [modality]}
        response = await profile.client.post(f"/profile/learners/{ada}/preferences", json=said)
        assert (response.status_code, response.json()) == (200, {"recorded": True})
        (latest,) = (await get(profile, f"/learners/{ada}"))["preferences"]
        assert latest["modalities"] == [modality]
        told.append(latest["stated_at"])
    assert told == ["2026-11-24T08:00:00Z", "2026-11-24T08:00:00.000001Z", "2026-11-24T08:00:00.000002Z", "2026-11-24T08:01:00Z"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"areas": ["dragons"]},
        {"areas": ["space", "space"]},
        {"role": "uncle"},
        {"author_id": "me"},
        {"author_id": None},
        {"modalities": ["video"], "avoided": ["video"]},
        {"words": "x" * 2001},
        {"words": "a\0b"},
        {"mood": "good"},
        {"modalities": "video"},
    ],
)
async def test_preferences_that_cannot_be_taken_change_nothing(profile: Any, wrong: dict[str, Any]) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]["learner_id"]
    before = await store(profile)
    response = await profile.client.post(f"/profile/learners/{ada}/preferences", json={"author_id": ada, "role": "learner"} | wrong)
    assert response.status_code in (400, 422), response.text
    assert response.json()["errors"]
    assert await store(profile) == before


async def test_what_is_not_there_is_a_problem(profile: Any) -> None:
    await send(profile, District())
    nobody = UUID(int=7)
    before = await store(profile)
    assert (await get(profile, f"/learners/{nobody}", 404))["type"] == "urn:cairn:problem:not-found"
    await get(profile, f"/schools/{nobody}/classes", 404)
    for path in ("/learners", "/staff"):
        for of in ("school", "class"):
            assert f"a {of} with this id" in (await get(profile, path, 404, **{of: nobody}))["detail"]
    await get(profile, "/learners/ada", 422)
    await get(profile, "/learners", 422, after="bm8=")
    await get(profile, "/imports", 422, after="WyJub3ciLCJ4Il0=")
    response = await profile.client.post(f"/profile/learners/{nobody}/preferences", json={"author_id": str(nobody), "role": "learner"})
    assert response.status_code == 404
    assert await store(profile) == before


async def test_lists_are_paged_and_filtered(profile: Any) -> None:
    await send(profile, District())
    await send(profile, District().without_user("u2"))
    brook = next(each for each in (await get(profile, "/schools"))["items"] if each["title"] == "Brook School")["school_id"]
    classes = {each["title"]: each for each in (await get(profile, f"/schools/{brook}/classes"))["items"]}
    assert classes['5a Reading, "aloud"']["subjects"] == ["drama", "reading"]
    mathematics = classes["5a Mathematics"]["class_id"]
    assert set(await learners(profile, **{"class": mathematics})) == {"Ada"}
    assert set(await learners(profile, **{"class": mathematics}, withdrawn=True)) == {"Ada", "Ben"}
    assert set(await learners(profile, school=brook)) == {"Ada"}
    assert [each["given_name"] for each in (await get(profile, "/staff", school=brook))["items"]] == ["Dora"]
    for path, total in (("/learners", 2), ("/staff", 2), ("/schools", 2), (f"/schools/{brook}/classes", 2), ("/imports", 2)):
        first = await get(profile, path, limit=1)
        second = await get(profile, path, limit=1, after=first["next"])
        assert first["items"] + second["items"] == (await get(profile, path))["items"]
        assert second["next"] is None
        assert len((await get(profile, path))["items"]) == total
    assert {each["source"] for each in (await get(profile, "/imports"))["items"]} == {"sis"}


async def test_destroying_a_key_erases_the_name_and_words(profile: Any, place: Any) -> None:
    await send(profile, District())
    ada = (await learners(profile))["Ada"]["learner_id"]
    said = {"author_id": ada, "role": "learner", "words": "rockets"}
    assert (await profile.client.post(f"/profile/learners/{ada}/preferences", json=said)).json() == {"recorded": True}
    await destroy_key(place, ada)
    shown = await get(profile, f"/learners/{ada}")
    assert (shown["given_name"], shown["family_name"], shown["preferences"][0]["words"]) == ("", "", "")
    assert shown["unreadable"]["code"] == "key-missing", "since no erasure is recorded"


async def test_the_title_of_a_class_is_news_when_it_changes_and_erased_with_its_key(profile: Any, place: Any) -> None:
    await send(profile, District())
    answer = await send(profile, District().put("classes.csv", "c1", title="Ms Miller P3"))
    assert (answer["classes"]["changed"], answer["classes"]["unchanged"], answer["events"]) == (1, 1, 2)
    assert (await send(profile, District().put("classes.csv", "c1", title="Ms Miller P3"), dry_run=True))["classes"]["unchanged"] == 2
    brook = next(each for each in (await get(profile, "/schools"))["items"] if each["title"] == "Brook School")["school_id"]
    shown = {each["title"]: each["class_id"] for each in (await get(profile, f"/schools/{brook}/classes"))["items"]}
    assert set(shown) == {"Ms Miller P3", '5a Reading, "aloud"'}
    await destroy_key(place, shown["Ms Miller P3"])
    assert {each["title"] for each in (await get(profile, f"/schools/{brook}/classes"))["items"]} == {"", '5a Reading, "aloud"'}


async def test_ten_thousand_learners_are_taken(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "FINISH_S", 200.0)  # They are taken in steps, however busy the machine is.
    district = District()
    for number in range(10_000):
        district.student(f"n{number}", identifier=f"i{number}", userIds=f"{{LMS:l{number}}}")
        enrollment = {
            "sourcedId": f"en{number}",
            "classSourcedId": "c1",
            "schoolSourcedId": "s1",
            "userSourcedId": f"n{number}",
            "role": "student",
        }
        district.rows["enrollments.csv"].append(enrollment)
    answer = await send(profile, district)
    assert answer["learners"]["created"] == 10_003
    assert (await send(profile, district))["events"] == 0
