"""Made-up frameworks, catalogues and learners for the tests of pathing; drawn from a seed, so that each test says which."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from shared.contracts.mastery import Competency, Level
from shared.contracts.pathing import Activity
from shared.contracts.profile import Area, Modality

TODAY = date(2026, 11, 24)


def competency(id: str, *prerequisites: str, grade: str = "05", subject: str = "mathematics", assessable: bool = True) -> dict[str, Any]:
    """Return an entry of a framework page."""
    grades = (grade,) if grade else ()
    return Competency(
        id=id, statement=f"Can do {id}", code=id, subject=subject, grades=grades, prerequisites=prerequisites, assessable=assessable
    ).model_dump(mode="json", exclude_defaults=True)


def activity(id: str, competency_id: str, modality: Modality = Modality.VIDEO, **more: Any) -> dict[str, Any]:
    """Return an entry of a catalogue page."""
    entry = {"id": id, "title": f"Activity {id}", "competency_id": competency_id, "modality": modality, "minutes": 20} | more
    return Activity.model_validate(entry).model_dump(mode="json", exclude_defaults=True)


def made_framework(seed: int, size: int, grades: Sequence[str] = ("03", "04", "05", "06"), subjects: int = 2) -> list[dict[str, Any]]:
    """Return a framework whose competencies need up to three of those before them, mostly near ones of their own subject."""
    draw = random.Random(seed)
    ids = [str(UUID(int=draw.getrandbits(128), version=4)) for _ in range(size)]
    names = ["mathematics", "science", "reading"][:subjects]
    entries = []
    for n, id in enumerate(ids):
        near = range(n % subjects + max(0, (n // subjects - 12)) * subjects, n, subjects)
        before = [ids[p] for p in draw.sample(near, min(len(near), draw.randint(0, 3)))]
        if n and draw.random() < 0.05:
            before.append(ids[draw.randrange(n)])
        entries.append(competency(id, *before, grade=grades[n * len(grades) // size], subject=names[n % subjects]))
    draw.shuffle(entries)
    return entries


def made_catalogue(seed: int, framework: Sequence[dict[str, Any]], each: int = 10) -> list[dict[str, Any]]:
    """Return about `each` activities for every competency, of all modalities."""
    draw = random.Random(seed)
    levels, areas = [level.value for level in Level], [area.value for area in Area]
    return [
        activity(
            f"{entry['id'][:18]}-{n}", entry["id"], draw.choice(list(Modality)), minutes=draw.choice((10, 15, 20, 30)),
            levels=draw.sample(levels, draw.randint(0, 3)), areas=draw.sample(areas, draw.randint(0, 2)),
            gain_e6=draw.choice((0, 150_000, 300_000, 500_000)),
        )
        for entry in framework for n in range(draw.randint(max(1, each - 3), each + 3))
    ]  # fmt: skip


def made_levels(seed: int, framework: Sequence[dict[str, Any]], share: float = 0.5) -> dict[str, Level]:
    """Return levels in a share of the competencies, the earlier ones being better known."""
    draw = random.Random(seed)
    weights = (1, 3, 2, 4, 1)
    return {entry["id"]: draw.choices(list(Level), weights)[0] for entry in framework if draw.random() < share}
