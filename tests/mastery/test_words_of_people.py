"""A reason in a person's own words: sealed by profile before another service has it, and read again there only."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest

from services.evidence.app import PARTS as EVIDENCE
from services.mastery.app import PARTS as MASTERY
from services.profile.app import PARTS as PROFILE
from shared.sealing import MAX_CIPHER
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.evidence.lms import act, align, identify
from tests.evidence.test_waiting import tell
from tests.mastery.test_views import FRAMEWORK, SAID, enrol, get, put, until
from tests.profile.district import District
from tests.profile.test_http import get as ask_profile
from tests.profile.test_http import send

WORDS = "She explained it to Zebulon at the whiteboard."


@pytest.fixture
async def profile(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Any]:
    async with running(PROFILE, database("profile")) as service:
        await send(service, District())
        yield service


@pytest.fixture
async def mastery(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Any]:
    async with running(MASTERY, database("mastery")) as service:
        assert (await service.client.post("/mastery/case/packages", json=FRAMEWORK)).status_code == 200
        yield service


async def learner_of(profile: Any) -> str:
    return str((await ask_profile(profile, "/learners"))["items"][0]["learner_id"])


async def everything(service: Any) -> bytes:
    """Return the service's whole record and its read tables."""
    async with service.pool.connection() as connection:
        told = await (await connection.execute("SELECT bytes FROM event")).fetchall()
        kept = await (await connection.execute("SELECT t::text FROM override t UNION ALL SELECT t::text FROM waiver t")).fetchall()
    return b"\n".join([*(bytes(row[0]) for row in told), *(row[0].encode() for row in kept)])


async def sealed(profile: Any, learner: str, words: str, use: str = "mastery.reason") -> Any:
    answer = await profile.client.post(f"/profile/learners/{learner}/sealed", json={"use": use, "words": words})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def opened(profile: Any, learner: str, sealed: Any, use: str = "mastery.reason") -> Any:
    return await profile.client.post(f"/profile/learners/{learner}/opened", json={"use": use, "sealed": sealed})


async def test_words_are_sealed_by_profile_kept_sealed_and_opened_there(mastery: Any, profile: Any) -> None:
    learner = await learner_of(profile)
    await enrol(mastery, UUID(learner), 0)
    path = f"/learners/{learner}/competencies/{FRAMEWORK['CFItems'][3]['identifier']}"
    before = FRAMEWORK["CFItems"][2]["identifier"]
    said, again = await sealed(profile, learner, f"  {WORDS} "), await sealed(profile, learner, WORDS)
    assert said["mac"] == again["mac"]
    assert said["cipher"] != again["cipher"]
    await put(mastery, f"{path}/override", {**SAID, "level": "mastered", "until": until(mastery, 30), "words": said})
    await put(mastery, f"{path}/waivers/{before}", {**SAID, "words": again})
    (override,), (waiver,) = await get(mastery, f"/learners/{learner}/overrides"), await get(mastery, f"/learners/{learner}/waivers")
    assert (override["words"], waiver["words"]) == (said, again)
    assert b"Zebulon" not in await everything(mastery)
    assert (await opened(profile, learner, override["words"])).json() == {"words": WORDS}


async def test_words_open_for_their_own_use_and_learner_only(mastery: Any, profile: Any) -> None:
    first, second = [each["learner_id"] for each in (await ask_profile(profile, "/learners"))["items"][:2]]
    told = await sealed(profile, first, WORDS)
    for learner, use in ((first, "evidence.cause"), (second, "mastery.reason")):
        answer = await opened(profile, learner, told, use)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unreadable")
    assert (await opened(profile, str(UUID(int=5)), told)).status_code == 404


@pytest.mark.parametrize("words", [WORDS, {"cipher": WORDS, "mac": "a" * 64}, {"cipher": "Zebulon+", "mac": "a" * 64}])
async def test_words_in_clear_are_refused_with_the_address_that_seals_them(mastery: Any, profile: Any, words: Any) -> None:
    learner = await learner_of(profile)
    await enrol(mastery, UUID(learner), 0)
    path = f"/learners/{learner}/competencies/{FRAMEWORK['CFItems'][0]['identifier']}/override"
    said = {**SAID, "level": "mastered", "until": until(mastery, 30)}
    (fault,) = (await put(mastery, path, {**said, "words": words}, status=422))["errors"]
    assert (fault["place"], fault["code"]) == ("/words", "in-clear")
    assert "/profile/learners/{learner_id}/sealed" in fault["remedy"]
    assert "Zebulon" not in str(fault)
    assert await get(mastery, f"/learners/{learner}/overrides") == []
    assert (await put(mastery, path, said))["events"]


async def test_more_words_than_are_ever_sealed_are_refused(mastery: Any, profile: Any) -> None:
    learner = await learner_of(profile)
    assert len((await sealed(profile, learner, "\U0001f9d1" * 2_000))["cipher"]) <= MAX_CIPHER
    path = f"/learners/{learner}/competencies/{FRAMEWORK['CFItems'][0]['identifier']}/override"
    long = {"cipher": base64.b64encode(bytes(MAX_CIPHER)).decode(), "mac": "a" * 64}
    said = {**SAID, "level": "mastered", "until": until(mastery, 30), "words": long}
    (fault,) = (await put(mastery, path, said, status=422))["errors"]
    assert (fault["place"], fault["code"]) == ("/words", "too-long")


@pytest.mark.parametrize("words", ["", "   ", "x" * 2_001, 7])
async def test_what_are_no_words_is_not_sealed(profile: Any, words: Any) -> None:
    body = {"use": "mastery.reason", "words": words}
    answer = await profile.client.post(f"/profile/learners/{await learner_of(profile)}/sealed", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "/words")


async def test_nothing_is_sealed_for_a_stranger(profile: Any) -> None:
    body = {"use": "mastery.reason", "words": WORDS}
    assert (await profile.client.post(f"/profile/learners/{UUID(int=5)}/sealed", json=body)).status_code == 404


async def test_the_cause_of_a_void_is_sealed_likewise(database: Callable[[str], ServiceDatabase], profile: Any) -> None:
    learner = await learner_of(profile)
    async with running(EVIDENCE, database("evidence")) as evidence:
        await identify(evidence, learner=UUID(learner))
        await align(evidence)
        assert await tell(evidence, act()) == ["recorded"]
        act_id = (await evidence.client.get(f"/evidence/learners/{learner}")).json()["items"][0]["act_id"]
        said = {"author_id": SAID["author_id"], "cause": "appeal", "words": await sealed(profile, learner, WORDS, "evidence.cause")}
        assert (await evidence.client.post(f"/evidence/acts/{act_id}/void", json=said)).json()["changed"]
        *_, void = await evidence.ledger.stream(f"evidence/learner/{learner}")
        assert b"Zebulon" not in void.raw
        kept = void.data.words.model_dump(mode="json")
        assert (await opened(profile, learner, kept, "evidence.cause")).json() == {"words": WORDS}
