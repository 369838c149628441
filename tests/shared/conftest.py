"""Two small services on real Kafka and PostgreSQL: see wire.py."""

from collections.abc import AsyncIterator, Callable

import pytest

from shared.ledger.ledger import Ledger
from shared.relay import ensure_topics
from shared.stack import ServiceDatabase
from tests.shared.wire import PARTITIONS, Wire


@pytest.fixture
async def wire(kafka_servers: str, topic_prefix: str, database: Callable[[str], ServiceDatabase]) -> Wire:
    """The addresses of both, and the topic of the one that tells."""
    made = Wire(kafka_servers, topic_prefix, database("evidence").app_url, database("profile").app_url)
    await ensure_topics(kafka_servers, topic_prefix, ["evidence"], PARTITIONS)
    return made


@pytest.fixture
async def source(wire: Wire) -> AsyncIterator[Ledger]:
    """The ledger of the one that tells."""
    async with wire.source() as ledger:
        yield ledger


@pytest.fixture
async def hearer(wire: Wire) -> AsyncIterator[Ledger]:
    """The ledger of the one that hears."""
    async with wire.hearer() as ledger:
        yield ledger
