"""What a district's days cost a scheduling process in memory: `python -m bench.days [SCHOOLS] [LEARNERS]`, by default 80 schools of 600.

Two processes, each fresh: one searches a day of every school in turn, as the search process does; one keeps what a ledger keeps of their
states. The memory of both is bounded by what is kept, and must not grow with the schools.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final
from uuid import UUID

import psutil
from pydantic import TypeAdapter

from services.scheduling.domain.codec import CODEC, DayState
from services.scheduling.search import DaySearch, solve
from shared.contracts.envelope import Origin
from shared.contracts.pathing import Option, Reason, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, GroupRule, Period, Placement, SchoolResources, Space, StaffMember, Zone
from shared.ledger.states import States
from shared.ticker.pool import rare_gc

MIB: Final = 1024 * 1024
ON: Final = date(2026, 10, 13)
SUBJECTS: Final = ("mathematics", "reading")
WAYS: Final = (Modality.PRACTICE, Modality.TEACHER_LED, Modality.SMALL_GROUP)
LED: Final = Origin(str(UUID(int=1)), str(UUID(int=1)))
_STAFF: Final = TypeAdapter(list[StaffMember])
_DAY: Final = TypeAdapter(tuple[Placement, ...])


def main() -> None:
    """Print the memory after the first schools and after all of them."""
    schools, learners = (int(text) for text in (sys.argv[1:] + ["80", "600"][len(sys.argv) - 1 :]))
    for what, done in (("search", searched), ("states", decided)):
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=run, args=(done, schools, learners, theirs))
        process.start()
        for _ in range(schools):
            number, rss = ours.recv()
            if number in {0, 3, schools // 2, schools - 1}:
                print(f"{what}: after {number + 1:>3} schools of {learners} learners: {rss / MIB:>5.0f} MiB", flush=True)
        process.join()


def run(done: Callable[[DaySearch], None], schools: int, learners: int, told: Connection) -> None:
    """Do something with a day of each school, and tell the memory after each."""
    rare_gc()
    for number in range(schools):
        done(day(number, learners))
        told.send((number, psutil.Process().memory_info().rss))


def searched(asked: DaySearch) -> None:
    """Search a day, as the other process does."""
    solve(asked)


def decided(asked: DaySearch, kept: States = States()) -> None:  # noqa: B008 - a process has one ledger
    """Keep a day's state as a ledger does: as it was decoded, by what it takes encoded."""
    demands = {each.learner_id: each for each in map(Demand.model_validate_json, asked.demands.splitlines())}
    days = {UUID(line[:36]): _DAY.validate_json(line[37:]) for line in asked.days.splitlines()}
    encoded = CODEC.encode(DayState(demands=demands, days=days))
    kept.keep(asked.stream, 1, CODEC.decode(encoded), len(encoded) * CODEC.bulk)


def day(number: int, learners: int) -> DaySearch:
    """Return what a day of a made-up school is searched from: six periods, six needs of each learner, of whom one in nine has a new one."""
    periods = tuple(
        Period(id=f"p{n}", starts=f"{8 + n:02}:00", ends=f"{8 + n:02}:45", subject=SUBJECTS[n % len(SUBJECTS)]) for n in range(6)
    )
    spaces = tuple(
        Space(id=f"s{n:02}", title=f"Room {n}", zones=tuple(Zone(id=f"z{m}", seats=learners // 20) for m in range(2))) for n in range(20)
    )
    rules = (
        GroupRule(modality=Modality.SMALL_GROUP, smallest=2, largest=6),
        GroupRule(modality=Modality.TEACHER_LED, smallest=3, largest=14),
    )
    school = SchoolResources(school_id=UUID(int=number + 1), spaces=spaces, periods=periods, staff=(), rules=rules)
    staff = [StaffMember(staff_id=UUID(int=9_000 + n), subjects=(SUBJECTS[n % 2],)) for n in range(learners // 15)]
    who = [UUID(int=number * 100_000 + n + 1) for n in range(learners)]
    unplaced = _DAY.dump_json(tuple(Placement(period_id=period.id) for period in periods)).decode()
    return DaySearch(
        school.school_id, ON, ON, 0, 1, "r", school.model_dump_json(), _STAFF.dump_json(staff).decode(),
        "\n".join(_demand(each, n).model_dump_json() for n, each in enumerate(who)), "", "\n".join(f"{each} {unplaced}" for each in who),
        LED, LED, tuple(who[::9]),
    )  # fmt: skip


def _demand(learner: UUID, number: int) -> Demand:
    needs = []
    for subject in SUBJECTS:
        for place in range(3):
            competency = f"{subject[:2]}{(number + place) % 40:03}"
            options = tuple(
                Option(activity_id=f"{competency}-{way}", modality=way, minutes=20, score=1_000 - rank) for rank, way in enumerate(WAYS)
            )
            needs.append(Step(competency_id=competency, subject=subject, reason=Reason.GOAL, goal_id="goal", options=options))
    return Demand(learner_id=learner, version=1, needs=tuple(needs))


if __name__ == "__main__":
    main()
