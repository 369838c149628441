"""What the local stack keeps in its home folder: what runs (`stack.json`), passwords (`secrets.json`), locks."""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shared.errors import CairnError

Progress = Callable[[str], None]

HOME_MARK = "cairn.home"
LOCK_WAIT_S = 300.0
LOCK_POLL_S = 0.1
FIRST_PORT, LAST_PORT = 20_000, 31_999  # Below the range from which systems draw the ports of outgoing connections.
PORT_TRIES = 200
PASSWORD_BYTES = 24
REMEDIES = {
    "stack.json": "remove it: the next `cairn up` finds what runs and notes it anew",
    "secrets.json": "put it back from a backup; where there is none, move it away: `cairn up` takes the keys and the services' passwords "
    "from services.json, which holds the same",
    "services.json": "put it back from a backup; where there is none, move it away and run `cairn up` with what it had of "
    "--installation, --workers, --port, CAIRN_PARTITIONS and CAIRN_TOPIC_PREFIX: the keys are in secrets.json",
}
"""What to do about a file that cannot be read. None of them is worth what is stored."""


class StackError(CairnError):
    """The local stack cannot be started; the message says what is missing and how to get it."""


class DamagedFile(StackError):
    """A file of the home folder is not what was written; the message says how to come by it again."""


@dataclass(frozen=True)
class Part:
    """One server of the stack: where it answers, and what to end when it is no longer needed.

    `pid` and `started` (seconds since 1970) name a process of ours, `container` a Docker container;
    a server named by the environment has neither.
    """

    address: str = field(repr=False)
    how: str
    pid: int | None = None
    started: float | None = None
    container: str | None = None


def claim(home: Path) -> None:
    """Make the home folder, or recognise it as ours, so that wiping it can never remove anything else.

    Raises:
        StackError: the folder holds something that is not Cairn's.
    """
    home.mkdir(parents=True, exist_ok=True)
    if is_claimed(home):
        return
    if any(home.iterdir()) and home.name != ".cairn":
        raise StackError(f"{home} is not empty and was not made by Cairn: point CAIRN_HOME at a folder of its own")
    (home / HOME_MARK).write_text("Cairn keeps its local state here; `cairn down --wipe` removes the whole folder.\n")


def is_claimed(home: Path) -> bool:
    """Say whether this folder is one that `claim` made ours."""
    return (home / HOME_MARK).exists()


def remove_home(home: Path) -> None:
    """Remove the home folder with everything in it.

    Raises:
        StackError: it is not ours.
    """
    if not is_claimed(home):
        raise StackError(f"{home} was not made by Cairn: remove it yourself, if that is what you want")
    shutil.rmtree(home)


def read_parts(home: Path) -> dict[str, Part]:
    """Return what `stack.json` says, by name; nothing, where there is none.

    Raises:
        DamagedFile: it cannot be read.
    """
    return {name: Part(**fields) for name, fields in read_file(home / "stack.json").items()}


def write_parts(home: Path, parts: dict[str, Part]) -> None:
    """Replace `stack.json`; it names the administrator's password, so only its owner may read it."""
    write_file(home / "stack.json", {name: asdict(part) for name, part in parts.items()})


def password(home: Path, role: str, size: int = PASSWORD_BYTES) -> str:
    """Return the role's password, or another secret of `size` bytes, as hex: drawn once, then kept in `secrets.json`."""
    with locked(home, "secrets"):
        known = read_file(home / "secrets.json")
        if role not in known:
            known[role] = secrets.token_hex(size)
            write_file(home / "secrets.json", known)
        return str(known[role])


def knows_password(home: Path, role: str) -> bool:
    """Say whether this home has drawn the role's password."""
    return role in read_file(home / "secrets.json")


def restore_passwords(home: Path, kept: Mapping[str, str]) -> list[str]:
    """Take passwords and keys that `secrets.json` lacks from where else they are kept; return the names of those."""
    with locked(home, "secrets"):
        known = read_file(home / "secrets.json")
        lacking = [role for role in kept if role not in known]
        if lacking:
            write_file(home / "secrets.json", dict(kept) | known)
    return lacking


def forget_passwords(home: Path, roles: list[str]) -> None:
    """Drop the passwords of roles that no longer exist."""
    with locked(home, "secrets"):
        known = read_file(home / "secrets.json")
        write_file(home / "secrets.json", {role: value for role, value in known.items() if role not in roles})


@contextmanager
def locked(home: Path, name: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold the named lock of this home; the system frees it when its holder dies, however it dies.

    Raises:
        StackError: another process has held it for more than LOCK_WAIT_S.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    told = False
    with (home / f"{name}.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StackError(f"another process holds {file.name} for more than {LOCK_WAIT_S:.0f} s: end it and try again") from None
                if progress and not told:
                    progress(f"another process is at work in {home}: waiting for it")
                    told = True
                time.sleep(LOCK_POLL_S)
        yield


def free_port(home: Path, name: str) -> int:
    """Return a free port of 127.0.0.1: the same for the same home and name, unless something else has taken it.

    Raises:
        StackError: none of PORT_TRIES ports is free.
    """
    span = LAST_PORT - FIRST_PORT + 1
    first = int.from_bytes(hashlib.sha256(f"{home.resolve()}\n{name}".encode()).digest()[:4], "big")
    for step in range(PORT_TRIES):
        port = FIRST_PORT + (first + step) % span
        if port_is_free(port):
            return port
    raise StackError(f"no free port for {name} among {PORT_TRIES} tried between {FIRST_PORT} and {LAST_PORT}: end what listens there")


def port_is_free(port: int) -> bool:
    """Say whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def read_file(path: Path) -> dict[str, Any]:
    """Return a JSON file of the home folder; nothing, where there is none.

    Raises:
        DamagedFile: it is no JSON object.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DamagedFile(_damaged(path, f"is not JSON ({error})")) from error
    if not isinstance(found, dict):
        raise DamagedFile(_damaged(path, "is no JSON object"))
    return found


def _damaged(path: Path, what: str) -> str:
    return f"{path} {what}: {REMEDIES.get(path.name, 'put it back from a backup')}. Nothing that is stored is lost by it: wipe nothing"


def write_file(path: Path, content: object) -> None:
    """Replace the file in one step, readable by its owner only: also where the power fails, it is the old one or the new one."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
