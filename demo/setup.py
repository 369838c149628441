"""What a district does once: roster, framework, alignments, activities and spaces in; goals and likes of some learners."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, Final

from demo import catalogue, framework, items, resources, roster
from demo.client import all_at_once
from demo.district import District, recognise
from demo.framework import of_grade, skills
from demo.learners import TODAY
from demo.school import PERSON_IRI, SOURCE
from demo.words import say, table

GOAL_SHARE: Final = 0.45
"""Of learners who have goals of their own, with a date."""
LIKES_SHARE: Final = 0.35
"""Of learners who said how they like to learn."""
GOAL_SIZES: Final = (7, 11, 15)
"""Competencies of her grade's mathematics that a learner wants to master, beside all of its reading."""
GOAL_DAYS: Final = (38, 66, 101)
"""When goals are due, from today."""


async def bring_in(district: District) -> None:
    """Send what the district knows before the first day of school, and tell what Cairn made of it."""
    cairn = district.cairn
    taken = await cairn.tell(
        "POST", "/profile/oneroster/imports", content=roster.archive(district.school), media="application/zip", source=SOURCE,
        person_iri=PERSON_IRI,
    )  # fmt: skip
    await recognise(district)
    adopted = await cairn.tell("POST", "/mastery/case/packages", framework.package())
    aligned = await cairn.tell("PUT", "/evidence/alignments", items.alignments(items.all_items()))
    report = adopted["report"]
    table(
        ("what went in", "how", "what Cairn took"),
        (
            (
                "the roster", "OneRoster 1.2, a ZIP of CSV files",
                f"{_made(taken, 'learners')} learners, {_made(taken, 'staff')} teachers, {_made(taken, 'classes')} classes",
            ),
            (
                "the competencies", "CASE 1.1, one JSON package",
                f"{report['items'] - report['headings']} competencies, {report['prerequisites']} links 'this comes before that'",
            ),
            ("what each item asks", "JSON", f"{aligned['items']} items"),
        ),
    )  # fmt: skip


def _made(taken: dict[str, Any], what: str) -> int:
    return int(taken[what]["created"])


async def open_school(district: District) -> None:
    """Send activities, spaces and periods, what some learners aim at and how some like to learn; tell what Cairn took."""
    cairn = district.cairn
    offered = catalogue.activities(district.seed)
    district.titles = {each["id"]: each["title"] for each in offered["activities"]}
    taken = await cairn.tell("PUT", "/pathing/activities", offered)
    spaces = resources.resources(district.school_id, len(district.learners))
    await cairn.tell("PUT", "/scheduling/resources", spaces)
    zones = [zone for space in spaces["schools"][0]["spaces"] for zone in space["zones"]]
    goals, likes = _goals(district), _likes(district)
    await all_at_once([cairn.tell("POST", f"/pathing/learners/{learner}/goals", body) for learner, body in goals])
    await all_at_once([cairn.tell("POST", f"/profile/learners/{learner}/preferences", body) for learner, body in likes])
    say(
        f"The school offers {taken['activities']:,} activities, and has {len(spaces['schools'][0]['spaces'])} spaces with",
        f"{len(zones)} zones and {sum(zone['seats'] for zone in zones)} seats, six periods a day. {len(goals)} learners set",
        "goals with a date,",
        f"{len(likes)} said how they like to learn.",
    )


def _goals(district: District) -> list[tuple[str, dict[str, Any]]]:
    draw = random.Random(f"goals {district.seed}")
    chosen = []
    for _, learner_id in sorted(district.learner_ids.items()):
        if draw.random() < GOAL_SHARE:
            grade = district.learners[learner_id].grade
            wanted = (*of_grade("mathematics", grade)[: draw.choice(GOAL_SIZES)], *of_grade("reading", grade))
            due = TODAY + timedelta(days=draw.choice(GOAL_DAYS))
            goals = [{"competency_id": skills()[code].guid, "due": due.isoformat()} for code in wanted]
            chosen.append((learner_id, {"author_id": learner_id, "role": "learner", "goals": goals}))
    return chosen


def _likes(district: District) -> list[tuple[str, dict[str, Any]]]:
    draw = random.Random(f"likes {district.seed}")
    said = []
    for _, learner_id in sorted(district.learner_ids.items()):
        if draw.random() < LIKES_SHARE:
            ways = draw.sample(sorted(catalogue.MINUTES), 2)
            areas = draw.sample(catalogue.AREAS, 2)
            said.append((learner_id, {"author_id": learner_id, "role": "learner", "areas": areas, "modalities": ways}))
    return said
