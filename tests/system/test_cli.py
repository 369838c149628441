"""The local installation from the command line: started, repeated, killed at any moment, ended without a trace."""

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.cli.home import GATEWAY, MEMBER_OF, NAMES, read_entries
from shared.stack import down
from shared.stack.processes import is_alive

HOMES = Path(tempfile.gettempdir()) / f"cairn-tests-{os.getuid()}"
LIMIT_S = 240


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return kept | {"CAIRN_HOME": str(home), "COLUMNS": "200"}


def cairn(home: Path, *words: str, **other: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Cairn to its end."""
    argv = [sys.executable, "-m", "services.cli", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, env=environment(home) | other, check=False)


def processes_of(home: Path) -> list[psutil.Process]:
    """Return whatever runs with this home in its command line or environment: found without the command line's own means."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and is_alive(process) and any(str(home) in word for word in told):
            found.append(process)
    return found


def address(home: Path) -> str:
    return read_entries(home)[GATEWAY].address


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home folder in which nothing was started yet; in the end nothing of it is left."""
    HOMES.mkdir(exist_ok=True)
    home = HOMES / f"{os.getpid()}-{secrets.token_hex(4)}"
    try:
        yield home
    finally:
        cairn(home, "down", "--wipe")
        for process in processes_of(home):
            process.kill()
        down(home, wipe=True)


@pytest.fixture(scope="module")
def installation(home: Path) -> Path:
    """A home folder in which everything was started."""
    done = cairn(home, "up", "--now", "2026-11-24T08:00:00Z")
    assert done.returncode == 0, done.stderr
    assert f"Cairn runs at {address(home)}" in done.stdout
    return home


def kill(pid: int | None) -> None:
    """End a process at once. Pid 0 would be our own group."""
    assert pid
    os.kill(pid, 9)


@pytest.mark.slow
def test_what_runs_is_kept_and_what_died_is_started_again(installation: Path) -> None:
    before = {name: entry.pid for name, entry in read_entries(installation).items()}
    assert tuple(before) == NAMES
    kill(before["mastery"])
    shown = cairn(installation, "status")
    assert shown.returncode == 1
    assert re.search(r"^mastery +not running", shown.stdout, re.MULTILINE), shown.stdout
    assert "mastery is not running" in httpx.get(f"{address(installation)}/mastery/framework").json()["title"]
    again = cairn(installation, "up")
    assert again.returncode == 0, again.stderr
    after = {name: entry.pid for name, entry in read_entries(installation).items()}
    assert {name for name in NAMES if before[name] != after[name]} == {"mastery"}
    assert cairn(installation, "status").returncode == 0
    assert httpx.get(f"{address(installation)}/health/ready").json() == {"ready": True, "reasons": []}


@pytest.mark.slow
def test_a_service_may_have_several_workers_and_keeps_their_number(installation: Path) -> None:
    for wrong in ("pathing", "nobody=2", "pathing=0", "pathing=many"):
        told = cairn(installation, "up", "--workers", wrong)
        assert told.returncode == 1
        assert "--workers" in told.stderr or "CAIRN_WORKERS" in told.stderr
    before = read_entries(installation)
    done = cairn(installation, "up", "--workers", "pathing=2")
    assert done.returncode == 0, done.stderr
    entries = read_entries(installation)
    assert {name for name in NAMES if before[name].pid != entries[name].pid} == {"pathing"}
    supervisor = psutil.Process(entries["pathing"].pid)
    workers = [each for each in supervisor.children() if "spawn_main" in " ".join(each.cmdline())]
    assert len(workers) == 2
    ports = {line.laddr.port for each in workers for line in each.net_connections("tcp") if line.status == psutil.CONN_LISTEN}
    assert ports == {entries["pathing"].port}
    assert cairn(installation, "up").returncode == 0
    assert read_entries(installation)["pathing"].pid == supervisor.pid
    assert cairn(installation, "status").returncode == 0


@pytest.mark.slow
def test_a_service_that_died_can_be_started_by_hand(installation: Path) -> None:
    entry = read_entries(installation)["mastery"]
    assert "runs already" in cairn(installation, "serve", "mastery").stderr
    kill(entry.pid)
    by_hand = subprocess.Popen([sys.executable, "-m", "services.cli", "serve", "mastery"], env=environment(installation))
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{address(installation)}/mastery/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        assert cairn(installation, "status").returncode == 0
        assert read_entries(installation)["mastery"].pid == by_hand.pid
        assert cairn(installation, "up").returncode == 0
        assert by_hand.poll() is None
    finally:
        by_hand.terminate()
        by_hand.wait(30)


@pytest.mark.slow
def test_after_an_upgrade_all_of_the_older_release_is_replaced(installation: Path) -> None:
    before = read_entries(installation)
    done = cairn(installation, "up", CAIRN_RELEASE="99.0")
    assert done.returncode == 0, done.stderr
    assert re.search(r"that of release 99\.0\+[0-9a-f]{12} takes its place", done.stderr)
    after = read_entries(installation)
    assert {name for name in NAMES if before[name].pid != after[name].pid} == set(NAMES)
    assert [after[name].port for name in NAMES] == [before[name].port for name in NAMES]
    assert cairn(installation, "up").returncode == 0


@pytest.mark.slow
def test_only_those_who_need_it_know_the_districts_key(installation: Path) -> None:
    entries = read_entries(installation)
    key = entries["profile"].environment["CAIRN_DISTRICT_KEY"]
    assert len(key) == 64
    knows = {name for name, entry in entries.items() if entry.process and key in entry.process.environ().values()}
    assert knows == {name for name in ("profile", "evidence") if entries[name].process}
    parking = [entries[name].environment["CAIRN_PARKING_KEY"] for name in NAMES if name != GATEWAY]
    assert len(set(parking)) == len(parking)
    owners = {entry.owner_url for entry in entries.values() if entry.owner_url}
    assert len(owners) == len(parking)
    assert not [name for name, entry in entries.items() if entry.process and owners & set(entry.process.environ().values())]
    files = {path.name: path.stat().st_mode & 0o077 for path in installation.glob("*.json")}
    assert files == dict.fromkeys(("clock.json", "secrets.json", "services.json", "stack.json"), 0)


@pytest.mark.slow
def test_an_installation_cannot_become_another(installation: Path) -> None:
    for told in (cairn(installation, "up", "--installation", "elsewhere"), cairn(installation, "up", CAIRN_PARTITIONS="4")):
        assert told.returncode == 1
        assert "and that is for ever" in told.stderr
    told = cairn(installation, "up", "--now", "2027-01-01T00:00:00Z")
    assert (told.returncode, "never goes back" in told.stderr) == (1, True)


@pytest.mark.slow
def test_a_file_that_is_no_roster_is_refused_with_its_place(installation: Path, tmp_path: Path) -> None:
    file = tmp_path / "roster.zip"
    file.write_bytes(b"PK nonsense")
    told = cairn(installation, "roster", "import", str(file))
    assert told.returncode == 1
    assert "roster.zip was refused, and nothing of it was stored" in told.stderr
    assert "Traceback" not in told.stderr
    file = tmp_path / "alignments.json"
    file.write_text(json.dumps([{"item": 7}]))
    told = cairn(installation, "alignments", "import", str(file))
    assert told.returncode == 1
    assert "alignments.json" in told.stderr


@pytest.mark.slow
def test_alignments_are_taken_from_csv(installation: Path, tmp_path: Path) -> None:
    file = tmp_path / "alignments.csv"
    file.write_text("item,competency\nhttps://lms.example/items/1,11111111-1111-4111-8111-111111111111\n")
    told = cairn(installation, "alignments", "import", str(file))
    assert (told.returncode, told.stdout.splitlines()) == (0, ["items: 1", "changed: 1"]), told.stderr
    assert "changed: 0" in cairn(installation, "alignments", "import", str(file)).stdout
    status = cairn(installation, "ledger", "status", "--partitions")
    assert status.returncode == 0, status.stderr
    assert re.search(r"^evidence +1 +0 +0 +profile \d+", status.stdout, re.MULTILINE), status.stdout


@pytest.mark.slow
def test_a_migration_may_be_repeated(installation: Path) -> None:
    assert cairn(installation, "migrate", "all").returncode == 0
    told = cairn(installation, "migrate", "nobody")
    assert (told.returncode, "there is no service nobody" in told.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting Apache Kafka", "bringing the database of evidence", "starting mastery"])
def test_nothing_is_left_when_the_start_is_killed_half_way(installation: Path, moment: str) -> None:
    assert cairn(installation, "down").returncode == 0
    assert processes_of(installation) == []
    argv = [sys.executable, "-m", "services.cli", "up"]
    starting = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment(installation))
    for line in starting.stderr or ():
        if moment in line:
            break
    starting.kill()
    starting.wait()
    assert processes_of(installation), "nothing had been started"
    told = cairn(installation, "down")
    assert told.returncode == 0, told.stderr
    assert processes_of(installation) == []
    assert "Nothing was running" in cairn(installation, "down").stdout


@pytest.mark.slow
def test_a_process_that_was_never_written_down_is_found(installation: Path) -> None:
    assert cairn(installation, "up", "--only", "profile").returncode == 0
    file = installation / "services.json"
    entries: dict[str, Any] = json.loads(file.read_text())
    lost = entries["profile"]["pid"]
    entries["profile"] |= {"pid": None, "started": None}
    file.write_text(json.dumps(entries))
    assert psutil.Process(lost).environ()[MEMBER_OF].endswith("#profile")
    assert cairn(installation, "up", "--only", "profile").returncode == 0
    assert not psutil.pid_exists(lost)
    assert {name for name, entry in read_entries(installation).items() if entry.process} == {"profile", GATEWAY}
    assert cairn(installation, "down", "--wipe").returncode == 0
    assert processes_of(installation) == []
    assert not installation.exists()
