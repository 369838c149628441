"""`python -m tests.native PYTHON`: what compiled code writes is what interpreted code writes, and each replays the other's ledgers.

PYTHON is that of the native build; this one is interpreted. Both write histories of mastery and, on a PostgreSQL that is started for it,
ledgers of evidence and mastery, from the same commands at the same time: all bytes must be equal.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.profile import await_answer
from shared.migrate import migrate
from shared.stack import create_database, postgres, processes
from shared.stack.state import claim

FORMS: Final = ("interpreted", "native")
SERVICES: Final = ("evidence", "mastery")
LIMIT_S: Final = 300.0
LEAST: Final = 1_000
"""Decisions of mastery that must have been replayed."""


def told(python: Sequence[str], *words: str) -> dict[str, Any]:
    """Return what one form says of what it was asked to do."""
    done = subprocess.run([*python, "-m", "tests.native.form", *words], stdout=subprocess.PIPE, check=True, timeout=LIMIT_S)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def faults(address: str, home: Path, pythons: Mapping[str, Sequence[str]]) -> list[str]:
    """Let both forms write, and each replay what both have written; return what differs."""
    urls, wrote = {}, {}
    for form, python in pythons.items():
        made = {service: create_database(address, service, home, f"_{form}") for service in SERVICES}
        for service, database in made.items():
            migrate(service, database.owner_url)
        urls[form] = [made[service].app_url for service in SERVICES]
        wrote[form] = told(python, "write", *urls[form])
    found = [f"{form} runs {said['form']} code" for form, said in wrote.items() if said["form"] != form]
    for what in ("histories", "evidence", "mastery"):
        if len({said[what] for said in wrote.values()}) > 1:
            found.append(f"{what}: their bytes differ")
    for reader, python in pythons.items():
        for writer in FORMS:
            replayed = told(python, "verify", *urls[writer])
            print(f"{reader} code replays what {writer} code wrote: {replayed['decisions']} decisions, {replayed['differences']} differ")
            if replayed["differences"] or replayed["decisions"] < LEAST:
                found.append(f"{reader} code replays {replayed} of what {writer} code wrote")
    return found


def main() -> int:
    """Compare the two forms, print what differs, and return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Where `make check` beside it fails: PostgreSQL is stopped all the same.
    folder = Path(tempfile.mkdtemp(prefix="cairn-forms-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root.
    claim(folder / "home")
    part = postgres.start_postgres(folder / "home", lambda step: None)
    assert part.pid is not None
    try:
        await_answer(part.address)
        found = faults(part.address, folder / "home", dict(zip(FORMS, ([sys.executable], [sys.argv[1], "-P"]), strict=True)))
    finally:
        running = processes.recognise(part.pid, part.started)
        if running is not None:
            processes.ask_to_stop([running], 2)
            processes.await_end([running])
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(found) or "native and interpreted code write the same bytes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
