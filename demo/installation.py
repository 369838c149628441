"""The installation that the demonstration runs on: its own, started at a fixed Tuesday, and made anew each time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from demo.words import listed
from services.cli import fleet
from services.cli.home import GATEWAY, Entry, entry_of, read_entries, setting
from services.cli.installation import stop, up
from shared.clock import CLOCK_FILE, clock_from
from shared.contracts.topics import Topic
from shared.errors import Misconfigured
from shared.stack import Stack
from shared.stack.processes import await_end
from shared.stack.state import claim

NOW: Final = "2026-10-13T07:30:00Z"
"""Tuesday morning, before the first lesson."""
NAME: Final = "aldermoor"
FOLDER: Final = "demo"
MARK: Final = "made-by-cairn-demo.json"
STORED: Final = ("secrets.json", "postgres")
"""What is in every folder in which an installation has stored something."""


@dataclass(frozen=True)
class Place:
    """Where the demonstration runs."""

    home: Path

    @property
    def folder(self) -> Path:
        """Where it leaves what it made."""
        return self.home / FOLDER

    @property
    def address(self) -> str:
        """The one address of all services."""
        return entry_of(self.home, GATEWAY).address

    @property
    def records(self) -> Mapping[str, str]:
        """Each service's database, as its app role."""
        return {service: entry_of(self.home, service).environment["CAIRN_DATABASE_URL"] for service in Topic}

    @property
    def administrator(self) -> str:
        """PostgreSQL as its administrator; only to make and drop the copy that is tampered with."""
        stack = Stack.running(self.home)
        if stack is None:
            raise Misconfigured("PostgreSQL and Kafka do not run any more: run `cairn demo` again")
        return stack.postgres_url

    def now(self) -> datetime:
        """Return the time of the installation."""
        return clock_from(None, self.home).now()


def begin(home: Path, learners: int, seed: int) -> Place:
    """Return a fresh installation that runs. One that an earlier demonstration made is wiped; any other is left alone.

    Raises:
        Misconfigured: the folder holds an installation that is not ours, or what may be left of one.
    """
    place = Place(home)
    _make_room(place)
    claim(home)
    try:
        up(home, now=NOW, installation=NAME)
    finally:
        if _is_named_so(read_entries(home)):  # Also what does not get ready is ours. What failed earlier leaves nothing that says so.
            place.folder.mkdir(exist_ok=True)
            (place.folder / MARK).write_text(json.dumps({"learners": learners, "seed": seed}) + "\n")
    return place


def _make_room(place: Place) -> None:
    """Wipe what an earlier demonstration made, which is marked and named so: a marked folder may have been put to other use.

    Raises:
        Misconfigured: the folder holds an installation that is not ours, or what may be left of one.
    """
    home, entries = place.home, read_entries(place.home)
    if entries:
        if not (place.folder / MARK).exists() or not _is_named_so(entries):
            raise Misconfigured(
                f"{home} holds an installation that is not a demonstration, or one that was killed while it started: name another folder "
                f"with --home, or remove it, if nobody wants it, with `cairn down --wipe --home {home}`"
            )
        stop(home, wipe=True)
        return
    left = [name for name in STORED if (home / name).exists()]
    if left:
        raise Misconfigured(
            f"{home} holds {listed(left)}, and no services.json that says whose that is: name another folder with --home, or remove what "
            f"is there, if nobody wants it, with `cairn down --wipe --home {home}`"
        )
    (home / CLOCK_FILE).unlink(missing_ok=True)  # Of a start that came to nothing: the time has gone on since.


def _is_named_so(entries: Mapping[str, Entry]) -> bool:
    """Say whether these processes are those of an installation with the demonstration's name."""
    return NAME in {setting(entry.environment, "installation") for entry in entries.values()}


def kill(place: Place, service: Topic) -> int:
    """End a service with SIGKILL, which no process can answer, and return its process id."""
    process = entry_of(place.home, service).process
    if process is None:
        raise Misconfigured(f"{service} does not run")
    os.kill(process.pid, signal.SIGKILL)
    await_end([process])
    return process.pid


def restart(place: Place, service: Topic) -> None:
    """Start a service that died, as `cairn up` would, and return when it is ready."""
    entries = {service.value: entry_of(place.home, service)}
    fleet.start(place.home, entries, lambda _: None)
    fleet.await_ready(place.home, entries, lambda _: None)
