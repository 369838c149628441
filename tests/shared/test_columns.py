"""Packed columns and rows arrive in PostgreSQL as the values that they stand for."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ledger.columns import (
    BLOCK_BYTES,
    Blobs,
    Instants,
    Integers,
    Json,
    Numbers,
    Texts,
    Uuids,
    blocks,
    event_row,
    since_2000,
    stream_row,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
SIZES = (0, 1, 2, BLOCK_BYTES - 1, 3 * BLOCK_BYTES, 2, BLOCK_BYTES, 0)
"""Of rows: some alone fill a block, or more."""
numbers = st.integers(-(2**63), 2**63 - 1)


def test_columns_are_the_arrays_of_their_values(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:

        @settings(max_examples=50, deadline=None)
        @given(st.lists(st.tuples(texts, numbers, st.binary(max_size=20))))
        def check(rows: list[tuple[str, int, bytes]]) -> None:
            columns: list[Any] = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
            packed = [Texts(columns[0]), Numbers(columns[1]), Blobs(columns[2])]
            found = connection.execute("SELECT * FROM unnest(%s, %s, %s)", packed).fetchall()
            assert found == rows

        check()


KINDS: dict[Any, st.SearchStrategy[Any]] = {
    Texts: texts,
    Blobs: st.binary(max_size=20),
    Json: st.recursive(st.integers(-(2**53), 2**53) | st.booleans() | texts, lambda of: st.lists(of, max_size=3), max_leaves=4),
    Integers: st.integers(-(2**31), 2**31 - 1),
    Numbers: numbers,
    Instants: st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy gives the zone.
    Uuids: st.uuids(),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_value_arrives_and_none_as_null(postgres_url: str, kind: Any) -> None:
    with psycopg.connect(postgres_url, options="-c timezone=UTC") as connection:

        @settings(max_examples=30, deadline=None)
        @given(st.lists(KINDS[kind] | st.none(), max_size=6))
        def check(values: list[Any]) -> None:
            with connection.cursor(binary=True) as cursor:
                found = cursor.execute("SELECT * FROM unnest(%s)", [kind(values)]).fetchall()
            assert [value for (value,) in found] == values

        check()


def test_an_id_may_be_given_as_its_text(postgres_url: str) -> None:
    id = UUID("0192f0c4-0000-7000-8000-00000000abcd")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT * FROM unnest(%s)", [Uuids([str(id), id])]).fetchall() == [(id,), (id,)]


def test_rows_are_told_in_blocks_none_of_which_is_much_larger_than_one_row() -> None:
    rows = [(b"head", bytes(BLOCK_BYTES // 4))] * 9
    found = list(blocks(iter(rows)))
    assert [len(block) for block in found] == [19 + 4 * (4 + BLOCK_BYTES // 4), 4 * (4 + BLOCK_BYTES // 4), 4 + BLOCK_BYTES // 4 + 2]
    assert b"".join(found) == b"".join(blocks(iter(rows)))
    assert list(blocks([])) == [b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"]


def test_rows_are_copied_as_they_are(postgres_url: str) -> None:
    at = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    events = [(number, 2**40 + number, f"é/{number}", 7, "key", "a.b.v1", at, bytes(size)) for number, size in enumerate(SIZES)]
    streams = [(f"é/{number}", "key", number, 2**40, 1_001, bytes(size)) for number, size in enumerate(SIZES)]
    with psycopg.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            """CREATE TEMP TABLE event_copy (partition int, position bigint, stream text, version bigint, key text, type text,
            recorded_at timestamptz, bytes bytea)"""
        )
        cursor.execute("CREATE TEMP TABLE stream_copy (id text, key text, partition int, version bigint, format int, state bytea)")
        with cursor.copy("COPY event_copy FROM STDIN (FORMAT BINARY)") as copy:
            for block in blocks(event_row(*event[:6], since_2000(event[6]), event[7]) for event in events):
                copy.write(block)
        with cursor.copy("COPY stream_copy FROM STDIN (FORMAT BINARY)") as copy:
            for block in blocks(stream_row(*stream) for stream in streams):
                copy.write(block)
        assert cursor.execute("SELECT * FROM event_copy ORDER BY position").fetchall() == events
        assert cursor.execute("SELECT * FROM stream_copy ORDER BY id").fetchall() == streams
