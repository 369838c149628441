"""I9: a service, or a partition of one, that stands still with work before it must turn health red."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from services.cli.audit import check, settling
from services.cli.audit.settling import Look, Stalls
from shared.consume.health import AHEAD
from tests.audit.district import District
from tests.audit.test_planted import AT_ONCE, new_level, said

PATIENCE_S = 40.0


@asynccontextmanager
async def answering(status: str) -> AsyncIterator[str]:
    """A service that says of its health what it is told to say."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(("status", "silent"), [("200 OK", True), ("503 Service Unavailable", False)])
async def test_a_stall_must_turn_health_red(status: str, silent: bool, district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "TOLD_S", 0.5)
    options = replace(AT_ONCE, stalled_after_s=0.5)
    with district.copied("mastery") as copy:
        with copy.as_owner("mastery") as owner:
            new_level({"mastery": owner})
        async with answering(status) as address:
            installation = replace(copy.installation, addresses=dict.fromkeys(copy.databases, address))
            findings = await check(installation, only=["I5", "I9"], options=options)
    assert "I5" in findings.violated
    assert ("I9" in findings.violated) is silent
    if silent:
        assert "pathing is ready, 1 events behind" in said(findings, "I9")


def look(second: int, busy: int) -> Look:
    """Mastery hears two partitions: of the first it applies an event a second and lacks `busy`, of the other it has applied none."""
    return Look({"evidence": {0: second + busy, 1: 5}}, {"mastery": {("evidence", 0): second - 1, ("evidence", 1): -1}}, 0, 0)


@pytest.mark.parametrize(("status", "silent"), [("200 OK", True), ("503 Service Unavailable", False)])
@pytest.mark.parametrize(("busy", "waits_for_its_turn"), [(10, False), (AHEAD + 1, True)])
async def test_one_partition_that_stands_still_must_turn_health_red(status: str, silent: bool, busy: int, waits_for_its_turn: bool) -> None:
    async with answering(status) as address, httpx.AsyncClient() as client:

        async def well(service: str) -> bool:
            return (await client.get(f"{address}/health/ready")).is_success

        stalls = Stalls(["mastery"], PATIENCE_S, well)
        for second in range(int(PATIENCE_S) + 1):
            await stalls.see(look(second, busy), float(second))
            assert not stalls.silent or second == PATIENCE_S
    where = "mastery is ready, 5 events behind in partition 1 of evidence, and did not move for 40 s"
    assert stalls.silent == ([where] if silent and not waits_for_its_turn else [])


@pytest.mark.parametrize(("red_at", "silent"), [((), True), ((20,), False), ((0, 1), True)])
async def test_who_was_not_ready_is_given_as_much_time_again_and_no_more(red_at: tuple[int, ...], silent: bool) -> None:
    second = 0

    async def well(service: str) -> bool:
        return second not in red_at

    stalls = Stalls(["mastery"], PATIENCE_S, well)
    for second in range(int(PATIENCE_S) + 3):
        await stalls.see(look(second, 10), float(second))
    assert bool(stalls.silent) is silent
