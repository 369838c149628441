"""I5's facts: what a service told last of a subject, and what its reader holds of it, side by side in the workbook.

Compared: profile's aliases in evidence, class memberships in mastery, enrolments and preferences in pathing, and staff in scheduling, whom
no school but the one told last may have; profile's first day of courses in evidence, which may hold an earlier one that people told;
mastery's levels, waivers, framework and pages in pathing; pathing's demands, with all that they ask for, in scheduling. Content stands
here as a hash, as everywhere in the workbook.

Not compared here: evidence in mastery, which is compared to the byte under I4 and counted under I10; its corrections and voids, which I3
asks for again one by one, and I2 folds; the schools and classes that profile tells, and scheduling's days, which nobody keeps a copy of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from services.cli.audit.book import Book
from services.evidence.calendar import begins_at
from services.pathing.domain.state import MAX_AUTHORS
from shared.contracts.envelope import Header, canonical, digest, instant_text
from shared.parameters import page_hash

Fact = tuple[str, str, str, str | None, int]
"""Side (told or held, or last: where a person is, in whatever school), kind, subject, value, and what is the larger the later it was told.
No value: nothing needs to be held."""

PREFERENCES: Final = "preferences in pathing"
STAFF: Final = "staff in scheduling"
TOLD_CALENDAR: Final = "calendar that was told"
TOLD_BY: Final = {
    "alias in evidence": "profile", TOLD_CALENDAR: "profile", "membership in mastery": "profile", "enrolment in pathing": "profile",
    PREFERENCES: "profile", STAFF: "profile", "level in pathing": "mastery", "waiver in pathing": "mastery",
    "framework in pathing": "mastery", "page in pathing": "mastery", "demand in scheduling": "pathing",
}  # fmt: skip
"""Kind of facts -> who tells them."""
DIFFERENT: Final = """
    SELECT t.kind, t.subject, t.value, h.value FROM fact t LEFT JOIN fact h ON h.side = 'held' AND h.kind = t.kind AND h.subject = t.subject
    WHERE t.side = 'told' AND t.value IS NOT h.value"""
CALENDAR: Final = f"""
    SELECT t.value, h.value FROM fact t LEFT JOIN fact h ON h.side = 'held' AND h.kind = 'calendar'
    WHERE t.side = 'told' AND t.kind = '{TOLD_CALENDAR}' AND (h.value IS NULL OR h.value > t.value)"""  # noqa: S608 - our own words
ELSEWHERE: Final = f"""
    SELECT h.subject, l.value FROM fact h
    JOIN fact l ON l.side = 'last' AND l.kind = h.kind AND l.subject = substr(h.subject, instr(h.subject, ' ') + 1)
    WHERE h.side = 'held' AND h.kind = '{STAFF}' AND h.value IS NOT NULL AND l.value IS NOT substr(h.subject, 1, instr(h.subject, ' ') - 1)
"""  # noqa: S608 - our own words
AUTHORS: Final = f"SELECT count(*) FROM fact WHERE side = 'told' AND kind = '{PREFERENCES}' AND subject BETWEEN ? AND ? || '~'"  # noqa: S608


def facts_of(header: Header) -> list[Fact]:
    """Return what an event tells, or holds, of a subject.

    Raises:
        KeyError, TypeError, ValueError: the event does not fit its type.
    """
    data: Mapping[str, Any] = header.attributes["data"]
    version: int = header.attributes["streamversion"]
    match header.event_type:
        case "profile.learner-identified.v1":
            return [("told", "alias in evidence", data["alias"], data["learner_id"], version)]
        case "evidence.alias-noted.v1":
            return [("held", "alias in evidence", data["alias"], data["learner_id"], version)]
        case "profile.learner-rostered.v1":
            classes = data.get("class_ids", []) if data.get("active", True) else []
            return [
                ("told", "enrolment in pathing", data["learner_id"], _enrolment(data), version),
                ("told", "membership in mastery", data["learner_id"], _classes(classes), version),
            ]
        case "pathing.enrolment-noted.v1":
            return [("held", "enrolment in pathing", data["learner_id"], _enrolment(data), data.get("version", 0))]
        case "mastery.membership-noted.v1":
            return [("held", "membership in mastery", data["learner_id"], _classes(data.get("class_ids", [])), data["version"])]
        case "profile.preferences-stated.v1":
            return [("told", PREFERENCES, *_preferences(data))]
        case "pathing.preferences-noted.v1":
            return [("held", PREFERENCES, *_preferences(data))]
        case "profile.staff-rostered.v1":
            school = data["school_id"] if data.get("active", True) else None
            return [
                ("told", STAFF, f"{data['school_id']} {data['staff_id']}", _staff(data, data), version),
                ("last", STAFF, data["staff_id"], school, version),
            ]
        case "scheduling.staff-noted.v1":
            member = data["member"]
            subject = f"{data['school_id']} {member['staff_id']}"
            return [("held", STAFF, subject, _staff(member, data), data.get("version", 0))]
        case _:
            return _of_calendar(header) or _of_paths(header)


def _of_calendar(header: Header) -> list[Fact]:
    """Return what an event says of the first day of courses, of which the earliest counts, and of the items that evidence knows."""
    data: Mapping[str, Any] = header.attributes["data"]
    match header.event_type:
        case "profile.roster-imported.v1":
            first = data.get("first_session")
            return [("told", TOLD_CALENDAR, "", _instant(first), -date.fromisoformat(first).toordinal())] if first else []
        case "evidence.calendar-noted.v1":
            return [("held", "calendar", "", _instant(data["first_day"]), header.attributes["streamversion"])]
        case "evidence.item-aligned.v1":
            return [("held", "item", UUID(data["item_id"]).hex, "", header.attributes["streamversion"])]
        case _:
            return []


def _of_paths(header: Header) -> list[Fact]:
    """Return what an event says of what mastery tells pathing, and pathing scheduling."""
    data: Mapping[str, Any] = header.attributes["data"]
    version: int = header.attributes["streamversion"]
    match header.event_type:
        case "mastery.level-changed.v1":
            return [("told", "level in pathing", f"{data['learner_id']} {data['competency_id']}", data["level"], version)]
        case "pathing.level-noted.v1":
            return [("held", "level in pathing", f"{data['learner_id']} {data['competency_id']}", data["level"], data.get("version", 0))]
        case "mastery.prerequisite-waived.v1" | "mastery.waiver-withdrawn.v1":
            return _waivers("told", data, [data] if header.event_type == "mastery.prerequisite-waived.v1" else [], [data], version)
        case "mastery.judgements-moved.v1":
            moved = data.get("waivers", [])
            return _waivers("told", data, moved, [each["before"] for each in moved], version)
        case "pathing.waivers-noted.v1":
            return _waivers("held", data, data.get("waived", []), data.get("ended", []), data.get("version", 0))
        case "mastery.framework-adopted.v1":
            return [("told", "framework in pathing", "", data["set_id"], version)]
        case "pathing.framework-noted.v1":
            return [("held", "framework in pathing", "", data["set_id"], data.get("version", 0))]
        case "mastery.parameter-page-added.v1" | "pathing.parameter-page-added.v1":
            side = "told" if header.event_type.startswith("mastery") else "held"
            return [(side, "page in pathing", page_hash(data["content"]), "", 0)]
        case "pathing.demand-changed.v1":
            return [("told", "demand in scheduling", f"{data['school_id']} {data['learner_id']}", _demand(data), data["version"])]
        case "scheduling.demand-noted.v1":
            demand = data["demand"]
            return [("held", "demand in scheduling", f"{data['school_id']} {demand['learner_id']}", _demand(demand), demand["version"])]
        case _:
            return []


def _waivers(
    side: str, data: Mapping[str, Any], waived: Sequence[Mapping[str, Any]], ended: Sequence[Mapping[str, Any]], version: int
) -> list[Fact]:
    """Return what is said of each pair; one that is in both is waived."""
    said: dict[tuple[str, str], str | None] = {(pair["competency_id"], pair["prerequisite_id"]): None for pair in ended}
    said |= {(pair["competency_id"], pair["prerequisite_id"]): "waived" for pair in waived}
    return [(side, "waiver in pathing", " ".join((data["learner_id"], *pair)), what, version) for pair, what in said.items()]


def _print(*values: Any) -> str:
    return digest(canonical(values))[:16]


def _instant(day: str) -> str:
    return instant_text(begins_at(date.fromisoformat(day)))


def _enrolment(data: Mapping[str, Any]) -> str:
    return _print(data["school_id"], data.get("grade", ""), data.get("active", True))


def _classes(ids: list[str]) -> str | None:
    return _print(sorted(ids)) if ids else None


def _preferences(data: Mapping[str, Any]) -> tuple[str, str, int]:
    """Return subject, value and time: the latest that an author states is in force, whenever it is told."""
    said = [data.get(name, []) for name in ("areas", "modalities", "avoided")]
    at = round(datetime.fromisoformat(data["stated_at"]).timestamp() * 1_000_000)
    return f"{data['learner_id']} {data['author_id']}", _print(data["role"], data["stated_at"], *said), at


def _staff(member: Mapping[str, Any], told: Mapping[str, Any]) -> str | None:
    """Return what is said of a member of staff; of one who is not there nothing needs to be known."""
    return _print(member.get("subjects", [])) if told.get("active", True) else None


def _demand(data: Mapping[str, Any]) -> str:
    return _print(data.get("needs", []), data.get("check_in", False), data.get("path_empty", False))


def reader_of(kind: str) -> str:
    """Return who holds this kind of facts."""
    return "evidence" if kind == TOLD_CALENDAR else kind.rpartition(" in ")[2]


def differences(book: Book, left_out: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return the reader, and where the two differ, of all that was told last and is not what its reader holds.

    Args:
        left_out: kinds that are not compared.
    """
    found = []
    for kind, subject, told, held in book.rows(DIFFERENT):
        if kind not in (*left_out, TOLD_CALENDAR) and not (kind == PREFERENCES and _has_many_authors(book, subject)):
            found.append((reader_of(kind), f"{kind} of {subject} is {held}, told was {told}"))
    for subject, school in book.rows(ELSEWHERE) if STAFF not in left_out else ():
        found.append((reader_of(STAFF), f"{STAFF} of {subject} is there, told last was {school or 'no school'}"))
    calendars = book.rows(CALENDAR) if TOLD_CALENDAR not in left_out else ()
    return found + [(reader_of(TOLD_CALENDAR), f"work counts from {held}, told was {told}") for told, held in calendars]


def _has_many_authors(book: Book, subject: str) -> bool:
    """Say whether more authors speak of a learner than pathing keeps."""
    learner = subject.partition(" ")[0]
    return book.number(AUTHORS, learner, learner) > MAX_AUTHORS
