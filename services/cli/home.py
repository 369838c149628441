"""What `<home>/services.json` says: where each process of the local installation is, and the settings it runs with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import psutil
import typer

from services.cli.release import release_of_code
from shared.contracts.topics import Topic
from shared.errors import Misconfigured
from shared.settings import Settings, load_settings, variable_of
from shared.stack import processes
from shared.stack.state import DamagedFile, read_file, write_file

GATEWAY: Final = "gateway"
NAMES: Final = (*(str(topic) for topic in Topic), GATEWAY)
MEMBER_OF: Final = "CAIRN_MEMBER_OF"
"""Set by us in the environment of each process, and so in that of its children: `<home>#<name>`. No process of ours is lost by it,
also where whoever started it was killed before its pid was written down."""

RELEASE: Final = "CAIRN_UP_RELEASE"
"""In each process's settings: the release that it was started as, with a hash of its code. Not CAIRN_RELEASE, which whoever starts
a service by hand takes over from here: newer code would then write events under the older release's name."""

HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory of the local installation; else CAIRN_HOME, else .cairn.")]


@dataclass(frozen=True)
class Entry:
    """One process of the installation: its port, its settings as environment, and what recognises it while it runs."""

    port: int
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    owner_url: str | None = field(default=None, repr=False)
    pid: int | None = None
    started: float | None = None
    """Seconds since 1970: a pid alone may have been given to another process meanwhile."""

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> psutil.Process | None:
        """The process, if it runs."""
        return processes.recognise(self.pid, self.started)


def home_of(option: Path | None) -> Path:
    """Return the home folder as an absolute path."""
    given = {} if option is None else {"home": option}
    return load_settings(Settings, **given).home.resolve()


def services_file(home: Path) -> Path:
    """Return where the processes are written down; it holds keys and passwords, so only its owner may read it."""
    return home / "services.json"


def log_file(home: Path, name: str) -> Path:
    """Return where a process writes its log."""
    return home / "log" / f"{name}.log"


def read_entries(home: Path) -> dict[str, Entry]:
    """Return what is written down, by name; nothing, where nothing was ever started."""
    return {name: Entry(**fields) for name, fields in read_file(services_file(home)).items()}


def readable_entries(home: Path) -> dict[str, Entry]:
    """Return what is written down; nothing, where it cannot be read: for those who end what runs, and find it by its mark, too."""
    try:
        return read_entries(home)
    except DamagedFile:
        return {}


def kept_secrets(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Return the passwords and keys that services run with, under the names that they have in `secrets.json`."""
    found: dict[str, str | None] = {}
    for name, entry in entries.items():
        if name == GATEWAY:
            continue
        addresses = {"app": entry.environment.get(variable_of("database_url")), "owner": entry.owner_url}
        found |= {f"{name}_{part}": urlsplit(address).password for part, address in addresses.items() if address}
        found[f"parking-key/{name}"] = setting(entry.environment, "parking_key")
        found["district-key"] = found.get("district-key") or setting(entry.environment, "district_key")
    return {name: secret for name, secret in found.items() if secret}


def write_entries(home: Path, entries: Mapping[str, Entry]) -> None:
    """Replace what is written down."""
    write_file(services_file(home), {name: asdict(entry) for name, entry in entries.items()})


def entry_of(home: Path, name: str) -> Entry:
    """Return what is written down about a process.

    Raises:
        Misconfigured: nothing is.
    """
    entries = read_entries(home)
    if name not in entries:
        raise Misconfigured(f"{home} knows no {name}: run `cairn up` first, or name the installation's folder with --home or CAIRN_HOME")
    return entries[name]


def services_of(home: Path) -> dict[Topic, Entry]:
    """Return what is written down about the services.

    Raises:
        Misconfigured: nothing was ever started here.
    """
    entries = read_entries(home)
    if not entries:
        raise Misconfigured(f"nothing was started in {home}: run `cairn up` first, or name the installation's folder with --home")
    return {topic: entries[topic] for topic in Topic if topic in entries}


@contextmanager
def as_it_was() -> Iterator[None]:
    """Leave this process's environment at the end as it was at the beginning."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def take_settings(home: Path, name: str) -> bool:
    """Set in this process's environment what it lacks and the installation knows; return whether the installation knows the service."""
    entry = read_entries(home).get(name)
    if entry is None:
        return False
    for variable, value in entry.environment.items():
        if not os.environ.get(variable):
            os.environ[variable] = value
    return True


def require_known(home: Path, name: str) -> None:
    """Return when the environment or the installation says where a service's database is.

    Raises:
        Misconfigured: neither does.
    """
    if not load_settings(Settings).database_url and name not in read_entries(home):
        raise Misconfigured(
            f"{home} knows no {name}: run `cairn up` first, or name the installation's folder with --home or CAIRN_HOME; where there is no "
            f"such folder, set {variable_of('database_url')} and what else the service needs"
        )


def register(home: Path, name: str) -> None:
    """Write down that this process is the service from now on, where a person started it and not `cairn up`.

    Raises:
        Misconfigured: the service runs already.
    """
    os.environ[MEMBER_OF] = member_mark(home, name)  # For the children.
    entries = read_entries(home)
    if entries[name].process is not None:
        raise Misconfigured(f"{name} runs already as process {entries[name].pid}: end it first, or run `cairn down`")
    own = psutil.Process()
    environment = entries[name].environment | {RELEASE: release_of_code(load_settings(Settings).release)}
    write_entries(home, entries | {name: replace(entries[name], environment=environment, pid=own.pid, started=own.create_time())})


def member_mark(home: Path, name: str) -> str:
    """Return what marks a process as this member of this home."""
    return f"{home}#{name}"


def members(home: Path, names: tuple[str, ...] = NAMES) -> list[psutil.Process]:
    """Return every process that runs for this home under one of these names: those written down, those marked, and children of both."""
    found = [process for name in names for process in processes.find(partial(_marked, member_mark(home, name)), log_file(home, name))]
    noted = [entry.process for name, entry in readable_entries(home).items() if name in names]
    known = {process.pid for process in found}
    return found + [process for process in noted if process is not None and process.pid not in known]


def setting(environment: Mapping[str, str], name: str) -> str | None:
    """Return a setting of an environment, or None where it is not set."""
    return environment.get(variable_of(name)) or None


def _marked(mark: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _mark(process) == mark]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MEMBER_OF) if processes.is_alive(process) else None
    except (psutil.Error, OSError):  # Another user's, or gone.
        return None
