"""A small district on real databases, all five services in this process, their events carried from ledger to ledger without Kafka."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg

from demo import caliper, catalogue, framework, items, resources, roster
from demo.learners import Answer
from demo.school import PERSON_IRI, School, school
from services.cli.audit import Installation
from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.consume.inward import Inward
from shared.consume.reader import Apply, Lane
from shared.contracts.envelope import Header, digest
from shared.contracts.topics import Topic
from shared.ledger import Batch
from shared.serve import Service
from shared.stack import ServiceDatabase, Stack, copy_database, drop_database
from shared.testing import running

LEARNERS = 24
NOW = datetime(2026, 10, 13, 7, 30, tzinfo=UTC)
MAX_ROUNDS = 50


@dataclass
class District:
    """The databases of a district, and what its client was told."""

    stack: Stack
    databases: dict[str, ServiceDatabase]
    acks: Path
    school: School

    @property
    def installation(self) -> Installation:
        urls = {service: database.app_url for service, database in self.databases.items()}
        return Installation(urls, owner_urls={service: database.owner_url for service, database in self.databases.items()})

    @contextmanager
    def copied(self, *services: str) -> Iterator[District]:
        """Give the district with copies of these services' databases, to be tampered with."""
        names = {service: f"cairn_{service}_{secrets.token_hex(6)}" for service in services}
        try:
            copies = {service: copy_database(self.stack.postgres_url, self.databases[service], name) for service, name in names.items()}
            yield replace(self, databases={**self.databases, **copies})
        finally:
            for name in names.values():
                drop_database(self.stack.postgres_url, name)

    @contextmanager
    def as_owner(self, service: str) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection past all guards of a copy."""
        with psycopg.connect(self.databases[service].owner_url, autocommit=True) as owner:
            owner.execute("ALTER TABLE event DISABLE TRIGGER refuse_change")
            yield owner
            owner.execute("ALTER TABLE event ENABLE TRIGGER refuse_change")


async def build(stack: Stack, databases: dict[str, ServiceDatabase], acks: Path) -> District:
    """Return a district in which everybody is rostered, planned for, and has handed in something."""
    district = District(stack, databases, acks, school(LEARNERS, 3))
    async with AsyncExitStack() as opened:
        services = {
            service: await opened.enter_async_context(running(parts_of(service), database, clock=FixedClock(NOW)))
            for service, database in databases.items()
        }
        await _bring_in(services, district.school)
        for day in range(3):
            await _answers(services, district, day)
            await carry(services)
        await _masters(services, district)
        await carry(services)
    return district


async def _bring_in(services: dict[str, Service], district: School) -> None:
    zipped = {"content-type": "application/zip"}
    query = {"source": "sis", "person_iri": PERSON_IRI}
    await _sent(services, "POST", "/profile/oneroster/imports", params=query, content=roster.archive(district), headers=zipped)
    await _sent(services, "PUT", "/pathing/activities", json=catalogue.activities(1))
    await _sent(services, "PUT", "/evidence/alignments", json=items.alignments(items.all_items()))
    await _sent(services, "POST", "/mastery/case/packages", json=framework.package())
    [place] = (await _sent(services, "GET", "/profile/schools"))["items"]
    await _sent(services, "PUT", "/scheduling/resources", json=resources.resources(place["school_id"], LEARNERS))
    await carry(services)


async def _answers(services: dict[str, Service], district: District, day: int) -> None:
    known = items.all_items()
    answers = []
    for number, learner in enumerate(district.school.learners[: LEARNERS // 2]):
        for turn in range(4):
            at = NOW - timedelta(days=4 - day, minutes=10 * turn + number)
            item = known[(number * 7 + turn * 3 + day) % len(known)]
            answers.append(Answer(learner, item, "mathematics", at - timedelta(seconds=50), at, 1, 1))
    await _hand_in(services, district, answers)


async def _masters(services: dict[str, Service], district: District) -> None:
    """Let one learner answer so well, on so many days, that she masters her first step: her path and her day go on."""
    learner = district.school.learners[0]
    shown = await _sent(services, "GET", "/profile/learners?limit=1000")
    [id] = [one["learner_id"] for one in shown["items"] if (one["given_name"], one["family_name"]) == (learner.given, learner.family)]
    step = (await _sent(services, "GET", f"/pathing/learners/{id}/path"))["steps"][0]["code"]
    choice, answers = items.items_of(step), []
    for number in range(30):
        at = NOW - timedelta(days=6 - number // 5, minutes=30 - number)
        answers.append(Answer(learner, choice[number % len(choice)], "mathematics", at - timedelta(seconds=50), at, 1, 1))
    await _hand_in(services, district, answers)


async def _hand_in(services: dict[str, Service], district: District, answers: Sequence[Answer]) -> None:
    told = await _sent(services, "POST", "/evidence/caliper", json=caliper.envelope(answers, NOW))
    with district.acks.open("ab") as log:
        log.write(orjson.dumps({"status": 200, "acts": told["results"]}) + b"\n")


async def _sent(services: dict[str, Service], method: str, path: str, **given: Any) -> Any:
    client = services[path.split("/")[1]].client
    assert client is not None
    answer = await client.request(method, path, **given)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def carry(services: dict[str, Service]) -> None:
    """Carry events from ledger to inbox, and let time do its work, until nothing moves any more."""
    for _ in range(MAX_ROUNDS):
        moved = [await deliver(services, reader) for reader in services]
        worked = [await service.tick() for service in services.values()]
        if not any(moved) and not any(worked):
            return
    raise AssertionError("the district never comes to rest")


async def deliver(services: dict[str, Service], reader: str) -> int:
    """Apply what a service has not heard yet, as its consumer would; return how many events."""
    service, subscription = services[reader], parts_of(reader).subscription
    if subscription is None:
        return 0
    inward, count = Inward(subscription), 0
    inboxes = await service.ledger.inbox([str(topic) for topic in subscription.topics])
    for (source, number), inbox in inboxes.items():
        lane = Lane(source, f"/local/{source}", inbox)
        async with services[source].pool.connection() as connection:
            statement = "SELECT position, bytes FROM event WHERE partition = %s AND position > %s ORDER BY position"
            rows: Sequence[Any] = await (await connection.execute(statement, [number, inbox.position])).fetchall()
        for start in range(0, len(rows), 200):
            part = rows[start : start + 200]
            records = tuple(
                inward.incoming(lane, position, raw, Apply(Header.read(raw), digest(raw)), n)
                for n, (position, raw) in enumerate((position, bytes(raw)) for position, raw in part)
            )
            applied = await service.ledger.apply(Batch({(source, number): inbox}, records))
            inbox = applied.inbox[source, number]
            count += len(records)
    return count


def all_databases(stack: Stack, migrated: Callable[[str], ServiceDatabase]) -> dict[str, ServiceDatabase]:
    """Return an empty database for each service."""
    return {str(topic): copy_database(stack.postgres_url, migrated(topic), f"cairn_{topic}_{secrets.token_hex(6)}") for topic in Topic}
