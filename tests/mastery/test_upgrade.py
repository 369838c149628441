"""A ledger that an earlier version of the decider wrote goes on with the newest; both replay."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.mastery.app import PARTS
from services.mastery.calibration import CALIBRATION
from services.mastery.commands import Recalibrate
from services.mastery.domain import mastery
from services.mastery.framework import FRAMEWORK
from services.mastery.membership import NoteMembership, membership
from services.mastery.versions import VERSIONS, v1_domain, v1_membership, v2_domain, v3_domain, v4_domain
from shared.contracts.mastery import Level, MembershipNoted, PersonNeeded, Reestimated
from shared.ledger import Ask
from shared.replay import Settings, Verifier
from shared.settings_stream import adoption, settings_decider
from shared.stack import ServiceDatabase
from shared.testing import SOMEBODY, running
from tests.mastery.histories import History
from tests.mastery.samples import LEARNER, competency, entries, evidence, framework
from tests.mastery.test_case import item, link, package
from tests.mastery.test_domain import levels, strong
from tests.mastery.test_judged import held_back, needed
from tests.mastery.test_service import get, hear

STREAM = f"mastery/learner/{LEARNER}"


@pytest.mark.parametrize("rules", [v1_domain, v2_domain, v3_domain, v4_domain])
async def test_a_ledger_of_an_earlier_version_is_swept_once_goes_on_and_replays(
    database: Callable[[str], ServiceDatabase], rules: Any
) -> None:
    place, version = database("mastery"), rules.mastery.version
    before = replace(
        PARTS, deciders=(rules.mastery, membership), versions=VERSIONS[: version - 1], subscription=None, ticks=lambda context: ()
    )
    seen = [*strong(0, 1), *(evidence(50 + n, 2, right=n % 3 != 0, day=4 + n / 2) for n in range(8)), evidence(90, 1, 2, day=2.3)]
    async with running(before, place) as old:
        await old.client.post("/mastery/case/packages", json=package([item(1), item(2)], [link("precedes", 1, 2)]))
        for each in seen:
            await old.ledger.handle([Ask(rules.CountEvidence(each), SOMEBODY, 0)])
    async with running(PARTS, place) as new:
        await hear(new, evidence(100, 1, day=20), evidence(101, 2, day=1.1))
        assert await new.tick() > 0
        assert await new.tick() == 0
        events = await new.ledger.stream(STREAM)
        deciders = [event.decider for event in events]
        assert set(deciders) == {rules.mastery.label, mastery.label}
        assert deciders == sorted(deciders)
        levels = {view["competency_id"]: view["level"] for view in (await get(new, f"/learners/{LEARNER}/competencies"))["items"]}
        assert levels[competency(1)] == "mastered"
        assert len((await get(new, f"/learners/{LEARNER}/competencies/{competency(1)}/why"))["moved_most"]) == 3
        told = await new.ledger.stream("mastery/settings")
        assert PARTS.page_added is not None
        settings = settings_decider("mastery", PARTS.page_added, PARTS.kinds)
        verifier = Verifier([*PARTS.deciders, *PARTS.versions, settings], Settings(PARTS.kinds, told))
        assert verifier.stream(STREAM, [event.raw for event in events]) == []
        assert verifier.tally.decisions > len(seen)


def test_the_sweep_of_an_upgrade_tells_that_nobody_is_needed_for_what_is_mastered() -> None:
    history = History().set(*adoption("mastery", CALIBRATION, entries()), *adoption("mastery", FRAMEWORK, framework((1, 2))))
    history.ask(v4_domain.mastery, *map(v4_domain.CountEvidence, held_back(2, behind=1)))
    told = [event.data for event in history.of(STREAM)]
    assert (levels(*told)[competency(2)], needed(*told)) == (Level.MASTERED, [True])
    again = Recalibrate(LEARNER, history.parameters().version)
    swept = [event.data for event in history.ask(mastery, again, again).of(STREAM)][len(told) :]
    assert [(event.TYPE, getattr(event, "needed", None)) for event in swept] == [(Reestimated.TYPE, None), (PersonNeeded.TYPE, False)]
    assert history.replay() == []


def test_who_is_in_no_class_is_noted_once_and_what_an_earlier_version_noted_replays() -> None:
    nowhere, somewhere = ((), (UUID(int=1),))
    noted = [
        MembershipNoted(learner_id=LEARNER, class_ids=classes, version=n) for n, classes in enumerate((nowhere, somewhere, nowhere), 1)
    ]
    history = History().ask(v1_membership.membership, *map(v1_membership.NoteMembership, noted[:2]))
    history.ask(membership, *map(NoteMembership, [noted[1], noted[2], noted[2].model_copy(update={"version": 9})]))
    assert [(event.decider, event.data.class_ids) for event in history.events] == [
        ("mastery.membership/1", somewhere), ("mastery.membership/2", nowhere),
    ]  # fmt: skip
    first = History().ask(membership, NoteMembership(noted[0]), NoteMembership(noted[0]))
    assert [event.data for event in first.events] == noted[:1]
    assert [*history.replay(), *first.replay()] == []


async def test_settings_whose_state_is_kept_in_another_format_are_folded_again(database: Callable[[str], ServiceDatabase]) -> None:
    place = database("mastery")
    async with running(PARTS, place) as old:
        await old.client.post("/mastery/case/packages", json=package([item(1), item(2)], [link("precedes", 1, 2)]))
        before = await old.ledger.parameters()
        async with old.pool.connection() as connection:
            await connection.execute("UPDATE stream SET format = 1001, state = 'of an earlier release' WHERE id = 'mastery/settings'")
    async with running(PARTS, place) as new:
        found = await new.ledger.parameters()
        assert (found.version, found.ids) == (before.version, before.ids)
        assert (await get(new, "/framework/competencies"))["items"][0]["id"] == competency(1)
        assert (await new.client.post("/mastery/case/packages", json=package([item(1), item(2), item(3)], []))).status_code == 200
        assert (await new.ledger.parameters()).version > before.version
