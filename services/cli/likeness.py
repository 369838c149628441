"""A table beside another one that is like it in everything: columns, constraints, indexes and their names, triggers, options, rights."""

from __future__ import annotations

from typing import Any, Final

from psycopg import sql

from shared.ledger.types import Connection

OPTIONS: Final = """
    SELECT unnest(c.reloptions) FROM pg_class c WHERE c.oid = to_regclass(%(table)s)
    UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid
    WHERE c.oid = to_regclass(%(table)s)"""
KEYS: Final = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(%(table)s) AND contype IN ('p', 'u', 'x')"""
INDEXES: Final = """
    SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass(%(table)s)
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))"""
RIGHTS: Final = """
    SELECT CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
    FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = to_regclass(%(table)s)"""
TRIGGERS: Final = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal"
SHAPE: Final = """
    SELECT jsonb_build_object(
        'table', jsonb_build_array(c.relkind, c.relpersistence, c.relreplident, c.relrowsecurity, pg_get_userbyid(c.relowner)),
        'options', (SELECT jsonb_agg(o ORDER BY o) FROM unnest(c.reloptions || t.reloptions) o),
        'rights', (
            SELECT jsonb_agg(jsonb_build_array(grantee, privilege_type, is_grantable) ORDER BY grantee, privilege_type)
            FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))),
        'columns', (
            SELECT jsonb_agg(jsonb_build_array(
                attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attstorage, attcompression, attcollation,
                attacl::text, attoptions, attstattarget, pg_get_expr(d.adbin, d.adrelid)) ORDER BY attnum)
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        'constraints', (
            SELECT jsonb_agg(jsonb_build_array(conname, contype, convalidated, pg_get_constraintdef(oid)) ORDER BY conname)
            FROM pg_constraint WHERE conrelid = c.oid OR confrelid = c.oid),
        'indexes', (
            SELECT jsonb_agg(jsonb_build_array(
                i.relname, replace(pg_get_indexdef(x.indexrelid), ' ON ' || n.nspname || '.', ' ON '), x.indisvalid,
                x.indisclustered, x.indisreplident) ORDER BY i.relname)
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid),
        'triggers', (
            SELECT jsonb_agg(jsonb_build_array(
                replace(pg_get_triggerdef(g.oid), ' ON ' || n.nspname || '.', ' ON '), g.tgenabled) ORDER BY g.tgname)
            FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
        'beside', (SELECT count(*) FROM pg_rewrite WHERE ev_class = c.oid) + (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid)
            + (SELECT count(*) FROM pg_publication_rel WHERE prrelid = c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    WHERE c.oid = to_regclass(%(table)s)"""


async def create_like(connection: Connection, table: str, schema: str) -> None:
    """Create an empty table in a schema, like the one of its name in `public`."""
    old, new = sql.Identifier("public", table), sql.Identifier(schema, table)
    await connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(new, old))
    for (option,) in await _rows(connection, OPTIONS, table):
        await connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(new, sql.SQL(option)))
    for name, definition in await _rows(connection, KEYS, table):
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
        await connection.execute(add.format(new, sql.Identifier(name), sql.SQL(definition)))
    for (definition,) in await _rows(connection, INDEXES, table):
        await connection.execute(definition.replace(" ON public.", f" ON {schema}.", 1).encode())
    for (definition,) in await _rows(connection, TRIGGERS, table):
        await connection.execute(definition.replace(" ON public.", f" ON {schema}.", 1).encode())
    for role, right, passed_on in await _rows(connection, RIGHTS, table):
        grant = sql.SQL("GRANT {} ON {} TO {} {}")
        to, how = sql.SQL("PUBLIC") if role is None else sql.Identifier(role), sql.SQL("WITH GRANT OPTION" if passed_on else "")
        await connection.execute(grant.format(sql.SQL(right), new, to, how))


async def shape(connection: Connection, schema: str, table: str) -> Any:
    """Return what a table is, but for its rows and the schema it is in: two that are alike in everything have the same."""
    return (await _rows(connection, SHAPE, table, schema))[0][0]


async def _rows(connection: Connection, statement: str, table: str, schema: str = "public") -> list[Any]:
    name = sql.Identifier(schema, table).as_string(connection)
    return await (await connection.execute(statement.encode(), {"table": name})).fetchall()
