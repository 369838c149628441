"""The learner chooses another way to learn, and sees what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from demo.client import Unexpected
from demo.counts import days_rest
from demo.days import Day, days_of, name, until, where
from demo.district import District, topic
from demo.words import WAYS, plain, say, table

ELSEWHERE: Final = "other-period"
MOST: Final = 2
"""Alternatives that a step has beside the first."""


async def tell(district: District, learner_id: str) -> None:
    """Let her choose until a wish of hers is honored or there is no other, and tell each time what came of it.

    Raises:
        Unexpected: her path offers no alternative, her choice does not show on it, or nothing says what became of it.
    """
    cairn, shown = district.cairn, plain(district.shown(learner_id))
    path = await cairn.get(f"/pathing/learners/{learner_id}/path")
    step = next((step for step in path["steps"] if step["open"] and len(step["options"]) > 1), None)
    if step is None:
        raise Unexpected("the path offers no alternative anywhere")
    first, *others = step["options"]
    planned = {period["activity_id"] for day in (await days_of(cairn, learner_id)).values() if day for period in day["periods"]}
    others.sort(key=lambda option: option["activity_id"] in planned)  # What the day has already would be no wish.
    say(f"For [bold]{plain(topic(step['competency_id']))}[/bold] the path suggests '{plain(first['title'])}' ({WAYS[first['modality']]}).")
    for number, option in enumerate(others[:MOST]):
        wish = "would rather have" if number == 0 else "then asks for"
        say(f"{shown} {wish} '{plain(option['title'])}' ({WAYS[option['modality']]}).")
        await _choose(district, learner_id, step, option)
        days = await days_of(cairn, learner_id)
        honored = _honored(days, option, district)
        rows = honored or _refused(days, step, option)
        if not rows:
            raise Unexpected(f"neither today nor tomorrow says anything of what {shown} chose")
        table(("when", "what came of the choice", "where" if honored else "why not"), rows)
        if honored:
            return
    say("The wish stays on the path: the next plan tries again.")


async def _choose(district: District, learner_id: str, step: Mapping[str, Any], option: Mapping[str, Any]) -> None:
    """Send her choice, and return when it is on her path and the days have taken it."""
    cairn, path = district.cairn, f"/pathing/learners/{learner_id}/path"
    body = {"competency_id": step["competency_id"], "activity_id": option["activity_id"]}
    await cairn.tell("POST", f"/pathing/learners/{learner_id}/choices", body)

    def chosen(found: dict[str, Any]) -> bool:
        return any(each["competency_id"] == step["competency_id"] and each["chosen"] == option["activity_id"] for each in found["steps"])

    await until(cairn, path, chosen, "the choice on the path")
    await days_rest(cairn, district.school_id)


def _honored(days: Mapping[str, Day | None], option: Mapping[str, Any], district: District) -> list[tuple[str, str, str]]:
    """Return a row for each period in which she does what she chose."""
    return [
        (f"{day}, {name(period['period_id'])}", "[green]honored[/green]", where(period, district))
        for day, plan in days.items()
        for period in (plan["periods"] if plan else ())
        if period["activity_id"] == option["activity_id"]
    ]


def _refused(days: Mapping[str, Day | None], step: Mapping[str, Any], option: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return a row for each reason against what she chose, the periods in which she works on it already aside."""
    wanted = (step["competency_id"], option["activity_id"])
    reasons: dict[str, str] = {}
    for day, plan in days.items():
        for period in plan["periods"] if plan else ():
            for each in period["refused"]:
                if (each["competency_id"], each["activity_id"]) == wanted and each["obstacle"] != ELSEWHERE:
                    reasons.setdefault(each["detail"], f"{day}, {name(period['period_id'])}")
    return [(when, "[yellow]not possible[/yellow]", plain(detail)) for detail, when in reasons.items()]
