"""Whoever reads a record for long holds no transaction between two pages: a snapshot that stays open makes every writer slow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from services.cli import verify
from services.cli.audit import Options, check, days
from services.cli.rebuild import rebuild, tables_of
from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.ledger import read
from tests.audit.district import District

AT_ONCE = Options(within_s=0)
OPEN = """
    SELECT datname, state, query, backend_xmin FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = ANY(%s) AND state <> 'idle'
        AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)"""
"""One that is idle and has a transaction all the same has ended: it drops its temporary tables."""
PAGE, MANY = 7, 30


class Watch:
    """Looks, before each page is read, who has a transaction open in these databases, and lets time go on in them."""

    def __init__(self, watching: psycopg.Connection[Any], names: list[str]) -> None:
        self._watching, self._names = watching, names
        self.pages = 0
        self.found: list[Any] = []

    def look(self) -> None:
        self.pages += 1
        self._watching.execute("SELECT pg_current_xact_id()")  # A writer commits.
        self.found += self._watching.execute(OPEN, [self._names]).fetchall()


@pytest.fixture
def watch(district: District, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    names = [database.app_url.rpartition("/")[2] for database in district.databases.values()]
    paged, fetched = read.paged, read.fetched
    with psycopg.connect(district.stack.postgres_url, autocommit=True) as watching:
        watch = Watch(watching, names)

        def blocking(*given: Any) -> Iterator[Any]:
            watch.look()
            for some in paged(*given):
                yield some
                watch.look()

        async def look(*given: Any) -> Any:
            watch.look()
            return await fetched(*given)

        monkeypatch.setattr(read, "paged", blocking)
        monkeypatch.setattr(read, "fetched", look)
        monkeypatch.setattr(read, "FETCH", PAGE)
        monkeypatch.setattr(read, "MERGED", PAGE)
        monkeypatch.setattr(days, "FETCH", PAGE)
        yield watch


@pytest.mark.parametrize("only", ["I1", "I2", "I3", "I4", "I7", "I8", "I10"])
async def test_an_audit_holds_no_transaction_between_two_pages(only: str, district: District, watch: Watch) -> None:
    findings = await check(district.installation, [district.acks], [only], AT_ONCE)
    assert not findings.violations
    assert watch.pages > MANY
    assert not watch.found


def test_replay_holds_no_transaction_between_two_pages(district: District, watch: Watch) -> None:
    url = district.installation.urls["mastery"]
    verify.settings_of.cache_clear()
    lanes, _ = asyncio.run(verify._lanes(url, "mastery", "local", None))
    reports = [verify.replay_lane(lane) for lane in lanes]
    assert sum(report.decisions for report in reports) > MANY
    assert not [difference for report in reports for difference in report.differences]
    assert watch.pages > MANY
    assert not watch.found


@pytest.mark.parametrize("service", [Topic.EVIDENCE, Topic.SCHEDULING])
async def test_a_rebuild_holds_no_transaction_between_two_pages_but_for_its_last_step(
    service: Topic, district: District, watch: Watch
) -> None:
    with district.copied(service) as copy:
        for table in tables_of(parts_of(service)):
            watch._names, watch.found = [copy.databases[service].owner_url.rpartition("/")[2]], []
            await rebuild(copy.databases[service].owner_url, parts_of(service), table, PAGE, lambda events: None)
            held = [row for row in watch.found if "FROM event" not in row[2] and "SELECT id, length" not in row[2]]
            assert not held
            assert all(row[1] == "idle in transaction" for row in watch.found), "the last step's, which reads what is left"
            assert len(watch.found) <= 16
    assert watch.pages > MANY
