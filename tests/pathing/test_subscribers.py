"""What pathing hears and what it does in time, as commands."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.pathing.catalogue import CATALOGUE, FRAMEWORK
from services.pathing.domain import NoteEnrolment, NoteLevel, NotePreferences, NoteWaivers, Replan, pathing
from services.pathing.subscribers import SUBSCRIPTION, commands_for, ticks
from shared.contracts.mastery import (
    Author,
    CalibrationPublished,
    FrameworkAdopted,
    JudgementsMoved,
    Level,
    LevelChanged,
    MasteryPageAdded,
    MovedWaiver,
    PrerequisiteWaived,
    Reason,
    WaivedPair,
    WaiverWithdrawn,
)
from shared.contracts.pathing import EnrolmentNoted, LevelNoted, PreferencesNoted, WaiversNoted
from shared.contracts.profile import Area, LearnerRostered, Modality, PreferencesStated, Role, RosterImported
from shared.parameters import NO_PARAMETERS, Parameters
from shared.settings_stream import AddPage, AdoptSet
from shared.testing import in_force
from tests.pathing.district import activity, competency

LEARNER, SCHOOL = UUID(int=1), UUID(int=2)
LATE = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
PAGES = ("a" * 64, "b" * 64)


def heard(data: Any, order: int = 7) -> Any:
    """Return what `commands_for` reads of a recorded event."""
    return SimpleNamespace(data=data, time=LATE, order=order)


def test_an_enrolment_is_noted_with_its_day_and_order_and_without_aliases_or_name() -> None:
    told = LearnerRostered(learner_id=LEARNER, school_id=SCHOOL, aliases=("c" * 64,), grade="05", active=False)
    fact = EnrolmentNoted(learner_id=LEARNER, school_id=SCHOOL, grade="05", active=False, on=date(2026, 11, 24), version=7)
    assert commands_for(heard(told)) == [NoteEnrolment(fact)]


def test_a_level_is_noted_with_its_day_and_order() -> None:
    told = LevelChanged(learner_id=LEARNER, competency_id="A", level=Level.NEARLY, probability_e6=700_000)
    fact = LevelNoted(learner_id=LEARNER, competency_id="A", level=Level.NEARLY, on=date(2026, 11, 24), version=7)
    assert commands_for(heard(told)) == [NoteLevel(fact)]


@pytest.mark.parametrize(
    ("zone", "at", "on"),
    [
        ("Pacific/Honolulu", datetime(2026, 12, 2, 0, 5, tzinfo=UTC), date(2026, 12, 1)),
        ("Pacific/Honolulu", datetime(2026, 12, 2, 9, 59, tzinfo=UTC), date(2026, 12, 1)),
        ("Pacific/Honolulu", datetime(2026, 12, 2, 10, 0, tzinfo=UTC), date(2026, 12, 2)),
        ("America/Los_Angeles", datetime(2026, 7, 2, 6, 59, tzinfo=UTC), date(2026, 7, 1)),
        ("America/Los_Angeles", datetime(2026, 12, 2, 7, 59, tzinfo=UTC), date(2026, 12, 1)),
        ("Pacific/Auckland", datetime(2026, 12, 1, 11, 0, tzinfo=UTC), date(2026, 12, 2)),
        ("UTC", datetime(2026, 12, 1, 23, 59, tzinfo=UTC), date(2026, 12, 1)),
    ],
)
def test_what_is_heard_is_of_the_day_that_it_is_where_the_district_is(zone: str, at: datetime, on: date) -> None:
    said: dict[str, Any] = {"author_id": SCHOOL, "role": Author.TEACHER, "reason": Reason.OTHER, "at": LATE}
    events = (
        LearnerRostered(learner_id=LEARNER, school_id=SCHOOL, aliases=(), grade="05"),
        LevelChanged(learner_id=LEARNER, competency_id="A", level=Level.NEARLY, probability_e6=700_000),
        PrerequisiteWaived(learner_id=LEARNER, competency_id="B", prerequisite_id="A", **said),
    )
    for event in events:
        (command,) = SUBSCRIPTION.commands_by(ZoneInfo(zone))(SimpleNamespace(data=event, time=at, order=7))  # type: ignore[arg-type]
        assert command.fact.on == on  # type: ignore[attr-defined]


def test_what_is_said_of_prerequisites_is_noted_without_who_said_it_and_why() -> None:
    said: dict[str, Any] = {"author_id": SCHOOL, "role": Author.TEACHER, "reason": Reason.OTHER, "at": LATE}
    pair, moved = {"competency_id": "B", "prerequisite_id": "A"}, {"competency_id": "D", "prerequisite_id": "C"}
    beside: dict[str, Any] = {"learner_id": LEARNER, "on": date(2026, 11, 24), "version": 7}
    given = commands_for(heard(PrerequisiteWaived(learner_id=LEARNER, **pair, **said)))
    assert given == [NoteWaivers(WaiversNoted(waived=(WaivedPair(**pair),), **beside))]
    withdrawn = commands_for(heard(WaiverWithdrawn(learner_id=LEARNER, **pair, **said)))
    assert withdrawn == [NoteWaivers(WaiversNoted(ended=(WaivedPair(**pair),), **beside))]
    followed = MovedWaiver(**moved, before=WaivedPair(**pair), **said)
    revised = commands_for(heard(JudgementsMoved(learner_id=LEARNER, settings=3, waivers=(followed,), ended=("A",))))
    assert revised == [NoteWaivers(WaiversNoted(waived=(WaivedPair(**moved),), ended=(WaivedPair(**pair),), **beside))]
    assert commands_for(heard(JudgementsMoved(learner_id=LEARNER, settings=3, ended=("A",)))) == []


def test_preferences_are_noted_without_words() -> None:
    wish = {"areas": (Area.SPACE,), "modalities": (Modality.VIDEO,), "avoided": (Modality.READING,)}
    who = {"learner_id": LEARNER, "author_id": SCHOOL, "role": Role.GUARDIAN, "stated_at": LATE}
    assert commands_for(heard(PreferencesStated(**who, **wish))) == [NotePreferences(PreferencesNoted(**who, **wish))]


def test_pages_are_copied_and_only_the_framework_is_adopted() -> None:
    assert commands_for(heard(MasteryPageAdded(content=[1]))) == [AddPage("pathing", [1])]
    assert commands_for(heard(FrameworkAdopted(set_id="d" * 64, pages=PAGES))) == [AdoptSet("pathing", "framework", PAGES, 7)]
    assert commands_for(heard(CalibrationPublished(set_id="d" * 64, pages=PAGES))) == []


def test_what_pathing_has_no_use_for_asks_for_nothing() -> None:
    assert commands_for(heard(RosterImported(content_hash="e" * 64, source="sis", rows=3))) == []


def test_every_event_that_leads_to_a_command_is_subscribed_to() -> None:
    assert set(SUBSCRIPTION.events) == {
        LearnerRostered, PreferencesStated, LevelChanged, PrerequisiteWaived, WaiverWithdrawn, JudgementsMoved, MasteryPageAdded,
        FrameworkAdopted,
    }  # fmt: skip
    assert [topic.value for topic in SUBSCRIPTION.topics] == ["profile", "mastery"]


def test_sweeps_begin_once_both_sets_are_there_and_again_with_each_version_and_day() -> None:
    framework, catalogue = [competency("A")], [activity("a", "A")]
    one = in_force((FRAMEWORK, framework))
    both = in_force((FRAMEWORK, framework), (CATALOGUE, catalogue), version=4)
    later = Parameters(5, both.values, both.ids)
    on_settings, daily = ticks(None)  # type: ignore[arg-type]  # The context is of no concern to them.
    for parameters in (NO_PARAMETERS, one):
        assert on_settings.name(parameters, "2026-11-24") is None
        assert daily.name(parameters, "2026-11-24") is None
    assert on_settings.name(both, "2026-11-24") == on_settings.name(both, "2026-11-25") != on_settings.name(later, "2026-11-24")
    assert str(pathing.version) in str(on_settings.name(both, "2026-11-24")).split("/"), "an upgrade plans everybody again"
    assert daily.name(both, "2026-11-24") == daily.name(later, "2026-11-24") != daily.name(both, "2026-11-25")


@pytest.mark.parametrize("sweep", [0, 1])
def test_a_sweep_asks_each_learner_to_plan_again(sweep: int) -> None:
    both = in_force((FRAMEWORK, [competency("A")]), (CATALOGUE, [activity("a", "A")]), version=4)
    (command,) = ticks(None)[sweep].commands(str(LEARNER), both, "2026-11-24")  # type: ignore[arg-type]
    assert isinstance(command, Replan)
    assert (command.fact.learner_id, command.fact.settings, command.fact.on) == (LEARNER, 4, date(2026, 11, 24))
    assert str(command.stream) == f"pathing/learner/{LEARNER}"
