"""One learner's morning: what she hands in, and all that follows from it, step by step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from demo import weeks
from demo.client import Unexpected, all_at_once
from demo.counts import days_rest
from demo.days import Day, compared, days_of, until
from demo.district import District, topic
from demo.framework import by_guid
from demo.installation import Place
from demo.items import items_of
from demo.learners import BREAK, Answer, met_items
from demo.words import LEVELS, REASONS, WAYS, listed, milliseconds, percent, plain, say, table

MAX_LOOKED_AT: Final = 60
"""Learners who are looked at closely before one is chosen."""
MAX_RIGHT: Final = 3
"""Right answers she hands in."""
NOT_YET_E6: Final = 900_000
"""Who is less sure than that comes first: there, the answers themselves decide."""
SHOWN_STEPS: Final = 5
NUMBERS: Final = ("no", "one", "two", "three")


@dataclass(frozen=True)
class Heroine:
    """A learner who is about to master something that her path and her day turn on, and how everything stands for her."""

    learner_id: str
    why: Mapping[str, Any]
    path: Mapping[str, Any]
    days: Mapping[str, Day | None]

    @property
    def competency_id(self) -> str:
        return str(self.why["competency_id"])


async def find(district: District) -> Heroine:
    """Return the learner of whom the story tells.

    Raises:
        Unexpected: nobody in the whole school is close to mastering what she works on today.
    """
    cairn = district.cairn
    lists = await all_at_once([cairn.every(f"/mastery/learners/{learner}/competencies") for learner in district.learners])
    close = [
        (each["probability_e6"] < NOT_YET_E6, each["probability_e6"], learner, each["competency_id"])
        for learner, known in zip(district.learners, lists, strict=True)
        for each in known
        if each["level"] not in ("mastered", "re-verify-due") and each["scored"] >= 2 and _is_hers(district, learner, each["competency_id"])
    ]
    for _, _, learner, competency in sorted(close, reverse=True)[:MAX_LOOKED_AT]:
        why = await cairn.get(f"/mastery/learners/{learner}/competencies/{competency}/why")
        path, days = await cairn.get(f"/pathing/learners/{learner}/path"), await days_of(cairn, learner)
        needed = why["right_answers_needed"]
        unmet = any(not before["met"] for before in why["prerequisites"])
        step = next((step for step in path["steps"] if step["competency_id"] == competency), None)
        today = days["today"]
        placed = today is not None and any(period["competency_id"] == competency for period in today["periods"])
        if needed is not None and needed < MAX_RIGHT and not unmet and step is not None and step["open"] and placed:
            return Heroine(learner, why, path, days)
    raise Unexpected("nobody is close to mastering what she works on today: try another --seed")


def _is_hers(district: District, learner: str, competency: str) -> bool:
    skill = by_guid().get(competency)
    return skill is not None and skill.grade == district.learners[learner].grade


async def tell(district: District, place: Place) -> str:
    """Tell the story and return whose it was."""
    hers = await find(district)
    name, what = district.shown(hers.learner_id), topic(hers.competency_id)
    why = hers.why
    say(
        f"Meet [bold]{plain(name)}[/bold], grade {int(district.learners[hers.learner_id].grade)}, who works on",
        f"[bold]{plain(what)}[/bold]: {why['scored']} answers on {why['days']} day{'s' if why['days'] != 1 else ''} so far.",
        f"Cairn expects {percent(why['success_e6'])} of answers to such items to be right, and is {percent(why['probability_e6'])}",
        f"sure that it is more than {percent(why['bar_e6'])}. To call it mastered it wants to be {percent(why['certainty_e6'])} sure,",
        "from enough answers on enough days.",
    )
    answers = _answers(district, hers, place)
    say(f"It is {place.now():%A, %d %B, %H:%M} UTC. {plain(name)} hands in {NUMBERS[len(answers)]} answers, all of them right.")
    after = await _watch(district, place, hers, answers)
    _tell_estimate(why, after)
    _tell_path(hers, after, name)
    _tell_days(district, hers, after)
    return hers.learner_id


@dataclass(frozen=True)
class After:
    """How everything stands when all has followed."""

    why: Mapping[str, Any]
    path: Mapping[str, Any]
    days: Mapping[str, Day | None]


def _answers(district: District, hers: Heroine, place: Place) -> list[Answer]:
    learner = district.learners[hers.learner_id]
    code = by_guid()[hers.competency_id].code
    began = place.now() - BREAK * (MAX_RIGHT + 1)
    took = timedelta(seconds=50)
    met = met_items(district.minds[learner.sourced_id], code)
    items = sorted(items_of(code), key=lambda item: item in met)[:MAX_RIGHT]  # The same one again would not count.
    return [Answer(learner, item, "", began + BREAK * n, began + BREAK * n + took, 1, 1) for n, item in enumerate(items)]


async def _watch(district: District, place: Place, hers: Heroine, answers: list[Answer]) -> After:
    """Hand in the answers, and see from outside when each service has followed; tell the milliseconds."""
    cairn, learner = district.cairn, hers.learner_id
    started = time.monotonic()
    mastered = f"/mastery/learners/{learner}/competencies/{hers.competency_id}/why"
    today = hers.days["today"] or {}

    async def accepted() -> float:
        await weeks.send(district, place, answers)
        return time.monotonic()

    def off_path(path: dict[str, Any]) -> bool:
        return all(step["competency_id"] != hers.competency_id for step in path["steps"])

    taken, (why, moved), (path, planned), (_, placed) = await asyncio.gather(
        accepted(),
        until(cairn, mastered, lambda found: found["level"] == "mastered", "the level"),
        until(cairn, f"/pathing/learners/{learner}/path", off_path, "the path"),
        until(cairn, f"/scheduling/learners/{learner}/days/today", lambda day: day["changed_at"] != today["changed_at"], "the day"),
    )
    await days_rest(cairn, district.school_id)
    days = await days_of(cairn, learner)
    table(
        ("what happened", "seen by us after"),
        (
            ("the answers were kept for good", milliseconds(taken - started)),
            ("estimate and level moved", milliseconds(moved - started)),
            ("the path was planned anew", milliseconds(planned - started)),
            ("the day was planned anew: groups, rooms, adults", milliseconds(placed - started)),
        ),
    )
    return After(why, path, days)


def _tell_estimate(before: Mapping[str, Any], after: After) -> None:
    now = after.why
    table(
        ("what Cairn believes", "before", "after"),
        (
            ("right answers expected", percent(before["success_e6"]), percent(now["success_e6"])),
            (f"sure that it is more than {percent(now['bar_e6'])}", percent(before["probability_e6"]), percent(now["probability_e6"])),
            ("answers that count, items, days", _breadth(before), _breadth(now)),
            ("what learners are told", LEVELS[before["level"]], f"[bold]{LEVELS[now['level']]}[/bold]"),
        ),
    )


def _breadth(why: Mapping[str, Any]) -> str:
    return f"{why['scored']}, {why['items']}{' or more' if why['items'] >= 3 else ''}, {why['days']}"


def _tell_path(hers: Heroine, after: After, name: str) -> None:
    was = {step["competency_id"] for step in hers.path["steps"]}
    rows = []
    for number, step in enumerate(after.path["steps"][:SHOWN_STEPS], 1):
        fresh = "[bold](new)[/bold] " if step["competency_id"] not in was else ""
        ways = listed([WAYS[option["modality"]] for option in step["options"]]).replace(" and ", " or ")
        rows.append((str(number), f"{fresh}{plain(topic(step['competency_id']))}", REASONS[step["reason"]], ways))
    say(f"The path now has {len(after.path['steps'])} steps. To {plain(name)} Cairn says: '{plain(after.path['pace_in_words'])}'")
    table(("", "what comes next", "why", "ways to learn it"), rows)


def _tell_days(district: District, hers: Heroine, after: After) -> None:
    """Tell how her two days changed; the second in a sentence where it changed as the first did."""
    told: list[tuple[str, str, str]] = []
    for day in hers.days:
        rows = compared(hers.days[day], after.days[day], district)
        if rows and rows == told:
            say(f"The plan for {day} changed in the same way.")
        elif rows:
            table((day, "planned before", "after the answers"), rows)
        told = rows
