"""Fixtures for tests that need real servers, and how tests are shared out where several processes run them.

Each process has one Apache Kafka and one PostgreSQL of its own, started when first asked for.

CAIRN_TEST_HOME names a home folder that stays: its servers are started if need be, used again by the next run, and never stopped.
"""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.stack import ServiceDatabase, Stack, copy_database, create_database, down, drop_database, drop_roles, find_stack

for name in ("COLUMNS", "LINES"):  # A shell may export them, and pytest-xdist does: what commands print would be cut to that.
    os.environ.pop(name, None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # Else each of some hundred processes would compile all modules for itself.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")  # Brokers live for seconds: compiled at leisure, they never earn it.

MEMORY = Path("/dev/shm")
ROOMY = 8 * 1024**3
"""Bytes of memory from which on there is room for what tests store. Each has databases of some hundred files of its own, and what was just
deleted makes new files dear on a disk: in memory, tests that use databases take three quarters of the processor time."""


def folder_in_memory() -> str | None:
    """Return the folder in memory for what tests store, where there is one with enough room and its programs can be run; else None."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK) or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return None
    return str(MEMORY) if min(psutil.virtual_memory().available, shutil.disk_usage(MEMORY).free) >= ROOMY else None


if "TMPDIR" not in os.environ and (found := folder_in_memory()):
    os.environ["TMPDIR"], tempfile.tempdir = found, None

HOMES = Path(tempfile.gettempdir()) / f"cairn-tests-{os.getuid()}"
INSTALLATIONS = "installations"
"""The work of one process: see `work_of`."""
WITH_INSTALLATIONS = (
    "tests/demo/test_run.py", "tests/faults/test_short.py", "tests/mutants/test_judging.py", "tests/system/test_chain.py",
    "tests/system/test_cli.py", "tests/system/test_published.py", "tests/system/test_workers.py",
)  # fmt: skip
"""Files whose tests start all services, or a run of tests: two of them at once would be too much for a small machine."""
# Deletes what is due almost at once, so that a test need not wait five minutes to see what retention does.
BROKER_SETTINGS = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Installations come first: whichever process has them takes part in the rest afterwards."""
    items.sort(key=lambda item: work_of(item.nodeid) != INSTALLATIONS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests: those of a file stay together, and one process has all that start installations."""
    from xdist.scheduler import LoadScopeScheduling  # Here, so that tests run one after another without it.

    class ByWork(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return work_of(nodeid)

    config.option.loadscopereorder = False
    return ByWork(config, log)


def work_of(nodeid: str) -> str:
    """Return what a test belongs to, of which all tests run in one process."""
    file = nodeid.partition("::")[0]
    return INSTALLATIONS if file in WITH_INSTALLATIONS else file


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The servers of this test run; a test fails where they cannot be had."""
    kept = os.environ.get("CAIRN_TEST_HOME")
    if kept:
        yield find_stack(Path(kept), print, broker_settings=BROKER_SETTINGS)
        return
    clear_abandoned_homes()
    home = HOMES / str(os.getpid())
    try:
        yield find_stack(home, print, broker_settings=BROKER_SETTINGS)
    finally:
        down(home, wipe=True)


@pytest.fixture(scope="session")
def kafka_servers(stack: Stack) -> str:
    """Where the broker of this test run answers, as host:port."""
    return stack.kafka_servers


@pytest.fixture(scope="session")
def postgres_url(stack: Stack) -> str:
    """How to reach the PostgreSQL server of this test run as its administrator."""
    return stack.postgres_url


@pytest.fixture
def topic_prefix() -> str:
    """A beginning for names of topics and consumer groups that no other test has."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def migrated(stack: Stack) -> Iterator[Callable[[str], ServiceDatabase]]:
    """Give a service's database, migrated once per test run, to make copies of."""
    made: dict[str, ServiceDatabase] = {}
    suffix = f"_t{secrets.token_hex(4)}"

    def migrated(service: str) -> ServiceDatabase:
        if service not in made:
            created = create_database(stack.postgres_url, service, stack.home, suffix)
            import_module("shared.migrate").migrate(service, created.owner_url)
            made[service] = created
        return made[service]

    yield migrated
    for service in made:
        drop_database(stack.postgres_url, f"cairn_{service}{suffix}")
        drop_roles(stack.postgres_url, stack.home, [f"{service}{suffix}_owner", f"{service}{suffix}_app"])


@pytest.fixture
def database(stack: Stack, migrated: Callable[[str], ServiceDatabase]) -> Iterator[Callable[[str], ServiceDatabase]]:
    """Give a service's database, empty and migrated, that nobody else uses: `database("mastery").app_url`."""
    made: list[str] = []

    def database(service: str) -> ServiceDatabase:
        name = f"cairn_{service}_{secrets.token_hex(6)}"
        made.append(name)
        return copy_database(stack.postgres_url, migrated(service), name)

    yield database
    for name in made:
        drop_database(stack.postgres_url, name)


def clear_abandoned_homes() -> None:
    """End and remove what test runs that were killed have left: a home is named by the pid of its run."""
    for home in HOMES.glob("*"):
        if re.fullmatch(r"\d+", home.name) and not psutil.pid_exists(int(home.name)):
            down(home)
            shutil.rmtree(home, ignore_errors=True)
