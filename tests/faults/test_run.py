"""What `make faults` says in the end, and its exit code."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import Load
from tests.faults.run import run_all
from tests.faults.seeds import quizzes
from tests.faults.stage import LeftOut, Scenario, Stage

NOWHERE: Any = None
"""Servers that none of these scenarios looks at."""


def leaves_out(stage: Stage) -> None:
    raise LeftOut("this machine has no memory for three brokers")


def holds(stage: Stage) -> None:
    stage.inject("something")


def injects_nothing(stage: Stage) -> None:
    pass


def breaks(stage: Stage) -> None:
    stage.inject("something")
    stage.must(False, "an act is lost")


def breaks_and_is_broken_off(stage: Stage) -> None:
    stage.inject("something")
    stage.verdict.violations.append("an act is lost")
    raise LeftOut("this machine lacks the second half")


def of(act: Any, short: bool = False) -> Scenario:
    return Scenario(act.__name__, 1, act, short, "")


@pytest.mark.parametrize(
    ("ci", "scenarios", "code"),
    [
        ("true", [of(holds), of(leaves_out, short=True)], 1),
        ("true", [of(holds), of(leaves_out)], 0),
        ("", [of(holds), of(leaves_out, short=True)], 0),
        ("false", [of(holds), of(leaves_out, short=True)], 0),
        ("", [of(leaves_out)], 1),
        ("", [of(holds, short=True)], 0),
        ("", [of(holds), of(breaks)], 1),
        ("", [of(injects_nothing)], 1),
        ("", [of(holds), of(breaks_and_is_broken_off)], 1),
    ],
)
def test_what_is_left_out_fails_in_ci_only_where_it_is_of_the_short_set(
    ci: str, scenarios: list[Scenario], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    assert run_all(scenarios, NOWHERE, tmp_path, 1) == code
    said = capsys.readouterr().out
    left = [each.name for each in scenarios if each.act is leaves_out]
    assert ("left out: this machine has no memory for three brokers" in said) is bool(left)
    assert ("1 left out: leaves_out" in said) is bool(left)
    wrong = sum(each.act in (breaks, injects_nothing, breaks_and_is_broken_off) for each in scenarios)
    assert said.splitlines()[-1] == f"{len(scenarios) - len(left)} scenarios run, invariant violations = {wrong}"


def test_a_load_that_is_given_up_says_so() -> None:
    town: Any = type("Nobody", (), {"address": lambda self, service: None})()
    patient = Load(town, 1, patience_s=0.3)
    assert patient.tell(next(quizzes(1))) == []
    assert patient.unexpected == ["no acknowledgement within 0.3 s"]
    assert set(patient.answers) == {0}
    with pytest.raises(AssertionError, match="evidence was not taken"):
        patient.end()
