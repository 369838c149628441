"""Mastery as it runs, without Kafka: real PostgreSQL, real HTTP."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from services.mastery.app import PARTS
from shared.stack import ServiceDatabase
from shared.testing import running


@pytest.fixture
async def service(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Any]:
    """Mastery on an empty database."""
    async with running(PARTS, database("mastery")) as service:
        yield service
