"""What `make bench` is made of: parts that can be named, rivals that live apart, memory that is counted once."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from bench import rival as rivals
from bench.__main__ import PARTS, main
from bench.memory import MIB, held
from bench.rival import Missing, rival
from bench.serving import _given

ROOT = Path(__file__).resolve().parents[2]


WAITS = "import sys, time; from bench.room import room\nwith room(*sys.argv[1:]) as folder: print(folder, flush=True); time.sleep(60)"


@pytest.mark.parametrize("kept", ["", "home"])
def test_what_a_bench_made_is_gone_also_where_it_is_asked_to_stop_but_for_what_is_to_be_kept(kept: str) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS, *([kept] if kept else [])], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.is_dir()
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        said = process.stdout.read()
    assert folder.exists() == bool(kept)
    assert (f"--home {folder}/home" in said) == bool(kept)
    if kept:
        folder.rmdir()


def test_every_part_is_named_in_the_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in PARTS)


def test_a_district_is_brought_in_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    parts = {name: replace(part, run=lambda home, quick, bars, name=name: ran.append(name)) for name, part in PARTS.items()}
    monkeypatch.setattr("bench.__main__.PARTS", parts)
    for asked in ([], ["--only", "district"]):
        monkeypatch.setattr(sys, "argv", ["bench", *asked])
        assert main() == 0
    assert ran == [*(name for name in PARTS if name != "district"), "district"]


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "horses"])
    ours = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "horses" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is ours, "only the program itself, not its main(), takes the signal"


def test_rivals_are_no_dependency_of_the_product() -> None:
    pinned = set(re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "bench" / "constraints.txt").read_text(), re.MULTILINE))
    assert {"eventsourcing", "quixstreams"} <= pinned
    product = (ROOT / "constraints.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    assert not re.search(r"eventsourcing|quixstreams|confluent", product)
    for path in (ROOT / "bench" / "rivals").glob("*.py"):
        assert not re.search(r"^(from|import) (shared|services|bench|demo)\b", path.read_text(), re.MULTILINE), f"{path} imports ours"


def test_a_missing_environment_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "PYTHON", ROOT / "nowhere" / "python")
    with pytest.raises(Missing, match="make bench"), rival("quix"):
        pass


def test_a_rival_is_heard_line_by_line_and_its_silence_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bench" / "rivals").mkdir(parents=True)
    program = (
        "import sys, time\nprint('ready\\n1', flush=True)\nprint(sys.stdin.readline().strip() + sys.argv[1], flush=True)\ntime.sleep(60)\n"
    )
    (tmp_path / "bench" / "rivals" / "echo.py").write_text(program)
    monkeypatch.setattr(rivals, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(rivals, "ROOT", tmp_path)
    with rival("echo", a=1) as other:
        assert [other.hear(), other.hear()] == ["ready", "1"]
        other.say("go")
        assert other.hear() == 'go{"a": 1}'
        with pytest.raises(EOFError, match="said nothing for 0 s"):
            other.hear(0.2)
    assert not psutil.pid_exists(other.process.pid)


def test_memory_counts_children_and_shared_pages_once() -> None:
    alone = held(psutil.Process())
    child = subprocess.Popen([sys.executable, "-c", f"x = bytearray({64 * MIB}); print('ready', flush=True); input()"], stdin=-1, stdout=-1)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert held(psutil.Process(os.getpid())) > alone + 60
    finally:
        child.kill()
        child.wait()


def test_what_a_member_was_given_is_read_from_its_assignment() -> None:
    told = ConsumerProtocolMemberAssignment(0, [("a", [0, 2]), ("b", [1])], b"").encode()
    assert _given(told) == [("a", 0), ("a", 2), ("b", 1)]
    assert _given(b"") == []
