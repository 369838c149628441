"""What a scenario is given, and the list of all scenarios."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.cli.audit.days import SERVICE
from tests.faults import town as towns
from tests.faults.judge import Verdict, judge
from tests.faults.load import Load
from tests.faults.town import Servers, Town
from tests.faults.watch import watched


class LeftOut(Exception):
    """This machine lacks what the scenario needs; the message says what."""


@dataclass
class Stage:
    """One run of one scenario."""

    servers: Servers
    folder: Path
    seed: int
    name: str
    draw: random.Random = field(init=False)
    injected: Counter[str] = field(default_factory=Counter)
    services: set[str] = field(default_factory=set)
    """Those of all its towns."""
    verdict: Verdict = field(default_factory=Verdict)
    _ended: float | None = None
    """When the fault ended, until the oracle has decided."""

    def __post_init__(self) -> None:
        self.draw = random.Random(f"{self.name} {self.seed}")

    @contextmanager
    def town(self, services: tuple[str, ...] = towns.SMALL, **environment: str) -> Iterator[Town]:
        """Yield an installation of these services for this scenario, of which none may stand still in silence (I9)."""
        self.services.update(services)
        with towns.town(self.servers, self.folder, services, **environment) as made:
            try:
                with watched(made) as seen:
                    yield made
            finally:
                self.must(seen.looks, "I9: nobody could look at how far the services are")
                self.must(seen.days or SERVICE not in services, "I8: nobody could look at a day")
                self.verdict.looks += seen.behind
                self.verdict.day_looks += seen.days
                self.verdict.violations += seen.wrong

    def inject(self, what: str, times: int = 1) -> None:
        """Note a fault that was really injected."""
        self.injected[what] += times

    def fault_ends(self) -> None:
        """Note that what went wrong is over at this moment: the stated times of I5 begin. Of several faults the last one counts."""
        self._ended = time.monotonic()

    def must(self, true: object, what: str) -> None:
        """Note a violation of what this scenario shows beside the invariants, where it is not true."""
        if not true:
            self.verdict.violations.append(what)

    def judge(self, town: Town, load: Load | None = None, **given: Any) -> Verdict:
        """Let the oracle decide, and keep its counts; several towns of a scenario add up."""
        found = judge(town, load, ended=self._ended, **given)
        mine, self._ended = self.verdict, None
        mine.acknowledged, mine.applied = mine.acknowledged + found.acknowledged, mine.applied + found.applied
        mine.waiting, mine.parked = mine.waiting + found.waiting, mine.parked + found.parked
        mine.waited, mine.converged_s = mine.waited + found.waited, max(mine.converged_s, found.converged_s)
        if found.rest_s is not None:
            mine.taken_s, mine.rest_s = found.taken_s, found.rest_s
        mine.counts = found.counts
        mine.violations += found.violations
        mine.not_seen += found.not_seen
        return found


@dataclass(frozen=True)
class Scenario:
    """A fault under load, and what must hold afterwards."""

    name: str
    number: int
    """Of the list in docs/reliability.md."""
    act: Callable[[Stage], None]
    short: bool
    """Part of `make test`."""
    whole: bool
    """All five services run in it."""
    doc: str


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str, number: int, short: bool = False, whole: bool = False
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Add a scenario to the list under this name."""

    def add(act: Callable[[Stage], None]) -> Callable[[Stage], None]:
        SCENARIOS[name] = Scenario(name, number, act, short, whole, (act.__doc__ or "").strip())
        return act

    return add
