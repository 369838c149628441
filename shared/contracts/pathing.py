"""What pathing tells: a learner's path with a reason for each step, her goals and choices, and what she needs of a school day."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import PLACE, Event, Instant, Micros, Part, Share, SortedTexts
from shared.contracts.mastery import Level, WaivedPair
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted, ParameterSetNoted
from shared.contracts.profile import Area, Modality, Role

MAX_STEPS = 12
MAX_OPTIONS = 3
MAX_GOALS = 64


class Reason(StrEnum):
    """Why a step is on a path."""

    GOAL = "goal"
    PREREQUISITE = "prerequisite"
    GAP = "gap"
    REVIEW = "review"
    ENRICHMENT = "enrichment"
    CHOICE = "choice"
    PIN = "pin"


class Pace(StrEnum):
    """How a learner stands against her dates."""

    ON_TRACK = "on-track"
    AT_RISK = "at-risk"
    AHEAD = "ahead"
    NO_DATE = "no-date"


class Option(Part):
    """One way to take a step."""

    activity_id: str
    modality: Modality
    minutes: int = Field(ge=1, le=600)
    score: Micros = Field(description="How well it fits the learner; larger is better.")


class Step(Part):
    """One competency to work on, with alternatives of different modality, best or chosen first."""

    competency_id: str
    subject: str
    reason: Reason
    goal_id: str = Field(default="", description="The competency of the goal it serves.")
    options: tuple[Option, ...] = Field(min_length=1, max_length=MAX_OPTIONS)
    chosen: str = Field(default="", description="Activity the learner chose, if any.")
    waits: bool = Field(default=False, description="Of a need: it waits for earlier needs of the same subject, which wait for none.")


class Goal(Part):
    """A competency to master, until when, and how much it matters."""

    competency_id: str = Field(min_length=1, max_length=64)
    due: date | None = None
    weight_e6: Share = 1_000_000


class EnrolmentNoted(Event):
    """Where a learner belongs, copied from profile. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.enrolment-noted.v1"
    learner_id: UUID
    school_id: UUID
    grade: str = ""
    active: bool = True
    on: date = Field(description="The day it was told, from which pace is counted.")
    version: int = Field(default=0, ge=0, description=f"{PLACE} The largest is in force.")


class LevelNoted(Event):
    """A learner's level in a competency, copied from mastery. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.level-noted.v1"
    learner_id: UUID
    competency_id: str
    level: Level
    on: date = Field(description="The day of the decision, from which pace is counted.")
    version: int = Field(default=0, ge=0, description=f"{PLACE} The largest is in force.")
    moved: bool = Field(
        default=False, description="A revision has replaced the competency: the level before this one counts for what stands in its place."
    )
    finished: SortedTexts = Field(
        default=(), description="Competencies that a revision replaced by this one, whose chosen steps are done with it, too."
    )


class WaiversNoted(Event):
    """Prerequisites that shall not hold a learner back, or shall again, copied from mastery. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.waivers-noted.v1"
    learner_id: UUID
    waived: tuple[WaivedPair, ...] = ()
    ended: tuple[WaivedPair, ...] = Field(default=(), description="Waived no more.")
    on: date = Field(description="The day it was told, from which pace is counted.")
    version: int = Field(default=0, ge=0, description=f"{PLACE} Of each pair the largest counts.")


class PreferencesNoted(Event):
    """How a learner likes to learn, copied from profile. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.preferences-noted.v1"
    learner_id: UUID
    author_id: UUID
    role: Role
    stated_at: Instant
    areas: tuple[Area, ...] = ()
    modalities: tuple[Modality, ...] = ()
    avoided: tuple[Modality, ...] = ()


class GoalsSet(Event):
    """A learner's goals from now on, in place of those before; without any, her grade's competencies are the goal. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.goals-set.v1"
    learner_id: UUID
    author_id: UUID
    role: Role
    set_at: Instant
    goals: tuple[Goal, ...] = Field(max_length=MAX_GOALS)
    on: date | None = Field(default=None, description="The day on which they were set, where the district is; without it that of UTC.")


class ActivityChosen(Event):
    """A learner chose how to take a step. It holds until the step is done. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.activity-chosen.v1"
    learner_id: UUID
    competency_id: str
    activity_id: str
    chosen_at: Instant
    on: date | None = Field(default=None, description="The day on which she chose, where the district is; without it that of UTC.")


class ReplanAsked(Event):
    """Framework, catalogue or the day changed, and the learner's path with it. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.replan-asked.v1"
    learner_id: UUID
    settings: int = Field(description="Version of pathing's settings that is to be planned with.")
    on: date = Field(description="The day from which pace is counted.")


class PathPlanned(Event):
    """A learner's path from now on, in place of the one before. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.path-planned.v1"
    learner_id: UUID
    school_id: UUID
    steps: tuple[Step, ...] = Field(default=(), max_length=MAX_STEPS)
    pace: Pace = Pace.NO_DATE
    minutes_needed: int = Field(default=0, ge=0, description="To master all goals.")
    due: date | None = Field(default=None, description="The date that pace is measured against.")
    due_subject: str = Field(default="", description="The subject whose goals make it that date.")
    due_minutes: int | None = Field(
        default=None, ge=0, description="To master what is due in that subject by that date. Versions of the decider before 5 tell none."
    )


class DemandChanged(Event):
    """What a learner needs of a school day: her next steps per subject, best first. Key: the learner."""

    TYPE: ClassVar[str] = "pathing.demand-changed.v1"
    learner_id: UUID
    school_id: UUID
    version: int = Field(ge=1, description="Counts this learner's demands; the one told last is in force.")
    needs: tuple[Step, ...] = Field(default=(), max_length=MAX_STEPS, description="At most three for each subject.")
    check_in: bool = Field(default=False, description="Behind pace: an adult must talk with her.")
    path_empty: bool = Field(
        default=False, description="She belongs to this school, and nothing is on her path. Without it, who needs nothing is gone from it."
    )


class Activity(Part):
    """One entry of a catalogue page."""

    id: str = Field(min_length=1, max_length=64)
    title: str = Field(max_length=200)
    competency_id: str = Field(min_length=1, max_length=64)
    modality: Modality
    minutes: int = Field(ge=1, le=600)
    levels: SortedTexts = Field(default=(), description="Levels it suits; empty: all.")
    areas: SortedTexts = Field(default=(), description="Interests it speaks to.")
    gain_e6: Micros = Field(default=0, ge=0, description="Expected gain of the logit.")


class PathingPageAdded(ParameterPageAdded):
    """A page of a framework (copied from mastery) or catalogue. Key: settings."""

    TYPE: ClassVar[str] = "pathing.parameter-page-added.v1"


class FrameworkNoted(ParameterSetNoted):
    """The framework that mastery adopted, as pathing plans with it. Key: settings."""

    TYPE: ClassVar[str] = "pathing.framework-noted.v1"
    KIND: ClassVar[str] = "framework"


class CatalogueAdopted(ParameterSetAdopted):
    """The activities from now on. Key: settings."""

    TYPE: ClassVar[str] = "pathing.catalogue-adopted.v1"
    KIND: ClassVar[str] = "catalogue"


EVENTS: tuple[type[Event], ...] = (
    EnrolmentNoted, LevelNoted, WaiversNoted, PreferencesNoted, GoalsSet, ActivityChosen, ReplanAsked, PathPlanned, DemandChanged,
    PathingPageAdded, FrameworkNoted, CatalogueAdopted,
)  # fmt: skip
