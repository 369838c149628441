"""A day begins at midnight of the time zone that the district names: of what is heard and told, of the sweep, and of the words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.pathing.app import PARTS
from services.pathing.domain import State
from shared.clock import FixedClock
from shared.contracts.envelope import StreamId
from shared.contracts.pathing import ActivityChosen, GoalsSet
from shared.replay import Settings, Verifier
from shared.serve import Service, all_deciders
from shared.testing import running
from tests.pathing.test_http import CATALOGUE, LEARNER, SCHOOL, TEACHER, framework_told, get, levelled, post, rostered, told

DUE = date(2026, 12, 1)
LAST_MINUTES = [
    ("UTC", datetime(2026, 12, 1, 23, 59, tzinfo=UTC)),
    ("Pacific/Honolulu", datetime(2026, 12, 2, 9, 59, tzinfo=UTC)),
    ("America/Los_Angeles", datetime(2026, 12, 2, 7, 59, tzinfo=UTC)),
    ("Pacific/Auckland", datetime(2026, 12, 1, 10, 59, tzinfo=UTC)),
]
"""Of the due day, by UTC."""
SHORT = {"activities": [each | {"minutes": 10} if each["competency_id"] == "S" else each for each in CATALOGUE["activities"]]}
"""The goal needs no more than the one lesson of the due day."""
GOAL = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "S", "due": f"{DUE}"}]}


async def state_of(service: Service) -> State:
    state: State = await service.context.asker.state(StreamId("pathing", "learner", str(LEARNER)))
    return state


async def stands(service: Service) -> set[tuple[str, bool]]:
    """Return how a learner stands, and whether she reads that a date has passed, wherever that is shown."""
    path = await get(service, f"/learners/{LEARNER}/path")
    would_be = await get(service, f"/learners/{LEARNER}/path/what-if?competency_id=S&activity_id=S-reading")
    listed = (await get(service, f"/schools/{SCHOOL}/pace?pace={path['pace']}"))["learners"]["items"]
    assert listed
    return {(each["pace"], "has passed" in each["pace_in_words"]) for each in (path, would_be["path"], *listed)}


@pytest.mark.parametrize(("zone", "last_minute"), LAST_MINUTES, ids=[zone for zone, _ in LAST_MINUTES])
async def test_the_day_on_which_a_goal_is_due_lasts_until_midnight_where_the_district_is(
    zone: str, last_minute: datetime, database: Callable[[str], Any]
) -> None:
    clock = FixedClock(last_minute - timedelta(hours=2))
    async with running(PARTS, database("pathing"), clock=clock, **({} if zone == "UTC" else {"time_zone": zone})) as service:
        await service.hear(*framework_told())
        assert (await service.client.put("/pathing/activities", json=SHORT)).status_code == 200
        await service.hear(told(rostered().data, at=clock.now()))
        await service.tick()
        await post(service, f"/learners/{LEARNER}/goals", GOAL)
        await post(service, f"/learners/{LEARNER}/choices", {"competency_id": "S", "activity_id": "S-practice"})
        clock.at = last_minute
        await service.tick()
        await service.hear(told(levelled("A").data, 2, at=clock.now()))
        state = await state_of(service)
        assert (state.on, state.goals_on, state.grade_on, state.choices["S"].on) == (DUE, DUE, DUE, DUE)
        assert await stands(service) == {("on-track", False)}
        clock.advance(timedelta(minutes=1))
        await service.tick()
        assert (await state_of(service)).on == DUE + timedelta(days=1)
        assert await stands(service) == {("at-risk", True)}
        learner, settings = f"pathing/learner/{LEARNER}", "pathing/settings"
        events = {name: await service.ledger.stream(name) for name in (learner, settings)}
        verifier = Verifier(all_deciders(PARTS), Settings(PARTS.kinds, events[settings]))
        assert verifier.stream(learner, [event.raw for event in events[learner]]) == []
        assert {event.data.on for event in events[learner] if isinstance(event.data, GoalsSet | ActivityChosen)} == {DUE}
