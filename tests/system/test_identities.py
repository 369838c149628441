"""Whose evidence it is: an LMS names its people by IRIs of its own, and nobody is recorded for whom the roster did not declare."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from services.evidence.app import PARTS as EVIDENCE
from services.profile.app import PARTS as PROFILE
from shared.clock import FixedClock
from shared.stack import ServiceDatabase
from shared.testing import SOME_TIME, running
from tests.evidence.lms import LMS, act, answered, envelope, item_iri, person_iri, put
from tests.profile.district import District

TEMPLATE = f"{LMS}/users/{{userIds:LMS}}"


class Both:
    """Profile and evidence, each on its database; what one tells, the other hears when a test says so."""

    def __init__(self, profile: Any, evidence: Any) -> None:
        self.profile, self.evidence = profile, evidence

    async def roster(self, *templates: str) -> dict[str, Any]:
        """Import the small district, in which the LMS calls Ada lms-1 and Ben 17; let evidence hear of it, and release."""
        district = District().put("users.csv", "u2", userIds="{LMS:17}").put("users.csv", "u3", userIds="{Canvas:17}")
        answer = await self.profile.client.post(
            "/profile/oneroster/imports", params={"source": "sis", "person_iri": list(templates)}, content=district.zip(),
            headers={"Content-Type": "application/zip"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        async with self.profile.pool.connection() as connection:
            found = await connection.execute("SELECT DISTINCT stream FROM event WHERE stream ~ '^profile/(alias|roster)/'")
            streams = [name for (name,) in await found.fetchall()]
        for stream in streams:
            await self.evidence.hear(*await self.profile.ledger.stream(stream))
        while await self.evidence.tick():
            pass
        people = (await self.profile.client.get("/profile/learners")).raise_for_status().json()["items"]
        return {each["given_name"]: each["learner_id"] for each in people}

    async def tell(self, *events: dict[str, Any]) -> list[str]:
        answer = (await self.evidence.client.post("/evidence/caliper", json=envelope(*events))).raise_for_status().json()
        return [each["result"] for each in answer["results"]]

    async def waiting(self) -> int:
        counts = (await self.evidence.client.get("/evidence/counts")).raise_for_status().json()
        return int(counts["waiting"]["unknown-learner"])

    async def recorded(self, learner: str) -> int:
        return len((await self.evidence.client.get(f"/evidence/learners/{learner}")).raise_for_status().json()["items"])


@pytest.fixture
async def both(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Both]:
    clock = FixedClock(SOME_TIME)
    async with (
        running(PROFILE, database("profile"), clock=clock) as profile,
        running(EVIDENCE, database("evidence"), clock=clock) as evidence,
    ):
        rows = [{"item": item_iri(n), "competencies": ["K"]} for n in (1, 2)]
        (await evidence.client.put("/evidence/alignments", json={"alignments": rows})).raise_for_status()
        yield Both(profile, evidence)


async def test_evidence_of_an_lms_that_nobody_declared_waits_until_an_import_declares_it(both: Both) -> None:
    await both.roster()
    other = put(answered("other", item=2), "generated/attempt/assignee", "https://canvas.example/users/17")
    assert await both.tell(answered("one", "lms-1"), answered("two", "17"), other) == ["waiting"] * 3
    assert await both.waiting() == 3

    learner = await both.roster(TEMPLATE)
    assert await both.waiting() == 1, "Canvas is not declared yet"
    assert [await both.recorded(learner[name]) for name in ("Ada", "Ben", "Cyd")] == [1, 1, 0]

    await both.roster("https://canvas.example/users/{userIds:Canvas}")
    assert await both.waiting() == 0
    assert [await both.recorded(learner[name]) for name in ("Ada", "Ben", "Cyd")] == [1, 1, 1], "17 of Canvas is not 17 of the LMS"
    assert await both.tell(answered("three", "17", item=2)) == ["recorded"]
    assert await both.recorded(learner["Ben"]) == 2


async def test_a_direct_act_names_its_learner_as_its_source_does(both: Both) -> None:
    learner = await both.roster(TEMPLATE)
    named = [("sis", "u2"), ("sis/identifier", "1002"), ("LMS", "17"), ("gradebook", person_iri("17")), ("gradebook", "17"), ("sis", "17")]
    items = [put(act(f"act-{n}"), "source", source) | {"learner": name} for n, (source, name) in enumerate(named)]
    answer = (await both.evidence.client.post("/evidence", json={"items": items})).raise_for_status().json()
    assert [each["result"] for each in answer["results"]] == ["recorded"] * 4 + ["waiting"] * 2
    assert await both.recorded(learner["Ben"]) == 4
