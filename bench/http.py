"""Evidence over HTTP: what a quiz of ten costs in the gateway, in evidence's service and in PostgreSQL, beside the same acts without HTTP.

Envelopes of Caliper go to the gateway, each with ten answers of one learner, from clients that wait for the acknowledgement and send the
next. Beside it the group commit of `bench.ingest`, asked for the same number of acts, in quizzes of ten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpcore
import orjson

from bench.bars import Bars
from bench.evidence import NOBODY
from bench.figures import cpu_between, cpu_of_each, servers_of, shown
from demo import caliper, items
from demo.learners import Answer
from demo.school import Learner, school
from services.cli.home import GATEWAY, read_entries
from services.cli.installation import stop, up
from services.evidence.app import PARTS as EVIDENCE
from services.evidence.calendar import NoteCalendar
from services.evidence.domain import AlignItem, NoteAlias
from shared.clock import SystemClock
from shared.contracts.evidence import AliasNoted, CalendarNoted, ItemAligned
from shared.contracts.topics import Topic
from shared.keys import item_id_of, learner_id_of, person_alias
from shared.ledger.types import Ask
from shared.serve import SearchPool, build
from shared.settings import load_settings, variable_of

LEARNERS: Final = 240
QUIZ: Final = 10
CLIENTS: Final = 32
COUNT, QUICK, WARM = 3_000, 600, 300
"""Envelopes."""
NOW: Final = "2026-10-13T07:30:00Z"
START: Final = datetime(2026, 9, 1, 8, tzinfo=UTC)
JSON: Final = [("Content-Type", "application/json")]
LIMITS: Final = {"timeout": dict.fromkeys(("connect", "pool", "read", "write"), 60.0)}
BAR: Final = 2_000.0
"""Microseconds of processor time for each evidence, all processes together, the generator's own left out."""


async def make_known(environment: dict[str, str], learners: Sequence[Learner], alignment: dict[str, tuple[str, ...]]) -> None:
    """Let evidence know all learners and items, so that what is sent is recorded at once."""
    names = {variable_of(name): name for name in EVIDENCE.settings.model_fields}
    settings = load_settings(EVIDENCE.settings, **{names[name]: value for name, value in environment.items() if value and name in names})
    service = build(EVIDENCE, settings, SystemClock(), SearchPool())
    aliases = [person_alias(settings.district(), "", learner.iri) for learner in learners]
    commands: list[Any] = [NoteCalendar(CalendarNoted(first_day=START.date() - timedelta(days=1)))]
    commands += [NoteAlias(AliasNoted(alias=each, learner_id=learner_id_of(settings.district(), each))) for each in aliases]
    commands += [AlignItem(ItemAligned(item_id=item_id_of(iri), iri=iri, competency_ids=told)) for iri, told in alignment.items()]
    async with service.pool:
        for start in range(0, len(commands), 500):
            await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(commands[start : start + 500])])


def envelopes(first: int, count: int, learners: Sequence[Learner], asked: Sequence[items.Item]) -> list[bytes]:
    """Return quizzes as bodies, those of one learner in the order of time."""
    made = []
    for number in range(first, first + count):
        learner, at = learners[number % len(learners)], START + timedelta(minutes=number)
        answers = [
            Answer(learner, asked[(number * QUIZ + n) % len(asked)], "mathematics", at, at + timedelta(seconds=20 + n), int(n % 5 > 0), 1)
            for n in range(QUIZ)
        ]
        made.append(orjson.dumps(caliper.envelope(answers, at + timedelta(minutes=1))))
    return made


async def send(address: str, bodies: Sequence[bytes]) -> None:
    """Send all, CLIENTS at a time.

    Raises:
        RuntimeError: one was not taken, or not recorded at once.
    """
    left = iter(bodies)
    async with httpcore.AsyncConnectionPool(max_connections=CLIENTS) as pool:

        async def client() -> None:
            for body in left:
                answer = await pool.request("POST", f"{address}/evidence/caliper", headers=JSON, content=body, extensions=LIMITS)
                if answer.status != HTTPStatus.OK or set(orjson.loads(answer.content)["counts"]) != {"recorded"}:
                    raise RuntimeError(f"not taken: {answer.status} {answer.content[:500]!r}")

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Send, and print what each process used for each piece of evidence."""
    count = QUICK if quick else COUNT
    print(f"HTTP: {count:,} envelopes of {QUIZ} answers each, by {CLIENTS} clients through the gateway", flush=True)
    try:
        up(home, now=NOW, only=[Topic.EVIDENCE])
        entries, learners, asked = read_entries(home), school(LEARNERS, 1).learners, items.all_items()
        alignment = {item.iri: (str(item_id_of(f"competency {n % 150}")),) for n, item in enumerate(asked)}
        asyncio.run(make_known(entries[Topic.EVIDENCE].environment, learners, alignment))
        processes = {name: entry.process for name, entry in entries.items() if entry.process is not None} | servers_of(home)
        address = entries[GATEWAY].address
        asyncio.run(send(address, envelopes(0, WARM, learners, asked)))
        bodies = envelopes(WARM, count, learners, asked)
        before, began = cpu_of_each(processes), time.perf_counter()
        asyncio.run(send(address, bodies))
        seconds, cpu_us = time.perf_counter() - began, cpu_between(before, cpu_of_each(processes), count * QUIZ)
    finally:
        stop(home, wipe=True)
    print(f"  {count * QUIZ / seconds:,.0f} evidence/s, CPU {shown(cpu_us)}", flush=True)
    for name, used in cpu_us.items():
        bars.figure(f"http: CPU per evidence, {name}", used, "us")
    bars.figure("http: CPU per evidence, all processes", sum(cpu_us.values()), "us", at_most=BAR)
