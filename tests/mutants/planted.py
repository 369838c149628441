"""A planted bug: a small patch of our own code that breaks one guarantee, and the check that must notice."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PATCHES = Path(__file__).parent / "patches"
HEADER = ("Guarantee", "Check", "Fails-by")
ASSERTS = frozenset({"AssertionError", "Failed"})
"""How a check fails that finds something: an assertion, or an error that was expected and did not come."""
TIMEOUT = "timeout"
"""In `Fails-by`: the check is known to hang, and the end of its time is the finding."""


class Unusable(Exception):
    """A patch that proves nothing, and why."""


@dataclass(frozen=True)
class Planted:
    """A patch file: `git diff`, after a header of `Name: value` lines that somebody else's patch may lack."""

    path: Path
    text: str
    guarantee: str = ""
    """What no longer holds, in words."""
    check: str = ""
    """A test as pytest names it; empty: every check that the shipped patches name, until one fails."""
    fails_by: str = ""
    """Another error than an assertion by which the check fails, such as `DeadlockDetected`; or `timeout`."""

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def files(self) -> list[str]:
        """The files it changes, as paths within the tree."""
        return [line[6:].strip() for line in self.text.splitlines() if line.startswith("+++ b/")]


def read(path: Path) -> Planted:
    """Return the patch of a file.

    Raises:
        Unusable: it changes no file, or its header has a name that is none.
    """
    text = path.read_text()
    header: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(("diff ", "--- ", "index ")):
            break
        name, colon, value = line.partition(": ")
        if colon and name in HEADER:
            header[name] = value.strip()
    planted = Planted(path, text, header.get("Guarantee", ""), header.get("Check", ""), header.get("Fails-by", ""))
    if not planted.files:
        raise Unusable("it is no patch: make it with `git diff`, so that it has lines like `+++ b/shared/ledger/store.py`")
    return planted


def header_of(planted: Planted) -> str:
    """Return the header as it stands in a file."""
    values = zip(HEADER, (planted.guarantee, planted.check, planted.fails_by), strict=True)
    return "".join(f"{name}: {value}\n" for name, value in values if value)


def require_change(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Refuse a patch by which no code changes, or after which it cannot be compiled. Texts are given by path.

    Raises:
        Unusable: it breaks the syntax, or changes comments at most.
    """
    changed = False
    for path, text in after.items():
        if not path.endswith(".py"):
            changed = changed or text != before[path]
            continue
        try:
            tree = ast.dump(ast.parse(text))
        except SyntaxError as error:
            raise Unusable(f"it breaks the syntax of {path}: {error.msg}") from None
        changed = changed or tree != ast.dump(ast.parse(before.get(path, "")))
    if not changed:
        raise Unusable("it changes no code")


def modules(files: Iterable[str]) -> list[str]:
    """Return the names of the modules among these files."""
    return [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files if path.endswith(".py")]
