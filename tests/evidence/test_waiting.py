"""From told to meant, over a real database: what waits, for what, what releases it and in which order."""

from asyncio import gather
from collections import Counter
from collections.abc import Callable
from itertools import groupby, permutations
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.evidence.app import PARTS
from services.evidence.domain import AcceptEvidence
from services.evidence.queries import reading, releasing, waiting, waiting_now
from services.evidence.queries.reading import TOTALS, WAITING
from shared.contracts.envelope import event_id
from shared.contracts.evidence import EvidenceAccepted, EvidenceConflicted, EvidenceRecorded
from shared.keys import item_id_of
from shared.ledger.columns import Texts
from shared.ledger.store import project
from shared.replay import Settings, Verifier
from shared.stack import ServiceDatabase
from shared.testing import SOME_TIME, running
from tests.evidence import lms
from tests.evidence.lms import ANN, act, align, answered, envelope, graded, identify, item_iri

BOB = UUID(int=0xB)


async def tell(service: Any, *items: Any) -> list[str]:
    answer = await service.client.post("/evidence", json={"items": list(items)})
    return [each["result"] for each in answer.raise_for_status().json()["results"]]


async def meant(service: Any, learner: UUID = ANN) -> list[EvidenceRecorded]:
    return [event.data for event in await service.ledger.stream(f"evidence/learner/{learner}")]


async def counts(service: Any) -> Any:
    found = (await service.client.get("/evidence/counts")).json()
    assert found["accepted"] == found["recorded"] + sum(found["waiting"].values())
    return found


async def test_an_act_is_recorded_with_its_acceptance_where_all_is_known(service: Any) -> None:
    await identify(service)
    await align(service)
    assert await tell(service, act()) == ["recorded"]
    [evidence] = await service.ledger.stream(f"evidence/learner/{ANN}")
    [accepted] = await service.ledger.stream(f"evidence/act/{evidence.data.evidence_id}")
    assert (evidence.data.learner_id, evidence.data.competency_ids, evidence.data.score_e6) == (ANN, ("K",), 750_000)
    assert (evidence.causation, evidence.correlation) == (accepted.id, accepted.correlation)
    assert (evidence.key, accepted.key) == (str(ANN), lms.alias())


async def test_every_order_of_what_must_be_known_ends_in_the_same_record(service: Any) -> None:
    ends = []
    for number, order in enumerate(permutations(["alias", "item", "act", "other act"]), 1):
        learner, name = UUID(int=number), f"s-{number}"
        for step in order:
            match step:
                case "alias":
                    await identify(service, name, learner)
                case "item":
                    await align(service, number)
                case "act":
                    await tell(service, act(f"{number}-1", name, number))
                case _:
                    await tell(service, act(f"{number}-2", name, number, share=1))
            await service.tick()
        ends.append(sorted((each.score_e6, each.competency_ids, each.occurred_at, each.kind) for each in await meant(service, learner)))
    assert len(ends) == 24
    assert [score for score, *_ in ends[0]] == [750_000, 1_000_000]
    assert all(end == ends[0] for end in ends)
    assert (await counts(service))["recorded"] == 48


async def test_an_act_is_of_whom_its_alias_was_of_when_it_was_accepted_whenever_its_item_is_aligned(service: Any) -> None:
    """Ben's user name passes on to Gus: what waits was Ben's work, and what comes later is that of Gus."""
    steps = ["first act", "ann", "hers", "bob", "his", "ann again", "hers again"]
    for number in range(1, len(steps) + 2):
        name, ann, bob = f"s-{number}", UUID(int=2 * number), UUID(int=2 * number + 1)
        for step in [*steps[: number - 1], "item", *steps[number - 1 :]]:
            match step:
                case "ann" | "ann again":
                    await identify(service, name, ann)
                case "bob":
                    await identify(service, name, bob)
                case "item":
                    await align(service, number)
                case _:
                    await tell(service, act(f"{number} {step}", name, number, share=int(step in ("first act", "his"))))
            await service.tick()
        found = [[each.score_e6 for each in await meant(service, learner)] for learner in (ann, bob)]
        assert found == [[1_000_000, 0, 0], [1_000_000]], f"aligned before step {number}"
    assert (await counts(service))["recorded"] == 4 * (len(steps) + 1)


async def test_what_was_recorded_stays_where_it_is_when_its_alias_passes_on(service: Any) -> None:
    await align(service)
    await identify(service)
    assert await tell(service, act("1")) == ["recorded"]
    await identify(service, learner=BOB)
    assert await tell(service, act("1"), act("1", share=0), act("2")) == ["duplicate", "conflict", "recorded"]
    await service.tick()
    assert [len(await meant(service, learner)) for learner in (ANN, BOB)] == [1, 1]


async def test_what_waits_says_for_what(service: Any) -> None:
    await identify(service)
    await align(service)
    assert await tell(service, act("1"), act("2", item=2), act("3", learner="s-2"), act("4", learner="s-2", item=2)) == [
        "recorded", "waiting", "waiting", "waiting",
    ]  # fmt: skip
    told = {"unknown-learner": 2, "unaligned": 1, "no-first-day": 0, "before-first-day": 0, "being-released": 0}
    assert (await counts(service))["waiting"] == told
    first = (await service.client.get("/evidence/waiting?limit=2")).json()
    rest = (await service.client.get(f"/evidence/waiting?limit=2&after={first['next']}")).json()
    listed = first["items"] + rest["items"]
    assert sorted(each["reason"] for each in listed) == ["unaligned", "unknown-learner", "unknown-learner"]
    assert rest["next"] is None
    shown = (await service.client.get(f"/evidence/acts/{listed[0]['act_id']}")).json()
    assert (shown["status"], shown["reason"]) == ("waiting", listed[0]["reason"])


async def test_waiting_acts_are_released_in_the_order_in_which_they_were_accepted(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "MAX_RELEASED", 3)
    await align(service)
    names = [f"a-{n}" for n in range(8)]
    for name in names:
        assert await tell(service, act(name)) == ["waiting"]
    await identify(service)
    assert await tell(service, act("behind")) == ["waiting"], "new acts go behind those that wait"
    assert (await counts(service))["waiting"]["being-released"] == 9
    assert await service.tick() == 3
    assert [each.evidence_id for each in await meant(service)] == [
        event.data.act_id for event in await accepted(service) if isinstance(event.data, EvidenceAccepted)
    ]
    assert await tell(service, act("after")) == ["recorded"]


async def accepted(service: Any) -> list[Any]:
    """The acts of one alias as they stand in their partition."""
    query = "SELECT stream FROM event WHERE type = 'evidence.accepted.v1' ORDER BY partition, position"
    async with service.pool.connection() as connection:
        streams = [row[0] for row in await (await connection.execute(query)).fetchall()]
    return [(await service.ledger.stream(stream))[0] for stream in streams]


async def test_an_unaligned_item_waits_alone(service: Any) -> None:
    await identify(service)
    await align(service, 1)
    assert await tell(service, act("1", item=2), act("2", item=1)) == ["waiting", "recorded"]
    await service.tick()
    assert (await counts(service))["waiting"]["unaligned"] == 1
    await align(service, 2)
    await service.tick()
    assert len(await meant(service)) == 2


async def test_a_released_act_names_its_acceptance_as_cause(service: Any) -> None:
    await tell(service, act())
    await identify(service)
    await align(service)
    await service.tick()
    [evidence] = await service.ledger.stream(f"evidence/learner/{ANN}")
    [told] = await service.ledger.stream(f"evidence/act/{evidence.data.evidence_id}")
    assert (evidence.causation, evidence.correlation) == (event_id(told.stream, 1), told.correlation)


async def test_a_new_alignment_counts_for_later_acts_only(service: Any) -> None:
    await identify(service)
    await align(service)
    await tell(service, act("1"))
    assert await align(service, competency="L") == {"items": 1, "changed": 1}
    assert await align(service, competency="L") == {"items": 1, "changed": 0}
    await tell(service, act("2"))
    await service.tick()
    assert [each.competency_ids for each in await meant(service)] == [("K",), ("L",)]


async def test_acts_of_several_aliases_come_together_at_their_learner(service: Any) -> None:
    await align(service)
    await tell(service, act("1", learner="s-1"), act("2", learner="s-2"), act("3", learner="s-3"))
    for name, learner in (("s-1", ANN), ("s-2", ANN), ("s-3", BOB)):
        await identify(service, name, learner)
    await service.tick()
    assert (len(await meant(service, ANN)), len(await meant(service, BOB))) == (2, 1)


async def test_a_duplicate_in_one_request_is_one_act(service: Any) -> None:
    await identify(service)
    await align(service)
    assert await tell(service, act(), act(), act(share=0), act()) == ["recorded", "duplicate", "conflict", "duplicate"]
    assert len(await meant(service)) == 1


async def test_the_first_telling_stands_whoever_tells_it_of_whom(service: Any) -> None:
    await identify(service, "s-1", ANN)
    await identify(service, "s-2", BOB)
    await align(service)
    assert await tell(service, act()) == ["recorded"]
    assert await tell(service, act(), act(learner="s-2")) == ["duplicate", "conflict"]
    assert await tell(service, act(), act(learner="s-2")) == ["duplicate", "conflict"]
    [evidence] = await meant(service)
    stream = await service.ledger.stream(f"evidence/act/{evidence.evidence_id}")
    assert [type(event.data) for event in stream] == [EvidenceAccepted, EvidenceConflicted]
    assert {event.key for event in stream} == {lms.alias()}
    assert await meant(service, BOB) == []
    shown = (await service.client.get(f"/evidence/acts/{evidence.evidence_id}")).json()
    assert (shown["status"], [each["same_person"] for each in shown["conflicts"]]) == ("recorded", [False])


async def test_a_conflict_in_one_request_with_the_first_telling_finds_it(service: Any) -> None:
    assert await tell(service, act(learner="s-1"), act(learner="s-2")) == ["waiting", "conflict"]
    assert (await counts(service))["conflicts"] == 1


async def test_an_answer_and_its_grade_are_one_piece_of_evidence(service: Any) -> None:
    await identify(service)
    await align(service)
    sent = envelope(answered(), graded(), graded("another", given=1))
    answer = (await service.client.post("/evidence/caliper", json=sent)).json()
    assert [each["result"] for each in answer["results"]] == ["recorded", "regraded", "conflict"]
    assert len(await meant(service)) == 1


async def test_a_release_that_is_asked_twice_records_once(service: Any) -> None:
    await align(service)
    await tell(service, act("1"), act("2"))
    await identify(service)
    async with service.pool.connection() as connection:
        found = await releasing.due(connection, "")
    assert len(found) == 2
    for _ in range(2):
        await service.ledger.handle(found)
    assert len(await meant(service)) == 2


async def due(service: Any) -> list[int]:
    """The scores of what one look finds to release, in order."""
    async with service.pool.connection() as connection:
        return [ask.command.score_e6 for ask in await releasing.due(connection, "")]


async def test_only_news_that_let_an_act_go_find_it(service: Any) -> None:
    await tell(service, act("1"), act("2", item=2))
    assert await due(service) == []
    await tell(service, act("3"))
    await align(service, 1, 3)
    await identify(service, "s-2")
    assert await due(service) == [], "nothing of this lets an act go"
    await identify(service)
    assert len(await due(service)) == 2
    assert len(await due(service)) == 2, "they were not recorded, so they are found again"
    await service.tick()
    assert await due(service) == []
    await align(service, 2)
    assert len(await due(service)) == 1


async def test_an_act_that_just_missed_its_alignment_is_released(service: Any) -> None:
    await identify(service)
    assert await due(service) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "COMPETENCIES", waiting.COMPETENCIES + " WHERE false")  # As it was a moment ago.
        await align(service)
        assert await due(service) == []
        assert await tell(service, act()) == ["waiting"]
    assert len(await due(service)) == 1


@pytest.mark.parametrize("most", [1, 3, 7])
async def test_what_an_event_lets_go_is_gone_through_in_parts_that_outlast_a_restart(
    service: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(releasing, "MAX_ACTS", most)
    monkeypatch.setattr(releasing, "MAX_EVENTS", 2)
    await import_calendar(service, "2026-09-01")
    for number in range(4):
        old = act(f"old-{number}", f"s-{number}", share=0.9, occurred_at="2026-08-01T08:00:00Z")
        acts = [act(f"{number}-{n}", f"s-{number}", item=n % 3, share=n / 10) for n in range(6)]
        assert await tell(service, *acts, old) == ["waiting"] * 7
    for number in range(4):
        await identify(service, f"s-{number}", UUID(int=number + 1))
    await align(service, 0, 1, 2)
    await import_calendar(service, "2026-07-01")
    monkeypatch.setattr(releasing, "AT_ONCE_S", -1.0)  # One transaction of each look, of which nothing is remembered in the process.
    looks = 0
    while (found := await due(service)) == []:
        looks += 1
    assert looks > 8, "more than one for each event and each part of what it lets go"
    assert len(found) == 28, "what is released is in the order of acceptance, so all is found before"
    while await service.tick():
        pass
    for number in range(4):
        scores = [each.score_e6 // 100_000 for each in await meant(service, UUID(int=number + 1))]
        assert scores == [0, 1, 2, 3, 4, 5, 9]


async def import_calendar(service: Any, first_day: str) -> None:
    said = {"first_day": first_day, "author_id": str(UUID(int=9))}
    (await service.client.put("/evidence/calendar", json=said)).raise_for_status()


async def test_new_acts_go_behind_those_that_an_alignment_is_about_to_let_go(service: Any) -> None:
    await identify(service)
    await align(service)
    await tell(service, act("1", item=2, share=0.1))
    await service.tick()
    await align(service, 2)
    assert await tell(service, act("2", share=0.2), act("3", "s-2")) == ["waiting", "waiting"]
    assert await service.tick() == 1
    assert await tell(service, act("4", share=0.4)) == ["recorded"]
    assert [each.score_e6 // 100_000 for each in await meant(service)] == [1, 2, 4]


FILL = """
    INSERT INTO act SELECT gen_random_uuid(), %s, md5((g %% 50)::text)::uuid, 500000, now(), 'item', 'caliper', NULL, 0, g, now(),
        gen_random_uuid(), NULL, NULL, NULL FROM generate_series(1, %s) g"""
STATEMENTS: Any = {
    "learners": (waiting.LEARNERS, lambda: [Texts([lms.alias()])]),
    "news": (releasing.NEWS, list),
    "gone": (releasing.GONE, lambda: [500]),
    "due": (releasing.DUE, lambda: [500]),
    "totals": (TOTALS, list),
    "page": (WAITING, lambda: [0, 0, 10]),
}


async def test_what_waits_is_read_by_nobody_whom_it_does_not_concern(service: Any) -> None:
    """Pages of PostgreSQL that each statement reads stay the same, however much waits."""

    async def pages() -> dict[str, int]:
        found = {}
        async with service.pool.connection() as connection:
            await connection.execute("ANALYZE act")
            for name, (statement, values) in STATEMENTS.items():
                explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
                for _ in range(2):  # What the first finds dead, it marks.
                    ((plan,),) = await (await connection.execute(explained, values())).fetchall()
                found[name] = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
        return found

    await identify(service)
    await align(service)
    assert await tell(service, act()) == ["recorded"]
    await service.tick()
    async with service.pool.connection() as connection:
        await connection.execute(FILL, [lms.alias(), 100])
    few = await pages()
    async with service.pool.connection() as connection:
        await connection.execute(FILL.replace("0, g, now()", "0, 1000 + g, now()"), [lms.alias(), 20_000])
    many = await pages()
    assert {name: many[name] - few[name] for name in few if many[name] > 2 * few[name] + 20} == {}


async def test_counts_are_right_before_and_after_the_ledger_is_gone_through(service: Any) -> None:
    await tell(service, act("1"), act("2", "s-2"), act("1", share=0))
    before = await counts(service)
    await service.tick()
    assert before == await counts(service)
    assert (before["accepted"], before["recorded"], before["conflicts"]) == (2, 0, 1)
    await identify(service)
    await align(service)
    await tell(service, act("3", "s-2"))
    await service.tick()
    after = await counts(service)
    assert (after["accepted"], after["recorded"], after["conflicts"], after["aliases"], after["items"]) == (3, 1, 1, 1, 1)
    async with service.pool.connection() as connection:
        assert await waiting_now(connection) == 2


async def test_of_what_is_too_much_to_count_a_sample_says_why_it_waits(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await identify(service)
    await tell(service, *(act(f"{n}", "s-1" if n % 2 else "s-2", n) for n in range(9)))
    exact = await counts(service)
    assert (exact["exact"], exact["waiting"]["unaligned"], exact["waiting"]["unknown-learner"]) == (True, 4, 5)
    monkeypatch.setattr(reading, "MAX_COUNTED", 3)
    assert await counts(service) == exact | {"exact": False}, "a sample of all of so few"
    monkeypatch.setattr(reading, "WAITING_SAMPLE", "SELECT 'unaligned', 1 WHERE %s < 0")
    assert await counts(service) == exact, "a sample without any says nothing"


async def test_every_decision_replays_to_the_same_bytes(service: Any) -> None:
    await tell(service, act("1"), act("2", learner="s-2"), act("1", share=0), act("1"))
    await align(service, 1, 2)
    await identify(service)
    await service.tick()
    await tell(service, act("late", occurred_at="2026-09-01T08:00:00Z"), act("3", item=2))
    await align(service, 1, competency="L")
    query = "SELECT stream, bytes FROM event ORDER BY stream, version"
    async with service.pool.connection() as connection:
        stored = [(stream, bytes(raw)) for stream, raw in await (await connection.execute(query)).fetchall()]
    verifier = Verifier(PARTS.deciders, Settings((), ()))
    for stream, events in groupby(stored, key=itemgetter(0)):
        verifier.stream(stream, [raw for _, raw in events])
    tally = verifier.tally
    assert tally.differences == []
    assert tally.decisions == len(stored) == 4 + 1 + 1 + 3 + 3 + 1


async def test_two_processes_may_be_told_at_once(database: Callable[[str], ServiceDatabase]) -> None:
    place = database("evidence")
    async with running(PARTS, place) as one, running(PARTS, place) as two:
        for name, learner in (("s-1", ANN), ("s-2", BOB)):
            await identify(one, name, learner)
        await align(one)
        acts = [[act(f"{n}-{m}") for m in range(5)] for n in range(20)]
        told = await gather(*(tell(service, *some) for some in acts for service in (one, two)))
        assert Counter(result for results in told for result in results) == {"recorded": 100, "duplicate": 100}
        assert len(await meant(one)) == 100


async def test_read_tables_can_be_filled_again_in_any_order_of_partitions(service: Any) -> None:
    await align(service)
    await identify(service)
    await tell(service, act("1"), act("2", learner="s-2"), act("1", share=0))
    before = await tables(service)
    events = []
    async with service.pool.connection() as connection:
        for (stream,) in await (await connection.execute("SELECT DISTINCT stream FROM event ORDER BY stream DESC")).fetchall():
            events.extend(await service.ledger.stream(stream))
        await connection.execute("TRUNCATE act, alias, alignment, conflict")
        for start in range(len(events)):
            await project(connection, PARTS.projections, events[start : start + 1])
        await project(connection, PARTS.projections, events)
    assert await tables(service) == before


async def tables(service: Any) -> list[Any]:
    found = []
    async with service.pool.connection() as connection:
        for table in ("act", "alias", "alignment", "conflict"):
            found.append(await (await connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")).fetchall())  # noqa: S608
    assert all(found)
    return found


async def test_a_full_batch_of_acts_takes_one_transaction(service: Any) -> None:
    await identify(service)
    await align(service, *range(20))
    acts = [
        EvidenceAccepted(act_id=uuid4(), alias=lms.alias(), item_id=item_id_of(item_iri(n % 20)), score_e6=n, occurred_at=SOME_TIME)
        for n in range(500)
    ]
    transactions = []
    service.ledger.on_commit.append(transactions.append)
    answers = await service.asker.ask([AcceptEvidence(each) for each in acts], uuid4())
    assert all([type(event.data) for event in answer.events] == [EvidenceAccepted, EvidenceRecorded] for answer in answers)
    assert [len(events) for events in transactions] == [1000]
