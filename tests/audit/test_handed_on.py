"""An LMS calls another child by a name that one had before her: nobody's work comes into another's record, and nothing contradicts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from demo import framework
from services.cli import story
from services.cli.audit import Installation, check
from services.cli.verify import parts_of, verify
from shared.clock import FixedClock
from shared.contracts.topics import Topic
from shared.keys import item_id_of
from shared.stack import ServiceDatabase, Stack, drop_database
from shared.testing import SOME_TIME, running
from tests.audit.district import all_databases, carry
from tests.audit.test_planted import AT_ONCE
from tests.evidence.lms import LMS, answered, envelope, item_iri
from tests.profile.district import District

COMPETENCY = next(item["identifier"] for item in framework.package()["CFItems"])
USERNAME = f"{LMS}/users/{{username}}"


class Town:
    """All services of a district, and what its client is told."""

    def __init__(self, services: dict[str, Any], databases: dict[str, ServiceDatabase], acks: Path) -> None:
        self.services, self.databases, self.acks = services, databases, acks

    async def roster(self, district: District) -> dict[str, Any]:
        """Import a roster, and let everybody hear it."""
        answer = await self.services["profile"].client.post(
            "/profile/oneroster/imports", params={"source": "sis", "person_iri": USERNAME}, content=district.zip(),
            headers={"Content-Type": "application/zip"},
        )  # fmt: skip
        await carry(self.services)
        return dict(answer.raise_for_status().json())

    async def align(self, *items: int) -> None:
        rows = [{"item": item_iri(n), "competencies": [COMPETENCY]} for n in items]
        (await self.services["evidence"].client.put("/evidence/alignments", json={"alignments": rows})).raise_for_status()
        await carry(self.services)

    async def tell(self, *events: dict[str, Any]) -> list[str]:
        answer = (await self.services["evidence"].client.post("/evidence/caliper", json=envelope(*events))).raise_for_status().json()
        with self.acks.open("ab") as log:
            log.write(orjson.dumps({"status": 200, "acts": answer["results"]}) + b"\n")
        await carry(self.services)
        return [each["result"] for each in answer["results"]]

    async def learner(self, name: str) -> str:
        people = (await self.services["profile"].client.get("/profile/learners?withdrawn=true")).raise_for_status().json()["items"]
        return str(next(each["learner_id"] for each in people if each["given_name"] == name))

    async def items_of(self, learner: str) -> list[str]:
        """Return the items of what is recorded for a learner and counts for her."""
        recorded = (await self.services["evidence"].client.get(f"/evidence/learners/{learner}")).raise_for_status().json()["items"]
        counted = await self.services["mastery"].ledger.stream(f"mastery/learner/{learner}")
        assert {each["act_id"] for each in recorded} == {
            str(event.data.evidence.evidence_id) for event in counted if hasattr(event.data, "evidence")
        }
        return sorted(each["item_id"] for each in recorded)

    async def waits_by_the_story_of(self, learner: str) -> list[str]:
        """Return the items of the acts that her story says wait, all of them unaligned."""
        told = await story.tell({service: database.app_url for service, database in self.databases.items()}, UUID(learner), None)
        waits = [chapter for chapter in told if "it waits" in chapter.words]
        assert all("it waits (unaligned): say what the item" in chapter.words for chapter in waits)
        return [str(chapter.event.data.item_id) for chapter in waits]


@pytest.fixture
async def town(stack: Stack, migrated: Callable[[str], ServiceDatabase], tmp_path: Path) -> AsyncIterator[Town]:
    databases = all_databases(stack, migrated)
    async with AsyncExitStack() as opened:
        services = {
            service: await opened.enter_async_context(running(parts_of(service), database, clock=FixedClock(SOME_TIME)))
            for service, database in databases.items()
        }
        (await services["mastery"].client.post("/mastery/case/packages", json=framework.package())).raise_for_status()
        yield Town(services, databases, tmp_path / "acks.jsonl")
    for database in databases.values():
        drop_database(stack.postgres_url, database.app_url.rpartition("/")[2])


async def test_a_user_name_that_is_handed_on_brings_nobodys_work_into_anothers_record(town: Town) -> None:
    await town.align(1)
    await town.roster(District())
    ben = await town.learner("Ben")
    assert await town.tell(answered("early", "ben.o", 1), answered("unaligned", "ben.o", 2)) == ["recorded", "waiting"]

    await town.roster(District().without_user("u2"))
    told = await town.roster(District().without_user("u2").student("u9", username="ben.o"))
    gus = await town.learner("Gus")
    assert told["handed_on"] == 1
    assert [each["code"] for each in told["warnings"] if ben in each["detail"] and gus in each["detail"]] == ["alias-handed-on"]
    assert await town.tell(answered("late", "ben.o", 1, attempt="urn:late"), answered("later", "ben.o", 3)) == ["recorded", "waiting"]
    assert await town.tell(answered("early", "ben.o", 1)) == ["duplicate"]
    assert await town.waits_by_the_story_of(ben) == [str(item_id_of(item_iri(2)))]
    assert await town.waits_by_the_story_of(gus) == [str(item_id_of(item_iri(3)))]
    await town.align(2, 3)

    assert await town.waits_by_the_story_of(ben) == await town.waits_by_the_story_of(gus) == []
    hers, his = await town.items_of(ben), await town.items_of(gus)
    assert (len(hers), len(his)) == (2, 2), "what waits was Ben's work when it was told"
    assert set(hers) & set(his), "both answered the first item"
    back = await town.roster(District())
    assert back["handed_on"] == 1
    assert await town.tell(answered("back", "ben.o", 3, attempt="urn:back")) == ["recorded"]
    assert (len(await town.items_of(ben)), len(await town.items_of(gus))) == (3, 2)

    urls = {service: database.app_url for service, database in town.databases.items()}
    owners = {service: database.owner_url for service, database in town.databases.items()}
    findings = await check(Installation(urls, owner_urls=owners), [town.acks], (), AT_ONCE)
    assert not findings.violations, "\n".join(map(str, findings.violations))
    replayed = [Topic.PROFILE, Topic.EVIDENCE, Topic.MASTERY]
    reports = await asyncio.to_thread(verify, urls, "local", replayed, None, lambda report: None)
    assert [report.differences for report in reports] == [[], [], []]
