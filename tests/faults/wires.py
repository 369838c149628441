"""Scenario 6: what stands between the services and their servers delays, cuts, falls silent, and swallows answers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests.faults.district import EVERY, GO_ON_S, busy, go_on, inject_each, judge_district, settle, site
from tests.faults.judge import CONVERGE_S
from tests.faults.load import load
from tests.faults.proxy import Faults, Kind, Proxy
from tests.faults.stage import Stage, scenario
from tests.faults.town import HEARS, REFUSED, SESSION_MS, SMALL, Town, eventually

DROPS = 3
"""Answers of one kind that are swallowed, of each service."""
DROPPED_S = 60.0
MET_S = 1.5
"""After answers to COMMIT were swallowed: by then what was done all the same has been asked for again."""
MESS = ("connection cut", "frame delayed", "held to server", "held to client")
DEAF = "connection silent for good"
SILENCE_S = SESSION_MS / 1000 + 3
MESS_S = 12.0
DEAF_S = 150.0
GIVEN_UP_S = 60.0
"""Time after which a service gives up a connection that is silent for good: where each of them met one last, rest begins only then."""


@dataclass
class Wires:
    """A proxy on the way of each service to a server, so that what happens is counted for each."""

    kind: Kind
    proxies: dict[str, Proxy]

    def lead(self, town: Town) -> None:
        """Send the services of a town this way; none of them runs yet."""
        for service, proxy in self.proxies.items():
            place = f"127.0.0.1:{proxy.port}"
            if self.kind == "kafka":
                town.kafka[service] = place
            else:
                parts = urlsplit(town.records[service])
                town.urls[service] = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{place}"))

    def suffer(self, **faults: Any) -> None:
        """Let this happen from now on, and nothing else; see `Faults`."""
        for proxy in self.proxies.values():
            proxy.faults = Faults(**deepcopy(faults))

    def met(self, what: str) -> dict[str, int]:
        """Return how often it happened to each service."""
        return {service: proxy.counts[what] for service, proxy in self.proxies.items()}

    def await_each(self, what: str) -> None:
        """Wait until it has happened to each service."""
        eventually(lambda: all(self.met(what).values()), f"every service has met it: {what}", DROPPED_S)

    def drop(self, name: str) -> None:
        """Swallow some answers of this kind on each way, and wait until it is done."""
        self.suffer(drop={name: DROPS})
        for service, proxy in self.proxies.items():
            eventually(lambda proxy=proxy: not proxy.faults.drop[name], f"{DROPS} answers to {name} are dropped of {service}", DROPPED_S)

    def deafen(self) -> None:
        """Let every connection that is open now fall silent for good."""
        for proxy in self.proxies.values():
            proxy.deafen()
        self.await_each(DEAF)

    def mess(self, **faults: Any) -> None:
        """Delay and cut for a while, until every service has lost a connection; then be silent in each direction for a while."""
        self.suffer(**faults)
        time.sleep(MESS_S)
        self.await_each("connection cut")
        for direction in ("to server", "to client"):
            self.suffer()
            time.sleep(1)
            self.suffer(silent=frozenset([direction]))
            time.sleep(SILENCE_S)
        self.suffer()

    def show(self, stage: Stage, *faults: str) -> None:
        """Note how often these faults have happened; each service that goes this way must have met them."""
        for what in faults:
            inject_each(stage, f"{self.kind} {what}", self.met(what))


@contextmanager
def wires(stage: Stage, kind: Kind, services: Sequence[str] = EVERY) -> Iterator[Wires]:
    """Yield proxies between these services and Kafka or PostgreSQL."""
    port = int(stage.servers.kafka.rpartition(":")[2]) if kind == "kafka" else urlsplit(stage.servers.postgres).port or 0
    made = Wires(kind, {service: Proxy(kind, port, f"{service} {stage.seed}").start() for service in services})
    try:
        yield made
    finally:
        for proxy in made.proxies.values():
            proxy.stop()


@contextmanager
def whole(stage: Stage, kind: Kind, within_s: float = CONVERGE_S, go_on_s: float = GO_ON_S) -> Iterator[Wires]:
    """Yield what stands between the five services of a district, which are busy, and Kafka or PostgreSQL; afterwards all of them go on."""
    with wires(stage, kind) as between, site(stage) as town:
        between.lead(town)
        made = settle(town, stage.seed)
        with busy(made) as client:
            client.until(50)
            yield between
            between.suffer()
            go_on(town, go_on_s)
            client.until(50)
        judge_district(stage, made, client, within_s=within_s)


@scenario("kafka-answers-dropped", 6, whole=True)
def kafka_answers_dropped(stage: Stage) -> None:
    """The broker's answers to Produce and OffsetCommit are swallowed and the connection is cut: whether it was done is unknown."""
    with whole(stage, "kafka") as every:
        hearing = Wires("kafka", {service: proxy for service, proxy in every.proxies.items() if HEARS[service]})
        for those, name in ((every, "Produce"), (hearing, "OffsetCommit")):
            those.drop(name)
            those.show(stage, f"{name} answer dropped")
        stage.fault_ends()


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
    with wires(stage, "postgres", SMALL) as between, stage.town() as town:
        between.lead(town)
        town.begin()
        (mastery,) = town.of("mastery")
        with load(town, stage.seed) as client:
            client.until(50)

            def met() -> Counter[str]:
                between.drop("COMMIT")
                time.sleep(MET_S)
                return met_again(mastery.said(), list(client.acks))

            found = eventually(met, "a COMMIT of a transaction that wrote is among those whose answers are dropped", DROPPED_S)
            for what, times in found.items():
                stage.inject(what, times)
            between.suffer()
            stage.fault_ends()
            client.until(50)
        stage.judge(town, client)
        between.show(stage, "COMMIT answer dropped")


@scenario("kafka-mess", 6, whole=True)
def kafka_mess(stage: Stage) -> None:
    """Frames from and to Kafka are late, connections are cut, and each direction is silent for longer than a session lasts."""
    with whole(stage, "kafka") as between:
        between.mess(delay_s=0.3, delay_share=0.2, cut_share=0.01)
        stage.fault_ends()
        between.show(stage, *MESS)


@scenario("postgres-mess", 6, whole=True)
def postgres_mess(stage: Stage) -> None:
    """Frames from and to PostgreSQL are late, connections are cut, and each direction is silent for a while."""
    with whole(stage, "postgres") as between:
        between.mess(delay_s=0.05, delay_share=0.05, cut_share=0.001)
        stage.fault_ends()
        between.show(stage, *MESS)


@scenario("postgres-silent", 6, whole=True)
def postgres_silent(stage: Stage) -> None:
    """Open connections to PostgreSQL fall silent for good and are never cut, as behind a firewall that forgot them."""
    with whole(stage, "postgres", GIVEN_UP_S + CONVERGE_S, DEAF_S) as between:
        between.deafen()
        between.show(stage, DEAF)


@scenario("kafka-silent", 6, whole=True)
def kafka_silent(stage: Stage) -> None:
    """Open connections to Kafka fall silent for good and are never cut."""
    with whole(stage, "kafka", GIVEN_UP_S + CONVERGE_S, DEAF_S) as between:
        between.deafen()
        between.show(stage, DEAF)
