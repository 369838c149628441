"""The rules of evidence: an act is accepted once, recorded once it is known whose it is and of what, and never changed."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, assert_never
from uuid import UUID

from services.evidence.amending import AmendEvidence, decide_amendment
from services.evidence.calendar import calendar
from services.evidence.grading import Telling, compare, tellings_in
from shared.contracts.envelope import Event, StreamId, made
from shared.contracts.evidence import (
    AliasNoted,
    EvidenceAccepted,
    EvidenceConflicted,
    EvidenceRecorded,
    EvidenceRegraded,
    EvidenceRescored,
    EvidenceVoided,
    ItemAligned,
    Kind,
)
from shared.decider import Codec, Decider, History, Refusal, json_codec
from shared.parameters import Parameters

MAX_TELLINGS: Final = 16
"""Different tellings of one act that are remembered; each further one is refused without an event of its own."""
DIGEST_BYTES: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ID: Final = UUID(int=0)
_MICROSECOND: Final = timedelta(microseconds=1)
_WATERMARK: Final = struct.Struct(">q16s")
_CORE: Final = struct.Struct(">64s16sq")
_REST: Final = struct.Struct(">qq16s")
CONFLICT: Final = Refusal("conflict", "this act was told before, with other content or of another person: the first telling stands")


# An act, as it was told --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AcceptEvidence:
    """Keep an act as it was told. `key` is the alias of the first telling, which a stream never changes; empty means: this one's."""

    told: EvidenceAccepted
    key: str = ""
    stream: StreamId = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = self.key or self.told.alias
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "stream", StreamId("evidence", "act", str(self.told.act_id), key))  # Asked for many times.


@dataclass(frozen=True, slots=True)
class ActState:
    """How an act was told: who, which item and what score the first time; and a digest of each different telling, the first one first."""

    core: bytes = b""
    telling: bytes = b""
    tellings: tuple[bytes, ...] = ()


def _core(told: EvidenceAccepted) -> bytes:
    """Return a digest of what two messages about one act must agree in."""
    return _digest(_CORE.pack(told.alias.encode(), told.item_id.bytes, told.score_e6))


def _whole(told: EvidenceAccepted, core: bytes) -> bytes:
    """Return a digest of everything that a message says of an act; `core` is what `_core` gives."""
    lasted = -1 if told.duration_ms is None else told.duration_ms
    return _digest(core + _REST.pack(_microseconds(told.occurred_at), lasted, _telling(told)) + told.kind.encode())


def _telling(told: EvidenceAccepted) -> bytes:
    return (told.telling_id or told.act_id).bytes


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def decide_act(command: AcceptEvidence, state: ActState, parameters: Parameters, history: History = ()) -> Sequence[Event] | Refusal:
    """Return that the act is accepted; nothing, if it was told before; a conflict, if it was told differently.

    The same message must repeat everything. Another message about the same act (the grade of an attempt whose answer was told) need only
    agree about the person, the item and the score: when it says that it happened may differ. A grade that was given at another time may
    have another score, too: it is kept, and the latest counts. So is what says of a known score when it was given, or of the work that it
    happened earlier.
    """
    told = command.told
    if not state.tellings:
        return [told]
    core = _core(told)
    whole = _whole(told, core)
    if whole == state.tellings[0] and told.graded_at is None:
        return []
    match compare(told, list(tellings_in(history))):
        case Telling.AGAIN:
            return []
        case Telling.FURTHER:
            return [EvidenceRegraded(told=told)]
        case Telling.OTHER:
            pass
    if whole in state.tellings or len(state.tellings) >= MAX_TELLINGS:
        return CONFLICT
    return [EvidenceConflicted(told=told, alias=None if command.key == told.alias else command.key)]


def act_needs_history(command: AcceptEvidence, state: ActState) -> bool:
    """An act that was told before, otherwise than now or maybe without the time of its grade, is compared with all that was told of it."""
    told = command.told
    return bool(state.tellings) and (told.graded_at is not None or _whole(told, _core(told)) != state.tellings[0])


def evolve_act(state: ActState, event: EvidenceAccepted | EvidenceConflicted | EvidenceRegraded) -> ActState:
    """Return the state after the event. Further grades are no part of it: they are looked up."""
    match event:
        case EvidenceAccepted():
            core = _core(event)
            return ActState(core, _telling(event), (_whole(event, core),))
        case EvidenceConflicted(told=told):
            return replace(state, tellings=(*state.tellings, _whole(told, _core(told))))
        case EvidenceRegraded():
            return state
        case _:
            assert_never(event)


def act_command_of(event: EvidenceAccepted | EvidenceConflicted | EvidenceRegraded) -> AcceptEvidence:
    """Return the command that the event answers."""
    match event:
        case EvidenceConflicted(told=told, alias=alias):
            return AcceptEvidence(told, alias or "")
        case EvidenceRegraded(told=told):
            return AcceptEvidence(told)
        case EvidenceAccepted():
            return AcceptEvidence(event)
        case _:
            assert_never(event)


def encode_act(state: ActState) -> bytes:
    """Return the parts of a state, 16 bytes each, behind one another."""
    return b"".join((state.core, state.telling, *state.tellings))


def decode_act(encoded: bytes) -> ActState:
    """Return the state that was encoded."""
    parts = [encoded[start : start + DIGEST_BYTES] for start in range(0, len(encoded), DIGEST_BYTES)]
    return ActState(parts[0], parts[1], tuple(parts[2:])) if parts else ActState()


# A learner's evidence, as it is meant ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4_096)  # Many pieces of evidence of one learner come together.
def _of_learner(learner_id: UUID) -> StreamId:
    return StreamId("evidence", "learner", str(learner_id))


@dataclass(frozen=True, slots=True)
class RecordEvidence:
    """Record what an accepted act means: whose it is, and which competencies it is evidence of. Values are as the event holds them: ids of
    competencies sorted, the instant in UTC."""

    evidence_id: UUID
    learner_id: UUID
    item_id: UUID
    competency_ids: tuple[str, ...]
    score_e6: int
    occurred_at: datetime
    kind: Kind
    duration_ms: int | None

    @property
    def stream(self) -> StreamId:
        return _of_learner(self.learner_id)


@dataclass(frozen=True, slots=True)
class LearnerState:
    """The watermark: the latest evidence, by when it happened and then by id. It never goes back."""

    last_at: datetime = _EPOCH
    last_id: UUID = _NO_ID


LearnerEvent = EvidenceRecorded | EvidenceRescored | EvidenceVoided


def decide_learner(
    command: RecordEvidence | AmendEvidence, state: LearnerState, parameters: Parameters, history: History = ()
) -> Sequence[Event] | Refusal:
    """Return that the evidence is recorded, or amended; nothing, if it was before. Late evidence is recorded like any other."""
    if isinstance(command, AmendEvidence):
        return decide_amendment(command, history)
    if history and any(past.data.evidence_id == command.evidence_id for past in history):
        return []
    return [
        made(
            EvidenceRecorded, evidence_id=command.evidence_id, learner_id=command.learner_id, item_id=command.item_id,
            competency_ids=command.competency_ids, score_e6=command.score_e6, occurred_at=command.occurred_at, kind=command.kind,
            duration_ms=command.duration_ms,
        )
    ]  # fmt: skip


def evolve_learner(state: LearnerState, event: LearnerEvent) -> LearnerState:
    """Return the state after the event. An amendment moves no watermark."""
    if not isinstance(event, EvidenceRecorded):
        return state
    behind = (event.occurred_at, event.evidence_id) <= (state.last_at, state.last_id)
    return state if behind else LearnerState(event.occurred_at, event.evidence_id)


def learner_needs_history(command: RecordEvidence | AmendEvidence, state: LearnerState) -> bool:
    """Evidence at or before the watermark may have been recorded; evidence behind it cannot have been. An amendment looks at what it
    amends."""
    return isinstance(command, AmendEvidence) or (command.occurred_at, command.evidence_id) <= (state.last_at, state.last_id)


def learner_command_of(event: LearnerEvent) -> RecordEvidence | AmendEvidence:
    """Return the command that the event answers."""
    if not isinstance(event, EvidenceRecorded):
        return AmendEvidence(event)
    return RecordEvidence(
        event.evidence_id, event.learner_id, event.item_id, event.competency_ids, event.score_e6, event.occurred_at, event.kind,
        event.duration_ms,
    )  # fmt: skip


def encode_learner(state: LearnerState) -> bytes:
    """Return 24 bytes: microseconds since 1970, and the id."""
    return _WATERMARK.pack(_microseconds(state.last_at), state.last_id.bytes)


def decode_learner(encoded: bytes) -> LearnerState:
    """Return the state that was encoded."""
    microseconds, id = _WATERMARK.unpack(encoded)
    return LearnerState(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=id))


# What makes it known whose an act is, and of what ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoteAlias:
    """Note which learner an alias is, as profile says. Another learner than before counts for acts that are accepted later."""

    noted: AliasNoted

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "alias", self.noted.alias)


@dataclass(frozen=True, slots=True)
class AlignItem:
    """Align an item to competencies, in place of those before. It counts for later acts, and for those that wait for it."""

    aligned: ItemAligned

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "item", str(self.aligned.item_id))


@dataclass(frozen=True, slots=True)
class AliasState:
    """The learner that an alias is."""

    learner_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ItemState:
    """The competencies of an item."""

    competency_ids: tuple[str, ...] = ()


def decide_alias(command: NoteAlias, state: AliasState, parameters: Parameters, history: History = ()) -> list[Event]:
    """Return that the alias is noted; nothing, if it is."""
    return [] if state.learner_id == command.noted.learner_id else [command.noted]


def decide_item(command: AlignItem, state: ItemState, parameters: Parameters, history: History = ()) -> list[Event]:
    """Return that the item is aligned; nothing, if it is, to the same competencies."""
    return [] if state.competency_ids == command.aligned.competency_ids else [command.aligned]


act: Final = Decider(
    "evidence.act", 1, "act", ActState(), decide_act, evolve_act, act_command_of, Codec(1, encode_act, decode_act), act_needs_history
)  # fmt: skip
learner: Final = Decider(
    "evidence.learner", 1, "learner", LearnerState(), decide_learner, evolve_learner, learner_command_of,
    Codec(1, encode_learner, decode_learner), learner_needs_history, apart_by="evidence_id",
)  # fmt: skip
alias: Final = Decider(
    "evidence.alias", 1, "alias", AliasState(), decide_alias, lambda state, event: AliasState(event.learner_id), NoteAlias,
    json_codec(AliasState),
)  # fmt: skip
item: Final = Decider(
    "evidence.item", 1, "item", ItemState(), decide_item, lambda state, event: ItemState(event.competency_ids), AlignItem,
    json_codec(ItemState),
)  # fmt: skip
DECIDERS: Final = (act, learner, alias, item, calendar)
