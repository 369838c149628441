"""Runs checks on a copy of the tree and judges how they ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.mutants.planted import ASSERTS, TIMEOUT
from tests.mutants.witness import MODULES, REPORT

WRONG_REASONS = frozenset({"ImportError", "SyntaxError", "NameError"})
"""Errors of code that was broken rather than changed: they show no check at work."""
TEST_S = 300
"""Seconds that one test may take."""
START_S = 120
"""Seconds until the tests of a patch's own check begin, at most: the first ones wait for the servers."""
ALL_S = 1_800
"""Seconds that all checks together may take."""
LAST_LINES = 15

Judged = Literal["caught", "survived", "error"]


@dataclass(frozen=True)
class Verdict:
    """How a patch fared, and by what."""

    judged: Judged
    words: str = ""


@dataclass
class Run:
    """What the witness noted of one run of pytest."""

    notes: list[dict[str, Any]]
    output: str
    killed: bool = False

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [note for note in self.notes if note["kind"] == kind]

    def fault(self, any_error: bool = False) -> str:
        """Return why this run proves nothing; empty where it does. See `judge` for `any_error`."""
        broken = [*self.of("broken"), *self.of("uncollected")]
        if broken:
            return f"it breaks the import: {broken[0]['words']}"
        end = self.of("end")
        if end and end[0]["elsewhere"]:
            return f"other code ran than the copy's: {end[0]['elsewhere'][0]}"
        if not self.of("test") or (not end and not self.killed):
            return f"its check did not run: {' '.join(self.output.splitlines()[-LAST_LINES:])}"
        unfit = [note for note in self.of("test") if note["outcome"] == "skipped"]
        if not any_error:
            unfit += [note for note in self.of("test") if note["outcome"] == "failed" and note["when"] != "call"]
        return f"{unfit[0]['id']} {unfit[0]['outcome']} in its {unfit[0]['when']}: {unfit[0]['words']}" if unfit else ""

    def failed(self) -> list[dict[str, Any]]:
        """Return the tests that failed."""
        return [note for note in self.of("test") if note["outcome"] == "failed"]


def judge(run: Run, fails_by: str = "", any_error: bool = False) -> Verdict:
    """Return whether a check that ran on a patch caught it, for the right reason.

    Args:
        fails_by: see `Planted.fails_by`.
        any_error: take every error but a wrong reason for a finding, also while a check prepares; for patches that name no check.
    """
    fault, failed = run.fault(any_error), run.failed()
    if fault:
        return Verdict("error", fault)
    if run.killed and not failed:
        return Verdict("caught" if fails_by == TIMEOUT else "error", "it had not ended in time")
    for note in failed:
        by = set(note["by"])
        if by & WRONG_REASONS or not (by & (ASSERTS | {fails_by}) or (any_error and TIMEOUT not in by)):
            return Verdict("error", f"{note['id']} fails by {note['by'][0]}, not by a finding: {note['words']}")
    return Verdict("caught", failed[0]["id"]) if failed else Verdict("survived")


def run_checks(folder: Path, home: Path, checks: Sequence[str], patched: Sequence[str] = (), first_only: bool = False) -> Run:
    """Run tests in a folder, as a process of its own.

    Args:
        home: of the servers, which every run uses again.
        patched: names of the modules that were changed.
        first_only: stop at the first test that fails.
    """
    report = folder / "witness.jsonl"
    report.unlink(missing_ok=True)
    argv = [
        sys.executable, "-m", "pytest", "-p", "tests.mutants.witness", "-p", "no:cacheprovider", f"--timeout={TEST_S}",
        "--hypothesis-seed=0", "--tb=line", *(["-x"] if first_only else []), *checks,
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(folder), "CAIRN_TEST_HOME": str(home), REPORT: str(report), MODULES: ",".join(patched),
    }  # fmt: skip
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        killed = False
        try:
            process.wait(TEST_S + START_S if len(checks) == 1 else ALL_S)
        except subprocess.TimeoutExpired:
            killed = True
        finally:
            _end(process)
        output.seek(0)
        notes = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
        return Run(notes, output.read(), killed)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run and what it started; the servers are in sessions of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
