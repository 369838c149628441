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

from services.cli import fleet
from services.cli.home import GATEWAY, entry_of, read_entries
from services.cli.installation import stop, up
from shared.clock import clock_from
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
        Misconfigured: the folder holds an installation that is not ours.
    """
    place = Place(home)
    if read_entries(home):
        if not (place.folder / MARK).exists():
            raise Misconfigured(f"{home} holds an installation that is not a demonstration: name another folder with --home")
        stop(home, wipe=True)
    claim(home)
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / MARK).write_text(json.dumps({"learners": learners, "seed": seed}) + "\n")
    up(home, now=NOW, installation=NAME)
    return place


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
