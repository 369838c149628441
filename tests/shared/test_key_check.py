"""A service goes on under the keys with which its database was first used, and under no others."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.errors import LedgerError, Misconfigured
from shared.key_check import check_keys
from shared.keys import check_value
from shared.migrate import migrate
from shared.serve import TEST_KEY
from shared.settings import variable_of
from shared.stack import ServiceDatabase, Stack
from shared.testing import running
from tests.shared.test_migrate import older

OTHER = "ab" * 32
USED = [*((topic, "parking_key") for topic in Topic), (Topic.PROFILE, "district_key"), (Topic.EVIDENCE, "district_key")]
KEPT = "SELECT name, value FROM key_check ORDER BY name"
Database = Callable[[str], ServiceDatabase]


def kept(place: ServiceDatabase) -> list[tuple[str, bytes]]:
    with psycopg.connect(place.app_url) as connection:
        return [(name, bytes(value)) for name, value in connection.execute(KEPT).fetchall()]


@pytest.mark.parametrize(("topic", "name"), USED)
async def test_another_key_than_before_is_refused_at_the_start(topic: Topic, name: str, database: Database) -> None:
    place = database(topic)
    assert kept(place) == []
    async with running(parts_of(topic), place):
        first = kept(place)
        assert (name, check_value(bytes.fromhex(TEST_KEY))) in first
    with pytest.raises(Misconfigured, match=f"^{variable_of(name)} is another key .*set that one again") as caught:
        async with running(parts_of(topic), place, **{name: OTHER}):
            pass
    assert OTHER not in str(caught.value)
    assert kept(place) == first
    async with running(parts_of(topic), place):
        assert kept(place) == first


async def test_who_uses_no_district_key_may_be_given_another(database: Database) -> None:
    place = database("mastery")
    for key in (TEST_KEY, OTHER):
        async with running(parts_of("mastery"), place, district_key=key):
            assert [name for name, _ in kept(place)] == ["parking_key"]


async def test_a_database_of_an_older_release_takes_the_key_of_the_first_start_after_it_was_migrated(stack: Stack) -> None:
    parts = parts_of("evidence")
    with older(stack, "evidence", "0005") as place:
        with pytest.raises(LedgerError, match="cairn migrate evidence"):
            async with running(parts, place):
                pass
        await asyncio.to_thread(migrate, "evidence", place.owner_url)
        assert kept(place) == []
        async with running(parts, place, district_key=OTHER):
            assert kept(place)[0] == ("district_key", check_value(bytes.fromhex(OTHER)))
        with pytest.raises(Misconfigured, match="CAIRN_DISTRICT_KEY"):
            async with running(parts, place):
                pass


async def test_of_two_that_start_at_once_under_different_keys_one_goes_on(database: Database) -> None:
    async with running(parts_of("mastery"), database("mastery")) as service:
        keys = [{"district_key": bytes([number]) * 32} for number in range(6)]
        ended: list[Any] = await asyncio.gather(*(check_keys(service.pool, each) for each in keys), return_exceptions=True)
        assert [type(each) for each in ended].count(Misconfigured) == 5
        assert ended.count(None) == 1
