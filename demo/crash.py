"""A service is killed while answers come in; nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from demo import learners, weeks
from demo.client import Unexpected
from demo.counts import SETTLE_LIMIT_S, arrived, days_rest
from demo.district import District
from demo.installation import NAME, Place, kill, restart
from demo.learners import TODAY, Answer
from demo.school import GRADES, SECTIONS
from demo.words import say, table
from services.cli.audit import Installation, Options, check
from shared.contracts.topics import Topic

PART: Final = 10
"""Answers in one envelope: they trickle in."""
PAUSE_S: Final = 0.05
VICTIM: Final = Topic.MASTERY


async def tell(district: District, place: Place) -> None:
    """Hand in this morning's quizzes, kill mastery among them, start it again, and count.

    Raises:
        Unexpected: the counts do not match.
    """
    parts = _this_morning(district, place)
    middle = len(parts) // 2
    for part in parts[: middle // 2]:
        await weeks.send(district, place, part)
        await asyncio.sleep(PAUSE_S)
    sent = district.handed_in
    sending = asyncio.create_task(_rest(district, place, parts[middle // 2 :]))
    await asyncio.sleep(PAUSE_S)
    pid = await asyncio.to_thread(kill, place, VICTIM)
    await sending
    while_dead = district.handed_in - sent
    say(
        f"This morning's quizzes come in, {sum(map(len, parts))} answers. In the middle of them we kill the service that estimates",
        f"(kill -9, process {pid}). The school does not notice: {while_dead} answers were taken while it was dead.",
    )
    await asyncio.to_thread(restart, place, VICTIM)
    await arrived(place)
    await days_rest(district.cairn, district.school_id)
    await _count(district, place)


async def _rest(district: District, place: Place, parts: Sequence[Sequence[Answer]]) -> None:
    for part in parts:
        await weeks.send(district, place, part)
        await asyncio.sleep(PAUSE_S)


def _this_morning(district: District, place: Place) -> list[list[Answer]]:
    """Return today's quizzes in small envelopes, as the sections hand them in."""
    began = place.now() - timedelta(minutes=5)
    told: list[Answer] = []
    for number, (grade, section) in enumerate((grade, section) for grade in GRADES for section in SECTIONS):
        for place_in_line, learner in enumerate(district.school.section(grade, section)):
            at = began + timedelta(seconds=number, milliseconds=place_in_line)
            told += learners.quiz(district.minds[learner.sourced_id], TODAY, at)
    told.sort(key=lambda answer: answer.ended_at)
    return [told[start : start + PART] for start in range(0, len(told), PART)]


async def _count(district: District, place: Place) -> None:
    """Compare what we handed in with the records of both services, read by the auditor's own code."""
    path = district.cairn.acks_path
    installation = Installation(place.records, NAME)
    findings = await check(installation, [] if path is None else [path], ["I1", "I2", "I10"], Options(SETTLE_LIMIT_S))
    rows = (
        ("handed in by the LMS, by its own count", district.handed_in),
        ("kept by Cairn", findings.counted("evidence accepted")),
        ("understood: whose, and about what", findings.counted("evidence recorded")),
        ("counted in an estimate", findings.counted("evidence counted")),
    )
    table(("answers", "since the first day"), [(label, f"{count:,}") for label, count in rows])
    if findings.violations:
        raise Unexpected("; ".join(map(str, findings.violations)))
    if len({count for _, count in rows}) != 1:
        raise Unexpected("the four counts differ")
    say("It started again where it had stopped. Nothing was lost, nothing counted twice.")
