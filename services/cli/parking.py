"""`cairn park list|show|retry|discard|passed-by`: what a service set aside, with its reason, or passed by, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from services.cli.home import HomeOption, as_it_was, entry_of, home_of, require_known, take_settings
from services.cli.words import out
from shared.contracts.topics import Topic
from shared.errors import BadInput, Misconfigured
from shared.settings import Settings, load_settings, variable_of

if TYPE_CHECKING:
    from shared.ledger.park import Parked
    from shared.serve import Service

PAGE: Final = 100
"""Records that one listing shows."""
TOLD: Final = "SELECT FROM published WHERE position > 0 LIMIT 1"
HEARD: Final = "SELECT partition, position FROM inbox WHERE source = %s ORDER BY partition"
OF_TYPES: Final = """
    SELECT position, bytes FROM event WHERE partition = %s AND position > %s AND position <= %s AND type = ANY(%s)
    ORDER BY position LIMIT %s"""

ServiceArgument = Annotated[Topic, typer.Argument(help="The service that set it aside.")]
IdArgument = Annotated[int, typer.Argument(min=1, help="As `list` names it.")]


@asynccontextmanager
async def at_hand(service: Topic, home: HomeOption, writes: bool = False) -> AsyncIterator[Service]:
    """Yield a service's ledger, with the settings of the environment or the local installation; it hears and serves nothing.

    Args:
        writes: events are added to it: what `serve` refuses to write to is refused here, too, before anything is written.

    Raises:
        CairnError: the database must not be used, or not be written to; the message says why and what to do.
    """
    from services.cli.verify import parts_of
    from shared.clock import clock_from
    from shared.serve import build

    parts = parts_of(service)
    with as_it_was():
        require_known(home_of(home), service)
        take_settings(home_of(home), service)
        settings = load_settings(parts.settings)
    found = build(parts, settings, clock_from(settings.now, settings.home), partial(ThreadPoolExecutor, 1))
    async with found.pool:
        await found.connect()
        await found.ledger.open()
        if writes:
            await _check(found)
        yield found


async def _check(found: Service) -> None:
    """Check what `serve` checks before it writes, in its order: what was restored behind its readers is given no key either."""
    from shared.ledger.patience import connected
    from shared.serve import check_record

    async with connected(found.pool) as connection:
        row = await (await connection.execute(TOLD)).fetchone()
    if found.settings.kafka_servers or row is not None:  # What never told anybody anything needs no Kafka; else its address is asked for.
        await check_record(found)
    await found.check()


def list_parked(
    service: Annotated[Topic | None, typer.Argument(help="The service that set it aside; else every one that hears others.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Show what follows this record.")] = 0,
    home: HomeOption = None,
) -> None:
    """List what is set aside and not resolved, the oldest first, 100 at a time of each service. Changes nothing."""
    from services.cli.verify import parts_of

    if service is not None:
        asyncio.run(_list(service, after, home))
        return
    if after:
        raise BadInput("--after is the number of a record of one service: name the service, too")
    if load_settings(Settings).database_url:
        raise BadInput(f"{variable_of('database_url')} is the address of one service's database: name the service, too")
    for each in Topic:
        if parts_of(each).subscription is not None:
            asyncio.run(_list(each, 0, home))


async def _list(service: Topic, after: int, home: HomeOption) -> None:
    from shared.ledger import park

    async with at_hand(service, home) as found:
        records = await park.listed(found.pool, after, PAGE)
    if not records:
        out.print(f"{service} has set nothing aside{' after that' if after else ''}.")
        return
    out.print(f"{service} has set aside:")
    table = Table("id", "since (UTC)", "from", "partition", "position", "trouble", "tries", "reason", box=None, pad_edge=False)
    for column in table.columns[:-1]:
        column.no_wrap = True
    for record in records:
        position = "" if record.position is None else str(record.position)
        since = f"{record.parked_at.astimezone(UTC):%Y-%m-%d %H:%M}"
        place = (record.source, str(record.partition), position)
        table.add_row(str(record.id), since, *place, record.trouble, str(record.attempts), escape(record.reason))
    out.print(table)
    if len(records) == PAGE:
        out.print(f"What follows: cairn park list {service} --after {records[-1].id}")


def show(service: ServiceArgument, id: IdArgument, home: HomeOption = None) -> None:
    """Show one record as it was read, its bytes included, and what became of it. Changes nothing."""
    asyncio.run(_show(service, id, home))


async def _show(service: Topic, id: int, home: HomeOption) -> None:
    from shared.ledger import park
    from shared.seal import unseal_record

    async with at_hand(service, home) as found:
        record, raw = await park.shown(found.pool, id, partial(unseal_record, found.settings.parking()))
    out.print(f"from {record.source}, partition {record.partition}, offset {record.kafka_offset}, {_stream_of(record)}")
    out.print(f"{record.trouble}: {escape(record.reason)}{'; later records of its key wait behind it' if record.blocks else ''}")
    if record.resolved_at is not None:
        out.print(f"Resolved at {record.resolved_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {escape(record.resolution or '')}")
    out.print(escape(raw.decode(errors="backslashreplace")))


def _stream_of(record: Parked) -> str:
    """Return the stream's key, in words. The key that Kafka holds is not kept; of a foreign record it says nothing."""
    return f"stream's key {escape(record.key)}" if record.key else "of no stream"


def retry(
    service: ServiceArgument,
    ids: Annotated[list[int] | None, typer.Argument(help="As `list` names them; else all but those that are none of our events.")] = None,
    home: HomeOption = None,
) -> None:
    """Take records up again, those of one key in order, until one fails as before. Safe while the service runs, and to repeat.

    A database that `serve` refuses, such as one that was restored behind its readers, is not written to. Exit code 1 then, and where
    something stays set aside.
    """
    if not asyncio.run(_retry(service, ids, home)):
        raise typer.Exit(1)


async def _retry(service: Topic, ids: list[int] | None, home: HomeOption) -> bool:
    from shared.consume.inward import Inward
    from shared.ledger import park
    from shared.seal import unseal_record

    async with at_hand(service, home, writes=True) as found:
        if found.parts.subscription is None:
            raise Misconfigured(f"{service} hears nobody, so it sets nothing aside")
        asks_of = Inward(found.parts.subscription, found.settings.zone()).asks
        done = await park.retry(found.ledger, asks_of, partial(unseal_record, found.settings.parking()), ids or None)
    out.print(f"{done.applied} taken up, {done.refused} refused, {len(done.stuck)} fail as before")
    for record in done.stuck:
        out.print(f"  {record.id}: `cairn park show {service} {record.id}` says more")
    return not (done.refused or done.stuck)


def passed_by(
    service: Annotated[Topic, typer.Argument(help="The service that passed them by.")],
    types: Annotated[
        list[str],
        typer.Argument(
            help="Types such as mastery.prerequisite-waived.v1: all that the changelog names, or what was withdrawn comes back."
        ),
    ],
    home: HomeOption = None,
) -> None:
    """Take up what a service heard and passed by, because its release of then had no use for it; read from the ledger that told it.

    The services' databases are those of the local installation. What is known already changes nothing. Safe while the service runs, to stop
    and to run again. A database that `serve` refuses is not written to. Exit code 1 then, and where something is refused, which is set
    aside.
    """
    refused = asyncio.run(_passed_by(service, types, home))
    for reason in refused[:PAGE]:
        out.print(f"  refused: {escape(reason)}")
    if refused:
        raise typer.Exit(1)


async def _passed_by(service: Topic, types: list[str], home: HomeOption) -> list[str]:
    from psycopg import AsyncConnection

    from shared.consume.inward import Inward
    from shared.ledger import passed
    from shared.ledger.patience import connected
    from shared.seal import seal_record

    result = passed.TakenUp()
    async with at_hand(service, home, writes=True) as found:
        subscription = found.parts.subscription
        wanted = {event.TYPE for event in subscription.events} if subscription else set()
        if subscription is None or not wanted.issuperset(types):
            raise BadInput(
                f"{service} has a use for none of {', '.join(sorted(set(types) - wanted))}: it hears {', '.join(sorted(wanted))}"
            )
        asks_of, seal = Inward(subscription, found.settings.zone()).asks, partial(seal_record, found.settings.parking())
        for source in dict.fromkeys(name.partition(".")[0] for name in types):
            async with connected(found.pool) as connection:
                lanes = await (await connection.execute(HEARD, [source])).fetchall()
            url = entry_of(home_of(home), source).environment[variable_of("database_url")]
            async with await AsyncConnection.connect(url, autocommit=True) as record:
                for partition, heard in lanes:
                    after = -1
                    while rows := await (await record.execute(OF_TYPES, [partition, after, heard, types, passed.MOST])).fetchall():
                        records = [(position, bytes(raw)) for position, raw in rows]
                        await passed.take_up(found.ledger, asks_of, seal, source, partition, records, result)
                        after = records[-1][0]
    out.print(f"{result.applied} taken up, {len(result.refused)} refused")
    return result.refused


def discard(
    service: ServiceArgument,
    id: IdArgument,
    why: Annotated[str, typer.Option(help="The reason, which is kept. No names in it.")],
    home: HomeOption = None,
) -> None:
    """Set a record aside for good. There is no way back; what waits behind it is taken up by `retry`."""
    asyncio.run(_discard(service, id, why, home))


async def _discard(service: Topic, id: int, why: str, home: HomeOption) -> None:
    from shared.ledger import park

    async with at_hand(service, home) as found:
        record = await park.discard(found.pool, id, why)
    out.print(f"Record {id} ({record.trouble}, from {record.source}) is discarded.")
    if record.blocks:
        out.print(f"Take up what waited behind it: cairn park retry {service}")


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(no_args_is_help=True, help="What a service set aside because it could not take it.")
    group.command("list")(list_parked)
    group.command()(show)
    group.command()(retry)
    group.command()(discard)
    group.command("passed-by")(passed_by)
    app.add_typer(group, name="park")
