"""Scenarios 9 and 13: many workers that come and go, and more evidence than can be taken."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from threading import Event, Thread

from shared.consume.wiring import MAX_PARTITION_FETCH_BYTES
from shared.leader import CLAIM_S
from shared.ledger.group import MAX_WAITING
from shared.ledger.states import MAX_BYTES
from shared.relay.fresh import MAX_FRESH_BYTES
from tests.faults import seeds
from tests.faults.kills import DAWDLE, DAWDLING, WAKE
from tests.faults.load import TAKEN, Load, Request, behind, load, passes
from tests.faults.offered import Offered, offer
from tests.faults.stage import Stage, scenario
from tests.faults.town import REFUSED, SESSION_MS, Town, eventually

SCALES = (1, 8, 3)
STEP_S = 6.0
MOVED_S, REFUSED_S = 90.0, 2.0
"""Within which a batch is to be met by a rebalance; and time for it to be refused, after nobody dawdles any more."""
AT_ONCE, RIVALS = 500, 2
"""Acts of a request of the crowd, and clients by whom the capacity is measured."""
DISTRICT = 2_000
"""Learners that a crowd tells about. Evidence that comes late is weighed among all that its learner has done, here as in a district with
little: what a few learners cost of whom everything comes late is another question than what a queue does."""
TIMES, OVER_S = 3.0, 10.0
"""What is offered, in capacities, and for how long."""
SPARE = 1.05
"""More than that is due, so that a client that is a little late has still offered it."""
MEASURE_S = 5.0
CONNECTIONS = 2 * MAX_WAITING // AT_ONCE
"""Of the crowd: the requests that fill the queue, and as many that are read, refused and answered meanwhile."""
ORDINARY, ORDINARY_S = 0.1, 8.0
"""Share of the capacity that is told before and after, quiz by quiz; and for how long it is looked at."""
SLOWER = 3.0
"""Times that an ordinary request may wait longer than before the overload, once that is over."""
AGAIN_S = 60.0
"""Within which the ordinary rate is taken again like that."""
RSS_EVERY_S = 0.2
MOST_GROWTH = {
    "evidence": MAX_WAITING * 4096 + MAX_BYTES + MAX_FRESH_BYTES,
    "mastery": 8 * MAX_PARTITION_FETCH_BYTES + 2 * MAX_BYTES + MAX_FRESH_BYTES,
}
"""Bytes beyond what a service holds at rest. Evidence: the acts that its queue takes, 4 KiB each as told and as parsed. Mastery: what it
fetches of eight partitions, and the records in its hands, as much as its states. Both: the states that they keep, and the events that their
relay keeps until they are sent."""
RECOVER_S = 240.0
"""Within which mastery counts what was taken in an overload, and all that is told until the ordinary rate is taken again."""
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
                passes(town, "who is there has every partition: those who left keep their names, and theirs, for a session", MOVED_S)
            town.await_ready()
            client.until(100)
        stage.must(len(town.of("mastery")) == SCALES[-1], "not so many workers run as were started")
        stage.judge(town, client)
        stage.inject("batch refused, its partition had moved", refusals(town))


def refusals(town: Town) -> int:
    """Return how many batches were refused since another worker of mastery had written them: their partitions moved while in hand."""
    return sum(worker.said().count(REFUSED) for worker in town.workers if worker.service == "mastery")


def _mid_batch(stage: Stage, town: Town) -> bool:
    """Let one more worker join while those there have batches in hand for longer than that takes; return whether one had to be refused.

    What is in hand may be of partitions that stay where they are: then nothing is refused, and the next worker joins.
    """
    town.own("mastery", *DAWDLE)
    eventually(lambda: town.ask("mastery", DAWDLING), "a worker has a batch in hand", LIMIT_S)
    town.await_ready(town.start("mastery", len(town.of("mastery"))))
    stage.inject("worker added")
    time.sleep(SESSION_MS / 1000)
    town.own("mastery", WAKE)  # Which waits for who dawdles.
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
    stage.fault_ends()


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
            stage.fault_ends()
            town.begin("mastery")
            client.until(50)
        stage.judge(town, client)


@scenario("overload", 13)
def overload(stage: Stage) -> None:
    """Evidence is offered three times what it can take, answered or not: it says 429 and when to come back, stays small, recovers."""
    with stage.town(CAIRN_CONSUME_MAX_RECORDS="1000") as town:
        seeds.know(town.records["evidence"], DISTRICT)
        town.begin()
        evidence = town.of("evidence")[0]
        capacity, calm = _capacity(stage, town)
        eventually(lambda: behind(town) == 0, "mastery has counted everything before it begins", RECOVER_S)
        before = _ordinary(stage, town, capacity)
        stage.must(before.all_taken, f"what is ordinary is not taken before the overload: {dict(before.answers)}")
        rest = {worker.name: worker.rss() for worker in town.workers}
        with _memory(town) as looks:
            per_s = SPARE * TIMES * capacity / AT_ONCE
            crowd = offer(evidence.address, islice(_large(stage.seed + 1), math.ceil(per_s * OVER_S)), per_s, CONNECTIONS)
            stage.fault_ends()
            again_s, after = _recovered(stage, town, capacity, before)
            eventually(lambda: behind(town) == 0, "mastery has counted everything", RECOVER_S)
        stage.must(evidence.alive, "evidence ended")
        stage.must(crowd.rate * AT_ONCE >= TIMES * capacity, f"{crowd.rate * AT_ONCE:.0f} acts/s were offered, {crowd.kept_back} kept back")
        stage.must(crowd.answers[429], f"nobody was told to come back: {dict(crowd.answers)}")
        stage.must(crowd.retry_after == crowd.answers[429], "429 without Retry-After")
        stage.must(set(crowd.answers) <= {TAKEN, 429}, f"a request was answered otherwise, or not at all: {dict(crowd.answers)}")
        grown = {name: max(look[name] for look in looks) - held for name, held in rest.items()}
        for worker in town.workers:
            most = MOST_GROWTH[worker.service]
            stage.must(grown[worker.name] <= most, f"{worker.name} grew by {grown[worker.name] >> 20} MiB, {most >> 20} MiB are its limits")
        told = ", ".join(f"{name} {rest[name] >> 20} + {more >> 20} MiB" for name, more in grown.items())
        stage.inject(
            f"overload {crowd.rate * AT_ONCE / capacity:.1f}x of {capacity:.0f} acts/s, {crowd.kept_back} requests kept back, {told}, 429"
        )
        stage.inject(f"ordinary rate taken {again_s:.0f} s later, {after.typical_s / before.typical_s:.1f}x as slow")
        calm.acks += [*before.acks, *crowd.acks, *after.acks]
        stage.judge(town, calm, within_s=RECOVER_S)


def _capacity(stage: Stage, town: Town) -> tuple[float, Load]:
    """Return how many acts evidence takes in a second from clients that wait for their answers, and what they told."""
    with load(town, stage.seed, requests=_large(stage.seed), clients=RIVALS, pause_s=0.0) as calm:
        calm.until(AT_ONCE)
        before, began = calm.told, time.monotonic()
        time.sleep(MEASURE_S)
        return (calm.told - before) / (time.monotonic() - began), calm


def _ordinary(stage: Stage, town: Town, capacity: float, number: int = 0) -> Offered:
    """Tell quizzes for some seconds at the ordinary rate.

    Args:
        capacity: acts that evidence takes in a second.
        number: of the time that this is done; each time other quizzes are told.
    """
    per_s = ORDINARY * capacity / seeds.IN_A_ROW
    quizzes = seeds.quizzes(stage.seed, (5 + number) * 10_000, DISTRICT)
    told = [("/evidence", {"items": quiz}) for quiz in islice(quizzes, math.ceil(per_s * ORDINARY_S))]
    return offer(town.of("evidence")[0].address, told, per_s, CONNECTIONS)


def _recovered(stage: Stage, town: Town, capacity: float, before: Offered) -> tuple[float, Offered]:
    """Return how many seconds after an overload the ordinary rate was taken again, as fast as before, and what was told meanwhile."""
    began, acks = time.monotonic(), []
    for number in count(1):
        began_s = time.monotonic() - began
        now = _ordinary(stage, town, capacity, number)
        acks += now.acks
        if (now.all_taken and now.typical_s <= SLOWER * before.typical_s) or time.monotonic() - began > AGAIN_S:
            break
    stage.must(now.all_taken, f"what is ordinary is not taken {AGAIN_S:.0f} s after the overload: {dict(now.answers)}")
    stage.must(
        now.typical_s <= SLOWER * before.typical_s, f"what is ordinary takes {now.typical_s / before.typical_s:.1f} times as long as before"
    )
    now.acks = acks
    return began_s, now


@contextmanager
def _memory(town: Town) -> Iterator[list[dict[str, int]]]:
    """Yield a list that gets, until the end, again and again the bytes that each process of the town holds."""
    ending, looks = Event(), list[dict[str, int]]()

    def look() -> None:
        while not ending.is_set():
            looks.append({worker.name: worker.rss() for worker in town.workers})
            ending.wait(RSS_EVERY_S)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        ending.set()
        thread.join()


def _large(seed: int) -> Iterator[Request]:
    """Yield requests of as many acts as one may hold: quizzes of a district's learners, of which a few happened long before others."""
    quizzes = seeds.quizzes(seed, learners=DISTRICT)
    while True:
        yield "/evidence", {"items": [act for _ in range(AT_ONCE // seeds.IN_A_ROW) for act in next(quizzes)]}
