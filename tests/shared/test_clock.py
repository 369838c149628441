"""A restart continues the clock; it never turns it back."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.clock import CLOCK_FILE, Clock, FixedClock, SystemClock, clock_from
from shared.errors import Misconfigured

START = "2026-11-24T08:00:00Z"
START_AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
SLACK = timedelta(seconds=20)  # More than any test here takes.


def near(clock: Clock, at: datetime) -> bool:
    """Return whether the clock stands at this instant or a little after it."""
    return at <= clock.now() < at + SLACK


def test_without_a_setting_it_is_the_machines_clock(tmp_path: Path) -> None:
    clock = clock_from(None, tmp_path)
    assert clock.offset == timedelta()
    assert near(clock, datetime.now(UTC) - timedelta(milliseconds=1))
    assert clock.now().tzinfo is UTC
    assert list(tmp_path.iterdir()) == []


def test_the_setting_moves_the_clock(tmp_path: Path) -> None:
    assert near(clock_from(START, tmp_path / "made" / "here"), START_AT)
    assert near(clock_from("2026-11-24T10:00:00+02:00", None), START_AT)


def test_a_restart_continues_where_time_has_got_to(tmp_path: Path) -> None:
    first = clock_from(START, tmp_path)
    file = tmp_path / CLOCK_FILE
    content = json.loads(file.read_text())
    hour_ago = content | {"offset_us": content["offset_us"] + 3_600_000_000}  # As if the first start had been an hour ago.
    file.write_text(json.dumps(hour_ago))
    for now in (START, "2026-11-24T09:00:00+01:00", None):
        assert clock_from(now, tmp_path).offset == first.offset + timedelta(hours=1)


def test_another_setting_later_is_refused(tmp_path: Path) -> None:
    clock_from(START, tmp_path)
    with pytest.raises(Misconfigured, match=r"never goes back.*--wipe"):
        clock_from("2026-11-23T08:00:00Z", tmp_path)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-11-24", "2026-11-24T08:00:00"])
def test_what_is_no_instant_is_refused_with_an_example(text: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"CAIRN_NOW.*2026-11-24T08:00:00Z"):
        clock_from(text, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"now": 1, "offset_us": 2}', '{"now": "2026-11-24T08:00:00Z", "offset_us": "x"}']
)
def test_a_broken_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / CLOCK_FILE).write_text(content)
    with pytest.raises(Misconfigured, match=f"{CLOCK_FILE} cannot be read"):
        clock_from(None, tmp_path)


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        clocks = list(pool.map(lambda _: clock_from(START, tmp_path), range(32)))
    assert len({clock.offset for clock in clocks}) == 1
    assert [file.name for file in tmp_path.iterdir()] == [CLOCK_FILE]


def test_a_fixed_clock_moves_only_forward() -> None:
    clock = FixedClock(START_AT)
    assert clock.now() == clock.now() == START_AT
    assert clock.advance(timedelta(days=1)) == datetime(2026, 11, 25, 8, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(timedelta(seconds=-1))


def test_a_clock_keeps_its_offset() -> None:
    assert near(SystemClock(timedelta(days=-400)), datetime.now(UTC) - timedelta(days=400, milliseconds=1))
