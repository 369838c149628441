"""Which classes a learner is in, copied from what profile tells; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.contracts.envelope import StreamId
from shared.contracts.mastery import MembershipNoted
from shared.decider import Decider, History, json_codec
from shared.parameters import Parameters


@dataclass(frozen=True)
class NoteMembership:
    """Note the classes that profile says. `noted.left` is empty: the decider fills it in, so it is no part of what is asked."""

    noted: MembershipNoted

    @property
    def stream(self) -> StreamId:
        return StreamId("mastery", "membership", str(self.noted.learner_id))


@dataclass(frozen=True, slots=True)
class Membership:
    """The classes of a learner, by the version of profile's stream that told them last."""

    class_ids: tuple[UUID, ...] = ()
    version: int = 0


def decide(command: NoteMembership, state: Membership, parameters: Parameters, history: History = ()) -> list[MembershipNoted]:
    """Return the classes and those that were left; nothing where they are the same, or were told before what is known."""
    noted = command.noted
    if noted.version <= state.version or noted.class_ids == state.class_ids:
        return []
    left = tuple(known for known in state.class_ids if known not in noted.class_ids)
    return [noted.model_copy(update={"left": left})]


def evolve(state: Membership, event: MembershipNoted) -> Membership:
    """Return the state after the event."""
    return Membership(event.class_ids, event.version)


def command_of(event: MembershipNoted) -> NoteMembership:
    """Return the command that the event answers."""
    return NoteMembership(event.model_copy(update={"left": ()}))


membership: Final = Decider(
    "mastery.membership", 1, "membership", Membership(), decide, evolve, command_of, json_codec(Membership)
)  # fmt: skip
