"""Evidence as it runs, without Kafka: real PostgreSQL, real HTTP."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from services.evidence.app import PARTS
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.evidence.lms import align, identify


@pytest.fixture
async def service(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Any]:
    """Evidence on an empty database."""
    async with running(PARTS, database("evidence")) as service:
        yield service


@pytest.fixture
async def known(service: Any) -> None:
    """The service knows who the learner is, and what the first two items give evidence about."""
    await identify(service)
    await align(service, 1, 2)
