"""In which form Cairn runs here: `native` where its modules that take most of the time are compiled, else `interpreted`."""

from __future__ import annotations

import platform

from shared import exact


def form() -> str:
    """Return the form, and the Python that runs it.

    >>> form().split()[0] in ("native", "interpreted")
    True
    """
    return f"{'interpreted' if (exact.__file__ or '').endswith('.py') else 'native'} (Python {platform.python_version()})"
