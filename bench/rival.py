"""Programs of the environment `.venv-bench`, which holds what Cairn is measured against and nothing of Cairn's."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO, Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
ANSWER_S: Final = 300.0
LAST_WORDS: Final = 2_000
"""Characters."""


class Missing(Exception):
    """The environment of the rivals is not there."""


@dataclass(frozen=True)
class Rival:
    """A program that runs: lines in, lines out, all of them JSON or a single word."""

    process: psutil.Process
    pipe: subprocess.Popen[str]
    complaints: IO[str]
    """What it writes to standard error; shown where it ends before its time."""

    def say(self, line: str) -> None:
        """Send a line."""
        assert self.pipe.stdin is not None
        self.pipe.stdin.write(line + "\n")
        self.pipe.stdin.flush()

    def hear(self, seconds: float = ANSWER_S) -> str:
        """Return the next line.

        Raises:
            EOFError: the program has ended, or was ended because it said nothing in time.
        """
        assert self.pipe.stdout is not None
        limit = Timer(seconds, self.pipe.kill)
        limit.start()
        line = self.pipe.stdout.readline()
        limit.cancel()
        if not line:
            self.complaints.seek(0)
            raise EOFError(f"{self.pipe.args} has ended, or said nothing for {seconds:.0f} s: {self.complaints.read()[-LAST_WORDS:]}")
        return line.strip()


@contextmanager
def rival(name: str, **given: Any) -> Iterator[Rival]:
    """Run `bench/rivals/<name>.py`, and end it.

    Raises:
        Missing: its environment is not installed.
    """
    if not PYTHON.exists():
        raise Missing("what Cairn is measured against is not installed: run `make bench`, which installs it into .venv-bench")
    argv = [str(PYTHON), str(ROOT / "bench" / "rivals" / f"{name}.py"), json.dumps(given)]
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        pipe = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True)
        try:
            yield Rival(psutil.Process(pipe.pid), pipe, complaints)
        finally:
            pipe.kill()
            pipe.wait()
