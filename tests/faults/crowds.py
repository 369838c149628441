"""Scenarios 9, 12 and 13: many workers that come and go, clocks that differ, and more evidence than can be taken."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psycopg

from shared.leader import CLAIM_S
from shared.ledger.group import MAX_WAIT_S, MAX_WAITING
from tests.faults import seeds
from tests.faults.load import Request, load
from tests.faults.stage import Stage, scenario
from tests.faults.town import REFUSED, SESSION_MS, Town, eventually

SCALES = (1, 8, 3)
STEP_S = 6.0
MOVED_S, REFUSED_S = 90.0, 2.0
"""Within which a batch is to be met by a rebalance; and time for it to be refused, after the lock is gone."""
FAKETIME = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1")
SKEW_S = 1_200.0 + 5.0
"""Between two clocks of which one is 10 minutes ahead and the other 10 behind."""
TURNED_BACK = """
    SELECT count(*) FROM (SELECT recorded_at < lag(recorded_at) OVER (PARTITION BY partition ORDER BY position) AS back FROM event) e
    WHERE back"""
AHEAD = "SELECT coalesce(max(recorded_at) > now() + interval '5 min', false) FROM event"
"""Whether a service has recorded something at a time that is still to come."""
BEFORE_DST = "2026-11-01T05:59:50Z"
"""Ten seconds before clocks in New York are put back."""
CROWD, AT_ONCE, RIVALS = 40, 500, 2
"""Clients at least, acts of a request, and clients by whom the capacity is measured."""
DISTRICT = 2_000
"""Learners that a crowd tells about. Evidence that comes late is weighed among all that its learner has done, here as in a district with
little: what a few learners cost of whom everything comes late is another question than what a queue does."""
FAIR = 6.0
"""Times the crowd's requests would take at the measured capacity: for so long its clients ask again. None of them is served in turn, a
machine that answers a crowd takes less than one that does not, and what does not fit waits for a second."""
LEAST_PATIENCE_S = 60.0
OVER_S = 8.0
MEASURE_S = 5.0
RSS_EVERY_S = 0.2
TIMES = 3.0
HASTE = 1.5
"""Seconds between two requests of a client that is refused, on a machine that is busy."""
MOST_RSS = 900 << 20
"""Bytes that a service may hold while it is overloaded."""
RECOVER_S = 240.0
LIMIT_S = 60.0


@scenario("scale", 9)
def scale(stage: Stage) -> None:
    """Mastery goes from 1 worker to 8 and back to 3 under load, some asked to stop and some killed; partitions move mid-batch."""
    with stage.town() as town:
        town.begin("evidence")
        town.start("mastery", 0)
        town.await_ready()
        with load(town, stage.seed, pause_s=0.05) as client:
            eventually(lambda: _mid_batch(stage, town), "a rebalance takes a batch out of a worker's hand", MOVED_S)
            for wanted in (*SCALES[1:], *SCALES):
                _scale(stage, town, wanted)
                time.sleep(STEP_S)
            town.await_ready()
            client.until(100)
        stage.must(len(town.of("mastery")) == SCALES[-1], "not so many workers run as were started")
        stage.judge(town, client)
        stage.inject("batch refused, its partition had moved", refusals(town))


def refusals(town: Town) -> int:
    """Return how many batches were refused since another worker of mastery had written them: their partitions moved while in hand."""
    return sum(worker.said().count(REFUSED) for worker in town.workers if worker.service == "mastery")


def _mid_batch(stage: Stage, town: Town) -> bool:
    """Let one more worker join while those there have a batch in hand that a lock holds up; return whether it had to be refused.

    What is in hand may be of a partition that stays where it is: then nothing is refused, and the next worker joins.
    """
    number = len(town.of("mastery"))
    with psycopg.connect(town.records["mastery"]) as holder:
        holder.execute("SELECT id FROM partition ORDER BY id FOR UPDATE")
        town.await_ready(town.start("mastery", number))
        stage.inject("worker added")
        time.sleep(SESSION_MS / 1000)
    time.sleep(REFUSED_S)
    return refusals(town) > 0


def _scale(stage: Stage, town: Town, wanted: int) -> None:
    running = town.of("mastery")
    for worker in running[wanted:]:
        worker.send(stage.draw.choice((signal.SIGTERM, signal.SIGKILL)))
        stage.inject("worker away")
    for worker in running[wanted:]:
        worker.process.wait(LIMIT_S)
    taken = {worker.name for worker in town.of("mastery")}
    for number in range(wanted):
        if f"mastery-{number}" not in taken:
            town.start("mastery", number)
            stage.inject("worker added")


@scenario("name-taken", 9)
def name_taken(stage: Stage) -> None:
    """Another machine runs mastery under the name of a worker that is at work: it ends and says what to do, and the worker goes on."""
    with stage.town() as town:
        town.begin()
        first = town.of("mastery")[0]
        with load(town, stage.seed) as client:
            client.until(50)
            second = town.start("mastery", 0)
            eventually(lambda: not second.alive, "the second worker of this name ends", CLAIM_S + LIMIT_S)
            stage.inject("worker under a name that is taken")
            stage.must("CAIRN_INSTANCE_ID of its own" in second.said(), f"it does not say what to do: {second.said()[-500:]}")
            client.until(50)
            first.kill()
            stage.inject("kill mastery")
            town.begin("mastery")
            client.until(50)
        stage.judge(town, client)


def _clock(stage: Stage, town: Town, service: str, minutes: int) -> dict[str, str]:
    """Return the environment of a process whose clock is so many minutes off."""
    library = next((path for path in FAKETIME if Path(path).exists()), None)
    if library is not None:
        stage.inject(f"clock {minutes:+} min by libfaketime")
        return {"LD_PRELOAD": library, "FAKETIME": f"{minutes:+}m", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    from datetime import UTC, datetime, timedelta

    stage.inject(f"clock {minutes:+} min by CAIRN_NOW")
    home = town.folder / f"home-{service}-{len(town.workers)}"
    return {"CAIRN_HOME": str(home), "CAIRN_NOW": (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()}


@scenario("clock-skew", 12)
def clock_skew(stage: Stage) -> None:
    """Evidence's clock is 10 minutes ahead and mastery's behind, then the other way round, so that each goes back by 20."""
    with stage.town() as town:
        with load(town, stage.seed) as client:
            for turn in (1, -1):
                for service, minutes in (("evidence", 10 * turn), ("mastery", -10 * turn)):
                    for worker in town.of(service):
                        worker.end()
                    town.start(service, **_clock(stage, town, service, minutes))
                town.await_ready()
                client.until(100)
                ahead = "evidence" if turn > 0 else "mastery"
                eventually(lambda ahead=ahead: town.ask(ahead, AHEAD)[0][0], f"the clock of {ahead} is ahead", LIMIT_S)
        stage.judge(town, client, skew_s=SKEW_S)
        for service in town.services:
            ((back,),) = town.ask(service, TURNED_BACK)
            stage.must(back == 0, f"time goes back {back} times in a partition of {service}")


@scenario("dst", 12)
def dst(stage: Stage) -> None:
    """Clocks are put back in New York while evidence comes in; one process lives there, the other in Berlin."""
    with stage.town(CAIRN_NOW=BEFORE_DST) as town:
        town.start("evidence", TZ="America/New_York")
        town.start("mastery", TZ="Europe/Berlin")
        town.await_ready()
        began = time.monotonic()
        with load(town, stage.seed) as client:
            client.until(50)
            time.sleep(max(0.0, 15.0 - (time.monotonic() - began)))
            client.until(50)
            times = town.ask("evidence", "SELECT min(recorded_at), max(recorded_at) FROM event WHERE type = 'evidence.recorded.v1'")
        first, last = times[0]
        stage.must(last.hour == 6 and last.year == 2026, f"the hour was not passed: {first} to {last}")
        stage.inject("clocks put back under load")
        stage.judge(town, client, skew_s=30.0)
        for service in town.services:
            ((back,),) = town.ask(service, TURNED_BACK)
            stage.must(back == 0, f"time goes back {back} times in a partition of {service}")


def _large(seed: int) -> Iterator[Request]:
    """Yield requests of as many acts as one may hold: quizzes of a district's learners, of which a few happened long before others."""
    quizzes = seeds.quizzes(seed, learners=DISTRICT)
    while True:
        yield "/evidence", {"items": [act for _ in range(AT_ONCE // seeds.IN_A_ROW) for act in next(quizzes)]}


@scenario("overload", 13)
def overload(stage: Stage) -> None:
    """Evidence is offered three times what it can take: it says 429 and when to come back, stays small, and recovers."""
    with stage.town(CAIRN_CONSUME_MAX_RECORDS="1000") as town:
        seeds.know(town.records["evidence"], DISTRICT)
        town.begin()
        evidence = town.of("evidence")[0]
        with load(town, stage.seed, requests=_large(stage.seed), clients=RIVALS, pause_s=0.0) as calm:
            calm.until(AT_ONCE)
            before, began = calm.told, time.monotonic()
            time.sleep(MEASURE_S)
            capacity = (calm.told - before) / (time.monotonic() - began)
        clients = max(CROWD, _crowd(capacity))
        patience_s = max(LEAST_PATIENCE_S, FAIR * clients * AT_ONCE / capacity)
        with _memory(town) as peaks:
            with load(town, stage.seed, requests=_large(stage.seed + 1), clients=clients, pause_s=0.0, patience_s=patience_s) as crowd:
                began = time.monotonic()
                time.sleep(OVER_S)
                offered = sum(crowd.answers.values()) * AT_ONCE / (time.monotonic() - began)
            with load(town, stage.seed, requests=_small(stage)) as after:
                after.until(50)
            stage.must(evidence.alive, "evidence ended")
            eventually(lambda: _behind(town) == 0, "mastery has counted everything", RECOVER_S)
        peak = max(peaks)
        stage.must(crowd.answers[429], f"nobody was told to come back: {dict(crowd.answers)}")
        stage.must(crowd.retry_after, "429 without Retry-After")
        stage.must(offered >= TIMES * capacity, f"{offered:.0f} acts/s were offered, {TIMES} x {capacity:.0f} are wanted")
        stage.must(peak < MOST_RSS, f"a service held {peak >> 20} MiB")
        looks = f"{len(peaks)} looks to the end of recovery"
        stage.inject(f"overload {offered / capacity:.1f}x of {capacity:.0f} acts/s, peak {peak >> 20} MiB in {looks}, 429")
        calm.acks += crowd.acks + after.acks
        stage.judge(town, calm)


def _crowd(capacity: float) -> int:
    """Return how many clients offer enough: some fill the queue, the others are refused, and come again within a second or so.

    Args:
        capacity: acts that evidence takes in a second.
    """
    return math.ceil((min(MAX_WAITING, MAX_WAIT_S * capacity) + HASTE * TIMES * capacity) / AT_ONCE)


@contextmanager
def _memory(town: Town) -> Iterator[list[int]]:
    """Yield a list that gets, until the end, again and again the bytes that the largest process of the town holds."""
    ending, peaks = Event(), list[int]()

    def look() -> None:
        while not ending.is_set():
            peaks.append(max(worker.rss() for worker in town.workers))
            ending.wait(RSS_EVERY_S)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ending.set()
        thread.join()


def _small(stage: Stage) -> Iterator[Request]:
    return (("/evidence", {"items": quiz}) for quiz in seeds.quizzes(stage.seed, 50_000))


def _behind(town: Town) -> int:
    ((length,),) = town.ask("evidence", "SELECT sum(length) FROM partition")
    ((applied,),) = town.ask("mastery", "SELECT sum(position + 1) FROM inbox WHERE source = 'evidence'")
    return int(length - applied)
