"""The short set of `make faults`, as part of `make test`; the full set is run on demand."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.stack import Stack
from tests.faults.run import BrokenOff, every, run
from tests.faults.stage import Scenario
from tests.faults.town import Servers

ROOT = Path(__file__).parents[2]
SEED = 1
FAULTS = set(range(1, 15))
"""Kinds of faults, by their numbers in docs/reliability.md."""
CHOSEN = [each for each in every() if each.short or f"[{each.name}]" in " ".join(sys.argv)]
"""And whichever is named on the command line, as planted bugs name their check."""


@pytest.fixture(scope="module")
def servers(stack: Stack) -> Iterator[Servers]:
    """The servers of this test run, and templates of databases that are removed afterwards."""
    made = Servers(stack.home, stack.kafka_servers, stack.postgres_url)
    yield made
    made.drop()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda each: each.name)
def test_nothing_is_lost_doubled_or_reordered(scenario: Scenario, servers: Servers, tmp_path: Path) -> None:
    result = run(scenario, servers, tmp_path, SEED)
    print(result.line)
    if result.left_out and os.environ.get("CI") != "true":
        pytest.skip(result.line)
    assert not result.left_out, result.line
    found = "\n".join([result.line, *result.violations])
    if result.broken_off:
        raise BrokenOff(found)
    assert not result.violations, found


def test_every_scenario_of_the_list_is_there_and_told_of() -> None:
    assert {each.number for each in every()} == FAULTS
    name = re.compile(r"`([a-z-]+)`(\*?)(°?)")
    rows = re.findall(r"^\| (\d+) \| (`.*?) \|", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE)
    told = {(int(number), each, bool(star), bool(ring)) for number, names in rows for each, star, ring in name.findall(names)}
    assert told == {(each.number, each.name, each.short, each.whole) for each in every()}
