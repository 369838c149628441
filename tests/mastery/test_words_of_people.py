"""A reason in a person's own words: taken in clear by the edge, sealed by profile, and read again there only."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest

from services.evidence.app import PARTS as EVIDENCE
from services.mastery.app import PARTS as MASTERY
from services.profile.app import PARTS as PROFILE
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.evidence.lms import act
from tests.evidence.test_waiting import align, identify, tell
from tests.mastery.test_views import FRAMEWORK, SAID, get, put, until
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
async def mastery(database: Callable[[str], ServiceDatabase], profile: Any) -> AsyncIterator[Any]:
    async with running(MASTERY, database("mastery")) as service:
        service.context.sealer.client = profile.client
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


async def opened(profile: Any, learner: str, sealed: Any, use: str = "mastery.reason") -> Any:
    return await profile.client.post(f"/profile/learners/{learner}/opened", json={"use": use, "sealed": sealed})


async def test_words_are_taken_in_clear_kept_sealed_and_opened_by_profile(mastery: Any, profile: Any) -> None:
    learner = await learner_of(profile)
    path = f"/learners/{learner}/competencies/{FRAMEWORK['CFItems'][3]['identifier']}"
    before = FRAMEWORK["CFItems"][2]["identifier"]
    await put(mastery, f"{path}/override", {**SAID, "level": "mastered", "until": until(mastery, 30), "words": f"  {WORDS} "})
    await put(mastery, f"{path}/waivers/{before}", {**SAID, "words": WORDS})
    (override,), (waiver,) = await get(mastery, f"/learners/{learner}/overrides"), await get(mastery, f"/learners/{learner}/waivers")
    assert override["words"]["mac"] == waiver["words"]["mac"]
    assert override["words"]["cipher"] != waiver["words"]["cipher"]
    assert b"Zebulon" not in await everything(mastery)
    assert (await opened(profile, learner, override["words"])).json() == {"words": WORDS}
    again = await put(mastery, f"{path}/override", {**SAID, "level": "developing", "until": until(mastery, 9), "words": waiver["words"]})
    assert again["events"], "words that are sealed already are taken as they are"


async def test_words_open_for_their_own_use_and_learner_only(mastery: Any, profile: Any) -> None:
    first, second = [each["learner_id"] for each in (await ask_profile(profile, "/learners"))["items"][:2]]
    sealed = (await profile.client.post(f"/profile/learners/{first}/sealed", json={"use": "mastery.reason", "words": WORDS})).json()
    for learner, use in ((first, "evidence.cause"), (second, "mastery.reason")):
        answer = await opened(profile, learner, sealed, use)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unreadable")
    assert (await opened(profile, str(UUID(int=5)), sealed)).status_code == 404


async def test_without_a_key_or_without_profile_nothing_is_stored_and_the_remedy_is_told(mastery: Any, profile: Any) -> None:
    path = f"/competencies/{FRAMEWORK['CFItems'][0]['identifier']}/override"
    said = {**SAID, "level": "mastered", "until": until(mastery, 30)}
    stranger = await put(mastery, f"/learners/{UUID(int=5)}{path}", {**said, "words": WORDS}, status=404)
    assert "leave them out" in stranger["detail"]
    mastery.context.sealer.client = None
    learner = await learner_of(profile)
    away = await put(mastery, f"/learners/{learner}{path}", {**said, "words": WORDS}, status=503)
    assert "CAIRN_PROFILE_URL" in away["detail"]
    assert "without `words`" in away["detail"]
    assert await get(mastery, f"/learners/{learner}/overrides") == []
    assert (await put(mastery, f"/learners/{learner}{path}", said))["events"]


@pytest.mark.parametrize("words", ["", "   ", "x" * 2_001, 7, {"cipher": "x"}])
async def test_words_that_are_none_are_refused_by_place(mastery: Any, profile: Any, words: Any) -> None:
    path = f"/learners/{await learner_of(profile)}/competencies/{FRAMEWORK['CFItems'][0]['identifier']}/override"
    answer = await put(mastery, path, {**SAID, "level": "mastered", "until": until(mastery, 30), "words": words}, status=422)
    assert any("words" in fault["place"] for fault in answer["errors"])


async def test_the_cause_of_a_void_is_sealed_likewise(database: Callable[[str], ServiceDatabase], profile: Any) -> None:
    learner = await learner_of(profile)
    async with running(EVIDENCE, database("evidence")) as evidence:
        evidence.context.sealer.client = profile.client
        await identify(evidence, learner=UUID(learner))
        await align(evidence)
        assert await tell(evidence, act()) == ["recorded"]
        act_id = (await evidence.client.get(f"/evidence/learners/{learner}")).json()["items"][0]["act_id"]
        said = {"author_id": SAID["author_id"], "cause": "appeal", "words": WORDS}
        assert (await evidence.client.post(f"/evidence/acts/{act_id}/void", json=said)).json()["changed"]
        *_, void = await evidence.ledger.stream(f"evidence/learner/{learner}")
        assert b"Zebulon" not in void.raw
        sealed = void.data.words.model_dump(mode="json")
        assert (await opened(profile, learner, sealed, "evidence.cause")).json() == {"words": WORDS}
