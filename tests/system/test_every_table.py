"""Every read table and every state of every service, made again from the ledger by another process: the same rows, byte for byte."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.cli.rebuild import tables_of
from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.contracts.envelope import StreamId
from shared.contracts.profile import LearnerIdentified, Modality
from shared.contracts.topics import Topic
from shared.stack import ServiceDatabase
from shared.testing import SOME_TIME, recorded, running
from tests.evidence import lms
from tests.evidence.lms import act, item_iri
from tests.mastery.test_views import do_everything
from tests.pathing import test_http as pathing
from tests.profile import test_http as profile
from tests.profile.district import District
from tests.scheduling import test_http as scheduling

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
HASH_SEEDS = ("1", "2", "3")
"""Python orders sets otherwise in each process; rows may not depend on it."""
AGAIN = """
import asyncio, sys
from services.cli.rebuild import rebuild, tables_of
from services.cli.verify import parts_of
parts = parts_of(sys.argv[1])
for table in tables_of(parts):
    asyncio.run(rebuild(sys.argv[2], parts, table, 7, lambda events: None))
"""


async def fill_profile(service: Any) -> None:
    await profile.send(service, District())
    learner = (await profile.get(service, "/learners"))["items"][0]["learner_id"]
    said = {"author_id": learner, "role": "learner", "modalities": [Modality.VIDEO], "words": "I build things."}
    assert (await service.client.post(f"/profile/learners/{learner}/preferences", json=said)).status_code == 200
    erased = {"asked_by": "guardian", "why": "request"}
    assert (await service.client.post(f"/profile/learners/{learner}/erasure", json=erased)).status_code == 200
    await profile.send(service, District())  # Which names her without her name.


async def fill_evidence(service: Any) -> None:
    aligned = [{"item": item_iri(1), "competencies": [str(UUID(int=101))]}]
    assert (await service.client.put("/evidence/alignments", json={"alignments": aligned})).status_code == 200
    identified = LearnerIdentified(alias=lms.alias("s-1"), learner_id=UUID(int=1))
    await service.hear(*recorded(StreamId("profile", "alias", identified.alias), [identified]))
    day = {"first_day": "2026-08-31", "author_id": str(UUID(int=7))}
    assert (await service.client.put("/evidence/calendar", json=day)).status_code == 200
    for more in ({}, {"score": {"given": 1, "max": 4}}):
        acts = [act("a-1", "s-1", 1, **more), act("a-2", "s-1", 2, **more), act("a-3", "s-2", 1, **more)]
        answer = await service.client.post("/evidence", json={"items": acts})
        assert answer.status_code == 200
    act_id = answer.json()["results"][0]["act_id"]
    said = {"author_id": str(UUID(int=7)), "cause": "appeal"}
    for path, more in (("correction", {"given": 1, "max": 2}), ("void", {})):
        assert (await service.client.post(f"/evidence/acts/{act_id}/{path}", json=said | more)).status_code == 200


async def fill_mastery(service: Any) -> None:
    await do_everything(service)
    await service.tick()


async def fill_pathing(service: Any) -> None:
    await service.hear(*pathing.framework_told())
    assert (await service.client.put("/pathing/activities", json=pathing.CATALOGUE)).status_code == 200
    await service.hear(pathing.rostered(), pathing.levelled("A"), pathing.levelled("S", version=3))
    goals = {"author_id": str(pathing.TEACHER), "role": "teacher", "goals": [{"competency_id": "C"}]}
    await pathing.post(service, f"/learners/{pathing.LEARNER}/goals", goals)
    await service.tick()


async def fill_scheduling(service: Any) -> None:
    await scheduling.planned(service)
    await service.hear(*scheduling.demands(2, range(3)))
    await service.tick()


FILL = {
    Topic.PROFILE: fill_profile, Topic.EVIDENCE: fill_evidence, Topic.MASTERY: fill_mastery, Topic.PATHING: fill_pathing,
    Topic.SCHEDULING: fill_scheduling,
}  # fmt: skip


@pytest.mark.parametrize("topic", list(Topic))
async def test_every_table_of_every_service_is_the_same_again_in_any_process(
    topic: Topic, database: Callable[[str], ServiceDatabase]
) -> None:
    parts, place = parts_of(topic), database(topic)
    at = scheduling.BEFORE_SCHOOL if topic is Topic.SCHEDULING else SOME_TIME
    async with running(parts, place, clock=FixedClock(at)) as service:
        await FILL[topic](service)
        before = {table: await rows(service, table) for table in tables_of(parts)}
        assert all(before.values()), f"empty, so that nothing is shown: {[table for table in before if not before[table]]}"
        for seed in HASH_SEEDS:
            again = [sys.executable, "-c", AGAIN, topic, place.owner_url]
            process = await asyncio.create_subprocess_exec(*again, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, stderr=PIPE)
            _, said = await asyncio.wait_for(process.communicate(), PATIENCE_S)
            assert process.returncode == 0, said.decode()
            for table, kept in before.items():
                assert await rows(service, table) == kept, f"{table}, with hash seed {seed}"


async def rows(service: Any, table: str) -> list[str]:
    async with service.pool.connection() as connection:
        found = await (await connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1")).fetchall()  # noqa: S608 - our own names
    return [row[0] for row in found]
