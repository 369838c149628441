"""A list of faults that stays short, however wrong the input is, and in which many of one code hide no other."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from shared.errors import BadInput, Fault

MAX_FAULTS: Final = 100
"""Faults that are named; the rest are counted."""
GRAVE: Final = (
    "sourced-id-reused", "one-again", "known-again", "alias-handed-on", "id-handed-on", "ids-changed", "ambiguous-identity", "alias-taken",
    "template-missing", "erased", "key-missing", "key-damaged", "text-damaged",
)  # fmt: skip
"""Codes that come first, the gravest before the others: by these a child may be taken for another one, or her work may."""


@dataclass
class Faults:
    """What is wrong with a file set: some faults of each code, and how many of it there are."""

    counts: Counter[str] = field(default_factory=Counter)
    """How many there are, by code."""
    _kept: dict[str, list[tuple[int, Fault]]] = field(default_factory=lambda: defaultdict(list))
    """The first of each code, with their numbers."""

    @property
    def total(self) -> int:
        """How many there are."""
        return self.counts.total()

    def add(self, file: str, line: int | None, column: str | None, code: str, detail: str, remedy: str) -> None:
        """Count a fault, and keep it where few of its code were found before it."""
        self.counts[code] += 1
        if len(self._kept[code]) < MAX_FAULTS:
            place = ":".join(str(part) for part in (file, line, column) if part is not None)
            self._kept[code].append((self.total, Fault(place, code, detail, remedy)))

    @property
    def first(self) -> list[Fault]:
        """The first faults, the grave ones before the others. Where there are too many, each code has as many places as any other, as far
        as it has faults."""
        ranks = {code: rank for rank, code in enumerate(GRAVE)}
        by_code = sorted(self._kept, key=lambda code: ranks.get(code, len(GRAVE)))  # Others as they were found.
        rounds = ((at, code) for at in range(MAX_FAULTS) for code in by_code if at < len(self._kept[code]))
        named = [(ranks.get(code, len(GRAVE)), *self._kept[code][at]) for _, (at, code) in zip(range(MAX_FAULTS), rounds, strict=False)]
        return [fault for _, _, fault in sorted(named, key=lambda each: each[:2])]

    def check(self, what: str, kind: type[BadInput] = BadInput) -> None:
        """Raise `kind` where anything was found."""
        if self.total:
            shown = f", the first {MAX_FAULTS} are named" if self.total > MAX_FAULTS else ""
            raise kind(f"{what}: {self.total} fault{'' if self.total == 1 else 's'}{shown}; nothing was stored", self.first)
