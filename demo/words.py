"""How the demonstration speaks: short paragraphs, small tables, everyday words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

MAX_WIDTH: Final = 100
"""Columns that paragraphs take at most."""
NARROW: Final = "\N{NO-BREAK SPACE}"
LEVELS: Final = {
    "not-enough-evidence": "not enough evidence",
    "developing": "developing",
    "nearly": "nearly there",
    "mastered": "mastered",
    "re-verify-due": "to be shown again",
}
WAYS: Final = {
    "video": "video", "reading": "reading", "practice": "practice", "small-group": "small group", "teacher-led": "with a teacher",
    "project": "project",
}  # fmt: skip
REASONS: Final = {
    "goal": "a goal", "prerequisite": "needed first", "gap": "from an earlier grade", "review": "to keep it fresh",
    "enrichment": "ahead: something new", "choice": "own choice", "pin": "a teacher's wish",
}  # fmt: skip

out = Console(highlight=False)


def title(text: str) -> None:
    """Begin a chapter."""
    out.print()
    out.rule(f"[bold]{escape(text)}[/bold]", align="left", style="dim")


def say(*parts: str) -> None:
    """Write a paragraph. Text between [bold] and [/bold] is marked; what was read from others must be escaped by `plain`."""
    out.print(" ".join(parts), width=min(out.width, MAX_WIDTH))


def plain(text: object) -> str:
    """Return a text as it stands, brackets included."""
    return escape(str(text))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a small table; the first column stands out."""
    grid = Table(box=None, header_style="dim", show_header=any(headings))
    for number, heading in enumerate(headings):
        grid.add_column(heading, style="bold" if number == 0 else "", overflow="fold")
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    out.print(grid)


def to_copy(label: str, *texts: str) -> None:
    """Write commands or addresses under what they are for, each whole on a line of its own, however narrow the terminal is."""
    out.print(f"[bold]{label}[/bold]")
    for text in texts:
        out.print(f"  {escape(text)}", soft_wrap=True)


def percent(millionths: float) -> str:
    """Return a share as people say it; never all or nothing where it is neither."""
    share = millionths / 1_000_000
    if 0.995 <= share < 1:
        return f"more than 99{NARROW}%"
    return f"less than 1{NARROW}%" if 0 < share < 0.005 else f"{share:.0%}".replace("%", f"{NARROW}%")


def milliseconds(seconds: float) -> str:
    """Return a span in milliseconds."""
    return f"{seconds * 1000:,.0f}{NARROW}ms"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them.

    >>> listed(["Ana", "Ben", "Cho"])
    'Ana, Ben and Cho'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nobody"
