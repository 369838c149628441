"""Acts that are graded again under the name of one attempt, as Canvas does: the latest grade counts, in whichever order grades come."""

import asyncio
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from services.evidence.amending import AmendEvidence
from services.evidence.app import PARTS
from services.evidence.domain import AcceptEvidence, act, learner
from services.evidence.grading import MAX_GRADES, began_at, latest, tellings_in
from services.mastery.domain import mastery
from services.mastery.refold import evidence_in
from services.mastery.subscribers import commands_for
from shared.contracts.envelope import StreamId
from shared.contracts.evidence import (
    Cause,
    EvidenceConflicted,
    EvidenceRecorded,
    EvidenceRegraded,
    EvidenceRescored,
    EvidenceVoided,
)
from shared.ledger import Ask, store
from shared.replay import Settings, Verifier
from shared.testing import SOMEBODY, Spec, check_decider, recorded
from tests.evidence.lms import ANN, alias, align, answered, attempt_iri, envelope, graded, identify, put
from tests.evidence.lms import act as act_of
from tests.evidence.test_amending import SAID, record
from tests.evidence.test_domain import MORNING, ONE, TWO, accept, told
from tests.shared.wire import rows, until, wait_for_locks

DAY = "2026-11-{:02}T10:00:00.000Z"


def regraded(number: int, score_e6: int, hour: int, earlier: int | None = None) -> AmendEvidence:
    return AmendEvidence(
        EvidenceRescored(
            evidence_id=UUID(int=number), learner_id=ANN, author_id=TWO, cause=Cause.REGRADED, score_e6=score_e6,
            at=MORNING.replace(hour=hour), occurred_at=None if earlier is None else MORNING.replace(year=2020, hour=earlier),
        )
    )  # fmt: skip


def grade(id: int, score_e6: int, hour: int, **other: Any) -> AcceptEvidence:
    at = MORNING.replace(hour=hour)
    return accept(score_e6=score_e6, telling_id=UUID(int=id), **{"occurred_at": at, "graded_at": at} | other)


def test_a_grade_of_another_time_is_a_further_one_and_none_of_them_is_a_conflict() -> None:
    first, later, earlier = grade(1, 300_000, 9), grade(2, 900_000, 11), grade(3, 500_000, 8)
    for order in permutations([first, later, earlier]):
        spec = Spec(act).asked(*order[:2])
        spec.when(order[2]).then(EvidenceRegraded(told=order[2].told))
        again = spec.asked(order[2])
        for each in order:
            again.when(each).then_nothing()


def test_another_score_of_one_instant_message_person_or_item_is_a_conflict() -> None:
    spec = Spec(act).asked(grade(1, 300_000, 9), grade(2, 900_000, 11))
    for other in (
        grade(3, 1, 9), grade(3, 1, 11), grade(1, 1, 12), grade(2, 1, 12), grade(3, 1, 12, item_id=ONE),
        accept(score_e6=1, telling_id=UUID(int=3), occurred_at=MORNING.replace(hour=11)),
    ):  # fmt: skip
        spec.when(other).then(EvidenceConflicted(told=other.told))
        spec.asked(other).when(other).then_refused("conflict")
    spec.when(grade(3, 900_000, 11)).then_nothing()


def test_an_answer_told_behind_its_grade_is_none_while_a_grade_of_before_an_answer_is() -> None:
    answer = accept(score_e6=0, telling_id=UUID(int=5))
    assert answer.told.occurred_at == MORNING
    Spec(act).asked(grade(1, 900_000, 11)).when(answer).then(EvidenceRegraded(told=answer.told))
    Spec(act).asked(answer).when(grade(1, 900_000, 11)).then_types(EvidenceRegraded)
    Spec(act).asked(answer).when(grade(1, 900_000, 8)).then_types(EvidenceConflicted)


def test_a_conflict_from_before_grades_were_told_apart_is_mended_by_sending_it_again() -> None:
    old, later = grade(1, 300_000, 9, graded_at=None).told, grade(2, 900_000, 11)
    spec = Spec(act).given(old, EvidenceConflicted(told=later.told.model_copy(update={"graded_at": None})))
    spec.when(later).then(EvidenceRegraded(told=later.told))


def test_a_grade_from_before_its_time_was_kept_learns_it_when_it_is_told_again_and_is_no_older_than_it() -> None:
    newest, older = grade(2, 900_000, 12, occurred_at=MORNING), grade(1, 400_000, 10, occurred_at=MORNING)
    undated = [each.told.model_copy(update={"graded_at": None}) for each in (newest, older)]
    spec = Spec(act).given(undated[0], EvidenceConflicted(told=undated[1]))
    spec.when(newest).then(EvidenceRegraded(told=newest.told))
    for order in permutations((newest, older)):
        both = spec.asked(*order)
        assert latest(list(tellings_in(recorded(newest.stream, both.past)))).score_e6 == 900_000
        for again in (newest, older, AcceptEvidence(undated[0]), AcceptEvidence(undated[1])):
            both.when(again).then_nothing()


def test_work_is_dated_when_it_was_first_told_to_have_happened_in_whichever_order() -> None:
    answer = accept(score_e6=300_000, telling_id=UUID(int=8), occurred_at=MORNING.replace(hour=8))
    early = grade(3, 300_000, 9, occurred_at=MORNING.replace(hour=7))
    later = accept(score_e6=300_000, telling_id=UUID(int=9))
    for tellings in ((answer, later), (early, grade(4, 300_000, 9)), (answer, grade(4, 300_000, 9))):
        for order in permutations(tellings):
            told = list(tellings_in(recorded(order[0].stream, Spec(act).asked(*order).past)))
            assert began_at(told) == min(each.told.occurred_at for each in tellings)


def test_grades_of_one_act_are_bounded() -> None:
    many = [
        EvidenceRegraded(told=told(telling_id=UUID(int=n), graded_at=MORNING.replace(microsecond=n), score_e6=n))
        for n in range(3, MAX_GRADES)
    ]
    first = told(telling_id=ONE, graded_at=MORNING)
    Spec(act).given(first, *many).when(grade(2, 7, 11)).then_types(EvidenceRegraded)
    last = EvidenceRegraded(told=told(telling_id=TWO, graded_at=MORNING.replace(hour=10), score_e6=0))
    extra = EvidenceRegraded(told=told(telling_id=UUID(int=999), graded_at=MORNING.replace(hour=12), score_e6=0))
    Spec(act).given(first, *many, last, extra).when(grade(1000, 7, 13)).then_types(EvidenceConflicted)


def test_a_later_grade_says_nothing_of_what_waits_or_is_void_nor_against_a_correction_of_later() -> None:
    Spec(learner).when(regraded(1, 5, 10)).then_nothing()
    spec = Spec(learner).asked(record(1))
    spec.when(regraded(1, 5, 10)).then_types(EvidenceRescored)
    spec.when(regraded(1, 0, 10)).then_nothing()
    spec.when(regraded(1, 0, 10, earlier=1)).then_types(EvidenceRescored)
    spec.asked(regraded(1, 0, 10, earlier=1)).when(regraded(1, 0, 11, earlier=1)).then_nothing()
    spec.asked(regraded(1, 5, 11)).when(regraded(1, 6, 10)).then_nothing()
    gone = EvidenceVoided(evidence_id=ONE, learner_id=ANN, author_id=TWO, cause=Cause.OTHER, at=MORNING)
    spec.asked(AmendEvidence(gone)).when(regraded(1, 5, 10)).then_nothing()


hours = st.integers(6, 12)
grades = st.builds(grade, st.integers(1, 6), st.integers(0, 2), hours)
answers = st.builds(
    lambda id, score, hour: accept(score_e6=score, telling_id=UUID(int=id), occurred_at=MORNING.replace(hour=hour)),
    st.integers(7, 9), st.integers(0, 2), hours,
)  # fmt: skip


def test_the_four_properties_hold_with_grades() -> None:
    check_decider(act, st.lists(grades | answers, min_size=1, max_size=12), examples=200)
    amendments = st.builds(regraded, st.just(1), st.integers(0, 3), hours, st.none() | st.integers(0, 3))
    check_decider(learner, st.lists(st.just(record(1)) | amendments, max_size=8), examples=200)


async def send(service: Any, *events: Any) -> list[str]:
    answer = await service.client.post("/evidence/caliper", json=envelope(*events, graded("known", learner="other", attempt="urn:x:1")))
    return [each["result"] for each in answer.raise_for_status().json()["results"]][:-1]


async def counts_by_now(service: Any, learner: UUID = ANN) -> list[tuple[int, datetime]]:
    """What mastery weighs of a learner: the score and time of each piece of evidence, all corrections taken into account."""
    stream = await service.ledger.stream(f"evidence/learner/{learner}")
    heard = Spec(mastery).asked(*[command for event in stream for command in commands_for(event)])
    held = evidence_in(recorded(StreamId("mastery", "learner", str(learner)), heard.past))
    return sorted((each.score_e6, each.occurred_at) for each in held.values() if each is not None)


@pytest.mark.usefixtures("known")
async def test_a_retake_counts_and_nothing_of_it_is_a_conflict(service: Any) -> None:
    submission = "urn:instructure:canvas:submission:7"
    assert await send(service, graded("one", given=3, maximum=10, attempt=submission, at=DAY.format(10))) == ["recorded"]
    retake = graded("two", given=9, maximum=10, attempt=submission, at=DAY.format(12))
    assert await send(service, put(retake, "object/count", 2)) == ["regraded"]
    assert await send(service, retake) == ["duplicate"]
    assert await counts_by_now(service) == [(900_000, datetime(2026, 11, 10, 10, tzinfo=UTC))]
    [shown] = (await service.client.get(f"/evidence/learners/{ANN}")).json()["items"]
    assert (shown["score_e6"], shown["corrected_e6"]) == (300_000, 900_000)
    seen = (await service.client.get(f"/evidence/acts/{shown['act_id']}")).json()
    assert ([each["cause"] for each in seen["amendments"]], seen["conflicts"]) == (["regraded"], [])
    assert (await service.client.get("/evidence/conflicts")).json() == {"items": [], "next": None}


async def test_every_order_of_grades_and_of_what_must_be_known_ends_in_the_same_evidence(service: Any) -> None:
    ends = set()
    for number, order in enumerate(permutations(["known", "first", "better", "taken back", "answer"]), 1):
        who, name = UUID(int=number), f"s-{number}"
        for step in order:
            told = {"learner": name, "item": number, "maximum": 10, "attempt": attempt_iri(name)}
            match step:
                case "known":
                    await identify(service, name, who)
                    await align(service, number)
                case "first":
                    await send(service, *[graded(f"{name}-1", given=5, at=DAY.format(10), **told)] * 2)
                case "better":
                    await send(service, graded(f"{name}-2", given=9, at=DAY.format(11), **told))
                case "taken back":
                    await send(service, graded(f"{name}-3", given=5, at=DAY.format(12), **told))
                case _:
                    await send(service, answered(f"{name}-0", given=2, at=DAY.format(9), **told))
            if number % 2:
                await service.tick()
        await service.tick()
        ends.add((number, *await counts_by_now(service, who)))
    assert {end[1:] for end in ends} == {((500_000, datetime(2026, 11, 9, 10, tzinfo=UTC)),)}
    assert len(ends) == 120
    assert (await service.client.get("/evidence/conflicts")).json()["items"] == []


async def test_grades_of_one_envelope_count_as_if_they_came_one_by_one(service: Any) -> None:
    for number, order in enumerate(permutations(range(4)), 1):
        who, name = UUID(int=number), f"s-{number}"
        await identify(service, name, who)
        await align(service, number)
        of_her = {"learner": name, "item": number, "maximum": 10}
        sent = [graded(f"{name}-{n}", given=score, at=DAY.format(10 + n), **of_her) for n, score in enumerate((5, 9, 5))]
        sent.append(answered(f"{name}-a", given=2, at=DAY.format(9), **of_her))
        assert await send(service, *[sent[n] for n in order]) == ["recorded", "regraded", "regraded", "regraded"]
        assert await counts_by_now(service, who) == [(500_000, datetime(2026, 11, 9, 10, tzinfo=UTC))]
        assert await send(service, *sent) == ["duplicate"] * 4


async def test_what_was_graded_again_while_it_waited_is_released_with_its_latest_grade(service: Any) -> None:
    assert await send(service, graded("one", given=0, at=DAY.format(10))) == ["waiting"]
    await identify(service)
    assert await send(service, graded("two", given=4, at=DAY.format(12))) == ["regraded"]
    await align(service)
    assert await service.tick() == 1
    stream = await service.ledger.stream(f"evidence/learner/{ANN}")
    assert [type(event.data) for event in stream] == [EvidenceRecorded, EvidenceRescored]
    assert await counts_by_now(service) == [(1_000_000, datetime(2026, 11, 10, 10, tzinfo=UTC))]


async def test_a_grade_beside_a_release_is_not_lost_though_the_alias_passed_on(service: Any) -> None:
    """The act is of whom the alias was of when it was accepted: who grades it locks her partition, and who releases it waits for that."""
    await identify(service, "s-77")
    assert await send(service, graded("one", learner="s-77", given=1, at=DAY.format(10))) == ["waiting"]
    await identify(service, "s-77", UUID(int=7))
    await align(service)
    [(act_id,)] = await rows(service.ledger, "SELECT act_id FROM act WHERE alias = %s", alias("s-77"))
    first = (await service.ledger.stream(f"evidence/act/{act_id}"))[0].data
    later = first.model_copy(update={"graded_at": datetime(2026, 11, 12, tzinfo=UTC), "score_e6": 1_000_000, "telling_id": TWO})
    async with service.ledger.pool.connection() as connection, connection.transaction():
        turn = await service.ledger.decide(connection, [Ask(AcceptEvidence(later), SOMEBODY, 0)], lock_all=False)
        assert [type(event.data) for event in turn.events] == [EvidenceRegraded]
        release = asyncio.create_task(service.tick())
        await until(lambda: _waits_or_done(service, release), "the release has its act, or waits")
    service.ledger.committed(turn, 0.0)
    assert await release == 1
    assert await counts_by_now(service) == [(1_000_000, datetime(2026, 11, 10, 10, tzinfo=UTC))]


async def _waits_or_done(service: Any, task: asyncio.Task[int]) -> bool:
    return task.done() or await wait_for_locks(service.ledger)


@pytest.mark.usefixtures("known")
async def test_of_a_learners_stream_only_what_was_told_of_the_act_is_read(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [act_of(f"a-{n}", occurred_at=f"2026-11-{1 + n % 20:02}T09:00:00.000Z") for n in range(100)]
    (await service.client.post("/evidence", json={"items": items})).raise_for_status()
    assert await send(service, graded("one", given=1, at=DAY.format(10))) == ["recorded"]
    read: list[str] = []

    def decoded(raw: bytes) -> Any:
        read.append(store_decoded(raw).stream)
        return store_decoded(raw)

    store_decoded = store.decoded
    monkeypatch.setattr(store, "decoded", decoded)
    assert await send(service, graded("two", given=4, at=DAY.format(12))) == ["regraded"]
    assert await send(service, graded("late", item=2, at=DAY.format(11))) == ["recorded"]
    both = graded("three", given=2, at=DAY.format(13)), graded("other", item=2, given=1, at=DAY.format(14))
    assert await send(service, *both) == ["regraded"] * 2
    assert read.count(f"evidence/learner/{ANN}") == 1 + 0 + 2 + 1, "each act as recorded and as corrected"
    assert {(500_000, datetime(2026, 11, 10, 10, tzinfo=UTC))} <= set(await counts_by_now(service))


@pytest.mark.usefixtures("known")
async def test_a_further_grade_settles_no_conflict_between_two_people(service: Any) -> None:
    await send(service, graded("one", given=1, at=DAY.format(10)))
    await send(service, answered("other", learner="s-2", attempt=attempt_iri("s-1")))
    assert await send(service, graded("two", given=4, at=DAY.format(24))) == ["regraded"]
    [left] = (await service.client.get("/evidence/conflicts")).json()["items"]
    assert not left["same_person"]


@pytest.mark.usefixtures("known")
async def test_regrades_replay(service: Any) -> None:
    for n, score in enumerate((1, 3, 2, 4)):
        await send(service, graded(f"g-{n}", given=score, at=DAY.format(20 - n if n % 2 else 10 + n)))
    verifier = Verifier(PARTS.deciders, Settings((), ()))
    for name, least in ((f"evidence/act/{await counted_act(service)}", 4), (f"evidence/learner/{ANN}", 2)):
        stored = await service.ledger.stream(name)
        assert len(stored) >= least
        verifier.stream(name, [event.raw for event in stored])
    assert verifier.tally.differences == []


async def counted_act(service: Any) -> str:
    [shown] = (await service.client.get(f"/evidence/learners/{ANN}")).json()["items"]
    return str(shown["act_id"])


@pytest.mark.usefixtures("known")
async def test_conflicts_are_listed_with_both_scores_and_what_to_do_until_they_are_settled(service: Any) -> None:
    for item in (1, 2):
        await send(service, answered(f"a-{item}", item=item, given=1))
        await send(service, answered(f"b-{item}", item=item, given=2))
    await send(service, answered("c", learner="s-2", item=1, attempt=attempt_iri("s-1")))
    first = (await service.client.get("/evidence/conflicts?limit=2")).json()
    rest = (await service.client.get(f"/evidence/conflicts?limit=2&after={first['next']}")).json()
    assert rest["next"] is None
    listed = first["items"] + rest["items"]
    assert sorted((each["score_e6"], each["other_score_e6"], each["same_person"]) for each in listed) == [
        (250_000, 500_000, True), (250_000, 500_000, True), (250_000, 750_000, False),
    ]  # fmt: skip
    assert all(each["learner_id"] == str(ANN) and each["other_telling_id"] and each["act_id"] in each["remedy"] for each in listed)
    assert {"correction" in each["remedy"] for each in listed if each["same_person"]} == {True}
    assert {"two people" in each["remedy"] for each in listed if not each["same_person"]} == {True}
    settled = next(each["act_id"] for each in listed if each["same_person"])
    (await service.client.post(f"/evidence/acts/{settled}/correction", json=SAID | {"given": 2, "max": 4})).raise_for_status()
    left = (await service.client.get("/evidence/conflicts")).json()["items"]
    assert {each["act_id"] for each in left} == {each["act_id"] for each in listed} - {settled}


@pytest.mark.usefixtures("known")
async def test_nobody_says_that_a_source_graded_again_but_the_source(service: Any) -> None:
    await send(service, graded())
    answer = await service.client.post(
        f"/evidence/acts/{await counted_act(service)}/correction", json=SAID | {"given": 1, "cause": "regraded"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "/cause")
