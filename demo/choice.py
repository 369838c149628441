"""The learner chooses another way to learn, and sees what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.client import Unexpected
from demo.counts import days_rest
from demo.days import days_of, name, until, where
from demo.district import District, topic
from demo.words import WAYS, plain, say, table


async def tell(district: District, learner_id: str) -> None:
    """Let her choose, and tell whether today and tomorrow honor it, and if not, why.

    Raises:
        Unexpected: her path offers no alternative, or her choice does not show on it.
    """
    cairn, shown = district.cairn, plain(district.shown(learner_id))
    path = await cairn.get(f"/pathing/learners/{learner_id}/path")
    step, option = _another(path)
    first = step["options"][0]
    say(
        f"For [bold]{plain(topic(step['competency_id']))}[/bold] her path suggests '{plain(first['title'])}' ({WAYS[first['modality']]}).",
        f"{shown} would rather have '{plain(option['title'])}' ({WAYS[option['modality']]}), and says so.",
    )
    body = {"competency_id": step["competency_id"], "activity_id": option["activity_id"]}
    await cairn.tell("POST", f"/pathing/learners/{learner_id}/choices", body)

    def chosen(found: dict[str, Any]) -> bool:
        return any(each["competency_id"] == step["competency_id"] and each["chosen"] == option["activity_id"] for each in found["steps"])

    await until(cairn, f"/pathing/learners/{learner_id}/path", chosen, "her choice on the path")
    await days_rest(cairn, district.school_id)
    rows = [row for day, plan in (await days_of(cairn, learner_id)).items() if plan for row in _answers(day, plan, option, step, district)]
    if not rows:
        raise Unexpected(f"neither today nor tomorrow says anything of what {shown} chose")
    table(("when", "what came of her choice", "where, or why not"), rows)


def _another(path: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the first open step with an alternative, and that alternative."""
    for step in path["steps"]:
        if step["open"] and len(step["options"]) > 1:
            return step, step["options"][1]
    raise Unexpected("her path offers no alternative anywhere")


def _answers(
    day: str, plan: Mapping[str, Any], option: Mapping[str, Any], step: Mapping[str, Any], district: District
) -> list[tuple[str, str, str]]:
    """Return a row for each period that honors the choice; else one for each reason why none does."""
    honored = [
        (f"{day}, {name(period['period_id'])}", "[green]honored[/green]", where(period, district))
        for period in plan["periods"]
        if period["activity_id"] == option["activity_id"]
    ]
    if honored:
        return honored
    reasons = {
        each["detail"]: (f"{day}, {name(period['period_id'])}", "[yellow]not possible[/yellow]", plain(each["detail"]))
        for period in reversed(plan["periods"])
        for each in period["refused"]
        if (each["competency_id"], each["activity_id"]) == (step["competency_id"], option["activity_id"])
    }
    return list(reversed(reasons.values()))
