"""The whole chain as it runs anywhere: one process per service, real Kafka and PostgreSQL, a small district over HTTP."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from demo import caliper, catalogue, framework, items, resources, roster
from demo.learners import Answer
from demo.school import PERSON_IRI, School, school
from services.cli.home import GATEWAY, read_entries
from shared.contracts.topics import Topic
from shared.relay.topics import ensure_topics
from shared.relay.walk import records
from tests.system.test_cli import HOMES, address, cairn, processes_of

LEARNERS = 24
START = datetime(2026, 10, 12, 9, tzinfo=UTC)
PATIENCE_S = 90


@dataclass
class District:
    """A small school that was brought in, and what its client was told."""

    home: Path
    school: School
    client: httpx.Client
    acks: Path
    ids: dict[str, str] = field(default_factory=dict)
    told: int = 0
    minute: int = 0

    def answers(self, learner: int, count: int, right: bool = True, days: int = 3) -> list[Answer]:
        """Return what one learner hands in about the first step of her path, over several days, never the same twice."""
        one = self.school.learners[learner]
        step = self.path(learner)["steps"][0]["code"]
        choice = items.items_of(step)
        made = []
        for number in range(count):
            self.minute += 1
            at = START - timedelta(days=days - number % days) + timedelta(minutes=self.minute)
            made.append(Answer(one, choice[number % len(choice)], "mathematics", at, at + timedelta(seconds=50), int(right), 1))
        return sorted(made, key=lambda answer: answer.ended_at)

    def send(self, answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Send answers as one envelope, again and again until they are acknowledged, as an LMS does; log what it was told."""
        body = caliper.envelope(answers, datetime(2026, 10, 13, 7, tzinfo=UTC))
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self.client.post("/evidence/caliper", json=body)
                if answer.status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, "nobody takes the evidence"
            time.sleep(0.3)
        results: list[dict[str, Any]] = answer.json()["results"]
        with self.acks.open("a") as log:
            log.write(json.dumps({"status": 200, "acts": results}) + "\n")
        self.told += len(results)
        return results

    def path(self, learner: int) -> dict[str, Any]:
        return self.get(f"/pathing/learners/{self.id(learner)}/path")

    def id(self, learner: int) -> str:
        return self.ids[self.school.learners[learner].family + " " + self.school.learners[learner].given]

    def get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result


def eventually(what: Callable[[], Any], why: str, seconds: float = PATIENCE_S) -> Any:
    """Return what is at last true."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = what()
        except (httpx.TransportError, AssertionError, KeyError, IndexError):
            found = None
        if found:
            return found
        assert time.monotonic() < until, f"never: {why}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def district() -> Iterator[District]:
    """A district of one school on an installation of its own, which is ended without a trace."""
    HOMES.mkdir(exist_ok=True)
    home = HOMES / f"{os.getpid()}-chain"
    try:
        done = cairn(home, "up", "--now", "2026-10-13T07:30:00Z")
        assert done.returncode == 0, done.stderr
        with httpx.Client(base_url=address(home), timeout=60) as client:
            yield bring_in(District(home, school(LEARNERS, 3), client, home / "acks.jsonl"))
    finally:
        cairn(home, "down", "--wipe")
        for process in processes_of(home):
            process.kill()


def bring_in(district: District) -> District:
    client = district.client

    def sent(answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text

    archive = roster.archive(district.school)
    zipped = {"content-type": "application/zip"}
    sent(client.post("/profile/oneroster/imports", params={"source": "sis", "person_iri": PERSON_IRI}, content=archive, headers=zipped))
    sent(client.put("/pathing/activities", json=catalogue.activities(1)))
    sent(client.put("/evidence/alignments", json=items.alignments(items.all_items())))
    sent(client.post("/mastery/case/packages", json=framework.package()))
    place = district.get("/profile/schools")["items"][0]["school_id"]
    sent(client.put("/scheduling/resources", json=resources.resources(place, LEARNERS)))
    for one in district.get("/profile/learners?limit=1000")["items"]:
        district.ids[f"{one['family_name']} {one['given_name']}"] = one["learner_id"]
    assert len(district.ids) == LEARNERS
    eventually(lambda: district.path(LEARNERS - 1)["steps"], "every learner has a path")
    eventually(lambda: district.get(f"/scheduling/learners/{district.id(0)}/days/tomorrow")["periods"], "tomorrow is planned")
    return district


def verified(district: District) -> int:
    """Replay everything and return the number of decisions."""
    done = cairn(district.home, "replay", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    last = re.search(r"([\d,]+) decisions replayed, 0 differ", done.stdout)
    assert last, done.stdout
    return int(last[1].replace(",", ""))


def audited(district: District) -> str:
    done = cairn(district.home, "audit", "check", "--acks", str(district.acks), "--wait", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 violations" in done.stdout
    return done.stdout


@pytest.mark.slow
def test_an_answer_moves_estimate_level_path_and_tomorrow(district: District) -> None:
    learner = district.id(0)
    first = district.path(0)["steps"][0]["competency_id"]
    before = district.get(f"/scheduling/learners/{learner}/days/tomorrow")
    results = district.send(district.answers(0, 30, days=6))
    assert {result["result"] for result in results} == {"recorded"}

    def mastered() -> bool:
        levels = district.get(f"/mastery/learners/{learner}/competencies")["items"]
        return any(level["competency_id"] == first and level["level"] == "mastered" for level in levels)

    eventually(mastered, "thirty right answers on six days are mastery")
    eventually(lambda: district.path(0)["steps"][0]["competency_id"] != first, "the path goes on")
    after = eventually(
        lambda: (now := district.get(f"/scheduling/learners/{learner}/days/tomorrow"))["demand_version"] > before["demand_version"] and now,
        "tomorrow serves the new demand",
    )
    assert after["periods"] != before["periods"]
    why = district.get(f"/mastery/learners/{learner}/competencies/{first}/why")
    assert why, "the estimate explains itself"


@pytest.mark.slow
def test_a_choice_is_honoured_in_path_and_demand(district: District) -> None:
    step = district.path(1)["steps"][0]
    other = step["options"][1]
    chosen = district.client.post(
        f"/pathing/learners/{district.id(1)}/choices",
        json={"competency_id": step["competency_id"], "activity_id": other["activity_id"]},
    )
    assert chosen.status_code == 200, chosen.text
    now = district.path(1)["steps"][0]
    assert (now["competency_id"], now["chosen"]) == (step["competency_id"], other["activity_id"])


@pytest.mark.slow
@pytest.mark.parametrize("service", list(Topic))
def test_a_service_killed_in_the_middle_loses_and_doubles_nothing(district: District, service: Topic) -> None:
    for turn in range(3):
        district.send(district.answers(2 + turn, 10, right=turn % 2 == 0))
    entry = read_entries(district.home)[service]
    assert entry.pid is not None
    psutil.Process(entry.pid).send_signal(signal.SIGKILL)
    if service is Topic.EVIDENCE:
        assert cairn(district.home, "up").returncode == 0
    for turn in range(3):
        district.send(district.answers(5 + turn, 10, right=turn % 2 == 0)) if service is not Topic.PATHING else None
    assert cairn(district.home, "up").returncode == 0
    district.send(district.answers(8, 10))
    counts = audited(district)
    assert re.search(rf"acts that clients were told about\s+{district.told}\b", counts), counts


@pytest.mark.slow
def test_the_same_roster_and_the_same_evidence_again_change_nothing(district: District) -> None:
    answers = district.answers(9, 10)
    district.send(answers)
    audited(district)
    lengths = ledger_lengths(district)
    assert {result["result"] for result in district.send(answers)} == {"duplicate"}
    district.told -= len(answers)
    again = district.client.post(
        "/profile/oneroster/imports", params={"source": "sis", "person_iri": PERSON_IRI}, content=roster.archive(district.school),
        headers={"content-type": "application/zip"},
    )  # fmt: skip
    assert again.status_code == 200
    time.sleep(1)
    assert ledger_lengths(district) == lengths


def ledger_lengths(district: District) -> dict[str, int]:
    found = {}
    for service in Topic:
        with psycopg.connect(read_entries(district.home)[service].environment["CAIRN_DATABASE_URL"]) as connection:
            row = connection.execute("SELECT sum(length) FROM partition").fetchone()
            found[str(service)] = int(row[0]) if row else 0
    return found


@pytest.mark.slow
async def test_junk_and_headers_of_any_bytes_stop_nothing(district: District) -> None:
    servers = read_entries(district.home)[Topic.EVIDENCE].environment["CAIRN_KAFKA_SERVERS"]
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for partition in range(8):
            await producer.send_and_wait(
                "cairn.evidence", b"\x00\xff no event", partition=partition, headers=[("traceparent", b"\xff\xfe")]
            )
    district.send(district.answers(10, 10))
    audited(district)
    listed = cairn(district.home, "park", "list", "mastery")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count("foreign") == 8, listed.stdout


@pytest.mark.slow
def test_every_decision_replays_and_a_learners_story_has_its_causes(district: District) -> None:
    assert verified(district) > 500
    shown = cairn(district.home, "replay", "show", "--learner", district.id(0), COLUMNS="300")
    assert shown.returncode == 0, shown.stderr
    for word in ("mastered", "path of", "demand number", "evidence.recorded.v1", "mastery.level-changed.v1", "pathing.demand-changed.v1"):
        assert word in shown.stdout, f"{word} is missing:\n{shown.stdout[-3000:]}"
    one = cairn(district.home, "replay", "verify", "--learner", district.id(0))
    assert one.returncode == 0, one.stdout + one.stderr
    nobody = cairn(district.home, "replay", "verify", "--learner", str(uuid4()))
    assert nobody.returncode == 1
    assert "nothing was replayed" in nobody.stderr


@pytest.mark.slow
def test_one_flipped_byte_is_found_and_named(district: District) -> None:
    """On the record itself, flipped by a superuser past all guards, and put back afterwards."""
    entry = read_entries(district.home)[Topic.MASTERY]
    assert entry.owner_url is not None
    with psycopg.connect(entry.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE event DISABLE TRIGGER refuse_change")
        try:
            row = owner.execute("SELECT partition, position, bytes FROM event WHERE type = 'mastery.estimated.v1' LIMIT 1").fetchone()
            assert row is not None
            partition, position, raw = row[0], row[1], bytes(row[2])
            found = re.search(rb'"mean_e6":-?\d+', raw)
            assert found is not None
            at = found.end() - 1  # The last digit, so that the event still reads as one.
            changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
            put = "UPDATE event SET bytes = %s WHERE partition = %s AND position = %s"
            owner.execute(put, [changed, partition, position])
            done = cairn(district.home, "replay", "verify", "--service", "mastery")
            owner.execute(put, [raw, partition, position])
        finally:
            owner.execute("ALTER TABLE event ENABLE TRIGGER refuse_change")
    assert done.returncode == 1
    assert "not chained to the event before it" in done.stdout
    assert "gives another answer now" in done.stdout
    assert f"partition {partition}, position {position}" in done.stdout


@pytest.mark.slow
async def test_names_are_found_nowhere_but_sealed_in_profile(district: District) -> None:
    """Every topic, every table of every service and every log, searched for the names and ids of every person."""
    people = [*district.school.learners, *district.school.teachers]
    canaries = {word for person in people for word in (f"{person.given} {person.family}", person.sourced_id) if len(word) > 6}
    assert len(canaries) > LEARNERS
    environment = read_entries(district.home)[Topic.EVIDENCE].environment
    haystacks: dict[str, str] = {}
    for service in Topic:
        values = [raw async for _, _, raw in records(environment["CAIRN_KAFKA_SERVERS"], f"cairn.{service}", range(8))]
        haystacks[f"topic of {service}"] = b"\n".join(values).decode("utf-8", "replace")
        haystacks[f"tables of {service}"] = dump(read_entries(district.home)[service].environment["CAIRN_DATABASE_URL"])
        haystacks[f"log of {service}"] = (district.home / "log" / f"{service}.log").read_text()
    assert all(haystacks[f"tables of {service}"] for service in Topic)
    found = [(place, canary) for place, text in haystacks.items() for canary in canaries if canary in text]
    assert not found, found[:5]
    shown = district.get("/profile/learners?limit=1000")["items"]
    assert {f"{one['family_name']} {one['given_name']}" for one in shown} == district.ids.keys(), "and profile can still read them"


def dump(url: str) -> str:
    """Return every row of every table as text, bytes decoded."""
    found = []
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"').fetchall():  # noqa: S608 - names from the catalogue
                found.extend(
                    bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value) for value in row
                )
    return "\n".join(found)


async def test_a_record_dated_years_ago_outlives_retention(kafka_servers: str, topic_prefix: str) -> None:
    """The broker of the tests deletes what is due every second. On a topic without our settings, the same record is lost."""
    await ensure_topics(kafka_servers, topic_prefix, ["evidence"], 1)
    ours, plain = f"{topic_prefix}.evidence", f"{topic_prefix}.plain"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(plain, 1, 1, topic_configs={"message.timestamp.before.max.ms": "9223372036854775807"})])
    finally:
        await admin.close()
    long_ago = int(datetime(2019, 9, 2, tzinfo=UTC).timestamp() * 1000)
    async with AIOKafkaProducer(bootstrap_servers=kafka_servers) as producer:
        for topic in (ours, plain):
            await producer.send_and_wait(topic, b"a quiz of long ago", partition=0, timestamp_ms=long_ago)
    until = time.monotonic() + 60
    while [row async for row in records(kafka_servers, plain, [0])]:
        assert time.monotonic() < until, "the control was never deleted: this test shows nothing"
        await asyncio.sleep(0.5)
    assert [raw async for _, _, raw in records(kafka_servers, ours, [0])] == [b"a quiz of long ago"]


def test_the_gateway_is_the_one_address(district: District) -> None:
    assert read_entries(district.home)[GATEWAY].pid is not None
    for service in Topic:
        assert district.client.get(f"/{service}/health/ready").status_code == 200
