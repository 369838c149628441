"""What mastery shows: the framework, what is known of a learner and why, what learners need, what people set, and what waits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.envelope import Sealed
from shared.contracts.evidence import Kind
from shared.contracts.mastery import Author, Level, Reason

REMEDY: Final = (
    "import the framework that names these competencies, and this evidence counts; where the item's alignment is wrong, void the act, "
    "mend the alignment (PUT /evidence/alignments), and tell the act anew under another id"
)


class FrameworkView(BaseModel):
    """All frameworks in force, together."""

    framework_id: str | None
    competencies: int
    assessable: int
    prerequisites: int = Field(description="Links between a competency and one that comes before it.")
    replaced: int = Field(description="Competencies whose evidence counts for others since a revision.")
    frameworks: dict[str, int] = Field(description="Competencies by CASE document; under an empty id what was withdrawn and stays known.")
    goals: dict[str, int] = Field(description="Those that can be shown.")
    families: dict[str, int] = Field(description="Competencies by family.")
    subjects: dict[str, int]
    grades: dict[str, int]


class CompetencyView(BaseModel):
    """What is known of a learner's competency now."""

    competency_id: str
    code: str = Field(default="", description="As the framework in force calls it.")
    level: Level = Field(description="What people are told now: what a person set, else what the estimate gives; what is overdue as due.")
    mean_e6: int = Field(description="Of the logit of an answer to the reference item, in millionths.")
    sd_e6: int = Field(description="Standard deviation of that logit, in millionths.")
    success_e6: int = Field(description="Success rate expected on the reference item, in millionths.")
    probability_e6: int = Field(description="Probability that the success rate is above the policy's bar, in millionths.")
    scored: int = Field(description="Scored events; an item that is remembered counts once.")
    items: int = Field(description="Distinct items, counted up to 3.")
    days: int = Field(description="Distinct days, those of the time zone that the policy names.")
    override: bool = Field(default=False, description="Whether a person set the level.")
    due_at: datetime | None = Field(default=None, description="When what is mastered is due to be shown again, were nothing more to come.")
    stuck: bool = Field(default=False, description="Whether much work brought no progress: a person is needed.")


class ChangeView(BaseModel):
    """A change of what people are told."""

    competency_id: str
    level: Level
    before: Level
    probability_e6: int
    evidence_ids: list[UUID]
    changed_at: datetime
    override: bool = Field(description="Whether a person set the level.")
    version: int = Field(description="Of the learner's stream.")


class Need(StrEnum):
    """What follows for a learner from the level of a competency."""

    MASTERED = "mastered"
    WORKING_ON = "working-on"
    GAP = "gap-in-prerequisite"
    ENRICHMENT = "ready-for-enrichment"
    UNKNOWN = "not-enough-evidence"


class NeedView(BaseModel):
    """What a learner needs in one competency."""

    learner_id: UUID
    competency_id: str
    code: str = Field(default="", description="As the framework in force calls it.")
    need: Need
    level: Level = Field(description="What people are told now; what is overdue is told as due.")
    override: bool = Field(description="Whether a person set the level.")
    stuck: bool = Field(description="Whether much work brought no progress: a person is needed.")
    gaps: list[str] = Field(description="Prerequisites that are not mastered and not waived.")
    scored: int
    days: int
    changed_at: datetime | None = Field(description="When the level was told; null before any was.")


class NeedsView(BaseModel):
    """The needs of a learner or a class: counts of all of them, and a page of those asked for."""

    counts: dict[Need, int] = Field(description="By need, whatever the filters `need` and `stuck` say.")
    stuck: int = Field(description="Competencies for which a person is needed.")
    members: int = Field(description="Learners who are in the class now; 1 where a learner is asked about.")
    learners: int = Field(description="Those of them of whom anything is known, within `subject` and `competency`.")
    items: list[NeedView]
    next: str | None = Field(default=None, description="Send it as `after` for what follows; nothing follows where it is null.")


class Judged(BaseModel):
    """Who decided, why and when."""

    competency_id: str
    author_id: UUID
    role: Author
    reason: Reason
    words: Sealed | None = Field(description="The reason in the author's own words, sealed under the learner's key.")
    at: datetime


class OverrideView(Judged):
    """A level that a person set."""

    level: Level
    until: datetime


class WaiverView(Judged):
    """A prerequisite that a person waived."""

    prerequisite_id: str


class DeferredView(BaseModel):
    """Evidence that waits for a framework."""

    evidence_id: UUID
    learner_id: UUID
    item_id: UUID
    competency_ids: list[str] = Field(description="Ids that no framework in force names.")
    occurred_at: datetime
    deferred_at: datetime
    reason: Literal["unknown-competency"] = "unknown-competency"
    remedy: str = REMEDY


class Contribution(BaseModel):
    """A part of the expectation."""

    part: str = Field(description="`item`, `learner`, `competency`, `form` or `same-item`.")
    logit_e6: int
    decides: bool = Field(description="Whether the level rests on it.")
    words: str


class Prerequisite(BaseModel):
    """A competency that comes before."""

    competency_id: str
    code: str = ""
    level: Level
    met: bool = Field(description="Mastered, or waived for this learner.")
    waived: bool = False


class Similar(BaseModel):
    """A competency that means the same, or nearly, often of another framework. Nothing is decided by it."""

    competency_id: str
    code: str = ""
    level: Level = Field(description="What is told of it for this learner.")


class Mover(BaseModel):
    """A piece of evidence, and what it did to the estimate: found by leaving it out and weighing all that follows again."""

    evidence_id: UUID
    occurred_at: datetime
    kind: Kind
    score_e6: int
    logit_e6: int = Field(description="By how much the mean of the reference item's logit is higher with it than without.")
    probability_e6: int = Field(description="Likewise, the probability of reaching the bar.")
    words: str


class Sentence(BaseModel):
    """A sentence in English, and the key and values from which it is said in another language."""

    key: str
    values: dict[str, Any]
    text: str


class Why(CompetencyView):
    """Why a competency stands as it does: in words for teachers, in numbers for auditors."""

    learner_id: UUID
    statement: str = ""
    words: str
    said: list[Sentence] = Field(description="All that is said here in words, ready to be translated.")
    since: datetime | None = Field(default=None, description="When this level was first told; null before any was.")
    contributions: list[Contribution]
    moved_most: list[Mover] = Field(description="The three pieces of evidence that moved it most, of the last 20 about it.")
    missing: list[str] = Field(description="What stands between the learner and `mastered`, in words.")
    right_answers_needed: int | None = Field(description="Right answers to short items at standard difficulty; null where 20 would not do.")
    prerequisites: list[Prerequisite]
    similar: list[Similar] = Field(description="What means the same, or nearly; shown only.")
    set_by_a_person: OverrideView | None = None
    bar_e6: int = Field(description="Success rate on the reference item that counts as knowing.")
    certainty_e6: int = Field(description="Probability asked for.")
    policy: dict[str, Any] = Field(description="All numbers by which this competency is judged, and which days count.")
    evidence_ids: list[UUID] = Field(description="The last evidence about it, the latest first, at most 20.")
    decided_by: list[UUID] = Field(description="The evidence that decided the level that is told.")
    framework_id: str | None
    calibration_id: str | None = Field(description="The filter's numbers; null for those that ship with the release.")
    policy_id: str | None = Field(description="The district's policy; null while the calibration's rule is the policy.")
    settings: int = Field(description="Version of mastery's settings at the level's last change; 0 before any.")
