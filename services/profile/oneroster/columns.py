"""What the OneRoster 1.2 CSV binding says of each file: its columns in order, which must be filled, what they hold and what they refer to.

Source: 1EdTech, OneRoster 1.2 Rostering Service CSV Binding, Final Release 1.0 (2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Form(StrEnum):
    """What a cell may hold."""

    TEXT = "text"
    EMPTY = "empty"
    """Bulk files leave it empty: only delta files fill it."""
    BOOLEAN = "boolean"
    DATE = "date"
    YEAR = "year"
    LIST = "list"
    """Several values, separated by commas inside the cell."""
    USER_IDS = "user-ids"
    """`{type:id}`, several with commas."""


@dataclass(frozen=True)
class Column:
    """One column of a file."""

    name: str
    form: Form = Form.TEXT
    needed: bool = False
    words: frozenset[str] = frozenset()
    """The words it may hold, where these are limited; extensions begin with `ext:`."""
    refers: str = ""
    """The file whose `sourcedId` it names."""


BASE: Final = (Column("sourcedId", needed=True), Column("status", Form.EMPTY), Column("dateLastModified", Form.EMPTY))
MANIFEST: Final = "manifest.csv"


def _needed(name: str, form: Form = Form.TEXT, refers: str = "") -> Column:
    return Column(name, form, needed=True, refers=refers)


def _word(name: str, words: str) -> Column:
    return Column(name, needed=True, words=frozenset(words.split()))


def _texts(names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names.split())


def _period(needed: bool, names: tuple[str, str] = ("beginDate", "endDate")) -> tuple[Column, ...]:
    return tuple(Column(name, Form.DATE, needed) for name in names)


_ROLES: Final = (
    "aide counselor districtAdministrator guardian parent principal proctor relative siteAdministrator student systemAdministrator teacher"
)

FILES: Final[Mapping[str, tuple[Column, ...]]] = MappingProxyType(
    {
        "orgs.csv": (
            *BASE, _needed("name"), _word("type", "department school district local state national"), Column("identifier"),
            Column("parentSourcedId", refers="orgs.csv"),
        ),
        "academicSessions.csv": (
            *BASE, _needed("title"), _word("type", "gradingPeriod semester schoolYear term"),
            *_period(True, ("startDate", "endDate")), Column("parentSourcedId", refers="academicSessions.csv"),
            _needed("schoolYear", Form.YEAR),
        ),
        "courses.csv": (
            *BASE, Column("schoolYearSourcedId", refers="academicSessions.csv"), _needed("title"), Column("courseCode"),
            Column("grades", Form.LIST), _needed("orgSourcedId", refers="orgs.csv"), Column("subjects", Form.LIST),
            Column("subjectCodes", Form.LIST),
        ),
        "classes.csv": (
            *BASE, _needed("title"), Column("grades", Form.LIST), _needed("courseSourcedId", refers="courses.csv"), Column("classCode"),
            _word("classType", "homeroom scheduled"), Column("location"), _needed("schoolSourcedId", refers="orgs.csv"),
            _needed("termSourcedIds", Form.LIST, refers="academicSessions.csv"), Column("subjects", Form.LIST),
            Column("subjectCodes", Form.LIST), Column("periods", Form.LIST),
        ),
        "users.csv": (
            *BASE, _needed("enabledUser", Form.BOOLEAN), _needed("username"), Column("userIds", Form.USER_IDS), _needed("givenName"),
            _needed("familyName"), *_texts("middleName identifier email sms phone"),
            Column("agentSourcedIds", Form.LIST, refers="users.csv"), Column("grades", Form.LIST),
            *_texts("password userMasterIdentifier"), Column("resourceSourcedIds", Form.LIST),
            *_texts("preferredGivenName preferredMiddleName preferredFamilyName"), Column("primaryOrgSourcedId", refers="orgs.csv"),
            Column("pronouns"),
        ),
        "roles.csv": (
            *BASE, _needed("userSourcedId", refers="users.csv"), _word("roleType", "primary secondary"), _word("role", _ROLES),
            *_period(False), _needed("orgSourcedId", refers="orgs.csv"), Column("userProfileSourcedId"),
        ),
        "enrollments.csv": (
            *BASE, _needed("classSourcedId", refers="classes.csv"), _needed("schoolSourcedId", refers="orgs.csv"),
            _needed("userSourcedId", refers="users.csv"), _word("role", "administrator proctor student teacher"),
            Column("primary", Form.BOOLEAN), *_period(False),
        ),
    }
)  # fmt: skip
"""The files that a roster is made of, each after those it refers to but its own."""

_OTHERS: Final = (
    "categories classResources courseResources demographics lineItemLearningObjectiveIds lineItemScoreScales lineItems resources "
    "resultLearningObjectiveIds resultScoreScales results scoreScales userProfiles userResources"
)
OTHER_FILES: Final = frozenset(f"{name}.csv" for name in _OTHERS.split())
"""Files of the binding that may be there and are not read."""
