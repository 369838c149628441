"""Apache Kafka as a plain Java process (KRaft, one node): the jars come from Maven, once per user and version."""

import asyncio
import base64
import hashlib
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code

from shared.stack import processes
from shared.stack.state import Part, Progress, StackError, free_port

POM = Path(__file__).with_name("pom.xml")
VERSION = "4.3.1"
JAVA_AT_LEAST = 17
FETCH_LIMIT_S = 600
TOOL_LIMIT_S = 120
ASK_LIMIT_MS = 5_000
LOOKS, LOOK_S = 300, 0.1
"""How often, and how far apart in seconds, it is looked whether topics are gone."""
HEAP = ["-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "message.max.bytes": str(4 * 1024 * 1024),
    "replica.fetch.max.bytes": str(4 * 1024 * 1024),
}


def start_kafka(home: Path, progress: Progress, settings: Mapping[str, str]) -> Part:
    """Start a broker with its data in `home/kafka` and return it at once, before it answers.

    Args:
        settings: broker settings that come on top of SETTINGS.

    Raises:
        StackError: Java or the jars cannot be had, or the storage cannot be formatted.
    """
    java = find_java()
    classpath = f"{fetch_jars(progress)}/*"
    folder = (home / "kafka").resolve()
    folder.mkdir(exist_ok=True)
    port, controller = free_port(home, "kafka"), free_port(home, "kafka-controller")
    properties = properties_file(home)
    properties.write_text("".join(f"{name}={value}\n" for name, value in _settings(port, controller, settings).items()))
    if not (folder / "data" / "meta.properties").exists():
        format_storage(java, classpath, properties, new_cluster_id())
    progress(f"starting Apache Kafka {VERSION} on port {port}")
    argv = [java, *HEAP, "-Dorg.apache.logging.log4j.level=WARN", "-cp", classpath, "kafka.Kafka", str(properties)]
    pid, started = processes.spawn(argv, log_file(home), cwd=folder)
    return Part(f"127.0.0.1:{port}", f"Apache Kafka {VERSION} as a Java process", pid=pid, started=started)


def properties_file(home: Path) -> Path:
    """Return the broker's settings file; its path in a command line marks a process as this home's broker."""
    return (home / "kafka" / "server.properties").resolve()


def log_file(home: Path) -> Path:
    """Return where the broker writes what it has to say."""
    return home / "kafka" / "broker.log"


def answers(servers: str) -> bool:
    """Say whether a broker of this address answers and has let itself into its cluster."""
    with ThreadPoolExecutor(1) as thread:  # A thread has no event loop yet, whoever calls.
        return thread.submit(lambda: asyncio.run(_answers(servers))).result()


def drop_topics(servers: str, topics: Sequence[str]) -> list[str]:
    """Remove those of these topics that are there, with all that they hold, and return their names. May be repeated.

    Raises:
        StackError: no broker answers, or it refuses or does not do it.
    """
    if not topics:
        return []
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_drop_topics(servers, topics))).result()


def find_java() -> str:
    """Return the path of a Java that is new enough: that of JAVA_HOME, else the first on the PATH.

    Raises:
        StackError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    remedy = "install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17)"
    if java is None:
        raise StackError(f"Java {JAVA_AT_LEAST} or newer is missing: {remedy}")
    said = processes.run([java, "-version"], TOOL_LIMIT_S)
    version = re.search(r'version "(\d+)', said.stderr)
    if version is None or int(version[1]) < JAVA_AT_LEAST:
        raise StackError(f"{java} is not Java {JAVA_AT_LEAST} or newer (it says: {said.stderr.strip()[:200]}): {remedy}, or set JAVA_HOME")
    return java


def fetch_jars(progress: Progress) -> Path:
    """Return the folder with the jars that the POM names; fetched when they are first asked for, from then on without a network.

    Raises:
        StackError: Maven is missing or cannot fetch them.
    """
    pinned = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    libs = platformdirs.user_cache_path("cairn") / f"kafka-{VERSION}-{pinned}"
    if libs.is_dir():
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Maven is missing: install it (Debian, Ubuntu: apt-get install maven; macOS: brew install maven)")
    libs.parent.mkdir(parents=True, exist_ok=True)
    progress(f"fetching Apache Kafka {VERSION} with Maven (44 MB, once)")
    with tempfile.TemporaryDirectory(dir=libs.parent, prefix="fetching-") as scratch:
        shutil.copy(POM, scratch)
        _run_maven([maven, "-q", "-B", "-C", "dependency:copy-dependencies", "-DoutputDirectory=libs"], Path(scratch))
        if not libs.is_dir():  # Another process may have been quicker.
            (Path(scratch) / "libs").rename(libs)
    return libs


def _run_maven(argv: list[str], folder: Path) -> None:
    done = processes.run(argv, FETCH_LIMIT_S, cwd=folder)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[: processes.LOG_TAIL_LINES])
        raise StackError(
            f"Maven cannot fetch Apache Kafka {VERSION}: check the network and Maven's settings, then run it again. It says:\n{said}"
        )


def _settings(port: int, controller: int, settings: Mapping[str, str]) -> dict[str, str]:
    return {
        **SETTINGS,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": "data",  # From the working folder: a settings file cannot hold every name of a folder.
        **settings,
    }


def new_cluster_id() -> str:
    """Return a cluster's id, as brokers that belong together are given it."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def format_storage(java: str, classpath: str, properties: Path, cluster: str) -> None:
    """Make a broker's data folder ready.

    Raises:
        StackError: it cannot be formatted.
    """
    argv = [
        java,
        "-cp",
        classpath,
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster}",
        "-c",
        str(properties),
    ]  # One in 64 begins with a dash.
    done = processes.run(argv, TOOL_LIMIT_S, cwd=properties.parent)
    if done.returncode:
        raise StackError(f"Apache Kafka cannot format its storage beside {properties}: {(done.stderr or done.stdout).strip()[-1000:]}")


async def _answers(servers: str) -> bool:
    logging.getLogger("aiokafka").addFilter(_while_asking)
    client = AIOKafkaClient(bootstrap_servers=servers, request_timeout_ms=ASK_LIMIT_MS)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
        logging.getLogger("aiokafka").removeFilter(_while_asking)


async def _drop_topics(servers: str, topics: Sequence[str]) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=ASK_LIMIT_MS)
    try:
        await admin.start()
        found = [name for name in await admin.list_topics() if name in topics]
        answer = await admin.delete_topics(found)
        refused = [f"{name} ({for_code(code).__name__})" for name, code in answer.topic_error_codes if code]
        if refused:
            raise StackError(f"Apache Kafka at {servers} does not remove {', '.join(refused)}: see its log, then do this again")
        for _ in range(LOOKS):
            if not set(found) & set(await admin.list_topics()):
                return found
            await asyncio.sleep(LOOK_S)
    except (KafkaError, OSError) as error:
        raise StackError(f"Apache Kafka at {servers} does not answer ({type(error).__name__}): start it, then do this again") from error
    finally:
        await admin.close()
    raise StackError(f"Apache Kafka at {servers} has not removed {', '.join(found)} yet: see its log, then do this again")


def _while_asking(_: logging.LogRecord) -> bool:
    """A broker that is not up yet is no news."""
    return False
