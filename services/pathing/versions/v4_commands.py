"""What can be asked about a learner's path. A command is the fact it brings, which stands first in its answer."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.pathing.versions.v4_state import Fact, PathingEvent
from shared.contracts.envelope import StreamId
from shared.contracts.pathing import ActivityChosen, EnrolmentNoted, GoalsSet, LevelNoted, PreferencesNoted, ReplanAsked, WaiversNoted


@dataclass(frozen=True, slots=True)
class PathingCommand:
    """Note a fact about a learner. Noting it again changes nothing."""

    fact: Fact

    @property
    def stream(self) -> StreamId:
        return StreamId("pathing", "learner", str(self.fact.learner_id))


@dataclass(frozen=True, slots=True)
class NoteEnrolment(PathingCommand):
    """Where a learner belongs, from profile."""

    fact: EnrolmentNoted


@dataclass(frozen=True, slots=True)
class NoteLevel(PathingCommand):
    """A level in a competency, from mastery."""

    fact: LevelNoted


@dataclass(frozen=True, slots=True)
class NoteWaivers(PathingCommand):
    """Which prerequisites hold a learner back no more, or do again, from mastery."""

    fact: WaiversNoted


@dataclass(frozen=True, slots=True)
class NotePreferences(PathingCommand):
    """How somebody says a learner likes to learn, from profile."""

    fact: PreferencesNoted


@dataclass(frozen=True, slots=True)
class SetGoals(PathingCommand):
    """Goals in place of those before; none at all: the competencies of her grade."""

    fact: GoalsSet


@dataclass(frozen=True, slots=True)
class Choose(PathingCommand):
    """Take a step by one of the activities it offers."""

    fact: ActivityChosen


@dataclass(frozen=True, slots=True)
class Replan(PathingCommand):
    """Plan again, with the framework, catalogue or day of now. Where the path stays as it is, nothing happens."""

    fact: ReplanAsked


def command_of(event: PathingEvent) -> PathingCommand | None:
    """Return the command that this event answers first, so that replay can ask it again."""
    command = _COMMANDS.get(type(event))
    return None if command is None else command(event)


_COMMANDS: Final = MappingProxyType(
    {
        EnrolmentNoted: NoteEnrolment,
        LevelNoted: NoteLevel,
        WaiversNoted: NoteWaivers,
        PreferencesNoted: NotePreferences,
        GoalsSet: SetGoals,
        ActivityChosen: Choose,
        ReplanAsked: Replan,
    }
)
