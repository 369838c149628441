"""Scenarios 1 and 3: services are killed at named points and at random; relays are killed, and two of them are at work at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

import psycopg

from demo.school import school
from shared.failpoints import POINTS
from shared.relay.relay import RELAY_LOCK
from tests.faults.district import EVERY, LEARNERS, District, busy, district, judge_district
from tests.faults.load import Load, behind, load
from tests.faults.stage import Stage, scenario
from tests.faults.town import HEARS, SMALL, Town, eventually

HITS = 3
"""A process dies at a point when it passes it for the first time, or one of the next."""
REACHED_S = 60.0
CATCH_UP_S = 180.0
"""Time to come to rest where five services died in turn for some minutes while evidence came in: each has a backlog, much of it late."""
MOST_BEHIND = 1_000
"""Events of evidence that mastery may have before it there, until a client tells more: what is left to do when the last one has died is the
same on a machine that takes long to start a service again and again."""
PART_S = 6.0
"""Pause between two parts of newcomers where services die in turn for minutes: some come while evidence does."""
RANDOM_KILLS = 12
DRAINS_S = 3.0
HEARING = [point for point in POINTS if point.startswith(("batch", "inbox"))]
"""Points that only a service passes which hears another one."""
OWN = [point for point in POINTS if point not in HEARING]
WAITING = "SELECT count(*) FROM act WHERE learner_id IS NULL"
DAWDLE = (
    "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'",
    "CREATE TRIGGER dawdle BEFORE INSERT ON event FOR EACH STATEMENT EXECUTE FUNCTION dawdle()",
)
"""Whoever appends to this ledger has a batch in hand for long, without a lock that somebody else holds: for such a one nobody waits."""
DAWDLING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
WAKE = "DROP FUNCTION dawdle CASCADE"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
TERMINATE_RELAY = "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE datname = %s AND objid = %s"


def die_at(stage: Stage, town: Town, service: str, points: Sequence[str]) -> None:
    """Start a service again and again, each time so that it dies at the next of these points; in the end it runs."""
    for worker in town.of(service):
        worker.end()
    for point in points:
        worker = town.start(service, CAIRN_FAILPOINT=f"{point}:kill:{stage.draw.randint(1, HITS)}")
        eventually(lambda worker=worker: not worker.alive, f"{service} reaches {point}", REACHED_S)
        stage.must(worker.process.returncode == -signal.SIGKILL, f"{service} ended by itself at {point}: {worker.said()[-800:]}")
        stage.inject(f"kill {service} {point}")
    stage.fault_ends()
    town.start(service)
    town.await_ready(*town.of(service))


@scenario("kill-points", 1, short=True)
def kill_points(stage: Stage) -> None:
    """SIGKILL evidence and mastery around append, inbox move, commit, Kafka's acknowledgement, and `published`, while some acts wait."""
    with stage.town(("profile", *SMALL)) as town:
        town.begin()
        newcomers = District(town, school(LEARNERS, stage.seed), stage.seed)
        newcomers.begin()
        with busy(newcomers) as client:
            client.until(50)
            die_at(stage, town, "evidence", [stage.draw.choice(HEARING), *stage.draw.sample(OWN, 2)])
            die_at(stage, town, "mastery", ["inbox.after", "commit.before", "commit.after"])
            client.until(50)
        stage.judge(town, client)


@scenario("kill-everywhere", 1, whole=True)
def kill_everywhere(stage: Stage) -> None:
    """SIGKILL each of the five services at each of the named points, while evidence and preferences come in."""
    with district(stage) as town:
        with busy(town, part_s=PART_S, may_tell=lambda: behind(town.town) <= MOST_BEHIND) as client:
            for service in EVERY:
                points = POINTS if HEARS[service] else OWN
                die_at(stage, town.town, service, stage.draw.sample(points, len(points)))
            client.until(50)
            stage.must(_released(town.town, client) > 0, "nothing that had waited was released while services died")
        judge_district(stage, town, client, killed=True, within_s=CATCH_UP_S)


@scenario("kill-at-random", 1, whole=True)
def kill_at_random(stage: Stage) -> None:
    """SIGKILL any of the five services at any moment; each is started again at once, as a supervisor does."""
    with district(stage) as town:
        with busy(town) as client:
            for _ in range(RANDOM_KILLS):
                time.sleep(stage.draw.uniform(0.2, 3.0))
                service = stage.draw.choice(EVERY)
                for worker in town.town.of(service):
                    worker.kill()
                    stage.inject(f"kill {service}")
                stage.fault_ends()
                town.town.start(service)
            town.town.await_ready()
            client.until(50)
            stage.must(_released(town.town, client) > 0, "nothing that had waited was released while services died")
        judge_district(stage, town, client, killed=True)


@scenario("relay-killed", 3, short=True)
def relay_killed(stage: Stage) -> None:
    """SIGKILL after the broker's acknowledgement and before `published` moves: the events go out again, and count once."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            client.until(30)
            die_at(stage, town, "evidence", ["published.before", "published.before"])
            client.until(30)
        verdict = stage.judge(town, client)
        stage.must(verdict.counts["evidence: repeated in Kafka (harmless)"] > 0, "nothing was sent twice: the fault did not happen")


@scenario("two-relays", 3)
def two_relays(stage: Stage) -> None:
    """A relay stands still with a batch in hand, loses its lock, another one goes on, and then the first one sends its old batch."""
    with stage.town() as town:
        town.begin()
        town.of("evidence")[0].end()  # All there is was sent: who starts now passes its point only with a batch of the load in hand.
        first = town.start("evidence", 0, CAIRN_FAILPOINT="produce.before:stop:20")
        town.await_ready()
        with load(town, stage.seed) as client:
            eventually(lambda: first.stopped, "the first relay stands still", REACHED_S)
            second = town.start("evidence", 1)
            town.await_ready(second)
            ended = town.administer(TERMINATE_RELAY, town.database_name("evidence"), RELAY_LOCK)
            stage.must(len(ended) == 1, f"{len(ended)} relays held the lock instead of one")
            published = _published(town)
            eventually(lambda: _published(town) > published + 100, "the second relay goes on")
            stage.fault_ends()
            first.send(signal.SIGCONT)
            stage.inject("relay resumed with an old batch behind another one")
            client.until(100)
        verdict = stage.judge(town, client)
        stage.must(verdict.counts["evidence: repeated in Kafka (harmless)"] > 0, "the old batch was never sent again")
        stage.must(first.alive and second.alive, "a relay did not survive the other one")


@scenario("drain", 1)
def drain(stage: Stage) -> None:
    """SIGTERM under load: what is in hand is finished, and the process ends well, also while somebody holds its partitions; a second one
    ends it where it stands."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            for service in town.services:
                client.until(50)
                stage.must(town.of(service)[0].end() == 0, f"{service} did not end well when it was asked to stop")
                stage.inject(f"SIGTERM {service}")
                town.begin(service)
            with psycopg.connect(town.records["mastery"]) as holder:
                holder.execute("SELECT id FROM partition ORDER BY id FOR UPDATE")
                client.until(50)
                stage.must(town.of("mastery")[0].end() == 0, "mastery did not end well while somebody held its partitions")
                stage.inject("SIGTERM, all partitions held by somebody")
            town.begin("mastery")
            mastery = town.of("mastery")[0]
            town.own("mastery", *DAWDLE)
            client.until(50)
            mastery.send(signal.SIGTERM)
            time.sleep(DRAINS_S)
            stage.must(mastery.alive, "mastery gave up the batch in hand at once")
            mastery.send(signal.SIGTERM)
            eventually(lambda: not mastery.alive, "the second SIGTERM ends mastery at once", DRAINS_S)
            stage.inject("SIGTERM twice, with a batch in hand")
            town.administer(TERMINATE, town.database_name("mastery"))
            town.own("mastery", WAKE)
            stage.fault_ends()
            town.begin("mastery")
            client.until(50)
        stage.judge(town, client)


def _published(town: Town) -> int:
    return int(town.ask("evidence", "SELECT sum(position) FROM published")[0][0])


def _released(town: Town, client: Load) -> int:
    """Return how many acts that waited when they were acknowledged wait no longer."""
    return client.waited - int(town.ask("evidence", WAITING)[0][0])
