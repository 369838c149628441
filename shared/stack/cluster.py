"""Several brokers of Apache Kafka as Java processes, for tests of what happens when one of them is lost."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from shared.stack import kafka, processes
from shared.stack.state import Progress, StackError, free_port

BROKERS: Final = 3
BYTES_EACH: Final = 900 << 20
"""Memory that a broker of ours takes."""
HEAP: Final = ("-Xms192m", "-Xmx384m", "-XX:+UseG1GC")
REPLICATED: Final = {
    "default.replication.factor": str(BROKERS),
    "offsets.topic.replication.factor": str(BROKERS),
    "transaction.state.log.replication.factor": str(BROKERS),
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": str(BROKERS),
    "share.coordinator.state.topic.min.isr": "2",
}


@dataclass
class Broker:
    """One node, broker and controller in one."""

    number: int
    """Its node id, from 1."""
    folder: Path
    address: str
    argv: list[str] = field(repr=False)
    process: psutil.Process | None = None

    def start(self) -> None:
        """Start it; it answers a while later."""
        pid, _ = processes.spawn(self.argv, self.folder / "broker.log", cwd=self.folder)
        self.process = psutil.Process(pid)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it is gone. SIGTERM hands its partitions over first, SIGKILL does not."""
        if self.process is not None:
            processes.ask_to_stop([self.process], how)
            processes.await_end([self.process])
            self.process = None


@dataclass
class Cluster:
    """Brokers that hold every record three times."""

    brokers: list[Broker]

    @property
    def servers(self) -> str:
        """Where they answer, as host:port with commas."""
        return ",".join(broker.address for broker in self.brokers)

    def stop(self) -> None:
        """End all of them at once."""
        for broker in self.brokers:
            broker.end(signal.SIGKILL)


def start_cluster(home: Path, progress: Progress, settings: Mapping[str, str] | None = None) -> Cluster:
    """Start BROKERS brokers with their data under `home` and return at once, before they answer.

    Args:
        settings: of every broker, on top of ours.

    Raises:
        StackError: Java or the jars cannot be had, or there is not enough memory.
    """
    if psutil.virtual_memory().available < BROKERS * BYTES_EACH:
        raise StackError(f"{BROKERS} brokers of Kafka need {BROKERS * BYTES_EACH >> 20} MiB of free memory")
    java, classpath, cluster = kafka.find_java(), f"{kafka.fetch_jars(progress)}/*", kafka.new_cluster_id()
    numbers = range(1, BROKERS + 1)
    ports = {number: free_port(home, f"kafka-{number}") for number in numbers}
    controllers = {number: free_port(home, f"kafka-controller-{number}") for number in numbers}
    voters = ",".join(f"{number}@127.0.0.1:{controllers[number]}" for number in numbers)
    brokers = []
    for number in numbers:
        folder = (home / f"kafka-{number}").resolve()
        folder.mkdir(parents=True)
        own = kafka.SETTINGS | REPLICATED | dict(settings or {}) | {
            "node.id": str(number),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{ports[number]},CONTROLLER://127.0.0.1:{controllers[number]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports[number]}",
            "log.dirs": "data",
        }  # fmt: skip
        properties = folder / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in own.items()))
        kafka.format_storage(java, classpath, properties, cluster)
        argv = [java, *HEAP, "-Dorg.apache.logging.log4j.level=WARN", "-cp", classpath, "kafka.Kafka", str(properties)]
        brokers.append(Broker(number, folder, f"127.0.0.1:{ports[number]}", argv))
    progress(f"starting {BROKERS} brokers of Apache Kafka {kafka.VERSION}")
    for broker in brokers:
        broker.start()
    return Cluster(brokers)
