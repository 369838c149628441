"""Every decision is decided again and compared; then one bit is turned over in a copy, to see that it is found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from demo.client import Unexpected
from demo.district import District
from demo.installation import NAME, Place
from demo.words import out, plain, say, table
from services.cli.verify import Lane, Report, replay_lane, settings_of, verdict, verify
from shared.contracts.topics import Topic
from shared.replay import Difference
from shared.stack import create_database, drop_database, drop_roles

SUFFIX: Final = "_demo_copy"
COPIED: Final = "SELECT * FROM event WHERE partition = {partition} OR stream = {settings}"
LOOKING: Final = ("the chain", "the replay")
SHOWN: Final = 220
"""Characters of a difference."""


async def tell_replay(place: Place) -> None:
    """Replay everything and tell what was compared.

    Raises:
        Unexpected: a decision comes out otherwise now, or a chain is broken.
    """
    say("Every decision of these six weeks is now made again, from the record alone, and compared byte by byte with what was decided.")
    started = time.monotonic()
    reports = await asyncio.to_thread(_replay, place)
    table(
        ("record", "events", "decisions made again", "unbroken chains", "different"),
        [(each.service, f"{each.events:,}", f"{each.decisions:,}", str(each.chains), str(len(each.differences))) for each in reports],
    )
    wrong = [difference for report in reports for difference in report.differences]
    if wrong:
        raise Unexpected(f"{verdict(reports)}; the first: {wrong[0]}")
    say(f"[bold]{verdict(reports)}[/bold], in {time.monotonic() - started:.0f} s.")


def _replay(place: Place) -> list[Report]:
    done = 0

    with out.status("making every decision again") as status:

        def show(report: Report) -> None:
            nonlocal done
            done += 1
            status.update(f"making every decision again: {done} parts done, the last of {report.service}")

        return verify(place.records, NAME, list(Topic), None, show)


async def tell_tampering(district: District, place: Place, learner_id: str) -> None:
    """Copy a part of mastery's record, flip one bit in it, and tell who finds it. The record itself is only read.

    Raises:
        Unexpected: nobody finds it.
    """
    name = plain(district.shown(learner_id))
    say(f"Now somebody with the keys to the database wants {name} to look better. In a copy of the record, we flip one bit.")
    copy = f"cairn_{Topic.MASTERY}{SUFFIX}"
    drop_database(place.administrator, copy)
    create_database(place.administrator, Topic.MASTERY, place.home, SUFFIX)
    try:
        admin = place.administrator.rpartition("/")[0] + f"/{copy}"
        partition = _copied(place.records[Topic.MASTERY], admin, learner_id)
        where = _turned_over(admin, learner_id)
        found = await asyncio.to_thread(_looked_at, admin, partition)
    finally:
        drop_database(place.administrator, copy)
        drop_roles(place.administrator, place.home, [f"{Topic.MASTERY}{SUFFIX}_{part}" for part in ("owner", "app")])
    if len(found) < len(LOOKING):
        raise Unexpected(f"one bit of {where} was turned over, and not everybody who should notice it did: {found}")
    table(("who looks", "what is found"), [(who, _short(difference)) for who, difference in zip(LOOKING, found, strict=False)])
    say(f"Found twice, and named: {plain(where)}. The record itself was only read.")


def _copied(url: str, copy: str, learner_id: str) -> int:
    """Copy the learner's partition and the settings into an empty database without any guard; return the partition."""
    with psycopg.connect(url) as source, psycopg.connect(copy) as target:
        stream = f"{Topic.MASTERY}/learner/{learner_id}"
        row = source.execute("SELECT partition FROM event WHERE stream = %s LIMIT 1", [stream]).fetchone()
        if row is None:
            raise Unexpected("mastery's record does not name the learner")
        columns = source.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'event' ORDER BY ordinal_position"
        ).fetchall()
        fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns)
        target.execute(sql.SQL("CREATE TABLE event ({})").format(fields))
        target.execute("CREATE TABLE partition (id int, length bigint, head text)")
        chosen = sql.SQL(COPIED).format(partition=sql.Literal(row[0]), settings=sql.Literal(f"{Topic.MASTERY}/settings"))
        with (
            source.cursor().copy(sql.SQL("COPY ({}) TO STDOUT").format(chosen)) as taken,
            target.cursor().copy("COPY event FROM STDIN") as given,
        ):
            for part in taken:
                given.write(part)
        for lane in source.execute("SELECT id, length, head FROM partition").fetchall():
            target.execute("INSERT INTO partition VALUES (%s, %s, %s)", lane)
        return int(row[0])


def _turned_over(copy: str, learner_id: str) -> str:
    """Turn over one bit of the learner's last estimate, a digit of its mean, and return which event that is."""
    with psycopg.connect(copy) as target:
        row = target.execute(
            "SELECT stream, version, bytes FROM event WHERE stream = %s AND type = 'mastery.estimated.v1' ORDER BY version DESC LIMIT 1",
            [f"{Topic.MASTERY}/learner/{learner_id}"],
        ).fetchone()
        if row is None:
            raise Unexpected("mastery never estimated the learner")
        stream, version, raw = row
        changed = bytearray(raw)
        mark = b'"mean_e6":'
        changed[changed.index(mark) + len(mark) + 1] ^= 1  # 0 and 1, 2 and 3, ... 8 and 9: digits differ in one bit.
        target.execute("UPDATE event SET bytes = %s WHERE stream = %s AND version = %s", [bytes(changed), stream, version])
        return f"{stream}, event {version}"


def _looked_at(copy: str, partition: int) -> Sequence[Difference]:
    """Return what a replay of the partition, and a walk along its chain, find in the copy: the chain's break first."""
    with psycopg.connect(copy) as target:
        lanes = {number: (length, head) for number, length, head in target.execute("SELECT id, length, head FROM partition").fetchall()}
    length, head = lanes[partition]
    settings_of.cache_clear()  # Another copy may have stood at the same address.
    return replay_lane(Lane(copy, Topic.MASTERY, NAME, partition, len(lanes), length, head)).differences


def _short(difference: Difference) -> str:
    return plain(f"{difference.place}: {difference.what}"[:SHOWN])
