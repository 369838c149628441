"""Percentiles and the bars' last line."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bench.bars import Bars
from bench.figures import Spread, cpu_between, percentile

SPANS = some.lists(some.floats(min_value=0, max_value=1e6), min_size=1, max_size=300)


def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, share) for share in (0.0, 0.01, 0.5, 0.99, 1.0)] == [1, 1, 50, 99, 100]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([3, 1, 2], 0.5) == 2
    assert math.isnan(percentile([], 0.5))


@given(SPANS, some.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_a_value_that_enough_values_reach(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_one_slow_answer_in_a_thousand_shows_as_the_most_and_not_as_p99() -> None:
    spread = Spread.of([10.0] * 999 + [5_000.0])
    assert (spread.count, spread.p50, spread.p99, spread.most) == (1_000, 10.0, 10.0, 5_000.0)


def test_cpu_is_told_in_microseconds_per_evidence() -> None:
    assert cpu_between({"mastery": 1.0, "broker": 2.0}, {"mastery": 1.5, "broker": 2.0}, 1_000) == {"mastery": 500.0, "broker": 0.0}


def test_the_last_line_names_every_missed_bar(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.figure("share", 0.2, at_least=0.2)
    bars.figure("p99", 1_999.0, "ms", at_most=2_000)
    assert bars.close() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all bars met"
    bars.figure("counted", 999, at_least=1_000)
    bars.figure("p99", math.nan, "ms", at_most=2_000)
    assert bars.close() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "bars missed: counted; p99"
