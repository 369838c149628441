"""What mastery tells: estimates with their uncertainty, levels, and the framework and calibration they rest on."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import PLACE, Event, Instant, Micros, Part, Sealed, Share, SortedIds, SortedTexts
from shared.contracts.evidence import EvidenceRecorded, EvidenceRescored, EvidenceVoided, Kind
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
    due_minute: int = Field(
        default=0, ge=0, description="When what is mastered is due to be shown again, in minutes since 1970-01-01T00:00Z; 0 for never."
    )
    idle: int = Field(default=0, ge=0, description="Scored events without progress of the mean until now, counted up to 255.")
    idle_days: int = Field(default=0, ge=0, description="Distinct days (UTC) of those, counted up to 255.")


class CompetencyTrace(CompetencyBelief):
    """A belief with all that is remembered beside it, as it is after evidence was weighed again."""

    last_minute: int = Field(default=0, ge=0, description="When it was last worked on, in minutes since 1970-01-01T00:00Z.")
    item_marks: tuple[int, ...] = Field(default=(), description="The distinct items, as 32-bit hashes of their ids.")
    evidence_ids: tuple[UUID, ...] = Field(default=(), description="The last evidence about it, in order of time; none since version 2.")
    best_e6: Micros = Field(default=0, description="General and competency mean together when there last was progress.")
    kinds: tuple[Kind, ...] = Field(default=(), description="Kinds of evidence that were seen, in the order of their list.")


class ItemTrace(Part):
    """What is remembered of an item that was worked on lately."""

    mark: int = Field(ge=0, description="53-bit hash of the item's id.")
    last_minute: int = Field(ge=0, description="In minutes since 1970-01-01T00:00Z.")
    count: int = Field(ge=1, description="How often, counted up to 255.")
    percent: int = Field(ge=0, le=100, description="The last score, rounded down to a hundredth.")


class Due(Part):
    """When a competency that is mastered is due to be shown again."""

    competency_id: str
    due_minute: int = Field(ge=0, description="In minutes since 1970-01-01T00:00Z.")


class Estimated(Event):
    """One piece of evidence moved a learner's estimates. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.estimated.v1"
    evidence: EvidenceRecorded
    expected_e6: Share = Field(description="Score that was expected before it was seen.")
    general: Belief
    form: Belief
    competencies: tuple[CompetencyBelief, ...] = Field(description="The competencies of the evidence, after it.")
    due: tuple[Due, ...] = Field(default=(), description="Other competencies that were due to be shown again, and are so later now.")


class Reestimated(Event):
    """Late, corrected or voided evidence, or new parameters: all of a learner's evidence was weighed again in order of time, and this came
    out otherwise.

    What is not named stays as it was. It cites what led to it, and by the id of the evidence that which it supersedes. Key: the learner.
    """

    TYPE: ClassVar[str] = "mastery.re-estimated.v1"
    learner_id: UUID
    evidence: EvidenceRecorded | None = Field(default=None, description="The late evidence; none where parameters changed.")
    settings: int | None = Field(default=None, description="Version of mastery's settings that asked for it; none for late evidence.")
    general: Belief
    form: Belief
    competencies: tuple[CompetencyTrace, ...] = ()
    items: tuple[ItemTrace, ...] | None = Field(default=None, description="All items remembered from now on, the latest last.")
    rescored: EvidenceRescored | None = Field(default=None, description="The correction that led to it.")
    voided: EvidenceVoided | None = Field(default=None, description="The void that led to it.")
    gone: SortedTexts = Field(default=(), description="Competencies of which no evidence is left, or that another one replaced.")
    held: SortedTexts | None = Field(
        default=None, description="All competencies that stay mastered although what is in force alone would not grant it."
    )


class LevelChanged(Event):
    """What people are told about a learner's competency changes. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.level-changed.v1"
    learner_id: UUID
    competency_id: str
    level: Level
    before: Level = Level.UNKNOWN
    probability_e6: Share = Field(description="Probability that the success rate on the reference item is above the policy's bar.")
    evidence_ids: tuple[UUID, ...] = Field(default=(), description="The last evidence that decided it, in order of time; at most 3.")
    due_minute: int = Field(default=0, ge=0, description="When what is mastered now is due to be shown again; 0 for never or unknown.")
    override: bool = Field(default=False, description="Whether a person set this level, in place of the one that the estimate gives.")


class LevelHeld(Event):
    """What people would be told about a competency changes, but a person set its level: they are told that one. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.level-held.v1"
    learner_id: UUID
    competency_id: str
    level: Level
    before: Level = Level.UNKNOWN
    probability_e6: Share
    evidence_ids: tuple[UUID, ...] = ()
    due_minute: int = Field(default=0, ge=0)


class PersonNeeded(Event):
    """Much work on a competency brought no progress: more items will not help, a person may. Or that is over. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.person-needed.v1"
    learner_id: UUID
    competency_id: str
    needed: bool = True
    idle: int = Field(default=0, ge=0, description="Scored events without progress.")
    idle_days: int = Field(default=0, ge=0, description="Distinct days of those.")
    evidence_id: UUID | None = Field(default=None, description="The evidence that decided it.")


class Author(StrEnum):
    """In which office somebody decides about a learner."""

    TEACHER = "teacher"
    COUNSELOR = "counselor"
    PRINCIPAL = "principal"


class Reason(StrEnum):
    """Why a person decides otherwise than the estimate; finer words are free text, which travels sealed."""

    SHOWN_IN_PERSON = "shown-in-person"
    PRIOR_LEARNING = "prior-learning"
    ACCOMMODATION = "accommodation"
    DOUBTFUL_EVIDENCE = "doubtful-evidence"
    RETEACH = "reteach"
    OTHER = "other"


class Judgement(Event):
    """What every decision of a person says of its author."""

    learner_id: UUID
    competency_id: str
    author_id: UUID = Field(description="Pseudonymous id of whoever decides.")
    role: Author
    reason: Reason
    words: Sealed | None = Field(default=None, description="The reason in the author's own words.")
    at: Instant = Field(description="When it was said.")


class OverrideGiven(Judgement):
    """A person sets the level of a competency until some day. It wins; the estimate goes on beneath it. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.override-given.v1"
    level: Level
    until: Instant


class OverrideEnded(Event):
    """The level that a person set is no more: its time came, or it was withdrawn. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.override-ended.v1"
    learner_id: UUID
    competency_id: str
    at: Instant
    author_id: UUID | None = Field(default=None, description="Who withdrew it; none where its time came.")
    role: Author | None = None


class PrerequisiteWaived(Judgement):
    """A person says that this prerequisite shall not hold back this competency, for this learner. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.prerequisite-waived.v1"
    prerequisite_id: str


class WaiverWithdrawn(Judgement):
    """A prerequisite counts again for this learner; what was mastered meanwhile stays. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.waiver-withdrawn.v1"
    prerequisite_id: str


class MovedOverride(Part):
    """A level that a person set, as it goes on under another competency; who said it, why and when is as it was said."""

    competency_id: str = Field(description="Under which it goes on.")
    before_id: str = Field(description="Of which it was said.")
    level: Level
    until: Instant
    author_id: UUID
    role: Author
    reason: Reason
    words: Sealed | None = None
    at: Instant


class WaivedPair(Part):
    """A competency, and the prerequisite that shall not hold it back."""

    competency_id: str
    prerequisite_id: str


class MovedWaiver(WaivedPair):
    """A waiver, as it goes on for another pair of competencies; who said it, why and when is as it was said."""

    before: WaivedPair = Field(description="Of which it was said; that is waived no more.")
    author_id: UUID
    role: Author
    reason: Reason
    words: Sealed | None = None
    at: Instant


class JudgementsMoved(Event):
    """A revision of the framework replaced competencies of which people had said something: that goes on under those which stand in their
    place, unless something was said of these later. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.judgements-moved.v1"
    learner_id: UUID
    settings: int = Field(description="Version of mastery's settings that asked for it.")
    overrides: tuple[MovedOverride, ...] = ()
    waivers: tuple[MovedWaiver, ...] = ()
    ended: SortedTexts = Field(default=(), description="Competencies whose level no person sets any more.")


class EvidenceDeferred(Event):
    """Evidence names no competency of the frameworks in force: it counts for nothing until one of them does. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.evidence-deferred.v1"
    evidence: EvidenceRecorded


class MembershipNoted(Event):
    """Profile says which classes a learner is in. Key: the learner."""

    TYPE: ClassVar[str] = "mastery.membership-noted.v1"
    learner_id: UUID
    class_ids: SortedIds = ()
    version: int = Field(ge=1, description=PLACE)
    left: SortedIds = Field(default=(), description="Classes that the learner was in until now.")


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


class PolicyAdopted(ParameterSetAdopted):
    """The rules by which competencies count as mastered from now on, one for each family. Key: settings."""

    TYPE: ClassVar[str] = "mastery.policy-adopted.v1"
    KIND: ClassVar[str] = "policy"


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
    framework: str = Field(
        default="", description="GUID of the CASE document it stands in; empty where that was withdrawn or, of old, never told."
    )
    family: str = Field(default="", max_length=64, description="Competencies that are judged by the same policy, lower case.")
    replaced_by: SortedTexts = Field(default=(), description="Competencies that stand in its place since a revision.")
    similar: SortedTexts = Field(default=(), description="Competencies that mean the same, or nearly.")
    also_in: SortedTexts = Field(default=(), description="Other CASE documents that name it; it goes to one of them if its own drops it.")
    replaced_elsewhere: SortedTexts = Field(
        default=(), description="What is to stand in its place as soon as it can be shown by a framework in force."
    )


EVENTS: tuple[type[Event], ...] = (
    Estimated, Reestimated, LevelChanged, LevelHeld, PersonNeeded, OverrideGiven, OverrideEnded, PrerequisiteWaived, WaiverWithdrawn,
    JudgementsMoved, EvidenceDeferred, MembershipNoted, MasteryPageAdded, FrameworkAdopted, CalibrationPublished, PolicyAdopted,
)  # fmt: skip
