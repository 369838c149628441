"""What learners do to learn: activities for every competency in three to five ways of learning."""

from __future__ import annotations

import random
from typing import Any, Final

from demo.framework import Skill, skills

LEVELS: Final = {
    "video": ["not-enough-evidence", "developing"],
    "reading": ["not-enough-evidence", "developing"],
    "practice": ["developing", "nearly", "re-verify-due"],
    "small-group": ["developing", "nearly"],
    "teacher-led": ["not-enough-evidence", "developing"],
    "project": ["nearly", "mastered"],
}
"""The levels that each way of learning is made for."""
TITLES: Final = {
    "video": ("{name}: watch and pause", "{name} in six minutes, step by step"),
    "reading": ("{name}: a page to read and mark", "Read about it: {name}"),
    "practice": ("{name}: practice that adapts", "Twelve tasks on {name}"),
    "small-group": ("{name}: talk it through in four", "Puzzle table: {name}"),
    "teacher-led": ("{name}: workshop", "Start together: {name}"),
    "project": ("{name} around the school", "Make something: {name}"),
}
MINUTES: Final = {"video": 15, "reading": 20, "practice": 25, "small-group": 30, "teacher-led": 30, "project": 45}
GAINS_E6: Final = {
    "video": 150_000, "reading": 150_000, "practice": 200_000, "small-group": 280_000, "teacher-led": 300_000, "project": 280_000,
}  # fmt: skip
AREAS: Final = ("animals", "art", "cooking", "games", "music", "nature", "science", "space", "sports", "technology", "vehicles")


def activities(seed: int) -> dict[str, Any]:
    """Return the catalogue, as `PUT /pathing/activities` takes it."""
    draw = random.Random(f"catalogue {seed}")
    return {"activities": [_activity(skill, way, draw) for skill in skills().values() for way in _ways(draw)]}


def _ways(draw: random.Random) -> list[str]:
    """Return a competency's ways of learning: alone, in a group, and mostly one or two more."""
    ways = ["practice", draw.choice(("small-group", "teacher-led")), draw.choice(("video", "reading"))]
    if draw.random() < 0.5:
        ways.append("teacher-led" if "small-group" in ways else "small-group")
    if draw.random() < 0.4:
        ways.append("project")
    return ways


def _activity(skill: Skill, way: str, draw: random.Random) -> dict[str, Any]:
    return {
        "id": f"{skill.code}-{way}", "title": draw.choice(TITLES[way]).format(name=skill.name), "competency_id": skill.guid,
        "modality": way, "minutes": MINUTES[way], "levels": LEVELS[way], "areas": sorted(draw.sample(AREAS, draw.randint(0, 2))),
        "gain_e6": GAINS_E6[way],
    }  # fmt: skip
