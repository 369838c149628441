"""Scenario 14: one service's database is restored from an older backup, with Kafka intact and with Kafka lost."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults import seeds
from tests.faults.load import Load, Request, load
from tests.faults.stage import Stage, scenario
from tests.faults.topics import published
from tests.faults.town import END_S, Town, eventually

LIMIT_S = 60.0
NAMED = "restored"
"""What a service says when it finds itself behind what it has told."""
LENGTHS = "SELECT id, length FROM partition ORDER BY id"


def back_up(town: Town, service: str) -> str:
    """Copy a service's database while the service stands still, and return the copy's name."""
    from shared.stack import copy_database

    town.of(service)[0].end()
    name = f"{town.database_name(service)}_backup"
    copy_database(town.servers.postgres, town.databases[service], name)
    town.start(service)
    town.await_ready(*town.of(service))
    return name


def restore(town: Town, service: str, backup: str) -> None:
    """Put a backup in the place of a service's database; the service is killed for it."""
    for worker in town.of(service):
        worker.kill()
    name = town.database_name(service)
    town.administer(f"DROP DATABASE {name} WITH (FORCE)")
    town.administer(f"ALTER DATABASE {backup} RENAME TO {name}")


def refuses_to_start(stage: Stage, town: Town, service: str) -> None:
    """See that a service stops before it writes, and says why."""
    before = town.ask(service, LENGTHS)
    worker = town.start(service)
    eventually(lambda: not worker.alive, f"{service} stops on its restored database", END_S)
    said = worker.said()
    stage.must(
        worker.process.returncode == 1 and NAMED in said and "catch-up" in said, f"{service} does not name the divergence: {said[-800:]}"
    )
    stage.must(town.ask(service, LENGTHS) == before, f"{service} wrote to its restored database")


@scenario("restored", 14, short=True)
def restored(stage: Stage) -> None:
    """Evidence's and then mastery's database come back from an older backup: each stops before it writes, and catches up from Kafka."""
    with stage.town() as town:
        town.begin()
        told = Load(town, stage.seed)
        for number, service in enumerate(("evidence", "mastery")):
            with load(town, stage.seed, requests=_more(stage, 2 * number)) as client:
                client.until(50)
            backup = back_up(town, service)
            with load(town, stage.seed, requests=_more(stage, 2 * number + 1)) as more:
                more.until(150)
            told.acks += client.acks + more.acks
            eventually(lambda: all(published(town, each) for each in town.services), "everything is on Kafka", LIMIT_S)
            restore(town, service, backup)
            stage.inject(f"{service} restored from an older backup")
            refuses_to_start(stage, town, service)
            done = town.command(service, "ledger", "catch-up", service)
            stage.must(done.returncode == 0 and "written back" in done.stdout, f"catch-up failed: {done.stdout}{done.stderr}")
            town.start(service)
            town.await_ready(*town.of(service))
        with load(town, stage.seed, requests=_more(stage, 9)) as last:
            last.until(30)
        told.acks += last.acks
        stage.judge(town, told)


def _more(stage: Stage, part: int) -> Iterator[Request]:
    return (("/evidence", {"items": quiz}) for quiz in seeds.quizzes(stage.seed, 10_000 * part))
