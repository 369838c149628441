"""The district that the oracle's tests look at, built once; whoever tampers with it takes copies."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared.stack import ServiceDatabase, Stack, drop_database
from tests.audit.district import District, all_databases, build


@pytest.fixture(scope="session")
async def district(
    stack: Stack, migrated: Callable[[str], ServiceDatabase], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[District]:
    databases = all_databases(stack, migrated)
    acks: Path = tmp_path_factory.mktemp("acks") / "acks.jsonl"
    yield await build(stack, databases, acks)
    for database in databases.values():
        drop_database(stack.postgres_url, database.app_url.rpartition("/")[2])
