"""A learner's story is read from the streams that are hers, and is the one that a walk over every ledger finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from demo import resources
from services.cli import story, verify
from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.contracts import evidence, mastery, pathing, profile, scheduling
from shared.contracts.envelope import StreamId, canonical
from shared.contracts.topics import Topic
from shared.ledger import read
from shared.testing import SOME_TIME, recorded, running
from tests.audit.district import LEARNERS, NOW, District

TOLD = (
    profile.LearnerRostered, profile.LearnerIdentified, evidence.AliasNoted, evidence.EvidenceAccepted, evidence.EvidenceRecorded,
    mastery.Estimated, mastery.LevelChanged, mastery.MembershipNoted, pathing.PathPlanned, pathing.DemandChanged, scheduling.DemandNoted,
    scheduling.PlacementChanged,
)  # fmt: skip


def learners_of(district: District) -> list[UUID]:
    with psycopg.connect(district.installation.urls["profile"]) as connection:
        return [id for (id,) in connection.execute("SELECT learner_id FROM learner ORDER BY 1").fetchall()]


async def test_the_story_is_the_one_that_a_walk_finds(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    urls, learners = district.installation.urls, learners_of(district)
    assert len(learners) == len(district.school.learners)
    walked = {learner: await story.tell(urls, learner, None, everything=True) for learner in learners}

    def refuse(*given: Any, **more: Any) -> Any:
        raise AssertionError("a ledger is walked")

    monkeypatch.setattr(read, "_of", refuse)  # Whoever reads a whole partition says of which one.
    with pytest.raises(AssertionError, match="walked"):
        await story.tell(urls, learners[0], None, everything=True)
    told: set[type] = set()
    for learner in learners:
        assert await story.tell(urls, learner, None) == walked[learner]
        told |= {type(chapter.event.data) for chapter in walked[learner]}
    assert told >= set(TOLD)
    assert any(chapter.cause is not None for chapter in walked[learners[0]])
    assert await story.tell(urls, uuid4(), None) == []


async def test_a_story_ends_at_its_instant(district: District) -> None:
    urls, learner = district.installation.urls, learners_of(district)[0]
    whole = await story.tell(urls, learner, None)
    middle = whole[len(whole) // 2].at
    assert await story.tell(urls, learner, middle) == [chapter for chapter in whole if chapter.at <= middle]


def test_replay_of_a_learner_is_of_all_her_streams(district: District) -> None:
    urls = district.installation.urls
    with psycopg.connect(urls["mastery"]) as connection:
        busiest = connection.execute(
            "SELECT key FROM event WHERE type = 'mastery.estimated.v1' GROUP BY key ORDER BY count(*) DESC, key LIMIT 2"
        ).fetchall()
    for (learner,) in busiest:
        reports = verify.verify(urls, "local", list(Topic), learner, lambda report: None)
        assert not any(report.differences or report.chains for report in reports)
        assert sum(report.decisions for report in reports) > 10
        for report in reports:
            with psycopg.connect(urls[report.service]) as connection:
                [(count,)] = connection.execute("SELECT count(*) FROM event WHERE stream LIKE %s", [f"%/{learner}"]).fetchall()
            assert report.events == report.total == count
        assert {report.service for report in reports if report.events} >= {Topic.PROFILE, Topic.MASTERY, Topic.PATHING, Topic.SCHEDULING}


def test_a_room_has_the_name_that_her_own_school_gave_it() -> None:
    names, ours, theirs = story.Names(), uuid4(), uuid4()
    for school, title in ((ours, "Our room"), (theirs, "Their room")):
        story._learn_page([{"school_id": str(school), "spaces": [{"id": "r1", "title": title}]}], names)
    place = scheduling.Placement(period_id="P1", space_id="r1", use=scheduling.Use.GROUP)
    for school, title in ((ours, "Our room"), (theirs, "Their room"), (uuid4(), "r1")):
        placed = scheduling.PlacementChanged(
            school_id=school, learner_id=uuid4(), on=date(2026, 10, 13), demand_version=1, placements=(place,)
        )  # fmt: skip
        assert story.words(placed, names) == f"her Tuesday, 13 October: P1: group in {title}"


def test_a_period_that_had_begun_when_she_was_planned_is_not_told_as_unserved() -> None:
    places = scheduling.Placement(period_id="P1", begun=True), scheduling.Placement(period_id="P2")
    placed = scheduling.PlacementChanged(school_id=uuid4(), learner_id=uuid4(), on=date(2026, 10, 13), demand_version=1, placements=places)
    assert story.words(placed, story.Names()) == "her Tuesday, 13 October: P1: not planned for; P2: unserved"


async def test_a_place_is_because_of_her_demand_only_where_that_is_newer(district: District) -> None:
    urls = district.installation.urls
    for learner in learners_of(district):
        served: dict[date, int] = {}
        for chapter in await story.tell(urls, learner, None):
            if not isinstance(placed := chapter.event.data, scheduling.PlacementChanged):
                continue
            assert chapter.cause is not None
            if placed.demand_version > served.get(placed.on, -1):
                assert chapter.cause.type == "scheduling.demand-noted.v1"
            else:
                assert chapter.cause.id == chapter.event.causation
                assert chapter.cause.type in ("scheduling.day-demanded.v1", "scheduling.day-staffed.v1")
            served[placed.on] = placed.demand_version


async def test_whoever_is_moved_since_her_room_is_gone_is_told_so(district: District) -> None:
    with district.copied("scheduling") as copy, psycopg.connect(copy.installation.urls["scheduling"]) as connection:
        [(school, space)] = connection.execute(
            "SELECT school_id::text, place->>'space_id' FROM learner_day, jsonb_array_elements(placements) AS place"
            " WHERE place->>'use' = 'group' GROUP BY 1, 2 ORDER BY count(*) DESC, 2 LIMIT 1"
        ).fetchall()
        told = resources.resources(school, LEARNERS)
        told["schools"][0]["spaces"] = [one for one in told["schools"][0]["spaces"] if one["id"] != space]
        later = FixedClock(NOW + timedelta(minutes=5))
        async with running(parts_of("scheduling"), copy.databases["scheduling"], clock=later) as scheduling_service:
            assert scheduling_service.client is not None
            assert (await scheduling_service.client.put("/scheduling/resources", json=told)).status_code == 200
            while await scheduling_service.tick():
                pass
        moved = [
            chapter
            for learner in learners_of(district)
            for chapter in await story.tell(copy.installation.urls, learner, None)
            if isinstance(chapter.event.data, scheduling.PlacementChanged) and chapter.at > NOW
        ]
    assert moved
    assert {chapter.cause and chapter.cause.type for chapter in moved} == {"scheduling.resources-adopted.v1"}
    assert all(chapter.cause and chapter.cause.time > NOW for chapter in moved)


def test_whoever_is_moved_for_the_sake_of_others_is_not_moved_by_her_old_demand() -> None:
    school, ada = uuid4(), uuid4()
    noted = [
        scheduling.DemandNoted(school_id=school, demand=scheduling.Demand(learner_id=ada, version=version)) for version in (3, 4)
    ]  # fmt: skip
    demands = recorded(StreamId("scheduling", "demand", f"{school}/{ada}", str(school)), noted)
    elsewhere = recorded(
        StreamId("scheduling", "demand", f"{ada}/{ada}", str(ada)),
        [noted[1].model_copy(update={"school_id": ada})],
    )  # fmt: skip
    days = [13, 13, 14, 13, 13]
    placements = [
        scheduling.PlacementChanged(school_id=school, learner_id=ada, on=date(2026, 10, day), demand_version=version, placements=())
        for day, version in zip(days, (3, 3, 3, 4, 4), strict=True)
    ]
    placed = recorded(StreamId("scheduling", "day", f"{school}/x", str(school)), placements, SOME_TIME + timedelta(days=1))
    staffed = story.Cause(placed[0].causation, "scheduling.day-staffed.v1", SOME_TIME)
    causes = story._causes([*demands, *elsewhere, *placed], {event.id: staffed for event in placed})
    assert [causes[event.id].id for event in placed] == [demands[0].id, staffed.id, demands[0].id, demands[1].id, staffed.id]
    moved = story.Chapter(placed[1].time, "scheduling", "", placed[1], staffed)
    assert moved.because == f"scheduling.day-staffed.v1 of {SOME_TIME:%Y-%m-%d %H:%M:%S}.000"
    assert replace(moved, at=SOME_TIME).because == f"scheduling.day-staffed.v1 of {SOME_TIME:%H:%M:%S}.000"


async def test_evidence_is_because_of_its_acceptance_and_that_of_a_request(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "MAX_ACTS", 3)
    accepted: dict[str, story.Chapter] = {}
    recorded = 0
    for chapter in await story.tell(district.installation.urls, await busiest_of(district), None):
        match chapter.event.data:
            case evidence.EvidenceAccepted():
                assert chapter.cause is None
                assert chapter.because == f"request {chapter.event.causation[:8]}"
                assert chapter.words.startswith("an answer was accepted, score ")
                accepted[chapter.event.id] = chapter
            case evidence.EvidenceRecorded():
                assert chapter.cause is not None
                assert chapter.cause.id in accepted
                assert chapter.because.startswith("evidence.accepted.v1 of ")
                recorded += 1
    assert recorded == len(accepted) > 3


async def busiest_of(district: District) -> UUID:
    with psycopg.connect(district.installation.urls["evidence"]) as connection:
        [(learner,)] = connection.execute(
            "SELECT learner_id FROM act WHERE learner_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        ).fetchall()
    return UUID(str(learner))


def test_a_request_is_told_from_a_tick_and_from_an_event_of_others() -> None:
    [event] = recorded(StreamId("scheduling", "demand", "x"), [scheduling.DemandNoted(
        school_id=uuid4(), demand=scheduling.Demand(learner_id=uuid4(), version=1))])  # fmt: skip
    request, tick = "01890a5d-ac96-774b-bcce-b302099a8057", "1b4db7eb-4057-5ddf-91e0-36dec72071f5"
    for causation, correlation, because in (
        (request, request, "request 01890a5d"), (tick, tick, "tick 1b4db7eb"), (tick, request, "event 1b4db7eb")
    ):  # fmt: skip
        led = replace(event, causation=causation, correlation=correlation)
        assert story.Chapter(event.time, "scheduling", "", led, None).because == because


@pytest.mark.parametrize(("bytes_of", "where"), [
    (lambda event: canonical(event | {"data": {"learner_id": 7}, "causationid": "x"}), ", at partition {} position {}"),
    (lambda event: canonical(event | {"data": {}, "time": "whenever"}), ", at partition {} position {}"),
    (lambda event: b"junk", ""),
])  # fmt: skip
@pytest.mark.parametrize("type_name", ["mastery.estimated.v1", "evidence.alias-noted.v1", "evidence.accepted.v1"])
async def test_what_cannot_be_read_is_a_chapter_and_the_others_are_told(
    type_name: str, bytes_of: Callable[[dict[str, Any]], bytes], where: str, district: District
) -> None:
    service = type_name.partition(".")[0]
    learner = await busiest_of(district)
    with district.copied(service) as copy:
        whole = await story.tell(copy.installation.urls, learner, None)
        broken = next(chapter.event for chapter in whole if chapter.event.type == type_name)
        place = broken.partition, broken.position
        with copy.as_owner(service) as owner:
            changed = bytes_of(orjson.loads(broken.raw))
            owner.execute("UPDATE event SET bytes = %s WHERE partition = %s AND position = %s", [changed, *place])
        told = await story.tell(copy.installation.urls, learner, None)
    assert {chapter.event.id for chapter in told} - {""} >= {chapter.event.id for chapter in whole} - {broken.id}
    if type_name == "evidence.alias-noted.v1":
        return  # Nothing in it names her any more.
    words = f"an event that cannot be read{where.format(*place)}: run `cairn replay verify --service {service}`"
    assert [(chapter.service, chapter.because) for chapter in told if chapter.words == words] == [(service, "unknown")]
