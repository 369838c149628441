"""The whole chain as it runs anywhere: one process per service, real Kafka and PostgreSQL, a small district over HTTP."""

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

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
from services.profile.queries import NAME, WORDS
from shared.contracts.envelope import Sealed
from shared.contracts.topics import Topic
from shared.relay.topics import ensure_topics
from shared.relay.walk import records
from shared.seal import Unreadable, unseal, unwrap
from shared.sealing import Use
from shared.stack.processes import is_alive
from tests.system import canaries
from tests.system.canaries import MARK
from tests.system.test_cli import HOMES, address, cairn, processes_of

LEARNERS = 24
KILLED_AFTER, SENT_BEFORE, SENT = 3, 8, 12
"""Envelopes that are told before a service is killed, at most before it is dead, and in all."""
TEACHER = str(UUID(int=7))
START = datetime(2026, 10, 12, 9, tzinfo=UTC)
PATIENCE_S = 90


@dataclass
class District:
    """A small school that was brought in, and what its client was told."""

    home: Path
    school: School
    client: httpx.Client
    acks: Path
    collector: canaries.Collector
    ids: dict[str, str] = field(default_factory=dict)
    told: int = 0
    minute: int = 0

    def up(self) -> None:
        """Start what does not run; all of it tells the collector of its spans."""
        done = cairn(self.home, "up", "--now", "2026-10-13T07:30:00Z", CAIRN_OTLP_ENDPOINT=self.collector.address)
        assert done.returncode == 0, done.stderr

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

    def said(self, status: int, method: str, path: str, **given: Any) -> Any:
        """Return the answer to a request, whose status must be this one."""
        answer = self.client.request(method, path, **given)
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        return answer.json()

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
    """A district of one school on an installation of its own, which is ended without a trace. All its people are marked."""
    HOMES.mkdir(exist_ok=True)
    home = HOMES / f"{os.getpid()}-chain"
    with canaries.collector() as collector, httpx.Client(timeout=60) as client:
        made = District(home, canaries.marked(school(LEARNERS, 3)), client, home / "acks.jsonl", collector)
        try:
            made.up()
            client.base_url = httpx.URL(address(home))
            yield bring_in(made)
        finally:
            cairn(home, "down", "--wipe")
            for process in processes_of(home):
                process.kill()


def bring_in(district: District) -> District:
    client = district.client

    def sent(answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text

    archive = canaries.archive(district.school)
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

    def served() -> bool:
        """The answers may lead to more than one demand, and the first of them to the same day."""
        now = district.get(f"/scheduling/learners/{learner}/days/tomorrow")
        return bool(now["demand_version"] > before["demand_version"] and now["periods"] != before["periods"])

    eventually(served, "tomorrow serves the new demand")
    why = district.get(f"/mastery/learners/{learner}/competencies/{first}/why")
    assert why, "the estimate explains itself"


@pytest.mark.slow
def test_a_choice_is_honoured_in_path_and_demand(district: District) -> None:
    step = district.path(1)["steps"][0]
    first, other = step["options"][:2]

    def wanted() -> set[str]:
        """Return what scheduling takes for the best way to this step, in each period of tomorrow in which she could go on with it."""
        found = set()
        for period in district.get(f"/scheduling/learners/{district.id(1)}/days/tomorrow")["periods"]:
            ranked = [each["activity_id"] for each in (*period["refused"], period) if each["competency_id"] == step["competency_id"]]
            found |= set(ranked[:1])
        return found

    eventually(lambda: wanted() == {first["activity_id"]}, "tomorrow goes by the path")
    chosen = district.client.post(
        f"/pathing/learners/{district.id(1)}/choices",
        json={"competency_id": step["competency_id"], "activity_id": other["activity_id"]},
    )
    assert chosen.status_code == 200, chosen.text
    now = district.path(1)["steps"][0]
    assert (now["competency_id"], now["chosen"]) == (step["competency_id"], other["activity_id"])
    eventually(lambda: wanted() == {other["activity_id"]}, "tomorrow ranks first what she chose")


@pytest.mark.slow
@pytest.mark.parametrize("service", list(Topic))
def test_a_service_killed_in_the_middle_loses_and_doubles_nothing(district: District, service: Topic) -> None:
    """While it is dead an LMS goes on to send: evidence itself has to come back first, without any other service all is taken."""
    drawn = [district.answers(2 + turn, 10, right=turn % 2 == 0) for turn in range(SENT)]
    told = district.told
    entry = read_entries(district.home)[service]
    assert entry.pid is not None
    process, dead = psutil.Process(entry.pid), threading.Event()

    def send_all() -> None:
        for number, some in enumerate(drawn):
            if number == SENT_BEFORE:
                assert dead.wait(60), "the service was not killed"
            district.send(some)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all)
        while district.told < told + 10 * KILLED_AFTER:
            assert not sending.done(), sending.exception()
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        eventually(lambda: not is_alive(process), "it is dead", 10)
        dead.set()
        if service is not Topic.EVIDENCE:
            sending.result()
        district.up()
        sending.result()
    assert district.told == told + 10 * SENT
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
        "/profile/oneroster/imports", params={"source": "sis", "person_iri": PERSON_IRI}, content=canaries.archive(district.school),
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
    for word in (
        "mastered", "path of", "demand number", "an answer was accepted", "evidence.accepted.v1", "evidence.recorded.v1",
        "mastery.level-changed.v1", "pathing.demand-changed.v1",
    ):  # fmt: skip
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
    """Every record of every topic, every row of every service, every line of a log and every span, searched for all that names people:
    the marks in the roster and in what is said here. A stranger's record on a topic names somebody; no copy of it is left in clear."""
    entries = read_entries(district.home)
    servers = entries[Topic.EVIDENCE].environment["CAIRN_KAFKA_SERVERS"]
    trace, stranger = uuid4(), f"Ada{MARK} is no event".encode()
    name_people(district)
    set_aside = parked(district)
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait("cairn.evidence", stranger, partition=0)
    eventually(lambda: parked(district) == set_aside + 1, "mastery sets the stranger's record aside")
    audited(district)
    for service in Topic:  # Its spans come in order: what it told before this one is there, too.
        assert district.client.get(f"/{service}/health/ready", headers={"traceparent": f"00-{trace.hex}-{'1' * 16}-01"}).status_code == 200
    eventually(lambda: all(district.collector.knows(service, trace.bytes) for service in Topic), "every service tells of its spans")

    def stored(planted: str = "") -> list[canaries.Found]:
        return [found for service in Topic for found in canaries.rows(service, entries[service].owner_url or "", planted)]

    told = [*canaries.lines(district.home), *district.collector.spans()]
    assert {place for place, _ in told} >= {"spans", "log gateway.log", *(f"log {service}.log" for service in Topic)}
    found = canaries.leaks([*await canaries.records(servers), *stored(), *told])
    assert [(place, content.strip()) for place, content in found] == [("topic cairn.evidence", stranger)], found[:5]
    shown = district.get("/profile/learners?limit=1000")["items"]
    assert {f"{one['family_name']} {one['given_name']}" for one in shown} == district.ids.keys(), "and profile can still read them"

    log = district.home / "log" / "planted.log"
    log.write_bytes(stranger)
    district.client.post(district.collector.address, content=stranger)
    planted = canaries.leaks([*stored(f"Ada{MARK}"), *canaries.lines(district.home), *district.collector.spans()])
    log.unlink()
    district.collector.told.pop()
    assert {place for place, _ in planted} == {"spans", "log planted.log", *(f"tables of {service}" for service in Topic)}


def name_people(district: District) -> None:
    """Name people wherever somebody may: in words that are sealed, in acts of persons whom nobody knows, and in what is refused."""
    words, clear = f"She built it with Zoe{MARK}.", f"Ada{MARK}"
    said = district.said
    speak_of(district, 11, words)
    named = caliper.envelope(district.answers(11, 1), datetime(2026, 10, 13, 7, tzinfo=UTC))
    named["data"][0]["actor"]["name"] = clear
    assert said(200, "POST", "/evidence/caliper", json=named)["results"][0]["result"] == "recorded"
    nobody = {"source": "gradebook", "learner": f"nobody{MARK}", "id": f"act{MARK}", "item": items.all_items()[0].iri}
    nobody |= {"occurred_at": "2026-10-12T09:00:00Z", "share": 1}
    assert said(200, "POST", "/evidence", json={"items": [nobody]})["results"][0]["result"] == "waiting"
    said(422, "POST", "/evidence", json={"items": [nobody | {"name": clear}]})
    said(400, "POST", "/evidence", content=f'{{"items": ["{clear}', headers={"content-type": "application/json"})
    said(422, "GET", f"/profile/learners/{clear}")
    spoilt = roster.archive(district.school, spoilt=True)
    said(422, "POST", "/profile/oneroster/imports", params={"source": "sis"}, content=spoilt, headers={"content-type": "application/zip"})


def speak_of(district: District, number: int, words: str) -> None:
    """Say words about a learner wherever they are kept: what she likes, why her level is set, why her work counts for nothing."""
    learner, said = district.id(number), district.said
    competency = district.path(number)["steps"][0]["competency_id"]
    act_id = district.send(district.answers(number, 3))[0]["act_id"]
    liked = {"author_id": TEACHER, "role": "teacher", "areas": ["space"], "words": words}
    said(200, "POST", f"/profile/learners/{learner}/preferences", json=liked)
    override = {"author_id": TEACHER, "role": "teacher", "reason": "other", "level": "developing", "until": "2026-12-01T00:00:00Z"}
    for use, method, path, body in (
        (Use.MASTERY_REASON, "PUT", f"/mastery/learners/{learner}/competencies/{competency}/override", override),
        (Use.EVIDENCE_CAUSE, "POST", f"/evidence/acts/{act_id}/void", {"author_id": TEACHER, "cause": "other"}),
    ):
        for unsealed in (words, {"cipher": words, "mac": "a" * 64}):
            said(422, method, path, json=body | {"words": unsealed})
        sealed = said(200, "POST", f"/profile/learners/{learner}/sealed", json={"use": use, "words": words})
        said(200, method, path, json=body | {"words": sealed})


@pytest.mark.slow
async def test_an_erased_learner_is_read_nowhere_and_everything_goes_on(district: District) -> None:
    """Every file of the installation as it lies on the disk, every row, record, line and span; and every key that is left is tried."""
    learner, one, words = district.id(12), district.school.learners[12], f"It is Kim{MARK} who helps her."
    sought = [form for text in (one.given, one.family, one.sourced_id, one.lms_id, words) for form in canaries.forms(text)]
    entries = read_entries(district.home)
    servers = entries[Topic.EVIDENCE].environment["CAIRN_KAFKA_SERVERS"]
    speak_of(district, 12, words)
    sealed: list[Sealed] = []
    for erased in (False, True):  # What lies there does not change; who can read it does.
        about = eventually(
            lambda: found if len(found := sealed_about(district, learner)) >= 5 else None, "her name and words are told, a void by two"
        )
        sealed = sealed or about
        texts = {text for each in sealed for text in readings(district, each)}
        assert texts == (set() if erased else {words, json.dumps([one.given, one.family], separators=(",", ":"))})
        done = cairn(
            district.home,
            "erase",
            "--learner",
            learner,
            "--asked-by",
            "guardian",
            "--why",
            "request",
            "--reference",
            "DSR-2026-0114",
            "--yes",
        )
        assert done.returncode == 0, done.stderr
        for told in (
            f"keys destroyed: {int(not erased)}",
            f"recorded: {'no' if erased else 'yes'}",
            "profile 2, evidence 1, mastery 2",
            "backup",
        ):
            assert told.lower() in done.stdout.lower(), f"{told} is missing: {done.stdout}"
    archive = canaries.archive(district.school)
    again = {"params": {"source": "sis", "person_iri": PERSON_IRI}, "content": archive, "headers": {"content-type": "application/zip"}}
    imported = district.said(200, "POST", "/profile/oneroster/imports", **again)
    assert (imported["erased"], imported["learners"]["changed"], imported["learners"]["unchanged"]) == (1, 1, LEARNERS - 1)
    district.send(district.answers(12, 3))
    audited(district)
    assert verified(district) > 0
    shown = cairn(district.home, "replay", "show", "--learner", learner, COLUMNS="400")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("her name: erased on 2026-10-13") == 1
    assert shown.stdout.count("the words: erased on 2026-10-13") == 4
    assert "her name and all words about her were erased: asked by the guardian (request DSR-2026-0114)" in shown.stdout
    rebuilt = cairn(district.home, "rebuild", "profile", "learner")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "of 1 erased learners" in rebuilt.stdout
    answers = [
        district.client.get(path).content for path in (f"/profile/learners/{learner}", "/profile/learners?limit=1000", "/profile/erasures")
    ]
    assert json.loads(answers[0])["erased_on"] == "2026-10-13"
    places = [
        *(("answer", answer) for answer in (answers[0], answers[2], *(done.stdout.encode() for done in (shown, rebuilt)))),
        *canaries.files(district.home), *canaries.lines(district.home), *district.collector.spans(), *await canaries.records(servers),
        *(found for service in Topic for found in canaries.rows(service, entries[service].owner_url or "")),
    ]  # fmt: skip
    assert {place.split()[0] for place, _ in places} == {"answer", "file", "log", "spans", "topic", "tables"}
    assert canaries.leaks(places, [learner.encode()]), "what is searched is there"
    assert [place for place, _ in canaries.leaks(places, sought)] == []
    assert len(sealed_about(district, learner)) == len(sealed), "nothing more of hers was sealed"
    planted = district.home / "planted"
    planted.write_text(f"{one.family}, {one.given}")
    assert [place for place, _ in canaries.leaks(canaries.files(district.home), sought)] == ["file planted"]
    planted.unlink()


def sealed_about(district: District, learner: str) -> list[Sealed]:
    """Return all that the records of the services hold sealed about a learner."""
    found: list[Sealed] = []

    def look(value: Any) -> None:
        if isinstance(value, dict) and value.keys() == {"cipher", "mac"}:
            found.append(Sealed(**value))
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            look(inner)

    for service in Topic:
        with psycopg.connect(read_entries(district.home)[service].environment["CAIRN_DATABASE_URL"]) as connection:
            for (raw,) in connection.execute("SELECT bytes FROM event").fetchall():
                data = json.loads(bytes(raw))["data"]
                if data.get("learner_id") == learner:
                    look(data)
    return found


def readings(district: District, sealed: Sealed) -> set[str]:
    """Return what any key that there is makes of a sealed text, whatever it was sealed for."""
    entry = read_entries(district.home)[Topic.PROFILE]
    master, texts = bytes.fromhex(entry.environment["CAIRN_DISTRICT_KEY"]), set()
    with psycopg.connect(entry.environment["CAIRN_DATABASE_URL"]) as connection:
        keys = [unwrap(master, bytes(wrapped)) for (wrapped,) in connection.execute("SELECT wrapped FROM person_key").fetchall()]
    assert len(keys) >= LEARNERS - 1
    for key in keys:
        for use in (NAME, WORDS, *Use):
            with suppress(Unreadable):
                texts.add(unseal(key, sealed, use))
    return texts


def parked(district: District) -> int:
    """Return how many records mastery has set aside."""
    with psycopg.connect(read_entries(district.home)[Topic.MASTERY].environment["CAIRN_DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*) FROM parked").fetchone()
        return int(row[0]) if row else 0


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
