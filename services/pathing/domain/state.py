"""What deciding needs to know of one learner, how events change it, and how it is kept."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, assert_never
from uuid import UUID

from pydantic import TypeAdapter

from services.pathing.catalogue import CODE_OF, LEVELS, Framework, grade_key
from services.pathing.goals import counts_since
from services.pathing.planner import Chosen
from shared.contracts.envelope import canonical, digest
from shared.contracts.mastery import Level
from shared.contracts.pathing import (
    ActivityChosen,
    DemandChanged,
    EnrolmentNoted,
    Goal,
    GoalsSet,
    LevelNoted,
    PathPlanned,
    PreferencesNoted,
    ReplanAsked,
    WaiversNoted,
)
from shared.contracts.profile import Role
from shared.decider import Codec

Fact = EnrolmentNoted | LevelNoted | WaiversNoted | PreferencesNoted | GoalsSet | ActivityChosen | ReplanAsked
PathingEvent = Fact | PathPlanned | DemandChanged

MAX_AUTHORS: Final = 16
"""People whose statements about a learner's preferences are kept: the latest of each, and of them the latest. As many as profile shows."""
MAX_CHOICES: Final = 12
"""Choices that are held; a further one takes the place of the oldest."""
MAX_LEVELS: Final = 4_000
"""Competencies of which a level is known."""
MAX_WAIVERS: Final = 256
"""Pairs of which it is known whether a prerequisite is waived. Mastery has 64 that are; of those that are not any more, the oldest go."""
PRINT_DIGITS: Final = 32
_CODE_BITS: Final = 3
_CODE_MASK: Final = (1 << _CODE_BITS) - 1


@dataclass(frozen=True, slots=True)
class Waiver:
    """Whether a prerequisite shall not hold a competency back, as mastery told last."""

    competency_id: str
    prerequisite_id: str
    version: int
    """Of the learner's stream in mastery that told it."""
    stands: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """All facts about a learner, and prints of the path and demand that follow from them."""

    school_id: UUID | None = None
    grade: str = ""
    active: bool = False
    grade_on: date | None = None
    """The day on which she came to that grade."""
    grade_before: str = ""
    enrolment_version: int = 0
    on: date | None = None
    """The latest day anything was told; pace counts from it. It never goes back."""
    levels: dict[str, int] = field(default_factory=dict)
    """Competency -> version of mastery's stream that told the level; the code of the level before, where a revision has moved it to what
    stands in its place; and the level's code in the lowest three bits."""
    waivers: tuple[Waiver, ...] = ()
    """In order of their pairs. Those that are over are kept, too: what was told before them may come later."""
    preferences: tuple[PreferencesNoted, ...] = ()
    """One for each author, in order of author."""
    goals: tuple[Goal, ...] = ()
    goals_at: datetime | None = None
    goals_on: date | None = None
    """The day on which they were set, where it was told."""
    choices: dict[str, Chosen] = field(default_factory=dict)
    """Competency -> activity and the day it was chosen, oldest choice first."""
    chosen_at: datetime | None = None
    path: str = ""
    """Print of the path in force; empty before the first."""
    demand: str = ""
    demand_version: int = 0
    demand_school: UUID | None = None


def level_in(packed: int) -> Level:
    """Return the level in a value of `State.levels`."""
    return LEVELS[packed & _CODE_MASK]


def levels_of(state: State, framework: Framework) -> dict[str, Level]:
    """Return the learner's levels by competency; of what is replaced in this framework, the level before it was moved."""
    now = framework.now
    return {
        id: LEVELS[packed & _CODE_MASK or (packed >> _CODE_BITS & _CODE_MASK if id in now else 0)] for id, packed in state.levels.items()
    }


def since_of(state: State) -> date | None:
    """Return the day from which the learner's goals without a date count: since she came to her grade, or since goals were set."""
    if state.grade_on is None:
        return None
    since = counts_since(state.grade, state.grade_before, state.grade_on)
    return since if state.goals_at is None else max(since, state.goals_on or state.goals_at.date())


def day_of(told: GoalsSet | ActivityChosen) -> date:
    """Return the day on which goals were set, or an activity was chosen."""
    return told.on or (told.set_at if isinstance(told, GoalsSet) else told.chosen_at).date()


def waived_of(state: State) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a competency, and a prerequisite that shall not hold it back."""
    return tuple((each.competency_id, each.prerequisite_id) for each in state.waivers if each.stands)


def waivers_after(state: State, told: WaiversNoted) -> tuple[Waiver, ...]:
    """Return what is known of each pair once this is told, which may be later than what followed it. Ended and waived at once is waived."""
    known = {(each.competency_id, each.prerequisite_id): each for each in state.waivers}
    for pairs, stands in ((told.ended, False), (told.waived, True)):
        for pair in pairs:
            place = pair.competency_id, pair.prerequisite_id
            if place not in known or told.version >= known[place].version:
                known[place] = Waiver(*place, told.version, stands)
    latest = sorted(known.items(), key=lambda item: (item[1].stands, item[1].version, item[0]))
    return tuple(known[place] for place in sorted(place for place, _ in latest[-MAX_WAIVERS:]))


def preferences_after(state: State, told: PreferencesNoted) -> tuple[PreferencesNoted, ...]:
    """Return what is kept once this is said, in order of author: of the many the latest, a learner's own word before all others'."""
    others = [each for each in state.preferences if each.author_id != told.author_id]
    kept = sorted([*others, told], key=lambda each: (each.role is Role.LEARNER, each.stated_at, each.author_id))[-MAX_AUTHORS:]
    return tuple(sorted(kept, key=lambda each: each.author_id))


def version_in(packed: int) -> int:
    """Return the version in a value of `State.levels`."""
    return packed >> 2 * _CODE_BITS


def print_of(event: PathPlanned | DemandChanged) -> str:
    """Return the print by which equal paths, and equal demands of whatever version, are known as equal.

    Decisions rest on it: it is made from the canonical form, so that it is the same whatever order a class has its fields in.
    """
    return digest(canonical(event.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_PRINTED)))[:PRINT_DIGITS]


def evolve(state: State, event: PathingEvent) -> State:
    """Return the state after the event. Never refuses: it has already happened."""
    match event:
        case EnrolmentNoted():
            stays = state.grade_on is not None and grade_key(event.grade) == grade_key(state.grade)
            grade_on, before = (state.grade_on, state.grade_before) if stays else (event.on, state.grade)
            return replace(
                state, school_id=event.school_id, grade=event.grade, grade_on=grade_on, grade_before=before, active=event.active,
                enrolment_version=event.version, on=_later(state.on, event.on),
            )  # fmt: skip
        case LevelNoted():
            was = state.levels.get(event.competency_id, 0) & _CODE_MASK if event.moved else 0
            packed = (event.version << _CODE_BITS | was) << _CODE_BITS | CODE_OF[event.level]
            levels = state.levels | {event.competency_id: packed}
            choices = state.choices
            over = {event.competency_id, *event.finished} if event.level is Level.MASTERED else set()
            if not over.isdisjoint(choices):  # The step is done.
                choices = {id: choice for id, choice in choices.items() if id not in over}
            return replace(state, levels=levels, choices=choices, on=_later(state.on, event.on))
        case WaiversNoted():
            return replace(state, waivers=waivers_after(state, event), on=_later(state.on, event.on))
        case PreferencesNoted():
            return replace(state, preferences=preferences_after(state, event))
        case GoalsSet():
            on = _later(state.on, day_of(event))
            return replace(state, goals=event.goals, goals_at=event.set_at, goals_on=event.on, on=on)
        case ActivityChosen():
            on = day_of(event)
            kept_choices = [(id, choice) for id, choice in state.choices.items() if id != event.competency_id]
            choices = dict([*kept_choices, (event.competency_id, Chosen(event.activity_id, on))][-MAX_CHOICES:])
            return replace(state, choices=choices, chosen_at=event.chosen_at, on=_later(state.on, on))
        case ReplanAsked():
            return replace(state, on=_later(state.on, event.on))
        case PathPlanned():
            return replace(state, path=print_of(event))
        case DemandChanged():
            return replace(state, demand=print_of(event), demand_version=event.version, demand_school=event.school_id)
        case _:
            assert_never(event)


def _later(known: date | None, told: date) -> date:
    return told if known is None or told > known else known


def _encode(state: State) -> bytes:
    """Return the number of packed levels (4 bytes), the levels, and the rest as JSON.

    Most competencies are known by UUIDs: 16 bytes and 4 for version and level, in place of some fifty as JSON. Where a version is too large
    for 4, all have 8, and the number's highest bit says so.
    """
    ids = [id for id in sorted(state.levels) if len(id) == _UUID_LENGTH]
    if not _UUIDS.fullmatch("".join(ids)):
        ids = [id for id in ids if _UUIDS.fullmatch(id)]
    values = [state.levels[id] for id in ids]
    wide = max(values, default=0) > _NARROW
    packed = bytes.fromhex("".join(ids).replace("-", "")) + struct.pack(f"<{len(ids)}{'Q' if wide else 'I'}", *values)
    plain = {id: state.levels[id] for id in sorted(state.levels.keys() - set(ids))}
    return struct.pack("<I", wide * _WIDE | len(ids)) + packed + _HEAD.dump_json(replace(state, levels=plain), exclude_defaults=True)


def _decode(content: bytes) -> State:
    (marked,) = struct.unpack_from("<I", content)
    count, (letter, width) = marked & ~_WIDE, ("Q", 8) if marked & _WIDE else ("I", 4)
    end = 4 + 16 * count
    text = content[4:end].hex()
    ids = [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in (text[at : at + 32] for at in range(0, len(text), 32))]
    values = struct.unpack_from(f"<{count}{letter}", content, end)
    state = _HEAD.validate_json(content[end + width * count :])
    return replace(state, levels=state.levels | dict(zip(ids, values, strict=True)))


_NARROW: Final = 2**32 - 1
_WIDE: Final = 2**31
_UUID_LENGTH: Final = 36
_UUIDS: Final = re.compile(r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})*")
_HEAD: Final = TypeAdapter(State)
_NOT_PRINTED: Final = {"version"}
STATE_CODEC: Final = Codec(1, _encode, _decode)
