"""A table made again from the ledger has the rows that it had, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest

from services.cli.rebuild import rebuild, tables_of
from services.evidence.app import PARTS
from shared.contracts.envelope import StreamId
from shared.contracts.profile import LearnerIdentified
from shared.errors import NotFound
from shared.stack import ServiceDatabase
from shared.testing import recorded, running
from tests.evidence import lms
from tests.evidence.lms import act, item_iri

LEARNERS, ITEMS = 12, 5


@pytest.fixture
async def evidence(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[tuple[Any, str]]:
    """A service with a calendar, and with acts that are recorded, wait for a learner, wait for an item, conflict, and are void."""
    place = database("evidence")
    async with running(PARTS, place) as service:
        began = {"first_day": "2020-01-01", "author_id": str(UUID(int=99))}
        (await service.client.put("/evidence/calendar", json=began)).raise_for_status()
        await tell(service, range(LEARNERS))
        await service.client.put("/evidence/alignments", json={"alignments": [aligned(item) for item in range(ITEMS - 1)]})
        for learner in range(LEARNERS - 2):
            alias = lms.alias(f"s-{learner}")
            identified = LearnerIdentified(alias=alias, learner_id=UUID(int=learner + 1))
            await service.hear(*recorded(StreamId("profile", "alias", alias), [identified]))
        await service.tick()
        await tell(service, range(3), score={"given": 1, "max": 4})
        await void(service, UUID(int=1))
        yield service, place.owner_url


def aligned(item: int) -> dict[str, Any]:
    return {"item": item_iri(item), "competencies": [str(UUID(int=item + 100))]}


async def tell(service: Any, learners: range, **other: Any) -> None:
    for learner in learners:
        acts = [act(f"a-{learner}-{item}", f"s-{learner}", item, **other) for item in range(ITEMS)]
        answer = await service.client.post("/evidence", json={"items": acts})
        assert answer.status_code in (200, 409), answer.text


async def void(service: Any, learner_id: UUID) -> None:
    for known in (await service.client.get(f"/evidence/learners/{learner_id}")).json()["items"][:2]:
        said = {"author_id": str(UUID(int=99)), "cause": "appeal"}
        (await service.client.post(f"/evidence/acts/{known['act_id']}/void", json=said)).raise_for_status()


async def rows(service: Any, table: str) -> list[str]:
    async with service.pool.connection() as connection:
        return [row[0] for row in await (await connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1")).fetchall()]  # noqa: S608 - our own


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
async def test_every_table_is_the_same_again(batch_size: int, evidence: tuple[Any, str]) -> None:
    service, url = evidence
    told: list[int] = []
    for table in tables_of(PARTS):
        before = await rows(service, table)
        assert before, f"{table} is empty: nothing would be shown"
        done = await rebuild(url, PARTS, table, batch_size, told.append)
        assert await rows(service, table) == before
        assert (done.before, done.after) == (len(before), len(before))
        assert done.events == len(await rows(service, "event"))
    assert told[-1] == done.events


@pytest.mark.parametrize("table", ["act", "stream"])
async def test_damage_is_undone(table: str, evidence: tuple[Any, str]) -> None:
    service, url = evidence
    before = await rows(service, table)
    column = {"act": "score_e6 = 1", "stream": "state = 'x'"}[table]
    async with service.pool.connection() as connection:
        await connection.execute(f"UPDATE {table} SET {column}")  # noqa: S608 - our own words
    assert await rows(service, table) != before
    await rebuild(url, PARTS, table, 50, lambda events: None)
    assert await rows(service, table) == before


@pytest.mark.parametrize("table", ["act", "stream"])
async def test_who_writes_meanwhile_waits_for_the_last_step_only_and_loses_nothing(table: str, evidence: tuple[Any, str]) -> None:
    service, url = evidence
    writing = asyncio.create_task(tell(service, range(100, 130)))
    for _ in range(4):
        await asyncio.wait_for(rebuild(url, PARTS, table, 20, lambda events: None), 60)
    await writing
    after = await rows(service, table)
    await rebuild(url, PARTS, table, 20, lambda events: None)
    assert await rows(service, table) == after
    async with service.pool.connection() as connection:
        counted = await (await connection.execute("SELECT count(*), (SELECT count(DISTINCT stream) FROM event) FROM stream")).fetchone()
    assert counted[0] == counted[1]


async def test_what_is_stopped_has_changed_nothing(evidence: tuple[Any, str]) -> None:
    service, url = evidence
    before = await rows(service, "act")

    def stop(events: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuild(url, PARTS, "act", 10, stop)
    assert await rows(service, "act") == before
    await tell(service, range(200, 201))


async def test_what_does_not_come_from_the_ledger_is_not_touched(evidence: tuple[Any, str]) -> None:
    for table in ("event", "inbox", "nonsense; DROP TABLE act"):
        with pytest.raises(NotFound, match="name one of act, conflict, amendment, alias, alignment, calendar, stream"):
            await rebuild(evidence[1], PARTS, table, 10, lambda events: None)
