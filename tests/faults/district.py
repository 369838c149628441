"""All five services, a small school that comes in over HTTP part by part, and a load that reaches each of them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from demo import caliper, catalogue, framework, items, resources, roster
from demo.framework import of_grade
from demo.learners import Answer
from demo.school import PERSON_IRI, School, school
from tests.faults import seeds
from tests.faults.judge import Verdict
from tests.faults.load import LATER, REQUEST_S, TAKEN, Load, Request, load
from tests.faults.stage import Stage
from tests.faults.town import NeverHappened, Town, eventually, happens

EVERY = ("profile", "evidence", "mastery", "pathing", "scheduling")
LEARNERS = 48
"""Every other one is on the first roster; each part adds one of the rest."""
PARTS = LEARNERS // 2
"""In which learners and items become known, beside those that are from the beginning. Everybody is told of all of them."""
LATE_ITEM = 5
"""Of so many items one is aligned in a later part."""
EARLY = 7
"""Of so many quizzes the first one is of the year before, and waits until a person says that courses began then."""
SAID_IN, FIRST_DAY = PARTS // 2, "2025-09-01"
"""The part in which that is said, and the day."""
NOW = datetime(2026, 10, 13, 7, 30, tzinfo=UTC)
AUTHOR = str(seeds.name("teacher", 1))
RIGHT = 0.9
IN_A_ROW = 10
PAUSE_S = 0.3
"""Between two requests of a client who tells evidence."""
LIKES = 0.3
"""Seconds between two learners who say what they like."""
VISITS = 0.5
"""Seconds between two people who look at what a service shows of a learner."""
SHOWN = {
    "profile": "/profile/learners/{}", "evidence": "/evidence/learners/{}", "mastery": "/mastery/learners/{}/competencies",
    "pathing": "/pathing/learners/{}/path", "scheduling": "/scheduling/learners/{}/days/tomorrow",
}  # fmt: skip
LIMIT_S = 60.0
GO_ON_S = 90.0
SENT = "SELECT coalesce(sum(position), 0) FROM published"
HEARD = "SELECT source, sum(position + 1) FROM inbox GROUP BY source"
STATED = """
    SELECT body #>> '{data,learner_id}', body #> '{data,modalities}'
    FROM (SELECT convert_from(bytes, 'UTF8')::jsonb AS body FROM event WHERE type = 'profile.preferences-stated.v1') e"""


@dataclass
class District:
    """A town with a school in it."""

    town: Town
    school: School
    seed: int
    ids: dict[str, str] = field(default_factory=dict)
    """Name -> Cairn's id."""
    liked: list[tuple[str, list[str]]] = field(default_factory=list)
    """Learners, and what was acknowledged of what they like."""
    unexpected: list[str] = field(default_factory=list)
    """Answers that no client expects, whatever is wrong with a server behind the services."""
    parts: int = -1
    """Up to this one, learners and items are known; 0 is the beginning."""
    early: int = 0
    """Acts that waited for nothing but an earlier first day when it was said."""

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
                at = NOW - timedelta(days=30 if number % EARLY else 30 + 365) + timedelta(days=3 * n, minutes=number % 600)
                right = int(draw.random() < RIGHT)
                told.append(Answer(learner, choice[n % len(choice)], "mathematics", at, at + timedelta(seconds=50), right, 1))
            yield "/evidence/caliper", caliper.envelope(told, NOW)

    def begin(self) -> None:
        """Make the first learners and items known."""
        eventually(lambda: self.introduce(0), "the first learners and items are known")
        for one in self.call("GET", "/profile/learners?limit=1000")["items"]:
            self.ids[f"{one['family_name']} {one['given_name']}"] = one["learner_id"]

    def introduce(self, parts: int) -> bool:
        """Make learners and items known up to this part, by a roster and alignments, and say when courses began, if that is in this part;
        return whether all was taken. May be repeated."""
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
            if self.parts < SAID_IN <= parts:
                answers += [
                    counts := httpx.get(f"{evidence}/evidence/counts", timeout=REQUEST_S),
                    httpx.put(f"{evidence}/evidence/calendar", json={"first_day": FIRST_DAY, "author_id": AUTHOR}, timeout=REQUEST_S),
                ]
                if counts.status_code == 200:
                    self.early = max(self.early, counts.json()["waiting"]["before-first-day"])
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
            learner, modalities = draw.choice(sorted(self.ids.values())), draw.sample(sorted(catalogue.MINUTES), 2)
            said = {"author_id": learner, "role": "learner", "modalities": modalities}
            if self._taken("POST", f"/profile/learners/{learner}/preferences", json=said):
                self.liked.append((learner, modalities))

    def visits(self, service: str, stopping: threading.Event) -> None:
        """Look at what a service shows of one learner after another."""
        draw = random.Random(f"visits {service} {self.seed}")
        while not stopping.wait(VISITS):
            self._taken("GET", SHOWN[service].format(draw.choice(sorted(self.ids.values()))))

    def forgotten(self) -> list[str]:
        """Return what is wrong with what learners were told about their likes: each that was acknowledged is in profile's ledger."""
        kept = {(learner, *modalities) for learner, modalities in self.town.ask("profile", STATED)}
        return [f"profile has acknowledged and lost: {each}" for each in self.liked if (each[0], *each[1]) not in kept]

    def _taken(self, method: str, path: str, **given: Any) -> bool:
        address = self.town.address(path.split("/")[1])
        if address is None:
            return False
        try:
            answer = httpx.request(method, f"{address}{path}", timeout=LIMIT_S, **given)
        except httpx.TransportError:
            return False
        if answer.status_code not in (TAKEN, *LATER):
            self.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.status_code == TAKEN


@contextmanager
def site(stage: Stage, **environment: str) -> Iterator[Town]:
    """Yield a town for all five services, on a day in October; nothing is started yet."""
    with stage.town(EVERY, **{"CAIRN_NOW": "2026-10-13T07:30:00Z"} | environment) as town:
        yield town


def settle(town: Town, seed: int, timezone: str = "UTC") -> District:
    """Start the services of a site and return it with a school, in this time zone, that has paths and a plan."""
    town.begin()
    made = District(town, school(LEARNERS, seed), seed)
    call = made.call
    made.begin()
    call("PUT", "/pathing/activities", json=catalogue.activities(1))
    call("POST", "/mastery/case/packages", json=framework.package())
    place = call("GET", "/profile/schools")["items"][0]["school_id"]
    told = resources.resources(place, LEARNERS)
    told["schools"][0]["timezone"] = timezone
    call("PUT", "/scheduling/resources", json=told)
    last = made.ids[max(made.ids)]
    eventually(lambda: _has(town, SHOWN["pathing"].format(last), "steps"), "every learner has a path")
    eventually(lambda: _has(town, SHOWN["scheduling"].format(last), "periods"), "tomorrow is planned")
    return made


@contextmanager
def district(stage: Stage, timezone: str = "UTC", **environment: str) -> Iterator[District]:
    """Yield all five services with a school, in this time zone, that has paths and a plan."""
    with site(stage, **environment) as town:
        yield settle(town, stage.seed, timezone)


@contextmanager
def busy(district: District, part_s: float = 1.0, **given: Any) -> Iterator[Load]:
    """Yield while evidence and preferences come in, also of learners and items that become known only by and by, and of the year before
    what is known of courses; at the end all is known. Meanwhile people look at what each service shows.

    Args:
        part_s: pause between two parts.
        given: see `Load`.

    Raises:
        NeverHappened: no evidence had to wait, or none for an earlier first day.
    """
    stopping = threading.Event()
    threads = [
        threading.Thread(target=district.likes, args=[stopping], daemon=True),
        threading.Thread(target=district.newcomers, args=[stopping, part_s], daemon=True),
        *(threading.Thread(target=district.visits, args=[service, stopping], daemon=True) for service in district.town.services),
    ]
    for thread in threads:
        thread.start()
    try:
        with load(district.town, district.seed, requests=district.answers(), **{"pause_s": PAUSE_S} | given) as client:
            yield client
    finally:
        stopping.set()
        for thread in threads:
            thread.join(LIMIT_S)
    eventually(lambda: district.introduce(PARTS), "every learner and item is known", LIMIT_S)
    if not client.waited:
        raise NeverHappened("all that was told was known already: nothing had to wait")
    if not district.early:
        raise NeverHappened("nothing had to wait for an earlier first day alone")


def judge_district(stage: Stage, district: District, client: Load, killed: bool = False, **given: Any) -> Verdict:
    """Let the oracle decide, and see to what it does not look at: what people were told, and that no process has ended by itself.

    Args:
        killed: the scenario ends processes, and looks itself at how they end.
    """
    found = stage.judge(district.town, client, **given)
    for wrong in (*district.unexpected, *district.forgotten()):
        stage.must(False, wrong)
    for worker in district.town.workers if not killed else ():
        stage.must(worker.alive, f"{worker.name} has ended by itself: {worker.said()[-800:]}")
    stage.must(district.liked, "nobody was told that what she likes is kept")
    return found


def go_on(town: Town, seconds: float = GO_ON_S) -> None:
    """Wait until each service has published something, and applied something of each one that it hears.

    Raises:
        NeverHappened: one of these stands still.
    """
    before = progress(town)
    standing = set(before)

    def all_moved() -> bool:
        now = progress(town)
        standing.difference_update([what for what in standing if now[what] > before[what]])
        return not standing

    if not happens(all_moved, seconds):
        raise NeverHappened(f"not within {seconds:.0f} s: {', '.join(sorted(standing))}")


def progress(town: Town) -> dict[str, int]:
    """Return how many events each service has published, and applied of each one that it hears."""
    found = {}
    for service in town.services:
        ((sent,),) = town.ask(service, SENT)
        heard = town.ask(service, HEARD)
        found |= {f"{service} publishes": int(sent)} | {f"{service} hears {source}": int(applied) for source, applied in heard}
    return found


def inject_each(stage: Stage, what: str, times: Mapping[str, int]) -> None:
    """Note how often a fault was met by each service; it is a violation if one of them did not meet it."""
    for service, met in times.items():
        stage.must(met, f"{service} did not meet it: {what}")
    stage.inject(f"{what} ({', '.join(f'{service} {met}' for service, met in times.items())})", sum(times.values()))


def said(town: Town, words: str) -> Counter[str]:
    """Return how many lines with these words each service has written."""
    lines = Counter(dict.fromkeys(town.services, 0))
    for worker in town.workers:
        lines[worker.service] += sum(words in line for line in worker.said().splitlines())
    return lines


def _has(town: Town, path: str, what: str) -> Any:
    answer = httpx.get(f"{town.address(path.split('/')[1])}{path}", timeout=LIMIT_S)
    return answer.status_code == 200 and answer.json().get(what)
