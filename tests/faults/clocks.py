"""Scenario 12: the clocks of a whole district differ, are put back, and meet the beginning and the end of summer time."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from shared.clock import clock_from
from shared.contracts.envelope import Recorded, instant_text
from shared.contracts.scheduling import DayDemanded, PlanAdopted
from shared.ledger import store
from tests.faults.district import EVERY, busy, district
from tests.faults.load import Load
from tests.faults.stage import Stage, scenario
from tests.faults.town import END_S, NeverHappened, Town, eventually

FAKETIME = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1")
SKEW_MIN = {"profile": 10, "evidence": -10, "mastery": 6, "pathing": -6, "scheduling": 8}
"""Minutes by which each service's clock is wrong; then it is wrong by as much on the other side."""
SKEW_S = 1_200.0 + 5.0
"""Between two clocks of which one is 10 minutes ahead and the other 10 behind."""
PERIOD_NEAR = "2026-10-13T08:24:00Z"
"""When the district begins whose clocks are wrong: at 08:30 a period begins, which scheduling's clock passes, and passes again."""
TWO_DAYS = {"2026-10-13", "2026-10-14"}
TURNED_BACK = """
    SELECT count(*) FROM (SELECT recorded_at < lag(recorded_at) OVER (PARTITION BY partition ORDER BY position) AS back FROM event) e
    WHERE back"""
LAST_AT = "SELECT max(recorded_at) FROM event"
ABOUT_DAYS = """
    SELECT bytes FROM event WHERE type IN ('scheduling.plan-adopted.v1', 'scheduling.day-demanded.v1') ORDER BY partition, position"""
SWEPT = "SELECT DISTINCT name FROM cursor WHERE name LIKE 'day/%%' AND done"
LIMIT_S = 120.0
ZONE = "America/New_York"
ZONES = {"profile": "Europe/Berlin", "evidence": ZONE, "mastery": "Pacific/Auckland", "pathing": "Asia/Kolkata", "scheduling": ZONE}
"""Where the processes stand: none of them may go by its own time zone."""
SIDES_S = {"profile": 600, "evidence": -600, "mastery": 360, "pathing": -360, "scheduling": 0}
"""Seconds by which the services' clocks differ, so that they stand on both sides of each moment; scheduling's passes it."""
FIRST_LEAD_S = 40.0
"""Before a moment, at which the processes are started; later ones as the first start took."""
LONG_PAUSE_S = 3.0
"""Of the load, which goes on for ten minutes and more: nearly all of it comes late, and each piece is weighed among all before it, so that
with the usual pause a slow machine gets further behind with every minute."""
SLACK_S = 20.0
"""After a moment, within which what was looked for before it may still be recorded."""


@dataclass(frozen=True)
class Day:
    """What day it is in the school, and which days are planned, each with how many of its periods have begun."""

    today: str
    planned: Mapping[str, int]


@dataclass(frozen=True)
class Moment:
    """An instant at which something changes in New York. Worked out by hand: no library that knows time zones has a say in it."""

    what: str
    at: str
    before: Day
    after: Day

    @property
    def instant(self) -> datetime:
        """When it is."""
        return datetime.fromisoformat(self.at)


SUNDAY, MONDAY = Day("2026-11-01", {"2026-11-02": 0}), Day("2026-11-02", {"2026-11-02": 0, "2026-11-03": 0})
IN_MARCH, ON_MONDAY = Day("2027-03-14", {"2027-03-15": 0}), Day("2027-03-15", {"2027-03-15": 5, "2027-03-16": 0})
MOMENTS = (
    Moment("clocks put back", "2026-11-01T06:00:00Z", SUNDAY, SUNDAY),
    Moment("midnight in winter", "2026-11-02T05:00:00Z", SUNDAY, MONDAY),
    Moment("first period in winter", "2026-11-02T13:30:00Z", MONDAY, Day("2026-11-02", {"2026-11-02": 1, "2026-11-03": 0})),
    Moment("clocks put forward", "2027-03-14T07:00:00Z", IN_MARCH, IN_MARCH),
    Moment("midnight in summer", "2027-03-15T04:00:00Z", IN_MARCH, Day("2027-03-15", {"2027-03-15": 0, "2027-03-16": 0})),
    Moment("last period in summer", "2027-03-15T17:50:00Z", ON_MONDAY, Day("2027-03-15", {"2027-03-16": 0})),
)
"""Saturday's midnight to Monday's is 25 hours in November and 23 in March; periods begin at 08:30, the last one at 13:50."""


@scenario("clock-skew", 12, whole=True)
def clock_skew(stage: Stage) -> None:
    """All five services' clocks are up to 10 minutes wrong, each its own way, then the other way round, so that some go back by 20."""
    with district(stage, CAIRN_NOW=PERIOD_NEAR) as made:
        town = made.town
        with busy(made) as client:
            for turn in (1, -1):
                _end_all(town)
                for service, minutes in SKEW_MIN.items():
                    town.start(service, **_wrong_clock(stage, town, service, minutes * turn))
                town.await_ready()
                client.until(100)
                for service in [service for service, minutes in SKEW_MIN.items() if minutes * turn > 0]:
                    eventually(lambda service=service: _is_ahead(town, service), f"the clock of {service} is ahead", LIMIT_S)
                before = len(_about_days(town))
                eventually(lambda before=before: _planned(_about_days(town)[before:]) == TWO_DAYS, "both days are planned again", LIMIT_S)
        stage.must(made.liked, "nobody said what they like")
        _judge(stage, town, client)
        _periods_go_on(stage, town)


@scenario("dst", 12, whole=True)
def dst(stage: Stage) -> None:
    """A school in New York meets the end and the beginning of summer time: the change, midnight and periods after it, under load."""
    lead_s = FIRST_LEAD_S
    with district(stage, ZONE, CAIRN_NOW=instant_text(MOMENTS[0].instant - timedelta(minutes=30))) as made:
        town = made.town
        with busy(made, pause_s=LONG_PAUSE_S) as client:
            for moment in MOMENTS:
                _end_all(town)
                lead_s = _pass(stage, town, moment, lead_s)
        _judge(stage, town, client)
        swept = {name for (name,) in town.ask("pathing", SWEPT)}
        for day in sorted({moment.at[:10] for moment in MOMENTS}):
            stage.must(f"day/{day}" in swept, f"the paths of {day} were not planned: {sorted(swept)}")


def _end_all(town: Town) -> None:
    for worker in [worker for worker in town.workers if worker.alive]:
        worker.send(signal.SIGTERM)
    for worker in town.workers:
        worker.process.wait(END_S)


def _pass(stage: Stage, town: Town, moment: Moment, lead_s: float) -> float:
    """Let scheduling's clock pass a moment, on either side of which the others' stand; return how long before it to start the next time."""
    began, start = time.monotonic(), moment.instant - timedelta(seconds=lead_s)
    for service, side_s in SIDES_S.items():
        town.start(service, TZ=ZONES[service], **_clock(town, service, start + timedelta(seconds=side_s)))
    town.await_ready()
    took_s = time.monotonic() - began
    if took_s > lead_s - 3:
        raise NeverHappened(f"the services took {took_s:.0f} s to start, and {moment.what} was over")
    settled = moment.instant + timedelta(seconds=SLACK_S)

    def planned() -> bool:
        return _planned([told for told in _about_days(town) if told.time >= settled]) >= moment.after.planned.keys()

    eventually(planned, f"{sorted(moment.after.planned)} are planned after {moment.what}", LIMIT_S)
    wrong = [line for told in _about_days(town) if told.time >= start and (line := _misplaced(moment, told))]
    stage.must(not wrong, f"{moment.what}: {len(wrong)} plans are of another day or period than it is in the school: {wrong[:3]}")
    stage.inject(moment.what)
    return 10 + 2 * took_s


def _misplaced(moment: Moment, event: Recorded[DayDemanded | PlanAdopted]) -> str:
    """Return what is wrong with when a day was asked, or the empty text."""
    told, seconds = event.data, (event.time - moment.instant).total_seconds()
    on, begun = str(told.on), told.begun if isinstance(told, PlanAdopted) else None
    may = [day for day, is_so in ((moment.before, seconds < SLACK_S), (moment.after, seconds >= 0)) if is_so]
    if any(str(told.asked_on) == day.today and on in day.planned and begun in (None, day.planned[on]) for day in may):
        return ""
    return f"{type(told).__name__} of {on}, asked on {told.asked_on}, {begun} periods begun, {seconds:+.0f} s from then"


def _about_days(town: Town) -> list[Recorded[DayDemanded | PlanAdopted]]:
    """Return what days took and how they were planned, in the order of the record; a school's are in one partition."""
    return [store.decoded(bytes(raw)) for (raw,) in town.ask("scheduling", ABOUT_DAYS)]


def _planned(events: Sequence[Recorded[DayDemanded | PlanAdopted]]) -> set[str]:
    """Return the days that were planned."""
    return {str(event.data.on) for event in events if isinstance(event.data, PlanAdopted)}


def _periods_go_on(stage: Stage, town: Town) -> None:
    """What has begun of a day has begun in each of its later plans, too, also where the clock that says so was put back."""
    begun = dict[str, int]()
    for plan in [event.data for event in _about_days(town) if isinstance(event.data, PlanAdopted)]:
        day = str(plan.on)
        stage.must(plan.begun >= begun.get(day, 0), f"{day} is planned with {plan.begun} periods begun after {begun.get(day)}")
        begun[day] = max(plan.begun, begun.get(day, 0))
    stage.must(any(begun.values()), "scheduling's clock passed no beginning of a period")


def _judge(stage: Stage, town: Town, client: Load) -> None:
    stage.judge(town, client, skew_s=SKEW_S)
    for service in EVERY:
        ((back,),) = town.ask(service, TURNED_BACK)
        stage.must(back == 0, f"time goes back {back} times in a partition of {service}")


def _wrong_clock(stage: Stage, town: Town, service: str, minutes: int) -> dict[str, str]:
    """Return the environment of a process whose clock is so many minutes off."""
    library = next((path for path in FAKETIME if Path(path).exists()), None)
    if library is not None:
        stage.inject(f"clock {minutes:+} min by libfaketime")
        return {"LD_PRELOAD": library, "FAKETIME": f"{minutes:+}m", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    stage.inject(f"clock {minutes:+} min by CAIRN_NOW")
    return _clock(town, service, _now(town) + timedelta(minutes=minutes))


def _clock(town: Town, service: str, at: datetime) -> dict[str, str]:
    """Return the environment of a process that begins at this instant, whatever the others' clocks show."""
    return {"CAIRN_HOME": str(town.folder / f"home-{service}-{len(town.workers)}"), "CAIRN_NOW": instant_text(at)}


def _now(town: Town) -> datetime:
    """Return what the town's clock shows where nothing is wrong with it."""
    return clock_from(town.environment["CAIRN_NOW"], town.folder / "home").now()


def _is_ahead(town: Town, service: str) -> bool:
    """Return whether a service has recorded something at a time that is still to come."""
    ((at,),) = town.ask(service, LAST_AT)
    return bool(at > _now(town) + timedelta(minutes=5))
