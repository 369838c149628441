"""How simulated learners learn and answer. They know nothing of Cairn, and Cairn nothing of what goes on in here.

Each learner has a talent, gaps in what came before, a pace and an engagement of her own. She works on one competency of a subject at a
time, gets better by working on it, and moves on when it goes well, or after a while with help. What she answers also depends on luck.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from math import exp
from typing import Final

from demo.framework import SUBJECTS, beneath, of_grade, skills
from demo.items import ROUNDS, Item, checks, items_of
from demo.resources import CLOSED
from demo.school import Learner

FIRST_DAY: Final = date(2026, 9, 1)
TODAY: Final = date(2026, 10, 13)
"""A Tuesday, six weeks after the first day."""
GUESS, SLIP = 0.12, 0.015
"""A right answer by luck, a wrong one by haste."""
BROUGHT: Final = 3.5
"""Where a learner of average talent stands in what lower grades taught, in logits."""
NEW: Final = 1.3
"""And in what is new to her."""
LEARNED: Final = 0.55
"""What one quiz on a competency adds at average pace."""
HELPED: Final = 3
"""Quizzes without success after which somebody helps."""
WELL: Final = 3
"""Right answers in a row after which she feels at home in a competency."""
QUIZ: Final = 2
"""Items of a quiz."""
TASKS: Final = 24
"""Tasks of a start-of-year check."""
BREAK: Final = timedelta(minutes=3)
STARTS: Final = {"mathematics": time(8, 40), "reading": time(9, 30)}


@dataclass(frozen=True)
class Answer:
    """What a learner handed in."""

    learner: Learner
    item: Item
    subject: str
    started_at: datetime
    ended_at: datetime
    given: int
    possible: int


@dataclass
class Mind:
    """What goes on in one learner. Logits throughout."""

    learner: Learner
    draw: random.Random
    pace: float
    engagement: float
    """Share of school days on which she hands in a quiz."""
    skill: dict[str, float]
    at: dict[str, int] = field(default_factory=dict)
    """Subject -> place in her grade's competencies."""
    streak: int = 0
    tries: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    """Competency -> items she has met."""

    def chance(self, item: Item) -> float:
        """Return the probability that she answers it rightly; over several competencies, the mean."""
        chances = [1 / (1 + exp(-(self.skill[code] + item.ease))) for code in item.codes]
        return GUESS + (1 - GUESS - SLIP) * sum(chances) / len(chances)


def mind(learner: Learner, seed: int) -> Mind:
    """Return a learner's mind on the first day of school; the same for the same seed."""
    draw = random.Random(f"mind {seed} {learner.sourced_id}")
    talent = draw.gauss(0.0, 0.5)
    skill: dict[str, float] = {}
    for subject in SUBJECTS:
        lean = talent + draw.gauss(0.0, 0.3)
        before, own = beneath(subject, learner.grade), of_grade(subject, learner.grade)
        missed = frozenset(draw.sample(before, draw.choice((0, 0, 0, 2, 4))))
        for code in before:
            skill[code] = BROUGHT + lean + draw.gauss(0.0, 0.3) - (1.6 if code in missed else 0.0)
        for code in own:
            known = [skill[b] for b in skills()[code].before if b in skill]
            skill[code] = NEW + lean + draw.gauss(0.0, 0.35) + 0.2 * (sum(known) / len(known) - BROUGHT if known else 0.0)
    return Mind(learner, draw, max(draw.gauss(1.0, 0.3), 0.3), min(max(draw.gauss(0.85, 0.12), 0.35), 1.0), skill)


def school_days() -> list[date]:
    """Return the school days from the first one up to, and without, today."""
    span = (TODAY - FIRST_DAY).days
    days = [FIRST_DAY + timedelta(days=n) for n in range(span)]
    return [day for day in days if day.weekday() < 5 and day.isoformat() not in CLOSED]


def check_days() -> list[date]:
    """Return the days of the start-of-year checks, one for each round."""
    return school_days()[:ROUNDS]


def start_of_year(mind: Mind) -> Iterator[Answer]:
    """Yield her start-of-year checks in order of time."""
    for subject in SUBJECTS:
        for day, round_of_checks in zip(check_days(), checks(subject, mind.learner.grade), strict=True):
            at = _begin(day, subject, mind)
            for item in round_of_checks:
                right = sum(mind.draw.random() < mind.chance(item) for _ in range(TASKS))
                yield Answer(mind.learner, item, subject, at, at + timedelta(minutes=15), right, TASKS)
                at += timedelta(minutes=18)


def quiz(mind: Mind, day: date, at: datetime | None = None) -> list[Answer]:
    """Return what she hands in on a day, in order of time: nothing on some days; mathematics and reading in turn.

    Args:
        at: when she begins; by default when the subject's first lesson does.
    """
    if mind.draw.random() > mind.engagement:
        return []
    subject = SUBJECTS[day.toordinal() % len(SUBJECTS)]
    codes = of_grade(subject, mind.learner.grade)
    place = mind.at.get(subject, 0)
    if place >= len(codes):
        return []
    answers = list(ask(mind, codes[place], QUIZ, at or _begin(day, subject, mind)))
    mind.skill[codes[place]] += LEARNED * mind.pace * mind.draw.uniform(0.5, 1.5)
    right = sum(answer.given for answer in answers)
    mind.streak = mind.streak + right if right == len(answers) else 0
    mind.tries += 1
    if mind.tries % HELPED == 0:
        mind.skill[codes[place]] += LEARNED
    if mind.streak >= WELL or mind.tries > 2 * HELPED:
        mind.at[subject], mind.streak, mind.tries = place + 1, 0, 0
    return answers


def ask(mind: Mind, code: str, count: int, at: datetime) -> Iterator[Answer]:
    """Yield her answers to the next items of a competency, one after another from this instant."""
    items = items_of(code)
    for _ in range(count):
        number = mind.asked.get(code, 0)
        mind.asked[code] = number + 1
        item = items[_place(number, len(items))]
        took = timedelta(seconds=mind.draw.randint(35, 160))
        right = mind.draw.random() < mind.chance(item)
        yield Answer(mind.learner, item, skills()[code].subject, at, at + took, int(right), 1)
        at += BREAK


def met_items(mind: Mind, code: str) -> frozenset[Item]:
    """Return the items of a competency that she was asked in quizzes."""
    items = items_of(code)
    return frozenset(items[_place(number, len(items))] for number in range(mind.asked.get(code, 0)))


def _place(number: int, items: int) -> int:
    """Return which of a competency's items is asked as the next one, after so many."""
    return (number * 2 + 1) % items


def _begin(day: date, subject: str, mind: Mind) -> datetime:
    return datetime.combine(day, STARTS[subject], UTC) + timedelta(seconds=mind.draw.randint(0, 240))
