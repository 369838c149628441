"""HTTP of evidence: what clients are told, and that bad input leaves the store as it was."""

import asyncio
from typing import Any
from uuid import uuid4

import orjson
import pytest

from services.evidence import told
from shared.contracts.envelope import partition_of
from shared.errors import Overloaded
from shared.ledger import patience
from tests.evidence.lms import ANN, CONTEXT, act, alias, answered, envelope, graded, item_iri, put, used

pytestmark = pytest.mark.usefixtures("known")
JSON = {"content-type": "application/json"}


async def events(service: Any) -> int:
    async with service.pool.connection() as connection:
        return int((await (await connection.execute("SELECT sum(length) FROM partition")).fetchall())[0][0])


def results(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["result"] for each in answer.json()["results"]]


async def test_each_event_of_an_envelope_has_its_result(service: Any) -> None:
    sent = envelope(graded(), used(), answered("other", item=2), graded("third", learner="s-9", item=2), graded())
    answer = await service.client.post("/evidence/caliper", json=sent)
    assert results(answer) == ["recorded", "not-evidence", "recorded", "waiting", "duplicate"]
    assert answer.json()["counts"] == {"recorded": 2, "not-evidence": 1, "waiting": 1, "duplicate": 1}
    assert [each["id"] for each in answer.json()["results"]] == [event["id"] for event in sent["data"]]
    assert answer.json()["results"][1]["reason"] == "not scored work"
    before = await events(service)
    assert results(await service.client.post("/evidence/caliper", json=sent)) == [
        "duplicate",
        "not-evidence",
        "duplicate",
        "duplicate",
        "duplicate",
    ]
    assert await events(service) == before


async def test_an_envelope_without_evidence_is_taken(service: Any) -> None:
    before = await events(service)
    assert results(await service.client.post("/evidence/caliper", json=envelope(used()))) == ["not-evidence"]
    assert await events(service) == before


async def test_scored_work_beside_a_tool_launch_of_caliper_1_1_is_stored(service: Any) -> None:
    older = CONTEXT.replace("v1p2", "v1p1")
    launch = put(put(used(), "type", "ToolLaunchEvent"), "@context", f"{older}/ToolLaunchProfile-extension")
    sent = envelope(launch, put(graded(), "@context", older), dataVersion=older)
    answer = await service.client.post("/evidence/caliper", json=sent)
    assert results(answer) == ["not-evidence", "recorded"]
    assert answer.json()["counts"] == {"not-evidence": 1, "recorded": 1}
    assert len((await service.client.get(f"/evidence/learners/{ANN}")).json()["items"]) == 1


async def test_a_grade_of_a_sensor_without_an_iri_is_stored_beside_an_event_of_its_own_type(service: Any) -> None:
    own = put(put(used(), "type", "http://caliper.blackboard.com/caliper/v1/CalculatedGradeSnapshotEvent"), "action", "GradeCalculated")
    bare = put(graded(), "id", graded()["id"].removeprefix("urn:uuid:"))
    sent = envelope(bare, own, sensor="54b54b42-dd02-42f8-88ed-07bd719bfb7c")
    answer = await service.client.post("/evidence/caliper", json=sent)
    assert results(answer) == ["recorded", "not-evidence"]
    assert answer.json()["results"][1]["reason"] == "a type of event that is not Caliper's"
    assert results(await service.client.post("/evidence/caliper", json=envelope(graded(), own))) == ["duplicate", "not-evidence"]


async def test_a_grade_beside_a_page_view_whose_address_is_no_iri_is_stored(service: Any) -> None:
    page = {"id": "https://lms.example/pages/week 1", "type": "Page"}
    sent = envelope({**used(), "type": "ViewEvent", "action": "Viewed", "object": page}, graded())
    assert results(await service.client.post("/evidence/caliper", json=sent)) == ["not-evidence", "recorded"]


async def test_a_sensor_that_asks_first_is_told_what_is_taken(service: Any) -> None:
    answer = await service.client.get("/evidence/caliper")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    configuration = answer.json()
    assert configuration == {
        "caliper_maximum_payload_size": 2_048,
        "caliper_supported_versions": ["http://purl.imsglobal.org/ctx/caliper/v1p1", "http://purl.imsglobal.org/ctx/caliper/v1p2"],
    }
    for version in configuration["caliper_supported_versions"]:
        sent = orjson.dumps(envelope(put(used(), "@context", version), dataVersion=version))
        most = configuration["caliper_maximum_payload_size"] * 1_024
        padded = [sent + b" " * (size - len(sent)) for size in (most, most + 1)]
        taken, refused = [await service.client.post("/evidence/caliper", content=each, headers=JSON) for each in padded]
        assert (results(taken), refused.status_code) == (["not-evidence"], 413)


async def test_a_conflict_is_409_only_where_it_is_all_that_was_sent(service: Any) -> None:
    assert results(await service.client.post("/evidence/caliper", json=envelope(graded()))) == ["recorded"]
    for _ in range(2):
        answer = await service.client.post("/evidence/caliper", json=envelope(graded(given=0)))
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "conflict")
        assert "is kept beside it as a conflict" in answer.json()["detail"]
        assert "Do not send it again" in answer.json()["detail"]
    assert results(await service.client.post("/evidence/caliper", json=envelope(graded(given=0), used()))) == ["conflict", "not-evidence"]
    assert (await service.client.get("/evidence/counts")).json()["conflicts"] == 1


async def test_direct_acts_have_a_result_each(service: Any) -> None:
    answer = await service.client.post("/evidence", json={"items": [act(), act("2", learner="s-9"), act(), act(share=0)]})
    assert results(answer) == ["recorded", "waiting", "duplicate", "conflict"]
    assert (await service.client.post("/evidence", json={"items": [act(share=0)]})).status_code == 409


async def test_a_learners_evidence_is_listed_from_the_newest(service: Any) -> None:
    acts = [act(f"a-{n}", occurred_at=f"2026-11-{10 + n // 2}T09:00:00Z") for n in range(7)]
    await service.client.post("/evidence", json={"items": acts})
    seen: list[Any] = []
    after = ""
    while after is not None:
        page = (await service.client.get(f"/evidence/learners/{ANN}?limit=3{after and f'&after={after}'}")).raise_for_status().json()
        seen, after = seen + page["items"], page["next"]
    assert len({each["act_id"] for each in seen}) == 7
    order = [(each["occurred_at"], each["act_id"]) for each in seen]
    assert order == sorted(order, reverse=True)


async def test_a_learner_without_evidence_is_told_from_one_whom_nobody_named(service: Any) -> None:
    assert (await service.client.get(f"/evidence/learners/{ANN}")).json() == {"items": [], "next": None}
    answer = await service.client.get(f"/evidence/learners/{uuid4()}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:cairn:problem:not-found")
    assert "import the roster" in answer.json()["detail"]


async def test_alignments_come_as_csv_too_and_are_listed(service: Any) -> None:
    csv = "item,competency\nhttps://lms.example/z,K1\nhttps://lms.example/z,K2\n"
    answer = await service.client.put("/evidence/alignments", content=csv, headers={"content-type": "text/csv; charset=utf-8"})
    assert answer.json() == {"items": 1, "changed": 1}
    first = (await service.client.get("/evidence/alignments?limit=2")).json()
    rest = (await service.client.get(f"/evidence/alignments?limit=2&after={first['next']}")).json()
    assert [each["iri"] for each in first["items"] + rest["items"]] == [item_iri(1), item_iri(2), "https://lms.example/z"]
    one = (await service.client.get("/evidence/alignments", params={"item": "https://lms.example/z"})).json()
    assert [each["competency_ids"] for each in one["items"]] == [["K1", "K2"]]


async def test_a_competency_is_taken_by_its_guid_in_any_case_or_by_its_uri_and_kept_as_frameworks_have_it(service: Any) -> None:
    guid = "6b9f0c2e-abcd-4bcd-8bcd-abcdefabcdef"
    uri, other = f"https://case.example/ims/case/v1p0/CFItems/{guid.upper()}", f"urn:uuid:{guid[:-1]}0"
    sent = {"alignments": [{"item": item_iri(3), "competencies": [guid.upper(), other, "K"]}]}
    assert (await service.client.put("/evidence/alignments", json=sent)).json() == {"items": 1, "changed": 1}
    csv = f"item,competency\n{item_iri(3)},{uri}\n{item_iri(3)},{other}\n{item_iri(3)},K\n"
    again = await service.client.put("/evidence/alignments", content=csv, headers={"content-type": "text/csv"})
    assert again.json() == {"items": 1, "changed": 0}, "it is aligned so already"
    (one,) = (await service.client.get("/evidence/alignments", params={"item": item_iri(3)})).json()["items"]
    assert sorted(one["competency_ids"]) == [f"{guid[:-1]}0", guid, "K"]
    for names in ([guid, uri], [guid.upper(), guid]):
        answer = await service.client.put("/evidence/alignments", json={"alignments": [{"item": item_iri(4), "competencies": names}]})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "duplicate"), answer.text


async def test_an_act_nobody_told_is_not_found(service: Any) -> None:
    assert (await service.client.get(f"/evidence/acts/{uuid4()}")).status_code == 404
    assert (await service.client.get("/evidence/acts/none")).status_code == 422


def body(value: Any) -> bytes:
    return orjson.dumps(value)


BAD = [
    ("POST", "/evidence/caliper", b"", JSON, 400, None),
    ("POST", "/evidence/caliper", b"{", JSON, 400, ""),
    ("POST", "/evidence/caliper", body(envelope(graded()))[:-9], JSON, 400, ""),
    ("POST", "/evidence/caliper", b"\xff\xfe{}", JSON, 400, ""),
    ("POST", "/evidence/caliper", body(envelope(graded())).replace(b"autograder", b"auto\\u0000", 1), JSON, 400, "/data/0/actor/id"),
    ("POST", "/evidence/caliper", body(envelope(graded())).replace(b'"scoreGiven":3', b'"scoreGiven":NaN'), JSON, 400, None),
    ("POST", "/evidence/caliper", body(envelope(graded())).replace(b'"scoreGiven":3', b'"scoreGiven":1e999'), JSON, 400, None),
    ("POST", "/evidence/caliper", body(envelope(graded())).replace(b'"sensor"', b'"data":[],"sensor"'), JSON, 400, "/data"),
    ("POST", "/evidence/caliper", body(envelope(graded())), {"content-type": "text/plain"}, 415, None),
    ("POST", "/evidence/caliper", body(envelope(graded())), {}, 415, None),
    ("POST", "/evidence/caliper", body([graded()]), JSON, 400, ""),
    ("POST", "/evidence/caliper", body(envelope()), JSON, 400, "/data"),
    ("POST", "/evidence/caliper", body(envelope(graded(), dataVersion=CONTEXT[:-1] + "0")), JSON, 422, "/dataVersion"),
    ("POST", "/evidence/caliper", body(envelope(graded(), put(graded("x"), "eventTime", "2026"))), JSON, 422, "/data/1/eventTime"),
    (
        "POST",
        "/evidence/caliper",
        body(envelope(graded(), put(graded("x"), "generated/maxScore", "4"))),
        JSON,
        422,
        "/data/1/generated/maxScore",
    ),
    ("POST", "/evidence/caliper", body(envelope(*[graded()] * (told.MAX_ACTS + 1))), JSON, 413, "/data"),
    ("POST", "/evidence/caliper", body(envelope(graded(), put(used(), "actor", "x" * told.MAX_BODY_BYTES))), JSON, 413, None),
    ("POST", "/evidence", b"[]", JSON, 400, "/items"),
    ("POST", "/evidence", body({"items": [act(), put(act(), "score/given", -1)]}), JSON, 422, "/items/1/score/given"),
    ("POST", "/evidence", body({"items": [act()]}), {"content-type": "text/csv"}, 415, None),
    ("PUT", "/evidence/alignments", b"[]", JSON, 400, "/alignments"),
    (
        "PUT",
        "/evidence/alignments",
        body({"alignments": [{"item": item_iri(3), "competencies": ["K", "K K"]}]}),
        JSON,
        422,
        "/alignments/0/competencies/1",
    ),
    ("PUT", "/evidence/alignments", b"item,competency\nhttps://a,K\nb,K", {"content-type": "text/csv"}, 422, "alignments.csv:3:1"),
    ("PUT", "/evidence/alignments", b"item,competency\nhttps://a,\xe9\n", {"content-type": "text/csv"}, 400, "alignments.csv:2:1"),
    ("PUT", "/evidence/alignments", b"item,competency\nhttps://a,K\n", {"content-type": "application/xml"}, 415, None),
    ("GET", "/evidence/alignments?after=x", b"", {}, 422, "query/after"),
    ("GET", "/evidence/waiting?limit=0", b"", {}, 422, "query/limit"),
    ("GET", f"/evidence/learners/{ANN}?after=WyJ4IiwieSJd", b"", {}, 422, "query/after"),
    ("GET", "/evidence/learners/ann", b"", {}, 422, "path/learner_id"),
]


async def test_bad_input_is_named_and_leaves_the_store_as_it_was(service: Any) -> None:
    before, known = await events(service), (await service.client.get("/evidence/counts")).json()
    for method, path, content, headers, status, place in BAD:
        answer = await service.client.request(method, path, content=content, headers=headers)
        what = f"{method} {path} {content[:60]!r}: {answer.text[:300]}"
        assert answer.status_code == status, what
        assert answer.headers["content-type"] == "application/problem+json", what
        problem = answer.json()
        assert problem["detail"], what
        if place is not None:
            assert problem["errors"][0].get("place", "") == place, what
        assert await events(service) == before, what
    assert (await service.client.get("/evidence/counts")).json() == known


async def test_too_much_at_once_is_told_to_come_back(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ledger.group.MAX_WAITING", 0)
    monkeypatch.setattr(service.asker, "_count", 1)  # As if another request were waiting.
    answer = await service.client.post("/evidence/caliper", json=envelope(graded()))
    assert answer.status_code == 429
    assert answer.json()["detail"] == str(Overloaded("the ledger's queue"))
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_documentation_names_the_bodies(service: Any) -> None:
    document = (await service.client.get("/openapi.json")).text
    assert "#/$defs" not in document, "every reference resolves within the document"
    paths = orjson.loads(document)["paths"]
    assert set(paths["/evidence/alignments"]["put"]["requestBody"]["content"]) == {"application/json", "text/csv"}
    assert {"/evidence", "/evidence/caliper"} <= set(paths)


async def test_nothing_that_names_a_person_is_kept_or_answered(service: Any) -> None:
    canary = "canary-7f3a"
    event = put(graded("named", learner=canary), "object/assignee/name", canary)
    answers = [
        await service.client.post("/evidence/caliper", json=envelope(event)),
        await service.client.post("/evidence/caliper", json=envelope(put(event, "eventTime", "never"))),
        await service.client.post("/evidence", json={"items": [act(learner=canary, kind="none")]}),
        await service.client.get("/evidence/waiting"),
    ]
    assert [answer.status_code for answer in answers] == [200, 422, 422, 200]
    assert not [answer.text for answer in answers if canary in answer.text]
    async with service.pool.connection() as connection:
        for table in ("event", "act", "stream"):
            rows = await (await connection.execute(f"SELECT * FROM {table}")).fetchall()  # noqa: S608 - our own words
            assert rows
            assert canary not in str(rows)


async def test_who_tells_of_a_learner_does_not_wait_for_a_partition_of_others_that_somebody_holds(service: Any) -> None:
    name, *others = [f"s-{number}" for number in range(20, 100)]
    number = partition_of(alias(name), 8)
    other = next(each for each in others if partition_of(alias(each), 8) != number)

    async def tell(learner: str) -> list[str]:
        return results(await service.client.post("/evidence", json={"items": [act(id=f"of {learner}", learner=learner)]}))

    async with service.pool.connection() as holder:
        await holder.execute("SELECT FROM partition WHERE id = %s FOR UPDATE", [number])
        held = asyncio.create_task(tell(name))
        await asyncio.sleep(patience.LOCK_MS / 1_000 + 1)
        async with asyncio.timeout(patience.LOCK_MS / 1_000):
            assert await tell(other) == ["waiting"]
        assert not held.done()
    async with asyncio.timeout(20):
        assert await held == ["waiting"]
