"""What profile's queries return."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.profile import Area, Asker, ErasureGround, LiftGround, Modality, Role


class SchoolView(BaseModel):
    """A school and its term."""

    school_id: UUID
    title: str
    term_starts: date | None
    term_ends: date | None = Field(description="The first day after the term.")


class Unread(BaseModel):
    """Why a name, a title or words cannot be read, though nobody erased them."""

    code: str = Field(description="`key-missing`, `key-damaged` or `text-damaged`.")
    detail: str
    remedy: str


class ClassView(BaseModel):
    """A class of a school."""

    class_id: UUID
    school_id: UUID
    title: str = Field(description="Empty where it was erased.")
    subjects: list[str]
    grades: list[str]
    active: bool
    unreadable: Unread | None = Field(description="Why the title cannot be read.")


class PersonView(BaseModel):
    """A person of a school. Names are empty where they were erased, or are `unreadable`."""

    given_name: str
    family_name: str
    school_id: UUID
    class_ids: list[UUID]
    active: bool = Field(description="False once the roster no longer names the person.")
    unreadable: Unread | None = Field(description="Why the name cannot be read.")


class LearnerView(PersonView):
    """A learner."""

    learner_id: UUID
    grade: str
    erased_on: date | None = Field(description="The day (UTC) on which her name, and all words about her, were erased.")


class StaffView(PersonView):
    """A member of staff."""

    staff_id: UUID
    subjects: list[str]


class PreferenceView(BaseModel):
    """What one author said last of a learner's likes, and when."""

    author_id: UUID
    role: Role
    stated_at: datetime
    areas: list[Area]
    modalities: list[Modality]
    avoided: list[Modality]
    words: str = Field(description="In the author's own words; empty where there are none.")
    unreadable: Unread | None = Field(description="Why the words cannot be read.")


class LearnerDetail(LearnerView):
    """A learner's profile."""

    school: SchoolView | None
    classes: list[ClassView]
    aliases: int = Field(description="Under how many ids other systems may know her.")
    source: str = Field(description="The SIS that names her.")
    preferences: list[PreferenceView] = Field(description="Each author's latest, the newest first, of the 16 who spoke last.")


class ErasureView(BaseModel):
    """Whether a learner is erased, or was and may be named again."""

    learner_id: UUID
    erased: bool = Field(description="False where the erasure was lifted: the next roster names her again.")
    since: datetime
    asked_by: Asker
    why: ErasureGround | LiftGround
    reference: str = Field(description="Number of the request in the district's own files; may be empty.")
    finished: bool = Field(description="False while a key of hers is still to be destroyed, which the service does by itself.")


class Sealings(BaseModel):
    """How many texts about a learner profile's record holds under her key."""

    names: int
    words: int


class UnderWay(BaseModel):
    """A roster that is recorded, and taken step by step."""

    content_hash: str
    source: str
    recorded_at: datetime
    events_left: int


class ImportView(BaseModel):
    """A roster that was taken."""

    content_hash: str
    source: str
    rows: int
    person_iris: list[str] = Field(description="How other systems name its learners: the templates that came with it.")
    imported_at: datetime
