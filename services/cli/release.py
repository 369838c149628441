"""Which code is here: the name of its release, with a hash of its files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

ROOTS: Final = tuple(Path(__file__).resolve().parents[2] / name for name in ("services", "shared"))
"""What the processes of an installation run."""
KINDS: Final = frozenset((".py", ".json", ".html", ".so"))
"""What of it makes a difference: sources, what they read, and modules that were compiled."""
DIGITS: Final = 12


def release_of_code(release: str) -> str:
    """Return the release's name with a hash of the code that is here, such as `0.1.0+1f0c53e2a9b4`: a checkout changes, its version stays.

    For `cairn up` alone. Events name the release without it: what is compiled writes the same bytes as what is not, and by which rules
    something was decided their deciders' versions say.
    """
    digest = hashlib.sha256()
    for root in ROOTS:
        for path in sorted(root.rglob("*")):
            if path.suffix in KINDS and not path.name.startswith(".") and path.is_file():  # Editors leave links and copies with a dot.
                content = path.read_bytes()
                digest.update(f"{root.name}/{path.relative_to(root)}\n{len(content)}\n".encode())
                digest.update(content)
    return f"{release}+{digest.hexdigest()[:DIGITS]}"
