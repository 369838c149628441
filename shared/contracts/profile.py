"""What profile tells: who is known under which alias, where people belong, what learners want, and who was erased. Names and class titles
travel sealed."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import Event, Hash, Instant, Sealed, SortedIds, SortedTexts


class Modality(StrEnum):
    """How an activity is learned."""

    VIDEO = "video"
    READING = "reading"
    PRACTICE = "practice"
    SMALL_GROUP = "small-group"
    TEACHER_LED = "teacher-led"
    PROJECT = "project"


class Area(StrEnum):
    """A broad field of interest; finer words are free text, which travels sealed."""

    ANIMALS = "animals"
    ART = "art"
    COOKING = "cooking"
    GAMES = "games"
    MUSIC = "music"
    NATURE = "nature"
    READING = "reading"
    SCIENCE = "science"
    SPACE = "space"
    SPORTS = "sports"
    TECHNOLOGY = "technology"
    VEHICLES = "vehicles"


class Role(StrEnum):
    """Who says something about a learner."""

    LEARNER = "learner"
    TEACHER = "teacher"
    GUARDIAN = "guardian"


class Asker(StrEnum):
    """Who asks that a learner be erased, or named again."""

    LEARNER = "learner"
    GUARDIAN = "guardian"
    DISTRICT = "district"
    AUTHORITY = "authority"


class ErasureGround(StrEnum):
    """Why a learner is erased."""

    REQUEST = "request"
    RETENTION = "retention"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    ORDER = "order"


class LiftGround(StrEnum):
    """Why a learner who was erased may be named again."""

    MISTAKE = "mistake"
    REQUEST = "request"
    CONSENT_GIVEN = "consent-given"


class LearnerIdentified(Event):
    """Another system's name for a person (its alias) belongs to this learner. Key: the alias."""

    TYPE: ClassVar[str] = "profile.learner-identified.v1"
    alias: Hash
    learner_id: UUID


class LearnerRostered(Event):
    """The SIS says where a learner belongs. Key: the learner."""

    TYPE: ClassVar[str] = "profile.learner-rostered.v1"
    learner_id: UUID
    school_id: UUID
    aliases: SortedTexts = Field(description="Under which other systems know this learner.")
    grade: str = Field(default="", description="Grade level code of the roster, such as `05`.")
    class_ids: SortedIds = ()
    active: bool = Field(default=True, description="Whether enrolled; false once the roster no longer names the learner.")
    name: Sealed | None = Field(default=None, description="Given and family name, as one sealed text.")
    matches: SortedTexts = Field(
        default=(), description="Keyed hashes of the roster's own ids, by which a person who was entered anew is known again."
    )
    source: str = Field(default="", description="The SIS that names this person, as its operator calls it.")


class StaffRostered(Event):
    """The SIS says where a member of staff teaches. Key: the member of staff."""

    TYPE: ClassVar[str] = "profile.staff-rostered.v1"
    staff_id: UUID
    school_id: UUID
    subjects: SortedTexts = Field(
        default=(), description="Subjects of the classes taught, lower case: what the roster says of qualification."
    )
    class_ids: SortedIds = ()
    active: bool = True
    name: Sealed | None = Field(default=None, description="Given and family name, as one sealed text.")
    matches: SortedTexts = Field(
        default=(), description="Keyed hashes of the roster's own ids, by which a person who was entered anew is known again."
    )
    source: str = Field(default="", description="The SIS that names this person, as its operator calls it.")


class SchoolRostered(Event):
    """The SIS names a school, its classes' subjects and its term. Key: the school."""

    TYPE: ClassVar[str] = "profile.school-rostered.v1"
    school_id: UUID
    title: str
    term_starts: date | None = None
    term_ends: date | None = None


class ClassRostered(Event):
    """The SIS names a class of a school. Key: the school."""

    TYPE: ClassVar[str] = "profile.class-rostered.v1"
    class_id: UUID
    school_id: UUID
    title: Sealed | None = Field(default=None, description="As its SIS calls it, which may name its teacher.")
    subjects: SortedTexts = Field(default=(), description="Lower case.")
    grades: SortedTexts = ()
    active: bool = True
    source: str = Field(default="", description="The SIS that names this class, as its operator calls it.")


class PreferencesStated(Event):
    """Somebody says what a learner likes and how she learns best; each author's latest stands beside the others'. Key: the learner."""

    TYPE: ClassVar[str] = "profile.preferences-stated.v1"
    learner_id: UUID
    author_id: UUID
    role: Role
    stated_at: Instant
    areas: tuple[Area, ...] = Field(default=(), description="Broad interests, most wanted first.")
    modalities: tuple[Modality, ...] = Field(default=(), description="Preferred, most wanted first.")
    avoided: tuple[Modality, ...] = Field(default=(), description="To be avoided where there is another way.")
    words: Sealed | None = Field(default=None, description="Interests in the author's own words.")


class RosterImported(Event):
    """A whole roster was taken. Key: the hash of its content, source and templates."""

    TYPE: ClassVar[str] = "profile.roster-imported.v1"
    content_hash: Hash
    source: str = Field(description="The SIS as its operator names it.")
    rows: int = Field(ge=0)
    person_iris: SortedTexts = Field(
        default=(), description="Templates of the IRIs by which other systems name its learners, such as `urn:sis:person:{sourcedId}`."
    )
    first_session: date | None = Field(
        default=None, description="When the earliest academic session of the roster begins that is no placeholder."
    )


REFERENCE: Final = r"^([A-Z]{0,4}[-/]?[0-9][0-9./-]{0,31})?$"
"""A number of the district's own files, such as `DSR-2026-0114`: four letters at most, where a name hardly fits. That it is no date of
birth, and no number by which a learner is known, its form cannot say."""


class LearnerErased(Event):
    """The key that a learner's name, and all words about her, are sealed under is to be destroyed, and none made anew. Key: the learner."""

    TYPE: ClassVar[str] = "profile.learner-erased.v1"
    learner_id: UUID
    asked_by: Asker
    why: ErasureGround
    reference: str = Field(default="", pattern=REFERENCE, description="Number of the request in the district's own files.")


class ErasureLifted(Event):
    """A learner who was erased may be named again, under a fresh key: what was erased stays so. Key: the learner."""

    TYPE: ClassVar[str] = "profile.erasure-lifted.v1"
    learner_id: UUID
    asked_by: Asker
    why: LiftGround
    reference: str = Field(default="", pattern=REFERENCE, description="Number of the request in the district's own files.")


EVENTS: tuple[type[Event], ...] = (
    LearnerIdentified, LearnerRostered, StaffRostered, SchoolRostered, ClassRostered, PreferencesStated, RosterImported,
    LearnerErased, ErasureLifted,
)  # fmt: skip
