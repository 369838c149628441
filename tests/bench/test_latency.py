"""Which evidence the latency bench holds against its bars."""

import pytest

from bench.bars import Bars
from bench.causes import HOPS, Way
from bench.latency import LEAST, Outcome, Sent, _print

FAST_S, SLOW_S = 0.5, 30.0
"""Below the bar, and far above it."""


def missed(named: int, replaced: int, named_s: float = FAST_S, replaced_s: float = FAST_S) -> list[str]:
    """Return the bars that are missed where so many days named the demand, or a newer one, after so many seconds."""
    ways = [
        *[Way(dict.fromkeys(HOPS, named_s), named=True)] * named,
        *[Way(dict.fromkeys(HOPS, replaced_s), named=False)] * replaced,
    ]
    bars = Bars()
    _print(Outcome([Sent(due=0.0, taken=0.1)] * len(ways), ways, {"mastery": 1.0}, 0.1), bars)
    return bars.missed


def test_enough_evidence_whose_demand_a_day_names_meets_the_bars() -> None:
    assert missed(LEAST, 0) == []


def test_evidence_whose_demand_was_replaced_does_not_fill_the_count() -> None:
    assert missed(LEAST - 1, LEAST) == ["counted: a day names the demand, and a plan serves it"]


def test_evidence_whose_demand_was_replaced_is_in_no_percentile() -> None:
    assert missed(LEAST, LEAST, replaced_s=SLOW_S) == []
    assert missed(LEAST, 99 * LEAST, named_s=SLOW_S) == ["scheduled send to plan, p99"]


def test_what_was_replaced_is_told_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    missed(LEAST, 7, replaced_s=SLOW_S)
    told = {line[:58].strip(): float(line[58:71].replace(",", "")) for line in capsys.readouterr().out.splitlines() if "newer" in line}
    assert told == {
        "not counted: a newer demand came before any day took it": 7.0,
        "scheduled send to the newer one's plan, p50": SLOW_S * 1000,
        "scheduled send to the newer one's plan, p99": SLOW_S * 1000,
    }
