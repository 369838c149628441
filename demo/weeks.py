"""Six weeks of school: the LMS hands in what learners did, and the counts of every service move while it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final

from rich.live import Live
from rich.table import Table

from demo import learners
from demo.caliper import MAX_EVENTS, envelope
from demo.client import Cairn, Unexpected
from demo.counts import arrived, days_rest, events
from demo.district import District
from demo.framework import SUBJECTS
from demo.installation import Place
from demo.learners import Answer
from demo.school import GRADES, SECTIONS
from demo.words import out
from shared.tasks import end

REFRESH_S: Final = 0.5
ROWS: Final = (
    ("answers accepted", ("evidence.accepted.v1",)),
    ("estimates moved", ("mastery.estimated.v1", "mastery.re-estimated.v1")),
    ("levels changed", ("mastery.level-changed.v1",)),
    ("paths planned", ("pathing.path-planned.v1",)),
    ("learners placed anew", ("scheduling.placement-changed.v1",)),
)
"""What is shown while it happens, and the events that count for it."""

Lane = Iterable[Sequence[Answer]]
"""What the classes of one section hand in, one envelope after another, in order of time."""


def start_of_year(district: District) -> list[Lane]:
    """Return the checks of the first week, a lane for each section."""
    return [_checks(district, grade, section) for grade in GRADES for section in SECTIONS]


def _checks(district: District, grade: str, section: str) -> Iterator[Sequence[Answer]]:
    told = [answer for learner in _minds(district, grade, section) for answer in learners.start_of_year(learner)]
    yield from _parts(sorted(told, key=lambda answer: answer.ended_at))


def quizzes(district: District, days: Sequence[date]) -> list[Lane]:
    """Return the quizzes of these days, a lane for each section."""
    return [_quizzes(district, grade, section, days) for grade in GRADES for section in SECTIONS]


def _quizzes(district: District, grade: str, section: str, days: Sequence[date]) -> Iterator[Sequence[Answer]]:
    """Yield what a section's classes hand in: an envelope for each class and day."""
    minds = _minds(district, grade, section)
    for day in days:
        answers = sorted((answer for mind in minds for answer in learners.quiz(mind, day)), key=lambda answer: answer.ended_at)
        for subject in SUBJECTS:
            yield from _parts([answer for answer in answers if answer.subject == subject])


def _parts(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
    for start in range(0, len(answers), MAX_EVENTS):
        yield answers[start : start + MAX_EVENTS]


def _minds(district: District, grade: str, section: str) -> list[learners.Mind]:
    return [district.minds[learner.sourced_id] for learner in district.school.section(grade, section)]


async def hand_in(district: District, place: Place, lanes: Sequence[Lane], planned: bool) -> None:
    """Send these lanes side by side, each in order, and return when all they led to has happened.

    Args:
        planned: whether the school's days are planned by now, and have to come to rest.
    """
    before = district.handed_in
    started = time.monotonic()
    with _shown() as show:
        watcher = asyncio.create_task(_watch(district, show))
        sending = [asyncio.create_task(send_lane(district, place, lane)) for lane in lanes]
        try:
            await asyncio.gather(*sending)
            sent = time.monotonic()
            await arrived(place)
            if planned:
                await days_rest(district.cairn, district.school_id)
        finally:
            await end(watcher, *sending)
        show(await _counts(district.cairn, district.handed_in))
    if not out.is_terminal:
        out.print(await _counts(district.cairn, district.handed_in))
    count, ended = district.handed_in - before, time.monotonic()
    out.print(
        f"  [dim]{count:,} answers handed in within {sent - started:.1f} s ({count / max(sent - started, 0.1):,.0f} a second);"
        f" all that followed from them was decided {ended - sent:.1f} s later.[/dim]"
    )


async def send_lane(district: District, place: Place, lane: Lane) -> None:
    """Send one lane in order. Everything in it has to be new, and taken."""
    for answers in lane:
        await send(district, place, answers)


async def send(district: District, place: Place, answers: Sequence[Answer]) -> None:
    """Hand in answers in one envelope.

    Raises:
        Unexpected: one of them was not recorded as new.
    """
    told = await district.cairn.tell("POST", "/evidence/caliper", envelope(answers, place.now()))
    wrong = [result for result in told["results"] if result["result"] not in ("recorded", "waiting")]
    if wrong or len(told["results"]) != len(answers):
        raise Unexpected(f"of {len(answers)} answers {len(wrong)} were not taken as new: {wrong[:1]}")
    district.handed_in += len(answers)


@contextmanager
def _shown() -> Iterator[Callable[[Table], None]]:
    """Yield what shows the counts in place, on a terminal; elsewhere nothing is shown until the end."""
    if not out.is_terminal:
        yield lambda _: None
        return
    with Live(console=out, refresh_per_second=4) as live:
        yield live.update


async def _watch(district: District, show: Callable[[Table], None]) -> None:
    while True:
        show(await _counts(district.cairn, district.handed_in))
        await asyncio.sleep(REFRESH_S)


async def _counts(cairn: Cairn, handed_in: int) -> Table:
    seen = await events(cairn)
    grid = Table.grid(padding=(0, 2))
    grid.add_row("  answers handed in", f"[bold]{handed_in:>8,}[/bold]")
    for label, kinds in ROWS:
        grid.add_row(f"  {label}", f"[bold]{sum(seen[kind] for kind in kinds):>8,}[/bold]")
    return grid
