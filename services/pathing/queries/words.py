"""Reasons, pace and causes in words that a learner can read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from services.pathing.catalogue import CONFERENCE, Framework
from shared.contracts.pathing import Activity, Pace, Reason, Step

_CAUSES: Final = {
    "pathing.enrolment-noted.v1": "The roster said where you belong.",
    "pathing.waivers-noted.v1": "It was said of something that you need first whether it shall hold you back.",
    "pathing.preferences-noted.v1": "Somebody said how you like to learn.",
    "pathing.goals-set.v1": "Your goals were set.",
    "pathing.replan-asked.v1": "There is a new framework, new activities or a new day.",
}


LEFT: Final = "You have left this school, so that nothing is planned for you here. What you know and chose is kept."
"""How a learner stands whom no roster has any more."""


def statement_of(framework: Framework | None, competency_id: str) -> str:
    """Return what a competency is about; its id where the framework in force does not know it."""
    place = None if framework is None else framework.index.get(competency_id)
    return competency_id if framework is None or place is None else framework.entries[place].statement


def title_of(activities: Mapping[str, Activity], activity_id: str) -> str:
    """Return the title of an activity; its id where the catalogue in force does not know it."""
    if activity_id == CONFERENCE:
        return "Talk it over with a teacher"
    return activities[activity_id].title if activity_id in activities else activity_id


def why(step: Step, framework: Framework | None) -> str:
    """Return why a step is on the path."""
    goal = statement_of(framework, step.goal_id)
    match step.reason:
        case Reason.GOAL:
            return "It is one of your goals."
        case Reason.PREREQUISITE:
            return f"You need it first for: {goal}"
        case Reason.GAP:
            return f"It is from an earlier grade, and you need it first for: {goal}"
        case Reason.REVIEW:
            return "You mastered it some time ago: show that you still can."
        case Reason.ENRICHMENT:
            return "You are ahead: it is something new from the next grade."
        case Reason.CHOICE:
            return "You chose it, and it is not done yet."
        case Reason.PIN:
            return "A teacher put it here."


def pace_in_words(pace: Pace, minutes_needed: int, due: date | None, due_subject: str, due_minutes: int | None, today: date) -> str:
    """Return how a learner stands against the date that binds, and the hours of work that are due by it.

    Whether a date has passed is asked of the day on which it is read: a path that stays as it is is not told again.

    Args:
        minutes_needed: to master all goals.
        due_minutes: to master what is due in that subject by that date; None where it was not told.
    """
    if pace is Pace.NO_DATE or due is None:
        return "There are no goals to measure against."
    if not minutes_needed:
        return f"There is no work left for your goals until {due}."
    passed = f"A goal's date, {due}, has passed, and there" if pace is Pace.AT_RISK and due < today else ""
    first = "do its steps first, or agree on a new date with a teacher."
    if due_minutes is None:
        left = f"{_work(minutes_needed)} left for all goals"
        match pace:
            case Pace.AT_RISK:
                late = f"There {left}, and too little time for what is due by {due}: talk with a teacher about it."
                return f"{passed} {left}: {first}" if passed else late
            case Pace.ON_TRACK:
                return f"There {left}, and time for what is due by {due}."
            case Pace.AHEAD:
                return f"Well ahead: there {left}, and time to spare for what is due by {due}."
    work = _work(due_minutes) + (f" in {due_subject}" if due_subject else "")
    match pace:
        case Pace.AT_RISK:
            late = f"There {work} to do by {due}, more than there is time for: talk with a teacher about it."
            return f"{passed} {work} left for it: {first}" if passed else late
        case Pace.ON_TRACK:
            return f"There {work} to do by {due}, and time for it."
        case Pace.AHEAD:
            return f"Well ahead: there {work} to do by {due}."


def _work(minutes: int) -> str:
    hours = max(round(minutes / 60), 1)
    return f"are about {hours} hours of work" if hours > 1 else "is about an hour of work"


def cause_in_words(fact_type: str, detail: Mapping[str, Any], framework: Framework | None) -> str:
    """Return what led to a path: the fact that was told right before it."""
    competency = statement_of(framework, str(detail.get("competency_id", "")))
    match fact_type:
        case "pathing.level-noted.v1":
            return f"You are now at '{detail.get('level')}' in: {competency}"
        case "pathing.activity-chosen.v1":
            return f"You chose how to learn: {competency}"
        case _:
            return _CAUSES.get(fact_type, "")
