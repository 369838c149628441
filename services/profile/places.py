"""Who learns and who teaches where, on the day of an import: by roles, enrollments, the terms of classes, and the orgs above an org.

What begins later counts only for who has nothing that counts already. She is here five days before it begins, so that nobody is missing on
her first day, or over a weekend between two schools. She is here at once where her school has no term under way and it begins before the
next one is over, or where most of those it names begin later: in August the children of the new school year are here, also while some are
at summer school, in November those of the next one are not yet.

An enrollment as `student` makes a learner. One as `teacher` or `proctor` makes staff, but not of those whom roles.csv knows as students,
parents and their like alone. One in a role of the district's own (`ext:...`) makes nobody staff: it says in which class staff are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.profile.oneroster import Faults, Roster, Row, listed
from shared.keys import school_id_of

TEACHING: Final = frozenset({"teacher", "aide", "proctor"})
"""Roles of those who are with learners in a room."""
AHEAD: Final = timedelta(days=5)
"""How long before she begins somebody is here who is nowhere else: longer than a weekend, with the days beside it."""
HERE: Final = 3
"""Where one in so many of those whom a school names has begun, it is in session; of a summer school there are fewer."""
NO_SPANS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({})
_TAUGHT: Final = frozenset({"student", "guardian", "parent", "relative"})
"""Roles by which nobody teaches, whatever an enrollment says."""


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
    not_yet: Mapping[str, str]
    """Who begins later and does not count until then, and when."""
    no_staff: Mapping[str, Row]
    """An enrollment of each who is with learners in a class by it, and of no role in roles.csv by which anybody teaches."""

    def school_of(self, user: Row, roles: Iterable[str], *enrollments: Mapping[str, list[Row]]) -> str | None:
        """Return the school of a person: of a primary role, a secondary one, her primary organisation, or her classes. Where one of these
        names an org that is no school, the nearest above it is meant. Of several roles of a kind it is the one at her primary organisation,
        or else where her classes are, or else the one that began last."""
        at = self._roles_at(user, roles)
        home = self.nearest[user["primaryOrgSourcedId"]]
        classes = [[row["schoolSourcedId"] for row in by_user.get(user["sourcedId"], ())] for by_user in enrollments]
        classed = next(filter(None, classes), [])
        for kind in ("primary", "secondary"):
            own = sorted((row for row in at if row["roleType"] == kind), key=lambda row: row["sourcedId"])
            own.sort(key=lambda row: row["beginDate"], reverse=True)
            found = [self.nearest[row["orgSourcedId"]] for row in own]
            if found:
                return min(found, key=lambda school: (school != home, school not in classed))
        return next(filter(None, [home, *(school for each in classes for school in sorted(each))]), None)

    def schools_of(self, user: Row, roles: Iterable[str], *enrollments: Mapping[str, list[Row]]) -> set[str]:
        """Return all schools at which a person has a role or classes."""
        at = {self.nearest[row["orgSourcedId"]] for row in self._roles_at(user, roles)}
        return at.union(row["schoolSourcedId"] for by_user in enrollments for row in by_user.get(user["sourcedId"], ()))

    def _roles_at(self, user: Row, roles: Iterable[str]) -> list[Row]:
        """Return her roles of these kinds at orgs that are schools, or lie in one."""
        wanted = frozenset(roles)
        return [row for row in self.roles[user["sourcedId"]] if row["role"] in wanted and self.nearest[row["orgSourcedId"]]]


def places_of(roster: Roster, source: str, on: date) -> Places:
    nearest = _nearest(roster["orgs.csv"])
    day = _Day(on.isoformat(), _terms(roster), nearest)
    open_ = day.in_session([*roster["roles.csv"], *roster["enrollments.csv"]])
    roles, roles_later = day.in_force(roster["roles.csv"], open_)
    learns = [row for row in roster["enrollments.csv"] if row["role"] == "student"]
    teaches, no_staff = _teaching(roster)
    learns_by_own, learns_later = day.in_force(learns, open_)
    teaches_by_own, teaches_later = day.in_force(teaches, open_)
    spans = _spans(roster)
    taught = day.in_session(roster["enrollments.csv"], spans)
    users = [row["sourcedId"] for row in roster["users.csv"]]
    learners = [user for user in users if user in learns_by_own or any(row["role"] == "student" for row in roles[user])]
    staff = [user for user in users if user in teaches_by_own or any(row["role"] in TEACHING for row in roles[user])]
    return Places(
        {row["sourcedId"]: school_id_of(source, row["sourcedId"]) for row in roster["orgs.csv"] if row["type"] == "school"},
        nearest, learners, staff, day.in_force(learns, taught, spans)[0], day.in_force(teaches, taught, spans)[0],
        learns_by_own, teaches_by_own, roles,
        _not_yet(
            {*learners, *staff},
            [*(row for row in roles_later if row["role"] == "student" or row["role"] in TEACHING), *learns_later, *teaches_later],
        ),
        {user: rows[0] for user, rows in day.in_force(no_staff, open_)[0].items()},
    )  # fmt: skip


def _not_yet(here: set[str], later: Iterable[Row]) -> Mapping[str, str]:
    """Return who is not here, by rows that do not count yet, and when the first of them begins."""
    begins: dict[str, str] = {}
    for row in later:
        user = row["userSourcedId"]
        if user not in here:
            begins[user] = min(row["beginDate"], begins.get(user, row["beginDate"]))
    return begins


def _teaching(roster: Roster) -> tuple[list[Row], list[Row]]:
    """Return the enrollments of those who teach, and those by which others would."""
    roles: dict[str, set[str]] = defaultdict(set)
    for row in roster["roles.csv"]:
        roles[row["userSourcedId"]].add(row["role"])
    with_learners = [row for row in roster["enrollments.csv"] if row["role"] not in ("student", "administrator")]
    named = [row for row in with_learners if row["role"] in TEACHING]
    staff = {row["userSourcedId"] for row in named}.union(
        user for user, own in roles.items() if any(role in TEACHING or role.startswith("ext:") for role in own)
    )
    staff -= {user for user, own in roles.items() if own <= _TAUGHT}
    others = [row for row in with_learners if row["userSourcedId"] not in staff]
    return [row for row in with_learners if row["userSourcedId"] in staff], [
        row for row in others if row["role"] in TEACHING or roles[row["userSourcedId"]] - _TAUGHT
    ]


def warn_of_places(places: Places, rows: Mapping[str, Row], warnings: Faults) -> None:
    """Warn of whom roles or enrollments name who is not taken, and who is staff at several schools."""
    for user, begins in places.not_yet.items():
        detail = f"what is said of her begins on {begins}, and her school is in session: she is taken some days before"
        warnings.add("users.csv", rows[user].line, "sourcedId", "not-yet", detail, "nothing, if that is so; else correct beginDate")
    for row in places.no_staff.values():
        detail = f"enrolled as {row['role']}, but of no role in roles.csv by which anybody teaches, so she is not taken as staff"
        remedy = "if she does teach, give her such a role; else nothing"
        warnings.add("enrollments.csv", row.line, "role", "not-staff", detail, remedy)
    for user in places.staff:
        schools = places.schools_of(rows[user], TEACHING, places.teaches)
        if len(schools) > 1:
            detail = f"she is staff at {len(schools)} schools, and is told of one: who plans for the others does not know her"
            remedy = "give her as primaryOrgSourcedId the school that plans with her; name her, with subjects, in the others' resources"
            warnings.add("users.csv", rows[user].line, "sourcedId", "several-schools", detail, remedy)


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


def _terms(roster: Roster) -> Mapping[str, list[tuple[str, str]]]:
    """Return when the terms of each school's classes begin and end; under an empty name those of all sessions, for schools without any."""
    terms = {row["sourcedId"]: (row["startDate"], row["endDate"]) for row in roster["academicSessions.csv"]}
    named: dict[str, set[str]] = defaultdict(set)
    for row in roster["classes.csv"]:
        named[row["schoolSourcedId"]].update(listed(row["termSourcedIds"]))
    return {"": sorted(terms.values())} | {school: sorted(terms[term] for term in own) for school, own in named.items()}


@dataclass(frozen=True)
class _Day:
    """A day, by which it is said what counts."""

    day: str
    terms: Mapping[str, list[tuple[str, str]]]
    nearest: Mapping[str, str]

    def in_session(self, rows: Iterable[Row], spans: Mapping[str, tuple[str, str]] = NO_SPANS) -> Set[str]:
        """Return the schools at which not nearly everybody whom these rows name begins later."""
        here: set[tuple[str, str]] = set()
        named: set[tuple[str, str]] = set()
        for row in rows:
            begins, ends = _dates(row, spans)
            if not self._is_over(begins, ends):
                named.add((self._school(row), row["userSourcedId"]))
                if begins <= self.day:
                    here.add((self._school(row), row["userSourcedId"]))
        elsewhere = {user for _, user in here}
        present = Counter(school for school, _ in here)
        counted = Counter(school for school, user in named if (school, user) in here or user not in elsewhere)
        return {school for school, many in counted.items() if HERE * present[school] >= many}

    def in_force(
        self, rows: Iterable[Row], in_session: Set[str], spans: Mapping[str, tuple[str, str]] = NO_SPANS
    ) -> tuple[Mapping[str, list[Row]], list[Row]]:
        """Return each user's rows that count: those that have begun and not ended; where there is none, those that begin next, if they
        count ahead. Beside them those that begin later and do not.

        Args:
            in_session: the schools that are.
            spans: of the terms of each class, for enrollments that do not say themselves when they begin or end.
        """
        found: dict[str, list[Row]] = defaultdict(list)
        later: dict[str, list[tuple[str, Row]]] = defaultdict(list)
        waiting: list[Row] = []
        for row in rows:
            begins, ends = _dates(row, spans)
            if self._is_over(begins, ends):
                continue
            if begins <= self.day:
                found[row["userSourcedId"]].append(row)
            elif self._school(row) not in in_session or self._counts_ahead(row, begins):
                later[row["userSourcedId"]].append((begins, row))
            else:
                waiting.append(row)
        for user, coming in later.items():
            if user not in found:
                next_ = min(begins for begins, _ in coming)
                found[user] = [row for begins, row in coming if begins == next_]
        return found, waiting

    def _is_over(self, begins: str, ends: str) -> bool:
        """Return whether something has ended, or was dropped before it began."""
        return bool(ends) and (ends <= self.day or ends <= begins)

    def _school(self, row: Row) -> str:
        return row["schoolSourcedId"] if "schoolSourcedId" in row.places else self.nearest[row["orgSourcedId"]]

    def _counts_ahead(self, row: Row, begins: str) -> bool:
        """Return whether what begins later counts today though its school is in session: it begins within days, or no term of the school is
        under way and its next one is not over by then."""
        if begins <= (date.fromisoformat(self.day) + AHEAD).isoformat():
            return True
        terms = self.terms.get(self._school(row), self.terms[""])
        if any(starts <= self.day < ends for starts, ends in terms):
            return False
        coming = [term for term in terms if term[0] > self.day]
        return not coming or begins < max(ends for starts, ends in coming if starts == coming[0][0])
