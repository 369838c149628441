"""What the oracle found: for each invariant what was looked at, what is wrong and where, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from shared.errors import BadInput

SHOWN: Final = 5
"""Cases of one violation that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that always holds, under an id that never changes, and what to do where it does not."""

    id: str
    says: str
    remedy: str


INVARIANTS: Final = (
    Invariant(
        "I1", "every acknowledged evidence is in the ledger",
        "the client was told more than is stored: was the database restored? Run `cairn ledger catch-up evidence`, else have it sent again",
    ),
    Invariant(
        "I2", "every source has exactly one effect, and read tables equal a fold of the ledger",
        "a table that differs is made again by `cairn rebuild SERVICE TABLE`; a doubled effect is a fault of the service: report it",
    ),
    Invariant(
        "I3", "every subscriber applied every position, in order, without gap or repeat",
        "stop the service that is named; `cairn ledger status` and `cairn park list` say how far it is; report what was skipped",
    ),
    Invariant(
        "I4", "nothing is applied that no ledger holds",
        "a database was restored or written to from outside: stop the source, run `cairn ledger catch-up SOURCE`",
    ),
    Invariant(
        "I5", "all services reach the same state within the stated time",
        "`cairn status` says which service does not get on; give it more time with --within, or start it again",
    ),
    Invariant(
        "I6", "every decision replays to the same bytes, and every chain is whole",
        "the record was changed, or the code decides otherwise: `cairn replay verify --service SERVICE` shows both answers",
    ),
    Invariant(
        "I7", "causes come before effects, and each trigger led to one plan or was taken together with others",
        "an event names a cause that is not there or comes later, or a day was left unplanned: read the service's log at that time",
    ),
    Invariant(
        "I8", "nobody is double-booked in any published day, and no day is visible half-written",
        "do not use the day that is named; `cairn rebuild scheduling learner_day` mends the table, the plan itself needs a new search",
    ),
    Invariant(
        "I9", "no silent stall: lag without progress turns health red",
        "the service stands still and says that it is well: start it again, and report it",
    ),
    Invariant(
        "I10", "acknowledged = applied + waiting + parked, and few are parked",
        "`cairn park list SERVICE` says what was set aside and why; `cairn park retry SERVICE` takes it up again",
    ),
)  # fmt: skip
IDS: Final = tuple(invariant.id for invariant in INVARIANTS)


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that does not hold."""

    invariant: str
    what: str
    cases: tuple[str, ...]
    """The first places, in order."""
    count: int
    """How many there are."""

    def __str__(self) -> str:
        more = f" and {self.count - len(self.cases):,} more" if self.count > len(self.cases) else ""
        return f"{self.invariant}: {self.what}: {', '.join(self.cases)}{more}"


@dataclass
class Findings:
    """What was looked at, what is wrong, and what could not be looked at."""

    checked: list[tuple[str, str, int]] = field(default_factory=list)
    """Invariant, what was counted, how many."""
    violations: list[Violation] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Invariant, and why a part of it was not looked at."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What was measured: how long convergence and each part of the check took."""
    at_rest: bool = False
    """Whether all services came to rest, in the time that they had."""

    def count(self, invariant: str, what: str, number: int) -> None:
        """Note how much was looked at."""
        self.checked.append((invariant, what, number))

    def wrong(self, invariant: str, what: str, cases: Iterable[object]) -> None:
        """Note a violation, where there are cases of it; of many, the first few are kept."""
        first: list[str] = []
        count = 0
        for case in cases:
            count += 1
            if count <= SHOWN:
                first.append(str(case))
        if count:
            self.violations.append(Violation(invariant, what, tuple(sorted(first)), count))

    def leave_out(self, invariant: str, why: str) -> None:
        """Note that something was not looked at."""
        self.left_out.append((invariant, why))

    def keep(self, ids: Collection[str]) -> None:
        """Keep what these invariants are concerned with, violations in their order."""
        self.checked = [each for each in self.checked if each[0] in ids]
        self.violations = sorted((each for each in self.violations if each.invariant in ids), key=lambda each: int(each.invariant[1:]))

    @property
    def violated(self) -> set[str]:
        """The ids of the invariants that do not hold."""
        return {violation.invariant for violation in self.violations}

    def counted(self, what: str) -> int:
        """Return how many were counted under these words.

        Raises:
            KeyError: nothing was counted under them.
        """
        for _, words, number in self.checked:
            if words == what:
                return number
        raise KeyError(what)

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs; the form is part of the command's promise."""
        return {
            "violations": [
                {"invariant": each.invariant, "what": each.what, "cases": list(each.cases), "count": each.count} for each in self.violations
            ],
            "checked": [{"invariant": id, "what": what, "count": number} for id, what, number in self.checked],
            "left_out": [{"invariant": id, "why": why} for id, why in self.left_out],
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
        }


def chosen(only: Collection[str]) -> frozenset[str]:
    """Return the invariants to check: those named, or all.

    Raises:
        BadInput: one of them does not exist.
    """
    unknown = sorted(set(only) - set(IDS))
    if unknown:
        raise BadInput(f"there is no invariant {', '.join(unknown)}: name some of {', '.join(IDS)}")
    return frozenset(only or IDS)


def remedy_of(id: str) -> str:
    """Return what to do where an invariant does not hold."""
    return next(invariant.remedy for invariant in INVARIANTS if invariant.id == id)
