"""A day owes a plan as long as it is open: none that was planned while another one was called off, and none of a school that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from services.cli.audit import check
from services.cli.audit.settling import look_at
from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.contracts.topics import Topic
from shared.serve import Service
from shared.testing import running
from tests.audit.district import NOW, District, carry
from tests.audit.plant import named
from tests.audit.test_planted import AT_ONCE


@dataclass
class Running:
    """A copy of the district whose services run."""

    district: District
    services: dict[str, Service]

    async def sent(self, method: str, path: str, **given: Any) -> Any:
        client = self.services[path.split("/")[1]].client
        assert client is not None
        answer = await client.request(method, path, **given)
        assert answer.is_success, answer.text
        return answer.json()

    def rows(self, statement: str) -> list[Any]:
        with psycopg.connect(self.district.databases["scheduling"].app_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    async def close(self, school: UUID, on: str, closed: bool) -> None:
        """Call a day off, or let it take place again, and let everybody take it in."""
        path = f"/scheduling/schools/{school}/days/{on}/resources"
        base = (await self.sent("GET", path))["base"]
        await self.sent("PUT", path, json={"base": base} | ({"closed": True, "reason": "snow"} if closed else {}))
        await carry(self.services)

    async def other_demand(self) -> None:
        """Let a learner's demand become another one: a teacher sets her goals."""
        [(learner, before)] = self.rows("SELECT learner_id, demand_version FROM demand WHERE demand ? 'needs' ORDER BY 1 LIMIT 1")
        steps = (await self.sent("GET", f"/pathing/learners/{learner}/path"))["steps"]
        goals = {"author_id": named(1), "role": "teacher", "goals": [{"competency_id": steps[-1]["competency_id"]}]}
        await self.sent("POST", f"/pathing/learners/{learner}/goals", json=goals)
        await carry(self.services)
        [(_, after)] = self.rows(f"SELECT learner_id, demand_version FROM demand WHERE learner_id = '{learner}'")  # noqa: S608
        assert after > before


@pytest.fixture
async def live(district: District) -> AsyncIterator[Running]:
    later = FixedClock(NOW + timedelta(minutes=5))
    with district.copied(*Topic) as copy:
        async with AsyncExitStack() as opened:
            services = {
                str(service): await opened.enter_async_context(running(parts_of(service), copy.databases[service], clock=later))
                for service in Topic
            }
            yield Running(copy, services)


async def test_a_day_that_was_planned_while_the_one_before_it_was_called_off_owes_nothing_until_it_is_open(live: Running) -> None:
    [(school, newest)] = live.rows("SELECT school_id, max(day) FROM day_plan GROUP BY 1")
    await live.close(school, f"{newest}", closed=True)
    [(last,)] = live.rows("SELECT max(day) FROM day_plan")
    assert last > newest, "the day behind it was planned"
    await live.close(school, f"{newest}", closed=False)
    await live.other_demand()
    assert live.rows(
        f"SELECT FROM day_demand d JOIN demand n USING (school_id, learner_id) WHERE day = '{last}' AND n.demand_version > d.demand_version"
    )
    found = await look_at(live.district.installation)
    assert found is not None
    assert found.dirty == {}
    findings = await check(live.district.installation, only=["I5", "I7", "I8", "I9"], options=AT_ONCE)
    assert not findings.violations, "\n".join(map(str, findings.violations))
    with live.district.as_owner("scheduling") as owner:
        owner.execute("UPDATE day_plan SET version = 0")
    found = await look_at(live.district.installation)
    assert found is not None
    assert {on for _, on in found.dirty} == {NOW.date(), newest}, "both are open: also the one behind which two others took something"


async def test_a_school_that_was_taken_out_owes_nothing(live: Running) -> None:
    [(school,)] = live.rows("SELECT DISTINCT school_id FROM day_plan")
    told = (await live.sent("GET", "/scheduling/resources"))["items"]
    other = [{name: value for name, value in each.items() if name != "staff"} | {"school_id": named(9), "days": []} for each in told]
    await live.sent("PUT", "/scheduling/resources", params={"remove": True}, json={"schools": other})
    await carry(live.services)
    await live.other_demand()
    found = await look_at(live.district.installation)
    assert found is not None
    assert (found.dirty, {each for (each,) in live.rows("SELECT school_id FROM day_plan")}) == ({}, {school})
    findings = await check(live.district.installation, only=["I5", "I7", "I8", "I9"], options=AT_ONCE)
    assert not findings.violations, "\n".join(map(str, findings.violations))
