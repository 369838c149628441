"""All five services, a small school that came in over HTTP, and a load that reaches each of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from demo import caliper, catalogue, framework, items, resources, roster
from demo.framework import of_grade
from demo.learners import Answer
from demo.school import PERSON_IRI, School, school
from tests.faults.load import Load, Request, load
from tests.faults.stage import Stage
from tests.faults.town import Town, eventually

EVERY = ("profile", "evidence", "mastery", "pathing", "scheduling")
LEARNERS = 24
NOW = datetime(2026, 10, 13, 7, 30, tzinfo=UTC)
RIGHT = 0.9
IN_A_ROW = 10
LIKES = 0.3
"""Seconds between two learners who say what they like."""
LIMIT_S = 60.0


@dataclass
class District:
    """A town with a school in it."""

    town: Town
    school: School
    seed: int
    ids: dict[str, str] = field(default_factory=dict)
    """Name -> Cairn's id."""
    liked: int = 0
    """Preferences that were taken."""

    def call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """Return the answer to a request that has to be taken."""
        address = self.town.address(path.split("/")[1])
        answer = httpx.request(method, f"{address}{path}", timeout=LIMIT_S, **given)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        result: dict[str, Any] = answer.json()
        return result

    def answers(self) -> Iterator[Request]:
        """Yield quizzes without end, each ten answers of one learner about one competency, over several days."""
        draw = random.Random(f"answers {self.seed}")
        for number in range(10_000):
            learner = self.school.learners[number % LEARNERS]
            codes = of_grade("mathematics", learner.grade)
            choice = items.items_of(codes[number // LEARNERS % len(codes)])
            told = []
            for n in range(IN_A_ROW):
                at = NOW - timedelta(days=30) + timedelta(days=3 * n, minutes=number % 600)
                right = int(draw.random() < RIGHT)
                told.append(Answer(learner, choice[n % len(choice)], "mathematics", at, at + timedelta(seconds=50), right, 1))
            yield "/evidence/caliper", caliper.envelope(told, NOW)

    def likes(self, stopping: threading.Event) -> None:
        """Say what learners like, again and again, so that profile, pathing and scheduling have something to do."""
        draw = random.Random(f"likes {self.seed}")
        while not stopping.wait(LIKES):
            learner = draw.choice(sorted(self.ids.values()))
            said = {"author_id": learner, "role": "learner", "modalities": draw.sample(sorted(catalogue.MINUTES), 2)}
            address = self.town.address("profile")
            try:
                if address is not None:
                    answer = httpx.post(f"{address}/profile/learners/{learner}/preferences", json=said, timeout=LIMIT_S)
                    self.liked += answer.status_code == 200
            except httpx.TransportError:
                continue


@contextmanager
def district(stage: Stage, timezone: str = "UTC", **environment: str) -> Iterator[District]:
    """Yield all five services with a school, in this time zone, that has paths and a plan."""
    with stage.town(EVERY, **{"CAIRN_NOW": "2026-10-13T07:30:00Z"} | environment) as town:
        town.begin()
        made = District(town, school(LEARNERS, stage.seed), stage.seed)
        call = made.call
        zipped, named = {"content-type": "application/zip"}, {"source": "sis", "person_iri": PERSON_IRI}
        call("POST", "/profile/oneroster/imports", params=named, content=roster.archive(made.school), headers=zipped)
        call("PUT", "/pathing/activities", json=catalogue.activities(1))
        call("PUT", "/evidence/alignments", json=items.alignments(items.all_items()))
        call("POST", "/mastery/case/packages", json=framework.package())
        place = call("GET", "/profile/schools")["items"][0]["school_id"]
        told = resources.resources(place, LEARNERS)
        told["schools"][0]["timezone"] = timezone
        call("PUT", "/scheduling/resources", json=told)
        for one in call("GET", "/profile/learners?limit=1000")["items"]:
            made.ids[f"{one['family_name']} {one['given_name']}"] = one["learner_id"]
        last = made.ids[max(made.ids)]
        eventually(lambda: _has(town, f"/pathing/learners/{last}/path", "steps"), "every learner has a path")
        eventually(lambda: _has(town, f"/scheduling/learners/{last}/days/tomorrow", "periods"), "tomorrow is planned")
        yield made


@contextmanager
def busy(district: District, pause_s: float = 0.3) -> Iterator[Load]:
    """Yield while evidence and preferences come in."""
    stopping = threading.Event()
    thread = threading.Thread(target=district.likes, args=[stopping], daemon=True)
    thread.start()
    try:
        with load(district.town, district.seed, requests=district.answers(), pause_s=pause_s) as client:
            yield client
    finally:
        stopping.set()
        thread.join(LIMIT_S)


def _has(town: Town, path: str, what: str) -> Any:
    answer = httpx.get(f"{town.address(path.split('/')[1])}{path}", timeout=LIMIT_S)
    return answer.status_code == 200 and answer.json().get(what)
