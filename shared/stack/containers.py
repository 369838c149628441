"""Apache Kafka and PostgreSQL in Docker, through testcontainers: where that is installed, the daemon answers and the images can be had."""

import hashlib
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.stack import kafka, postgres
from shared.stack.state import Part, Progress, StackError, free_port, password

KAFKA_IMAGE = f"apache/kafka:{kafka.VERSION}"
POSTGRES_IMAGE = "postgres:18.6"
ASK_LIMIT_S = 5
STOP_LIMIT_S = 30
LISTEN, CONTROL = 9092, 9093


def can_serve(image: str, progress: Progress) -> bool:
    """Say whether Docker can run this image here; fetches it where that is needed."""
    if importlib.util.find_spec("testcontainers") is None:
        return False
    docker = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=ASK_LIMIT_S)
        client.ping()
    except docker.errors.DockerException:
        return False
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        progress(f"fetching the image {image}")
        try:
            docker.from_env().images.pull(*image.split(":"))
        except (docker.errors.DockerException, OSError) as error:
            progress(f"Docker answers, but the image {image} cannot be had ({str(error)[:200]}): going on without Docker")
            return False
    finally:
        client.close()
    return True


def start_kafka(home: Path, progress: Progress, settings: Mapping[str, str]) -> Part:
    """Start a broker in a container and return it at once, before it answers; its data is in a named volume."""
    port = free_port(home, "kafka")
    listeners = {
        "controller.quorum.voters": f"1@localhost:{CONTROL}",
        "listeners": f"PLAINTEXT://:{LISTEN},CONTROLLER://:{CONTROL}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": "/var/lib/kafka/data",
    }
    named = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in {**kafka.SETTINGS, **listeners, **settings}.items()}
    progress(f"starting {KAFKA_IMAGE} on port {port}")
    heap = {"KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m"}
    container = _run(KAFKA_IMAGE, home, "kafka", named | heap, (LISTEN, port), "/var/lib/kafka/data", [])
    return Part(f"127.0.0.1:{port}", f"{KAFKA_IMAGE} in Docker", container=container)


def start_postgres(home: Path, progress: Progress) -> Part:
    """Start a server in a container and return it at once, before it answers; its data is in a named volume."""
    port, secret = free_port(home, "postgres"), password(home, postgres.ADMIN)
    settings = postgres.SETTINGS | {"listen_addresses": "*", "unix_socket_directories": "/var/run/postgresql"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    progress(f"starting {POSTGRES_IMAGE} on port {port}")
    environment = {"POSTGRES_PASSWORD": secret}
    container = _run(POSTGRES_IMAGE, home, "postgres", environment, (5432, port), "/var/lib/postgresql", ["postgres", *options])
    return Part(f"postgresql://{postgres.ADMIN}:{secret}@127.0.0.1:{port}/postgres", f"{POSTGRES_IMAGE} in Docker", container=container)


def runs(container: str) -> bool:
    """Say whether this container runs."""
    docker = importlib.import_module("docker")
    try:
        return bool(docker.from_env(timeout=ASK_LIMIT_S).containers.get(container).status == "running")
    except docker.errors.DockerException:
        return False


def said(container: str) -> str:
    """Return the last lines that a container wrote."""
    docker = importlib.import_module("docker")
    try:
        return str(docker.from_env().containers.get(container).logs(tail=15).decode(errors="replace"))
    except docker.errors.DockerException as error:
        return str(error)


def end(container: str) -> bool:
    """Stop and remove a container; its volume stays. Return whether it was there."""
    docker = importlib.import_module("docker")
    try:
        found = docker.from_env().containers.get(container)
        found.stop(timeout=STOP_LIMIT_S)
        found.remove(force=True)
    except docker.errors.DockerException:
        return False  # No such container; or no daemon, and then none runs.
    return True


def remove_volumes(home: Path) -> None:
    """Remove what containers of this home have stored, where Docker is there to say so."""
    if importlib.util.find_spec("testcontainers") is None:
        return
    docker = importlib.import_module("docker")
    for part in ("kafka", "postgres"):
        try:
            docker.from_env(timeout=ASK_LIMIT_S).volumes.get(_name(home, part)).remove()
        except docker.errors.DockerException:
            continue  # No such volume, or no Docker.


def _run(image: str, home: Path, part: str, environment: dict[str, str], ports: tuple[int, int], data: str, command: list[str]) -> str:
    """Start a container and return its name. It outlives this process, so nothing may watch over it for us.

    Raises:
        StackError: Docker refuses it.
    """
    importlib.import_module("testcontainers.core.config").testcontainers_config.ryuk_disabled = True
    end(_name(home, part))  # Left by a machine that was switched off.
    made: Any = importlib.import_module("testcontainers.core.container").DockerContainer(image)
    made = (
        made.with_name(_name(home, part))
        .with_envs(**environment)
        .with_volume_mapping(_name(home, part), data, "rw")
        .with_kwargs(shm_size="256m")
    )
    inside, outside = ports
    made.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)
    if command:
        made = made.with_command(command)
    try:
        made.start()
    except importlib.import_module("docker").errors.DockerException as error:
        raise StackError(f"Docker cannot run {image}: {error}") from error
    return _name(home, part)


def _name(home: Path, part: str) -> str:
    """Return what the container and the volume of this home are called."""
    return f"cairn-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:10]}-{part}"
