"""Ledgers of a release, brought to the newest schema: every read table is what the ledger comes to, as if it had always been there.

`ledgers/<release>/<service>.jsonl` holds each row of a small database as that release left it, with the schema of the first migration.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from services.cli.audit.tables import compare_tables
from services.cli.rebuild import tables_of
from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.migrate import migrate
from shared.stack import Stack
from tests.shared.test_migrate import older

LEDGERS = Path(__file__).parent / "ledgers"
AS_TEXT = {"event": "bytes", "parameter_page": "data"}
"""Columns of bytes that the files hold as text."""


def kept(release: str, service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the table and the values of each row."""
    for line in (LEDGERS / release / f"{service}.jsonl").read_text().splitlines():
        table, row = json.loads(line)
        name = AS_TEXT.get(table)
        yield table, row | {name: "\\x" + row[name].encode().hex()} if name else row


def put(owner: psycopg.Connection[Any], release: str, service: str) -> None:
    """Put the rows into an empty database of that time."""
    for made in ("published", "partition"):
        owner.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(made)))
    for table, row in kept(release, service):
        name = sql.Identifier("public", table)
        owner.execute(sql.SQL("INSERT INTO {} SELECT * FROM jsonb_populate_record(NULL::{}, %s)").format(name, name), [Jsonb(row)])


@pytest.mark.parametrize("service", Topic)
def test_every_read_table_of_an_upgraded_ledger_is_what_the_ledger_comes_to(service: Topic, stack: Stack) -> None:
    with older(stack, service, "0001") as place:
        with psycopg.connect(place.owner_url) as owner:
            put(owner, "0.1.0", service)
        migrate(service, place.owner_url)
        compared = compare_tables(place.owner_url, service)
    assert compared.different == {}
    assert compared.halves == []
    assert compared.unlike == {}
    assert compared.tables >= len(tables_of(parts_of(service)))
    assert compared.rows > 0
