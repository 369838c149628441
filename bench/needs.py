"""What explaining an estimate takes, and how long a class's needs take to answer while evidence comes in."""

from __future__ import annotations

import asyncio
import gc
import random
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from httpx import ASGITransport, AsyncClient

from bench.bars import Bars
from bench.evidence import NOBODY, name
from services.mastery.app import PARTS
from services.mastery.commands import CountEvidence
from services.mastery.explain import Known, contributions, estimate
from services.mastery.filter import Normal
from services.mastery.framework import FRAMEWORK
from services.mastery.influence import influences
from services.mastery.inputs import inputs_of
from services.mastery.membership import NoteMembership
from services.mastery.refold import refold
from services.mastery.state import State, minute_of
from shared.clock import SystemClock
from shared.contracts.evidence import EvidenceRecorded, Kind
from shared.contracts.mastery import Competency, Level, MembershipNoted
from shared.contracts.topics import Topic
from shared.http import Health
from shared.ledger import Ask
from shared.migrate import migrate
from shared.parameters import NO_PARAMETERS
from shared.serve import application, build
from shared.settings import load_settings
from shared.settings_stream import adoption
from shared.stack import create_database, postgres, processes
from shared.stack.state import claim
from shared.ticker.pool import SearchPool

EVENTS: Final = 900
COMPETENCIES: Final = 30
CLASS_SIZE: Final = 30
OTHERS: Final = 90
EACH: Final = 40
"""Pieces of evidence of each learner before anything is measured."""
ASKED: Final = 200
"""Times that the class's needs are asked for, at rest and under load."""
RATE: Final = 500
"""Pieces of evidence a second."""
BURST: Final = 10
START_S, POLL_S = 60.0, 0.1
START: Final = datetime(2026, 9, 1, 8, tzinfo=UTC)
CLASS: Final = name("class", 1)


def evidence(number: int, learner: int, draw: random.Random) -> EvidenceRecorded:
    """Return a piece of evidence, each later than the one before it."""
    about = str(name("competency", draw.randrange(COMPETENCIES)))
    return EvidenceRecorded(
        evidence_id=name("needs", number), learner_id=name("learner", learner), item_id=name("item", draw.randrange(400)),
        competency_ids=(about,), score_e6=1_000_000 * (draw.random() < 0.8), occurred_at=START + timedelta(minutes=number), kind=Kind.ITEM,
    )  # fmt: skip


def explaining(bars: Bars) -> None:
    """Measure what explaining takes for a learner of 900 events, in CPU time."""
    inputs, draw = inputs_of(NO_PARAMETERS), random.Random(1)
    seen = [evidence(number * 180, 0, draw) for number in range(EVENTS)]
    minute, about = minute_of(seen[-1].occurred_at), str(name("competency", 1))
    known = Known(Normal(0.5, 0.1), Normal(0.1, 0.1), Normal(0.2, 0.1), minute - 9_000, 9, 3, 5, Level.NEARLY)
    gc.collect()

    def parts() -> None:
        contributions(known, estimate(known, minute, inputs.calibration, inputs.policy, inputs.calibration.reference_easiness))

    bars.figure("contributions: CPU", _best_ms(parts), "ms", at_most=2.0)
    bars.figure("leave-one-out, 900 events: CPU", _best_ms(lambda: influences(about, seen, minute, inputs)), "ms", at_most=150.0)
    anew = _best_ms(lambda: refold(seen, State(), replace(inputs)))
    bars.figure("weighing 900 events again: CPU", anew, "ms")
    late = (evidence(number * 180 - 90, 0, draw) for number in range(EVENTS - 10, EVENTS))
    refold(seen, State(), inputs)
    more = _best_ms(lambda: refold([*seen, next(late)], State(), inputs))
    bars.figure("weighing again for one more that is late: to all of it", more / anew, "times", at_most=0.2)


def _best_ms(work: Any, rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1e3


@asynccontextmanager
async def mastery(home: Path) -> AsyncIterator[tuple[Any, AsyncClient]]:
    """Yield mastery on a fresh PostgreSQL, and a client of it in this process."""
    claim(home)
    part = postgres.start_postgres(home, lambda step: None)
    assert part.pid is not None
    try:
        end = time.monotonic() + START_S
        while not postgres.answers(part.address):
            if time.monotonic() > end:
                raise TimeoutError(f"PostgreSQL does not answer after {START_S:.0f} s")
            await asyncio.sleep(POLL_S)
        made = create_database(part.address, "mastery", home)
        migrate("mastery", made.owner_url)

        async def ready() -> Health:
            return Health(ready=True)

        settings = load_settings(PARTS.settings, database_url=made.app_url, parking_key="11" * 32, district_key="22" * 32)
        running = build(PARTS, settings, SystemClock(), SearchPool())
        async with running.pool:
            await running.start()
            transport = ASGITransport(application(running, ready))
            async with AsyncClient(transport=transport, base_url="http://cairn.bench") as client:
                yield running, client
            await running.asker.stop()
    finally:
        found = processes.recognise(part.pid, part.started)
        if found is not None:
            processes.ask_to_stop([found], signal.SIGINT)
            processes.await_end([found])


async def fill(running: Any, draw: random.Random) -> int:
    """Bring in a framework, a class and evidence of everybody; return how many pieces there are."""
    ids = [str(name("competency", n)) for n in range(COMPETENCIES)]
    items = [
        Competency(id=each, statement="Can do it", code=f"M.{n}", prerequisites=(ids[n - 1],) if n % 3 else ()).model_dump(
            mode="json", exclude_defaults=True
        )
        for n, each in enumerate(ids)
    ]
    await running.asker.ask(adoption(Topic.MASTERY, FRAMEWORK, items), UUID(int=1))
    members = [MembershipNoted(learner_id=name("learner", n), class_ids=(CLASS,), version=1) for n in range(CLASS_SIZE)]
    await running.ledger.handle([Ask(NoteMembership(each), NOBODY, n) for n, each in enumerate(members)])
    number = 0
    for _ in range(EACH):
        seen = [evidence(number + n, n, draw) for n in range(CLASS_SIZE + OTHERS)]
        await running.ledger.handle([Ask(CountEvidence(each), NOBODY, n) for n, each in enumerate(seen)])
        number += len(seen)
    return number


async def asking(client: AsyncClient) -> float:
    """Ask for the class's needs again and again; return the 99th percentile, in milliseconds."""
    took = []
    for _ in range(ASKED):
        started = time.perf_counter()
        answer = await client.get(f"/mastery/classes/{CLASS}/needs")
        took.append(time.perf_counter() - started)
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(0.01)
    return sorted(took)[int(ASKED * 0.99)] * 1e3


async def load(running: Any, first: int, draw: random.Random) -> None:
    """Tell evidence at RATE until cancelled."""
    number, started = first, time.perf_counter()
    while True:
        seen = [evidence(number + n, draw.randrange(CLASS_SIZE + OTHERS), draw) for n in range(BURST)]
        await running.ledger.handle([Ask(CountEvidence(each), NOBODY, n) for n, each in enumerate(seen)])
        number += BURST
        await asyncio.sleep(max(0.0, started + (number - first) / RATE - time.perf_counter()))


async def answering(home: Path, bars: Bars) -> None:
    """Measure how long a class's needs take at rest and under load."""
    draw = random.Random(2)
    async with mastery(home) as (running, client):
        number = await fill(running, draw)
        await asking(client)
        idle = await asking(client)
        task = asyncio.create_task(load(running, number, draw))
        busy = await asking(client)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    bars.figure("needs of a class of 30, at rest: p99", idle, "ms")
    bars.figure(f"needs of a class of 30, at {RATE} evidence/s: p99", busy, "ms")
    bars.figure("needs under load, to at rest", busy / idle, "times", at_most=3.0)


def measure(bars: Bars) -> None:
    """Print what explaining takes, and how long needs take."""
    explaining(bars)
    folder = Path(tempfile.mkdtemp(prefix="cairn-needs-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root.
    try:
        asyncio.run(answering(folder / "home", bars))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    found = Bars()
    measure(found)
    raise SystemExit(found.close())
