"""The district of the latency bench: a school that comes in over HTTP, and answers that aim at what each learner works on now."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.reader import Steps
from demo import caliper, catalogue, framework, items, resources, roster
from demo.client import Cairn
from demo.counts import days_rest
from demo.framework import by_guid
from demo.learners import Answer
from demo.school import PERSON_IRI, SOURCE, Learner, school

NOW: Final = datetime(2026, 10, 13, 7, 30, tzinfo=UTC)
"""Where the installation's clock starts: a Tuesday, before the first lesson, so that today and tomorrow are both planned."""
FIRST: Final = datetime(2026, 9, 1, 8, tzinfo=UTC)
LAST: Final = datetime(2026, 10, 12, 15, tzinfo=UTC)
"""Between these the answers happened: over six weeks, so that evidence becomes broad."""
RIGHT: Final = 0.85
"""Share of right answers: levels do move, and not always up."""
TOOK: Final = timedelta(seconds=50)
PATIENCE_S: Final = 180.0


async def bring_in(cairn: Cairn, learners: int, seed: int) -> dict[str, Learner]:
    """Send roster, framework, alignments, activities and spaces; return the learners by Cairn's id."""
    made = school(learners, seed)
    told = {"source": SOURCE, "person_iri": PERSON_IRI}
    await cairn.tell("POST", "/profile/oneroster/imports", content=roster.archive(made), media="application/zip", **told)
    await cairn.tell("POST", "/mastery/case/packages", framework.package())
    await cairn.tell("PUT", "/evidence/alignments", items.alignments(items.all_items()))
    await cairn.tell("PUT", "/pathing/activities", catalogue.activities(seed))
    (place,) = await cairn.every("/profile/schools")
    await cairn.tell("PUT", "/scheduling/resources", resources.resources(place["school_id"], learners))
    by_name = {(person.given, person.family): person for person in made.learners}
    return {one["learner_id"]: by_name[one["given_name"], one["family_name"]] for one in await cairn.every("/profile/learners")}


async def settle(cairn: Cairn, steps: Steps, learners: int) -> None:
    """Return when every learner has a path, and today and tomorrow are planned and at rest."""
    await until(lambda: len([path for path in steps.now.values() if path]) == learners, steps, "every learner has a path")
    (place,) = await cairn.every("/profile/schools")
    await days_rest(cairn, place["school_id"])


async def until(what: Callable[[], bool], steps: Steps, why: str, seconds: float = PATIENCE_S) -> None:
    """Return when something has become true.

    Raises:
        TimeoutError: it did not, in time.
    """
    end = time.monotonic() + seconds
    while not what():
        steps.check()
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s: {why}")
        await asyncio.sleep(0.1)


@dataclass
class Pupils:
    """Who answers next, and what: everybody once in each round, in another order each time, about the first step of her path."""

    learners: dict[str, Learner]
    steps: Steps
    rounds: int
    """How often everybody answers."""
    draw: random.Random
    turns: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)

    def next(self, count: int) -> dict[str, Any]:
        """Return the next answers as a Caliper envelope; each learner's answers are in the order of time."""
        return caliper.envelope([self._answer() for _ in range(count)], NOW)

    def _answer(self) -> Answer:
        if not self.order:
            self.order = sorted(self.learners)
            self.draw.shuffle(self.order)
        learner = self.order.pop()
        step = by_guid()[self.steps.now[learner][0]]
        choice = items.items_of(step.code)
        item = choice[self.asked[learner, step.code] % len(choice)]
        self.asked[learner, step.code] += 1
        at = FIRST + (LAST - FIRST) / self.rounds * self.turns[learner]
        at = at.replace(microsecond=0) + timedelta(seconds=self.draw.randint(0, 600))
        self.turns[learner] += 1
        right = int(self.draw.random() < RIGHT)
        return Answer(self.learners[learner], item, step.subject, at, at + TOOK, right, 1)
