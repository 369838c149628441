"""Acts, waiting, alignments and counts, as clients see them. Nothing here names a person other than by a pseudonymous id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.evidence import Cause, Format, Kind

Reason = Literal["unknown-learner", "unaligned", "no-first-day", "before-first-day", "being-released"]
REMEDIES: Final[Mapping[Reason, str]] = {
    "unknown-learner": "import a roster that names this learner, with --person-iri where the sender names people in a form of its own",
    "unaligned": "say what the item gives evidence about: PUT /evidence/alignments",
    "no-first-day": "nobody has told yet when courses began: import a roster with academic sessions (one that is under way ends with "
    "them; one that an earlier release took, send again as it was), or name the day: PUT /evidence/calendar",
    "before-first-day": "it happened before the first day of any course: import a roster with the academic session that it belongs to, "
    "or name an earlier day: PUT /evidence/calendar",
    "being-released": "nothing: it is recorded within seconds",
}

CORRECT: Final = "POST /evidence/acts/{act_id}/correction"
VOID: Final = "POST /evidence/acts/{act_id}/void"
SCORE_REMEDY: Final = f"if the other score is right, correct it: {CORRECT}; a later GradeEvent of the attempt does so too"
PERSON_REMEDY: Final = f"the sender calls the work of two people by one id: have it mended there; if this is not hers, {VOID}"
ITEM_REMEDY: Final = f"the sender calls work at two items by one id: have it mended there; if the first is wrong, {VOID}"


class EvidenceView(BaseModel):
    """One piece of a learner's evidence."""

    act_id: UUID
    item_id: UUID
    competency_ids: list[str]
    score_e6: int = Field(description="Share of the possible score as it was told, in millionths.")
    corrected_e6: int | None = Field(default=None, description="The score that it counts with since it was corrected; else null.")
    void: bool = Field(default=False, description="Whether it counts for nothing.")
    occurred_at: datetime
    kind: Kind
    format: Format | None = None
    duration_ms: int | None = None
    recorded_at: datetime


class ConflictView(BaseModel):
    """A later telling of the act that disagrees with the first."""

    score_e6: int
    occurred_at: datetime
    item_id: UUID
    same_person: bool
    told_at: datetime


class DisputeView(BaseModel):
    """An act that was told a second time with other content, which nobody has corrected or voided since."""

    act_id: UUID
    learner_id: UUID | None = Field(description="Whose it is; null while it waits.")
    item_id: UUID
    score_e6: int = Field(description="As it was told first.")
    counts_e6: int = Field(description="The score that counts by now.")
    occurred_at: datetime
    format: Format
    other_score_e6: int = Field(description="As it was told the second time.")
    other_occurred_at: datetime
    other_item_id: UUID
    other_format: Format
    other_telling_id: UUID | None = Field(description="The message that told it, where the act has an id of its own (an attempt's).")
    same_person: bool = Field(description="Whether both tellings name the same learner.")
    told_at: datetime = Field(description="When it was told the second time.")
    remedy: str = Field(description="What to do.")


class AmendmentView(BaseModel):
    """A correction or a void, with its author and cause."""

    void: bool
    score_e6: int | None = None
    author_id: UUID
    cause: Cause
    at: datetime


class ActView(BaseModel):
    """What has become of an act that a client was told is kept."""

    act_id: UUID
    status: Literal["recorded", "waiting"]
    reason: Reason | None = Field(default=None, description="Why it waits.")
    remedy: str | None = Field(default=None, description="What lets it go.")
    item_id: UUID
    score_e6: int
    occurred_at: datetime
    kind: Kind
    format: Format
    duration_ms: int | None = None
    accepted_at: datetime
    learner_id: UUID | None = None
    competency_ids: list[str] = []
    recorded_at: datetime | None = None
    conflicts: list[ConflictView] = []
    amendments: list[AmendmentView] = Field(default=[], description="The latest first, at most 16.")


class WaitingView(BaseModel):
    """An act that waits, and for what."""

    act_id: UUID
    item_id: UUID
    reason: Reason
    remedy: str = Field(description="What lets it go.")
    occurred_at: datetime
    accepted_at: datetime


class Counts(BaseModel):
    """How many acts there are in each state. Always: accepted = recorded + the sum of waiting."""

    accepted: int
    recorded: int
    waiting: dict[Reason, int]
    exact: bool = Field(
        default=True,
        description="False where more than a million wait: for what is then told by a sample. How many do is exact all the same.",
    )
    conflicts: int
    aliases: int = Field(description="Names of learners that are known.")
    items: int = Field(description="Items that are aligned.")


class AlignmentView(BaseModel):
    """What an item gives evidence about."""

    item_id: UUID
    iri: str
    competency_ids: list[str]
