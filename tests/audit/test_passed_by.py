"""What an earlier release heard and had no use for is taken up after the upgrade, and the oracle finds it missing until then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
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
from shared.contracts.mastery import JudgementsMoved, PrerequisiteWaived, WaiverWithdrawn
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


def of_an_earlier_release(service: str) -> Parts:
    """Return what a service is made of; pathing hears nothing of waivers yet."""
    parts = parts_of(service)
    if service != Topic.PATHING or parts.subscription is None:
        return parts
    events = tuple(event for event in parts.subscription.events if event not in WAIVERS)
    return replace(parts, subscription=replace(parts.subscription, events=events))


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


async def test_waivers_from_before_pathing_heard_of_them_count_once_they_are_taken_up(
    installation: tuple[dict[str, Any], Installation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services, place = installation
    monkeypatch.setattr(district, "parts_of", of_an_earlier_release)
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

    behind = SOME_TIME - timedelta(hours=1)  # Its clock runs; what it tells is of the services' time, which stands still, all the same.
    keys = {"CAIRN_PARKING_KEY": TEST_KEY, "CAIRN_DISTRICT_KEY": TEST_KEY, "CAIRN_NOW": behind.isoformat(), "CAIRN_HOME": str(tmp_path)}
    entries = {service: Entry(1, {"CAIRN_DATABASE_URL": url} | keys) for service, url in place.urls.items()}
    write_entries(tmp_path, entries)

    def taken_up(*types: str) -> Result:
        return CliRunner().invoke(app, ["park", "passed-by", "pathing", *types, "--home", str(tmp_path)])

    for applied in (3, 0):
        told = await asyncio.to_thread(taken_up, *TYPES)
        assert (told.exit_code, told.stdout) == (0, f"{applied} taken up, 0 refused\n"), told.stderr
    assert (await asyncio.to_thread(taken_up, "mastery.estimated.v1")).exit_code == 1, "pathing has no use for it"

    await carry(services)
    assert await steps_of(services, learner) == {competency(1): True, competency(2): True, competency(3): True, competency(4): False}
    findings = await check(place, [], (), AT_ONCE)
    assert not findings.violations, "\n".join(map(str, findings.violations))
    (report,) = await asyncio.to_thread(verify, place.urls, "local", [Topic.PATHING], None, lambda report: None)
    assert report.differences == []


async def steps_of(services: dict[str, Any], learner: str) -> dict[str, bool]:
    """Return the steps of a learner's path, and whether she can begin each now."""
    path = await sent(services, "GET", f"/pathing/learners/{learner}/path")
    return {step["competency_id"]: step["open"] for step in path["steps"]}
