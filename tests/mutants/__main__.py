"""`make mutants`: plants one bug after the other in a copy of the tree, and shows for each the check that notices."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from shared.errors import CairnError
from shared.stack import down
from tests.conftest import HOMES
from tests.mutants.planted import PATCHES, Planted, Unusable, modules, read
from tests.mutants.runner import Verdict, judge, run_checks
from tests.mutants.tree import Tree


def asked() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--patches", type=Path, default=PATCHES, help="folder with patches of your own, made with `git diff`")
    parser.add_argument("--only", action="append", metavar="NAME", help="plant this one alone; may be repeated")
    parser.add_argument("--refresh", action="store_true", help="write the patches anew as they apply now, and plant none")
    return parser.parse_args()


def main() -> int:
    """Run, and return the exit code: 1 where one survived or proves nothing, 2 where there is nothing to plant."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # What was started is ended, as after Ctrl-C.
    options = asked()
    paths = [path for path in sorted(options.patches.glob("*.*")) if path.suffix in (".patch", ".diff")]
    paths = [path for path in paths if not options.only or path.stem in options.only]
    missing = {*(options.only or ())} - {path.stem for path in paths}
    if missing or not paths:
        print(f"not in {options.patches}: {', '.join(sorted(missing)) or 'any *.patch or *.diff'}", file=sys.stderr)
        return 2
    kept = os.environ.get("CAIRN_TEST_HOME")
    home = Path(kept) if kept else HOMES / str(os.getpid())
    with tempfile.TemporaryDirectory(prefix="cairn-mutants-") as folder:
        Path(folder).chmod(0o755)
        try:
            tree = Tree(Path(folder))
            return refresh(tree, paths) if options.refresh else plant_all(tree, home, paths)
        finally:
            if not kept and home.exists():
                down(home, wipe=True)
                shutil.rmtree(home, ignore_errors=True)


def refresh(tree: Tree, paths: Sequence[Path]) -> int:
    """Write patches anew, with the lines and the context of now."""
    faults = 0
    for path in paths:
        try:
            path.write_text(tree.renewed(read(path)))
        except Unusable as fault:
            faults += 1
            print(f"{path.stem}: {fault}")
    print(f"{len(paths) - faults} of {len(paths)} patches are up to date")
    return 1 if faults else 0


def plant_all(tree: Tree, home: Path, paths: Sequence[Path]) -> int:
    """Run the checks on the tree as it is, then each patch's check on the patched tree; print the table."""
    shipped = [read(path) for path in sorted(PATCHES.glob("*.patch"))]
    bugs = [_readable(path) for path in paths]
    usable = [bug for bug in bugs if isinstance(bug, Planted)]
    others = [] if all(bug.check for bug in usable) else shipped
    unsound = failing(tree, home, sorted({bug.check for bug in (*usable, *others) if bug.check}))
    told: Counter[str] = Counter()
    width = max(len(path.stem) for path in paths)
    for number, (path, bug) in enumerate(zip(paths, bugs, strict=True), 1):
        began = time.monotonic()
        verdict = planted(tree, home, bug, shipped, unsound) if isinstance(bug, Planted) else bug
        told[verdict.judged] += 1
        known = bug if isinstance(bug, Planted) else Planted(path, "")
        check = verdict.words if verdict.judged == "caught" else known.check
        print(f"{number:>3} {known.name:<{width}}  {verdict.judged:<8} {time.monotonic() - began:>6.1f} s  {check}")
        if known.guarantee:
            print(f"    {known.guarantee}")
        if verdict.judged == "error":
            print(f"    ERROR: {verdict.words}")
        sys.stdout.flush()
    print(f"{told['caught']} caught of {len(bugs)} planted; {told['survived']} survived, {told['error']} prove nothing")
    return 0 if told["caught"] == len(bugs) else 1


def _readable(path: Path) -> Planted | Verdict:
    try:
        return read(path)
    except Unusable as fault:
        return Verdict("error", str(fault))


def failing(tree: Tree, home: Path, checks: Sequence[str]) -> set[str]:
    """Run all checks on the tree without a bug, and return those that do not pass: they show nothing."""
    if not checks:
        return set()
    began = time.monotonic()
    print(f"{len(checks)} checks on the tree as it is ...", flush=True)
    run = run_checks(tree.folder, home, checks)
    passed = {note["id"] for note in run.of("test") if note["when"] == "call" and note["outcome"] == "passed"}
    wrong = {note["id"] for note in run.of("test") if note["outcome"] != "passed"}
    unsound = {check for check in checks if any(_is_of(id, check) for id in wrong) or not any(_is_of(id, check) for id in passed)}
    if run.of("uncollected") or not run.of("end") or run.of("end")[0]["elsewhere"]:
        unsound = set(checks)
    for check in sorted(unsound):
        print(f"    ERROR: does not pass without a bug: {check}")
    if unsound:
        print(run.output, file=sys.stderr)
    print(f"{len(checks) - len(unsound)} pass, {time.monotonic() - began:.1f} s", flush=True)
    return unsound


def _is_of(id: str, check: str) -> bool:
    """Return whether a test is that which a check names, or one of its cases."""
    return id == check or id.startswith(f"{check}[")


def planted(tree: Tree, home: Path, bug: Planted, shipped: Sequence[Planted], unsound: Collection[str]) -> Verdict:
    """Plant one bug and return what its check says; without a check of its own, what the first of all the others says."""
    checks = [check for check in ([bug.check] if bug.check else nearest(bug, shipped)) if check not in unsound]
    if not checks:
        return Verdict("error", "its check does not pass without a bug")
    try:
        tree.apply(bug)
    except Unusable as fault:
        return Verdict("error", str(fault))
    try:
        run = run_checks(tree.folder, home, checks, modules(bug.files), first_only=True)
        return judge(run, bug.fails_by, any_error=not bug.check)
    finally:
        tree.restore(bug)


def nearest(bug: Planted, shipped: Sequence[Planted]) -> list[str]:
    """Return the checks of all shipped patches, those of the same files first, then those of the same folders."""

    def distance(other: Planted) -> int:
        pairs = [(mine, theirs) for mine in bug.files for theirs in other.files]
        if any(mine == theirs for mine, theirs in pairs):
            return 0
        return 1 if any(Path(mine).parent == Path(theirs).parent for mine, theirs in pairs) else 2

    return list(dict.fromkeys(other.check for other in sorted(shipped, key=distance)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CairnError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
