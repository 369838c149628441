"""A key that is damaged or lost, though nobody was erased: it hides nobody else, is no erasure, and nothing is lost by it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from services.profile.queries import Keyring
from shared.sealing import Use
from tests.profile.district import District
from tests.profile.test_erasure import MISTAKE, erase, post
from tests.profile.test_http import get, learners, place, profile, rows, send, store

__all__ = ["place", "profile"]


async def change_key(place: Any, statement: str, *values: Any) -> None:
    """Do what a disk, or a backup that was put back in part, may do to the table of keys."""
    async with await psycopg.AsyncConnection.connect(place.owner_url) as connection:
        assert (await connection.execute(statement.encode(), values)).rowcount == 1


async def lose_key(place: Any, owner: str) -> None:
    await change_key(place, "DELETE FROM person_key WHERE person_id = %s", owner)


async def damage_key(place: Any, owner: str) -> None:
    await change_key(place, "UPDATE person_key SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) WHERE person_id = %s", owner)


async def key_row(profile: Any, owner: str) -> bytes:
    ((wrapped,),) = await rows(profile, f"SELECT wrapped FROM person_key WHERE person_id = '{owner}'")  # noqa: S608 - our own id
    return bytes(wrapped)


async def ids(profile: Any) -> dict[str, str]:
    """Bring in the district, and return the ids of Ada, Ben, a class and a teacher."""
    await send(profile, District())
    known = await learners(profile)
    ada = known["Ada"]["learner_id"]
    await post(profile, f"/learners/{ada}/preferences", {"author_id": ada, "role": "learner", "words": "rockets"})
    (staff, *_) = (await get(profile, "/staff"))["items"]
    shown = await get(profile, f"/learners/{ada}")
    return {"ada": ada, "ben": known["Ben"]["learner_id"], "class": shown["classes"][0]["class_id"], "staff": staff["staff_id"]}


async def test_a_damaged_key_hides_nobody_else_and_says_what_is_wrong(profile: Any, place: Any) -> None:
    known = await ids(profile)
    for each in ("ada", "class", "staff"):
        await damage_key(place, known[each])
    with capture_logs() as logs:
        listed = {each["learner_id"]: each for each in (await get(profile, "/learners"))["items"]}
        ada, ben = listed[known["ada"]], listed[known["ben"]]
        assert (ben["given_name"], ben["unreadable"]) == ("Ben", None)
        assert (ada["given_name"], ada["grade"], ada["unreadable"]["code"], ada["erased_on"]) == ("", "05", "key-damaged", None)
        assert "backup" in ada["unreadable"]["remedy"]
        shown = await get(profile, f"/learners/{known['ada']}")
        assert shown["unreadable"] == ada["unreadable"]
        assert [(each["words"], each["unreadable"]["code"]) for each in shown["preferences"]] == [("", "key-damaged")]
        titles = {each["class_id"]: each["unreadable"] and each["unreadable"]["code"] for each in shown["classes"]}
        assert titles.pop(known["class"]) == "key-damaged"
        assert list(titles.values()) == [None]
        staff = {each["staff_id"]: each["unreadable"] for each in (await get(profile, "/staff"))["items"]}
        assert staff.pop(known["staff"])["code"] == "key-damaged"
        assert list(staff.values()) == [None]
    logged = sorted(each["owner"] for each in logs if each.get("code") == "key-damaged")
    assert logged == sorted(known[each] for each in ("ada", "class", "staff")), "each once"


async def test_a_text_that_does_not_open_hides_nobody_else(profile: Any, place: Any) -> None:
    known = await ids(profile)
    other = await key_row(profile, known["ben"])
    await change_key(place, "UPDATE person_key SET wrapped = %s WHERE person_id = %s", other, known["ada"])
    listed = {each["learner_id"]: each["unreadable"] for each in (await get(profile, "/learners"))["items"]}
    assert listed.pop(known["ada"])["code"] == "text-damaged"
    assert set(listed.values()) == {None}


@pytest.mark.parametrize("code", ["key-damaged", "key-missing"])
async def test_nothing_is_sealed_without_the_key_and_nothing_is_lost(profile: Any, place: Any, code: str) -> None:
    known = await ids(profile)
    ada, whole = known["ada"], await key_row(profile, known["ada"])
    sealed = await post(profile, f"/learners/{ada}/sealed", {"use": Use.MASTERY_REASON, "words": "knows it"})
    await (damage_key if code == "key-damaged" else lose_key)(place, ada)
    before = await store(profile)
    use = {"use": Use.MASTERY_REASON}
    said = {"author_id": ada, "role": "learner", "words": "I"}
    for path, body in (("preferences", said), ("sealed", use | {"words": "x"}), ("opened", use | {"sealed": sealed})):
        problem = await post(profile, f"/learners/{ada}/{path}", body, 409)
        assert problem["errors"][0]["code"] == code
        assert "backup" in problem["detail"]
    assert await store(profile) == before
    renamed = District().put("users.csv", "u1", givenName="Ida").put("users.csv", "u2", givenName="Bo")
    for dry_run in (True, False):
        answer = await send(profile, renamed, dry_run=dry_run)
        assert (answer["learners"]["changed"], answer["warnings_total"]) == (1, 1)
        (warned,) = answer["warnings"]
        assert (warned["place"], warned["code"]) == ("users.csv:2:sourcedId", code)
        assert ada in warned["detail"]
    assert "Bo" in await learners(profile)
    listed = {each["learner_id"]: each for each in (await get(profile, "/learners"))["items"]}
    assert (listed[ada]["unreadable"]["code"], listed[ada]["erased_on"]) == (code, None)
    put_back = (
        "INSERT INTO person_key (wrapped, person_id) VALUES (%s, %s) ON CONFLICT (person_id) DO UPDATE SET wrapped = excluded.wrapped"
    )
    await change_key(place, put_back, whole, ada)
    shown = await get(profile, f"/learners/{ada}")
    assert (shown["given_name"], shown["preferences"][0]["words"], shown["unreadable"]) == ("Ada", "rockets", None), "nothing was lost"
    assert (await send(profile, renamed))["learners"]["changed"] == 1
    assert (await get(profile, f"/learners/{ada}"))["given_name"] == "Ida"


async def test_a_key_that_is_lost_behind_a_lifted_erasure_is_missing_and_one_that_was_not_made_yet_is_not(profile: Any, place: Any) -> None:
    ada = (await ids(profile))["ada"]
    await erase(profile, ada)
    profile.context.clock.at += timedelta(hours=1)
    await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)
    profile.context.clock.at += timedelta(hours=1)
    await send(profile, District().without_user("u1"))
    assert (await get(profile, f"/learners/{ada}"))["unreadable"] is None, "withdrawn, as she stood"
    await send(profile, District())
    assert (await get(profile, f"/learners/{ada}"))["given_name"] == "Ada"
    await lose_key(place, ada)
    assert (await get(profile, f"/learners/{ada}"))["unreadable"]["code"] == "key-missing"
    await erase(profile, ada)
    assert (await get(profile, f"/learners/{ada}"))["unreadable"] is None, "erased, as asked"


async def test_a_class_whose_key_is_lost_is_named_by_the_next_roster_which_says_so(profile: Any, place: Any) -> None:
    known = await ids(profile)
    await lose_key(place, known["class"])
    answer = await send(profile, District())
    assert [(each["code"], each["place"].split(":")[0]) for each in answer["warnings"]] == [("text-damaged", "classes.csv")]
    shown = {each["class_id"]: each for each in (await get(profile, f"/learners/{known['ada']}"))["classes"]}[known["class"]]
    assert (shown["title"] != "", shown["unreadable"]) == (True, None)
    assert (await send(profile, District()))["warnings"] == []


async def test_whose_key_is_damaged_for_good_is_erased_and_named_again(profile: Any, place: Any) -> None:
    ada = (await ids(profile))["ada"]
    await damage_key(place, ada)
    assert (await erase(profile, ada))["keys_destroyed"] == 1
    assert (await get(profile, f"/learners/{ada}"))["unreadable"] is None, "erased, as asked"
    await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)
    await send(profile, District())
    assert (await get(profile, f"/learners/{ada}"))["given_name"] == "Ada"


async def test_what_does_not_open_behind_a_lifted_erasure_is_damaged_only_where_it_was_sealed_since(profile: Any, place: Any) -> None:
    known = await ids(profile)
    ada, clock = known["ada"], profile.context.clock
    await erase(profile, ada)
    await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)
    clock.at += timedelta(hours=1)
    await send(profile, District())
    await post(profile, f"/learners/{ada}/preferences", {"author_id": known["staff"], "role": "teacher", "words": "she is back"})
    shown = await get(profile, f"/learners/{ada}")
    told = {each["author_id"]: (each["words"], each["unreadable"]) for each in shown["preferences"]}
    assert (shown["given_name"], told) == ("Ada", {ada: ("", None), known["staff"]: ("she is back", None)})
    await change_key(place, "UPDATE person_key SET wrapped = %s WHERE person_id = %s", await key_row(profile, known["ben"]), ada)
    shown = await get(profile, f"/learners/{ada}")
    told = {each["author_id"]: each["unreadable"] and each["unreadable"]["code"] for each in shown["preferences"]}
    assert (shown["unreadable"]["code"], told) == ("text-damaged", {ada: None, known["staff"]: "text-damaged"})


async def test_keys_are_destroyed_in_the_order_of_their_ids(profile: Any, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(self: Keyring) -> int:
        raise ConnectionError("the process ends here")

    await ids(profile)
    first, *others = sorted(each["learner_id"] for each in (await get(profile, "/learners"))["items"])
    monkeypatch.setattr(Keyring, "destroy_erased", dies)
    for each in reversed((first, *others)):
        await erase(profile, each, 500)
        await change_key(place, "UPDATE person_key SET wrapped = wrapped WHERE person_id = %s", each)  # It lies behind the others now.
    connect = psycopg.AsyncConnection.connect
    async with await connect(place.owner_url) as holds, await connect(place.app_url) as waits, await connect(place.owner_url) as looks:
        await holds.execute("SELECT FROM person_key WHERE person_id = %s FOR UPDATE", [first])
        destroying = asyncio.create_task(waits.execute("SELECT destroy_erased_keys()"))
        blocked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        async with asyncio.timeout(30):
            while (await (await looks.execute(blocked, [waits.info.backend_pid])).fetchone()) != (True,):  # noqa: ASYNC110 - a lock tells nobody who waits.
                await asyncio.sleep(0.02)
        free = await (await looks.execute("SELECT person_id::text FROM person_key FOR UPDATE SKIP LOCKED")).fetchall()
        await looks.rollback()
        await holds.rollback()
        assert await (await destroying).fetchone() == (3,)
        assert set(others) <= {id for (id,) in free}, "whoever waits for the first holds none of the others"
