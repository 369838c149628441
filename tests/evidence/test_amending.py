"""Corrections and voids: told beside the evidence, with author and cause, and only of what was recorded."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from services.evidence.amending import AmendEvidence
from services.evidence.domain import RecordEvidence, learner
from shared.contracts.evidence import Cause, EvidenceRecorded, EvidenceRescored, EvidenceVoided, Kind
from shared.testing import SOME_TIME, Spec, check_decider
from tests.evidence.lms import ANN, act

AUTHOR = UUID(int=0xB)
SAID = {"author_id": str(AUTHOR), "cause": "appeal"}


def record(number: int, score_e6: int = 0, day: int = 0) -> RecordEvidence:
    at = SOME_TIME + timedelta(days=day)
    return RecordEvidence(UUID(int=number), ANN, UUID(int=99), ("K",), score_e6, at, Kind.ITEM, None)


def rescore(number: int, score_e6: int, day: int = 50) -> AmendEvidence:
    at = SOME_TIME + timedelta(days=day)
    told = EvidenceRescored(evidence_id=UUID(int=number), learner_id=ANN, author_id=AUTHOR, cause=Cause.APPEAL, at=at, score_e6=score_e6)
    return AmendEvidence(told)


def void(number: int) -> AmendEvidence:
    return AmendEvidence(
        EvidenceVoided(evidence_id=UUID(int=number), learner_id=ANN, author_id=AUTHOR, cause=Cause.FAULTY_ITEM, at=SOME_TIME)
    )


def test_recorded_evidence_is_corrected_once() -> None:
    spec = Spec(learner).asked(record(1))
    corrected = spec.when(rescore(1, 500_000))
    corrected.then_types(EvidenceRescored)
    spec.when(rescore(1, 0)).then_nothing()
    spec.given(*corrected.events).when(rescore(1, 500_000, day=60)).then_nothing()
    spec.asked(rescore(1, 500_000)).when(rescore(1, 0)).then_types(EvidenceRescored)


def test_what_is_void_stays_void_and_its_evidence_is_not_recorded_again() -> None:
    spec = Spec(learner).asked(record(1), void(1))
    spec.when(void(1)).then_nothing()
    spec.when(rescore(1, 500_000)).then_refused("void")
    spec.when(record(1)).then_nothing()


def test_only_what_was_recorded_can_be_amended() -> None:
    Spec(learner).asked(record(1)).when(void(2)).then_refused("not-recorded")
    Spec(learner).when(rescore(2, 1)).then_refused("not-recorded")


def test_an_amendment_moves_no_watermark() -> None:
    spec = Spec(learner).asked(record(1), rescore(1, 500_000))
    assert spec.state == Spec(learner).asked(record(1)).state
    spec.when(record(2, day=1)).then_types(EvidenceRecorded)


def test_the_four_properties_hold_with_amendments() -> None:
    command = st.one_of(
        st.builds(record, st.integers(1, 4), st.just(0), st.integers(0, 3)),
        st.builds(rescore, st.integers(1, 4), st.sampled_from((0, 500_000))),
        st.builds(void, st.integers(1, 4)),
    )  # fmt: skip
    check_decider(learner, st.lists(command, max_size=10))


async def tell(service: Any, **changes: Any) -> str:
    answer = await service.client.post("/evidence", json={"items": [act(**changes)]})
    return str(answer.json()["results"][0]["act_id"])


@pytest.mark.usefixtures("known")
async def test_a_correction_and_a_void_show_with_author_and_cause_beside_what_was_told(service: Any) -> None:
    act_id = await tell(service)
    before = (await service.client.get(f"/evidence/acts/{act_id}")).json()
    answer = await service.client.post(f"/evidence/acts/{act_id}/correction", json=SAID | {"given": 1, "max": 8})
    kept = [event for event in await service.ledger.stream(f"evidence/learner/{ANN}") if event.type == "evidence.rescored.v1"]
    assert answer.json() == {"act_id": act_id, "changed": True, "event_id": kept[0].id}
    again = await service.client.post(f"/evidence/acts/{act_id}/correction", json=SAID | {"given": 1, "max": 8})
    assert again.json() == {"act_id": act_id, "changed": False, "event_id": kept[0].id}, "whoever lost the answer has it now"
    (shown,) = (await service.client.get(f"/evidence/learners/{ANN}")).json()["items"]
    assert (shown["score_e6"], shown["corrected_e6"], shown["void"]) == (before["score_e6"], 125_000, False)
    voided, again = [(await service.client.post(f"/evidence/acts/{act_id}/void", json=SAID)).json() for _ in range(2)]
    assert again == voided | {"changed": False}
    assert voided["changed"] is True
    assert voided["event_id"] not in (None, kept[0].id)
    (shown,) = (await service.client.get(f"/evidence/learners/{ANN}")).json()["items"]
    assert shown["void"] is True
    after = (await service.client.get(f"/evidence/acts/{act_id}")).json()
    assert [(told["void"], told["score_e6"], told["cause"], told["author_id"]) for told in after["amendments"]] == [
        (True, None, "appeal", str(AUTHOR)), (False, 125_000, "appeal", str(AUTHOR)),
    ]  # fmt: skip
    assert {name: after[name] for name in ("score_e6", "status")} == {name: before[name] for name in ("score_e6", "status")}
    refused = await service.client.post(f"/evidence/acts/{act_id}/correction", json=SAID | {"given": 1})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "void")
    counts = (await service.client.get("/evidence/counts")).json()
    assert (counts["accepted"], counts["recorded"]) == (1, 1)


@pytest.mark.usefixtures("known")
async def test_a_correction_to_what_was_told_is_kept_by_no_event_until_there_is_another_one(service: Any) -> None:
    act_id = await tell(service)
    correct = f"/evidence/acts/{act_id}/correction"
    as_told, other = SAID | {"given": 3, "max": 4}, SAID | {"given": 1, "max": 8}
    answers = [(await service.client.post(correct, json=said)).json() for said in (as_told, other, as_told, as_told)]
    assert (answers[0]["changed"], answers[0]["event_id"]) == (False, None)
    assert [answer["changed"] for answer in answers[1:]] == [True, True, False]
    assert answers[3]["event_id"] == answers[2]["event_id"] != answers[1]["event_id"]


@pytest.mark.usefixtures("known")
async def test_an_amendment_of_what_waits_or_is_unknown_or_without_reason_is_refused(service: Any) -> None:
    waiting = await tell(service, learner="s-9")
    answer = await service.client.post(f"/evidence/acts/{waiting}/void", json=SAID)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "not-recorded")
    assert (await service.client.post(f"/evidence/acts/{UUID(int=5)}/void", json=SAID)).status_code == 404
    act_id = await tell(service, id="another")
    for body, place in (
        ({"given": 1, "max": 0}, "/max"), ({"given": -1}, "/given"), ({"given": 1, "cause": "because"}, "/cause"),
        ({"given": 1, "words": "in clear"}, "/words"), ({}, "/given"), ({"given": 1, "author_id": "Ms Smith"}, "/author_id"),
    ):  # fmt: skip
        answer = await service.client.post(f"/evidence/acts/{act_id}/correction", json=SAID | body)
        assert answer.status_code == 422
        assert any(place in error["place"] for error in answer.json()["errors"])
