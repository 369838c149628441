"""A list of faults that stays short, however wrong the input is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from shared.errors import BadInput, Fault

MAX_FAULTS: Final = 100
"""Faults that are named; the rest are counted."""


@dataclass
class Faults:
    """What is wrong with a file set: the first faults, and how many there are."""

    first: list[Fault] = field(default_factory=list)
    total: int = 0

    def add(self, file: str, line: int | None, column: str | None, code: str, detail: str, remedy: str) -> None:
        """Count a fault, and keep it where few were found before it."""
        self.total += 1
        if len(self.first) < MAX_FAULTS:
            place = ":".join(str(part) for part in (file, line, column) if part is not None)
            self.first.append(Fault(place, code, detail, remedy))

    def check(self, what: str, kind: type[BadInput] = BadInput) -> None:
        """Raise `kind` where anything was found."""
        if self.total:
            shown = f", the first {MAX_FAULTS} are named" if self.total > MAX_FAULTS else ""
            raise kind(f"{what}: {self.total} fault{'' if self.total == 1 else 's'}{shown}; nothing was stored", self.first)
