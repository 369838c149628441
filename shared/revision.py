"""Which schema a release needs. Apart from `migrate`: no process of a service has to load what changes schemas, a fifth of its start."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.errors import Misconfigured

SERVICES: Final = Path(__file__).resolve().parents[1] / "services"
DIGITS: Final = 4


def newest_revision(service: str) -> str:
    """Return the revision that this release of a service needs: the last of its migrations, whose files begin with their numbers.

    Raises:
        Misconfigured: there are none.
    """
    names = [path.name for path in (SERVICES / service / "migrations").glob("[0-9]*.py")]
    if not names:
        raise Misconfigured(f"service {service} has no migrations in this release: reinstall it")
    return max(names)[:DIGITS]
