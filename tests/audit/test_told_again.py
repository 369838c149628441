"""What a client was told of a message about an act that was known: a further grade, or a conflict, is kept by an event of its own (I1)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from services.cli.audit import Installation, check
from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.contracts.topics import Topic
from shared.stack import ServiceDatabase, Stack, copy_database, drop_database
from shared.testing import SOME_TIME, running
from tests.audit.plant import remove
from tests.audit.test_planted import AT_ONCE, LATEST
from tests.evidence.lms import envelope, graded, used

DAY = "2026-11-{:02}T10:00:00.000Z"
REGRADED, CONFLICTED = "evidence.regraded.v1", "evidence.conflicted.v1"
NO_GRADE, NO_CONFLICT = "told as regraded and a further grade is not kept", "told as a conflict and the conflict is not kept"


class Desk:
    """Evidence on a database of its own, and the log of its client."""

    def __init__(self, client: Any, database: ServiceDatabase, log: Path) -> None:
        self.client, self.database, self.log = client, database, log

    async def tell(self, *events: dict[str, Any], leave_out: str = "") -> list[str]:
        """Tell events, and write down what was answered; another one is with them, as a conflict alone is no 2xx."""
        answer = (await self.client.post("/evidence/caliper", json=envelope(*events, used()))).raise_for_status().json()
        acts = [{name: value for name, value in each.items() if name != leave_out} for each in answer["results"]]
        with self.log.open("ab") as log:
            log.write(orjson.dumps({"status": 200, "acts": acts}) + b"\n")
        return [each["result"] for each in answer["results"]][:-1]

    def lose(self, type_name: str) -> str:
        """Take the last event of a type out of the ledger; return of which act it was."""
        with psycopg.connect(self.database.owner_url, autocommit=True) as owner:
            owner.execute("ALTER TABLE event DISABLE TRIGGER refuse_change")
            return str(remove(owner, type_name, LATEST)["data"]["told"]["act_id"])

    async def violations(self) -> list[tuple[str, tuple[str, ...]]]:
        found = await check(Installation({"evidence": self.database.app_url}), [self.log], ["I1"], AT_ONCE)
        return [(violation.what, violation.cases) for violation in found.violations]


@pytest.fixture
async def desk(stack: Stack, migrated: Callable[[str], ServiceDatabase], tmp_path: Path) -> AsyncIterator[Desk]:
    name = f"cairn_evidence_{secrets.token_hex(6)}"
    database = copy_database(stack.postgres_url, migrated(Topic.EVIDENCE), name)
    async with running(parts_of("evidence"), database, clock=FixedClock(SOME_TIME)) as service:
        yield Desk(service.client, database, tmp_path / "acks.jsonl")
    drop_database(stack.postgres_url, name)


async def test_each_further_grade_that_was_told_as_kept_is_kept(desk: Desk) -> None:
    assert await desk.tell(graded("one", at=DAY.format(10))) == ["waiting"]
    two, three = graded("two", given=2, at=DAY.format(11)), graded("three", given=1, at=DAY.format(12))
    assert await desk.tell(two, three, two) == ["regraded", "regraded", "duplicate"]
    assert await desk.violations() == []
    act = desk.lose(REGRADED)
    assert await desk.violations() == [(NO_GRADE, (act,))]


async def test_each_conflict_that_was_told_is_kept_and_one_told_again_is_no_other(desk: Desk) -> None:
    one, other = graded("one"), graded("two", given=1)
    assert await desk.tell(one) == ["waiting"]
    assert await desk.tell(other, other, graded("three", given=2)) == ["conflict"] * 3
    assert await desk.tell(graded("one", given=0), graded("one", given=1)) == ["conflict"] * 2, "two conflicts of one message"
    assert await desk.violations() == []
    lost = [desk.lose(CONFLICTED) for _ in range(2)]
    assert await desk.violations() == [(NO_CONFLICT, (lost[0],))]


async def test_more_conflicts_than_are_kept_of_one_act_lack_nothing(desk: Desk) -> None:
    told = [graded("one"), *(graded(f"other-{n}", given=1) for n in range(20))]
    assert await desk.tell(*told) == ["waiting", *["conflict"] * 20]
    assert await desk.violations() == []


async def test_a_log_that_names_no_messages_asks_for_one_event_of_each_kind(desk: Desk) -> None:
    await desk.tell(graded("one", at=DAY.format(10)), leave_out="id")
    told = [
        graded("two", given=2, at=DAY.format(11)),
        graded("three", given=1, at=DAY.format(12)),
        graded("four", given=0, at=DAY.format(12)),
    ]
    assert await desk.tell(*told, leave_out="id") == ["regraded", "regraded", "conflict"]
    act = desk.lose(REGRADED)
    assert await desk.violations() == []
    desk.lose(REGRADED)
    desk.lose(CONFLICTED)
    assert await desk.violations() == [(NO_GRADE, (act,)), (NO_CONFLICT, (act,))]
