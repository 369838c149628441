"""Where a bench keeps what it needs while it runs."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def room(kept: str = "") -> Iterator[Path]:
    """Yield a folder that is removed at the end, also where the process is asked to stop.

    Args:
        kept: of the installation in it that is left running, and the folder with it, for a look; empty: none is.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # What was started is ended, as after Ctrl-C.
    folder = Path(tempfile.mkdtemp(prefix="cairn-bench-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root.
    try:
        yield folder
    finally:
        if kept:
            print(f"kept: {folder} (`cairn down --wipe --home {folder / kept}` ends and removes the installation)")
        else:
            shutil.rmtree(folder, ignore_errors=True)
