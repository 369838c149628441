"""What mastery tells: estimates with their uncertainty, levels, and the framework and calibration they rest on."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import Event, Micros, Part, Share, SortedTexts
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted


class Level(StrEnum):
    """What people are told about a competency."""

    UNKNOWN = "not-enough-evidence"
    DEVELOPING = "developing"
    NEARLY = "nearly"
    MASTERED = "mastered"
    REVERIFY = "re-verify-due"


class Belief(Part):
    """A normal distribution on the logit scale, in micro-units."""

    mean_e6: Micros
    variance_e6: int = Field(ge=0)


class CompetencyBelief(Belief):
    """What is believed of one competency, and how broad the evidence is."""

    competency_id: str
    scored: int = Field(default=0, ge=0, description="Scored events; an item repeated on the same day counts once, counted up to 255.")
    items: int = Field(default=0, ge=0, description="Distinct items, counted up to 3.")
    days: int = Field(default=0, ge=0, description="Distinct days (UTC), counted up to 255.")


class CompetencyTrace(CompetencyBelief):
    """A belief with all that is remembered beside it, as it is after evidence was weighed again."""

    last_minute: int = Field(default=0, ge=0, description="When it was last worked on, in minutes since 1970-01-01T00:00Z.")
    item_marks: tuple[int, ...] = Field(default=(), description="The distinct items, as 32-bit hashes of their ids.")
    evidence_ids: tuple[UUID, ...] = Field(default=(), description="The last evidence about it, in order of time.")


class ItemTrace(Part):
    """What is remembered of an item that was worked on lately."""

    mark: int = Field(ge=0, description="53-bit hash of the item's id.")
    last_minute: int = Field(ge=0, description="In minutes since 1970-01-01T00:00Z.")
    count: int = Field(ge=1, description="How often, counted up to 255.")
    percent: int = Field(ge=0, le=100, description="The last score, rounded down to a hundredth.")


class Estimated(Event):
    """One piece of evidence moved a learner's estimates. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.estimated.v1"
    evidence: EvidenceRecorded
    expected_e6: Share = Field(description="Score that was expected before it was seen.")
    general: Belief
    form: Belief
    competencies: tuple[CompetencyBelief, ...] = Field(description="The competencies of the evidence, after it.")


class Reestimated(Event):
    """Late evidence, or new parameters: all of a learner's evidence was weighed again in order of time, and this came out otherwise.

    What is not named stays as it was. Key: the learner.
    """

    TYPE: ClassVar[str] = "mastery.re-estimated.v1"
    learner_id: UUID
    evidence: EvidenceRecorded | None = Field(default=None, description="The late evidence; none where parameters changed.")
    settings: int | None = Field(default=None, description="Version of mastery's settings that asked for it; none for late evidence.")
    general: Belief
    form: Belief
    competencies: tuple[CompetencyTrace, ...] = ()
    items: tuple[ItemTrace, ...] | None = Field(default=None, description="All items remembered from now on, the latest last.")


class LevelChanged(Event):
    """What people are told about a learner's competency changes. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.level-changed.v1"
    learner_id: UUID
    competency_id: str
    level: Level
    before: Level = Level.UNKNOWN
    probability_e6: Share = Field(description="Probability that the success rate on the reference item is above the policy's bar.")
    evidence_ids: tuple[UUID, ...] = Field(default=(), description="The last evidence that decided it, in order of time; at most 3.")


class MasteryPageAdded(ParameterPageAdded):
    """A page of a framework or calibration. Key: settings."""

    TYPE: ClassVar[str] = "mastery.parameter-page-added.v1"


class FrameworkAdopted(ParameterSetAdopted):
    """The competencies and their prerequisites from now on; each page is an array of `Competency` values. Key: settings."""

    TYPE: ClassVar[str] = "mastery.framework-adopted.v1"
    KIND: ClassVar[str] = "framework"


class CalibrationPublished(ParameterSetAdopted):
    """The numbers of the filter and of the mastery rule from now on. Key: settings."""

    TYPE: ClassVar[str] = "mastery.calibration-published.v1"
    KIND: ClassVar[str] = "calibration"


class Competency(Part):
    """One entry of a framework page."""

    id: str = Field(min_length=1, max_length=64, description="GUID of the CASE item.")
    statement: str = Field(max_length=2000)
    code: str = Field(default="", max_length=64, description="The human coding scheme, such as `5.NF.A.1`.")
    subject: str = Field(default="", max_length=64, description="Lower case.")
    grades: SortedTexts = Field(default=(), description="Grade level codes, such as `05`.")
    parent: str = Field(default="", description="Competency this one is a child of.")
    prerequisites: SortedTexts = Field(default=(), description="Ids of competencies that come before it.")
    assessable: bool = Field(default=True, description="False for headings that only group others.")


EVENTS: tuple[type[Event], ...] = (Estimated, Reestimated, LevelChanged, MasteryPageAdded, FrameworkAdopted, CalibrationPublished)
