"""A learner's story is read from the streams that are hers, and is the one that a walk over every ledger finds."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from services.cli import story, verify
from shared.contracts import evidence, mastery, pathing, profile, scheduling
from shared.contracts.topics import Topic
from shared.ledger import read
from tests.audit.district import District

TOLD = (
    profile.LearnerRostered, profile.LearnerIdentified, evidence.AliasNoted, evidence.EvidenceRecorded, mastery.Estimated,
    mastery.LevelChanged, mastery.MembershipNoted, pathing.PathPlanned, pathing.DemandChanged, scheduling.DemandNoted,
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
