"""What the academic sessions of a roster say: the term that a school is in, and when work counts from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from services.profile.oneroster import Faults, Roster, Row, listed
from shared.contracts.evidence import EARLIEST_FIRST_DAY

LATEST_FIRST_DAY: Final = date(2100, 12, 31)


def term_of(sessions: Sequence[Row], on: date) -> tuple[date | None, date | None]:
    """Return the term a school is in: of those its classes name, the one around the day that ends last; else the next; else the last."""
    terms = [(date.fromisoformat(row["startDate"]), date.fromisoformat(row["endDate"])) for row in sessions]
    if not terms:
        return None, None
    around = [term for term in terms if term[0] <= on < term[1]]
    if around:
        return max(around, key=lambda term: (term[1], term[0]))
    return min((term for term in terms if term[0] > on), default=max(terms))


def between_terms_on(roster: Roster, on: date, warnings: Faults) -> bool:
    """Return whether no term of the classes is under way, so that nobody need be in one; warn where all are over."""
    named = {term for row in roster["classes.csv"] for term in listed(row["termSourcedIds"])}
    terms = [row for row in roster["academicSessions.csv"] if row["sourcedId"] in named]
    last, today = max(terms, key=lambda row: row["endDate"], default=None), on.isoformat()
    if last is not None and last["endDate"] <= today:
        detail = "the terms of all classes are over, so nobody is in one but by an endDate of her enrollment's own"
        warnings.add("academicSessions.csv", last.line, "endDate", "terms-over", detail, "nothing, if that is so; else correct the dates")
    return bool(terms) and not any(row["startDate"] <= today < row["endDate"] for row in terms)


def first_session_of(roster: Roster, warnings: Faults) -> date | None:
    """Return when the earliest academic session begins; of one that begins when no course did, warn instead."""
    begins = [(date.fromisoformat(row["startDate"]), row.line) for row in roster["academicSessions.csv"]]
    for day, line in begins:
        if not EARLIEST_FIRST_DAY <= day <= LATEST_FIRST_DAY:
            detail = f"before {EARLIEST_FIRST_DAY} or after {LATEST_FIRST_DAY}, so it does not say from which day on work counts"
            remedy = "nothing, if it is a placeholder; else correct it"
            warnings.add("academicSessions.csv", line, "startDate", "no-first-day", detail, remedy)
    return min((day for day, _ in begins if EARLIEST_FIRST_DAY <= day <= LATEST_FIRST_DAY), default=None)
