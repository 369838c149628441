"""Reading a record by its keys, a page at a time: all of it, once, in order, also where pages end where the record does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

from services.cli.verify import reading
from shared.ledger import read
from shared.stack import ServiceDatabase

PAGE = 3
COLUMNS = "position, stream, version, bytes"


@pytest.fixture
def url(database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch) -> str:
    """A record of three partitions with 6, 7 and 0 events, and a hole."""
    monkeypatch.setattr(read, "FETCH", PAGE)
    monkeypatch.setattr(read, "MERGED", PAGE)
    url = database("evidence").owner_url
    names = ["a/b/s1/x", "a/b/s1/y", "a/b/s2/x", "a/b0", "a/c/z"]
    versions = dict.fromkeys(names, 0)
    with psycopg.connect(url) as owner:
        for n in range(13):
            name = names[n % len(names)]
            versions[name] += 1
            place = (n % 2, n // 2 + (n > 8))
            at = f"2026-01-01T00:00:{n // 3:02}Z"
            owner.execute(
                """INSERT INTO event (partition, position, stream, version, key, type, recorded_at, bytes)
                VALUES (%s, %s, %s, %s, %s, 't', %s, %s)""",
                [*place, name, versions[name], "her" if n == 4 else "", at, b"her %d" % n if n % 4 == 0 else b"%d" % n],
            )
        owner.execute("UPDATE partition SET length = 8 WHERE id < 2")
    return url


def rows(url: str, order: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as owner:
        statement = f"SELECT partition, position, stream, version, key, bytes FROM event ORDER BY {order}"  # noqa: S608 - our own words
        return owner.execute(statement.encode()).fetchall()


@pytest.mark.parametrize("until", [0, 1, 3, 5, 6, 8, 10**18])
def test_pages_of_a_partition_are_all_of_it_below_a_length(until: int, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(3):
            found = list(read.pages(connection, COLUMNS, number, until))
            wanted = [(row[1], row[2], row[3], row[5]) for row in rows(url, "position") if row[0] == number and row[1] < until]
            assert [row for page in found for row in page] == wanted
            assert all(0 < len(page) <= PAGE for page in found)


@pytest.mark.parametrize("since", [{0: 0, 1: 0, 2: 0}, {0: 2, 1: 5, 2: 0}, {0: 8, 1: 8, 2: 0}])
async def test_merged_is_the_order_of_recording(since: dict[int, int], url: str) -> None:
    until = {0: 7, 1: 8, 2: 9}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        found = [raw async for raw in read.merged(connection, since, until)]
    assert found == [row[5] for row in rows(url, "recorded_at, partition, position") if since[row[0]] <= row[1] < until[row[0]]]


async def all_of(pages: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in pages]


async def test_what_is_asked_for_is_found_and_nothing_else(url: str) -> None:
    async with reading(url) as pool:
        for name in {row[2] for row in rows(url, "1")}:
            assert await all_of(read.stream(pool, name)) == [row[5] for row in rows(url, "version") if row[2] == name]
            assert await read.count(pool, [name, "nobody's"]) == len([row for row in rows(url, "1") if row[2] == name])
        assert await all_of(read.stream(pool, "nobody's")) == []
        assert await all_of(read.partition(pool, 1, 2)) == [
            (row[1], row[5]) for row in rows(url, "position") if row[0] == 1 and row[1] >= 2
        ]
        her = [row for row in rows(url, "partition, position") if b"her" in row[5] or row[4] == "her"]
        assert await all_of(read.naming(pool, "her")) == [row[5] for row in her]
        assert len(her) == 4
        under = [row[5] for row in rows(url, "stream, version") if row[2].startswith("a/b/") and b"her" in row[5]]
        assert await all_of(read.naming_under(pool, "a/b/", "her")) == under
        assert under
        assert await all_of(read.parts_under(pool, "a/b/")) == ["s1", "s2"]
        assert await all_of(read.parts_under(pool, "a/")) == ["b", "b0", "c"]
        assert await all_of(read.parts_under(pool, "x/")) == []
