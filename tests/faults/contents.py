"""Scenarios 10 and 11: records that cannot be taken, and evidence in every order."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import httpx
import psycopg
from aiokafka import AIOKafkaProducer

from tests.faults import seeds
from tests.faults.load import Load, load
from tests.faults.stage import Stage, scenario
from tests.faults.town import Town, eventually, happens

JUNK = (b"\x00\xff no event", b'{"specversion":"1.0"}')
LIMIT_S = 60.0
PARKED = "SELECT trouble, count(*) FROM parked WHERE resolved_at IS NULL GROUP BY 1"
FOREIGN = "SELECT id FROM parked WHERE resolved_at IS NULL AND trouble = 'foreign'"
RETRYING = "park-retry"
TWICE = "park retry, twice at the same time"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
GROUPS, ORDERS, PIECES = 3, 4, 30
ESTIMATES = "SELECT * FROM competency_estimate WHERE learner_id = %s ORDER BY competency_id"
CORRECTED, VOIDED = 3, 5
AMENDED = {"author_id": str(seeds.name("teacher", 1)), "cause": "scored-wrongly"}
OWN = ("learner_id", "version", "evidence_id")
"""Columns in which two learners with the same evidence differ."""


def _send(town: Town, values: tuple[bytes, ...]) -> None:
    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=town.servers.kafka) as producer:
            for number, value in enumerate(values):
                await producer.send_and_wait(f"{town.prefix}.evidence", value, partition=number, headers=[("traceparent", b"\xff\xfe")])

    asyncio.run(send())


def _quiz(name: str, learner: int) -> list[dict[str, Any]]:
    return [seeds.act(f"{name}-{n}", learner, n, True, seeds.START + timedelta(minutes=n)) for n in range(seeds.IN_A_ROW)]


@scenario("poison", 10, short=True)
def poison(stage: Stage) -> None:
    """Foreign, unknown, refused and poisonous records stand in the middle of batches; after a repair two people take them up at once."""
    with stage.town() as town:
        town.begin("evidence")
        town.start("mastery", program=["-m", "tests.faults.faulty", "serve", "mastery"])
        town.await_ready()
        with load(town, stage.seed) as client:
            client.until(30)
            for learner in (1, 2, 2, 3):
                client.tell(_quiz(f"poison-{learner}-{len(client.acks)}", learner))
            _send(town, JUNK)

            def troubles() -> dict[str, int]:
                return dict(town.ask("mastery", PARKED))

            for trouble in ("unknown-type", "refused", "poison", "behind", "foreign"):
                eventually(lambda trouble=trouble: troubles().get(trouble), f"a record is parked as {trouble}", LIMIT_S)
            client.until(30)
            for trouble, count in sorted(troubles().items()):
                stage.inject(f"parked as {trouble}", count)
            town.of("mastery")[0].end()
            town.begin("mastery")
            for (id,) in town.ask("mastery", FOREIGN):
                done = town.command("mastery", "park", "discard", "mastery", str(id), "--why", "junk of a test")
                stage.must(done.returncode == 0, f"a foreign record cannot be discarded: {done.stderr}")
            _retry_twice_at_once(stage, town)
            stage.must(stage.injected[TWICE], "the two that took records up did not meet")
            stage.fault_ends()
            client.until(30)
        _retry_twice_at_once(stage, town)  # What came while it was still set aside waits behind it.
        stage.judge(town, client)


def _retry_twice_at_once(stage: Stage, town: Town) -> None:
    """Take up what is set aside, two at once: both have begun and wait for the inbox before either may go on."""
    own = os.environ | town.settings("mastery", "retry", 0) | {"PGAPPNAME": RETRYING}
    words = [sys.executable, "-m", "services.cli", "park", "retry", "mastery"]
    with psycopg.connect(town.records["mastery"]) as holder:
        holder.execute("SELECT FROM inbox FOR UPDATE")
        some = [subprocess.Popen(words, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
        both = happens(lambda: town.ask("mastery", WAITING, RETRYING) == [(2,)] or any(each.poll() is not None for each in some), LIMIT_S)
        met = both and all(each.poll() is None for each in some)
    for each in some:
        said, _ = each.communicate(timeout=LIMIT_S)
        stage.must(each.returncode == 0 and "Traceback" not in said, f"park retry ended with {each.returncode}: {said[-800:]}")
    if met:
        stage.inject(TWICE)


@scenario("order", 11)
def order(stage: Stage) -> None:
    """The same evidence in order, shuffled, backwards, doubled, corrected and voided, mastery killed in between: one final state."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            tellings = [_telling(stage, group, order) for group in range(GROUPS) for order in range(ORDERS)]
            rounds = max(len(telling) for telling in tellings)
            ids: dict[str, str] = {}
            for start in range(0, rounds, seeds.IN_A_ROW):
                for telling in stage.draw.sample(tellings, len(tellings)):
                    part = telling[start : start + seeds.IN_A_ROW]
                    for acts in _apart(part):
                        ids.update((told["id"], told["act_id"]) for told in client.tell(acts))
                if start == 2 * seeds.IN_A_ROW:  # Of some learners all is told by now, of others more comes later.
                    town.await_ready()
                    _amend(stage, town, client, ids)
                if start == seeds.IN_A_ROW:
                    town.of("mastery")[0].kill()
                    town.start("mastery")
            _amend(stage, town, client, ids)
            stage.inject("orders of the same evidence", GROUPS * ORDERS)
        stage.judge(town, client)
        for group in range(GROUPS):
            states = [_state(town, _learner(group, number)) for number in range(ORDERS)]
            stage.must(states[0], "no estimate was made of a learner: the scenario shows nothing")
            for number, state in enumerate(states[1:], 1):
                stage.must(state == states[0], f"I5: order {number} of group {group} ends otherwise: {state[:2]} and {states[0][:2]}")


def _amend(stage: Stage, town: Town, client: Load, ids: dict[str, str]) -> None:
    """Correct a piece of evidence of every learner, and void another one, where they were told already; asking again changes nothing."""
    for group in range(GROUPS):
        for order in range(ORDERS):
            for piece, what in ((CORRECTED, "correction"), (VOIDED, "void")):
                act_id = ids.get(f"order-{group}-{order}-{piece}")
                if act_id is None:
                    continue
                said = AMENDED | ({"given": 1, "max": 2} if what == "correction" else {})
                answer = httpx.post(f"{town.address('evidence')}/evidence/acts/{act_id}/{what}", json=said, timeout=LIMIT_S)
                stage.must(answer.status_code == 200, f"a {what} is not taken: {answer.status_code} {answer.text[:200]}")
                told = answer.json() if answer.status_code == 200 else {}
                if told.get("event_id"):
                    client.amended(told)  # One that is asked for again is answered with the same event.
                    stage.inject(what, int(told["changed"]))


def _learner(group: int, order: int) -> int:
    """Return whom this group's evidence in this order is about: nobody that the load tells of."""
    return seeds.LEARNERS + group * ORDERS + order


def _telling(stage: Stage, group: int, order: int) -> list[dict[str, Any]]:
    """Return a group's evidence about the learner of an order, in that order, some of it twice."""
    pieces = [(n, stage.draw.randrange(seeds.ITEMS), stage.draw.random() < seeds.RIGHT) for n in range(PIECES)] if order == 0 else []
    if order == 0:
        stage.verdict.counts[f"group {group}"] = 0
        _PIECES[group] = pieces
    acts = [
        seeds.act(f"order-{group}-{order}-{n}", _learner(group, order), item, right, seeds.START + timedelta(hours=n))
        for n, item, right in _PIECES[group]
    ]  # fmt: skip
    if order == 1:
        stage.draw.shuffle(acts)
    elif order == 2:
        acts.reverse()
    elif order == 3:
        acts += stage.draw.sample(acts, len(acts) // 2)
        stage.draw.shuffle(acts)
    return acts


_PIECES: dict[int, list[tuple[int, int, bool]]] = {}


def _apart(acts: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return acts in requests of which none tells an act twice."""
    parts: list[list[dict[str, Any]]] = [[]]
    for act in acts:
        if any(act["id"] == other["id"] for other in parts[-1]):
            parts.append([])
        parts[-1].append(act)
    return [part for part in parts if part]


def _state(town: Town, learner: int) -> list[dict[str, Any]]:
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(town.records["mastery"], row_factory=dict_row) as connection:
        rows = connection.execute(ESTIMATES, [seeds.name("learner", learner)]).fetchall()
    return [{name: value for name, value in row.items() if name not in OWN} for row in rows]
