"""Mastery as `cairn serve mastery --workers N` runs it, and when its workers have their partitions."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import psutil
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

READY_S: Final = 120.0
SESSION_MS: Final = 6_000
POLL_S: Final = 0.05


async def shares(admin: AIOKafkaAdminClient, group: str) -> dict[str, list[tuple[str, int]]] | None:
    """Return which topic partitions each member of a group has; None while it is being settled."""
    try:
        (described,) = await admin.describe_consumer_groups([group])
    except KafkaError:  # The broker's coordinator may be starting.
        return None
    _, _, state, _, _, members = described.groups[0][:6]
    return {member[0]: _given(member[-1]) for member in members} if state == "Stable" else None


def _given(assignment: bytes) -> list[tuple[str, int]]:
    if not assignment:
        return []
    told = ConsumerProtocolMemberAssignment.decode(assignment)
    return [(topic, number) for topic, numbers in told.assignment for number in numbers]


@contextmanager
def mastery(given: Mapping[str, str], workers: int) -> Iterator[psutil.Process]:
    """Run mastery as anywhere, with these settings and so many workers, and end it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    argv = [sys.executable, "-m", "services.cli", "serve", "mastery", "--workers", str(workers)]
    running = subprocess.Popen(argv, env=kept | dict(given) | {"CAIRN_SESSION_TIMEOUT_MS": str(SESSION_MS)})
    try:
        yield psutil.Process(running.pid)
        running.terminate()
        running.wait(READY_S)
    finally:
        if running.poll() is None:
            for each in [*psutil.Process(running.pid).children(recursive=True), psutil.Process(running.pid)]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        running.wait()


async def settled(servers: str, group: str, workers: int) -> None:
    """Return when so many members of a group have partitions.

    Raises:
        TimeoutError: they have not, in time.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        async with asyncio.timeout(READY_S):
            found: dict[str, list[tuple[str, int]]] | None = None
            while found is None or len(found) != workers or not all(found.values()):
                await asyncio.sleep(POLL_S)
                found = await shares(admin, group)
    finally:
        await admin.close()
