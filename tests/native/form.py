"""What one form of the code is asked to do, in a process of its own: write histories and ledgers, or replay ledgers. It answers in JSON.

The commands are the same in every run: evidence in order, late, repeated and corrected, and what people say.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import psutil
import psycopg
import structlog

from bench.evidence import FIRST_QUIZ, NOBODY, acts, known
from bench.form import form
from bench.profile import Bench, Part, service
from services.cli.verify import verify
from services.evidence.app import PARTS as EVIDENCE
from services.mastery import domain
from services.mastery.app import PARTS as MASTERY
from services.mastery.commands import CountEvidence, DeferEvidence, Recalibrate
from shared.clock import FixedClock
from shared.consume.write import Impatient
from shared.contracts.evidence import Kind
from shared.contracts.topics import Topic
from shared.decider import Command
from shared.ledger.types import Ask
from tests.mastery.samples import LEARNER, evidence
from tests.mastery.test_amended import rescore, void
from tests.mastery.test_golden import adopted, followed, judged, simple
from tests.mastery.test_judged import end, give, waive, withdraw

SERVICES: Final = (Topic.EVIDENCE, Topic.MASTERY)
COMMANDS: Final = 120
ANSWERS: Final = FIRST_QUIZ + 1_200
BATCH: Final = 500
TRIES: Final = 5
NOW: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
WRITTEN: Final = {
    "events": "SELECT bytes FROM event ORDER BY partition, position",
    "states": "SELECT convert_to(id, 'UTF8') || state FROM stream ORDER BY id",
}


def histories() -> str:
    """Return a digest of histories of one learner: those of the golden files, and one of commands drawn at random, refusals among them."""
    chosen, seen, drawn = random.Random(7), hashlib.sha256(), judged(domain)
    for number in range(1_000, 1_000 + COMMANDS):
        try:
            drawn.ask(domain.mastery, _command(chosen, number))
        except AssertionError as refused:
            seen.update(str(refused).encode())
    for history in (simple(domain), adopted(domain), followed(domain), drawn):
        seen.update(b"\n".join(history.lines))
    return seen.hexdigest()


def _command(chosen: random.Random, number: int) -> Command:
    """Return a command; evidence is late or repeated as often as not."""
    about = chosen.sample(range(1, 9), chosen.randint(1, 3))
    seen = evidence(
        chosen.choice((number, number - 7)), *about, score_e6=chosen.randrange(1_000_001), day=chosen.uniform(60, 60 + number / 10),
        item=chosen.randrange(40), kind=chosen.choice(list(Kind)),
    )  # fmt: skip
    said = (
        lambda: rescore(number - chosen.randint(1, 9), chosen.randrange(1_000_001)), lambda: void(number - chosen.randint(1, 9)),
        lambda: give(about[0], at=60, until=90), lambda: end(about[0], 95), lambda: waive(2, 1), lambda: withdraw(2, 1),
        lambda: DeferEvidence(seen), lambda: Recalibrate(LEARNER, 5),
    )  # fmt: skip
    return CountEvidence(seen) if chosen.random() < 0.8 else chosen.choice(said)()


def digest_of(url: str) -> str:
    """Return a digest of all events and states of a ledger."""
    seen = hashlib.sha256()
    with psycopg.connect(url) as connection:
        for query in WRITTEN.values():
            for (content,) in connection.execute(query.encode()):
                seen.update(content)
    return seen.hexdigest()


async def write(urls: Mapping[str, str]) -> None:
    """Write both ledgers: answers, one in ten behind its time, one in seven told twice."""
    clock = FixedClock(NOW)
    answers: list[Any] = acts(0, ANSWERS)
    for place in range(FIRST_QUIZ, ANSWERS - 400, 10):
        answers[place], answers[place + 400] = answers[place + 400], answers[place]
    answers += answers[::7]
    async with service(EVIDENCE, urls["evidence"], clock) as told, service(MASTERY, urls["mastery"], clock) as heard:
        both = Bench(told, heard, psutil.Process(), None)
        await told.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(known())])
        for start in range(0, len(answers), BATCH):
            await told.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(answers[start : start + BATCH])])
        await patiently(both)


async def patiently(both: Bench) -> None:
    """Let mastery hear, a few times over where other work on the machine takes so much that a transaction took too long."""
    for left in reversed(range(TRIES)):
        try:
            return await both.hear(Part("mastery"))
        except ExceptionGroup as error:
            if not left or error.split(Impatient)[1] is not None:
                raise
            print(f"mastery hears again: {error.exceptions}", file=sys.stderr)
    raise AssertionError("unreachable")


def main() -> None:
    """Do what the command line says: `write` or `verify`, and the addresses of evidence's and mastery's ledgers."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    urls: dict[str, str] = dict(zip(SERVICES, sys.argv[2:], strict=True))
    said: dict[str, Any] = {"form": form().split()[0]}
    if sys.argv[1] == "write":
        asyncio.run(write(urls))
        said |= {"histories": histories()} | {service: digest_of(url) for service, url in urls.items()}
    else:
        reports = verify(urls, "local", SERVICES, None, lambda report: None)
        said["decisions"] = next(report.decisions for report in reports if report.service == Topic.MASTERY)
        said["differences"] = sum(len(report.differences) for report in reports)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
