"""What an earlier release heard and had no use for is taken up after the upgrade, and the oracle finds it missing until then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.cli.audit import Installation, check
from services.cli.home import Entry, write_entries
from services.cli.verify import parts_of, verify
from shared.clock import FixedClock
from shared.contracts.envelope import Event
from shared.contracts.mastery import JudgementsMoved, PrerequisiteWaived, WaiverWithdrawn
from shared.contracts.profile import LearnerRostered
from shared.contracts.topics import Topic
from shared.parts import Parts
from shared.serve import TEST_KEY
from shared.stack import ServiceDatabase, Stack, drop_database
from shared.testing import SOME_TIME, running
from tests.audit import district
from tests.audit.district import all_databases, carry
from tests.audit.test_planted import AT_ONCE
from tests.mastery.samples import competency
from tests.mastery.test_views import FRAMEWORK, SAID
from tests.pathing.district import activity
from tests.profile.district import District

WAIVERS = (PrerequisiteWaived, WaiverWithdrawn, JudgementsMoved)
TYPES = [event.TYPE for event in WAIVERS]


def of_an_earlier_release(older: Topic, without: Sequence[type[Event]]) -> Callable[[str], Parts]:
    """Return what tells of what a service is made; one of them has no use for these events yet."""

    def parts(service: str) -> Parts:
        found = parts_of(service)
        if service != older or found.subscription is None:
            return found
        events = tuple(event for event in found.subscription.events if event not in without)
        return replace(found, subscription=replace(found.subscription, events=events))

    return parts


@pytest.fixture
async def installation(stack: Stack, migrated: Callable[[str], ServiceDatabase]) -> AsyncIterator[tuple[dict[str, Any], Installation]]:
    databases = all_databases(stack, migrated)
    urls = {service: database.app_url for service, database in databases.items()}
    async with AsyncExitStack() as opened:
        services = {
            service: await opened.enter_async_context(running(parts_of(service), database, clock=FixedClock(SOME_TIME)))
            for service, database in databases.items()
        }
        yield services, Installation(urls, owner_urls={service: database.owner_url for service, database in databases.items()})
    for database in databases.values():
        drop_database(stack.postgres_url, database.app_url.rpartition("/")[2])


async def sent(services: dict[str, Any], method: str, path: str, **given: Any) -> Any:
    answer = await services[path.split("/")[1]].client.request(method, path, **given)
    return answer.raise_for_status().json()


async def taken_up(place: Installation, home: Path, service: str, *types: str) -> Result:
    """Run `cairn park passed-by`, as after an upgrade."""
    behind = SOME_TIME - timedelta(hours=1)  # Its clock runs; what it tells is of the services' time, which stands still, all the same.
    keys = {"CAIRN_PARKING_KEY": TEST_KEY, "CAIRN_DISTRICT_KEY": TEST_KEY, "CAIRN_NOW": behind.isoformat(), "CAIRN_HOME": str(home)}
    write_entries(home, {service: Entry(1, {"CAIRN_DATABASE_URL": url} | keys) for service, url in place.urls.items()})
    return await asyncio.to_thread(CliRunner().invoke, app, ["park", "passed-by", service, *types, "--home", str(home)])


async def test_waivers_from_before_pathing_heard_of_them_count_once_they_are_taken_up(
    installation: tuple[dict[str, Any], Installation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services, place = installation
    monkeypatch.setattr(district, "parts_of", of_an_earlier_release(Topic.PATHING, WAIVERS))
    await sent(services, "POST", "/mastery/case/packages", json=FRAMEWORK)
    await sent(services, "PUT", "/pathing/activities", json={"activities": [activity(f"x{n}", competency(n)) for n in (1, 2, 3)]})
    query, zipped = {"source": "sis", "person_iri": "https://lms.test/{username}"}, {"Content-Type": "application/zip"}
    await sent(services, "POST", "/profile/oneroster/imports", params=query, content=District().zip(), headers=zipped)
    await carry(services)
    (learner, *_) = [each["learner_id"] for each in (await sent(services, "GET", "/profile/learners"))["items"]]
    goals = {**{name: SAID[name] for name in ("author_id", "role")}, "goals": [{"competency_id": competency(n)} for n in (1, 2, 4)]}
    await sent(services, "POST", f"/pathing/learners/{learner}/goals", json=goals)
    pairs = f"/mastery/learners/{learner}/competencies"
    await sent(services, "PUT", f"{pairs}/{competency(2)}/waivers/{competency(1)}", json=SAID)
    await sent(services, "PUT", f"{pairs}/{competency(4)}/waivers/{competency(3)}", json=SAID)
    await sent(services, "POST", f"{pairs}/{competency(4)}/waivers/{competency(3)}/withdrawal", json=SAID)
    await carry(services)

    monkeypatch.setattr(district, "parts_of", parts_of)
    await carry(services)
    assert not (await steps_of(services, learner))[competency(2)]
    missed = (await check(place, [], ["I3", "I5"], AT_ONCE)).violations
    assert {(violation.invariant, violation.count) for violation in missed} == {("I3", 3), ("I5", 1)}, "\n".join(map(str, missed))

    for applied in (3, 0):
        told = await taken_up(place, tmp_path, "pathing", *TYPES)
        assert (told.exit_code, told.stdout) == (0, f"{applied} taken up, 0 refused\n"), told.stderr
    assert (await taken_up(place, tmp_path, "pathing", "mastery.estimated.v1")).exit_code == 1, "pathing has no use for it"

    await carry(services)
    assert await steps_of(services, learner) == {competency(1): True, competency(2): True, competency(3): True, competency(4): False}
    findings = await check(place, [], (), AT_ONCE)
    assert not findings.violations, "\n".join(map(str, findings.violations))
    (report,) = await asyncio.to_thread(verify, place.urls, "local", [Topic.PATHING], None, lambda report: None)
    assert report.differences == []


async def test_learners_without_class_from_before_mastery_took_note_of_them_are_known_once_they_are_taken_up(
    installation: tuple[dict[str, Any], Installation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As CHANGELOG says to whoever upgrades."""
    services, place = installation
    monkeypatch.setattr(district, "parts_of", of_an_earlier_release(Topic.MASTERY, [LearnerRostered]))
    await sent(services, "POST", "/mastery/case/packages", json=FRAMEWORK)
    query, zipped = {"source": "sis", "person_iri": "https://lms.test/{username}"}, {"Content-Type": "application/zip"}
    school = District()
    school.rows["enrollments.csv"] = [row for row in school.rows["enrollments.csv"] if row["role"] != "student"]
    await sent(services, "POST", "/profile/oneroster/imports", params=query, content=school.zip(), headers=zipped)
    await carry(services)
    learners = [each["learner_id"] for each in (await sent(services, "GET", "/profile/learners"))["items"]]
    waiver = f"/mastery/learners/{learners[0]}/competencies/{competency(2)}/waivers/{competency(1)}"
    monkeypatch.setattr(district, "parts_of", parts_of)
    await carry(services)
    assert (await services["mastery"].client.put(waiver, json=SAID)).status_code == 404

    for applied in (len(learners), 0):
        told = await taken_up(place, tmp_path, "mastery", LearnerRostered.TYPE)
        assert (told.exit_code, told.stdout) == (0, f"{applied} taken up, 0 refused\n"), told.stderr
    await sent(services, "PUT", waiver, json=SAID)
    (report,) = await asyncio.to_thread(verify, place.urls, "local", [Topic.MASTERY], None, lambda report: None)
    assert report.differences == []


async def steps_of(services: dict[str, Any], learner: str) -> dict[str, bool]:
    """Return the steps of a learner's path, and whether she can begin each now."""
    path = await sent(services, "GET", f"/pathing/learners/{learner}/path")
    return {step["competency_id"]: step["open"] for step in path["steps"]}
