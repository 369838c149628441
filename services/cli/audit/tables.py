"""I2 and I8 in read tables: every table and every cached state equals a fold of the ledger from scratch, and no day is half there; and what
services decide with, pages and sets of parameters, is what the ledger says that was added and adopted.

Each table is copied at one instant, and made anew from the ledger up to the lengths of that instant, by the same statements as ever; the
two, both temporary tables, are compared in the database. So a service may run meanwhile: only copying holds a snapshot, for as long as it
takes to write a table's rows once. Temporary tables need the owner's role; nothing of the service's own is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import IsolationLevel, sql

from services.cli.audit.findings import Findings
from services.cli.rebuild import STREAM, Count, fold_until, project_between, tables_of
from services.cli.verify import parts_of
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted
from shared.ledger import read, store
from shared.ledger.read import LENGTHS
from shared.ledger.types import Connection
from shared.parameters import page_hash

SCHEDULING: Final = "scheduling"
BATCH: Final = 1_000
DAYS: Final = 100
"""Days that are looked at in one statement."""
COPY: Final = "copy_of_"
NAMED: Final = 5
"""Rows of one table that are named."""
LEDGERS_OWN: Final = frozenset(
    {"partition", "published", "event", "stream", "inbox", "parked", "parameter_page", "parameter_set", "cursor", "key_check"}
    | {"alembic_version"}
)
ALL_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
KEY: Final = """
    SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indrelid = ('public.' || quote_ident(%s))::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)"""
PAGES: Final = "SELECT hash, encode(sha256(data), 'hex') FROM parameter_page"
SETS: Final = "SELECT id, kind, pages FROM parameter_set"
SETTINGS: Final = "SELECT coalesce(max(version), 0) FROM event WHERE stream = %s"
AT_ONCE: Final = 50
"""Events of settings that are read at once: a page of parameters has up to 192 KiB."""
STATES: Final = """
    SELECT coalesce(s.id, t.id) FROM pg_temp.copy_of_stream s FULL JOIN pg_temp.stream t USING (id)
    WHERE s.id IS NULL OR t.id IS NULL OR (s.key, s.partition, s.version) IS DISTINCT FROM (t.key, t.partition, t.version)
        OR (s.format = t.format AND s.state IS DISTINCT FROM t.state)"""
"""A state that another release encoded is folded again where it is needed: only its version is compared."""
IS_HALF: Final = """
    h.version IS NULL OR h.version < p.version + p.moved
    OR NOT (SELECT count(*) = p.moved AND coalesce(max(l.version), p.version) = p.version + p.moved FROM public.learner_day l
        WHERE l.school_id = p.school_id AND l.day = p.day AND l.version > p.version)"""
HALF_DAYS: Final = f"""
    SELECT p.school_id, p.day, {IS_HALF}
    FROM (SELECT * FROM public.day_plan WHERE (school_id, day) > (%(school)s, %(day)s) ORDER BY school_id, day LIMIT %(most)s) p
    LEFT JOIN public.day_head h USING (school_id, day) ORDER BY 1, 2"""  # noqa: S608 - our own words
SEEN_DAYS: Final = f"""
    SELECT p.school_id, p.day, ({IS_HALF}) OR h.version IS DISTINCT FROM (
        SELECT max(e.version) FROM public.event e WHERE e.stream = concat_ws('/', 'scheduling', 'day', p.school_id, p.day))
    FROM public.day_plan p LEFT JOIN public.day_head h USING (school_id, day)"""  # noqa: S608 - our own words
"""The days that are published, and of each whether it can be seen half-written now: its rows are not those of its plan, or not of all that
its stream holds. One statement, hence one snapshot, and cheap where there are few days."""


@dataclass
class Compared:
    """What comparing one service's tables came to."""

    service: str
    rows: int = 0
    tables: int = 0
    different: dict[str, list[str]] = field(default_factory=dict)
    """Table -> keys of rows that are there and should not be, or the other way round; the first few, then how many in all."""
    halves: list[str] = field(default_factory=list)
    parameters: int = 0
    """Pages and sets of parameters that were compared."""
    unlike: dict[str, list[str]] = field(default_factory=dict)
    """Table of parameters -> its rows that are not what the ledger says."""
    apart: list[str] = field(default_factory=list)
    """Tables that do not come from the ledger."""


def compare_tables(owner_url: str, service: str) -> Compared:
    """Return how a service's tables stand to its ledger. Blocks until it is done."""
    return asyncio.run(_compare(owner_url, service))


async def _compare(owner_url: str, service: str) -> Compared:
    parts, result = parts_of(service), Compared(service)
    tables, told = tables_of(parts), Count(lambda events: None)
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        seen = {table: await _copy(connection, table) for table in tables}
        for table in tables:
            name = sql.Identifier(table)
            await connection.execute(sql.SQL("CREATE TEMPORARY TABLE {} (LIKE public.{} INCLUDING ALL)").format(name, name))
        first = seen[tables[0]]
        await project_between(connection, parts.projections, dict.fromkeys(first, 0), first, BATCH, told)
        for table in tables[1:]:  # What was recorded before its turn came to be copied.
            chosen = [projection for projection in parts.projections if projection.table == table]
            await project_between(connection, chosen, first, seen[table], BATCH, told)
        try:
            await fold_until(connection, parts, seen[STREAM], BATCH, told)
        except psycopg.errors.UniqueViolation as error:
            result.different[STREAM] = [f"a stream stands in several partitions: {error.diag.message_detail}"]
        for table in tables:
            await _differences(connection, table, result)
        await _parameters(connection, result)
        if service == SCHEDULING:
            result.halves = [each async for each in _half_days(connection)]
        result.apart = [name for (name,) in await _all(connection, ALL_TABLES) if name not in {*LEDGERS_OWN, *tables}]
    return result


async def _copy(connection: Connection, table: str) -> dict[int, int]:
    """Keep a table as it is at one instant, and return the lengths of the partitions then. This is all that takes a snapshot for as long as
    a table is large: what is compared with the copy may take its time."""
    async with connection.transaction():
        lengths = {row[0]: row[1] for row in await _all(connection, LENGTHS)}
        copy = sql.SQL("CREATE TEMPORARY TABLE {} AS TABLE public.{}").format(sql.Identifier(COPY + table), sql.Identifier(table))
        await connection.execute(copy)
    return lengths


async def _parameters(connection: Connection, result: Compared) -> None:
    """Compare the tables of parameters at one instant with the settings up to then. Content stands here as a hash."""
    name = f"{result.service}/settings"
    async with connection.transaction():
        pages = await _all(connection, PAGES)
        sets = {id: (kind, list(hashes)) for id, kind, hashes in await _all(connection, SETS)}
        ((until,),) = await _all(connection, SETTINGS, [name])
    added, adopted = set[str](), dict[str, tuple[str, list[str]]]()
    values = {"name": name, "version": 0, "most": AT_ONCE}
    async for rows in read.paging(partial(read.fetched, connection), read.STREAM, values, ["version"]):
        for event in (store.decoded(bytes(raw)).data for version, raw in rows if version <= until):
            if isinstance(event, ParameterPageAdded):
                added.add(page_hash(event.content))
            elif isinstance(event, ParameterSetAdopted):
                adopted[event.set_id] = event.KIND, list(event.pages)
    result.parameters = len(pages) + len(sets)
    found = {
        "parameter_page": [*(hash for hash, of_data in pages if hash != of_data), *({hash for hash, _ in pages} ^ added)],
        "parameter_set": [id for id in {*sets, *adopted} if sets.get(id) != adopted.get(id)],
    }
    result.unlike = {table: sorted(keys) for table, keys in found.items() if keys}


async def _half_days(connection: Connection) -> AsyncIterator[str]:
    """Yield the days that are half-written, looked at a few at a time: each day by itself must be whole at every instant."""
    some, rows = {"school": UUID(int=0), "day": date.min, "most": DAYS}, None
    while rows is None or len(rows) == DAYS:
        rows = await _all(connection, HALF_DAYS, some)
        for school, on, half in rows:
            some |= {"school": school, "day": on}
            if half:
                yield f"{school} on {on}"


async def _differences(connection: Connection, table: str, result: Compared) -> None:
    name = sql.Identifier(table)
    result.tables += 1
    copy = sql.Identifier(COPY + table)
    result.rows += (await _all(connection, sql.SQL("SELECT count(*) FROM pg_temp.{}").format(copy)))[0][0]
    if table == STREAM:
        found = [*result.different.get(STREAM, ()), *(row[0] for row in await _all(connection, STATES))]
    else:
        keys = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(row[0])) for row in await _all(connection, KEY, [table]))
        question = sql.SQL("""
            SELECT DISTINCT {keys} FROM (
                (TABLE pg_temp.{copy} EXCEPT ALL TABLE pg_temp.{name}) UNION ALL (TABLE pg_temp.{name} EXCEPT ALL TABLE pg_temp.{copy})
            ) AS different ORDER BY {keys}""").format(keys=keys, name=name, copy=copy)
        found = [" ".join(row) for row in await _all(connection, question)]
    if found:
        result.different[table] = found


async def _all(connection: Connection, statement: Any, values: Any = None) -> list[Any]:
    return await (await connection.execute(statement, values)).fetchall()


def tell(compared: Compared, ids: frozenset[str], findings: Findings) -> None:
    """Put what was found into the findings."""
    service = compared.service
    if "I2" in ids:
        findings.count("I2", f"{service}: rows compared with a fold of the ledger", compared.rows)
        for table, keys in compared.different.items():
            findings.wrong("I2", f"{service}: rows of {table} differ from a fold of the ledger", keys)
        findings.count("I2", f"{service}: pages and sets of parameters compared with the ledger", compared.parameters)
        for table, keys in compared.unlike.items():
            findings.wrong("I2", f"{service}: rows of {table} are not what the ledger added and adopted", keys)
        if compared.apart:
            why = "do not come from the ledger: they hold keys that were drawn, or what is still to be done"
            findings.leave_out("I2", f"{service}: {', '.join(compared.apart)} {why}")
    if "I8" in ids:
        findings.wrong("I8", "a day is visible half-written", compared.halves)
