"""Work from before the first course waits, visibly, until a roster or a person says that courses began earlier."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from services.evidence.calendar import NoteCalendar, begins_at, calendar
from services.evidence.queries import notes_now
from services.evidence.subscribers import commands_for
from shared.contracts.envelope import StreamId
from shared.contracts.evidence import CalendarNoted
from shared.contracts.profile import RosterImported
from shared.testing import Spec, check_decider, recorded
from tests.evidence.lms import act, align, identify, import_roster
from tests.evidence.test_waiting import counts, meant, tell

AUTUMN, YEAR_BEFORE = date(2026, 8, 31), date(2025, 9, 1)
TEACHER = str(UUID(int=9))


def note(first_day: date) -> NoteCalendar:
    return NoteCalendar(CalendarNoted(first_day=first_day))


def done(name: str, at: datetime, item: int = 1) -> dict[str, Any]:
    """Return an act that happened at this instant."""
    return act(name, item=item) | {"occurred_at": at.isoformat().replace("+00:00", "Z")}


async def waiting(service: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await service.client.get("/evidence/waiting")).raise_for_status().json()["items"]
    return found


def test_only_a_day_before_all_others_is_news() -> None:
    spec = Spec(calendar).asked(note(AUTUMN))
    spec.when(note(AUTUMN)).then_nothing()
    spec.when(note(AUTUMN + timedelta(days=1))).then_nothing()
    spec.when(note(YEAR_BEFORE)).then(CalendarNoted(first_day=YEAR_BEFORE))
    check_decider(calendar, st.lists(st.dates().map(note), max_size=6))


def test_a_roster_without_sessions_says_nothing_of_the_calendar() -> None:
    told = RosterImported(content_hash="e" * 64, source="sis", rows=3)
    (event,) = recorded(StreamId("profile", "roster", told.content_hash), [told])
    assert commands_for(event) == []


async def test_health_tells_that_evidence_waits_for_the_first_day_and_what_to_do(service: Any) -> None:
    async def notes() -> list[str]:
        async with service.pool.connection() as connection:
            return list(await notes_now(connection))

    await identify(service, first_session=None)
    await align(service)
    assert await notes() == [], "nothing waits"
    await tell(service, done("1", begins_at(AUTUMN)))
    (note,) = await notes()
    assert note.startswith("evidence waits (1 acts now): nobody has told yet when courses began: import a roster")
    await import_roster(service, AUTUMN)
    assert await notes() == []


async def test_work_of_the_first_day_counts_wherever_it_is_that_day_and_earlier_work_waits(service: Any) -> None:
    await identify(service, first_session=None)
    await align(service)
    first = begins_at(AUTUMN)
    await import_roster(service, AUTUMN)
    assert await tell(service, done("1", first), done("2", first - timedelta(seconds=1)), done("3", first + timedelta(hours=1))) == [
        "recorded", "waiting", "recorded",
    ]  # fmt: skip
    (early,) = await waiting(service)
    assert early["reason"] == "before-first-day"
    assert "academic session" in early["remedy"]
    shown = (await service.client.get(f"/evidence/acts/{early['act_id']}")).json()
    assert (shown["status"], shown["reason"], shown["remedy"]) == ("waiting", "before-first-day", early["remedy"])
    assert (await counts(service))["waiting"]["before-first-day"] == 1
    assert await service.tick() == 0, "what waits holds nothing else back, and nothing lets it go"
    assert await tell(service, done("4", datetime(2026, 9, 9, tzinfo=UTC))) == ["recorded"]


async def test_work_waits_until_somebody_says_when_courses_began_whatever_comes_last(service: Any) -> None:
    """A first roster ends behind all of its learners: while it is under way, nobody can tell this year's work from that of the last."""
    await identify(service, first_session=None)
    await align(service)
    this_year, last_year = done("1", datetime(2026, 10, 5, tzinfo=UTC)), done("2", datetime(2025, 10, 5, tzinfo=UTC))
    assert await tell(service, this_year, last_year) == ["waiting", "waiting"]
    assert {each["reason"] for each in await waiting(service)} == {"no-first-day"}
    assert (await counts(service))["waiting"]["no-first-day"] == 2
    await import_roster(service, None)
    assert await service.tick() == 0, "a roster without academic sessions says nothing of when they began"
    await import_roster(service, AUTUMN)
    assert await service.tick() == 1
    assert [each.occurred_at.year for each in await meant(service)] == [2026]
    assert [each["reason"] for each in await waiting(service)] == ["before-first-day"]


async def test_an_earlier_session_and_a_person_let_go_what_waited_for_them(service: Any) -> None:
    await identify(service, first_session=None)
    await align(service)
    await import_roster(service, AUTUMN)
    await tell(service, done("1", datetime(2025, 10, 1, tzinfo=UTC)), done("2", datetime(2019, 10, 1, tzinfo=UTC)))
    await import_roster(service, YEAR_BEFORE)
    assert await service.tick() == 1
    assert [each.occurred_at.year for each in await meant(service)] == [2025]
    later = {"first_day": "2026-01-01", "author_id": TEACHER}
    assert (await service.client.put("/evidence/calendar", json=later)).json() == {"first_day": str(YEAR_BEFORE), "changed": False}
    assert await service.tick() == 0
    earlier = {"first_day": "2019-09-01", "author_id": TEACHER}
    assert (await service.client.put("/evidence/calendar", json=earlier)).json() == {"first_day": "2019-09-01", "changed": True}
    assert await service.tick() == 1
    assert (await counts(service))["recorded"] == 2
    assert (await service.client.get("/evidence/calendar")).json() == {"first_day": "2019-09-01"}


async def test_every_order_of_calendar_and_acts_that_it_lets_go_ends_in_the_same_record(service: Any) -> None:
    ends = []
    await import_roster(service, AUTUMN)
    for number, order in enumerate(permutations(["alias", "item", "early", "late"]), 1):
        learner, name = UUID(int=number), f"s-{number}"
        for step in order:
            match step:
                case "alias":
                    await identify(service, name, learner, first_session=None)
                case "item":
                    await align(service, number)
                case "early":
                    await tell(service, done(f"{number}-1", datetime(2024, 5, 5, tzinfo=UTC), number) | {"learner": name_of(name)})
                case _:
                    await tell(service, done(f"{number}-2", datetime(2026, 10, 5, tzinfo=UTC), number) | {"learner": name_of(name)})
            await service.tick()
        assert [each.occurred_at.year for each in await meant(service, learner)] == [2026]
        ends.append(learner)
    await import_roster(service, date(2024, 1, 1))
    while await service.tick():
        pass
    for learner in ends:
        assert sorted(each.occurred_at.year for each in await meant(service, learner)) == [2024, 2026]


def test_the_first_day_of_all_days_has_a_beginning() -> None:
    """Earlier releases took it, and what is recorded is read for ever."""
    Spec(calendar).asked(note(AUTUMN)).when(note(date.min)).then(CalendarNoted(first_day=date.min))
    assert begins_at(date.min).year == 1


@pytest.mark.parametrize("day", ["0001-01-01", "1900-01-01", "1989-12-31"])
async def test_a_day_on_which_no_course_began_is_refused(service: Any, day: str) -> None:
    answer = await service.client.put("/evidence/calendar", json={"first_day": day, "author_id": TEACHER})
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["place"], fault["code"]) == (422, "/first_day", "out-of-bounds")
    assert "no later day would undo it" in fault["detail"]
    assert (await service.client.get("/evidence/calendar")).json() == {"first_day": None}
    least = await service.client.put("/evidence/calendar", json={"first_day": "1990-01-01", "author_id": TEACHER})
    assert (least.status_code, least.json()) == (200, {"first_day": "1990-01-01", "changed": True})


@pytest.mark.parametrize("sent", [{"first_day": "2019-13-01", "author_id": TEACHER}, {"first_day": "2019-01-01"}, {}, {"when": 3}])
async def test_what_is_no_day_is_refused_and_changes_nothing(service: Any, sent: dict[str, Any]) -> None:
    answer = await service.client.put("/evidence/calendar", json=sent)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"]
    assert (await service.client.get("/evidence/calendar")).json() == {"first_day": None}


def name_of(name: str) -> str:
    """Return the learner as an act names them."""
    return str(act("x", learner=name)["learner"])
