"""Scenarios 4 and 5: three brokers, of which the one that matters is killed under load, and all of which are started anew in turn."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from aiokafka.admin import NewTopic

from shared.contracts.topics import RETENTION_MS
from shared.stack import StackError, kafka
from shared.stack.cluster import BROKERS, Broker, Cluster, start_cluster
from tests.faults.district import EVERY, busy, district, go_on, inject_each, judge_district
from tests.faults.load import Load, load
from tests.faults.stage import LeftOut, Stage, scenario
from tests.faults.topics import PARTITIONS, administer
from tests.faults.town import Servers, Town, eventually

START_S = 120.0
PROGRESS_S = 90.0
ALONE: Final = 0
"""The partition that a single broker holds, where one is to be without a leader."""
TURNS: Final = 4
"""Times that all others must have gone on meanwhile: a relay that stops at what it cannot send may have sent others' first."""


@contextmanager
def cluster(stage: Stage) -> Iterator[Cluster]:
    """Yield three brokers, on which the towns of this stage are until the end."""
    stage.folder.mkdir(parents=True, exist_ok=True)
    try:
        made = start_cluster(stage.folder, lambda step: None)
    except StackError as error:
        raise LeftOut(str(error)) from None
    try:
        eventually(lambda: all_answer(made), "three brokers answer", START_S)
        servers = Servers(stage.servers.home, made.servers, stage.servers.postgres)
        stage.servers, kept = servers, stage.servers
        try:
            yield made
        finally:
            servers.drop()
            stage.servers = kept
    finally:
        made.stop()


@contextmanager
def small(stage: Stage) -> Iterator[tuple[Cluster, Town, Load]]:
    """Yield three brokers with evidence and mastery on them, under load."""
    with cluster(stage) as made, stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            client.until(50)
            eventually(lambda: applied(town) > 0, "mastery has joined its group", START_S)
            yield made, town, client
            client.until(50)
        eventually(lambda: all_answer(made), "three brokers answer again", START_S)
        stage.judge(town, client)


def all_answer(cluster: Cluster) -> bool:
    """Say whether all brokers answer and know one another."""

    async def known(admin: Any) -> int:
        return len((await admin.describe_cluster())["brokers"])

    answering = [broker for broker in cluster.brokers if kafka.answers(broker.address)]
    return len(answering) == BROKERS and administer(answering[0].address, known) == BROKERS


def leaders(cluster: Cluster, town: Town, services: Sequence[str]) -> dict[str, Counter[int]]:
    """Return of how many partitions of each service's topic each broker, by its number, is the leader."""

    async def describe(admin: Any) -> Any:
        return await admin.describe_topics([f"{town.prefix}.{service}" for service in services])

    topics = {topic["topic"]: topic["partitions"] for topic in administer(cluster.servers, describe)}
    return {service: Counter(partition["leader"] for partition in topics[f"{town.prefix}.{service}"]) for service in services}


def coordinator(cluster: Cluster, town: Town, service: str) -> Broker:
    """Return the broker that coordinates a service's consumer group."""

    async def find(admin: Any) -> int:
        return int(await admin.find_coordinator(f"{town.prefix}.{service}"))

    return cluster.brokers[administer(cluster.servers, find) - 1]


def applied(town: Town) -> int:
    """Return how many of evidence's events mastery has applied."""
    return int(town.ask("mastery", "SELECT coalesce(sum(position + 1), 0) FROM inbox")[0][0])


def goes_on(town: Town, client: Load) -> None:
    """Wait until evidence is taken and counted although a broker is away."""
    before = applied(town)
    client.until(50)
    eventually(lambda: applied(town) > before + 50, "mastery goes on without the broker", PROGRESS_S)


@scenario("leader-killed", 4)
def leader_killed(stage: Stage) -> None:
    """kill -9 of the broker that leads evidence's partitions, under load."""
    with small(stage) as (brokers, town, client):
        ((number, _),) = leaders(brokers, town, ["evidence"])["evidence"].most_common(1)
        lost = brokers.brokers[number - 1]
        lost.end(signal.SIGKILL)
        stage.inject("leader killed")
        goes_on(town, client)
        stage.fault_ends()
        lost.start()


@scenario("leader-missing", 4)
def leader_missing(stage: Stage) -> None:
    """The last broker that holds a partition is killed: nobody leads that one, all others go on, and it follows when the broker is back."""
    with cluster(stage) as made, stage.town() as town:
        lost = made.brokers[-1]
        hold_alone(made, town, lost)
        town.begin()
        with load(town, stage.seed) as client:
            client.until(50)
            eventually(lambda: applied(town) > 0, "mastery has joined its group", START_S)
            lost.end(signal.SIGKILL)
            stage.inject("partition without a leader")
            eventually(lambda: lost.number not in leaders(made, town, ["evidence"])["evidence"], "nobody leads it", START_S)
            for _ in range(TURNS):
                goes_on(town, client)
            await_others(town)
            stage.fault_ends()
            lost.start()
            client.until(50)
        eventually(lambda: all_answer(made), "three brokers answer again", START_S)
        stage.judge(town, client)


def hold_alone(made: Cluster, town: Town, broker: Broker) -> None:
    """Make evidence's topic so that one broker alone holds one of its partitions; others hold the rest, each of them one too."""
    others = [other.number for other in made.brokers if other is not broker]
    places = {number: [broker.number if number == ALONE else others[number % len(others)]] for number in range(PARTITIONS)}
    settings = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(RETENTION_MS)}

    async def make(admin: Any) -> None:
        answer = await admin.create_topics([NewTopic(f"{town.prefix}.evidence", -1, -1, places, settings)])
        assert all(code == 0 for _, code, *_ in answer.topic_errors), answer

    administer(made.servers, make)


def await_others(town: Town) -> None:
    """Wait until of every other partition all that was recorded a moment ago is on Kafka."""
    recorded = dict(town.ask("evidence", "SELECT id, length FROM partition WHERE id <> %s", ALONE))

    def there() -> bool:
        published = dict(town.ask("evidence", "SELECT partition, position FROM published"))
        return all(published[number] >= length for number, length in recorded.items())

    eventually(there, "partitions with a leader are published without the one that has none", PROGRESS_S)


@scenario("rolling-restart", 4, whole=True)
def rolling_restart(stage: Stage) -> None:
    """All brokers are asked to stop and started again, one after the other, while all five services are busy and go on without it."""
    with cluster(stage) as brokers, district(stage) as made:
        lost = Counter(dict.fromkeys(EVERY, 0))
        with busy(made, pause_s=1.0) as client:
            client.until(50)
            for broker in brokers.brokers:
                led = leaders(brokers, made.town, EVERY)
                broker.end()
                stage.inject("broker restarted")
                lost.update({service: led[service][broker.number] for service in EVERY})
                go_on(made.town, PROGRESS_S)
                stage.fault_ends()
                broker.start()
                eventually(lambda: all_answer(brokers), "three brokers answer again", START_S)
            go_on(made.town, PROGRESS_S)
            client.until(50)
        inject_each(stage, "partition's leader went", lost)
        judge_district(stage, made, client)


@scenario("coordinator-killed", 5)
def coordinator_killed(stage: Stage) -> None:
    """kill -9 of the broker that coordinates mastery's consumer group: the workers rejoin at another one."""
    with small(stage) as (brokers, town, client):
        lost = coordinator(brokers, town, "mastery")
        lost.end(signal.SIGKILL)
        stage.inject("coordinator killed")
        eventually(lambda: coordinator(brokers, town, "mastery") is not lost, "another broker coordinates the group", PROGRESS_S)
        goes_on(town, client)
        stage.fault_ends()
        lost.start()
