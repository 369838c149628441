"""All five services, a small school that comes in over HTTP part by part, and a load that reaches each of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from demo import caliper, catalogue, framework, items, resources, roster
from demo.framework import of_grade
from demo.learners import Answer
from demo.school import PERSON_IRI, School, school
from tests.faults.load import REQUEST_S, Load, Request, load
from tests.faults.stage import Stage
from tests.faults.town import NeverHappened, Town, eventually

EVERY = ("profile", "evidence", "mastery", "pathing", "scheduling")
LEARNERS = 48
"""Every other one is on the first roster; each part adds one of the rest."""
PARTS = LEARNERS // 2
"""In which learners and items become known, beside those that are from the beginning. Everybody is told of all of them."""
LATE_ITEM = 5
"""Of so many items one is aligned in a later part."""
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
    parts: int = -1
    """Up to this one, learners and items are known; 0 is the beginning."""

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

    def begin(self) -> None:
        """Make the first learners and items known."""
        eventually(lambda: self.introduce(0), "the first learners and items are known")
        for one in self.call("GET", "/profile/learners?limit=1000")["items"]:
            self.ids[f"{one['family_name']} {one['given_name']}"] = one["learner_id"]

    def introduce(self, parts: int) -> bool:
        """Make learners and items known up to this part, by a roster and alignments; return whether both were taken. May be repeated."""
        known = tuple(each for n, each in enumerate(self.school.learners) if n % 2 == 0 or n // 2 < parts)
        late = ((0 if n % LATE_ITEM else 1 + n // LATE_ITEM % PARTS, each) for n, each in enumerate(items.all_items(), 1))
        fresh = [each for part, each in late if self.parts < part <= parts]
        profile, evidence = map(self.town.address, ("profile", "evidence"))
        if profile is None or evidence is None:
            return False
        told: dict[str, Any] = {"params": {"source": "sis", "person_iri": PERSON_IRI}, "headers": {"content-type": "application/zip"}}
        content = roster.archive(replace(self.school, learners=known))
        try:
            answers = [httpx.post(f"{profile}/profile/oneroster/imports", content=content, timeout=REQUEST_S, **told)]
            if fresh:
                answers.append(httpx.put(f"{evidence}/evidence/alignments", json=items.alignments(fresh), timeout=REQUEST_S))
        except httpx.TransportError:
            return False
        taken = all(answer.status_code == 200 for answer in answers)
        self.parts = parts if taken else self.parts
        return taken

    def newcomers(self, stopping: threading.Event, pause_s: float) -> None:
        """Make one part after another known."""
        while self.parts < PARTS and not stopping.wait(pause_s):
            self.introduce(self.parts + 1)

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
        made.begin()
        call("PUT", "/pathing/activities", json=catalogue.activities(1))
        call("POST", "/mastery/case/packages", json=framework.package())
        place = call("GET", "/profile/schools")["items"][0]["school_id"]
        told = resources.resources(place, LEARNERS)
        told["schools"][0]["timezone"] = timezone
        call("PUT", "/scheduling/resources", json=told)
        last = made.ids[max(made.ids)]
        eventually(lambda: _has(town, f"/pathing/learners/{last}/path", "steps"), "every learner has a path")
        eventually(lambda: _has(town, f"/scheduling/learners/{last}/days/tomorrow", "periods"), "tomorrow is planned")
        yield made


@contextmanager
def busy(district: District, pause_s: float = 0.3, part_s: float = 1.0) -> Iterator[Load]:
    """Yield while evidence and preferences come in, also of learners and items that become known only by and by; at the end all are.

    Args:
        part_s: pause between two parts.

    Raises:
        NeverHappened: no evidence had to wait.
    """
    stopping = threading.Event()
    threads = [
        threading.Thread(target=district.likes, args=[stopping], daemon=True),
        threading.Thread(target=district.newcomers, args=[stopping, part_s], daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        with load(district.town, district.seed, requests=district.answers(), pause_s=pause_s) as client:
            yield client
    finally:
        stopping.set()
        for thread in threads:
            thread.join(LIMIT_S)
    eventually(lambda: district.introduce(PARTS), "every learner and item is known", LIMIT_S)
    if not client.waited:
        raise NeverHappened("all that was told was known already: nothing had to wait")


def _has(town: Town, path: str, what: str) -> Any:
    answer = httpx.get(f"{town.address(path.split('/')[1])}{path}", timeout=LIMIT_S)
    return answer.status_code == 200 and answer.json().get(what)
