"""Rules of the house that no type checker knows: pure files rest on pure files, limits have names, endless loops are known to end."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from shared.contracts.topics import Topic
from shared.revision import newest_revision
from tests.house.test_rooms import IMPURE, PURE_SHARED, ROOT, imported, named, parsed, pure_files, python_files

ALSO_PURE = ("keys.py", "consume/reader.py", "ledger/states.py", "relay/__init__.py")
"""Besides those that test_rooms holds to it."""
NAMES_A_WIRE = frozenset({"shared/ledger/types.py", "shared/ledger/__init__.py"})
"""Words of the ledger's callers: they name the type of a connection, and open none."""
SAYS_SO_ITSELF = frozenset({"Field", "Query", "Path", "StringConstraints", "Option", "Argument", "lru_cache", "AsyncConnectionPool"})
"""Calls in which a number is the name and the limit at once: a bound that the API document or the signature shows."""
LIMITING = ("timeout", "max_", "most", "retries", "limit")
SMALL = 2
"""Numbers up to this one need no name: one record, no retry."""
ENDLESS = {
    "services/mastery/order.py": 1,  # Comes back within as many steps as are stuck.
    "services/profile/oneroster/table.py": 1,  # Ends with the text, or at MAX_ROWS.
    "shared/consume/subscriber.py": 1,  # The watch, until it is cancelled.
    "shared/leader.py": 2,  # Leading, and keeping a name, until it is cancelled.
    "shared/ledger/ledger.py": 1,  # At MAX_GUESSES all partitions are locked.
    "shared/relay/control.py": 1,  # Listening, until it is cancelled.
    "shared/relay/readers.py": 1,  # The witness, until it is cancelled.
    "shared/serve.py": 1,  # The survey, until it is cancelled.
    "shared/stack/state.py": 1,  # Until LOCK_WAIT_S.
    "shared/ticker/searches.py": 1,  # As often as the other process dies of what came before.
}
"""`while True` in shared and services, with what ends it."""

BORROWS = {
    "shared/ledger/patience.py": 1,  # `connected`, by which all others come to one.
    "shared/ledger/read.py": 1,  # Commands that read a whole record, for as long as that takes; whoever runs one sees it.
}
"""`pool.connection()` and `pool.getconn()` in shared and services: bare, they are waited for without end where one falls silent."""

LOCKS = 7_012
"""Thousands of the number of every advisory lock."""


def sources() -> list[Path]:
    return [path for path in python_files() if path.relative_to(ROOT).parts[0] in ("shared", "services")]


def file_of(module: str) -> Path | None:
    """Return the file of one of our modules; None for a name inside one, and for other people's."""
    if module.split(".")[0] not in ("shared", "services"):
        return None
    path = ROOT / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@pytest.mark.parametrize("path", pure_files(), ids=named)
def test_pure_files_rest_on_pure_files_only(path: Path) -> None:
    pure = {*pure_files(), *(ROOT / "shared" / name for name in (*PURE_SHARED, *ALSO_PURE)), *(ROOT / name for name in NAMES_A_WIRE)}
    found = {file for name in imported(parsed(path)) if (file := file_of(name)) is not None}
    empty = {file for file in found if file.name == "__init__.py" and not list(imported(parsed(file)))}
    assert not {named(file) for file in found - pure - empty}


@pytest.mark.parametrize("name", ALSO_PURE)
def test_what_pure_files_rest_on_reaches_nothing(name: str) -> None:
    names = set(imported(parsed(ROOT / "shared" / name)))
    assert not {found for found in names if found.split(".")[0] in IMPURE}


@pytest.mark.parametrize("path", sources(), ids=named)
def test_limits_have_names(path: Path) -> None:
    for call in (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        for given in call.keywords if name not in SAYS_SO_ITSELF else ():
            number = given.value.value if isinstance(given.value, ast.Constant) else None
            limits = given.arg is not None and given.arg.startswith(LIMITING) and type(number) in (int, float)
            assert not (limits and number > SMALL), f"{named(path)}:{call.lineno}: give {given.arg}={number} a name in capitals"


def test_no_two_advisory_locks_share_a_number() -> None:
    """Else who only wanted to be alone at one thing would wait for somebody at another, such as a rebuild for the relay."""
    found: dict[int, list[str]] = {}
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and type(node.value) is int and node.value // 1_000 == LOCKS:
                found.setdefault(node.value, []).append(f"{named(path)}:{node.lineno}")
    assert len(found) >= 5
    assert {number: places for number, places in found.items() if len(places) > 1} == {}


def test_loops_without_a_condition_are_those_that_are_known_to_end() -> None:
    found: Counter[str] = Counter()
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
                found[named(path)] += 1
    assert found == ENDLESS, "say beside ENDLESS what ends the loop, or give it a condition"


def test_nobody_waits_without_end_for_a_connection_of_the_pool() -> None:
    found: Counter[str] = Counter()
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("connection", "getconn"):
                found[named(path)] += 1
    assert found == BORROWS, "take it by `shared.ledger.patience.connected`, which bounds the wait"


@pytest.mark.parametrize("service", Topic)
def test_the_revisions_of_a_service_stand_in_one_line(service: Topic) -> None:
    names = sorted(path.name for path in (ROOT / "services" / service / "migrations").glob("0*.py"))
    line = ScriptDirectory(str(ROOT / "shared" / "migrations"), version_locations=[str(ROOT / "services" / service / "migrations")])
    assert [newest_revision(service)] == line.get_heads() == [f"{len(names):04}"] == [names[-1][:4]]
