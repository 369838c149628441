"""A learner who is erased: nobody can read her name or words about her again, whatever dies, comes back or is told again."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from services.cli import app
from services.profile import subscribers
from services.profile.app import PARTS
from services.profile.queries.keyring import NAME, WORDS, Keyring
from shared.clock import FixedClock
from shared.contracts.envelope import Header, Sealed
from shared.replay import Settings, Verifier
from shared.seal import Unreadable, unseal, unwrap
from shared.sealing import Use
from shared.stack import Stack, copy_database, drop_database
from shared.testing import SOME_TIME, running
from tests.profile.district import District
from tests.profile.test_http import KEY, events, get, learners, place, profile, rows, send, store, types
from tests.shared.test_catch_up import publish
from tests.shared.wire import Wire, lie_nowhere_else

__all__ = ["place", "profile"]
ASKED = {"asked_by": "guardian", "why": "request", "reference": "DSR-2026-0114"}
MISTAKE = {"asked_by": "district", "why": "mistake"}
ERASED_ON = "2026-11-24"
BEN_SAID = "Ben-Canary builds with me"


async def post(profile: Any, path: str, body: Any, status: int = 200) -> Any:
    response = await profile.client.post(f"/profile{path}", json=body)
    assert response.status_code == status, response.text
    return response.json()


async def erase(profile: Any, learner: str, status: int = 200, **other: str) -> Any:
    return await post(profile, f"/learners/{learner}/erasure", ASKED | other, status)


async def spoken_of(profile: Any) -> tuple[str, str]:
    """Bring in the district, let people speak of Ada, and Ada of Ben; return both ids."""
    await send(profile, District())
    known = await learners(profile)
    ada, ben = known["Ada"]["learner_id"], known["Ben"]["learner_id"]
    for about, author, role, words in (
        (ada, ada, "learner", "canary-rockets"), (ada, str(UUID(int=7)), "guardian", "Ada-Canary's mother says"),
        (ben, ada, "learner", BEN_SAID),
    ):  # fmt: skip
        said = {"author_id": author, "role": role, "modalities": ["video"], "words": words}
        assert (await post(profile, f"/learners/{about}/preferences", said)) == {"recorded": True}
    return ada, ben


async def keys(profile: Any) -> dict[str, bytes]:
    return {str(id): unwrap(KEY, bytes(wrapped)) for id, wrapped in await rows(profile, "SELECT person_id, wrapped FROM person_key")}


async def sealed_about(profile: Any, learner: str) -> list[tuple[Sealed, str]]:
    """Return all that the record holds sealed about a learner, with what it was sealed for."""
    data = [Header.read(raw).attributes["data"] for raw in await events(profile)]
    hers = [each for each in data if each.get("learner_id") == learner]
    return [(Sealed(**each[name]), use) for each in hers for name, use in (("name", NAME), ("words", WORDS)) if name in each]


def opens(key: bytes, sealed: Sealed, use: str) -> bool:
    try:
        return bool(unseal(key, sealed, use))
    except Unreadable:
        return False


async def test_an_erased_learners_name_and_words_are_gone_for_everybody_and_her_words_about_others_are_not(profile: Any) -> None:
    ada, ben = await spoken_of(profile)
    before = await sealed_about(profile, ada)
    assert [any(opens(key, *each) for key in (await keys(profile)).values()) for each in before] == [True] * 3
    told = await erase(profile, ada)
    assert told == {
        "learner_id": ada, "erased_at": "2026-11-24T08:00:00Z", "recorded": True, "keys_destroyed": 1, "names": 1, "words": 2,
        "on_roster": True,
    }  # fmt: skip
    shown = await get(profile, f"/learners/{ada}")
    assert (shown["given_name"], shown["family_name"], shown["erased_on"]) == ("", "", ERASED_ON)
    assert [(each["words"], each["modalities"]) for each in shown["preferences"]] == [("", ["video"])] * 2
    listed = {each["learner_id"]: each for each in (await get(profile, "/learners"))["items"]}
    assert (listed[ada]["given_name"], listed[ada]["erased_on"]) == ("", ERASED_ON)
    assert (listed[ben]["given_name"], listed[ben]["erased_on"]) == ("Ben", None)
    assert (await get(profile, f"/learners/{ben}"))["preferences"][0]["words"] == BEN_SAID
    assert await sealed_about(profile, ada) == before, "what is recorded stays as it is"
    left = await keys(profile)
    assert ada not in left
    assert not [each for each in before for key in left.values() if opens(key, *each)]


async def test_who_asked_and_why_is_listed_and_names_nobody(profile: Any) -> None:
    ada, ben = await spoken_of(profile)
    await erase(profile, ada)
    profile.context.clock.at += timedelta(days=1)
    await erase(profile, ben, asked_by="district", why="retention", reference="")
    listed = (await get(profile, "/erasures"))["items"]
    assert listed == [
        {
            "learner_id": ben, "erased": True, "since": "2026-11-25T08:00:00Z", "asked_by": "district", "why": "retention", "reference": "",
            "finished": True,
        },
        {"learner_id": ada, "erased": True, "since": "2026-11-24T08:00:00Z", "finished": True} | ASKED,
    ]  # fmt: skip
    first = await get(profile, "/erasures", limit=1)
    assert first["items"] + (await get(profile, "/erasures", limit=1, after=first["next"]))["items"] == listed


async def test_twice_is_once(profile: Any) -> None:
    ada, _ = await spoken_of(profile)
    first, before = await erase(profile, ada), await store(profile)
    again = await erase(profile, ada, why="retention")
    assert again == first | {"recorded": False, "keys_destroyed": 0}
    assert await store(profile) == before
    assert (await get(profile, "/erasures"))["items"][0]["why"] == "request", "as it was asked first"
    assert await asyncio.gather(*(erase(profile, ada) for _ in range(5))) == [again] * 5


async def test_nobody_is_erased_whom_no_roster_named(profile: Any) -> None:
    await send(profile, District())
    before = await store(profile)
    for path, body in (("erasure", ASKED), ("erasure/lifted", MISTAKE)):
        problem = await post(profile, f"/learners/{UUID(int=9)}/{path}", body, 404)
        assert "no roster named a learner with this id" in problem["detail"]
    for wrong in ({"why": "her mother Anna asked"}, {"asked_by": "Anna"}, {"reference": "Anna Kowalska"}, {"reason": "x"}):
        await post(profile, f"/learners/{UUID(int=9)}/erasure", ASKED | wrong, 422)
    assert await store(profile) == before


async def test_the_next_roster_names_her_without_her_name_and_says_so(profile: Any) -> None:
    ada, _ = await spoken_of(profile)
    await erase(profile, ada)
    changed = District().put("users.csv", "u1", givenName="Canary-Ida")
    for dry_run in (True, False):
        answer = await send(profile, changed, dry_run=dry_run)
        assert (answer["erased"], answer["learners"]["changed"], answer["warnings_total"]) == (1, 1, 1)
        (warned,) = answer["warnings"]
        assert (warned["place"], warned["code"]) == ("users.csv:2:sourcedId", "erased")
        assert f"learner {ada} was erased on {ERASED_ON}" in warned["detail"]
    again = await send(profile, changed)
    assert (again["events"], again["erased"]) == (0, 1)
    shown = await get(profile, f"/learners/{ada}")
    assert (shown["given_name"], shown["grade"], shown["active"], len(shown["classes"])) == ("", "05", True, 2)
    assert ada not in await keys(profile)
    newest = [Header.read(raw).attributes["data"] for raw in await events(profile)][-20:]
    assert [each.get("name") for each in newest if each.get("learner_id") == ada and "aliases" in each][-1] is None
    for words in ("Canary", "Marmalade"):
        assert all(words.encode() not in raw for raw in await events(profile))


async def test_a_learner_who_was_known_by_other_ids_stays_the_one_who_is_erased(profile: Any) -> None:
    ada, _ = await spoken_of(profile)
    await erase(profile, ada)
    entered_anew = District()
    for file in ("users.csv", "roles.csv", "enrollments.csv"):
        for row in entered_anew.rows[file]:
            for column in ("sourcedId", "userSourcedId"):
                if row.get(column) == "u1":
                    row[column] = "u1-new"
    answer = await send(profile, entered_anew)
    assert (answer["erased"], answer["learners"]["created"]) == (1, 0)
    assert (await get(profile, f"/learners/{ada}"))["given_name"] == ""


async def test_no_words_about_her_are_taken_and_everything_else_is(profile: Any) -> None:
    ada, ben = await spoken_of(profile)
    sealed = await post(profile, f"/learners/{ada}/sealed", {"use": Use.MASTERY_REASON, "words": "knows it"})
    await erase(profile, ada)
    said = {"author_id": ada, "role": "learner", "modalities": ["project"]}
    assert (await post(profile, f"/learners/{ada}/preferences", said | {"words": "I"}, 409))["errors"][0]["code"] == "erased"
    assert (await post(profile, f"/learners/{ada}/sealed", {"use": Use.MASTERY_REASON, "words": "x"}, 409))["errors"][0]["code"] == "erased"
    await post(profile, f"/learners/{ada}/opened", {"use": Use.MASTERY_REASON, "sealed": sealed}, 404)
    assert (await post(profile, f"/learners/{ada}/preferences", said)) == {"recorded": True}
    assert (await post(profile, f"/learners/{ben}/preferences", said | {"words": "I"})) == {"recorded": True}
    assert ada not in await keys(profile)


async def test_words_from_before_an_erasure_that_was_lifted_are_said_to_be_destroyed(profile: Any) -> None:
    ada, _ = await spoken_of(profile)
    asked = {"use": Use.MASTERY_REASON}
    sealed = await post(profile, f"/learners/{ada}/sealed", asked | {"words": "knows it"})
    await erase(profile, ada)
    await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)
    for _ in range(2):
        said = await post(profile, f"/learners/{ada}/opened", asked | {"sealed": sealed}, 404)
        assert "destroyed" in said["detail"]
        await send(profile, District())  # Which makes her a fresh key.
    anew = await post(profile, f"/learners/{ada}/sealed", asked | {"words": "knows it"})
    assert (await post(profile, f"/learners/{ada}/opened", asked | {"sealed": anew})) == {"words": "knows it"}


ZOE = {"givenName": "Zoe", "familyName": "New", "username": "zoe", "identifier": "7777", "userIds": "{LMS:zoe}"}


@pytest.mark.parametrize("erased", [False, True])
async def test_who_gets_the_sourced_id_of_one_who_left_sees_nothing_of_her(profile: Any, erased: bool) -> None:
    ada, _ = await spoken_of(profile)
    await send(profile, District().without_user("u1"))
    if erased:
        await erase(profile, ada)
    answer = await send(profile, District().put("users.csv", "u1", **ZOE))
    assert (answer["erased"], answer["learners"]["created"]) == (0, 1)
    assert answer["warnings"][0]["code"] == "sourced-id-reused"
    (zoe,) = [each["learner_id"] for each in (await get(profile, "/learners"))["items"] if each["given_name"] == "Zoe"]
    assert zoe != ada
    assert (await get(profile, f"/learners/{zoe}"))["preferences"] == []
    await post(profile, f"/learners/{zoe}/preferences", {"author_id": zoe, "role": "learner", "words": "I like maps"})
    shown = await get(profile, f"/learners/{ada}")
    assert (shown["active"], shown["given_name"]) == (False, "" if erased else "Ada")
    assert (await send(profile, District().put("users.csv", "u1", **ZOE)))["events"] == 0


async def test_who_was_erased_by_mistake_is_named_by_the_next_roster_and_what_was_erased_stays_so(profile: Any) -> None:
    ada, _ = await spoken_of(profile)
    before = await sealed_about(profile, ada)
    assert (await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)) == {"learner_id": ada, "recorded": False}
    await erase(profile, ada)
    for recorded in (True, False):
        assert (await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)) == {"learner_id": ada, "recorded": recorded}
    (listed,) = (await get(profile, "/erasures"))["items"]
    assert (listed["erased"], listed["why"], listed["finished"]) == (False, "mistake", True)
    shown = await get(profile, f"/learners/{ada}")
    assert (shown["given_name"], shown["erased_on"]) == ("", None), "no roster has named her yet"
    await post(profile, f"/learners/{ada}/sealed", {"use": Use.MASTERY_REASON, "words": "she is back"})
    assert (await learners(profile))[""]["learner_id"] == ada, "with a fresh key, too"
    answer = await send(profile, District())
    assert (answer["erased"], answer["learners"]["changed"], answer["warnings"]) == (0, 1, [])
    assert (await get(profile, f"/learners/{ada}"))["given_name"] == "Ada"
    fresh = (await keys(profile))[ada]
    assert [opens(fresh, *each) for each in before] == [False] * 3
    assert (await erase(profile, ada))["keys_destroyed"] == 1
    assert (await get(profile, f"/learners/{ada}"))["given_name"] == ""


async def old_key_back(place: Any, learner: str, wrapped: bytes) -> None:
    """Do what a backup of the table of keys does that is put back."""
    async with await psycopg.AsyncConnection.connect(place.owner_url) as owner:
        await owner.execute("DELETE FROM person_key WHERE person_id = %s", [learner])
        await owner.execute("INSERT INTO person_key (person_id, wrapped) VALUES (%s, %s)", [learner, wrapped])


@pytest.mark.parametrize("lifted", [False, True])
async def test_a_key_that_a_backup_brings_back_opens_nothing_and_is_destroyed_at_the_next_start(place: Any, lifted: bool) -> None:
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        ada, _ = await spoken_of(service)
        ((wrapped,),) = await rows(service, f"SELECT wrapped FROM person_key WHERE person_id = '{ada}'")  # noqa: S608 - our own id
        await erase(service, ada)
        if lifted:
            await post(service, f"/learners/{ada}/erasure/lifted", MISTAKE)
    await old_key_back(place, ada, wrapped)
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        assert ada in await keys(service)
        assert [each["finished"] for each in (await get(service, "/erasures"))["items"]] == [False]
        shown = await get(service, f"/learners/{ada}")
        assert [shown["given_name"], *(each["words"] for each in shown["preferences"])] == ["", "", ""], "while it lies there"
        await service.tick()
        assert ada not in await keys(service)
        assert [each["finished"] for each in (await get(service, "/erasures"))["items"]] == [True]
    await old_key_back(place, ada, wrapped)
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:  # A roster may come before the first look.
        await send(service, District())
        assert (await get(service, f"/learners/{ada}"))["given_name"] == ("Ada" if lifted else "")
        assert (ada in await keys(service)) == lifted
        assert not [each for key in (await keys(service)).values() for each in (await sealed_about(service, ada))[:3] if opens(key, *each)]


async def test_where_the_service_dies_between_record_and_key_it_finishes_when_it_runs_again(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(self: Keyring) -> int:
        raise ConnectionError("the process ends here")

    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        ada, _ = await spoken_of(service)
        with monkeypatch.context() as patched:
            patched.setattr(Keyring, "destroy_erased", dies)
            await erase(service, ada, 500)
        assert (await types(service))["learner-erased"] == 1
        assert ada in await keys(service)
        assert (await get(service, f"/learners/{ada}"))["given_name"] == "", "erased for whoever asks, from the record on"
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        await service.tick()
        assert ada not in await keys(service)
        assert (await erase(service, ada))["recorded"] is False


async def test_an_erasure_that_cannot_be_finished_is_tried_again_until_it_can_and_says_so(
    place: Any, profile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "LOOK_S", 0.0)
    ada, _ = await spoken_of(profile)

    async def owner(words: str) -> None:
        async with await psycopg.AsyncConnection.connect(place.owner_url) as connection:
            ((role,),) = await (await connection.execute("SELECT rolname FROM pg_roles WHERE rolname = %s", [app])).fetchall()
            await connection.execute(f'{words} "{role}"'.encode())

    ((app,),) = await rows(profile, "SELECT current_user")
    await owner("REVOKE EXECUTE ON FUNCTION destroy_erased_keys() FROM")
    await erase(profile, ada, 500)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):  # Which the ticker's health tells, as of any tick that fails.
        await profile.tick()
    assert [each["finished"] for each in (await get(profile, "/erasures"))["items"]] == [False]
    await owner("GRANT EXECUTE ON FUNCTION destroy_erased_keys() TO")
    await profile.tick()
    assert [each["finished"] for each in (await get(profile, "/erasures"))["items"]] == [True]
    assert ada not in await keys(profile)


async def test_the_service_can_destroy_no_key_that_the_record_does_not_say_is_to_be(place: Any, profile: Any) -> None:
    """Whoever has the service's role may write what it likes into read tables: the function asks the record."""
    ada, ben = await spoken_of(profile)
    await erase(profile, ada)
    before = await keys(profile)
    async with await psycopg.AsyncConnection.connect(place.app_url, autocommit=True) as app:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await app.execute("DELETE FROM person_key")
        await app.execute("INSERT INTO erasure SELECT learner_id, true, now(), '{}', 9 FROM learner ON CONFLICT DO NOTHING")
        assert await (await app.execute("SELECT destroy_erased_keys()")).fetchone() == (0,)
    assert await keys(profile) == before
    assert ben in before


async def test_every_decision_replays_to_the_same_bytes_on_ciphertext(profile: Any) -> None:
    ada, _ = await spoken_of(profile)
    await erase(profile, ada)
    await send(profile, District().put("users.csv", "u1", givenName="Ida"))
    await post(profile, f"/learners/{ada}/erasure/lifted", MISTAKE)
    await send(profile, District())
    stored = await rows(profile, "SELECT stream, bytes FROM event ORDER BY stream, version")
    verifier = Verifier(PARTS.deciders, Settings((), ()))
    for stream, events_of in groupby(stored, key=itemgetter(0)):
        verifier.stream(stream, [bytes(raw) for _, raw in events_of])
    assert (verifier.tally.differences, verifier.tally.decisions) == ([], len(stored))


async def test_a_restored_database_gets_the_erasure_back_from_kafka_and_destroys_the_key_again(
    place: Any, stack: Stack, kafka_servers: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        ada, _ = await spoken_of(service)
    older = copy_database(stack.postgres_url, place, f"cairn_backup_{secrets.token_hex(6)}")
    try:
        async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
            await erase(service, ada)
        await publish(Wire(kafka_servers, topic_prefix, "", ""), "profile", place.app_url)
        lie_nowhere_else(monkeypatch, tmp_path, older.app_url, kafka_servers, topic_prefix)
        done = await asyncio.to_thread(CliRunner().invoke, app, ["ledger", "catch-up", "profile"])
        assert done.exit_code == 0, done.output
        async with running(PARTS, older, clock=FixedClock(SOME_TIME)) as service:
            assert ada in await keys(service), "the backup brought it"
            assert (await get(service, f"/learners/{ada}"))["given_name"] == ""
            await service.tick()
            assert ada not in await keys(service)
            assert (await erase(service, ada))["recorded"] is False
    finally:
        drop_database(stack.postgres_url, older.app_url.rpartition("/")[2])
