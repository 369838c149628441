"""Scenario 14: one service's database is restored from an older backup, with Kafka intact and with Kafka lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from services.cli.home import Entry, services_file, write_entries
from shared.contracts.topics import CONTROL
from shared.relay.relay import RELAY_LOCK
from tests.faults import seeds
from tests.faults.district import busy, district, judge_district
from tests.faults.judge import judge
from tests.faults.kills import TERMINATE
from tests.faults.load import Load, Request, load
from tests.faults.stage import Stage, scenario
from tests.faults.topics import administer, delete, published
from tests.faults.town import END_S, Town, Worker, eventually

LIMIT_S = 60.0
CHAIN = ("evidence", "mastery", "pathing")
NAMED = "restored behind its readers"
"""What a service says when it finds itself behind what it has told."""
ANOTHER = "is another one than this process began with"
"""What it says where that happened while it ran, and its connections lead to another database now."""
SHORTER = "events and now holds"
"""What it says where they lead to the same one, of which it has seen more."""
MADE_ANEW_S = 120.0
"""Time to come to rest where topics were deleted: readers take up to a minute until they have asked for what is missing and got it."""
LENGTHS = "SELECT id, length FROM partition ORDER BY id"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
HEARD = "SELECT partition, position + 1 FROM inbox WHERE source = %s ORDER BY partition"
DEMANDS = """
    SELECT convert_from(bytes, 'UTF8')::jsonb #>> '{data,demand,learner_id}', count(*) FROM event
    WHERE type = 'scheduling.demand-noted.v1' GROUP BY 1"""
"""Of how many demands of each learner scheduling knows."""
TOLD_DEMANDS = "SELECT convert_from(bytes, 'UTF8')::jsonb ->> 'id' FROM event WHERE type = 'pathing.demand-changed.v1'"
NOTED_DEMANDS = "SELECT convert_from(bytes, 'UTF8')::jsonb ->> 'causationid' FROM event WHERE type = 'scheduling.demand-noted.v1'"
AGAIN = 5
"""Learners whose demands change between the backup and its restoration."""
LOST = "{}: events lost in holes that were recorded"
TRULY_LOST = ("I1: ", "I4: counted without being recorded")
"""What the oracle rightly says of acts that only readers still know."""


def back_up(town: Town, service: str) -> str:
    """Copy a service's database while the service stands still, and return the copy's name."""
    from shared.stack import copy_database

    town.of(service)[0].end()
    name = f"{town.database_name(service)}_backup"
    copy_database(town.servers.postgres, town.databases[service], name)
    town.start(service)
    town.await_ready(*town.of(service))
    return name


def restore(town: Town, service: str, backup: str, beneath: bool = False) -> None:
    """Put a backup in the place of a service's database. The service is killed for it, or, `beneath` it, only stands still."""
    for worker in town.of(service):
        if beneath:
            worker.send(signal.SIGSTOP)
        else:
            worker.kill()
    name = town.database_name(service)
    town.administer(f"DROP DATABASE {name} WITH (FORCE)")
    town.administer(f"ALTER DATABASE {backup} RENAME TO {name}")


def replace_rows(town: Town, service: str, backup: str) -> None:
    """Put the rows of a backup in the place of those of a service's database, which stays the same one; the service only stands still."""
    for worker in town.of(service):
        worker.send(signal.SIGSTOP)
    name = town.database_name(service)
    town.administer(TERMINATE, name)
    connect = partial(psycopg.connect, town.servers.postgres)
    with connect(dbname=backup) as kept, connect(dbname=name) as live:
        tables = [Identifier(table) for (table,) in kept.execute(TABLES).fetchall()]
        live.execute("SET session_replication_role = replica")
        live.execute(SQL("TRUNCATE {}").format(SQL(", ").join(tables)))
        for table in tables:
            read, write = (SQL("COPY {} " + way).format(table) for way in ("TO STDOUT", "FROM STDIN"))
            with kept.cursor().copy(read) as source, live.cursor().copy(write) as target:
                for block in source:
                    target.write(block)
        live.execute("ANALYZE")
    town.administer(f"DROP DATABASE {backup}")


def refuses_to_start(stage: Stage, town: Town, service: str, way_out: str = "catch-up") -> None:
    """See that a service stops before it writes, and says why, and which command helps."""
    before = town.ask(service, LENGTHS)
    worker = town.start(service)
    eventually(lambda: not worker.alive, f"{service} stops on its restored database", END_S)
    said = worker.said()
    stage.must(
        worker.process.returncode == 1 and NAMED in said and way_out in said, f"{service} does not name the divergence: {said[-800:]}"
    )
    stage.must(town.ask(service, LENGTHS) == before, f"{service} wrote to its restored database")


@scenario("restored", 14, short=True)
def restored(stage: Stage) -> None:
    """Evidence's and then mastery's database come back from an older backup: each stops before it writes, and catches up from Kafka."""
    with stage.town() as town:
        town.begin()
        told = Load(town, stage.seed)
        for number, service in enumerate(("evidence", "mastery")):
            backup, _ = _back_up_under_load(stage, town, service, 2 * number, told)
            restore(town, service, backup)
            stage.inject(f"{service} restored from an older backup")
            refuses_to_start(stage, town, service)
            _catch_up(stage, town, service)
        with load(town, stage.seed, requests=_more(stage, 9)) as last:
            last.until(30)
        told.acks += last.acks
        stage.judge(town, told)


def lose_kafka(town: Town) -> None:
    """Delete every topic of the installation, as where all brokers have lost their disks."""
    topics = [f"{town.prefix}.{name}" for name in (*town.databases, CONTROL)]
    administer(town.servers.kafka, lambda admin: admin.delete_topics(topics))


def resume(stage: Stage, town: Town, service: str, reader: str, says: str = "are lost") -> None:
    """Let a service's ledger go on behind the hole that its reader, as the local installation knows it, tells of, and see what is said."""
    home = town.folder / "home"
    write_entries(home, {reader: Entry(0, {"CAIRN_DATABASE_URL": town.records[reader]})})
    try:
        done = town.command(service, "ledger", "resume", service, "--why", "the disks of database and brokers were lost")
    finally:
        services_file(home).unlink()
    stage.must(says in done.stdout + done.stderr, f"resume ended with {done.returncode}: {done.stdout}{done.stderr}")


@scenario("restored-beneath", 14)
def restored_beneath(stage: Stage) -> None:
    """The same beneath the running services, evidence's by another database, mastery's row by row: each stops before it writes."""
    with stage.town() as town:
        town.begin()
        told = Load(town, stage.seed)
        ways = (("evidence", partial(restore, beneath=True), "", ANOTHER), ("mastery", replace_rows, ", row by row", SHORTER))
        for number, (service, put_back, how, says) in enumerate(ways):
            backup, before = _back_up_under_load(stage, town, service, 3 * number, told)
            _at_rest(town)
            with load(town, stage.seed, requests=_more(stage, 3 * number + 2)) as during:
                (worker,) = town.of(service)
                put_back(town, service, backup)
                stage.inject(f"{service} restored from an older backup beneath it{how}")
                if service != "evidence":
                    during.until(30)
                worker.send(signal.SIGCONT)
                eventually(lambda worker=worker: not worker.alive, f"{service} stops on its restored database", LIMIT_S)
                _says_why(stage, worker, says)
                stage.must(town.ask(service, LENGTHS) == before, f"{service} wrote to its restored database")
                _catch_up(stage, town, service)
                during.until(30)
            told.acks += during.acks
        stage.judge(town, told)


@scenario("restored-beneath-another", 14)
def restored_beneath_another(stage: Stage) -> None:
    """The same where of mastery's two workers only the one has written since the backup, and is gone: the other stops before it writes."""
    with stage.town() as town:
        backup, told = _begin_and_back_up(stage, town, "mastery")
        before = town.ask("mastery", LENGTHS)
        (first,) = town.of("mastery")
        other = town.start("mastery", 1)
        town.await_ready(other)
        other.send(signal.SIGSTOP)
        with load(town, stage.seed, requests=_more(stage, 1)) as more:
            more.until(150)
        eventually(lambda: _heard(town, "mastery", "evidence"), "the first worker has taken all partitions, and heard everything", LIMIT_S)
        eventually(lambda: all(published(town, each) for each in town.services), "everything is on Kafka", LIMIT_S)
        stage.must(town.ask("mastery", LENGTHS) != before, "the first worker has written nothing")
        restore(town, "mastery", backup, beneath=True)
        first.kill()
        stage.inject("mastery restored from an older backup beneath the worker that has not seen what is missing")
        with psycopg.connect(town.records["mastery"]) as relay, load(town, stage.seed, requests=_more(stage, 2)) as during:
            relay.execute("SELECT pg_advisory_lock(%s)", [RELAY_LOCK])  # As that of a third worker, which compares with Kafka meanwhile.
            during.until(30)
            other.send(signal.SIGCONT)
            eventually(lambda: not other.alive or town.ask("mastery", LENGTHS) != before, "the other worker stops, or writes", LIMIT_S)
            stage.must(not other.alive, "the other worker wrote to its restored database")
            _says_why(stage, other, ANOTHER)
            stage.must(town.ask("mastery", LENGTHS) == before, "the other worker wrote to its restored database")
            relay.rollback()
            relay.close()
            _catch_up(stage, town, "mastery")
            during.until(30)
        told.acks += more.acks + during.acks
        stage.judge(town, told)


def _back_up_under_load(stage: Stage, town: Town, service: str, part: int, told: Load) -> tuple[str, Any]:
    """Back a service up between two loads, all of which comes to Kafka; return the backup's name and the lengths of what it holds."""
    with load(town, stage.seed, requests=_more(stage, part)) as client:
        client.until(50)
    backup = back_up(town, service)
    lengths = town.ask(service, LENGTHS)
    with load(town, stage.seed, requests=_more(stage, part + 1)) as more:
        more.until(150)
    told.acks += client.acks + more.acks
    eventually(lambda: all(published(town, each) for each in town.services), "everything is on Kafka", LIMIT_S)
    return backup, lengths


def _says_why(stage: Stage, worker: Worker, words: str) -> None:
    """See that a process which ended has found its database restored, and says so in these words, and what helps."""
    said = worker.said()
    stage.must(words in said and "catch-up" in said, f"{worker.name} does not say {words!r}: {said[-800:]}")


def _catch_up(stage: Stage, town: Town, service: str) -> None:
    done = town.command(service, "ledger", "catch-up", service)
    stage.must(done.returncode == 0 and "written back" in done.stdout, f"catch-up failed: {done.stdout}{done.stderr}")
    stage.fault_ends()
    town.start(service)
    town.await_ready(*town.of(service))


@scenario("restored-kafka-lost", 14)
def restored_kafka_lost(stage: Stage) -> None:
    """Mastery's database comes back from an older backup, and Kafka is lost: it stops before it writes, and goes on behind a hole."""
    with stage.town(CHAIN) as town:
        backup, told = _back_up_and_go_on(stage, town)
        restore(town, "mastery", backup)
        lose_kafka(town)
        stage.inject("mastery restored from an older backup, every topic deleted")
        with load(town, stage.seed, requests=_more(stage, 2)) as last:
            last.until(30)  # Evidence goes on meanwhile.
            refuses_to_start(stage, town, "mastery", "resume")
            resume(stage, town, "mastery", "pathing")
            stage.fault_ends()
            town.begin("mastery")
            last.until(30)
        _judge(stage, town, told, last)


@scenario("restored-reader-away", 14)
def restored_reader_away(stage: Stage) -> None:
    """The same while mastery's reader is away, so that mastery writes: it stops when the reader is back, and is restored once more."""
    with stage.town(CHAIN) as town:
        backup, told = _back_up_and_go_on(stage, town)
        again = f"{backup}_again"
        town.administer(f"CREATE DATABASE {again} TEMPLATE {backup}")
        town.of("pathing")[0].end()
        restore(town, "mastery", backup)
        lose_kafka(town)
        stage.inject("mastery restored from an older backup, every topic deleted, pathing away")
        before = town.ask("mastery", LENGTHS)
        with load(town, stage.seed, requests=_more(stage, 2)) as last:
            town.begin("mastery")
            eventually(lambda: town.ask("mastery", LENGTHS) != before, "mastery writes, since nobody tells it otherwise", LIMIT_S)
            mastery = town.of("mastery")[0]
            town.start("pathing")
            eventually(lambda: not mastery.alive, "mastery stops when its reader is back", LIMIT_S)
            stage.must(NAMED in mastery.said(), f"mastery does not name the divergence: {mastery.said()[-800:]}")
            resume(stage, town, "mastery", "pathing", says="Restore the backup again")
            restore(town, "mastery", again)
            delete(town, "mastery")
            resume(stage, town, "mastery", "pathing")
            for worker in town.of("pathing"):
                worker.end()
            stage.fault_ends()
            town.begin("mastery", "pathing")
            last.until(30)
        _judge(stage, town, told, last)


@scenario("restored-pathing-lost", 14, whole=True)
def restored_pathing_lost(stage: Stage) -> None:
    """The same with pathing while all five services are busy: whatever was lost, scheduling notes what it hears of pathing from then on."""
    with district(stage) as made:
        town = made.town
        with busy(made) as client:
            client.until(50)
            backup = back_up(town, "pathing")
            before = dict(town.ask("scheduling", DEMANDS))
            eventually(
                lambda: len(_newer(town, before)) >= AGAIN, "scheduling knows newer demands of some learners than the backup", LIMIT_S
            )
            eventually(lambda: published(town, "pathing") and _heard(town, "scheduling", "pathing"), "scheduling has heard all", LIMIT_S)
            restore(town, "pathing", backup)
            lost = _newer(town, before)
            lose_kafka(town)
            stage.inject("pathing restored from an older backup, every topic deleted")
            refuses_to_start(stage, town, "pathing", "resume")
            resume(stage, town, "pathing", "scheduling")
            stage.fault_ends()
            town.begin("pathing")
            eventually(lambda: any(_newer(town, lost)), "a demand of a learner whose demands were lost is noted again", LIMIT_S)
            client.until(50)
        verdict = judge_district(stage, made, client, killed=True, harmed=tuple(town.databases), within_s=MADE_ANEW_S)
        stage.must(verdict.counts.get(LOST.format("pathing")), "no event was lost: the fault did not happen")
        told, noted = ({row[0] for row in town.ask(*asked)} for asked in (("pathing", TOLD_DEMANDS), ("scheduling", NOTED_DEMANDS)))
        stage.must(told <= noted, f"of {len(told)} demands that pathing tells, scheduling has passed over {len(told - noted)}")


def _newer(town: Town, before: Mapping[str, int]) -> dict[str, int]:
    """Return of how many demands scheduling knows by now, of learners of whom it is more than before."""
    known = dict(town.ask("scheduling", DEMANDS))
    return {learner: count for learner, count in known.items() if learner in before and count > before[learner]}


@scenario("restored-evidence-lost", 14)
def restored_evidence_lost(stage: Stage) -> None:
    """The same with evidence: what clients told is lost with database and Kafka, the oracle names it, and telling it again heals it."""
    with stage.town() as town:
        backup, everything = _begin_and_back_up(stage, town, "evidence")
        sent: list[Request] = []
        with load(town, stage.seed, requests=_noted(_more(stage, 1), sent)) as more:
            more.until(150)
        _at_rest(town)
        restore(town, "evidence", backup)
        lose_kafka(town)
        stage.inject("evidence restored from an older backup, every topic deleted")
        refuses_to_start(stage, town, "evidence", "resume")
        resume(stage, town, "evidence", "mastery")
        town.begin("evidence")
        everything.acks += more.acks
        found = judge(town, everything, harmed=tuple(town.databases), within_s=MADE_ANEW_S).violations
        stage.must(any(each.startswith("I1: ") for each in found), "the oracle does not miss what was acknowledged and is lost")
        stage.verdict.violations += [each for each in found if not each.startswith(TRULY_LOST)]
        stage.fault_ends()
        for _, told in sent:
            everything.tell(told["items"])
        verdict = stage.judge(town, everything, harmed=tuple(town.databases), within_s=MADE_ANEW_S)
        stage.must(verdict.counts.get(LOST.format("evidence")), "no event was lost: the fault did not happen")


def _begin_and_back_up(stage: Stage, town: Town, service: str) -> tuple[str, Load]:
    """Begin, and back a service up when all that was told is heard; return the backup and what clients were told."""
    town.begin()
    with load(town, stage.seed, requests=_more(stage, 0)) as client:
        client.until(50)
    _at_rest(town)
    return back_up(town, service), client


def _back_up_and_go_on(stage: Stage, town: Town) -> tuple[str, Load]:
    """Begin, back up mastery, and let pathing apply what mastery decides from then on; return the backup and what clients were told."""
    backup, told = _begin_and_back_up(stage, town, "mastery")
    before = town.ask("pathing", LENGTHS)
    with load(town, stage.seed, requests=_more(stage, 1)) as more:
        more.until(150)
    _at_rest(town)
    stage.must(town.ask("pathing", LENGTHS) != before, "pathing did nothing about what is lost")
    told.acks += more.acks
    return backup, told


def _judge(stage: Stage, town: Town, told: Load, last: Load) -> None:
    told.acks += last.acks
    verdict = stage.judge(town, told, harmed=tuple(town.databases), within_s=MADE_ANEW_S)
    stage.must(verdict.counts.get(LOST.format("mastery")), "no event was lost: the fault did not happen")


def _at_rest(town: Town) -> None:
    """Wait until each service of the chain has applied all of the one before it."""
    for source, reader in pairwise(each for each in CHAIN if each in town.services):
        eventually(lambda: published(town, source) and _heard(town, reader, source), f"{reader} has heard everything", LIMIT_S)  # noqa: B023 - asked at once.


def _heard(town: Town, reader: str, source: str) -> bool:
    """Say whether a reader has applied all that a source's ledger holds."""
    lengths = dict(town.ask(source, LENGTHS))
    return {**dict.fromkeys(lengths, 0), **dict(town.ask(reader, HEARD, source))} == lengths


def _noted(requests: Iterator[Request], sent: list[Request]) -> Iterator[Request]:
    """Yield requests and keep them, to tell them again."""
    for request in requests:
        sent.append(request)
        yield request


def _more(stage: Stage, part: int) -> Iterator[Request]:
    return (("/evidence", {"items": quiz}) for quiz in seeds.quizzes(stage.seed, 10_000 * part))
