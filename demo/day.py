"""Tomorrow on one page, for the door of the staff room and for a phone: spaces by periods, with groups, first names and reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from demo.client import all_at_once
from demo.district import District, topic
from demo.resources import PERIODS, SPACES
from demo.school import SCHOOL
from demo.words import REASONS, WAYS

TEMPLATE: Final = "day.html"
USES: Final = {"group": "group", "independent": "own work", "check-in": "talk with an adult"}


@dataclass(frozen=True)
class Pupil:
    """A learner in a session."""

    name: str
    topic: str
    """What she works on, where the others work on something else."""
    reason: str


@dataclass(frozen=True)
class Meeting:
    """Learners with an adult in a part of a space."""

    zone: str
    use: str
    topic: str
    way: str
    adult: str
    pupils: Sequence[Pupil]


@dataclass(frozen=True)
class Slot:
    """A period of the day."""

    id: str
    starts: str
    ends: str
    subject: str


@dataclass(frozen=True)
class Sheet:
    """Everything on the page."""

    school: str
    on: date
    slots: Sequence[Slot]
    spaces: Sequence[tuple[str, Sequence[Sequence[Meeting]]]]
    """Title of a space, and for each period what meets there."""
    learners: int
    groups: int
    unserved: Sequence[str] = field(default=())
    """Sentences about learners without a place."""


def page(sheet: Sheet) -> str:
    """Return the page: one file without anything from elsewhere."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("demo").joinpath(TEMPLATE).read_text(encoding="utf-8")).render(sheet=sheet)


async def sheet(district: District) -> Sheet:
    """Return tomorrow as it is planned now."""
    cairn = district.cairn
    days = f"/scheduling/schools/{district.school_id}/days/tomorrow"
    day = await cairn.get(days, limit="1")
    sessions = await cairn.every(days, inside="sessions")
    plans = await all_at_once([cairn.find(f"/scheduling/learners/{learner}/days/tomorrow") for learner in district.learners])
    placed = {(plan["learner_id"], period["period_id"]): period for plan in plans if plan for period in plan["periods"]}
    lacking = [
        f"{district.shown(learner)} has no place in {period['period_id']}."
        for (learner, _), period in sorted(placed.items())
        if not period["served"]
    ]
    return Sheet(
        SCHOOL, date.fromisoformat(day["on"]), tuple(Slot(*period) for period in PERIODS), grid(sessions, placed, district),
        day["learners"], sum(session["use"] == "group" for session in sessions), lacking,
    )  # fmt: skip


def grid(
    sessions: Iterable[Mapping[str, Any]], placed: Mapping[tuple[str, str], Mapping[str, Any]], district: District
) -> list[tuple[str, list[list[Meeting]]]]:
    """Return the sessions of a day by space and period; `placed` says what each learner does in a period, and why."""
    meetings: dict[tuple[str, str], list[Meeting]] = {}
    for session in sessions:
        meetings.setdefault((session["space_id"], session["period_id"]), []).append(_meeting(session, placed, district))
    return [(title, [meetings.get((space, period[0]), []) for period in PERIODS]) for space, title, _ in SPACES]


def _meeting(session: Mapping[str, Any], placed: Mapping[tuple[str, str], Mapping[str, Any]], district: District) -> Meeting:
    shared = topic(session["competency_id"]) if session["competency_id"] else ""
    pupils = []
    for learner in session["learners"]:
        mine = placed.get((learner, session["period_id"]), {})
        own = "" if shared or not mine.get("competency_id") else topic(mine["competency_id"])
        pupils.append(Pupil(district.shown(learner), own, REASONS.get(mine.get("reason") or "", "")))
    way = WAYS.get(session["modality"] or "", "")
    zones = {space: len(zones) for space, _, zones in SPACES}
    zone = session["zone_id"] if zones.get(session["space_id"], 1) > 1 else ""
    adult = district.teacher(session["staff_id"])
    return Meeting(zone, USES[session["use"]], shared, way, adult, sorted(pupils, key=lambda pupil: pupil.name))
