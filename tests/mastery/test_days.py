"""Which day work is of: the district's, where it names its time zone; in winter and in summer, and the same when it is decided again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.mastery.calibration import CALIBRATION
from services.mastery.commands import CountEvidence
from services.mastery.domain import mastery
from services.mastery.framework import FRAMEWORK
from services.mastery.inputs import inputs_of
from services.mastery.policy import POLICY, Days, parse, read_policies
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import Level, PersonNeeded
from shared.errors import BadInput
from shared.parameters import Parameters
from shared.testing import Spec, in_force
from tests.mastery.samples import MONDAY, competency, counted, entries, evidence, framework
from tests.mastery.test_domain import levels

WEST = "America/Los_Angeles"
MINUTE = timedelta(minutes=1)


def judged_in(timezone: str | None, **policy: int) -> Parameters:
    """Return the shipped calibration, a framework, and a policy of a district there."""
    told = {"policies": [policy], "timezone": timezone}
    return in_force((FRAMEWORK, framework()), (CALIBRATION, entries()), (POLICY, read_policies(told, MONDAY)), version=4)


def work(*at: datetime, right: bool = True) -> list[EvidenceRecorded]:
    """Return one answer at each of these times."""
    return [evidence(number, right=right).model_copy(update={"occurred_at": told}) for number, told in enumerate(at)]


def west(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(WEST)).astimezone(UTC)  # type: ignore[arg-type, misc]  # Year to minute.


def after(seen: Sequence[EvidenceRecorded], timezone: str | None, **policy: int) -> Spec[Any]:
    return Spec(mastery, judged_in(timezone, **policy)).asked(*counted(list(seen)))


def days_of(spec: Spec[Any]) -> int:
    return spec.state.row(competency(1)).days


ONE_AFTERNOON = [west(2026, 11, 30, 15, 41) + n * (35 * MINUTE / 15) for n in range(16)]


def test_one_afternoon_in_the_west_is_one_day_and_does_not_make_mastered() -> None:
    assert {ONE_AFTERNOON[0].day, ONE_AFTERNOON[-1].day} == {30, 1}, "in UTC it is two"
    spec = after(work(*ONE_AFTERNOON), WEST)
    assert (days_of(spec), levels(*spec.past)) == (1, {competency(1): Level.NEARLY})
    next_day = spec.when(*counted([evidence(90).model_copy(update={"occurred_at": west(2026, 12, 1, 9, 0)})]))
    assert levels(*next_day.events) == {competency(1): Level.MASTERED}


def test_without_a_time_zone_days_are_those_of_utc_as_they_always_were() -> None:
    spec = after(work(*ONE_AFTERNOON), None)
    assert (days_of(spec), levels(*spec.past)) == (2, {competency(1): Level.MASTERED})


@pytest.mark.parametrize(("timezone", "days"), [(None, 1), ("UTC", 1), (WEST, 2)])
def test_two_days_in_the_west_are_two_though_they_are_one_of_utc(timezone: str | None, days: int) -> None:
    assert days_of(after(work(west(2026, 11, 30, 16, 30), west(2026, 12, 1, 8, 0)), timezone)) == days


@pytest.mark.parametrize(("timezone", "needed"), [(None, True), (WEST, False)])
def test_days_without_progress_are_the_districts_too(timezone: str | None, needed: bool) -> None:
    two_afternoons = [west(2026, 11, 30 - back, 15, 45) + n * 5 * MINUTE for back in (1, 0) for n in range(7)]
    spec = after(work(*two_afternoons, right=False), timezone)
    assert [event.needed for event in spec.past if isinstance(event, PersonNeeded)] == [True] * needed


def test_in_summer_a_day_begins_an_hour_after_midnight_and_never_before_it() -> None:
    days = inputs_of(judged_in(WEST)).days
    assert (days.timezone, days.utc_offset_minutes) == (WEST, -480)
    numbers = [days.number(int(at.timestamp()) // 60) for at in (west(2026, 7, 6, 0, 59), west(2026, 7, 6, 1, 0), west(2026, 7, 6, 23, 59))]
    assert [number - numbers[0] for number in numbers] == [0, 1, 1]
    assert str(days.date(west(2026, 7, 6, 23, 59))) == "2026-07-06"


@pytest.mark.parametrize(
    ("timezone", "offset"),
    [("Pacific/Honolulu", -600), ("America/New_York", -300), ("Europe/Dublin", 0), ("Asia/Kathmandu", 345), ("Australia/Sydney", 600),
     ("Pacific/Kiritimati", 840), ("Etc/GMT+12", -720)],
)  # fmt: skip
def test_the_offset_is_that_of_winter_on_either_half_of_the_world(timezone: str, offset: int) -> None:
    assert parse([read_policies({"policies": [{}], "timezone": timezone}, MONDAY)]).days == Days(timezone, offset)


def test_a_policy_that_names_no_time_zone_keeps_what_was_named_and_is_the_set_that_it_always_was_where_nothing_was() -> None:
    told = {"policies": [{}, {"family": "skill", "days": 3}]}
    assert not [name for entry in read_policies(told, MONDAY) for name in entry if name in ("timezone", "utc_offset_minutes")]
    before = parse([read_policies(told | {"timezone": WEST}, MONDAY)])
    after = parse([read_policies(told, MONDAY, before.days)])
    assert after == before
    assert after.days == Days(WEST, -480)
    assert read_policies({"policies": list(after.entries)}, MONDAY, after.days) == read_policies(told | {"timezone": WEST}, MONDAY)


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"timezone": "PST"}, "/timezone"), ({"timezone": "Los Angeles"}, "/timezone"), ({"timezone": ""}, "/timezone"),
        ({"timezone": -8}, "/timezone"), ({"timezone": ["UTC"]}, "/timezone"), ({"timezone": "../UTC"}, "/timezone"),
        ({"utc_offset_minutes": -480}, "/policies"),
        ({"policies": [{}, {"family": "skill", "timezone": WEST}]}, "/policies/1/timezone"),
        ({"policies": [{"utc_offset_minutes": -480}]}, "/policies/0/utc_offset_minutes"),
    ],
)  # fmt: skip
def test_days_that_make_no_sense_are_refused_with_their_place(told: dict[str, Any], place: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_policies({"policies": [{}]} | told, MONDAY)
    assert refused.value.faults[0].place == place
    assert refused.value.faults[0].remedy


def test_late_work_is_of_the_districts_day_too() -> None:
    seen = work(*ONE_AFTERNOON)
    late = after([*seen[:5], *seen[6:]], WEST).when(CountEvidence(seen[5]))
    assert late.state == after(seen, WEST).state
