"""An oracle that finds nothing wrong with anything proves nothing: each violation is planted, and found under its id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.cli import verify
from services.cli.audit import Findings, Options, check
from services.cli.rebuild import rebuild
from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.contracts.topics import Topic
from shared.ledger.read import FETCH
from shared.testing import running
from shared.ticker import tick_origin
from tests.audit.district import NOW, District
from tests.audit.plant import Owner, append, edit, forge, named, one, pass_over, remove, some_event

AT_ONCE = Options(within_s=0, quiet_s=0, most_parked=2)
LATEST = "position DESC, partition"
Plant = Callable[[dict[str, Owner]], None]


async def found(district: District, plant: Plant, *services: str, only: tuple[str, ...] = (), options: Options = AT_ONCE) -> Findings:
    """Return what is found in a copy of the district in which a violation was planted."""
    with district.copied(*services) as copy:
        await asyncio.to_thread(_planted, copy, plant, services)
        return await check(copy.installation, [copy.acks], only, options)


def _planted(copy: District, plant: Plant, services: tuple[str, ...]) -> None:
    with ExitStack() as opened:
        plant({service: opened.enter_context(copy.as_owner(service)) for service in services})


def said(findings: Findings, id: str) -> str:
    return "; ".join(str(violation) for violation in findings.violations if violation.invariant == id)


# I1


def lost_act(owners: dict[str, Owner]) -> None:
    remove(owners["evidence"], "evidence.accepted.v1")


def lost_record(owners: dict[str, Owner]) -> None:
    remove(owners["evidence"], "evidence.recorded.v1")


# I2


def counted_twice(owners: dict[str, Owner]) -> None:
    append(owners["mastery"], "mastery.estimated.v1")


def noted_twice(owners: dict[str, Owner]) -> None:
    append(owners["pathing"], "pathing.level-noted.v1")


def row_gone(owners: dict[str, Owner]) -> None:
    assert owners["mastery"].execute("DELETE FROM level WHERE ctid = (SELECT min(ctid) FROM level)").rowcount


def row_changed(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute(
        "UPDATE competency_estimate SET mean_e6 = mean_e6 + 1 WHERE ctid = (SELECT min(ctid) FROM competency_estimate)"
    )


def row_too_many(owners: dict[str, Owner]) -> None:
    owners["evidence"].execute("INSERT INTO alias (alias, learner_id, version) VALUES (repeat('a', 64), %s, 1)", [UUID(int=1)])


def state_changed(owners: dict[str, Owner]) -> None:
    owners["pathing"].execute("UPDATE stream SET state = state || 'x' WHERE id = (SELECT max(id) FROM stream)")


def state_gone(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute("DELETE FROM stream WHERE id = (SELECT min(id) FROM stream)")


def page_changed(owners: dict[str, Owner]) -> None:
    _unguarded(owners["scheduling"], "UPDATE parameter_page SET data = set_byte(data, 0, get_byte(data, 0) # 1)")


def page_gone(owners: dict[str, Owner]) -> None:
    _unguarded(owners["scheduling"], "DELETE FROM parameter_page")


def page_of_nobody(owners: dict[str, Owner]) -> None:
    owners["scheduling"].execute("INSERT INTO parameter_page VALUES (encode(sha256('[]'), 'hex'), '[]')")


def set_gone(owners: dict[str, Owner]) -> None:
    _unguarded(owners["mastery"], "DELETE FROM parameter_set")


def set_of_other_pages(owners: dict[str, Owner]) -> None:
    _unguarded(owners["mastery"], "UPDATE parameter_set SET pages = pages || pages[1]")


def set_of_nobody(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute("INSERT INTO parameter_set SELECT repeat('0', 64), kind, pages FROM parameter_set LIMIT 1")


def _unguarded(owner: Owner, statement: str) -> None:
    """Change one row of a table of parameters past its guards."""
    table = "parameter_page" if "parameter_page" in statement else "parameter_set"
    owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    assert owner.execute(f"{statement} WHERE ctid = (SELECT min(ctid) FROM {table})").rowcount == 1  # noqa: S608 - our own words
    owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


# I3


def new_level(owners: dict[str, Owner]) -> dict[str, Any]:
    def change(event: dict[str, Any]) -> None:
        event["data"] |= {"competency_id": "a competency of which nothing was ever told", "level": "mastered"}

    return append(owners["mastery"], "mastery.level-changed.v1", change)


def position_skipped(owners: dict[str, Owner]) -> None:
    pass_over(owners["pathing"], "mastery", new_level(owners))


def position_skipped_beside_junk(owners: dict[str, Owner]) -> None:
    position_skipped(owners)
    too_many_parked(owners)


def inverted(owners: dict[str, Owner]) -> None:
    """The first effect of a partition now names the last event that was heard of its source's partition, and the last the first."""
    pathing = owners["pathing"]
    partition, _, _ = some_event(pathing, "pathing.level-noted.v1")
    rows = pathing.execute(
        "SELECT position, bytes FROM event WHERE type = 'pathing.level-noted.v1' AND partition = %s ORDER BY position", [partition]
    ).fetchall()
    assert len(rows) > 1, "two effects are needed to stand in another order"
    (first, one_raw), (last, other_raw) = rows[0], rows[-1]
    place = slice(16, 52)  # The canonical form begins with the cause.
    for position, raw, cause in ((first, bytes(one_raw), bytes(other_raw)), (last, bytes(other_raw), bytes(one_raw))):
        changed = raw[: place.start] + cause[place] + raw[place.stop :]
        pathing.execute("UPDATE event SET bytes = %s WHERE partition = %s AND position = %s", [changed, partition, position])


def inbox_back(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute("UPDATE inbox SET position = position - 1 WHERE position = (SELECT max(position) FROM inbox)")


# I4


def inbox_beyond(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute("UPDATE inbox SET position = position + 5 WHERE partition = 0")


def inbox_of_another_event(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute("UPDATE inbox SET head = repeat('0', 64) WHERE partition = 0")


def counted_otherwise(owners: dict[str, Owner]) -> None:
    edit(owners["mastery"], "mastery.estimated.v1", lambda event: event["data"]["evidence"].update(duration_ms=1))


def published_beyond(owners: dict[str, Owner]) -> None:
    owners["profile"].execute("UPDATE published SET position = position + 1000000 WHERE partition = 0")


# I5


def not_heard(owners: dict[str, Owner]) -> None:
    new_level(owners)


def enrolled_otherwise(owners: dict[str, Owner]) -> None:
    edit(owners["pathing"], "pathing.enrolment-noted.v1", lambda event: event["data"].update(grade="12"), LATEST)


def member_of_other_classes(owners: dict[str, Owner]) -> None:
    edit(owners["mastery"], "mastery.membership-noted.v1", lambda event: event["data"].update(class_ids=[named(6)]), LATEST)


def teaches_something_else(owners: dict[str, Owner]) -> None:
    edit(owners["scheduling"], "scheduling.staff-noted.v1", lambda event: event["data"]["member"].update(subjects=["alchemy"]), LATEST)


def plans_with_another_framework(owners: dict[str, Owner]) -> None:
    edit(owners["pathing"], "pathing.framework-noted.v1", lambda event: event["data"].update(set_id="0" * 64), LATEST)


def other_needs(owners: dict[str, Owner]) -> None:
    edit(owners["scheduling"], "scheduling.demand-noted.v1", lambda event: event["data"]["demand"].update(check_in=None), LATEST)


def work_counts_too_late(owners: dict[str, Owner]) -> None:
    edit(owners["evidence"], "evidence.calendar-noted.v1", lambda event: event["data"].update(first_day="2030-01-01"), LATEST)


# I6


def byte_flipped(owners: dict[str, Owner]) -> None:
    edit(owners["mastery"], "mastery.estimated.v1", lambda event: event["data"]["general"].update(mean_e6=12_345))


def decided_by_nobody(owners: dict[str, Owner]) -> None:
    append(owners["mastery"], "mastery.level-changed.v1", lambda event: event["data"].update(probability_e6=1))


def event_gone(owners: dict[str, Owner]) -> None:
    remove(owners["profile"], "profile.learner-rostered.v1")


def column_changed(owners: dict[str, Owner]) -> None:
    owners["profile"].execute("UPDATE event SET key = 'other' WHERE partition = 0 AND position = 0")


def told_at_another_time(owners: dict[str, Owner]) -> None:
    owners["profile"].execute("UPDATE event SET recorded_at = recorded_at - interval '1 microsecond' WHERE partition = 0 AND position = 0")


def told_at_no_time(owners: dict[str, Owner]) -> None:
    owners["profile"].execute("UPDATE event SET recorded_at = '-infinity' WHERE partition = 0 AND position = 0")


def behind_the_length(owners: dict[str, Owner]) -> None:
    forge(owners["profile"], "profile.learner-rostered.v1", None, 10**9)


def before_the_first(owners: dict[str, Owner]) -> None:
    forge(owners["profile"], "profile.learner-rostered.v1", None, -1)


def in_no_partition(owners: dict[str, Owner]) -> None:
    forge(owners["profile"], "profile.learner-rostered.v1", 99, 0)


# I7


def cause_from_nowhere(owners: dict[str, Owner]) -> None:
    edit(owners["mastery"], "mastery.estimated.v1", lambda event: event.update(causationid=named(5)))


def cause_from_nowhere_in_profile(owners: dict[str, Owner]) -> None:
    edit(owners["profile"], "profile.learner-rostered.v1", lambda event: event.update(causationid=named(5)))


def cause_of_an_earlier_release(owners: dict[str, Owner]) -> None:
    tick = tick_origin("scheduling", "take-demands").causation
    edit(owners["scheduling"], "scheduling.day-demanded.v1", lambda event: event.update(causationid=tick, correlationid=tick))


def cause_of_a_request_in_another_line(owners: dict[str, Owner]) -> None:
    edit(owners["mastery"], "mastery.estimated.v1", lambda event: event.update(causationid="01890000-0000-7000-8000-000000000000"))


def cause_of_another_act(owners: dict[str, Owner]) -> None:
    _, _, other = some_event(owners["evidence"], "evidence.recorded.v1", LATEST)
    edit(owners["mastery"], "mastery.estimated.v1", lambda event: event.update(causationid=other["id"]))


def cause_that_comes_later(owners: dict[str, Owner]) -> None:
    _, _, day = some_event(owners["scheduling"], "scheduling.placement-changed.v1", LATEST)
    edit(
        owners["scheduling"],
        "scheduling.day-demanded.v1",
        lambda event: event.update(causationid=day["id"], correlationid=day["correlationid"]),
    )


def cause_before_its_time(owners: dict[str, Owner]) -> None:
    edit(owners["mastery"], "mastery.estimated.v1", lambda event: event.update(time="2026-10-13T07:29:00.000000Z"))


def demand_not_taken(owners: dict[str, Owner]) -> None:
    append(owners["scheduling"], "scheduling.demand-noted.v1", lambda event: event["data"]["demand"].update(version=99))


def day_not_planned(owners: dict[str, Owner]) -> None:
    append(owners["scheduling"], "scheduling.day-demanded.v1", order="stream DESC, version")


def today_not_planned(owners: dict[str, Owner]) -> None:
    append(owners["scheduling"], "scheduling.day-demanded.v1", order="stream, version")


def taken_by_tomorrow_only(owners: dict[str, Owner]) -> None:
    """A demand that the last day has taken and today, which is open, has not."""
    owner = owners["scheduling"]
    row = one(owner, "SELECT bytes FROM event WHERE type = 'scheduling.day-demanded.v1' ORDER BY stream DESC, version LIMIT 1")
    demand = orjson.loads(bytes(row[0]))["data"]["demands"][0] | {"version": 99}
    append(owner, "scheduling.day-demanded.v1", lambda event: event["data"].update(demands=[demand]), "stream DESC, version")
    append(owner, "scheduling.demand-noted.v1", lambda event: event["data"].update(demand=demand))


def stale_plan(owners: dict[str, Owner]) -> None:
    edit(owners["scheduling"], "scheduling.plan-adopted.v1", lambda event: event["data"].update(base_version=0))


def planned_for_nothing(owners: dict[str, Owner]) -> None:
    def change(event: dict[str, Any]) -> None:
        event["data"] |= {"base_version": event["streamversion"] - 1}
        event["data"].pop("moved", None)

    append(owners["scheduling"], "scheduling.plan-adopted.v1", change, "stream DESC, version DESC")


# I8


def double_booked(owners: dict[str, Owner]) -> None:
    """An adult who leads one session of a period leads another one, too."""
    owner = owners["scheduling"]
    row = one(owner, "SELECT bytes FROM event WHERE type = 'scheduling.placement-changed.v1' ORDER BY stream DESC, version LIMIT 1")
    first = orjson.loads(bytes(row[0]))
    taken = {placed["period_id"]: (placed["space_id"], placed["zone_id"], placed["staff_id"]) for placed in first["data"]["placements"]}
    rows = owner.execute(
        "SELECT partition, position, bytes FROM event WHERE type = 'scheduling.placement-changed.v1' AND stream = %s", [first["stream"]]
    ).fetchall()
    for partition, position, raw in rows:
        event = orjson.loads(bytes(raw))
        for placed in event["data"]["placements"]:
            space, zone, staff = taken[placed["period_id"]]
            if placed.get("staff_id") not in (None, staff) and (placed["space_id"], placed["zone_id"]) != (space, zone):
                placed["staff_id"] = staff
                owner.execute(
                    "UPDATE event SET bytes = %s WHERE partition = %s AND position = %s", [orjson.dumps(event), partition, position]
                )
                return
    raise AssertionError("everybody is in one session: nobody can be booked twice")


def plan_without_its_changes(owners: dict[str, Owner]) -> None:
    remove(owners["scheduling"], "scheduling.placement-changed.v1", LATEST)


def day_half_written(owners: dict[str, Owner]) -> None:
    owner = owners["scheduling"]
    owner.execute("""
        DELETE FROM learner_day WHERE ctid = (
            SELECT l.ctid FROM learner_day l JOIN day_plan p USING (school_id, day) WHERE l.version > p.version LIMIT 1)""")


def plan_of_another_version(owners: dict[str, Owner]) -> None:
    owners["scheduling"].execute("UPDATE day_plan SET version = version - 1")


# I10


def heard_and_not_counted(owners: dict[str, Owner]) -> None:
    remove(owners["mastery"], "mastery.estimated.v1", LATEST)


def recorded_from_nowhere(owners: dict[str, Owner]) -> None:
    remove(owners["evidence"], "evidence.accepted.v1", LATEST)


def waits_for_nothing(owners: dict[str, Owner]) -> None:
    remove(owners["evidence"], "evidence.recorded.v1", LATEST)


def too_many_parked(owners: dict[str, Owner]) -> None:
    owners["mastery"].execute("""
        INSERT INTO parked (source, partition, kafka_offset, key, trouble, reason, bytes)
        SELECT 'evidence', 0, n, '', 'foreign', 'junk', '' FROM generate_series(1, 3) AS n""")


PLANTED: list[tuple[str, str, Plant, tuple[str, ...]]] = [
    ("I1", "acknowledged and not in the ledger", lost_act, ("evidence",)),
    ("I1", "told as recorded and not recorded", lost_record, ("evidence",)),
    ("I2", "evidence counted twice", counted_twice, ("mastery",)),
    ("I2", "has the same effect more than once", noted_twice, ("pathing",)),
    ("I2", "rows of level differ", row_gone, ("mastery",)),
    ("I2", "rows of competency_estimate differ", row_changed, ("mastery",)),
    ("I2", "rows of alias differ", row_too_many, ("evidence",)),
    ("I2", "rows of stream differ", state_changed, ("pathing",)),
    ("I2", "rows of stream differ", state_gone, ("mastery",)),
    ("I2", "scheduling: rows of parameter_page are not what", page_changed, ("scheduling",)),
    ("I2", "scheduling: rows of parameter_page are not what", page_gone, ("scheduling",)),
    ("I2", "scheduling: rows of parameter_page are not what", page_of_nobody, ("scheduling",)),
    ("I2", "mastery: rows of parameter_set are not what", set_gone, ("mastery",)),
    ("I2", "mastery: rows of parameter_set are not what", set_of_other_pages, ("mastery",)),
    ("I2", "mastery: rows of parameter_set are not what", set_of_nobody, ("mastery",)),
    ("I3", "moved past an event that it never applied", position_skipped, ("mastery", "pathing")),
    ("I3", "an earlier event was applied after a later one", inverted, ("pathing",)),
    ("I3", "its inbox has not applied", inbox_back, ("mastery",)),
    ("I4", "has applied more than its source's ledger holds", inbox_beyond, ("mastery",)),
    ("I4", "has applied another event", inbox_of_another_event, ("mastery",)),
    ("I4", "has applied another event", inbox_back, ("mastery",)),
    ("I4", "counted without being recorded", lost_record, ("evidence",)),
    ("I4", "counted otherwise than it was recorded", counted_otherwise, ("mastery",)),
    ("I4", "published more than its ledger holds: profile partition 0 to 1,000,000 of", published_beyond, ("profile",)),
    ("I5", "pathing is 1 events behind", not_heard, ("mastery",)),
    ("I5", "a service holds another state than was told", position_skipped, ("mastery", "pathing")),
    ("I5", "enrolment in pathing of", enrolled_otherwise, ("pathing",)),
    ("I5", "membership in mastery of", member_of_other_classes, ("mastery",)),
    ("I5", "staff in scheduling of", teaches_something_else, ("scheduling",)),
    ("I5", "framework in pathing of", plans_with_another_framework, ("pathing",)),
    ("I5", "demand in scheduling of", other_needs, ("scheduling",)),
    ("I5", "work counts from", work_counts_too_late, ("evidence",)),
    ("I5", "a service holds another state than was told", position_skipped_beside_junk, ("mastery", "pathing")),
    ("I7", "no event, no request and no tick", cause_from_nowhere, ("mastery",)),
    ("I7", "no event, no request and no tick: profile partition", cause_from_nowhere_in_profile, ("profile",)),
    ("I7", "no event, no request and no tick", cause_of_a_request_in_another_line, ("mastery",)),
    ("I7", "names another cause than its being recorded", cause_of_another_act, ("mastery", "evidence")),
    ("I7", "an effect stands before its cause", cause_that_comes_later, ("scheduling",)),
    ("I7", "an effect stands before its cause", cause_before_its_time, ("mastery",)),
    ("I7", "an open day did not take a learner's newest demand", demand_not_taken, ("scheduling",)),
    ("I7", "an open day did not take a learner's newest demand", taken_by_tomorrow_only, ("scheduling",)),
    ("I7", "a day took something and was not planned", day_not_planned, ("scheduling",)),
    ("I7", "a day took something and was not planned", today_not_planned, ("scheduling",)),
    ("I7", "does not know all that its day took", stale_plan, ("scheduling",)),
    ("I7", "planned again without a trigger", planned_for_nothing, ("scheduling",)),
    ("I8", "a published day breaks a rule", double_booked, ("scheduling",)),
    ("I8", "somebody is in two places at once", double_booked, ("scheduling",)),
    ("I8", "without all that it changed", plan_without_its_changes, ("scheduling",)),
    ("I8", "a day is visible half-written", day_half_written, ("scheduling",)),
    ("I8", "a day is visible half-written", plan_of_another_version, ("scheduling",)),
    ("I10", "neither counted nor set aside", heard_and_not_counted, ("mastery",)),
    ("I10", "recorded without being accepted", recorded_from_nowhere, ("evidence",)),
    ("I10", "waits although its learner and its item are known", waits_for_nothing, ("evidence",)),
    ("I10", "more than 2 are parked", too_many_parked, ("mastery",)),
]


@pytest.mark.parametrize(("id", "words", "plant", "services"), PLANTED, ids=[f"{id}-{plant.__name__}" for id, _, plant, _ in PLANTED])
async def test_what_is_planted_is_found_under_its_id(
    id: str, words: str, plant: Plant, services: tuple[str, ...], district: District
) -> None:
    findings = await found(district, plant, *services, only=(id,))
    assert findings.violated == {id}
    assert words in said(findings, id)


@pytest.mark.parametrize(("plant", "service", "table"), [
    (row_changed, "mastery", "competency_estimate"), (state_gone, "mastery", "stream"), (page_changed, "scheduling", "parameter_page"),
    (page_gone, "scheduling", "parameter_page"), (page_of_nobody, "scheduling", "parameter_page"), (set_gone, "mastery", "parameter_set"),
    (set_of_other_pages, "mastery", "parameter_set"),
])  # fmt: skip
async def test_the_remedy_that_is_named_mends_each_kind_of_table(plant: Plant, service: str, table: str, district: District) -> None:
    with district.copied(service) as copy:
        await asyncio.to_thread(_planted, copy, plant, (service,))
        await rebuild(copy.databases[service].owner_url, parts_of(Topic(service)), table, 500, lambda events: None)
        assert not (await check(copy.installation, [copy.acks], ("I2",), AT_ONCE)).violated


@pytest.mark.parametrize(
    ("plant", "service", "words"),
    [
        (byte_flipped, "mastery", ("a chain is broken", "the record and its replay differ")),
        (decided_by_nobody, "mastery", ("the record and its replay differ",)),
        (event_gone, "profile", ("a chain is broken",)),
        (column_changed, "profile", ("columns of the table say other",)),
        (told_at_another_time, "profile", ("columns of the table say other than the event: partition 0 position 0",)),
        (told_at_no_time, "profile", ("columns of the table say other than the event: partition 0 position 0",)),
        (behind_the_length, "profile", ("events that no partition counts", "the record and its replay differ")),
        (before_the_first, "profile", ("events that no partition counts", "the record and its replay differ")),
        (in_no_partition, "profile", ("events that no partition counts", "the record and its replay differ")),
    ],
)
async def test_a_changed_record_is_found_and_named(plant: Plant, service: str, words: tuple[str, ...], district: District) -> None:
    findings = await found(district, plant, service, only=("I6",))
    assert findings.violated == {"I6"}
    for word in words:
        assert f"{service}: {word}" in said(findings, "I6")


async def test_what_time_led_to_in_an_earlier_release_has_a_cause(district: District) -> None:
    findings = await found(district, cause_of_an_earlier_release, "scheduling", only=("I7",))
    assert "no event, no request and no tick" not in str(findings.violations)


async def test_a_time_that_is_none_stops_no_other_check(district: District) -> None:
    assert "I6" in (await found(district, told_at_no_time, "profile")).violated


@pytest.mark.parametrize("plant", [behind_the_length, in_no_partition])
async def test_replay_finds_what_no_partition_counts_of_everybody_and_of_whom_it_names(plant: Plant, district: District) -> None:
    with district.copied("profile") as copy:
        await asyncio.to_thread(_planted, copy, plant, ("profile",))
        urls = copy.installation.urls
        with copy.as_owner("profile") as owner:
            _, _, event = some_event(owner, "profile.learner-rostered.v1", "version DESC, position DESC")
            (other,) = one(owner, "SELECT key FROM event WHERE stream LIKE 'profile/learner/%%' AND key <> %s", event["partitionkey"])
        for learner, count in ((None, 1), (event["partitionkey"], 1), (other, 0)):
            [report] = await asyncio.to_thread(verify.verify, urls, "local", [Topic.PROFILE], learner, lambda report: None)
            found = [each for each in report.differences if each.what.startswith("no partition counts it")]
            assert [(each.stream, each.place) for each in found] == [
                (event["stream"], f"partition {event['partition']} position {event['position']}")
            ] * count


async def test_processes_of_their_own_find_what_is_found_in_this_one(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for small in (0, 1_000_000):
        monkeypatch.setattr(verify, "SMALL", small)
        findings = await found(district, byte_flipped, "mastery", only=("I6",))
        told.append((said(findings, "I6"), findings.checked))
    assert told[0] == told[1]
    assert "a chain is broken" in told[0][0]


@pytest.mark.parametrize(("source", "resolution", "compared"), [
    ("mastery", None, False), ("mastery", "discarded: a test", False), ("mastery", "applied", True),
    ("profile", None, True), ("profile", "discarded: a test", True),
])  # fmt: skip
async def test_what_was_set_aside_leaves_out_what_its_reader_holds_of_its_source_and_nothing_else(
    source: str, resolution: str | None, compared: bool, district: District
) -> None:
    def plant(owners: dict[str, Owner]) -> None:
        position_skipped(owners)
        plans_with_another_framework(owners)
        owners["pathing"].execute(
            """INSERT INTO parked (source, partition, kafka_offset, position, key, trouble, reason, bytes, resolved_at, resolution)
            VALUES (%(source)s, 0, 0, 0, '', 'foreign', '', '', CASE WHEN %(how)s::text IS NOT NULL THEN now() END, %(how)s)""",
            {"source": source, "how": resolution},
        )

    findings = await found(district, plant, "mastery", "pathing", only=("I5",))
    assert ("level in pathing" in str(findings.violations), "framework in pathing" in str(findings.violations)) == (compared, compared)
    why = [why for id, why in findings.left_out if id == "I5"]
    if resolution == "applied":
        assert not why
    else:
        gone = int(resolution is not None)
        what = f"pathing: of what it heard of {source}, {1 - gone} records are set aside and {gone} were discarded"
        assert len(why) == 1
        assert why[0].startswith(what)
    whole = await check(district.installation, only=["I5"], options=AT_ONCE)
    told = "states compared between services"
    assert 0 < findings.counted(told) < whole.counted(told) or resolution == "applied"


async def test_what_clients_were_told_is_compared_with_all_logs(district: District, tmp_path: Path) -> None:
    log = tmp_path / "more.jsonl"
    log.write_text('{"status": 200, "acts": [{"act_id": "%s", "result": "waiting"}]}\n' % named(3))  # noqa: UP031 - braces of JSON
    findings = await check(district.installation, [district.acks, log], ["I1"], AT_ONCE)
    assert [violation.cases for violation in findings.violations] == [(named(3),)]


async def test_an_amendment_that_a_client_was_told_of_is_looked_for(district: District, tmp_path: Path) -> None:
    log, said = tmp_path / "own.jsonl", {"author_id": named(1), "cause": "appeal"}
    with district.copied("evidence") as copy:
        with copy.as_owner("evidence") as owner:
            _, _, one_act = some_event(owner, "evidence.recorded.v1")
            _, _, another = some_event(owner, "evidence.recorded.v1", LATEST)
        async with running(parts_of(Topic.EVIDENCE), copy.databases["evidence"], clock=FixedClock(NOW)) as evidence:
            assert evidence.client is not None
            act_id = one_act["data"]["evidence_id"]
            answer = (await evidence.client.post(f"/evidence/acts/{act_id}/correction", json=said | {"given": 1, "max": 3})).json()

        async def lost(**changes: Any) -> list[str]:
            log.write_bytes(orjson.dumps({"status": 200, "acts": [answer | {"result": "amended"} | changes]}))
            return [case for found in (await check(copy.installation, [log], ["I1"], AT_ONCE)).violations for case in found.cases]

        assert await lost() == await lost(event_id=None) == []
        assert await lost(event_id=one_act["id"]) == [act_id], "that is no amendment"
        assert await lost(act_id=another["data"]["evidence_id"]) == [another["data"]["evidence_id"]], "that one is of another act"
        with copy.as_owner("evidence") as owner:
            remove(owner, "evidence.rescored.v1")
        assert await lost() == await lost(event_id=None) == [act_id]


async def test_what_cannot_be_looked_at_is_said(district: District) -> None:
    bare = replace(district.installation, owner_urls={})
    findings = await check(bare, only=["I1", "I2", "I3", "I9"], options=AT_ONCE)
    assert not findings.violations
    assert {id for id, _ in findings.left_out} == {"I1", "I2", "I3", "I9"}


def test_batches_are_small() -> None:
    assert FETCH <= 10_000, "memory stays small however long a ledger is"
