"""What the roster and people say, and when it is news. A thing told again as it stands is none.

Streams: `alias/<alias>`, `learner/<id>`, `staff/<id>`, `school/<id>`, `class/<id>` (key: the school), `roster/<content hash>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from shared.contracts.envelope import Event, Sealed, StreamId, canonical, digest
from shared.contracts.profile import (
    ClassRostered,
    LearnerIdentified,
    LearnerRostered,
    PreferencesStated,
    RosterImported,
    SchoolRostered,
    StaffRostered,
)
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import Parameters

MAX_AUTHORS: Final = 16
"""People whose statements about one learner stand beside each other: whoever speaks takes the place of who has been silent longest."""

Told: TypeAlias = LearnerRostered | StaffRostered | SchoolRostered | ClassRostered
"""What a roster says of one person or thing, in place of what it said before."""


@dataclass(frozen=True)
class IdentifyLearner:
    """Say that another system's name for a person, as an alias, belongs to this learner from now on, whosever it was.

    Whether it may pass on is for the roster to say, the whole truth of its source: see `aliases.claimed`.
    """

    alias: str
    learner_id: UUID

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "alias", self.alias)


@dataclass(frozen=True)
class TakeRostered:
    """Take what a roster says of a person or thing from now on."""

    told: Told

    @property
    def stream(self) -> StreamId:
        match self.told:
            case LearnerRostered(learner_id=learner_id):
                return StreamId("profile", "learner", str(learner_id))
            case StaffRostered(staff_id=staff_id):
                return StreamId("profile", "staff", str(staff_id))
            case SchoolRostered(school_id=school_id):
                return StreamId("profile", "school", str(school_id))
            case ClassRostered(class_id=class_id, school_id=school_id):
                return StreamId("profile", "class", str(class_id), str(school_id))


@dataclass(frozen=True)
class StatePreferences:
    """Say what a learner likes, in place of what the same author said before."""

    told: PreferencesStated

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "learner", str(self.told.learner_id))


@dataclass(frozen=True)
class NoteImport:
    """Note that a whole roster was taken."""

    told: RosterImported

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "roster", self.told.content_hash)


@dataclass(frozen=True)
class AliasState:
    """Whose alias it is."""

    learner_id: UUID | None = None


@dataclass(frozen=True)
class RosteredState:
    """What was last told, as a hash: all that is ever asked is whether it changed."""

    told: str = ""


@dataclass(frozen=True)
class ImportState:
    """Whether a roster was taken, and whether it was told with the day on which its first session begins."""

    taken: bool = False
    dated: bool = False


@dataclass(frozen=True)
class Statement:
    """When an author last said something, and its hash."""

    at: datetime
    said: str


@dataclass(frozen=True)
class LearnerState:
    """What the roster last told of a learner, as a hash, and each author's latest statement, in the order in which they were told."""

    told: str = ""
    statements: dict[UUID, Statement] = field(default_factory=dict)


def fingerprint(told: Event) -> str:
    """Return a hash of what is told that is the same for equal texts, however they were sealed."""
    body = told.body()
    for name in told.__class__.model_fields:
        if isinstance(getattr(told, name), Sealed):
            body[name] = getattr(told, name).mac
    return digest(canonical(body))


def _decide_alias(command: IdentifyLearner, state: AliasState, parameters: Parameters, history: History = ()) -> list[Event]:
    """Return the alias's learner as an event; nothing, if it was known."""
    return [] if state.learner_id == command.learner_id else [LearnerIdentified(alias=command.alias, learner_id=command.learner_id)]


def _evolve_alias(state: AliasState, event: LearnerIdentified) -> AliasState:
    return AliasState(event.learner_id)


def _decide_rostered(command: TakeRostered, state: RosteredState, parameters: Parameters, history: History = ()) -> list[Event]:
    """Return what is told; nothing, if it stands already."""
    return [] if fingerprint(command.told) == state.told else [command.told]


def _evolve_rostered(state: RosteredState, event: Told) -> RosteredState:
    return RosteredState(fingerprint(event))


def _decide_learner(
    command: TakeRostered | StatePreferences, state: LearnerState, parameters: Parameters, history: History = ()
) -> Sequence[Event] | Refusal:
    """Return what is told, if it is news."""
    match command:
        case TakeRostered(told=told):
            return [] if fingerprint(told) == state.told else [told]
        case StatePreferences(told=stated):
            return _decide_statement(stated, state)


def _decide_statement(stated: PreferencesStated, state: LearnerState) -> Sequence[Event] | Refusal:
    """Return the statement, unless its author said the same last; the hour alone is no news."""
    if not state.told:
        return Refusal("unknown-learner", "no roster names this learner: import it first")
    before = state.statements.get(stated.author_id)
    if before is None:
        return [stated]
    if before.said == _said(stated):
        return []
    if stated.stated_at <= before.at:
        return Refusal("outdated", "the same author has said something since: read it, then say it anew")
    return [stated]


def _said(stated: PreferencesStated) -> str:
    """Return a hash of everything in a statement but its time."""
    return fingerprint(stated.model_copy(update={"stated_at": datetime.fromisoformat("1970-01-01T00:00:00+00:00")}))


def _evolve_learner(state: LearnerState, event: LearnerRostered | PreferencesStated) -> LearnerState:
    match event:
        case LearnerRostered():
            return replace(state, told=fingerprint(event))
        case PreferencesStated(author_id=author_id, stated_at=at):
            others = [(author, said) for author, said in state.statements.items() if author != author_id]
            return replace(state, statements=dict([*others, (author_id, Statement(at, _said(event)))][-MAX_AUTHORS:]))


def _learner_command_of(event: LearnerRostered | PreferencesStated) -> TakeRostered | StatePreferences:
    return StatePreferences(event) if isinstance(event, PreferencesStated) else TakeRostered(event)


def _decide_import(command: NoteImport, state: ImportState, parameters: Parameters, history: History = ()) -> list[Event]:
    """Return that the roster was taken; nothing, if it was before. One that was told without its first session is told again with it."""
    dated = command.told.first_session is not None
    return [] if state.taken and (state.dated or not dated) else [command.told]


def _evolve_import(state: ImportState, event: RosterImported) -> ImportState:
    return ImportState(taken=True, dated=state.dated or event.first_session is not None)


aliases: Final = Decider(
    "profile.alias", 2, "alias", AliasState(), _decide_alias, _evolve_alias,
    lambda event: IdentifyLearner(event.alias, event.learner_id), json_codec(AliasState),
)  # fmt: skip
learners: Final = Decider(
    "profile.learner", 2, "learner", LearnerState(), _decide_learner, _evolve_learner, _learner_command_of, json_codec(LearnerState)
)
staff: Final = Decider(
    "profile.staff", 1, "staff", RosteredState(), _decide_rostered, _evolve_rostered, TakeRostered, json_codec(RosteredState)
)
schools: Final = Decider(
    "profile.school", 1, "school", RosteredState(), _decide_rostered, _evolve_rostered, TakeRostered, json_codec(RosteredState)
)
classes: Final = Decider(
    "profile.class", 1, "class", RosteredState(), _decide_rostered, _evolve_rostered, TakeRostered, json_codec(RosteredState)
)
rosters: Final = Decider(
    "profile.roster", 1, "roster", ImportState(), _decide_import, _evolve_import, NoteImport, json_codec(ImportState, format=2)
)
DECIDERS: Final = (aliases, learners, staff, schools, classes, rosters)
