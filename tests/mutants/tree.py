"""A copy of the tree, in which a patch is applied and taken back. The tree itself is never touched."""

import difflib
import os
import shutil
import subprocess
from importlib.util import cache_from_source
from pathlib import Path

from tests.mutants.planted import Planted, Unusable, header_of, require_change

ROOT = Path(__file__).parents[2]
CONTEXT = 1
"""Lines around a change in a patch that is written anew: few, so that other changes nearby do not matter."""


class Tree:
    """The files that git knows or would add, copied to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before: dict[str, bytes] = {}
        """Files of the last patch as they were: the tree itself may be another one by now."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():  # Not one that was just removed.
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def apply(self, planted: Planted, least_context: int = CONTEXT) -> None:
        """Apply a patch; `restore` takes it back.

        Args:
            least_context: lines around a change that must be as the patch says.

        Raises:
            Unusable: it does not apply, changes no code, or breaks the syntax.
        """
        self._before = {path: (self.folder / path).read_bytes() for path in planted.files if (self.folder / path).exists()}
        before = {path: content.decode() for path, content in self._before.items()}
        run = subprocess.run(
            ["git", "apply", "--recount", f"-C{least_context}", *(["--unidiff-zero"] if not least_context else []), str(planted.path)],
            cwd=self.folder, env=os.environ | {"GIT_CEILING_DIRECTORIES": str(self.folder.parent)}, capture_output=True, text=True,
        )  # fmt: skip
        if run.returncode:
            raise Unusable(f"it does not apply: {(run.stderr.strip().splitlines() or ['git says nothing'])[0]}")
        self._forget(planted)
        try:
            require_change(before, {path: self._text(path) for path in planted.files})
        except Unusable:
            self.restore(planted)
            raise

    def restore(self, planted: Planted) -> None:
        """Put the files of a patch that was applied back as they were before."""
        for path in planted.files:
            if path in self._before:
                (self.folder / path).write_bytes(self._before[path])
            else:
                (self.folder / path).unlink(missing_ok=True)
        self._forget(planted)

    def renewed(self, planted: Planted) -> str:
        """Return the text of a patch whose lines were moved, or changed around it.

        Raises:
            Unusable: see `apply`.
        """
        self.apply(planted, least_context=0)
        parts = [header_of(planted)]
        for path in planted.files:
            old, new = (ROOT / path).read_text().splitlines(True), self._text(path).splitlines(True)
            parts += [f"\ndiff --git a/{path} b/{path}\n", *difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=CONTEXT)]
        self.restore(planted)
        return "".join(parts)

    def _text(self, path: str) -> str:
        return (self.folder / path).read_text()

    def _forget(self, planted: Planted) -> None:
        """Remove what was compiled of the files of a patch: two versions may be of one size and second."""
        for path in planted.files:
            if path.endswith(".py"):
                Path(cache_from_source(str(self.folder / path))).unlink(missing_ok=True)
