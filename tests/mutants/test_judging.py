"""What counts as caught: a finding of the named check, on the patched copy - and nothing that merely breaks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import nearest
from tests.mutants.planted import PATCHES, TIMEOUT, Planted, Unusable, read, require_change
from tests.mutants.runner import Run, judge
from tests.mutants.tree import ROOT

CAUGHT = (ROOT / "tests/mutants/patches/chain-is-not-checked.patch").read_text()
ADDED = "+        if not header.previous:"


def noted(*by: str, when: str = "call", outcome: str = "failed", elsewhere: tuple[str, ...] = ()) -> Run:
    end = {"kind": "end", "ran": 1, "elsewhere": list(elsewhere)}
    return Run([{"kind": "test", "id": "t", "when": when, "outcome": outcome, "by": list(by), "words": "because"}, end], "")


@pytest.mark.parametrize(
    ("run", "fails_by", "judged"),
    [
        (noted("AssertionError"), "", "caught"),
        (noted("Failed"), "", "caught"),  # `pytest.raises` saw nothing raised.
        (noted(outcome="passed"), "", "survived"),
        (noted("DeadlockDetected", "OperationalError"), "DeadlockDetected", "caught"),
        (noted("DeadlockDetected", "OperationalError"), "", "error"),
        (noted("ModuleNotFoundError", "ImportError"), "", "error"),
        (noted("NameError", "AssertionError"), "", "error"),
        (noted("timeout"), "", "error"),
        (noted("timeout"), TIMEOUT, "caught"),
        (noted("AssertionError", when="setup"), "", "error"),
        (noted(outcome="skipped"), "", "error"),
        (noted("AssertionError", elsewhere=("/elsewhere/shared/seal.py",)), "", "error"),
        (Run([{"kind": "broken", "module": "shared.seal", "words": "SyntaxError: x"}], ""), "", "error"),
        (Run([{"kind": "uncollected", "words": "ImportError"}], ""), "", "error"),
        (Run([], "pytest itself broke"), "", "error"),
        (Run([], "", killed=True), "", "error"),
    ],
)  # fmt: skip
def test_only_a_finding_counts(run: Run, fails_by: str, judged: str) -> None:
    assert judge(run, fails_by).judged == judged


def test_a_patch_without_a_check_is_caught_by_any_error_that_is_none_of_broken_code() -> None:
    assert judge(noted("DeadlockDetected"), any_error=True).judged == "caught"
    assert judge(noted("RuntimeError", when="setup"), any_error=True).judged == "caught"
    assert judge(noted("SyntaxError"), any_error=True).judged == "error"
    assert judge(noted(outcome="skipped"), any_error=True).judged == "error"


def test_a_change_of_comments_is_none_and_broken_syntax_no_bug() -> None:
    require_change({"a.py": "x = 1\n"}, {"a.py": "x = 2\n"})
    for after, said in (("x = 1  # One.\n", "changes no code"), ("x =\n", "breaks the syntax")):
        with pytest.raises(Unusable, match=said):
            require_change({"a.py": "x = 1\n"}, {"a.py": after})


def test_patches_of_anybody_are_planted_and_what_survives_or_proves_nothing_is_a_failure(tmp_path: Path) -> None:
    anybodys = {
        "caught": ADDED,
        "survives": "+        if not self._follows(header, hole) and header.previous:",
        "comment": "+        if not self._follows(header, hole):  # As before.",
        "syntax": "+        if not self._follows(header, hole",
    }
    for name, added in anybodys.items():
        (tmp_path / f"{name}.diff").write_text(CAUGHT.replace(ADDED, added))
    (tmp_path / "elsewhere.diff").write_text(CAUGHT.replace("-        if not self._follows", "-        if self._otherwise"))
    (tmp_path / "nothing.diff").write_text("Check: x\n")
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--patches", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    told = dict(re.findall(r"^ *\d+ (\w+) +(caught|survived|error) ", run.stdout, flags=re.MULTILINE))
    assert told == {
        "caught": "caught", "survives": "survived", "comment": "error", "syntax": "error", "elsewhere": "error", "nothing": "error"
    }, run.stdout + run.stderr  # fmt: skip
    assert "1 caught of 6 planted; 1 survived, 4 prove nothing" in run.stdout
    assert run.returncode == 1


def test_a_patch_that_names_no_check_meets_all_of_them_the_nearest_first() -> None:
    shipped = [read(path) for path in sorted(PATCHES.glob("*.patch"))]
    bug = Planted(Path("mine.diff"), CAUGHT.partition("diff --git")[2])
    checks = nearest(bug, shipped)
    assert sorted(checks) == sorted({other.check for other in shipped})
    same_file = {other.check for other in shipped if "shared/consume/reader.py" in other.files}
    assert set(checks[: len(same_file)]) == same_file
