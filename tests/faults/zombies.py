"""Scenario 2: a worker stands still longer than Kafka waits for it, another one goes on, and then the first one wakes with its batch."""

from __future__ import annotations

import signal
import time

from tests.faults.load import load, passes
from tests.faults.stage import Stage, scenario
from tests.faults.town import REFUSED, SESSION_MS, Worker, eventually

HITS = 8
"""A worker stands still with one of its first batches under load."""
REACHED_S = 60.0
MARGIN_S = 3.0
PROGRESS_S = 60.0


def _zombie(stage: Stage, point: str) -> None:
    with stage.town() as town:
        town.begin()
        town.of("mastery")[0].end()  # All there is was heard: who starts now passes its point only with a batch of the load in hand.
        first = town.start("mastery", 0, CAIRN_FAILPOINT=f"{point}:stop:{stage.draw.randint(1, HITS)}")
        town.await_ready()
        with load(town, stage.seed) as client:
            eventually(lambda: first.stopped, f"the worker reaches {point}", REACHED_S)
            second = town.start("mastery", 1)
            time.sleep(SESSION_MS / 1000 + MARGIN_S)
            town.await_ready(second)
            passes(town, "the other worker takes the sleeper's partitions over", PROGRESS_S)
            stage.fault_ends()
            first.send(signal.SIGCONT)
            stage.inject(f"stop {point}, continue after the session timeout")
            _woken(stage, first, point)
            client.until(50)
        stage.judge(town, client)
        stage.must(first.alive and second.alive, f"a worker ended: {first.said()[-500:]} {second.said()[-500:]}")


def _woken(stage: Stage, first: Worker, point: str) -> None:
    """Wait until the sleeper has met the world as it is now."""
    if point == "batch.before":
        eventually(lambda: REFUSED in first.said(), "the sleeper's batch is refused by the inbox", REACHED_S)
        stage.inject("zombie's batch refused")
    else:
        eventually(lambda: "batch is tried again" in first.said(), "the sleeper's transaction was ended by the server", REACHED_S)
        stage.inject("zombie's transaction ended by the server")


@scenario("zombie", 2, short=True)
def zombie(stage: Stage) -> None:
    """SIGSTOP a worker with a batch in hand past its session; when it wakes, the conditional inbox move refuses what it brings."""
    _zombie(stage, "batch.before")


@scenario("zombie-in-transaction", 2)
def zombie_in_transaction(stage: Stage) -> None:
    """SIGSTOP a worker inside its transaction: the locks it holds are taken from it, so that another one can go on."""
    _zombie(stage, "commit.before")


@scenario("zombie-in-copy", 2)
def zombie_in_copy(stage: Stage) -> None:
    """SIGSTOP a worker in the middle of a COPY, where no timeout of PostgreSQL ends its session: the others end it."""
    _zombie(stage, "append.within")
