"""A plugin of pytest that writes down, line by line, which code a check ran on and by what it failed."""

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

OURS = ("shared", "services", "demo", "bench", "tests")
REPORT, MODULES = "CAIRN_MUTANTS_REPORT", "CAIRN_MUTANTS_MODULES"
MAX_WORDS = 200
"""Characters of an error's message that are kept."""


def note(**what: Any) -> None:
    with Path(os.environ[REPORT]).open("a") as file:
        file.write(json.dumps(what) + "\n")


def types_of(error: BaseException) -> list[str]:
    """Return the names of an error's class and its bases; of a group those of each of its errors."""
    if isinstance(error, BaseExceptionGroup):
        return [name for each in error.exceptions for name in types_of(each)]
    names = [base.__name__ for base in type(error).__mro__ if base not in (object, BaseException, Exception)]
    return ["timeout"] if isinstance(error, pytest.fail.Exception) and str(error).startswith("Timeout") else names or ["Exception"]


def pytest_sessionstart() -> None:
    """Import what was patched: code that cannot be imported is caught by nobody."""
    for name in filter(None, os.environ.get(MODULES, "").split(",")):
        try:
            note(kind="imported", module=name, file=str(import_module(name).__file__))
        except Exception as error:
            note(kind="broken", module=name, words=f"{type(error).__name__}: {error}"[:MAX_WORDS])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        note(kind="uncollected", words=str(report.longrepr)[-MAX_WORDS:])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    report = yield
    error = call.excinfo.value if call.excinfo else None
    words = str(error).strip().splitlines()[:1] if error else []
    note(
        kind="test", id=item.nodeid, when=report.when, outcome=report.outcome, by=types_of(error) if error else [],
        words="".join(words)[:MAX_WORDS],
    )  # fmt: skip
    return report


def pytest_sessionfinish() -> None:
    """Say whether all of our code that ran here lies in this folder."""
    files = [str(module.__file__) for name, module in list(sys.modules.items()) if name.split(".")[0] in OURS and _has_file(module)]
    note(kind="end", ran=len(files), elsewhere=sorted(file for file in files if not Path(file).is_relative_to(Path.cwd())))


def _has_file(module: Any) -> bool:
    return getattr(module, "__file__", None) is not None
