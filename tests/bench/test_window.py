"""The bench of one window of a school day: it measures a day that is really planned."""

import pytest

from bench.bars import Bars
from bench.window import measure


def test_a_window_is_measured_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    measure(48, 5, bars)
    told = {line[:58].strip(): line[58:].split()[0] for line in capsys.readouterr().out.splitlines()[1:]}
    assert float(told["learners whose day is another one"]) >= 5
    assert all(float(told[part]) > 0 for part in ("deciding: the plan is adopted", "of it the checker")), "each part is done and timed"
    assert bars.missed == []
