"""The ids of a row of users.csv: by which its SIS may know a person again, and by which other systems call her. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.profile.oneroster import Row, listed
from services.profile.person_iri import PersonIri

FILE: Final = "users.csv"
TELLING: Final = ("userMasterIdentifier", "identifier")
"""Columns that tell who somebody is: ids of the school's own."""


@dataclass(frozen=True, slots=True)
class Id:
    """One id of a row: where it stands, who calls her so, and what it says."""

    column: str
    source: str
    """Empty for an IRI that a template made of the column."""
    value: str

    @property
    def is_first(self) -> bool:
        """Whether it is the `sourcedId` itself."""
        return self.column == "sourcedId" and self.source != ""


def ids_of(row: Row, source: str) -> list[Id]:
    """Return the ids by which the SIS may know a user again, the `sourcedId` first."""
    return _ids_of(row, source, _user_ids(row))


def _ids_of(row: Row, source: str, user_ids: Sequence[tuple[str, str]]) -> list[Id]:
    ids = [Id("sourcedId", source, row["sourcedId"])]
    ids += [Id(column, f"{source}/{column}", row[column].strip()) for column in TELLING if row[column]]
    return ids + [Id("userIds", f"{source}/userIds/{kind}", value) for kind, value in user_ids]


def names_of(row: Row, source: str, person_iris: Iterable[PersonIri]) -> list[Id]:
    """Return all that other systems may call a user by."""
    user_ids = _user_ids(row)
    names = _ids_of(row, source, user_ids) + [Id("userIds", kind, value) for kind, value in user_ids]
    for iri in person_iris:
        values = [value for kind, value in user_ids if kind == iri.type] if iri.type else [row[iri.column].strip()]
        names += [Id(iri.column, "", iri.prefix + value) for value in values if value]
    return names


def _user_ids(row: Row) -> list[tuple[str, str]]:
    """Return type and id of each entry of `userIds`; one whose id is blank is none."""
    pairs = [pair[1:-1].partition(":") for pair in listed(row["userIds"])]
    return [(kind.strip(), value.strip()) for kind, _, value in pairs if value.strip()]
