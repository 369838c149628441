"""Who learns and who teaches where, on the day of an import: by roles, enrollments, the terms of classes, and the orgs above an org."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.profile.oneroster import Roster, Row, listed
from shared.keys import school_id_of

TEACHING: Final = frozenset({"teacher", "aide", "proctor"})
"""Roles of those who are with learners in a room."""


@dataclass(frozen=True)
class Places:
    """Who learns and who teaches where; users by `sourcedId`, in the order of users.csv."""

    schools: Mapping[str, UUID]
    """Ids by `sourcedId`."""
    nearest: Mapping[str, str]
    """The school that an org is, or lies in, by the org's `sourcedId`; empty where there is none."""
    learners: list[str]
    staff: list[str]
    learns: Mapping[str, list[Row]]
    teaches: Mapping[str, list[Row]]
    learns_by_own: Mapping[str, list[Row]]
    """Enrollments that count by their own dates alone: the terms of their classes may be over, or begin later."""
    teaches_by_own: Mapping[str, list[Row]]
    roles: Mapping[str, list[Row]]

    def school_of(self, user: Row, roles: Iterable[str], *enrollments: Mapping[str, list[Row]]) -> str | None:
        """Return the school of a person: of her primary role, a secondary one, her primary organisation, or her classes. Where one of these
        names an org that is no school, the nearest above it is meant."""
        wanted = frozenset(roles)
        own = [row for row in self.roles[user["sourcedId"]] if row["role"] in wanted]
        ordered = [row["orgSourcedId"] for kind in ("primary", "secondary") for row in own if row["roleType"] == kind]
        ordered.append(user["primaryOrgSourcedId"])
        for by_user in enrollments:
            ordered += sorted(row["schoolSourcedId"] for row in by_user.get(user["sourcedId"], ()))
        return next((self.nearest[org] for org in ordered if org and self.nearest[org]), None)


def places_of(roster: Roster, source: str, on: date) -> Places:
    taken = [row for row in roster["enrollments.csv"] if row["role"] != "administrator"]
    roles = _in_force(roster["roles.csv"], on)
    learns, teaches = ([row for row in taken if (row["role"] == "student") is learning] for learning in (True, False))
    learns_by_own, teaches_by_own = _in_force(learns, on), _in_force(teaches, on)
    spans = _spans(roster)
    users = [row["sourcedId"] for row in roster["users.csv"]]
    return Places(
        {row["sourcedId"]: school_id_of(source, row["sourcedId"]) for row in roster["orgs.csv"] if row["type"] == "school"},
        _nearest(roster["orgs.csv"]),
        [user for user in users if user in learns_by_own or any(row["role"] == "student" for row in roles[user])],
        [user for user in users if user in teaches_by_own or any(row["role"] in TEACHING for row in roles[user])],
        _in_force(learns, on, spans), _in_force(teaches, on, spans), learns_by_own, teaches_by_own, roles,
    )  # fmt: skip


def _nearest(orgs: Sequence[Row]) -> Mapping[str, str]:
    """Return the school that each org is, or lies in; empty where there is none, or where its parents go round in a circle."""
    parents = {row["sourcedId"]: row["parentSourcedId"] for row in orgs}
    nearest = {"": ""} | {row["sourcedId"]: row["sourcedId"] for row in orgs if row["type"] == "school"}
    for org in parents:
        way: dict[str, None] = {}
        at = org
        while at not in nearest and at not in way:
            way[at] = None
            at = parents[at]
        nearest.update(dict.fromkeys(way, nearest.get(at, "")))
    return nearest


def _spans(roster: Roster) -> Mapping[str, tuple[str, str]]:
    """Return the first day of each class's terms, and the first day after them."""
    terms = {row["sourcedId"]: (row["startDate"], row["endDate"]) for row in roster["academicSessions.csv"]}
    spans = {}
    for row in roster["classes.csv"]:
        starts, ends = zip(*(terms[term] for term in listed(row["termSourcedIds"])), strict=True)
        spans[row["sourcedId"]] = (min(starts), max(ends))
    return spans


def _dates(row: Row, spans: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Return when a row begins and ends, each empty where that is not known. Terms that its own dates lie outside of say nothing."""
    own = row["beginDate"], row["endDate"]
    first, after = spans[row["classSourcedId"]] if spans else ("", "")
    bounded = own[0] or first, own[1] or after
    return bounded if bounded[0] < bounded[1] else own


def _in_force(rows: Iterable[Row], on: date, spans: Mapping[str, tuple[str, str]] = MappingProxyType({})) -> Mapping[str, list[Row]]:
    """Return each user's rows that count on a day: those that have begun and not ended; where there is none, those that begin next.

    Args:
        spans: of the terms of each class, for enrollments that do not say themselves when they begin or end.
    """
    day = on.isoformat()
    found: dict[str, list[Row]] = defaultdict(list)
    later: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    for row in rows:
        begins, ends = _dates(row, spans)
        if not ends or ends > day:
            if begins > day:
                later[row["userSourcedId"]].append((begins, row))
            else:
                found[row["userSourcedId"]].append(row)
    for user, coming in later.items():
        if user not in found:
            next_ = min(begins for begins, _ in coming)
            found[user] = [row for begins, row in coming if begins == next_]
    return found
