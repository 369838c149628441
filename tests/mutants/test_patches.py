"""Every planted bug still fits the tree: it applies in one place only, changes code, and names a guarantee and a check that exists."""

import ast
import re
from pathlib import Path

import pytest

from tests.mutants.planted import PATCHES, read
from tests.mutants.tree import ROOT, Tree

PLANTED = sorted(PATCHES.glob("*.patch"))
ASKED = 30
"""Bugs that are planted at least."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


def test_there_are_enough_of_them() -> None:
    assert len(PLANTED) >= ASKED


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.stem)
def test_a_planted_bug_fits_the_tree(path: Path, tree: Tree) -> None:
    bug = read(path)
    assert bug.guarantee
    assert not [file for file in bug.files if file.startswith("tests/")]
    tree.apply(bug)  # Raises where it does not apply, or changes no code: `.venv/bin/python -m tests.mutants --refresh`.
    tree.restore(bug)


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.stem)
def test_a_planted_bug_has_one_place_only(path: Path) -> None:
    bug = read(path)
    for part in re.split(r"^diff .*\n", bug.text, flags=re.MULTILINE)[1:]:
        text = (ROOT / re.findall(r"^\+\+\+ b/(.*)$", part, flags=re.MULTILINE)[0]).read_text()
        for hunk in re.split(r"^@@.*\n", part, flags=re.MULTILINE)[1:]:
            before = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " -")
            assert text.count(before) == 1, "its lines stand in several places: give it more context"


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.stem)
def test_the_check_of_a_planted_bug_exists(path: Path) -> None:
    file, _, name = read(path).check.partition("::")
    names = {
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name.partition("[")[0] in names
