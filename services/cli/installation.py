"""`cairn up`, `cairn down`, `cairn status`: the local installation, one process per service behind one address."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.markup import escape
from rich.table import Table

from services.cli import fleet
from services.cli.days import tell_other_days
from services.cli.home import GATEWAY, HomeOption, home_of, members, read_entries, services_file
from services.cli.wiping import clear_own_servers
from services.cli.words import Steps, out, span
from shared.clock import CLOCK_FILE, clock_from
from shared.contracts.topics import Topic
from shared.errors import Misconfigured
from shared.stack import Stack, down, find_stack
from shared.stack.processes import ask_to_stop, await_end
from shared.stack.state import claim, is_claimed, locked

MOVED: Final = timedelta(minutes=1)
"""By how much a clock is moved on purpose, and is told."""


def up(
    home: HomeOption = None,
    now: Annotated[
        str | None, typer.Option(help="Instant at which the clock starts, such as 2026-11-24T08:00:00Z. First start only.")
    ] = None,
    installation: Annotated[str | None, typer.Option(help="Name of the installation, for ever part of every event.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Port of the one address of all services; else a free one.")] = None,
    only: Annotated[list[Topic] | None, typer.Option(help="Start this service only; may be given several times.")] = None,
    workers: Annotated[
        list[str] | None, typer.Option(help="Processes of a service, such as mastery=2; may be given several times, and is kept.")
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(help="The district's, such as America/Los_Angeles: by its midnight days of paths and rosters begin. It is kept."),
    ] = None,
) -> None:
    """Start Kafka, PostgreSQL, every service and the gateway, and wait until all are ready.

    May be repeated: what runs stays, what died or runs other code is started again, and everything stored is kept.
    """
    place = home_of(home)
    claim(place)
    with Steps() as step:
        plan = fleet.plan_of(place, now, installation, port, only or list(Topic), fleet.workers_of(workers or ()), time_zone)
        with locked(place, "services", step):
            fleet.restore_secrets(place, step)
            stack = find_stack(place, step)
            entries = fleet.prepare(plan, stack, step)
            fleet.start(place, entries, step)
        fleet.await_ready(place, entries, step)
    out.print(f"Cairn runs at {entries[GATEWAY].address} ({stack.how}; state in {place}).")
    _say_clock(place)
    out.print("`cairn status` says how it is, `cairn down` stops it and keeps everything stored.")
    if not only:
        tell_other_days(entries[GATEWAY].address, place)


def stop(
    home: HomeOption = None,
    wipe: Annotated[
        bool,
        typer.Option(
            help="Also remove everything stored, keys included, and on servers of your own this installation's databases, roles and "
            "topics: there is no way back."
        ),
    ] = False,
) -> None:
    """Stop the gateway, the services, Kafka and PostgreSQL. May be repeated, also after a crash.

    Servers of your own (CAIRN_KAFKA_SERVERS, CAIRN_POSTGRES_URL) run on.
    """
    place = home_of(home)
    stopped: list[str] = []
    with Steps() as step:
        if is_claimed(place):
            with locked(place, "services", step):
                stopped = _stop_services(place, step)
                if wipe:
                    stopped += clear_own_servers(place, step)
                step("stopping Kafka and PostgreSQL")
                stopped += down(place, wipe)
    out.print(f"Stopped{' and removed' if wipe else ''}: {', '.join(stopped)}." if stopped else f"Nothing was running in {place}.")


def _stop_services(place: Path, step: Steps) -> list[str]:
    """End the gateway first, so that nobody meets a service that is going; then the services, each of which finishes its batch."""
    stopped: list[str] = []
    for names in ((GATEWAY,), tuple(str(topic) for topic in Topic)):
        some = members(place, names)
        if some:
            step(f"stopping {'the gateway' if names == (GATEWAY,) else 'the services'}")
            ask_to_stop(some)
            await_end(some)
            stopped.append("gateway" if names == (GATEWAY,) else "services")
    return stopped


def status(home: HomeOption = None) -> None:
    """Say what runs, where, and whether it is ready or why not. Changes nothing; exit code 1 where something is not ready."""
    place = home_of(home)
    if not read_entries(place):
        out.print(f"Nothing was started in {place}: run `cairn up`.")
        raise typer.Exit(1)
    if not say_status(place):
        raise typer.Exit(1)


def say_status(place: Path) -> bool:
    """Print what runs of an installation, where, and whether it is ready or why not; return whether all of it is."""
    table = Table("what", "state", "address", "process", box=None, pad_edge=False)
    stack = Stack.running(place)
    table.add_row("Kafka, PostgreSQL", stack.how if stack else "not running", stack.kafka_servers if stack else "", "")
    healthy = stack is not None
    with httpx.Client(timeout=fleet.ASK_LIMIT_S) as client:
        for name, entry in read_entries(place).items():
            state = fleet.health(client, entry) if entry.process else fleet.State("not running: `cairn up` starts it")
            healthy = healthy and state.ready
            table.add_row(name, state.text, entry.address, str(entry.pid) if entry.process else "")
    out.print(table)
    _say_clock(place)
    out.print(f"Logs: {place / 'log'}. Keys and passwords: {place / 'secrets.json'}; settings, with the same keys: {services_file(place)}.")
    return healthy


def _say_clock(place: Path) -> None:
    """Print what an installation's clock shows where that is not the time of this machine."""
    try:
        clock = clock_from(None, place)
    except Misconfigured as error:
        out.print(escape(str(error)))
        return
    if abs(clock.offset) >= MOVED:
        way = "ahead of" if clock.offset > timedelta() else "behind"
        out.print(
            f"Its clock was set: it shows {clock.now():%Y-%m-%d %H:%M} UTC, {span(abs(clock.offset))} {way} this machine "
            f"({place / CLOCK_FILE}). What is dated more than a day later is refused."
        )


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command("down")(stop)
    app.command()(status)
