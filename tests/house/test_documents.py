"""What a stranger reads is true: files, functions, tests and commands that the documents name exist; written pages are up to date."""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli import app
from services.cli.documents import OF_THE_GATEWAY, OPERATIONS, PAGES, openapi_of
from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.gateway import create_gateway
from shared.http.problems import MEDIA_TYPE
from tests.house.test_rooms import parsed, python_files

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
OF_A_HOME = ("secrets.json", "services.json", "stack.json", "clock.json", "log/")
"""What an installation's folder holds, which is none of ours."""
BY_HAND = ("erasure.md", "frameworks.md", "mastery.md", "operations.md", "performance.md", "reliability.md")
"""Pages of docs that nobody generates."""
TOLD = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(DOCS / name for name in BY_HAND), *DECISIONS]
PARTS = ("Context", "Decision", "Consequences", "Held by")
INVARIANTS = 10
OUTSIDE = ("http", "#", "mailto:")
PLACEHOLDERS = re.compile(r"\.cairn/|<|\{|\.\.\.")
"""Paths of an installation, or of something to be added: not files of this repository."""
MOST_SINCE = 20
"""Bugs that may have been planted since the last whole run that docs/reliability.md tells of."""
COLUMNS = 100
"""Of a terminal, in which the picture of the loop must be readable."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def spans(path: Path) -> list[str]:
    """Return what stands between backticks, blocks of code left out."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", text)]


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```[^\n]*\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE)


@cache
def definitions(path: Path) -> frozenset[str]:
    """Return every name that a file defines or imports, those inside classes and functions under their own name and with the class's."""
    found: set[str] = set()

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.update({child.name, prefix + child.name})
                walk(child, f"{child.name}." if isinstance(child, ast.ClassDef) else prefix)
            else:
                walk(child, prefix)

    walk(parsed(path), "")
    return frozenset(found)


@pytest.mark.parametrize("path", TOLD, ids=named)
def test_files_functions_and_tests_that_are_named_exist(path: Path) -> None:
    wrong = []
    for span in spans(path):
        match = re.fullmatch(r"([\w./-]+\.(?:py|md|json|toml|yaml)|[\w.-]+(?:/[\w.-]+)*/)(?:::?([\w.]+))?", span)
        if match is None or PLACEHOLDERS.search(span) or span in OF_A_HOME:
            continue
        file, name = ROOT / match[1], match[2]
        if "/" not in match[1].rstrip("/"):  # A room's name, the same in every service.
            file = file if file.exists() else ROOT / "services" / "mastery" / match[1]
        if not file.exists() or (name and name not in definitions(file)):
            wrong.append(span)
    assert not wrong


@pytest.mark.parametrize("path", TOLD, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", path.read_text()) if not target.startswith(OUTSIDE)]
    assert not [target for target in targets if not (path.parent / target.split("#")[0]).exists()]


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the words of each `cairn` command of a text, `list|show` as one command each."""
    for line in text.splitlines():
        for command in re.findall(r"(?:^|[\s,(/])cairn((?: [a-z][\w|\\-]*)+)", line.split("#")[0]):
            firsts: list[list[str]] = [[]]
            for word in command.replace("\\", "").split():
                firsts = [[*words, one] for words in firsts for one in word.split("|")]
            yield from firsts


COMMAND: Any = typer.main.get_command(app)


def resolve(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that these words name, and the words behind it (its arguments)."""
    found = COMMAND
    assert found.commands
    while getattr(found, "commands", None) and words:
        inner = found.commands.get(words[0])
        assert inner is not None, f"there is no `cairn {' '.join(words)}`"
        found, words = inner, words[1:]
    return found, words


def told_commands(path: Path) -> set[tuple[str, ...]]:
    return {tuple(words) for part in (*spans(path), *blocks(path)) for words in commands_in(part)}


@pytest.mark.parametrize("path", TOLD, ids=named)
def test_commands_that_are_named_exist_and_explain_themselves(path: Path) -> None:
    for words in told_commands(path):
        command, _ = resolve(list(words))
        assert command.help, f"cairn {' '.join(words)} does not say what it does"
        assert "Usage: " in command.get_help(typer.Context(command, info_name=" ".join(words)))


@pytest.mark.parametrize("path", python_files(), ids=named)
def test_commands_that_the_code_names_in_its_messages_exist(path: Path) -> None:
    for span in re.findall(r"`(cairn [^`\n]+)`", path.read_text()):
        for words in commands_in(span):
            resolve(words)


@pytest.mark.parametrize("path", python_files(), ids=named)
def test_documents_that_the_code_refers_to_exist(path: Path) -> None:
    cited = re.findall(r"\b(?:docs/)?[A-Z]{4,}\.md\b|\bdocs/[\w/-]+\.md\b", path.read_text())
    assert not [name for name in cited if not (ROOT / name).exists()]


def test_commands_with_options_have_them() -> None:
    for path in TOLD:
        for span in (*spans(path), *blocks(path)):
            for line in span.splitlines():
                match = re.search(r"cairn((?: [a-z]+)+)((?: \[?--.*)?)", line)
                if match is None or not match[2]:
                    continue
                command, _ = resolve(next(commands_in(f"cairn{match[1]}")))
                known = {option for parameter in command.params for option in parameter.opts}
                assert set(re.findall(r"--[a-z-]+", match[2])) <= known | {"--help"}, line


def test_the_commands_of_the_readme_are_found() -> None:
    assert {("up",), ("down",), ("replay", "verify"), ("park", "discard"), ("audit", "check")} <= told_commands(ROOT / "README.md")
    with pytest.raises(AssertionError, match="there is no `cairn fly`"):
        resolve(["fly"])


def test_targets_of_make_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for path in TOLD:
        asked = {match for part in (*spans(path), *blocks(path)) for match in re.findall(r"^make ([a-z-]+)", part, flags=re.MULTILINE)}
        assert asked <= targets, named(path)


def test_routes_that_are_named_exist() -> None:
    routes = re.findall(r"^\| (GET|PUT|POST) \| `([^`]+)` ", PAGES["api.md"](), flags=re.MULTILINE)
    forms = {(method, re.sub(r"\{[^}]*\}", "{}", route)) for method, route in routes}
    for path in (ROOT / "README.md", ROOT / "ARCHITECTURE.md"):
        for method, route in re.findall(r"`(GET|PUT|POST) (/[^`\s]+)`", path.read_text()):
            form = re.sub(r"\{[^}]*\}", "{}", route).replace("/days/tomorrow", "/days/{}")
            assert (method, form) in forms, f"{named(path)}: {method} {route}"


MORE_THAN_COMMON = {
    "/mastery/calibrations/in-force": "404", "/pathing/learners/{learner_id}/path/what-if": "409",
    "/profile/learners": "404", "/profile/staff": "404",  # Of a school or class that nobody named.
}  # fmt: skip
"""Path of a GET -> the problem that only it has."""


@pytest.mark.parametrize("service", Topic)
def test_every_route_tells_of_the_problems_that_it_may_answer_with(service: Topic) -> None:
    for path, operations in openapi_of(parts_of(service))["paths"].items():
        for method, operation in operations.items():
            told = {status: list(answer.get("content", {})) for status, answer in operation["responses"].items() if status >= "400"}
            if OPERATIONS in operation.get("tags", ()):
                assert told in ({}, {"503": ["application/json"]}), path
                continue
            of_body = {"get": [], "delete": ["409"]}.get(method, ["408", "409", "413", "415"])  # What is deleted is named by its address.
            own = [MORE_THAN_COMMON[path]] if path in MORE_THAN_COMMON else []
            common = ["400", "422", "429", "503", *of_body, *(["404"] if "{" in path else [])]
            assert told == {status: [MEDIA_TYPE] for status in [*common, *own]}, f"{method} {path}"


@pytest.mark.parametrize("service", Topic)
def test_what_an_openapi_document_refers_to_is_in_it(service: Topic) -> None:
    document = openapi_of(parts_of(service))
    references = set(re.findall(r'"#/([^"]*)"', json.dumps(document)))
    assert "components/schemas/Problem" in references
    for reference in references:
        found = document
        for step in reference.split("/"):
            assert step in found, reference
            found = found[step]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_pages_written_from_the_code_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `python -m services.cli.documents`"


def test_every_page_in_docs_is_written_or_a_decision() -> None:
    assert {path.name for path in DOCS.glob("*.md")} == {*PAGES, *BY_HAND}


def test_the_gateways_own_routes_are_those_of_the_page() -> None:
    routes = {getattr(route, "path", "") for route in create_gateway(dict).routes}
    assert {route for route in routes if "{" not in route} == set(OF_THE_GATEWAY)


def test_the_last_whole_run_of_planted_bugs_is_told_of_and_not_long_ago() -> None:
    there = len(list((ROOT / "tests" / "mutants" / "patches").glob("*.patch")))
    ((caught, planted),) = re.findall(r"(\d+) caught of (\d+) planted", (DOCS / "reliability.md").read_text())
    assert caught == planted
    assert 0 <= there - int(planted) <= MOST_SINCE, f"{there} are planted: run `make mutants` and tell what it caught"


def test_every_variable_that_the_code_names_is_documented() -> None:
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, timeout=30, check=True).stdout.split()
    page = (DOCS / "settings.md").read_text()
    for name in files:
        if name.endswith((".py", ".md", ".yaml", "Makefile", ".ci/run")) and not name.startswith("tests/") and (ROOT / name).exists():
            for variable in re.findall(r"\bCAIRN_[A-Z_]*[A-Z]\b", (ROOT / name).read_text()):
                assert f"`{variable}`" in page, f"{name} names {variable}, docs/settings.md does not"


def test_services_read_the_environment_through_their_settings_only() -> None:
    reading = {
        "services/cli/home.py",
        "services/cli/serving.py",
        "shared/stack/__init__.py",
        "shared/stack/kafka.py",
        "shared/stack/processes.py",
        "shared/workers.py",  # Sets one for its workers.
    }
    found = {
        named(path)
        for folder in ("shared", "services", "demo")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)", path.read_text())
    }
    assert found <= reading


@pytest.mark.parametrize("path", DECISIONS, ids=named)
def test_a_decision_says_context_decision_consequences_and_what_holds_it(path: Path) -> None:
    text = path.read_text()
    assert re.match(r"# \S", text)
    assert re.findall(r"^\*\*([\w ]+)\.\*\* \S", text, flags=re.MULTILINE) == list(PARTS)
    held = text.split("**Held by.**")[1]
    assert re.search(r"`(tests/|cairn |make |\.ci/)", held), "name a test or a command"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_invariant_has_a_check() -> None:
    rows = re.findall(r"^\| (\d+)\. .+? \| (.+) \|$", (ROOT / "ARCHITECTURE.md").read_text(), flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, INVARIANTS + 1))
    for number, checks in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", checks)
        assert tests, f"invariant {number} has no test"
        assert all(name in definitions(ROOT / file) for file, name in tests), f"invariant {number}"
        for contract in re.findall(r"import-linter: `([^`]+)`", checks):
            assert f'name = "{contract}"' in (ROOT / "pyproject.toml").read_text()


def test_the_picture_of_the_loop_fits_a_terminal() -> None:
    picture = blocks(ROOT / "README.md")[0]
    for name in ("profile", "evidence", "mastery", "pathing", "scheduling"):
        assert name in picture
    assert max(map(len, picture.splitlines())) <= COLUMNS


def test_the_command_is_installed_under_its_name() -> None:
    import sys

    tool = Path(sys.executable).with_name("cairn")
    done = subprocess.run([tool, "--help"], capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}, timeout=60)
    assert done.returncode == 0
    assert "replay" in done.stdout
