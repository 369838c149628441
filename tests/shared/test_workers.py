"""Several processes behind one port: all answer, one that dies comes back, and all end together."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import pytest

from shared import leader
from shared.leader import Name, NameTaken, lead
from shared.stack import ServiceDatabase
from shared.testing import a_port

PATIENCE_S = 60.0


@dataclass
class Said:
    name: str
    pid: int
    others: str
    metrics: str


async def ask(port: int) -> Said | None:
    """Return what a worker says; None where none answers."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = (await reader.read()).decode().split("\t")
        writer.close()
    except OSError:
        return None
    return Said(said[0], int(said[1]), said[2], said[3]) if len(said) == 4 else None


async def seen(port: int, what: Callable[[dict[str, Said]], bool]) -> dict[str, Said]:
    """Return the last words of each worker, by name, once they are as told."""
    found: dict[str, Said] = {}
    async with asyncio.timeout(PATIENCE_S):
        while not what(found):
            await asyncio.sleep(0.02)
            said = await ask(port)
            if said is not None:
                found[said.name] = said
    return found


@asynccontextmanager
async def supervised(how: str, count: int, port: int) -> AsyncIterator[Process]:
    argv = ["-m", "tests.shared.some_workers", how, str(count), str(port)]
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=PIPE, stderr=PIPE)
    family = psutil.Process(process.pid)
    try:
        yield process
    finally:
        left = family.children(recursive=True) if process.returncode is None else []
        for each in [family, *left] if left else []:
            each.kill()
        await process.wait()


async def ended(process: Process) -> tuple[int, str, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_all_workers_answer_at_one_port_and_end_together() -> None:
    port = a_port()
    async with supervised("live", 3, port) as process:
        found = await seen(port, lambda found: len(found) == 3 and not any(each.others for each in found.values()))
        assert set(found) == {"w", "w-1", "w-2"}
        assert len({each.pid for each in found.values()}) == 3
        process.send_signal(signal.SIGTERM)
        code, out, _ = await ended(process)
        assert code == 0
        assert sorted(line for line in out.splitlines() if "ended" in line) == ["w ended well", "w-1 ended well", "w-2 ended well"]
        assert await ask(port) is None


async def test_each_worker_tells_the_metrics_of_all() -> None:
    port = a_port()
    async with supervised("live", 2, port):
        await seen(port, lambda found: len(found) == 2)
        total = 0.0
        async with asyncio.timeout(PATIENCE_S):
            while total < 20:
                before, said = total, await ask(port)
                if said is None:
                    continue
                values = dict(line.rsplit(" ", 1) for line in said.metrics.split("\\n") if line and not line.startswith("#"))
                total = float(values["cairn_relay_published_total"])
                assert total > before, "a worker told less than what all together have counted"
                assert float(values["cairn_waiting"]) == said.pid, "a gauge shows what was set last"


async def test_a_worker_that_is_killed_is_started_again_under_its_name_and_the_others_say_so() -> None:
    port = a_port()
    async with supervised("live", 2, port):
        before = await seen(port, lambda found: len(found) == 2 and not any(each.others for each in found.values()))
        os.kill(before["w-1"].pid, signal.SIGKILL)
        told = await seen(port, lambda found: "w" in found and "worker 1" in found["w"].others)
        assert "worker 1 has ended" in told["w"].others or "worker 1: it is starting" in told["w"].others
        after = await seen(port, lambda found: "w-1" in found and len(found) == 2 and not any(each.others for each in found.values()))
        assert after["w-1"].pid != before["w-1"].pid
        assert after["w"].pid == before["w"].pid


async def test_one_that_is_not_ready_is_named_by_the_others() -> None:
    port = a_port()
    async with supervised("tired", 3, port):
        found = await seen(port, lambda found: len(found) == 3 and found["w"].others == "worker 1: it is tired")
        assert found["w-1"].others == "" or "starting" in found["w-1"].others


async def test_workers_that_die_again_and_again_end_the_service() -> None:
    async with supervised("die", 2, a_port()) as process:
        code, _, err = await ended(process)
        assert code == 1
        assert "failed: 6 workers died within 60 s" in err


async def test_what_no_worker_gets_past_ends_all_of_them_with_its_words() -> None:
    async with supervised("fail", 3, a_port()) as process:
        code, out, err = await ended(process)
        assert code == 1
        assert "failed: this database was restored behind its readers" in err
        assert "w ended well" in out or "w-2 ended well" in out or out == ""


async def test_workers_end_when_their_supervisor_is_killed() -> None:
    port = a_port()
    async with supervised("live", 2, port) as process:
        found = await seen(port, lambda found: len(found) == 2)
        process.kill()
        async with asyncio.timeout(PATIENCE_S):
            while any(psutil.pid_exists(each.pid) for each in found.values()):  # noqa: ASYNC110 - they are no tasks of ours.
                await asyncio.sleep(0.05)


async def test_a_second_signal_ends_all_at_once() -> None:
    port = a_port()
    async with supervised("live", 2, port) as process:
        found = await seen(port, lambda found: len(found) == 2)
        os.kill(found["w-1"].pid, signal.SIGSTOP)  # It would finish nothing, for ever.
        process.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await process.wait()
        process.send_signal(signal.SIGTERM)
        await ended(process)
        assert not any(psutil.pid_exists(each.pid) for each in found.values())


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with supervised("live", 2, port) as process:
            code, _, err = await ended(process)
            assert code == 1
            assert f"nothing can be served at 127.0.0.1:{port}" in err


async def test_one_leads_at_a_time_also_when_connections_are_cut(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "LOCK_POLL_S", 0.05)
    monkeypatch.setattr(leader, "TAKE_OVER_S", 0.5)
    dsn, lock, changes = database("mastery").app_url, 4_711, 6
    leading: list[int] = []
    led: list[int] = []

    def work(number: int) -> "asyncio.Task[None]":
        async def begin() -> None:
            leading.append(number)
            led.append(number)
            assert len(leading) == 1, "two lead at once"

        async def end() -> None:
            leading.remove(number)

        return asyncio.create_task(lead(dsn, lock, "test", begin, end))

    tasks = [work(number) for number in range(3)]
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection, asyncio.timeout(PATIENCE_S):
            for change in range(1, changes + 1):
                while len(led) < change:
                    assert not any(task.done() for task in tasks)
                    await asyncio.sleep(0.01)
                cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted"
                await connection.execute(cut)
        assert len(led) >= changes
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert leading == []


async def test_who_leads_begins_again_after_any_error(database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RETRY_S", 0.01)
    begun: list[int] = []
    ended: list[int] = []
    again = asyncio.Event()

    async def begin() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            raise RuntimeError("a fault of ours")
        again.set()

    async def end() -> None:
        ended.append(len(begun))

    task = asyncio.create_task(lead(database("mastery").app_url, 4_712, "test", begin, end))
    async with asyncio.timeout(PATIENCE_S):
        await again.wait()
    assert (begun, ended) == ([0, 1], [1])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ended == [1, 2]


async def test_a_name_is_one_workers_at_a_time(database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "LOCK_POLL_S", 0.05)
    monkeypatch.setattr(leader, "CLAIM_S", 0.5)
    dsn = database("mastery").app_url
    first, second, other = (Name(dsn, "mastery", name) for name in ("mastery-0", "mastery-0", "mastery-1"))
    await first.claim()
    await other.claim()
    with pytest.raises(NameTaken, match=r"another worker of mastery is called mastery-0, .* CAIRN_INSTANCE_ID of its own"):
        await second.claim()
    with monkeypatch.context() as slow:
        locked = leader._locked

        async def slowly(*arguments: Any) -> bool:
            await asyncio.sleep(1)
            return await locked(*arguments)

        slow.setattr(leader, "_locked", slowly)
        waiting = asyncio.create_task(second.claim())
        await asyncio.sleep(1.5)
        await first.give_back()
        await asyncio.wait_for(waiting, PATIENCE_S)  # The database alone was slow, which takes nobody's name.
    keeping = [asyncio.create_task(name.keep()) for name in (second, other)]
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection, asyncio.timeout(PATIENCE_S):
            held = f"FROM pg_locks WHERE locktype = 'advisory' AND classid = {leader.NAME_LOCK} AND granted"
            await connection.execute(f"SELECT pg_terminate_backend(pid) {held}".encode())
            holders = 0
            while holders < 2:
                await asyncio.sleep(0.05)
                ((holders,),) = await (await connection.execute(f"SELECT count(*) {held}".encode())).fetchall()
        assert not any(task.done() for task in keeping), "a connection that was cut costs nobody its name"
        with pytest.raises(NameTaken):
            await first.claim()
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        for name in (first, second, other):
            await name.give_back()


async def test_a_search_process_ends_with_its_service_however_that_ends() -> None:
    pool = "from shared.ticker.pool import SearchPool; print(SearchPool()().submit(os.getpid).result(), flush=True)"
    program = f"import os, sys; {pool}; sys.stdin.read()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    searching = psutil.Process(int(await process.stdout.readline()))
    assert searching.is_running()
    process.kill()
    await process.wait()
    with suppress(psutil.NoSuchProcess):  # It may end between the two questions.
        async with asyncio.timeout(PATIENCE_S):
            while searching.is_running() and searching.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - it is no task of ours.
                await asyncio.sleep(0.05)
