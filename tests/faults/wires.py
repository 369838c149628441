"""Scenario 6: what stands between the services and their servers delays, cuts, falls silent, and swallows answers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests.faults.judge import CONVERGE_S
from tests.faults.load import Load, load
from tests.faults.proxy import Faults, Proxy
from tests.faults.stage import Stage, scenario
from tests.faults.town import REFUSED, SESSION_MS, Town, eventually

DROPS = 3
"""Answers of one kind that are swallowed."""
DROPPED_S = 60.0
MET_S = 1.5
"""After answers to COMMIT were swallowed: by then what was done all the same has been asked for again."""
SILENCE_S = SESSION_MS / 1000 + 3
MESS_S = 12.0
DEAF_S = 150.0
GIVEN_UP_S = 60.0
"""Time after which a service gives up a connection that is silent for good: where each of them met one last, rest begins only then."""


@contextmanager
def _kafka(stage: Stage, within_s: float = CONVERGE_S) -> Iterator[tuple[Town, Proxy, Load]]:
    """Yield a town that reaches Kafka through a proxy, under load."""
    proxy = Proxy("kafka", int(stage.servers.kafka.rpartition(":")[2]), stage.seed).start()
    try:
        with stage.town() as town:
            town.kafka = f"127.0.0.1:{proxy.port}"
            town.begin()
            with load(town, stage.seed) as client:
                client.until(50)
                yield town, proxy, client
                proxy.faults = Faults()
                client.until(50)
            stage.judge(town, client, within_s=within_s)
            _tell(stage, proxy)
    finally:
        proxy.stop()


@contextmanager
def _postgres(stage: Stage, *services: str, within_s: float = CONVERGE_S) -> Iterator[tuple[Town, Proxy, Load]]:
    """Yield a town of which these services reach PostgreSQL through a proxy, under load."""
    proxy = Proxy("postgres", urlsplit(stage.servers.postgres).port or 0, stage.seed).start()
    try:
        with stage.town() as town:
            for service in services:
                parts = urlsplit(town.records[service])
                place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
                town.urls[service] = urlunsplit(parts._replace(netloc=place))
            town.begin()
            with load(town, stage.seed) as client:
                client.until(50)
                yield town, proxy, client
                proxy.faults = Faults()
                client.until(50)
            stage.judge(town, client, within_s=within_s)
            _tell(stage, proxy)
    finally:
        proxy.stop()


def _tell(stage: Stage, proxy: Proxy) -> None:
    for what, times in sorted(proxy.counts.items()):
        stage.inject(f"{proxy.kind} {what}", times)


def _dropped(proxy: Proxy, *names: str) -> None:
    """Swallow some answers of these kinds, and wait until it is done."""
    faults = proxy.faults = Faults(drop=dict.fromkeys(names, DROPS))
    for name in names:
        eventually(lambda name=name: not faults.drop[name], f"{DROPS} answers to {name} are dropped", DROPPED_S)


@scenario("kafka-answers-dropped", 6)
def kafka_answers_dropped(stage: Stage) -> None:
    """The broker's answers to Produce and OffsetCommit are swallowed and the connection is cut: whether it was done is unknown."""
    with _kafka(stage) as (_, proxy, _client):
        _dropped(proxy, "Produce", "OffsetCommit")


def met_again(said: str, acks: Iterable[dict[str, Any]]) -> Counter[str]:
    """Return what shows that a transaction whose answer was swallowed had written, and how often; nothing, where all had only read.

    Args:
        said: what the one worker that hears wrote: nobody else can have moved its inbox.
        acks: of a client that tells each act once, unless it is not answered.
    """
    duplicates = sum(act["result"] == "duplicate" for ack in acks for act in ack["acts"])
    return +Counter({"batch refused, it was written": said.count(REFUSED), "act told again, a duplicate": duplicates})


@scenario("commit-answers-dropped", 6, short=True)
def commit_answers_dropped(stage: Stage) -> None:
    """PostgreSQL's answers to COMMIT are swallowed and the connection is cut: what was done is seen as such, and not done twice."""
    with _postgres(stage, "evidence", "mastery") as (town, proxy, client):
        (mastery,) = town.of("mastery")

        def met() -> Counter[str]:
            _dropped(proxy, "COMMIT")
            time.sleep(MET_S)
            return met_again(mastery.said(), list(client.acks))

        found = eventually(met, "a COMMIT of a transaction that wrote is among those whose answers are dropped", DROPPED_S)
        for what, times in found.items():
            stage.inject(what, times)


@scenario("kafka-mess", 6)
def kafka_mess(stage: Stage) -> None:
    """Frames from and to Kafka are late, connections are cut, and each direction is silent for longer than a session lasts."""
    with _kafka(stage) as (_, proxy, _client):
        proxy.faults = Faults(delay_s=0.3, delay_share=0.2, cut_share=0.01)
        time.sleep(MESS_S)
        for direction in ("to server", "to client"):
            proxy.faults = Faults(silent=frozenset([direction]))
            time.sleep(SILENCE_S)
            proxy.faults = Faults()
            time.sleep(1)
        stage.must(proxy.counts["connection cut"], "no connection was cut")
        stage.must(proxy.counts["held to client"] and proxy.counts["held to server"], "nothing was held")


@scenario("postgres-mess", 6)
def postgres_mess(stage: Stage) -> None:
    """Frames from and to PostgreSQL are late, connections are cut, and each direction is silent for a while."""
    with _postgres(stage, "evidence", "mastery") as (_, proxy, _client):
        proxy.faults = Faults(delay_s=0.05, delay_share=0.05, cut_share=0.001)
        time.sleep(MESS_S)
        for direction in ("to server", "to client"):
            proxy.faults = Faults(silent=frozenset([direction]))
            time.sleep(SILENCE_S)
            proxy.faults = Faults()
            time.sleep(1)
        stage.must(proxy.counts["connection cut"], "no connection was cut")
        stage.must(proxy.counts["held to client"] and proxy.counts["held to server"], "nothing was held")


@scenario("postgres-silent", 6)
def postgres_silent(stage: Stage) -> None:
    """Open connections to PostgreSQL fall silent for good and are never cut, as behind a firewall that forgot them."""
    with _postgres(stage, "evidence", "mastery", within_s=GIVEN_UP_S + CONVERGE_S) as (_, proxy, client):
        proxy.deafen()
        client.until(50, DEAF_S)


@scenario("kafka-silent", 6)
def kafka_silent(stage: Stage) -> None:
    """Open connections to Kafka fall silent for good and are never cut."""
    with _kafka(stage, GIVEN_UP_S + CONVERGE_S) as (_, proxy, client):
        proxy.deafen()
        client.until(50, DEAF_S)
