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
    """What is believed of one competency."""

    competency_id: str


class Estimated(Event):
    """One piece of evidence moved a learner's estimates. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.estimated.v1"
    evidence: EvidenceRecorded
    expected_e6: Share = Field(description="Score that was expected before it was seen.")
    general: Belief
    form: Belief
    competencies: tuple[CompetencyBelief, ...] = Field(description="The competencies of the evidence, after it.")


class Reestimated(Event):
    """Late evidence, or new parameters: the learner's evidence was weighed again in order, and these beliefs came out otherwise. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.re-estimated.v1"
    learner_id: UUID
    evidence: EvidenceRecorded | None = Field(default=None, description="The late evidence; none where parameters changed.")
    settings: int | None = Field(default=None, description="Version of mastery's settings that asked for it; none for late evidence.")
    general: Belief
    form: Belief
    competencies: tuple[CompetencyBelief, ...] = ()


class LevelChanged(Event):
    """What people are told about a learner's competency changes. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.level-changed.v1"
    learner_id: UUID
    competency_id: str
    level: Level
    before: Level = Level.UNKNOWN
    probability_e6: Share = Field(description="Probability that the success rate on the reference item is above the policy's bar.")
    evidence_ids: tuple[UUID, ...] = Field(default=(), description="The evidence that decided it.")


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
