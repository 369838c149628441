"""`cairn ledger catch-up`, `cairn ledger resume`: a service whose database was restored from a backup that is older than what it told."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.home import HomeOption
from services.cli.parking import at_hand
from services.cli.words import err, out
from shared.contracts.topics import Topic
from shared.errors import LedgerError

ServiceArgument = Annotated[Topic, typer.Argument(help="The service whose database was restored.")]


def catch_up(service: ServiceArgument, home: HomeOption = None) -> None:
    """Copy back from Kafka what a service told and its restored database lacks, byte for byte, with read tables and states.

    The service must not run. The whole chain is verified before anything is written; what is missing is kept in a temporary file
    (TMPDIR) meanwhile. May be stopped at any moment and run again. What never reached Kafka is not there to be copied.
    """
    asyncio.run(_catch_up(service, home))


async def _catch_up(service: Topic, home: HomeOption) -> None:
    from shared.consume.inward import Inward
    from shared.relay.catch_up import CatchUp
    from shared.serve import all_deciders

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with at_hand(service, home) as found:
        parts, settings, heard = found.parts, found.settings, found.parts.subscription
        if heard is not None:
            await found.ledger.inbox(heard.topics)
        work = CatchUp(
            dsn=settings.database(), service=service, installation=settings.installation, partitions=settings.partitions,
            kafka_servers=settings.kafka(), prefix=settings.topic_prefix, deciders=all_deciders(parts), projections=parts.projections,
            hears=heard.topics if heard else (), asks_of=Inward(heard).asks if heard else None,
        )  # fmt: skip
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(f"{service}: reading Kafka", total=None)
            done = await work.run(lambda n, of: bar.update(task, completed=n, total=of, description=f"{service}: events written back"))
    if not done.events:
        out.print(f"{service} lacks nothing that is on Kafka.")
        return
    out.print(f"{service}: {done.events:,} events written back in {done.partitions} partitions, and their chain is whole.")
    if heard is not None:
        out.print(f"Of what it hears, {done.heard:,} events have led to these and are not heard again.")
    out.print(f"It may start. `cairn replay verify --service {service}` decides everything again.")


def resume(
    service: ServiceArgument,
    partition: Annotated[int, typer.Option(min=0, help="The partition whose reader is ahead.")],
    after: Annotated[int, typer.Option(min=0, help="The furthest position that a reader has applied.")],
    head: Annotated[str, typer.Option(help="The hash of that event, as the reader's inbox holds it.")],
    why: Annotated[str, typer.Option(help="The reason. No names in it.")],
) -> None:
    """Not possible in this release: go on behind a hole in a ledger, where Kafka is lost as well. Changes nothing, and says what is."""
    raise LedgerError(
        f"this release cannot go on behind a hole: events of {service} up to {after} of partition {partition} would be missing for ever, "
        f"and no reader accepts that yet. Nothing was changed. Where Kafka still holds them, run `cairn ledger catch-up {service}`. "
        f"Where it does not, restore a backup, or the archived WAL, that reaches event {after}; until then {service} must stay stopped. "
        f"Readers that are ahead keep what they decided and hear the other partitions"
    )
