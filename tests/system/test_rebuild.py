"""A table made again from the ledger has the rows that it had, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from services.cli import rebuild as making
from services.cli.rebuild import PARAMETERS, rebuild, tables_of
from services.cli.verify import parts_of
from services.evidence.app import PARTS
from shared.contracts.envelope import StreamId
from shared.contracts.profile import LearnerIdentified
from shared.contracts.topics import Topic
from shared.errors import LedgerError, NotFound
from shared.ledger import store
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


CATALOG = """
    SELECT 'relation', c.relname::text, c.relkind::text, c.relowner::regrole::text, c.reloptions::text, t.reloptions::text,
        c.relpersistence::text, n.nspname::text, (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(c.relacl) x)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    WHERE n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema'
    UNION ALL SELECT 'column', table_name, column_name, (row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position))::text,
        column_default, is_nullable, data_type, collation_name, is_identity || is_generated
        FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
    UNION ALL SELECT 'storage', attrelid::regclass::text, attname::text, attstorage::text, attacl::text, attoptions::text, NULL, NULL, NULL
        FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid > 16383 AND attrelid::regclass::text NOT LIKE 'pg_toast.%'
    UNION ALL SELECT 'index', schemaname::text, tablename::text, indexname::text, indexdef, NULL, NULL, NULL, NULL
        FROM pg_indexes WHERE schemaname NOT LIKE 'pg_%'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname::text, contype::text, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL
        FROM pg_constraint WHERE conrelid > 16383
    UNION ALL SELECT 'right', table_name, grantee, privilege_type, is_grantable, grantor, NULL, NULL, NULL
        FROM information_schema.role_table_grants WHERE table_schema NOT LIKE 'pg_%' AND table_schema <> 'information_schema'
    UNION ALL SELECT 'trigger', event_object_table, trigger_name, event_manipulation, action_statement, NULL, NULL, NULL, NULL
        FROM information_schema.triggers
    UNION ALL SELECT 'schema', nspname::text, nspowner::regrole::text, nspacl::text, NULL, NULL, NULL, NULL, NULL FROM pg_namespace
        WHERE nspname NOT LIKE 'pg_%'
    ORDER BY 1, 2, 3, 4, 5"""
"""Everything that migrations make, by the catalogs; places of columns among those that are there."""


def catalog(url: str) -> list[Any]:
    with psycopg.connect(url) as owner:
        return owner.execute(CATALOG).fetchall()


@pytest.mark.parametrize("service", list(Topic))
async def test_keys_indexes_rights_and_names_are_those_that_migrations_make(
    service: Topic, database: Callable[[str], ServiceDatabase]
) -> None:
    place = database(service)
    before = catalog(place.owner_url)
    assert len([row for row in before if row[0] == "index"]) > 10
    for table in (*tables_of(parts_of(service)), *PARAMETERS):
        await rebuild(place.owner_url, parts_of(service), table, 10, lambda events: None)
        assert catalog(place.owner_url) == before, table


async def test_the_table_that_was_filled_is_put_in_place_and_nothing_is_written_while_it_is_locked(
    evidence: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = evidence
    file = "SELECT pg_relation_filenode(%s::regclass)"
    locked: list[int] = []
    project = store.project

    async def watched(connection: Any, projections: Any, events: Any) -> None:
        if connection.info.transaction_status == TransactionStatus.INTRANS:
            locked.append(len(events))
        await project(connection, projections, events)

    monkeypatch.setattr(store, "project", watched)
    with psycopg.connect(url, autocommit=True) as owner:
        filled: list[Any] = []
        await rebuild(url, PARTS, "act", 10, lambda events: filled.append(owner.execute(file, ["rebuild.act"]).fetchone()))
        assert set(filled) == {owner.execute(file, ["public.act"]).fetchone()}
    assert locked == [0], "nobody wrote meanwhile"


async def test_who_reads_the_table_is_waited_for_in_vain_only_so_often(evidence: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    service, url = evidence
    before = await rows(service, "act")
    for name, value in (("LOCK_MS", 100), ("PAUSE_S", 0.01), ("MAX_LOCKS", 3)):
        monkeypatch.setattr(making, name, value)
    with psycopg.connect(url) as reader:
        reader.execute("SELECT FROM act LIMIT 1")
        with pytest.raises(LedgerError, match="in use whenever"):
            await rebuild(url, PARTS, "act", 10, lambda events: None)
        monkeypatch.setattr(making, "MAX_LOCKS", 1_000)
        again = asyncio.create_task(rebuild(url, PARTS, "act", 10, lambda events: None))
        await asyncio.sleep(0.5)
        assert not again.done()
        reader.rollback()
        await again
    assert await rows(service, "act") == before
    await tell(service, range(300, 301))


async def test_what_would_not_be_like_the_old_one_is_not_put_in_its_place(evidence: tuple[Any, str]) -> None:
    service, url = evidence
    before = await rows(service, "act")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE RULE here AS ON DELETE TO act DO ALSO NOTHING")
        with pytest.raises(LedgerError, match="would not be like the old one"):
            await rebuild(url, PARTS, "act", 10, lambda events: None)
        owner.execute("DROP RULE here ON act")
        owner.execute("CREATE SCHEMA rebuild; CREATE TABLE rebuild.act (left_by_one_that_was_killed integer)")
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [making.ALONE])
            with pytest.raises(LedgerError, match="another rebuild is under way"):
                await rebuild(url, PARTS, "act", 10, lambda events: None)
    await rebuild(url, PARTS, "act", 10, lambda events: None)
    assert await rows(service, "act") == before


async def test_what_does_not_come_from_the_ledger_is_not_touched(evidence: tuple[Any, str]) -> None:
    for table in ("event", "inbox", "nonsense; DROP TABLE act"):
        with pytest.raises(NotFound, match="name one of act, conflict, amendment, alias, alignment, calendar, stream"):
            await rebuild(evidence[1], PARTS, table, 10, lambda events: None)
