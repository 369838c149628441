"""Packed columns and rows arrive in PostgreSQL as the values that they stand for."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ledger.columns import Blobs, Numbers, Texts, copied, event_row, since_2000, stream_row

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
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


def test_rows_are_copied_as_they_are(postgres_url: str) -> None:
    at = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    events = [(number, 2**40 + number, f"é/{number}", 7, "key", "a.b.v1", at, bytes(number)) for number in range(3)]
    streams = [(f"é/{number}", "key", number, 2**40, 1_001, bytes(number)) for number in range(3)]
    with psycopg.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            """CREATE TEMP TABLE event_copy (partition int, position bigint, stream text, version bigint, key text, type text,
            recorded_at timestamptz, bytes bytea)"""
        )
        cursor.execute("CREATE TEMP TABLE stream_copy (id text, key text, partition int, version bigint, format int, state bytea)")
        with cursor.copy("COPY event_copy FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(copied(event_row(*event[:6], since_2000(event[6]), event[7]) for event in events))
        with cursor.copy("COPY stream_copy FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(copied(stream_row(*stream) for stream in streams))
        assert cursor.execute("SELECT * FROM event_copy ORDER BY position").fetchall() == events
        assert cursor.execute("SELECT * FROM stream_copy ORDER BY id").fetchall() == streams
