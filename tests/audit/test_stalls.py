"""I9: a service, or a partition of one, that stands still with work before it must turn health red."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from uuid import UUID

import httpx
import pytest

from services.cli.audit import check, settling
from services.cli.audit.settling import Look, Stalls, look_at
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
    heard = {("evidence", 0): second - 1, ("evidence", 1): -1}
    return Look({"evidence": {0: second + busy, 1: 5}, "mastery": {}}, {"mastery": heard}, {}, {})


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


TODAY, TOMORROW = (UUID(int=77), date(2026, 10, 13)), (UUID(int=77), date(2026, 10, 14))


def relayed(second: int) -> Look:
    """Scheduling publishes an event a second of one partition, and none of the other one, which is as far as can be."""
    return Look({"scheduling": {0: second + 9, 1: 5}}, {"scheduling": {}}, {"scheduling": {0: second, 1: 5}}, {})


def not_relayed(second: int) -> Look:
    """The same, but for three events of the other partition."""
    return replace(relayed(second), lengths={"scheduling": {0: second + 9, 1: 8}})


def planned(second: int) -> Look:
    """There is always something new for today, and it is planned."""
    return Look({"scheduling": {}}, {"scheduling": {}}, {}, {TODAY: second})


def not_planned(second: int) -> Look:
    """Tomorrow is left as it is."""
    return replace(planned(second), dirty={TODAY: second, TOMORROW: 4})


@pytest.mark.parametrize(("looks", "words"), [
    (relayed, ""), (planned, ""),
    (not_relayed, "3 events of partition 1 are not on Kafka"), (not_planned, "2026-10-14 of school"),
])  # fmt: skip
async def test_what_a_service_leaves_undone_though_nobody_lags_must_turn_its_health_red(looks: Callable[[int], Look], words: str) -> None:
    async def well(service: str) -> bool:
        return service == "scheduling"  # Whom it hears is not asked: they have no part in it.

    stalls = Stalls(["scheduling", "pathing", "profile"], PATIENCE_S, well)
    for second in range(int(PATIENCE_S)):
        await stalls.see(looks(second), float(second))
    assert not stalls.silent
    waits = await stalls.see(looks(40), 40.0)
    assert waits is not bool(words), "a stall that was seen is waited for no more"
    assert [line.startswith(f"scheduling is ready, {words}") for line in stalls.silent] == [True] * bool(words)
    assert all(line.endswith("did not move for 40 s") for line in stalls.silent)


@pytest.mark.parametrize("looks", [not_relayed, not_planned])
async def test_who_says_that_it_leaves_something_is_not_silent_and_neither_is_who_is_idle(looks: Callable[[int], Look]) -> None:
    async def sick(service: str) -> bool:
        return False

    async def well(service: str) -> bool:
        return True

    idle = Look({"scheduling": {1: 5}}, {"scheduling": {}}, {"scheduling": {1: 5}}, {})
    for answer, look in ((sick, looks), (well, lambda second: idle)):
        stalls = Stalls(["scheduling"], PATIENCE_S, answer)
        for second in range(2 * int(PATIENCE_S)):
            await stalls.see(look(second), float(second))
        assert not stalls.silent


async def test_a_look_sees_what_is_not_published_and_what_is_not_planned(district: District) -> None:
    installation = replace(district.installation, kafka_servers="127.0.0.1:9")
    assert (found := await look_at(installation)) is not None
    assert found.dirty == {}
    assert sum(found.unpublished("scheduling").values()) == sum(found.lengths["scheduling"].values()) > 0, "no relay ran here"
    with district.copied("scheduling") as copy:
        with copy.as_owner("scheduling") as owner:
            owner.execute("UPDATE day_plan SET version = 0")
            owner.execute("UPDATE published SET position = length FROM partition WHERE id = partition")
        assert (found := await look_at(replace(copy.installation, kafka_servers="127.0.0.1:9"))) is not None
    assert {on: version for (_, on), version in found.dirty.items()} == {TODAY[1]: 0, TOMORROW[1]: 0}, "both are open"
    assert not found.unpublished("scheduling")
