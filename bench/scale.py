"""What a school district costs: the same stages with some thousand learners and with ten times as many, each in an installation of its own.

All of it comes in over HTTP, as from any client: a OneRoster ZIP with all schools, framework, alignments, activities, every school's
resources, then answers of some learners. Behind that the same roster again, one in which some rows changed, another catalogue and another
framework, which plan everybody anew. A stage is over when all services rest: everything told was heard, and no day is left to plan.
What is planned in time alone - sweeps over all learners, the first plan of a day - is waited for by looking at the services' own tables.
Costs are processor time for each learner, so that what grows with the district shows as a ratio; while it works, every service is asked
how it is, each second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, LiteralString

import httpx
import psutil
import psycopg

from bench.bars import Bars
from bench.figures import cpu_between, cpu_of_each, servers_of, shown
from bench.memory import GATEWAY_BAR, SERVICE_BAR, held
from bench.room import room
from demo import caliper, catalogue, framework, items, learners, resources, roster
from demo.client import Cairn, all_at_once
from demo.counts import events
from demo.learners import Answer, Mind
from demo.school import PERSON_IRI, SECTIONS, SOURCE, School, schools
from services.cli import fleet
from services.cli.audit import Installation, settle
from services.cli.audit.place import installation_at
from services.cli.home import GATEWAY, Entry, read_entries, setting
from services.cli.installation import stop, up
from shared.clock import clock_from
from shared.contracts.topics import Topic

NOW: Final = "2026-10-13T07:30:00Z"
"""A Tuesday before the first lesson: today and tomorrow are planned."""
SEED: Final = 1
SMALL, LARGE, QUICK = 5_000, 50_000, (500, 5_000)
"""Learners."""
AT_A_SCHOOL: Final = 625
SHARE: Final = 10
"""Of so many learners one answers."""
ANSWERS: Final = 5
"""Of each of them: checks of some ten competencies each."""
TOGETHER: Final = 100
"""Answers in an envelope."""
SIDE_BY_SIDE: Final = 4
"""Schools that hand in at the same time."""
CHANGED: Final = 100
"""Of so many learners one is in another section in the changed roster."""
BAR: Final = 1.25
REST_S: Final = 7_200.0
QUIET_S: Final = 3.0
"""For which nothing may move: sweeps and searches follow what was heard."""
LOOK_S: Final = 1.0
PATIENCE_S: Final = 600.0
"""For one answer."""
NOTHING: Final = "[]"
SWEPT: Final = """
    SELECT count(*) FILTER (WHERE done) FROM cursor WHERE name LIKE (
        SELECT 're%%/' || version || '%%' FROM stream WHERE id = %(settings)s)"""
"""Partitions over whose learners a service has walked with what is in force."""
PLANNED: Final = "SELECT count(*) FROM day_plan"


@dataclass
class Stage:
    """What a stage took."""

    cpu_us: dict[str, float]
    """Microseconds for each learner, by process."""
    seconds: float
    events: int

    @property
    def us(self) -> float:
        """Microseconds for each learner, of all processes."""
        return sum(self.cpu_us.values())


@dataclass
class Watch:
    """How the processes are while they work."""

    entries: Mapping[str, Entry]
    unwell: list[str] = field(default_factory=list)
    """Whatever a service said that was not `ready`."""
    most_mib: dict[str, float] = field(default_factory=dict)
    slowest_s: dict[str, float] = field(default_factory=dict)
    """The longest that a service took to say how it is."""

    async def forever(self) -> None:
        """Look again and again."""
        async with httpx.AsyncClient(timeout=fleet.ASK_LIMIT_S) as client:
            while True:
                for name, entry in self.entries.items():
                    await self._look(client, name, entry)
                await asyncio.sleep(LOOK_S)

    async def _look(self, client: httpx.AsyncClient, name: str, entry: Entry) -> None:
        began = time.monotonic()
        try:
            answer = await client.get(f"{entry.address}/health/ready")
            if not answer.is_success:
                self._note(f"{name}: {answer.json().get('reasons')}")
        except httpx.TransportError as error:
            self._note(f"{name}: {type(error).__name__}")
        self.slowest_s[name] = max(self.slowest_s.get(name, 0.0), time.monotonic() - began)
        process = entry.process
        if process is not None:
            self.most_mib[name] = max(self.most_mib.get(name, 0.0), await asyncio.to_thread(held, process))

    def _note(self, what: str) -> None:
        print(f"  not ready: {what}", flush=True)
        self.unwell.append(what)


@dataclass
class District:
    """A district on its way in."""

    home: Path
    cairn: Cairn
    places: Sequence[School]
    processes: Mapping[str, psutil.Process]
    partitions: int
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def learners(self) -> int:
        """How many there are."""
        return sum(len(each.learners) for each in self.places)

    async def stage(self, name: str, work: Callable[[], Awaitable[object]], swept: Sequence[Topic] = (), planned: bool = False) -> Stage:
        """Do something, wait until everything rests, and keep what it cost.

        Args:
            swept: services that walk over all learners because of it.
            planned: whether today and tomorrow of every school are planned then.

        Raises:
            TimeoutError: it does not come to rest.
        """
        began, before, had = time.monotonic(), cpu_of_each(self.processes), (await events(self.cairn)).total()
        await work()
        answered = time.monotonic() - began
        place = installation_at(self.home)
        async with asyncio.timeout(REST_S):
            while not await self._came(place, swept, planned):  # noqa: ASYNC110 - other processes do it
                await asyncio.sleep(LOOK_S)
            settled = await settle(place, REST_S, watch=False, quiet_s=QUIET_S)
        assert settled.at_rest, f"{name}: no rest"
        cpu_us = cpu_between(before, cpu_of_each(self.processes), self.learners)
        told = (await events(self.cairn)).total() - had
        found = self.stages[name] = Stage(cpu_us, time.monotonic() - began - QUIET_S, told)
        print(
            f"  {name}: {told:,} events, answered after {answered:.1f} s, at rest after {found.seconds:.1f} s, "
            f"CPU per learner {shown(cpu_us)}",
            flush=True,
        )
        return found

    async def _came(self, place: Installation, swept: Sequence[Topic], planned: bool) -> bool:
        """Return whether no roster is under way, these services have walked over all learners with what is in force, and each day has its
        plan."""
        if await self.cairn.text("/profile/oneroster/imports/under-way") != NOTHING:
            return False
        for service in swept:
            if await _number(place.urls[service], SWEPT, service) < self.partitions:
                return False
        return not planned or await _number(place.urls[Topic.SCHEDULING], PLANNED) >= 2 * len(self.places)


async def _number(url: str, statement: LiteralString, service: str = "") -> int:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(statement, {"settings": f"{service}/settings"})).fetchone()
    return int(row[0]) if row else 0


async def bring_in(district: District) -> None:
    """Take a district through all stages."""
    cairn, places = district.cairn, district.places

    async def of_roster(some: Sequence[School]) -> dict[str, Any]:
        told = {"source": SOURCE, "person_iri": PERSON_IRI}
        return await cairn.tell("POST", "/profile/oneroster/imports", content=roster.archive(*some), media="application/zip", **told)

    async def spaces() -> None:
        found = await cairn.every("/profile/schools")
        sizes = {each.title: len(each.learners) for each in places}
        told = [resources.resources(one["school_id"], sizes[one["title"]])["schools"][0] for one in found]
        await cairn.tell("PUT", "/scheduling/resources", {"schools": told})

    async def adopt(package: dict[str, Any]) -> None:
        await cairn.tell("POST", "/mastery/case/packages", package)

    async def offer(minutes: int) -> None:
        told = catalogue.activities(SEED)
        for each in told["activities"]:
            each["minutes"] += minutes
        await cairn.tell("PUT", "/pathing/activities", told)

    await district.stage("roster", lambda: of_roster(places))
    await district.stage("framework", lambda: adopt(framework.package()), swept=(Topic.MASTERY,))
    await district.stage("alignments", lambda: cairn.tell("PUT", "/evidence/alignments", items.alignments(items.all_items())))
    await district.stage("activities", lambda: offer(0), swept=(Topic.PATHING,))
    await district.stage("days", spaces, planned=True)
    await district.stage("evidence", lambda: _answer(district))
    await district.stage("roster again", lambda: of_roster(places))
    await district.stage("roster changed", lambda: of_roster([_moved(each) for each in places]))
    await district.stage("activities changed", lambda: offer(5), swept=(Topic.PATHING,))
    await district.stage("framework changed", lambda: adopt(_other(framework.package())), swept=(Topic.MASTERY, Topic.PATHING))
    await district.stage("everybody listed", lambda: _listed(district))


def _moved(school: School) -> School:
    """Return a school in which some learners are in another section, and so in other classes."""
    first, second = SECTIONS[:2]
    other = {first: second, second: first}
    return replace(
        school,
        learners=tuple(replace(each, section=other[each.section]) if n % CHANGED == 0 else each for n, each in enumerate(school.learners)),
    )


def _other(package: dict[str, Any]) -> dict[str, Any]:
    """Return the framework without one of its links."""
    links = package["CFAssociations"]
    last = max(n for n, each in enumerate(links) if each["associationType"] == "precedes")
    return package | {"CFAssociations": links[:last] + links[last + 1 :]}


async def _answer(district: District) -> None:
    """Send what some learners of each school hand in, school by school in order of time."""
    now = clock_from(None, district.home).now()

    async def of(school: School) -> None:
        minds = [learners.mind(each, SEED) for each in school.learners[::SHARE]]
        told = sorted((answer for mind in minds for answer in _checks(mind)), key=lambda answer: answer.ended_at)
        for start in range(0, len(told), TOGETHER):
            await district.cairn.tell("POST", "/evidence/caliper", caliper.envelope(told[start : start + TOGETHER], now))

    await all_at_once([of(each) for each in district.places], most=SIDE_BY_SIDE)


def _checks(mind: Mind) -> Iterator[Answer]:
    return islice(learners.start_of_year(mind), ANSWERS)


async def _listed(district: District) -> None:
    """Page through everybody, and ask for the needs of a class of each school.

    Raises:
        AssertionError: not everybody is there, or a school's tomorrow is not planned.
    """
    cairn = district.cairn
    found = await cairn.every("/profile/learners")
    assert len(found) == district.learners, f"{len(found)} of {district.learners} learners"
    for place in await cairn.every("/profile/schools"):
        name = place["school_id"]
        day = await cairn.get(f"/scheduling/schools/{name}/days/tomorrow", limit="1")
        assert day["learners"] > 0, f"tomorrow of school {name} places nobody"
        classes = await cairn.every(f"/profile/schools/{name}/classes")
        await cairn.get(f"/mastery/classes/{classes[0]['class_id']}/needs")


@contextlib.asynccontextmanager
async def _watched(entries: Mapping[str, Entry]) -> AsyncIterator[Watch]:
    watch = Watch(entries)
    task = asyncio.create_task(watch.forever())
    try:
        yield watch
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _district(home: Path, count: int) -> tuple[dict[str, Stage], Watch]:
    entries = read_entries(home)
    partitions = int(setting(entries[Topic.EVIDENCE].environment, "partitions") or 0)
    processes = {name: entry.process for name, entry in entries.items() if entry.process is not None} | servers_of(home)
    async with Cairn(entries[GATEWAY].address, limit_s=PATIENCE_S) as cairn, _watched(entries) as watch:
        district = District(home, cairn, schools(count, max(count // AT_A_SCHOOL, 2), SEED), processes, partitions)
        print(f"  {district.learners:,} learners in {len(district.places)} schools", flush=True)
        await bring_in(district)
    return district.stages, watch


def measure_one(home: Path, count: int, bars: Bars, keep: bool = False) -> dict[str, Stage]:
    """Bring one district into an installation of its own, print what it took, and return the stages."""
    try:
        up(home, now=NOW)
        stages, watch = asyncio.run(_district(home, count))
    finally:
        if not keep:
            stop(home, wipe=True)
    for name, mib in watch.most_mib.items():
        bars.figure(f"{count:,} learners: most memory of {name}", mib, "MiB", at_most=GATEWAY_BAR if name == GATEWAY else SERVICE_BAR)
    for name, seconds in watch.slowest_s.items():
        bars.figure(f"{count:,} learners: slowest word of its health, {name}", seconds, "s")
    bars.figure(f"{count:,} learners: looks at which a service was not ready", len(watch.unwell), at_most=0)
    bars.figure(f"{count:,} learners: events of the same roster again", stages["roster again"].events, at_most=0)
    return stages


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Bring in a small and a large district, and print what a learner of the large one costs, to one of the small one."""
    small, large = QUICK if quick else (SMALL, LARGE)
    before, after = (measure_one(home / str(count), count, bars) for count in (small, large))
    for name, stage in after.items():
        bars.figure(f"{name}: CPU per learner at {large:,}", stage.us, "us")
        bars.figure(f"{name}: to that at {small:,}", stage.us / before[name].us, "times", at_most=BAR)
    whole = [sum(stage.us for stage in stages.values()) for stages in (before, after)]
    bars.figure(f"all stages: CPU per learner at {large:,}, to {small:,}", whole[1] / whole[0], "times", at_most=BAR)


def main() -> int:
    """Bring in one district of a size, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--learners", type=int, default=LARGE)
    parser.add_argument("--keep", action="store_true", help="leave the installation running, for a look")
    options, bars = parser.parse_args(), Bars()
    with room("district" if options.keep else "") as folder:
        measure_one(folder / "district", options.learners, bars, options.keep)
    return bars.close()


if __name__ == "__main__":
    sys.exit(main())
