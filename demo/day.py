"""Tomorrow on one page, for the door of the staff room and for a phone: spaces by periods, with groups, first names and reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from demo.client import all_at_once
from demo.days import name
from demo.district import District, topic
from demo.resources import PERIODS, SPACES
from demo.school import SCHOOL
from demo.words import REASONS, WAYS

TEMPLATE: Final = Path(__file__).with_name("day.html")
USES: Final = {"group": "group", "independent": "own work", "check-in": "talk with an adult"}


@dataclass(frozen=True)
class Pupil:
    """A learner in a session."""

    name: str
    reason: str
    """Why this is on the path, where it is not everybody's reason; in own work, which is on many competencies, also what it is."""


@dataclass(frozen=True)
class Meeting:
    """Learners with an adult in a part of a space."""

    zone: str
    use: str
    topic: str
    way: str
    adult: str
    why: str
    """The reason, where it is everybody's."""
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
    unserved: Sequence[tuple[str, str]] = field(default=())
    """Who has no place, and in which period."""


def page(sheet: Sheet) -> str:
    """Return the page: one file without anything from elsewhere."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(sheet=sheet)


async def sheet(district: District) -> Sheet:
    """Return tomorrow as it is planned now."""
    cairn = district.cairn
    days = f"/scheduling/schools/{district.school_id}/days/tomorrow"
    day = await cairn.get(days, limit="1")
    sessions = await cairn.every(days, inside="sessions")
    paths = await all_at_once([cairn.find(f"/pathing/learners/{learner}/path") for learner in district.learners])
    reasons = {(path["learner_id"], step["competency_id"]): _reason(step) for path in paths if path for step in path["steps"]}
    own = await all_at_once([cairn.find(f"/scheduling/learners/{learner}/days/tomorrow") for learner in district.learners])
    alone = {
        (learner["learner_id"], period["period_id"]): f"{topic(period['competency_id'])}: {REASONS[period['reason']]}"
        for learner in own if learner for period in learner["periods"] if period["use"] == "independent" and period["competency_id"]
    }  # fmt: skip
    unserved = await cairn.every(f"{days}/unserved")
    lacking = [(district.shown(each["learner_id"]), name(each["period_id"])) for each in unserved if each["lacking"] == "place"]
    return Sheet(
        SCHOOL, date.fromisoformat(day["on"]), tuple(Slot(*period) for period in PERIODS), grid(sessions, reasons, alone, district),
        day["learners"], sum(session["use"] == "group" for session in sessions), lacking,
    )  # fmt: skip


def grid(
    sessions: Iterable[Mapping[str, Any]], reasons: Mapping[tuple[str, str], str], alone: Mapping[tuple[str, str], str], district: District
) -> list[tuple[str, list[list[Meeting]]]]:
    """Return the sessions of a day by space and period.

    Args:
        reasons: why a learner works on a competency.
        alone: what a learner does on her own in a period, and why.
    """
    meetings: dict[tuple[str, str], list[Meeting]] = {}
    for session in sessions:
        meetings.setdefault((session["space_id"], session["period_id"]), []).append(_meeting(session, reasons, alone, district))
    return [(title, [meetings.get((space, period[0]), []) for period in PERIODS]) for space, title, _ in SPACES]


def _reason(step: Mapping[str, Any]) -> str:
    """Return why a step is on a path, and what it is needed for."""
    why, goal = REASONS[step["reason"]], step.get("goal_id") or step["competency_id"]
    return why if goal == step["competency_id"] else f"{why}, for: {topic(goal)}"


def _meeting(
    session: Mapping[str, Any], reasons: Mapping[tuple[str, str], str], alone: Mapping[tuple[str, str], str], district: District
) -> Meeting:
    about, told = (session["period_id"], alone) if session["use"] == "independent" else (session["competency_id"], reasons)
    found = {learner: told.get((learner, about), "") for learner in session["learners"]}
    shared = next(iter(found.values())) if len(set(found.values())) == 1 else ""
    pupils = [Pupil(district.shown(learner), "" if shared else reason) for learner, reason in found.items()]
    zones = {space: len(zones) for space, _, zones in SPACES}
    return Meeting(
        zone=session["zone_id"] if zones.get(session["space_id"], 1) > 1 else "",
        use=USES[session["use"]],
        topic=topic(session["competency_id"]) if session["competency_id"] else "",
        way=WAYS.get(session["modality"] or "", ""),
        adult=district.teacher(session["staff_id"]),
        why=shared,
        pupils=sorted(pupils, key=lambda pupil: pupil.name),
    )
