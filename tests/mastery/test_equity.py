"""Groups compared: sums as worked out by hand, few learners told of nowhere, and nothing kept."""

import json
from itertools import combinations, permutations
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli import comparing
from services.cli.comparing import read_groups, told_lines
from services.mastery import equity
from services.mastery.api import equity as equity_api
from services.mastery.api.equity import ColumnView, compared
from services.mastery.equity import SMALLEST_GROUP, Facts, tellable
from services.mastery.inputs import Inputs, inputs_of
from services.mastery.queries import Queries
from services.mastery.queries import equity as gathering
from shared.contracts.mastery import Level
from shared.errors import BadInput, Overloaded, Underway
from shared.http.problems import respond_to
from shared.parameters import NO_PARAMETERS
from tests.mastery.samples import evidence, told
from tests.mastery.test_case import item, link, package
from tests.mastery.test_domain import strong

INPUTS = inputs_of(NO_PARAMETERS)
ITEM = "7d1f1a52-0000-4000-8000-000000000009"


def estimated(score_e6: int, name: str = "x") -> bytes:
    seen = {"competency_ids": [name], "item_id": ITEM, "score_e6": score_e6}
    return orjson.dumps({"data": {"evidence": seen, "expected_e6": 700_000}})


def amended(**cause: Any) -> bytes:
    return orjson.dumps({"data": cause})


def facts_of(story: list[bytes], levels: dict[Level, int], inputs: Inputs) -> Facts:
    """Return the facts of a story whose evidence is called by its place in it."""
    told = [orjson.loads(raw) for raw in story]
    for at, value in enumerate(told):
        value["data"].get("evidence", {})["evidence_id"] = str(at)
    return equity.facts_of([orjson.dumps(value) for value in told], levels, inputs)


def level(name: str = "x", to: Level = Level.MASTERED, **beside: Any) -> bytes:
    return orjson.dumps({"data": {"competency_id": name, "level": to.value, **beside}})


RIGHT, WRONG = estimated(1_000_000), estimated(0)


def test_bias_is_what_was_expected_beyond_what_was_seen() -> None:
    facts = facts_of([RIGHT, WRONG, RIGHT], {Level.NEARLY: 1}, INPUTS)
    assert (facts.responses, facts.scored) == (3, 2.0)
    assert facts.expected == pytest.approx(2.1)
    assert facts.levels == {Level.NEARLY: 1}


@pytest.mark.parametrize(
    ("story", "judged", "false"),
    [
        ([RIGHT] * 3 + [level()] + [RIGHT] * 5, 1, 0),
        ([RIGHT] * 3 + [level()] + [RIGHT, WRONG, RIGHT, WRONG, RIGHT], 1, 1),
        ([RIGHT] * 3 + [level()] + [WRONG] * 4, 0, 0),
        ([RIGHT] * 3 + [level(override=True)] + [WRONG] * 5, 0, 0),
    ],
)
def test_a_declaration_is_judged_by_the_answers_after_it(story: list[bytes], judged: int, false: int) -> None:
    facts = facts_of(story, {}, INPUTS)
    assert (facts.judged, facts.false) == (judged, false)


def test_a_corrected_score_counts_as_corrected_and_what_is_void_not_at_all() -> None:
    corrected = facts_of([RIGHT, WRONG, amended(rescored={"evidence_id": "1", "score_e6": 1_000_000})], {}, INPUTS)
    assert (corrected.responses, corrected.scored) == (2, 2.0)
    void = facts_of([RIGHT, WRONG, amended(voided={"evidence_id": "1"}), amended(voided={"evidence_id": "9"})], {}, INPUTS)
    assert (void.responses, void.scored, void.expected) == (1, 1.0, 0.7)


def test_a_declaration_that_rested_on_what_is_void_is_none_and_another_keeps_its_place() -> None:
    story = [RIGHT] * 3 + [level()] + [WRONG] * 5 + [amended(voided={"evidence_id": "0"})]
    kept = facts_of(story, {}, INPUTS)
    assert (kept.judged, kept.false) == (1, 1)
    lost = facts_of([*story, level(to=Level.NEARLY, evidence_ids=["0"])], {}, INPUTS)
    assert (lost.judged, lost.false) == (0, 0)
    failed = facts_of([*story, level(to=Level.NEARLY, evidence_ids=["8"])], {}, INPUTS)
    assert (failed.judged, failed.false) == (1, 1)


def test_who_is_at_the_bar_and_never_declared_is_delayed() -> None:
    assert (facts_of([WRONG] * 3 + [RIGHT] * 5, {}, INPUTS).at_bar, facts_of([WRONG] * 3 + [RIGHT] * 5, {}, INPUTS).delayed) == (1, 1)
    assert facts_of([RIGHT] * 4 + [level()] + [RIGHT] * 4, {}, INPUTS).delayed == 0
    assert facts_of([WRONG] * 8, {}, INPUTS).at_bar == 0


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 40), max_size=8))
def test_what_is_left_out_says_nothing_of_few(counts: dict[str, int]) -> None:
    groups = {name: {(name, n) for n in range(count)} for name, count in counts.items()}
    shown, left_out = tellable({"school": groups})["school"]
    hidden = [count for name, count in counts.items() if name not in shown]
    assert len(hidden) == left_out
    assert all(counts[name] >= SMALLEST_GROUP for name in shown)
    if hidden and shown:
        assert len(hidden) > 1
        assert sum(hidden) >= SMALLEST_GROUP


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("cde"), st.sampled_from(("f", ""))), min_size=10, max_size=70))
def test_no_two_told_sums_can_be_subtracted_so_that_few_are_left(learners: list[tuple[str, str, str]]) -> None:
    columns: dict[str, dict[str, set[Any]]] = {}
    for at, names in enumerate(learners):
        for column, name in zip(("one", "two", "three"), names, strict=True):
            if name:
                columns.setdefault(column, {}).setdefault(name, set()).add(at)
    told = {column: [columns[column][name] for name in shown] for column, (shown, _) in tellable(columns).items()}
    unions = {column: unions_of(groups) for column, groups in told.items()}
    for first, second in permutations(unions, 2):
        for larger in unions[first]:
            for smaller in unions[second]:
                assert not smaller <= larger or not 0 < len(larger - smaller) < SMALLEST_GROUP


def unions_of(groups: list[set[Any]]) -> list[set[Any]]:
    """Return what some of these groups hold together, for all choices but none."""
    chosen = (choice for size in range(1, len(groups) + 1) for choice in combinations(groups, size))
    return [set().union(*choice) for choice in chosen]


def shares_of(columns: list[ColumnView]) -> dict[str, tuple[int | None, int | None, int | None, int | None]]:
    """Return what is told of each group's declarations and delays."""
    groups = [group for column in columns for group in column.groups]
    return {group.group: (group.judged, group.false_e6, group.at_bar, group.delayed_e6) for group in groups}


@pytest.mark.parametrize("kept", ["judged", "at_bar"])
def test_a_share_and_its_count_are_told_only_where_subtraction_leaves_many_of_those_who_are_in_it(kept: str) -> None:
    wrong = "false" if kept == "judged" else "delayed"
    learners = [UUID(int=n) for n in range(40)]
    groups = {learner: {"school": "all", "program": "half" if n < 20 else "rest"} for n, learner in enumerate(learners)}

    def told_where(rest: int) -> dict[str, tuple[int | None, int | None]]:
        """Return what is told where 12 of one half are in it, and so many of the other, two of these wrongly."""
        within = [*range(12), *range(20, 20 + rest)]
        known = {learner: Facts(learners=1, **({kept: 1} if n in within else {})) for n, learner in enumerate(learners)}
        for n in (0, 1, 2, 20, 21):
            setattr(known[learners[n]], wrong, 1)
        told = shares_of(compared(known, groups))
        return {name: shares[:2] if kept == "judged" else shares[2:] for name, shares in told.items()}

    nothing = (None, None)
    assert told_where(rest=3) == {"all": (15, 333_333), "half": nothing, "rest": nothing}, "2 of 3 would be what all differ by from half"
    assert told_where(rest=10) == {"all": (22, 227_273), "half": (12, 250_000), "rest": (10, 200_000)}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("cde"), st.sampled_from(("f", "")), st.booleans(), st.booleans()),
        min_size=20, max_size=90,
    )
)  # fmt: skip
def test_no_two_told_shares_can_be_subtracted_so_that_few_are_left(drawn: list[tuple[str, str, str, bool, bool]]) -> None:
    learners = [UUID(int=n) for n in range(len(drawn))]
    groups = {
        learner: {column: name for column, name in zip("xyz", names, strict=True) if name}
        for learner, (*names, _, _) in zip(learners, drawn, strict=True)
    }
    known = {
        learner: Facts(learners=1, judged=judged, at_bar=at_bar)
        for learner, (*_, judged, at_bar) in zip(learners, drawn, strict=True)
    }  # fmt: skip
    columns = compared(known, groups)
    for kept in ("judged", "at_bar"):
        unions = {
            column.column: unions_of(
                [
                    {each for each in learners if groups[each].get(column.column) == group.group and getattr(known[each], kept)}
                    for group in column.groups if getattr(group, kept) is not None
                ]
            )
            for column in columns
        }  # fmt: skip
        for first, second in permutations(unions, 2):
            for larger in unions[first]:
                assert len(larger) >= SMALLEST_GROUP
                assert all(not smaller <= larger or not 0 < len(larger - smaller) < SMALLEST_GROUP for smaller in unions[second])


def test_what_is_not_told_is_a_dash_on_the_command_line() -> None:
    learners = [UUID(int=n) for n in range(10)]
    known = {learner: Facts(learners=1, judged=1, false=n < 5) for n, learner in enumerate(learners)}
    columns = [column.model_dump() for column in compared(known, {learner: {"school": "north"} for learner in learners})]
    _, line = told_lines({"columns": columns, "unknown": 0})
    assert line.endswith("false mastery 0.500 of 10, delayed -")


def test_a_column_that_lacks_one_learner_does_not_tell_of_her() -> None:
    everybody = set(range(40))
    told = tellable({"all": {"all": everybody}, "language": {"en": set(range(20)), "es": set(range(20, 39))}})
    assert told == {"all": (["all"], 0), "language": ([], 2)}


def test_facts_of_a_group_are_the_sums_of_its_learners() -> None:
    one, both = facts_of([RIGHT, WRONG], {Level.NEARLY: 1}, INPUTS), Facts()
    both.add(one)
    both.add(one)
    assert (both.learners, both.responses, both.levels[Level.NEARLY]) == (2, 4, 2)


async def test_groups_are_compared_and_small_ones_are_not_told_of(service: Any) -> None:
    learners = [UUID(int=0x7D1F1A52_0000_4000_8000_0000000000A0 + at) for at in range(26)]
    for at, learner in enumerate(learners):
        await service.hear(told(evidence(at, right=at >= 13, learner=learner), at))
    members = [{"learner_id": str(learner), "groups": {"school": "north" if at < 13 else "south"}} for at, learner in enumerate(learners)]
    answer = await service.client.post("/mastery/equity", json={"learners": members})
    assert answer.status_code == 200, answer.text
    (column,) = answer.json()["columns"]
    assert [(group["group"], group["learners"], group["responses"]) for group in column["groups"]] == [("north", 13, 13), ("south", 13, 13)]
    assert column["groups"][0]["bias_e6"] > column["groups"][1]["bias_e6"]
    assert "north" in "\n".join(told_lines(answer.json()))
    members[-1]["groups"] = {"school": "alone"}
    hidden = (await service.client.post("/mastery/equity", json={"learners": members})).json()["columns"][0]
    assert ([group["group"] for group in hidden["groups"]], hidden["left_out"]) == (["north"], 2)
    async with service.pool.connection() as connection:
        kept = await (await connection.execute("SELECT 1 FROM event WHERE strpos(convert_from(bytes, 'UTF8'), 'north') > 0")).fetchall()
    assert not kept


async def test_what_a_revision_replaced_is_no_competency_of_a_group(service: Any) -> None:
    assert (await service.client.post("/mastery/case/packages", json=package([item(1), item(2)]))).status_code == 200
    learners, place = [UUID(int=(7 << 100) + at) for at in range(12)], 0
    for learner in learners:
        for each in strong(0, 2):
            number = UUID(int=learner.int + each.evidence_id.int % 100_000)
            await service.hear(told(each.model_copy(update={"learner_id": learner, "evidence_id": number}), place))
            place += 1
    sent = package([item(n) for n in (2, 7, 8)], [link("replacedBy", 2, 7), link("replacedBy", 2, 8)])
    assert (await service.client.post("/mastery/case/packages", json=sent)).status_code == 200
    for _ in range(4):
        await service.tick()
    (group,) = (await service.client.post("/mastery/equity", json=asked_of(learners))).json()["columns"][0]["groups"]
    assert (group["competencies"], group["levels"]["mastered"]) == (24, 1_000_000)


def asked_of(learners: list[UUID]) -> dict[str, Any]:
    return {"learners": [{"learner_id": str(learner), "groups": {"school": "north"}} for learner in learners]}


async def test_what_takes_longer_than_a_request_goes_on_with_the_next(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    learners = [UUID(int=0x7D1F1A52_0000_4000_8000_0000000000A0 + at) for at in range(25)]
    for at, learner in enumerate(learners):
        await service.hear(told(evidence(at, learner=learner), at))
    monkeypatch.setattr(gathering, "AT_ONCE", 10)
    monkeypatch.setattr(equity_api, "WITHIN_S", -1.0)
    for done in (10, 20):
        answer = await service.client.post("/mastery/equity", json=asked_of(learners))
        assert (answer.status_code, answer.json()["type"].rsplit(":")[-1]) == (503, "under-way")
        assert answer.json()["detail"].startswith(f"the record of {done} of 25 learners is gone through")
        assert int(answer.headers["Retry-After"]) == 1
    for responses in (25, 26):  # All of it is kept by now, until there is more to read of a learner.
        answer = await service.client.post("/mastery/equity", json=asked_of(learners))
        assert answer.status_code == 200, answer.text
        assert answer.json()["columns"][0]["groups"][0]["responses"] == responses
        await service.hear(told(evidence(99, learner=learners[3], day=1), 99))


async def test_groups_are_compared_for_one_at_a_time_and_for_nobody_who_has_gone(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    learners = [UUID(int=0x7D1F1A52_0000_4000_8000_0000000000A0 + at) for at in range(3)]
    for at, learner in enumerate(learners):
        await service.hear(told(evidence(at, learner=learner), at))
    monkeypatch.setattr(gathering, "MAX_EVENTS", 1)
    gatherer, parameters = gathering.Gatherer(Queries(service.pool)), await service.asker.parameters()
    parts = 0

    async def gone() -> bool:
        nonlocal parts
        parts += 1
        with pytest.raises(Overloaded):
            await gatherer.facts_of(learners, parameters, gone)
        return False

    with pytest.raises(Underway, match="of 1 of 3 learners"):
        await gatherer.facts_of(learners, parameters, gone)
    assert parts == 1

    async def stays() -> bool:
        return True

    assert sum(each.responses for each in (await gatherer.facts_of(learners, parameters, stays)).values()) == 3


def test_the_command_asks_again_while_its_question_is_under_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(f"learner_id,school\n{ITEM},north\n")
    done = {"unknown": 0, "smallest_group": 10, "columns": []}
    answers = [respond_to(Underway(f"{n} of 2 done"), "/mastery/equity") for n in range(2)]
    sent = iter([*(httpx.Response(each.status_code, headers=dict(each.headers), content=each.body) for each in answers),
                 httpx.Response(200, json=done)])  # fmt: skip
    slept: list[int] = []
    monkeypatch.setattr(comparing.httpx, "post", lambda *_, **__: next(sent))
    monkeypatch.setattr(comparing.time, "sleep", slept.append)
    comparing.compare(path, tmp_path / "told.json", "http://cairn.test", None)
    assert slept == [1, 1]
    assert json.loads((tmp_path / "told.json").read_text()) == done


async def test_a_learner_named_twice_is_refused(service: Any) -> None:
    member = {"learner_id": ITEM, "groups": {"school": "north"}}
    assert (await service.client.post("/mastery/equity", json={"learners": [member, member]})).status_code == 422


def test_a_file_of_groups_is_read_and_wrong_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(f"learner_id,school,home\n{ITEM},north,\n")
    assert read_groups(path) == [{"learner_id": ITEM, "groups": {"school": "north"}}]
    path.write_text("learner_id,school\nAnna,north\n")
    with pytest.raises(BadInput) as caught:
        read_groups(path)
    assert str(caught.value.faults[0]).startswith("groups.csv:2: names no learner by id")
    path.write_text("learner_id\n")
    with pytest.raises(BadInput, match="needs the column"):
        read_groups(path)
