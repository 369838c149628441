"""What a school day is made of: 14 spaces with their zones, six periods, and how large groups may be."""

from __future__ import annotations

from typing import Any, Final

CLOSED: Final = ("2026-09-07", "2026-10-12", "2026-11-26", "2026-11-27")
PERIODS: Final = (
    ("P1", "08:30", "09:15", "mathematics"), ("P2", "09:20", "10:05", "reading"), ("P3", "10:25", "11:10", "mathematics"),
    ("P4", "11:15", "12:00", "reading"), ("P5", "13:00", "13:45", ""), ("P6", "13:50", "14:35", ""),
)  # fmt: skip
"""Id, start, end, and the subject it is for; the last two are for either."""
PERIOD_NAMES: Final = {
    "P1": "Mathematics I", "P2": "Reading I", "P3": "Mathematics II", "P4": "Reading II", "P5": "Open studio I", "P6": "Open studio II",
}  # fmt: skip
RULES: Final = (("small-group", 4, 8), ("teacher-led", 8, 20))
"""Way of learning, smallest and largest group; everything else is done in supervised independent work."""
FULL: Final = 240
"""Learners whom the spaces were built for; other schools have seats in proportion."""
SPACES: Final[tuple[tuple[str, str, tuple[tuple[str, int, tuple[str, ...]], ...]], ...]] = (
    ("commons", "The Commons", (("east", 60, ("laptops",)), ("west", 60, ("laptops",)))),
    ("library", "Library", (("tables", 48, ("books", "quiet")), ("nook", 8, ("books", "quiet")))),
    ("studio-1", "Studio 1", (("main", 24, ("board",)), ("corner", 8, ("board",)))),
    ("studio-2", "Studio 2", (("main", 24, ("board",)), ("corner", 8, ("board",)))),
    ("studio-3", "Studio 3", (("main", 24, ("board",)), ("corner", 8, ("board",)))),
    ("room-11", "Room 11", (("room", 22, ("board",)),)),
    ("room-12", "Room 12", (("room", 22, ("board",)),)),
    ("room-13", "Room 13", (("room", 22, ("board",)),)),
    ("workshop", "Workshop", (("benches", 24, ("tools",)), ("floor", 12, ("tools",)))),
    ("lab", "Science lab", (("benches", 20, ("water",)),)),
    ("media", "Media room", (("screens", 36, ("laptops",)), ("booth", 6, ("laptops",)))),
    ("garden", "Garden room", (("tables", 16, ("plants",)),)),
    ("talk-1", "Talking room", (("table", 8, ("quiet",)),)),
    ("stage", "Stage", (("stage", 18, ("open floor",)),)),
)
"""Id, title, and zones with seats and features."""


def resources(school_id: str, learners: int) -> dict[str, Any]:
    """Return the school's resources, as `PUT /scheduling/resources` takes them. Teachers come from the roster."""
    return {
        "schools": [
            {
                "school_id": school_id,
                "spaces": [{"id": name, "title": title, "zones": _zones(zones, learners)} for name, title, zones in SPACES],
                "periods": [{"id": name, "starts": starts, "ends": ends, "subject": subject} for name, starts, ends, subject in PERIODS],
                "rules": [{"modality": way, "smallest": smallest, "largest": largest} for way, smallest, largest in RULES],
                "closed": list(CLOSED),
            }
        ]
    }


def _zones(zones: tuple[tuple[str, int, tuple[str, ...]], ...], learners: int) -> list[dict[str, Any]]:
    return [{"id": name, "seats": min(-(-seats * max(learners, FULL) // FULL), 500), "features": list(has)} for name, seats, has in zones]
