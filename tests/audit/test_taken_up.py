"""What was set aside and counts as taken up again is no excuse: it led to something, or would change nothing (I3)."""

from __future__ import annotations

from typing import Any

import pytest

from services.cli.audit import Findings
from tests.audit.district import District
from tests.audit.plant import Owner, append, named, pass_over, some_event
from tests.audit.test_planted import Plant, found, new_level, said

SKIPPED = "moved past an event that it never applied"
TAKEN_UP, DISCARDED = "taken up again", "discarded: of no use"
FIRST, SECOND = named(8), named(9)


def set_aside(owner: Owner, source: str, event: dict[str, Any], resolution: str | None) -> None:
    """Set an event aside; with a resolution, it is not any more."""
    owner.execute(
        """INSERT INTO parked (source, partition, position, kafka_offset, key, trouble, reason, bytes, resolved_at, resolution)
        VALUES (%s, %s, %s, 0, %s, 'poison', 'too hard', '', CASE WHEN %s THEN now() END, %s)""",
        [source, event["partition"], event["position"], event["partitionkey"], resolution is not None, resolution],
    )


def without_effect(resolution: str | None) -> Plant:
    """An event that would change something is passed over and set aside, and this became of it."""

    def plant(owners: dict[str, Owner]) -> None:
        event = new_level(owners)
        pass_over(owners["pathing"], "mastery", event)
        set_aside(owners["pathing"], "mastery", event, resolution)

    return plant


def with_its_effect(owners: dict[str, Owner]) -> None:
    _, _, noted = some_event(owners["pathing"], "pathing.level-noted.v1")
    row = owners["mastery"].execute(
        "SELECT partition, position, key FROM event WHERE convert_from(bytes, 'UTF8')::jsonb ->> 'id' = %s", [noted["causationid"]]
    ).fetchone()  # fmt: skip
    assert row is not None
    set_aside(owners["pathing"], "mastery", dict(zip(("partition", "position", "partitionkey"), row, strict=True)), TAKEN_UP)


def alias_of(owners: dict[str, Owner], learner: str, resolution: str | None = None) -> dict[str, Any]:
    """Profile says of one alias whose it is; evidence passes over it."""
    event = append(owners["profile"], "profile.learner-identified.v1", lambda event: event["data"].update(learner_id=learner))
    pass_over(owners["evidence"], "profile", event)
    if resolution:
        set_aside(owners["evidence"], "profile", event, resolution)
    return event


def noted(owners: dict[str, Owner], event: dict[str, Any]) -> None:
    """Evidence takes note of it."""
    of_alias = f"stream <> 'evidence/alias/{event['data']['alias']}', version"

    def change(effect: dict[str, Any]) -> None:
        effect["data"].update(learner_id=event["data"]["learner_id"])
        effect |= {"causationid": event["id"], "correlationid": event["correlationid"]}

    append(owners["evidence"], "evidence.alias-noted.v1", change, of_alias)


def known_when_it_was_told(owners: dict[str, Owner]) -> None:
    """It was known at its place; by now another is, so that it would change something."""
    noted(owners, alias_of(owners, FIRST))
    alias_of(owners, FIRST, TAKEN_UP)
    noted(owners, alias_of(owners, SECOND))


def known_by_now(owners: dict[str, Owner]) -> None:
    """It was not known at its place; by now it is, through a later one that was heard before it was taken up."""
    alias_of(owners, FIRST, TAKEN_UP)
    noted(owners, alias_of(owners, FIRST))


def never_known(owners: dict[str, Owner]) -> None:
    """It was known neither at its place nor is it by now."""
    alias_of(owners, FIRST, TAKEN_UP)
    noted(owners, alias_of(owners, SECOND))


async def looked_at(district: District, plant: Plant, *services: str) -> Findings:
    return await found(district, plant, *services, only=("I3",))


async def test_what_was_taken_up_again_and_led_to_nothing_is_found(district: District) -> None:
    assert SKIPPED in said(await looked_at(district, without_effect(TAKEN_UP), "mastery", "pathing"), "I3")
    assert SKIPPED in said(await looked_at(district, never_known, "profile", "evidence"), "I3")


@pytest.mark.parametrize("resolution", [None, DISCARDED])
async def test_what_is_still_aside_or_was_discarded_need_not_lead_to_anything(resolution: str | None, district: District) -> None:
    assert SKIPPED not in said(await looked_at(district, without_effect(resolution), "mastery", "pathing"), "I3")


@pytest.mark.parametrize(
    ("plant", "services"),
    [
        (with_its_effect, ("mastery", "pathing")),
        (known_when_it_was_told, ("profile", "evidence")),
        (known_by_now, ("profile", "evidence")),
    ],
)
async def test_what_was_taken_up_again_with_its_effect_or_changes_nothing_is_right(
    plant: Plant, services: tuple[str, ...], district: District
) -> None:
    assert said(await looked_at(district, plant, *services), "I3") == ""
