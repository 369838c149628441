"""`cairn serve`, `cairn gateway`, `cairn migrate`: what a container or `cairn up` runs. Settings come from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from services.cli.home import (
    GATEWAY,
    MEMBER_OF,
    HomeOption,
    entry_of,
    home_of,
    read_entries,
    register,
    require_known,
    services_file,
    take_settings,
)
from services.cli.words import Steps, out, silent_server
from shared.contracts.topics import Topic
from shared.errors import CairnError, Misconfigured
from shared.settings import Settings, load_settings
from shared.stack.state import locked
from shared.telemetry import configure_logging

if TYPE_CHECKING:
    from shared.workers import Line

log = structlog.get_logger(__name__)

EVERY = "all"
GRACE_S = 5
"""Time that requests in hand have when the gateway is asked to stop."""


class Ended(CairnError):
    """A service met something that nobody thought of."""


def serve(
    name: Annotated[Topic, typer.Argument(help="The service.")],
    home: HomeOption = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes that share the work; else CAIRN_WORKERS, else 1.")] = None,
) -> None:
    """Run one service, API, consumer, relay and ticker, until it is asked to stop (SIGTERM or Ctrl-C; the second time, at once).

    What the environment does not say is taken from the local installation, so a service that died can be started by hand. Several workers
    share its port and its partitions; one that dies is started again, and all are ready or none is.
    """
    place = home_of(home)
    require_known(place, name)
    take_over(place, name)
    settings = load_settings(Settings, **({} if workers is None else {"workers": workers}))
    if settings.workers > 1:
        from shared.workers import Supervisor, worker_names  # Here, so that other commands need not wait for what it imports.

        configure_logging(name, settings.log_level)
        Supervisor(work, [name], worker_names(settings.instance_of(name), settings.workers), settings.host, settings.port).run()
        return
    from shared.ledger.failures import reason_of  # An error's words may quote data: they are neither logged nor shown.

    try:
        work(name)
    except Exception as error:
        if isinstance(error, CairnError) or silent_server(error):
            raise
        log.error("ended by a failure", exc_info=error)
        raise Ended(f"{name} was ended by a failure of ours: {reason_of(error)}; start it again, nothing is lost") from error


def work(name: Topic, line: Line | None = None) -> None:
    """Run one process of a service.

    Args:
        line: to its supervisor, where it is one of several.
    """
    import uvloop

    from services.cli.verify import parts_of
    from shared.serve import run

    parts = parts_of(name)
    settings = load_settings(parts.settings, **({} if line is None else {"instance_id": line.name, "port": line.port}))
    uvloop.run(run(parts, settings, line))


def gateway(home: HomeOption = None) -> None:
    """Serve all services of the local installation under one address, until it is asked to stop."""
    import uvicorn

    from shared.gateway import create_gateway
    from shared.workers import MAX_CLIENTS, bound

    place = home_of(home)
    if not read_entries(place):
        raise Misconfigured(
            f"nothing was started in {place}, so there is nothing to serve: run `cairn up` first, which starts the gateway, too, or name "
            "the installation's folder with --home or CAIRN_HOME"
        )
    take_over(place, GATEWAY)
    settings = load_settings(Settings)
    configure_logging(GATEWAY, settings.log_level)
    app = create_gateway(upstreams_of(place))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S, limit_concurrency=MAX_CLIENTS
    )  # fmt: skip
    listening = bound(settings.host, settings.port)
    log.info("listening", address=f"http://{settings.host}:{settings.port}")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listening])


def take_over(home: Path, name: str) -> None:
    """Take from the local installation, where there is one, what the environment lacks, and be its process from now on."""
    if os.environ.get(MEMBER_OF) or not services_file(home).exists():  # `cairn up` has said it all, or there is no installation.
        return
    with locked(home, "services"):
        if take_settings(home, name):
            register(home, name)


def upstreams_of(home: Path) -> Callable[[], Mapping[str, str]]:
    """Return what tells where each service is: read again whenever `cairn up` has written it down anew."""
    seen: tuple[int, int] = (0, 0)
    places: dict[str, str] = {}

    def upstreams() -> Mapping[str, str]:
        nonlocal seen, places
        try:
            found = services_file(home).stat()
        except FileNotFoundError:  # `cairn down --wipe` is at work.
            return {}
        if (found.st_mtime_ns, found.st_ino) != seen:
            seen = (found.st_mtime_ns, found.st_ino)
            places = {name: entry.address for name, entry in read_entries(home).items() if name != GATEWAY}
        return places

    return upstreams


def migrate(
    name: Annotated[str, typer.Argument(help=f"The service, or `{EVERY}` of the local installation.")], home: HomeOption = None
) -> None:
    """Bring a service's database to the newest schema. May be repeated; nothing that is recorded changes."""
    from shared.migrate import migrate as bring

    if name not in (*Topic, EVERY):
        raise Misconfigured(f"there is no service {name}: name one of {', '.join(Topic)}, or {EVERY}")
    place = home_of(home)
    with Steps() as step:
        for service in Topic if name == EVERY else [Topic(name)]:
            url = owner_url(place, service, alone=name != EVERY)
            settings = load_settings(Settings)
            step(f"bringing the database of {service} to the newest schema")
            bring(service, url, installation=settings.installation, partitions=settings.partitions)
    out.print("All at the newest schema.")


def owner_url(home: Path, service: Topic, alone: bool = True) -> str:
    """Return the address of a service's database for its owner, from the environment or the local installation; takes its settings, too.

    Args:
        alone: the environment may name it: it can name one service's only.
    """
    given = load_settings(Settings).owner_database_url if alone else None
    if given:
        return given
    entry = entry_of(home, service)
    take_settings(home, service)
    return entry.owner_url or load_settings(Settings).owner_database()


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(serve)
    app.command()(gateway)
    app.command()(migrate)
