"""What learners and classes need: as deciders see it, and told of nobody whom nobody knows."""

from typing import Any

from services.mastery.inputs import inputs_of
from tests.mastery.samples import LEARNER, competency, evidence
from tests.mastery.test_case import item, link, package
from tests.mastery.test_domain import strong
from tests.mastery.test_service import get, hear
from tests.mastery.test_views import CLASS, OTHER, SAID, THIRD, enrol, post, put


async def gaps(service: Any) -> dict[str, list[str]]:
    """Return what holds the learner back, by competency."""
    return {view["competency_id"]: view["gaps"] for view in (await get(service, f"/learners/{LEARNER}/needs"))["items"]}


async def test_what_stands_in_place_of_a_prerequisite_is_a_gap_as_it_is_for_deciders(service: Any) -> None:
    links = [link("precedes", 1, 2), link("replacedBy", 1, 3), link("replacedBy", 1, 4), link("precedes", 3, 2)]
    sent = package([item(n) for n in range(1, 5)], links)
    assert (await service.client.post("/mastery/case/packages", json=sent)).status_code == 200
    await hear(service, *strong(0, 2))
    framework = inputs_of(await service.asker.parameters()).framework
    before = list(framework.prerequisites[competency(2)])
    assert sorted(before) == [competency(3), competency(4)]
    assert (await gaps(service))[competency(2)] == sorted(before)
    path = f"/learners/{LEARNER}/competencies/{competency(2)}"
    why = await get(service, f"{path}/why")
    assert sorted(each["competency_id"] for each in why["prerequisites"] if not each["met"]) == sorted(before)
    await put(service, f"{path}/waivers/{competency(3)}", SAID)
    assert (await gaps(service))[competency(2)] == [competency(4)]


async def test_nothing_is_missing_where_a_waiver_was_withdrawn_after_mastery(service: Any) -> None:
    sent = package([item(1), item(2)], [link("precedes", 1, 2)])
    assert (await service.client.post("/mastery/case/packages", json=sent)).status_code == 200
    await hear(service, evidence(90, 2))
    path = f"/learners/{LEARNER}/competencies/{competency(2)}"
    await put(service, f"{path}/waivers/{competency(1)}", SAID)
    await hear(service, *strong(0, 2))
    await post(service, f"{path}/waivers/{competency(1)}/withdrawal", SAID)
    why = await get(service, f"{path}/why")
    assert (why["level"], why["missing"], why["right_answers_needed"]) == ("mastered", [], 0)
    assert [each["met"] for each in why["prerequisites"]] == [False]


async def test_a_class_or_learner_that_nobody_knows_is_not_told_to_need_nothing(service: Any) -> None:
    assert (await service.client.post("/mastery/case/packages", json=package([item(1)]))).status_code == 200
    paths = (f"/classes/{CLASS}/needs", f"/learners/{OTHER}/needs", f"/learners/{OTHER}/competencies/{competency(1)}/why")
    for path in paths:
        unknown = await service.client.get(f"/mastery{path}")
        assert (unknown.status_code, "once you import the roster" in unknown.json()["detail"]) == (404, True)
    await enrol(service, OTHER, 0, CLASS)
    for path in paths:
        await get(service, path)
    await enrol(service, OTHER, 1, version=2)
    assert (await get(service, paths[0]))["members"] == 0, "a class whose learners have all left it is known"


async def test_of_a_class_it_is_told_how_many_are_in_it_and_of_how_many_anything_is_known(service: Any) -> None:
    assert (await service.client.post("/mastery/case/packages", json=package([item(1)]))).status_code == 200
    for position, learner in enumerate((LEARNER, OTHER, THIRD)):
        await enrol(service, learner, position, CLASS)
    await hear(service, evidence(1, 1))
    found = await get(service, f"/classes/{CLASS}/needs")
    assert (found["members"], found["learners"]) == (3, 1)
    only = await get(service, f"/learners/{OTHER}/needs")
    assert (only["members"], only["learners"], only["items"]) == (1, 0, [])
