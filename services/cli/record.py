"""`cairn ledger`, `cairn rebuild`: what keeps a service's record and its tables in order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import psycopg
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli import recovery
from services.cli.home import HomeOption, home_of, services_of, setting
from services.cli.serving import owner_url
from services.cli.words import err, out
from shared.contracts.topics import Topic

HEAD_SHOWN: Final = 12
"""Hex digits of a head that are shown."""
LANES: Final = """
    SELECT p.id, p.length, p.head, q.position FROM partition p JOIN published q ON q.partition = p.id ORDER BY p.id"""
HEARD: Final = "SELECT source, partition, position + 1 FROM inbox ORDER BY source, partition"
ERASED: Final = "SELECT count(*) FROM erasure WHERE erased"
PARKED: Final = "SELECT count(*) FROM parked WHERE resolved_at IS NULL"
ServiceArgument = Annotated[Topic, typer.Argument(help="The service.")]


def ledger_status(
    home: HomeOption = None,
    partitions: Annotated[bool, typer.Option("--partitions", help="A line for each partition, with the hash of its last event.")] = False,
) -> None:
    """Say how long each ledger is, how much of it is published, and how far its readers are. Changes nothing."""
    place = home_of(home)
    urls = app_urls(place)
    lanes = {service: _rows(url, LANES) for service, url in urls.items()}
    heard = {service: _rows(url, HEARD) for service, url in urls.items()}
    table = Table("ledger", "events", "to publish", "parked", "behind its sources", box=None, pad_edge=False)
    for service, url in urls.items():
        (parked,) = _rows(url, PARKED)[0]
        length = sum(row[1] for row in lanes[service])
        table.add_row(
            service, f"{length:,}", f"{length - sum(row[3] for row in lanes[service]):,}", f"{parked:,}", _behind(heard[service], lanes)
        )
    out.print(table)
    if partitions:
        each = Table("ledger", "partition", "events", "to publish", "head", box=None, pad_edge=False)
        for service, rows in lanes.items():
            for number, length, head, published in rows:
                each.add_row(service, str(number), f"{length:,}", f"{length - published:,}", head[:HEAD_SHOWN])
        out.print(each)


def _behind(heard: list[tuple[Any, ...]], lanes: dict[Topic, list[tuple[Any, ...]]]) -> str:
    """Return how many events of each source a service has not applied yet."""
    lengths = {(str(service), row[0]): row[1] for service, rows in lanes.items() for row in rows}
    behind: dict[str, int] = {}
    for source, partition, applied in heard:
        behind[source] = behind.get(source, 0) + lengths.get((source, partition), 0) - applied
    return ", ".join(f"{source} {lag:,}" for source, lag in behind.items()) or "hears nobody"


def rebuild(
    service: ServiceArgument,
    table: Annotated[str, typer.Argument(help="A read table, `stream` for the cache of states, or a table of parameters.")],
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Events that are put in at once.")] = 500,
    home: HomeOption = None,
) -> None:
    """Make a read table again from the ledger, beside the old one, which is locked for a moment at the end. Safe while the service runs, to
    stop (then nothing has changed) and to run again."""
    from services.cli.rebuild import rebuild as make_again
    from services.cli.verify import parts_of

    url = owner_url(home_of(home), service)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} events"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(f"{service}: {table}")
        done = asyncio.run(make_again(url, parts_of(service), table, batch_size, lambda events: bar.update(task, completed=events)))
    out.print(f"{service}: {table} made again from {done.events:,} events: {done.after:,} rows, {done.before:,} before.")
    if service is Topic.PROFILE:
        ((erased,),) = _rows(url, ERASED)
        out.print(f"Names and words of {erased:,} erased learners are left out: they lie in it sealed, and no key opens them.")


def app_urls(home: Path) -> dict[Topic, str]:
    """Return the addresses of the local installation's databases for their app roles.

    Raises:
        Misconfigured: nothing was ever started here.
    """
    urls = {service: setting(entry.environment, "database_url") for service, entry in services_of(home).items()}
    return {service: url for service, url in urls.items() if url}


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    ledger = typer.Typer(no_args_is_help=True, help="The ledgers of the installation.")
    ledger.callback()(lambda: None)
    ledger.command("status")(ledger_status)
    ledger.command("catch-up")(recovery.catch_up)
    ledger.command("resume")(recovery.resume)
    app.add_typer(ledger, name="ledger")
    app.command()(rebuild)
