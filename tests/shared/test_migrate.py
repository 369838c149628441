"""Migrations of every service on real PostgreSQL: what the service may do to its tables, and that an upgrade keeps the rows it finds."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from services.cli.rebuild import tables_of
from services.cli.verify import parts_of
from shared import migrate as migrate_room
from shared.contracts.topics import Topic
from shared.ledger.park import discard, listed
from shared.ledger.store import PARK
from shared.migrate import migrate
from shared.revision import newest_revision
from shared.stack import ServiceDatabase, Stack, create_database, drop_database, drop_roles

ROOT = Path(__file__).parents[2]
ADDED_TO = {"event", "parameter_page", "parameter_set", "key_check"}
"""Of every service: rows come, and neither change nor go."""
OWN_ADDED_TO = {"profile": {"person_key"}}
MOVED = {"partition", "published", "inbox", "parked"}
"""Rows come and change; none goes."""
READ = {"alembic_version"}
OTHERS = {"cursor"}
OWN_OTHERS = {"profile": {"roster_step"}, "evidence": {"noticed", "due_act"}}
"""Work on its way; read tables and states, which are made again from the ledger, aside."""
TAKEN = ("UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}")

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, NULL), EXISTS (SELECT FROM pg_constraint WHERE conrelid = a.attrelid AND contype = 'c')
    FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' ORDER BY a.attnum"""
MADE_WITH = {"alembic_version", "partition", "published"}
"""Tables that have rows from the first migration on."""
NEW_COLUMNS = {
    ("mastery", "0002"): {"level": {"override": False}, "level_change": {"override": False}},
    ("mastery", "0008"): {"override": {"ended": True}},  # `fill` gives each of them an end of the same version.
    ("scheduling", "0002"): {"demand": {"position": -1}},
    ("profile", "0006"): {"person_key": {"erasures": 0}},
    ("pathing", "0005"): {"path": {"due_subject": "", "due_minutes": None}},
    ("evidence", "0008"): {table: {"partition": None, "position": None} for table in ("alias", "alignment", "calendar")},
}
"""What a revision adds to rows that it finds; `_foreign`, which is in every service, aside."""
DROPPED = {("mastery", "0008"): {"override_end"}}
DROPPED_COLUMNS = {("mastery", "0009"): ("competency_estimate", "evidence_id")}
FOREIGN = {"parked": {"hash": None}}


def kinds_of(service: str) -> dict[str, set[str]]:
    return {
        "added to": ADDED_TO | OWN_ADDED_TO.get(service, set()),
        "moved": MOVED,
        "read": READ,
        "others": OTHERS | OWN_OTHERS.get(service, set()) | set(tables_of(parts_of(service))),
    }


def first_column(connection: psycopg.Connection[Any], table: str) -> str:
    return str(connection.execute(COLUMNS, [table]).fetchall()[0][0])


@pytest.mark.parametrize("service", Topic)
def test_every_table_is_known_by_what_becomes_of_its_rows(service: Topic, database: Callable[[str], ServiceDatabase]) -> None:
    with psycopg.connect(database(service).app_url) as app:
        found = sorted(row[0] for row in app.execute(TABLES).fetchall())
    assert sorted(chain(*kinds_of(service).values())) == found, "say of a new table whether the service may change and remove its rows"


@pytest.mark.parametrize("service", Topic)
def test_what_is_only_added_to_the_service_can_neither_change_nor_remove(
    service: Topic, database: Callable[[str], ServiceDatabase]
) -> None:
    kinds = kinds_of(service)
    refused = [(table, statement) for table in sorted(kinds["added to"] | kinds["read"]) for statement in TAKEN]
    refused += [(table, statement) for table in sorted(kinds["moved"]) for statement in TAKEN[1:]]
    with psycopg.connect(database(service).app_url, autocommit=True) as app:
        for table, statement in refused:
            column = sql.Identifier(first_column(app, table))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(sql.SQL(statement).format(sql.Identifier(table), column, column))
        for table in kinds["added to"]:
            assert app.execute(
                "SELECT has_table_privilege(%s, 'SELECT') AND has_table_privilege(%s, 'INSERT')", [table] * 2
            ).fetchone() == (True,)


@contextmanager
def older(stack: Stack, service: str, revision: str) -> Iterator[ServiceDatabase]:
    """Yield a database as an earlier release left it."""
    suffix = f"_m{secrets.token_hex(4)}"
    place = create_database(stack.postgres_url, service, stack.home, suffix)
    try:
        migrate(service, place.owner_url, revision=revision)
        yield place
    finally:
        drop_database(stack.postgres_url, f"cairn_{service}{suffix}")
        drop_roles(stack.postgres_url, stack.home, [f"{service}{suffix}_{part}" for part in ("owner", "app")])


@pytest.mark.parametrize("held", ["LOCK TABLE act IN ACCESS SHARE MODE", "SELECT FROM partition WHERE id = 3 FOR UPDATE"])
def test_a_migration_that_meets_a_running_service_changes_nothing_and_says_to_stop_it(
    held: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_room, "LOCK_S", 0.5)
    with older(stack, "evidence", "0007") as place:
        with psycopg.connect(place.app_url) as service:
            service.execute(held)
            with pytest.raises(migrate_room.InUse, match="stop evidence with all its workers"):
                migrate("evidence", place.owner_url)
        with psycopg.connect(place.owner_url) as owner:
            assert owner.execute("SELECT version_num FROM alembic_version").fetchall() == [("0007",)]
            assert owner.execute("SELECT to_regclass('act_waiting_of_alias') IS NOT NULL").fetchall() == [(True,)]
        migrate("evidence", place.owner_url)


def value(kind: str, number: int) -> Any:
    """Return the value with this number of a column's type."""
    match kind:
        case "uuid":
            return f"{number:032x}"
        case "text":
            return f"text {number}"
        case "bytea":
            return b'"bytes %d"' % number
        case "boolean":
            return True
        case "jsonb":
            return Jsonb([number])
        case "text[]":
            return [f"text {number}"]
        case "date":
            return str(date(2026, 11, 1) + timedelta(days=number))
        case "timestamp with time zone":
            return f"{date(2026, 11, 1) + timedelta(days=number)} 08:00+00"
        case _:
            return number


def fill(owner: psycopg.Connection[Any], numbers: range) -> None:
    """Put rows with these numbers into every table; those that hold a single row get it once."""
    for (table,) in owner.execute(TABLES).fetchall():
        columns = owner.execute(COLUMNS, [table]).fetchall()
        single = columns[0][2]
        for number in () if table in MADE_WITH else range(1, 2) if single else numbers:
            owner.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(sql.Identifier(name) for name, *_ in columns),
                    sql.SQL(", ").join(sql.Placeholder() for _ in columns),
                ),
                [value(kind, number) for _, kind, _ in columns],
            )
        if table == "parked":  # Half of them foreign, of which no position is known.
            owner.execute("UPDATE parked SET position = NULL, resolved_at = NULL, resolution = NULL WHERE partition % 2 = 0")


def content(owner: psycopg.Connection[Any]) -> dict[str, list[dict[str, Any]]]:
    tables = [table for (table,) in owner.execute(TABLES).fetchall() if table != "alembic_version"]
    with owner.cursor(row_factory=dict_row) as cursor:
        return {
            table: sorted(cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall(), key=str) for table in tables
        }


@pytest.mark.parametrize("service", Topic)
def test_each_upgrade_of_each_service_keeps_the_rows_that_it_finds(service: Topic, stack: Stack) -> None:
    newest = int(newest_revision(service))
    names = {path.name[:4]: path.stem[5:] for path in (ROOT / "services" / service / "migrations").glob("0*.py")}
    with older(stack, service, "0001") as place:
        for step in range(2, newest + 1):
            revision = f"{step:04}"
            with psycopg.connect(place.owner_url) as owner:
                fill(owner, range(2 * step, 2 * step + 2))
                before = content(owner)
            assert all(before.values()), "every table has rows"
            migrate(service, place.owner_url, revision=revision)
            with psycopg.connect(place.owner_url) as owner:
                after = content(owner)
            added = FOREIGN if names[revision] == "foreign" else NEW_COLUMNS.get((service, revision), {})
            for table in DROPPED.get((service, revision), ()):
                del before[table]
            if (service, revision) in DROPPED_COLUMNS:
                table, column = DROPPED_COLUMNS[service, revision]
                for row in before[table]:
                    del row[column]
            for table, rows in before.items():
                assert after[table] == sorted((row | added.get(table, {}) for row in rows), key=str), f"{service} {revision}: {table}"


@pytest.fixture(params=list(Topic))
async def with_parked(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[tuple[AsyncConnectionPool[Any], Callable[[], Any]]]:
    """A database as it was before foreign records were told apart, with what was parked then; and what brings it to the newest release."""
    service = request.param
    (path,) = (ROOT / "services" / service / "migrations").glob("*_foreign.py")
    parked = (
        "INSERT INTO parked (source, partition, position, kafka_offset, key, trouble, reason, bytes) VALUES (%s, 3, %s, %s, %s, %s, '', %s)"
    )
    with older(stack, service, f"{int(path.name[:4]) - 1:04}") as place:
        with psycopg.connect(place.app_url) as app:
            app.execute(parked, ["evidence", None, 7, "", "foreign", b"one"])
            app.execute(parked, ["evidence", None, 8, "", "foreign", b"another"])
            app.execute(parked, ["evidence", 5, 9, "key", "poison", b"a third"])
            app.execute("UPDATE parked SET resolved_at = now(), resolution = 'discarded: so' WHERE kafka_offset = 8")
        async with AsyncConnectionPool(place.app_url, min_size=1, open=False) as pool:
            yield pool, lambda: migrate(service, place.owner_url)


async def test_what_an_earlier_release_parked_is_told_and_parked_beside(
    with_parked: tuple[AsyncConnectionPool[Any], Callable[[], Any]],
) -> None:
    pool, upgrade = with_parked
    before = await listed(pool)
    await asyncio.to_thread(upgrade)
    assert await listed(pool) == before
    assert [(record.kafka_offset, record.position) for record in before] == [(7, None), (9, 5)]
    async with pool.connection() as connection:
        for offset in (7, 7, 8):  # At the offset of each that was parked before; the first of them twice.
            values = ["evidence", 3, None, offset, "", "foreign", "", b"others", "hash"]
            await connection.execute(PARK, values)
    assert [record.kafka_offset for record in await listed(pool)] == [7, 9, 7, 8]
    for record in await listed(pool):
        await discard(pool, record.id, "a test")
    assert await listed(pool) == []


async def test_demands_of_an_earlier_release_learn_where_in_the_ledger_they_were_noted(stack: Stack) -> None:
    school, noted, unknown = (f"00000000-0000-0000-0000-{number:012}" for number in (1, 2, 3))
    with older(stack, "scheduling", "0001") as place:
        with psycopg.connect(place.owner_url) as owner:
            for version, learner in ((1, noted), (2, noted), (1, unknown)):
                owner.execute(
                    "INSERT INTO demand VALUES (%s, %s, 1, '{}', %s, %s, now(), %s) ON CONFLICT (school_id, learner_id) "
                    "DO UPDATE SET version = excluded.version",
                    [school, learner, school, school, version],
                )
            for version, position in ((1, 40), (2, 41)):
                owner.execute(
                    "INSERT INTO event VALUES (0, %s, %s, %s, %s, 'scheduling.demand-noted.v1', now(), '')",
                    [position, f"scheduling/demand/{school}/{noted}", version, school],
                )
        migrate("scheduling", place.owner_url)
        with psycopg.connect(place.owner_url) as owner:
            found = owner.execute("SELECT learner_id::text, position FROM demand ORDER BY learner_id").fetchall()
    assert found == [(noted, 41), (unknown, -1)]


async def test_acts_of_an_earlier_release_are_counted_and_those_that_may_go_are_found(stack: Stack) -> None:
    item, learner, due, unaligned, gone = (f"00000000-0000-0000-0000-{number:012}" for number in range(1, 6))
    with older(stack, "evidence", "0007") as place:
        with psycopg.connect(place.owner_url) as owner:
            owner.execute("UPDATE partition SET length = 9 WHERE id = 3")
            owner.execute("INSERT INTO alias VALUES ('a', %s, 1)", [learner])
            owner.execute("INSERT INTO alignment VALUES (%s, 'urn:item', '[]', 2)", [item])
            for position, version, stream in ((4, 1, "alias/a"), (5, 1, f"item/{item}"), (6, 2, f"item/{item}")):
                owner.execute("INSERT INTO event VALUES (3, %s, %s, %s, '', '', now(), '')", [position, f"evidence/{stream}", version])
            for position, (act, of, recorded) in enumerate(((due, item, None), (unaligned, learner, None), (gone, item, learner))):
                owner.execute(
                    "INSERT INTO act (act_id, alias, item_id, partition, position, learner_id) VALUES (%s, 'a', %s, 3, %s, %s)",
                    [act, of, position, recorded],
                )
            owner.execute("INSERT INTO conflict VALUES (%s, 2, 0, now(), %s, true, now())", [gone, item])
        migrate("evidence", place.owner_url)
        with psycopg.connect(place.owner_url) as owner:
            assert owner.execute("SELECT act_id::text, alias, partition, position FROM due_act").fetchall() == [(due, "a", 3, 0)]
            assert owner.execute("SELECT position FROM noticed WHERE partition = 3").fetchall() == [(9,)]
            assert owner.execute("SELECT sum(accepted), sum(recorded), sum(conflicts) FROM noticed").fetchall() == [(3, 1, 1)]
            for table, position in (("alias", 4), ("alignment", 6)):
                assert owner.execute(f"SELECT partition, position FROM {table}").fetchall() == [(3, position)]  # noqa: S608 - our own names
