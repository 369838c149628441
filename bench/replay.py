"""How many of mastery's decisions `cairn replay verify` decides again in a second of processor time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.bars import Bars
from bench.evidence import FIRST_QUIZ
from bench.figures import servers_of
from bench.subscriber import fill, of_mastery
from bench.throughput import a_place
from services.cli.verify import verify
from shared.contracts.topics import Topic
from shared.stack import down, find_stack

COUNT: Final = 40_000
QUICK: Final = 10_000
BAR: Final = 10_000.0


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Let mastery decide, replay it, and print the rate."""
    count = QUICK if quick else COUNT
    print(f"Replay: {count + FIRST_QUIZ:,} decisions of mastery, decided again", flush=True)
    stack = find_stack(home, lambda step: print(f"  {step}", flush=True))
    try:
        place = a_place(stack)
        of_mastery(place, home, fill(place, count), 1.0, servers_of(home))
        (report,) = verify({Topic.MASTERY: place.urls["mastery"]}, "local", [Topic.MASTERY], None, lambda report: None)
    finally:
        down(home)
    bars.figure("replay: decisions", report.decisions, at_least=count)
    bars.figure("replay: differences", len(report.differences), at_most=0)
    bars.figure("replay: decisions per CPU second", report.rate, "decisions/s", at_least=BAR)
