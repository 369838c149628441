"""What evidence tells: an act as it was told (accepted), and what it means once learner and alignment are known (recorded)."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import MAX_INTEGER, Event, Hash, Instant, Sealed, Share, SortedTexts

EARLIEST_FIRST_DAY: Final = date(1990, 1, 1)
"""An earlier day is no beginning of a course but a slip, or a placeholder of a system that knows none: it would let work of all times count
for good, since a first day only ever moves back."""


class Kind(StrEnum):
    """What sort of work was judged."""

    ITEM = "item"
    QUIZ = "quiz"
    RUBRIC = "rubric"
    OBSERVATION = "observation"
    PROJECT = "project"
    PORTFOLIO = "portfolio"


class Format(StrEnum):
    """In which words the act was told."""

    CALIPER = "caliper"
    DIRECT = "direct"


class EvidenceAccepted(Event):
    """An act of assessment as a client told it; what the client's 2xx rests on. Key: the alias."""

    TYPE: ClassVar[str] = "evidence.accepted.v1"
    act_id: UUID = Field(description="UUIDv5 of source and the source's own id: the same act always has the same one.")
    alias: Hash = Field(description="How the source knows the person, as a keyed hash.")
    item_id: UUID = Field(description="UUIDv5 of the item's IRI.")
    score_e6: Share
    occurred_at: Instant
    kind: Kind = Kind.ITEM
    format: Format = Format.CALIPER
    duration_ms: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    telling_id: UUID | None = Field(
        default=None, description="The message that told it, where the act has an id of its own (an attempt's)."
    )
    graded_at: Instant | None = Field(default=None, description="When the score was given, where the message is a grade.")


class EvidenceConflicted(Event):
    """A client told the same act again with other content, or of another person; the first telling stands. Key: the first alias."""

    TYPE: ClassVar[str] = "evidence.conflicted.v1"
    told: EvidenceAccepted
    alias: Hash | None = Field(default=None, description="The alias of the first telling, where this one names another person.")


class EvidenceRegraded(Event):
    """An act that was accepted was graded again, or told behind its grade; of all tellings the latest grade counts. Key: the alias."""

    TYPE: ClassVar[str] = "evidence.regraded.v1"
    told: EvidenceAccepted


class EvidenceRecorded(Event):
    """A learner's work was scored. Key: the learner."""

    TYPE: ClassVar[str] = "evidence.recorded.v1"
    evidence_id: UUID = Field(description="The act's id.")
    learner_id: UUID
    item_id: UUID
    competency_ids: SortedTexts = Field(min_length=1, max_length=16, description="GUIDs of items in the adopted CASE framework.")
    score_e6: Share = Field(description="Share of the possible score, in millionths.")
    occurred_at: Instant
    kind: Kind = Kind.ITEM
    duration_ms: int | None = Field(default=None, ge=0, le=MAX_INTEGER, description="Time on the item.")


class AliasNoted(Event):
    """Profile says which learner an alias is; acts that wait for it are released. Key: the alias."""

    TYPE: ClassVar[str] = "evidence.alias-noted.v1"
    alias: Hash
    learner_id: UUID


class ItemAligned(Event):
    """An item gives evidence about these competencies from now on. Key: the item."""

    TYPE: ClassVar[str] = "evidence.item-aligned.v1"
    item_id: UUID
    iri: str = Field(min_length=1, max_length=2048)
    competency_ids: SortedTexts = Field(min_length=1, max_length=16)


class CalendarNoted(Event):
    """Work counts from this day on: a roster, or a person, says that a first course began then. Key: `calendar`."""

    TYPE: ClassVar[str] = "evidence.calendar-noted.v1"
    first_day: date = Field(description="The earliest day that was ever told.")
    author_id: UUID | None = Field(default=None, description="Pseudonymous id of the person who says so; none where a roster does.")


class Cause(StrEnum):
    """Why evidence is corrected or voided; finer words are free text, which travels sealed."""

    SCORED_WRONGLY = "scored-wrongly"
    WRONG_LEARNER = "wrong-learner"
    WRONG_ITEM = "wrong-item"
    FAULTY_ITEM = "faulty-item"
    NOT_OWN_WORK = "not-own-work"
    APPEAL = "appeal"
    REGRADED = "regraded"
    """Whoever told the evidence told a later grade of it."""
    OTHER = "other"


class EvidenceAmended(Event):
    """What every change of recorded evidence says: of which, by whom, why and when. The evidence itself stays as it was told."""

    evidence_id: UUID = Field(description="The act's id.")
    learner_id: UUID
    author_id: UUID = Field(description="Pseudonymous id of whoever asks for it; the message, where the source graded it again.")
    cause: Cause
    words: Sealed | None = Field(default=None, description="The cause in the author's own words.")
    at: Instant = Field(description="When it was asked for.")


class EvidenceRescored(EvidenceAmended):
    """Recorded evidence has another score from now on. Key: the learner."""

    TYPE: ClassVar[str] = "evidence.rescored.v1"
    score_e6: Share
    occurred_at: Instant | None = Field(default=None, description="When it happened, where that is earlier than was recorded.")


class EvidenceVoided(EvidenceAmended):
    """Recorded evidence counts for nothing from now on. Key: the learner."""

    TYPE: ClassVar[str] = "evidence.voided.v1"


EVENTS: tuple[type[Event], ...] = (
    EvidenceAccepted,
    EvidenceConflicted,
    EvidenceRecorded,
    AliasNoted,
    ItemAligned,
    CalendarNoted,
    EvidenceRescored,
    EvidenceVoided,
    EvidenceRegraded,
)
