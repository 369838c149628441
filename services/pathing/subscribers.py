"""What pathing does about what profile and mastery tell, and about time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, tzinfo
from typing import Any, Final
from uuid import UUID

from services.pathing.catalogue import CATALOGUE, FRAMEWORK
from services.pathing.domain import NoteEnrolment, NoteLevel, NotePreferences, NoteWaivers, Replan, pathing
from shared.contracts.envelope import Recorded
from shared.contracts.mastery import (
    FrameworkAdopted,
    JudgementsMoved,
    LevelChanged,
    MasteryPageAdded,
    PrerequisiteWaived,
    WaivedPair,
    WaiverWithdrawn,
)
from shared.contracts.pathing import EnrolmentNoted, LevelNoted, PreferencesNoted, ReplanAsked, WaiversNoted
from shared.contracts.profile import LearnerRostered, PreferencesStated
from shared.contracts.topics import Topic
from shared.decider import Command
from shared.parameters import Parameters
from shared.parts import Context, Subscription, Sweep, Tick
from shared.settings_stream import AddPage, AdoptSet
from shared.zones import day_in


def commands_for(event: Recorded[Any], zone: tzinfo = UTC) -> list[Command]:
    """Return what pathing does about another service's event; what it has no use for asks for nothing.

    Calibration pages travel as pages too and are copied like any other: which set a page belongs to is known only when one is adopted.

    Args:
        zone: by whose midnight days begin.
    """
    on = day_in(zone, event.time)
    match event.data:
        case LearnerRostered() as told:
            return [NoteEnrolment(_enrolment(told, event, on))]
        case PreferencesStated() as told:
            return [NotePreferences(_preferences(told))]
        case LevelChanged() as told:
            fact = LevelNoted(
                learner_id=told.learner_id, competency_id=told.competency_id, level=told.level, on=on, version=event.order
            )  # fmt: skip
            return [NoteLevel(fact)]
        case PrerequisiteWaived() as told:
            return [_waivers(told.learner_id, event, on, [_pair(told)])]
        case WaiverWithdrawn() as told:
            return [_waivers(told.learner_id, event, on, ended=[_pair(told)])]
        case JudgementsMoved(waivers=moved) as told if moved:
            return [_waivers(told.learner_id, event, on, map(_pair, moved), [each.before for each in moved])]
        case MasteryPageAdded() as told:
            return [AddPage(Topic.PATHING, told.content)]
        case FrameworkAdopted() as told:
            return [AdoptSet(Topic.PATHING, FRAMEWORK.name, told.pages, event.order)]
        case _:
            return []


def _enrolment(told: LearnerRostered, event: Recorded[Any], on: date) -> EnrolmentNoted:
    return EnrolmentNoted(
        learner_id=told.learner_id, school_id=told.school_id, grade=told.grade, active=told.active, on=on, version=event.order
    )  # fmt: skip


def _waivers(
    learner_id: UUID, event: Recorded[Any], on: date, waived: Iterable[WaivedPair] = (), ended: Iterable[WaivedPair] = ()
) -> NoteWaivers:  # fmt: skip
    return NoteWaivers(WaiversNoted(learner_id=learner_id, waived=tuple(waived), ended=tuple(ended), on=on, version=event.order))


def _pair(told: PrerequisiteWaived | WaiverWithdrawn | WaivedPair) -> WaivedPair:
    return WaivedPair(competency_id=told.competency_id, prerequisite_id=told.prerequisite_id)


def _preferences(told: PreferencesStated) -> PreferencesNoted:
    return PreferencesNoted(
        learner_id=told.learner_id, author_id=told.author_id, role=told.role, stated_at=told.stated_at, areas=told.areas,
        modalities=told.modalities, avoided=told.avoided,
    )  # fmt: skip


def _replan(learner_id: str, parameters: Parameters, today: str) -> list[Command]:
    return [Replan(ReplanAsked(learner_id=UUID(learner_id), settings=parameters.version, on=date.fromisoformat(today)))]


def _ready(parameters: Parameters) -> bool:
    return parameters.id_of(FRAMEWORK) is not None and parameters.id_of(CATALOGUE) is not None


def _settings_name(parameters: Parameters, today: str) -> str | None:
    """Return the sweep that what is in force asks for: by its version, so that going back to an earlier set is swept too, and by that of
    the decider, whose newer version plans everybody again."""
    return f"replan/{parameters.version}/{pathing.version}" if _ready(parameters) else None


def _day_name(parameters: Parameters, today: str) -> str | None:
    """Return the sweep of the day, by which paths learn what day it is: pace changes, and goals come near."""
    return f"day/{today}" if _ready(parameters) else None


def ticks(context: Context) -> Sequence[Tick]:
    """Return what is done in time: every learner's path is planned again on new settings, and once a day."""
    return (Sweep("learner", _settings_name, _replan), Sweep("learner", _day_name, _replan))


SUBSCRIPTION: Final = Subscription(
    (Topic.PROFILE, Topic.MASTERY),
    commands_for,
    (
        LearnerRostered, PreferencesStated, LevelChanged, PrerequisiteWaived, WaiverWithdrawn, JudgementsMoved, MasteryPageAdded,
        FrameworkAdopted,
    ),
    commands_in=commands_for,
)  # fmt: skip
