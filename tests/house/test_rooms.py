"""The house keeps its order: rooms of one name in every service, pure rooms that reach nothing, lengths, settings that are documented."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("profile", "evidence", "mastery", "pathing", "scheduling")
ROOMS = ("domain", "projections", "queries", "subscribers", "api", "app", "settings", "migrations", "versions")
NOT_PURE = frozenset(ROOMS) - {"domain", "versions"}
"""Rooms of a service that may reach a wire; every other one decides or computes, and may not."""
IMPURE = frozenset(
    (
        "aiokafka",
        "alembic",
        "asyncio",
        "faststream",
        "fastapi",
        "httpx",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "psycopg",
        "psycopg_pool",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "sqlalchemy",
        "sqlite3",
        "ssl",
        "starlette",
        "structlog",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid1",
        "uuid4",
        "uvicorn",
    )
)
IMPURE_SHARED = frozenset(
    f"shared.{name}"
    for name in ["clock", "consume", "http", "ledger.ledger", "ledger.store", "relay", "serve", "settings", "stack", "telemetry", "ticker"]
)
IMPURE_METHODS = frozenset({"now", "utcnow", "today", "uuid1", "uuid4", "urandom", "getenv"})
IMPURE_BUILTINS = frozenset({"open", "print", "input", "hash", "id"})
PURE_SHARED = (
    "decider.py",
    "parameters.py",
    "settings_stream.py",
    "hole_stream.py",
    "errors.py",
    "exact.py",
    "replay.py",
    "zones.py",
    "naming.py",
    "ledger/turn.py",
    "versions/v1_settings.py",
)
WRITES = {"profile": ("keyring", "steps")}
"""Files of a queries room that also keep what no projection can: keys, and a roster on its way."""
TAKES_POOL = frozenset({"Queries", "Keyring"})
MAX_FILE, MAX_FUNCTION = 400, 70


def python_files() -> list[Path]:
    folders = ("shared", "services", "demo", "bench")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


@cache
def parsed(path: Path) -> ast.Module:
    """Return what a file says; many rules look at each."""
    return ast.parse(path.read_text())


def pure_files() -> list[Path]:
    files = [ROOT / "shared" / name for name in PURE_SHARED] + sorted((ROOT / "shared" / "contracts").glob("*.py"))
    for service in SERVICES:
        folder = ROOT / "services" / service
        for path in sorted(folder.rglob("*.py")):
            room = path.relative_to(folder).parts[0].removesuffix(".py")
            if room not in NOT_PURE and room != "__init__":
                files.append(path)
    return files


@cache
def imported(tree: ast.AST) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(found)


def imported_names(tree: ast.AST) -> Iterator[str]:
    return (name.rsplit(".", 1)[-1] for name in imported(tree))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", pure_files(), ids=named)
def test_pure_rooms_cannot_tell_the_time_draw_a_number_or_reach_a_wire(path: Path) -> None:
    tree = parsed(path)
    names = set(imported(tree))
    assert not {name for name in names if name.split(".")[0] in IMPURE}
    assert not {name for name in names if any(name == bad or name.startswith(bad + ".") for bad in IMPURE_SHARED)}
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {call.attr for call in called if isinstance(call, ast.Attribute)} & IMPURE_METHODS
    assert not {call.id for call in called if isinstance(call, ast.Name)} & IMPURE_BUILTINS


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("room", ROOMS)
def test_every_service_has_the_same_rooms(service: str, room: str) -> None:
    folder = ROOT / "services" / service
    assert (folder / f"{room}.py").is_file() or (folder / room).is_dir(), f"services/{service} has no {room}"


def definitions(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def parameters_of(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]


@pytest.mark.parametrize("service", SERVICES)
def test_the_queries_of_every_service_have_one_shape(service: str) -> None:
    trees = {path.stem: parsed(path) for path in (ROOT / "services" / service / "queries").glob("*.py")}
    assert {"__init__", "reading", "views"} <= trees.keys()
    queries = {name: ast.unparse(one.bases[0]) for name, tree in trees.items() for one in definitions(tree) if one.name == "Queries"}
    assert queries == {"reading": "Tables"}, "what routes read, they read by `Queries` in `reading`"
    models = {one.name for one in definitions(trees["views"])}
    shown = {name: one.name for name, tree in trees.items() for one in definitions(tree) for base in one.bases
             if ast.unparse(base) in models | {"BaseModel"} and name != "views"}  # fmt: skip
    assert not shown, "what is shown stands in `views`"
    named = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    assert all(isinstance(node, named) for node in trees["__init__"].body), "`__init__` names what the room has, and has nothing itself"
    by_pool = {name for name, tree in trees.items() if {"AsyncConnectionPool", "connected"} & set(imported_names(tree))}
    assert by_pool <= {"reading", *WRITES.get(service, ())}, "only `reading` takes a connection"
    for tree in trees.values():
        for name, parameters in parameters_of(tree):
            assert "limit" not in parameters, f"{name}: how many rows are read is `most`; `limit` is what a client asks"
    for name, parameters in parameters_of(trees["reading"]):
        assert "most" in parameters or not {"after", "before"} & set(parameters), f"{name}: a list that goes on says `most`"


@pytest.mark.parametrize("service", SERVICES)
def test_routes_read_by_the_queries_of_their_service_and_know_pages_by_paging(service: str) -> None:
    folder = ROOT / "services" / service
    for path in sorted([*folder.glob("api.py"), *folder.glob("api/*.py")]):
        tree = parsed(path)
        taken = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "pool"]
        given = [argument for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in TAKES_POOL
                 for argument in node.args]  # fmt: skip
        assert all(pool in given for pool in taken), f"{named(path)} reads past `Queries`"
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "limit"], (
            f"{named(path)}: read `paging.most` rows `paging.behind` the last, and give `paging.page` of them"
        )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_what_it_owns_hears_and_tells(service: str) -> None:
    text = ast.get_docstring(parsed(ROOT / "services" / service / "__init__.py")) or ""
    for word in ("owns", "hears", "tells"):
        assert word in text.lower(), f"services/{service}/__init__.py does not say what it {word}"


@pytest.mark.parametrize("path", python_files(), ids=named)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE, f"{named(path)} has more than {MAX_FILE} lines"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not (node.name == "evolve" and path.name.startswith("domain")):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{named(path)}: {node.name} has {length} lines, at most {MAX_FUNCTION}"


@pytest.mark.parametrize("path", python_files(), ids=named)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = parsed(path)
    assert not tree.body or ast.get_docstring(tree), f"{named(path)} has no docstring"


def test_importing_reads_no_environment_and_opens_nothing() -> None:
    import subprocess

    probe = (
        "import os, socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('opened a socket on import')\n"
        "socket.socket.connect = refuse\n"
        "class Env(dict):\n"
        "    def __getitem__(self, key):\n"
        "        if str(key).startswith('CAIRN_'): raise SystemExit('read ' + key)\n"
        "        return super().__getitem__(key)\n"
        "    def get(self, key, default=None):\n"
        "        if str(key).startswith('CAIRN_'): raise SystemExit('read ' + key)\n"
        "        return super().get(key, default)\n"
        "os.environ = Env(os.environ)\n"
        "import shared.serve, shared.relay, shared.consume, shared.replay\n"
        + "".join(f"import services.{name}.app\n" for name in SERVICES)
        + "assert not {'alembic', 'sqlalchemy'} & set(sys.modules), 'a service need not load what changes schemas'\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout


def test_nothing_of_this_machine_is_committed() -> None:
    import subprocess

    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, timeout=30, check=True).stdout.split()
    unwanted = (
        "/" + "work/main",
        "/" + "work/shared",
        "python" + "hosted.org",
        "repo1." + "maven",
        "repo." + "maven",
        "registry." + "npmjs",
    )
    for name in files:
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".gz"}:
            text = path.read_text(errors="replace")
            assert not [word for word in unwanted if word in text], name
