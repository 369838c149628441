"""`cairn ledger catch-up`, `cairn ledger resume`: a service whose database was restored from a backup that is older than what it told."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Final

import psycopg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.home import GATEWAY, HomeOption, home_of, read_entries, setting
from services.cli.parking import at_hand
from services.cli.words import err, out
from shared.contracts.topics import Topic
from shared.errors import BadInput

if TYPE_CHECKING:
    from shared.relay.resume import Furthest

HEARD: Final = "SELECT partition, position, head FROM inbox WHERE source = %s AND position >= 0"
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
            hears=heard.topics if heard else (), asks_of=Inward(heard, settings.zone()).asks if heard else None,
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
    why: Annotated[str, typer.Option(help="Who goes on, and why. It is recorded for ever; no names in it.")],
    partition: Annotated[
        int | None, typer.Option(min=0, help="The partition whose reader is ahead; by default all, as the readers say.")
    ] = None,
    after: Annotated[int | None, typer.Option(min=0, help="With --partition: the furthest position that a reader has applied.")] = None,
    head: Annotated[str | None, typer.Option(help="With --partition: the hash of that event, as the reader's inbox holds it.")] = None,
    home: HomeOption = None,
) -> None:
    """Go on behind what is lost for ever: the database was restored, and Kafka lost what it had told since. Records the hole as an event.

    The service must not run; where Kafka still holds what is missing this refuses, and `catch-up` copies it back. What readers have applied
    of the lost events they keep. The readers of a local installation are asked themselves; elsewhere name --partition, --after and --head.
    May be run again.
    """
    asyncio.run(_resume(service, _named(partition, after, head), why, home))


def _named(partition: int | None, after: int | None, head: str | None) -> Furthest | None:
    """Return what the options say of a reader, or None where they say nothing."""
    from shared.relay.resume import Furthest

    if partition is None and after is None and head is None:
        return None
    if partition is None or after is None or head is None:
        raise BadInput("--partition, --after and --head belong together: name all three, or none to ask the readers")
    if re.fullmatch(r"[0-9a-f]{64}", head) is None:
        raise BadInput("--head is no hash: it is 64 hexadecimal digits, as `head` in the reader's table `inbox`")
    return Furthest(partition, after, head)


async def _resume(service: Topic, named: Furthest | None, why: str, home: HomeOption) -> None:
    from uuid_utils.compat import uuid7

    from shared.contracts.ledger import MAX_WHY
    from shared.relay.resume import Resume

    if not why.strip() or len(why) > MAX_WHY:
        raise BadInput(f"say why, in at most {MAX_WHY} characters: it is recorded for ever")
    async with at_hand(service, home) as found:
        settings = found.settings
        work = Resume(
            dsn=settings.database(), service=service, installation=settings.installation, partitions=settings.partitions,
            release=settings.release, kafka_servers=settings.kafka(), prefix=settings.topic_prefix,
        )  # fmt: skip
        readers = await _readers(home, service)
        furthest = list(readers.values()) if named is None else [_agreed(named, readers.get(named.partition), service)]
        if not furthest:
            raise BadInput(f"no reader of {service} is known here: name --partition, --after and --head, from the furthest reader's inbox")
        holes = await work.run(furthest, why.strip(), found.ledger.clock.now(), uuid7())
    for hole in holes:
        out.print(
            f"{service}: events {hole.first:,} to {hole.after:,} of partition {hole.partition} are lost; event {hole.after + 1:,} says so."
        )
    if not holes:
        out.print(f"{service} is not behind any reader: nothing was recorded.")
        return
    out.print("It may start. A reader that stood still because of this goes on after it was started again.")


async def _readers(home: HomeOption, service: str) -> dict[int, Furthest]:
    """Return the furthest reader of each partition, as the local installation's readers say themselves."""
    from services.cli.verify import parts_of
    from shared.relay.resume import Furthest

    found: dict[int, Furthest] = {}
    for reader, entry in read_entries(home_of(home)).items():
        url = setting(entry.environment, "database_url")
        if reader == GATEWAY or not url or service not in getattr(parts_of(reader).subscription, "topics", ()):
            continue
        async with await psycopg.AsyncConnection.connect(url) as connection:
            for partition, position, head in await (await connection.execute(HEARD, [service])).fetchall():
                if position > getattr(found.get(partition), "after", -1):
                    found[partition] = Furthest(partition, position, head)
    return found


def _agreed(named: Furthest, known: Furthest | None, service: str) -> Furthest:
    """Return what was named, where no reader that is known here says otherwise.

    Raises:
        BadInput: one is further, or holds another event there.
    """
    if known is not None and (known.after > named.after or (known.after == named.after and known.head != named.head)):
        raise BadInput(
            f"the furthest reader of partition {named.partition} of {service} has applied event {known.after} with hash {known.head}: "
            f"name these, or leave --partition, --after and --head away"
        )
    return named
