"""Runs scenarios one after another and tells, one line each, what was injected and what the oracle found."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.faults.stage import SCENARIOS, LeftOut, Scenario, Stage
from tests.faults.town import HEARS, Servers

MODULES = ("kills", "zombies", "wires", "databases", "topics", "restores", "contents", "crowds", "clocks", "clusters")
"""Where scenarios stand, in the order in which they run."""


def every() -> list[Scenario]:
    """Return all scenarios, in order."""
    for module in MODULES:
        import_module(f"tests.faults.{module}")
    return list(SCENARIOS.values())


@dataclass
class Result:
    """How one scenario went."""

    scenario: Scenario
    line: str
    violations: Sequence[str] = ()
    left_out: bool = False
    broken_off: bool = False
    """It did not come to its end, and the oracle decided nothing, or not all."""


class BrokenOff(Exception):
    """A scenario did not come to its end: whatever stopped it, no check of ours has found it."""


def run(scenario: Scenario, servers: Servers, folder: Path, seed: int) -> Result:
    """Run one scenario."""
    stage, began = Stage(servers, folder / scenario.name, seed, scenario.name), time.monotonic()
    broken_off = False
    try:
        scenario.act(stage)
        stage.must(sum(stage.injected.values()), "no fault was injected, so nothing was shown")
        stage.must(scenario.whole == stage.services.issuperset(HEARS), f"it says that it is {'whole' if scenario.whole else 'a part'}")
    except LeftOut as reason:
        if stage.verdict.violations:  # Found before it turned out what this machine lacks: they count.
            return Result(scenario, f"{scenario.name:<22} seed {seed}  broken off: {reason}", stage.verdict.violations)
        return Result(scenario, f"{scenario.name:<22} seed {seed}  left out: {reason}", left_out=True)
    except Exception as error:
        broken_off = True
        stage.verdict.violations.append(f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-6)}")
    verdict = stage.verdict
    settled = f"at rest {verdict.converged_s:.1f} s after the load"
    if verdict.rest_s is not None:
        taken = "never" if verdict.taken_s is None else f"after {verdict.taken_s:.1f} s"
        settled = f"from the end of the fault: acknowledged {taken}, at rest after {verdict.rest_s:.1f} s"
    injected = ", ".join(f"{what} x{times}" for what, times in stage.injected.items()) or "nothing"
    line = (
        f"{scenario.name:<22} seed {seed}  injected: {injected}  acknowledged {verdict.acknowledged} = applied {verdict.applied} + waiting "
        f"{verdict.waiting} + parked {verdict.parked}, {verdict.waited} had to wait  {settled}, all in {time.monotonic() - began:.0f} s  "
        f"looks at who was behind {verdict.looks}, at days {verdict.day_looks}  violations {len(verdict.violations)}"
    )
    line += "".join(f"\n  not looked at: {each}" for each in verdict.not_seen)
    return Result(scenario, line, verdict.violations, broken_off=broken_off)


def run_all(scenarios: Iterable[Scenario], servers: Servers, folder: Path, seed: int) -> int:
    """Run scenarios, print a line for each, and return the exit code: 1 at a violation, and in CI where one of `make test` is left out."""
    results, began = [], time.monotonic()
    for scenario in scenarios:
        result = run(scenario, servers, folder, seed)
        print(result.line, flush=True)
        for violation in result.violations:
            print(f"  VIOLATION: {violation}", flush=True)
        results.append(result)
    ran = [result for result in results if not result.left_out]
    violations = sum(len(result.violations) for result in ran)
    left = [result.scenario for result in results if result.left_out]
    if left:
        print(f"{len(left)} left out: {', '.join(scenario.name for scenario in left)}")
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    print(f"{len(ran)} scenarios run, invariant violations = {violations}", flush=True)
    in_ci = os.environ.get("CI", "").lower() == "true"
    return int(bool(violations) or not ran or (in_ci and any(scenario.short for scenario in left)))
