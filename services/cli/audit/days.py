"""I8, and I7 for school days: each published version of each day is sound and whole, and each day is planned once for what it took.

A day's stream is folded from its beginning; wherever a plan is in force, the checker that shares nothing with the search looks at it.
Streams are read in the order of their names, in pages up to the lengths that the partitions had at first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import psycopg

from services.cli.audit.bookings import Bookings
from services.cli.audit.findings import Findings
from services.cli.verify import DEMANDS, parts_of
from services.scheduling.checker import Inputs, check
from services.scheduling.domain import DayState, day
from services.scheduling.hours import open_days
from services.scheduling.limits import room_of
from services.scheduling.resources import adults, of_day, schools_of
from services.scheduling.versions import ADULTS, UNDATED
from shared.contracts.envelope import Recorded
from shared.contracts.scheduling import DayDemanded, DayStaffed, PlacementChanged, PlanAdopted
from shared.ledger import read, store
from shared.ledger.read import Lengths
from shared.replay import Settings

SERVICE: Final = "scheduling"
FETCH: Final = 500
TOLD: Final = 3
"""Rules of one version of a day that are named."""
DAYS: Final = f"{SERVICE}/day/"
COLUMNS: Final = "stream, version, partition, position, bytes"
SETTINGS: Final = "SELECT bytes FROM event WHERE stream = 'scheduling/settings' ORDER BY version"
LENGTHS: Final = "SELECT id, length, max(last_at) OVER () FROM partition"
NEWEST: Final = "SELECT max(last_at) FROM partition"
_ADULTS: Final = {day.label: adults, **ADULTS}
CLOSING: Final = timedelta(minutes=5)
"""Before a day's last period begins: what comes then may find the day closed."""


@dataclass
class _School:
    """What the days of one school took."""

    taken: dict[date, dict[UUID, int]] = field(default_factory=dict)
    """Day -> learner -> the newest version of her demand that it took."""
    full: set[date] = field(default_factory=set)
    unplanned: dict[date, str] = field(default_factory=dict)

    def owing(self, open_now: Iterable[date]) -> list[date]:
        """Return the days that must be planned with all that was asked: of those that took something, the ones that are open."""
        return sorted(self.taken.keys() & set(open_now))


@dataclass
class _Told:
    """What was counted and found."""

    versions: int = 0
    triggers: int = 0
    unsound: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)


def check_days(url: str, rested: Lengths | None, ids: frozenset[str], findings: Findings) -> None:
    """Check every version of every day.

    Args:
        rested: how long the partitions were when nothing was under way; as long as that is so, what a day took must have been planned.
        ids: the invariants that are wanted, of I7 and I8.
    """
    told, schools = _Told(), dict[UUID, _School]()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        with connection.transaction():
            lanes = connection.execute(LENGTHS).fetchall()
            settings = settings_of(connection.execute(SETTINGS).fetchall())
        lengths = {number: length for number, length, _ in lanes}
        at_rest = lengths == rested
        count = 0
        for stream, events in _streams(connection, DAYS, lengths):
            _Day(stream, settings, told, schools).follow(events)
            count += 1
        open_now = open_days_of(lanes[0][2], settings) if at_rest else {}
        untaken = _untaken(connection, lengths, schools, open_now) if at_rest else []
    if "I8" in ids:
        findings.count("I8", "days", count)
        findings.count("I8", "versions of days that were published", told.versions)
        findings.wrong("I8", "a published day breaks a rule", told.unsound)
        findings.wrong("I8", "somebody is in two places at once", told.twice)
        findings.wrong("I8", "a plan is in the record without all that it changed", told.halves)
    if "I7" in ids:
        findings.count("I7", "triggers of plans", told.triggers)
        findings.wrong("I7", "a plan does not know all that its day took", told.stale)
        findings.wrong("I7", "a day was planned again without a trigger", told.idle)
        if at_rest:
            findings.wrong("I7", "a day took something and was not planned", _unplanned(schools, open_now))
            findings.wrong("I7", "an open day did not take a learner's newest demand", untaken)
        else:
            findings.leave_out("I7", "not at rest: a day that took something may still have to be planned, or to take more")


def settings_of(rows: Iterable[Sequence[Any]]) -> Settings:
    """Return what was in force in scheduling at each version of its settings, from the rows of SETTINGS."""
    return Settings(parts_of(SERVICE).kinds, [store.decoded(bytes(raw)) for (raw,) in rows])


def _streams(connection: psycopg.Connection[Any], prefix: str, lengths: Lengths) -> Iterator[tuple[str, Iterator[Recorded[Any]]]]:
    """Yield the streams whose names begin so, each with its events below these lengths."""
    rows = (row for page in read.pages_under(connection, COLUMNS, prefix, FETCH) for row in page if row[3] < lengths[row[2]])
    for stream, events in groupby(rows, key=itemgetter(0)):
        yield stream, (store.decoded(raw) for *_, raw in events)


class _Day:
    """Follows one day from its first event to its last."""

    def __init__(self, stream: str, settings: Settings, told: _Told, schools: dict[UUID, _School]) -> None:
        self._stream, self._settings, self._told, self._schools = stream, settings, told, schools
        self._state = DayState()
        self._plan: Recorded[PlanAdopted] | None = None
        self._changes = 0
        self._triggers = 0
        self._resources = ""

    def follow(self, events: Iterator[Recorded[Any]]) -> None:
        """Look at every version of the day."""
        for event in events:
            data = event.data
            if not isinstance(data, PlacementChanged):
                self._published()
            match data:
                case DayDemanded() | DayStaffed():
                    self._triggers += 1
                    self._told.triggers += 1
                    self._note(event)
                case PlanAdopted():
                    self._adopted(event)
                case PlacementChanged():
                    self._changed(event)
                case _:
                    pass
            self._state = day.evolve(self._state, data)
        self._published()
        self._end()

    def _adopted(self, event: Recorded[PlanAdopted]) -> None:
        plan = event.data
        if plan.base_version != event.version - 1:
            self._told.stale.append(f"{self._stream}@{event.version} was searched from version {plan.base_version}")
        if not self._triggers and plan.resources == self._resources:
            self._told.idle.append(f"{self._stream}@{event.version}")
        self._plan, self._changes, self._triggers, self._resources = event, 0, 0, plan.resources

    def _changed(self, event: Recorded[PlacementChanged]) -> None:
        plan = self._plan
        self._changes += 1
        follows = plan is not None and (event.version - plan.version, event.position - plan.position) == (self._changes, self._changes)
        if not follows or (plan is not None and event.causation != plan.causation):
            self._told.halves.append(f"{self._stream}@{event.version} stands apart from its plan")

    def _published(self) -> None:
        """Look at the version that is whole now: its plan and all that the plan changed are in."""
        if self._plan is None:
            return
        event, self._plan = self._plan, None
        self._told.versions += 1
        if event.data.moved != self._changes:
            self._told.halves.append(f"{self._stream}@{event.version} moved {event.data.moved} learners and tells of {self._changes}")
        untold = [learner for learner in event.data.learners if learner not in self._state.days]
        if untold:
            self._told.halves.append(f"{self._stream}@{event.version} tells {len(untold)} of its learners no day, such as {untold[0]}")
        school = schools_of(self._settings.at(event.settings)).get(event.data.school_id)
        if school is None:
            self._told.unsound.append(f"{self._stream}@{event.version}: the school has no resources")
            return
        present = _ADULTS.get(event.decider)
        if present is None:
            self._told.unsound.append(f"{self._stream}@{event.version}: this release does not know {event.decider}, use the newer one")
            return
        if event.decider not in UNDATED:
            school = of_day(school, event.data.on)
        inputs = Inputs(school, present(school, self._state.staff), self._state.demands, event.data.begun)
        broken = check(inputs, self._state.days).violations
        twice = list(islice(Bookings(school.periods).twice(self._state.days), TOLD))
        if twice:
            self._told.twice.append(f"{self._stream}@{event.version}: {'; '.join(twice)}")
        if broken:
            self._told.unsound.append(f"{self._stream}@{event.version}: {'; '.join(map(str, broken[:TOLD]))}")

    def _note(self, event: Recorded[Any]) -> None:
        school = self._schools.setdefault(event.data.school_id, _School())
        taken = school.taken.setdefault(event.data.on, {})
        if isinstance(event.data, DayDemanded):
            for demand in event.data.demands:
                taken[demand.learner_id] = max(demand.version, taken.get(demand.learner_id, 0))

    def _end(self) -> None:
        """Note what a day took last and was not planned for, where it could have been."""
        _, _, id, on = self._stream.split("/")
        school = self._schools.get(UUID(id))
        if school is None:
            return
        day_on, resources = date.fromisoformat(on), schools_of(self._settings.at(self._settings.latest)).get(UUID(id))
        if resources is None:
            return
        here = of_day(resources, day_on)
        present = adults(here, self._state.staff)
        if len(self._state.demands) >= room_of(here, len(present)):
            school.full.add(day_on)
        if self._triggers and self._state.demands and present:
            school.unplanned[day_on] = f"{self._stream}@{self._state.version}"


def open_days_of(at: datetime | None, settings: Settings) -> dict[UUID, list[date]]:
    """Return the days of each school that were open when scheduling recorded something last (NEWEST), and stay open for a while: only
    they must have a plan of all that was asked before.
    """
    if at is None:
        return {}
    schools = schools_of(settings.at(settings.latest))
    return {
        id: [on for on in open_days(school, at) if on in open_days(school, at + CLOSING)]
        for id, school in schools.items()
    }  # fmt: skip


def _unplanned(schools: Mapping[UUID, _School], open_now: Mapping[UUID, Sequence[date]]) -> list[str]:
    """Return the days of schools that have no plan of what they took; earlier ones may have been over before they were planned."""
    return [school.unplanned[on] for id, school in schools.items() for on in school.owing(open_now.get(id, ())) if on in school.unplanned]


def _untaken(
    connection: psycopg.Connection[Any], lengths: Lengths, schools: Mapping[UUID, _School], open_now: Mapping[UUID, Sequence[date]]
) -> list[str]:
    """Return the newest demands that a day of the learner's school did not take though it was open and has room."""
    found = []
    for _, events in _streams(connection, DEMANDS, lengths):
        (event,) = deque(events, maxlen=1)
        id, demand = event.data.school_id, event.data.demand
        school = schools.get(id)
        if school is None:
            continue
        for on in school.owing(open_now.get(id, ())):
            taken, full = school.taken[on], on in school.full
            wanted = demand.learner_id in taken or (demand.present and not full)
            if wanted and taken.get(demand.learner_id, 0) < demand.version:
                found.append(f"{event.stream} version {demand.version} on {on}")
    return found
