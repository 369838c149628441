"""Who a row of users.csv is: a person known already, or a new one. Pure.

Ids serve two ends, and are kept apart so that one column's `17` is never taken for another's:

- A *match* is the keyed hash of an id as one column of one SIS knows it: `alias_of(key, <SIS>, sourcedId)`,
  `alias_of(key, "<SIS>/identifier", ...)`, `"<SIS>/userMasterIdentifier"` and `"<SIS>/userIds/<type>"`. By any of these a person who was
  entered anew under another `sourcedId` is known again and keeps her id. `username` and `email` are handed on to others and match nobody.
- An *alias* is what another system may call a learner: `person_alias(key, id)` for her `sourcedId`, `identifier`,
  `userMasterIdentifier`, each value of `userIds` (`{LMS:abc}`: `abc`), `username` and `email`. The evidence service makes the same from the
  actor of a Caliper event: source `person`, and of an IRI what follows the last `/` or `:`. So `urn:cairn:person:abc`,
  `https://lms.example/users/abc` and `abc` are one alias.

The first match, that of the `sourcedId`, makes the person's id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.profile.oneroster import Faults, Row, listed
from shared.keys import alias_of, person_alias

_FILE: Final = "users.csv"
_TELLING: Final = ("userMasterIdentifier", "identifier")
_HANDED_ON: Final = ("username", "email")


@dataclass(frozen=True)
class Id:
    """One id of a row: where it stands, what it says."""

    column: str
    kind: str
    """The column, and for `userIds` the type behind it."""
    value: str


def ids_of(row: Row) -> list[Id]:
    """Return the ids by which a user may be known again, the `sourcedId` first."""
    ids = [Id("sourcedId", "sourcedId", row["sourcedId"])]
    ids += [Id(column, column, row[column].strip()) for column in _TELLING if row[column]]
    for pair in listed(row["userIds"]):
        kind, _, value = pair[1:-1].partition(":")
        ids.append(Id("userIds", f"userIds/{kind.strip()}", value.strip()))
    return ids


def names_of(row: Row) -> list[Id]:
    """Return all ids that another system may call a user by."""
    return ids_of(row) + [Id(column, column, row[column].strip()) for column in _HANDED_ON if row[column]]


@dataclass(frozen=True)
class Persons:
    """What is known of the people of one sort: whose matches and aliases are which."""

    by_match: Mapping[str, UUID]
    by_alias: Mapping[str, UUID]

    @classmethod
    def of(cls, people: Iterable[tuple[UUID, Sequence[str], Sequence[str]]]) -> Persons:
        """Return what is known, from (id, matches, aliases) of each person."""
        by_match: dict[str, UUID] = {}
        by_alias: dict[str, UUID] = {}
        for person, matches, aliases in people:
            by_match.update(dict.fromkeys(matches, person))
            by_alias.update(dict.fromkeys(aliases, person))
        return cls(by_match, by_alias)


@dataclass(frozen=True)
class Identified:
    """Who a row is, and the hashes of her ids."""

    row: Row
    person: UUID
    matches: tuple[str, ...]


def identify(
    rows: Sequence[Row], source: str, key: bytes, known: Persons, new_id: Callable[[bytes, str], UUID], faults: Faults
) -> list[Identified]:
    """Return who each row is; rows that cannot be told apart are faults.

    Args:
        source: the SIS.
        key: the district key.
        new_id: makes a person's id from the key and her first match.
    """
    result: list[Identified] = []
    holders: dict[str, int] = {}
    taken: dict[UUID, int] = {}
    for row in rows:
        ids = ids_of(row)
        matches = [_match(key, source, each) for each in ids]
        for each, match in zip(ids, matches, strict=True):
            if holders.setdefault(match, row.line) != row.line:
                detail = f"line {holders[match]} has the same"
                faults.add(
                    _FILE, row.line, each.column, "duplicate-identity", detail, "ids tell people apart: correct it, or leave it empty"
                )
        found = {known.by_match[match] for match in matches if match in known.by_match}
        if len(found) > 1:
            detail = "its ids belong to different people of earlier imports"
            faults.add(_FILE, row.line, "sourcedId", "ambiguous-identity", detail, "correct identifier, userMasterIdentifier and userIds")
            continue
        person = found.pop() if found else new_id(key, matches[0])
        if taken.setdefault(person, row.line) != row.line:
            detail = f"the same person as line {taken[person]}, by the ids of earlier imports"
            faults.add(_FILE, row.line, "sourcedId", "duplicate-identity", detail, "keep one row for each person")
            continue
        result.append(Identified(row, person, tuple(dict.fromkeys(matches))))
    return result


def _match(key: bytes, source: str, name: Id) -> str:
    return alias_of(key, source if name.kind == "sourcedId" else f"{source}/{name.kind}", name.value)


def claimed(learners: Sequence[Identified], key: bytes, known: Persons, faults: Faults, warnings: Faults) -> dict[UUID, set[str]]:
    """Return the aliases of each learner.

    An id that several rows have is the alias of the one whose `sourcedId` it is, or of none; the others are warned. A `sourcedId` that is
    another learner's alias since earlier is a fault; any other id is then passed over with a warning.
    """
    claims: dict[str, dict[UUID, tuple[int, str]]] = defaultdict(dict)
    for each in learners:
        for name in names_of(each.row):
            claims[person_alias(key, name.value)].setdefault(each.person, (each.row.line, name.column))
    result: dict[UUID, set[str]] = {each.person: set() for each in learners}
    for alias, claimants in claims.items():
        owner = known.by_alias.get(alias)
        winner = owner if owner is not None else _winner(claimants)
        for person, (line, column) in claimants.items():
            if person == winner:
                result[person].add(alias)
            elif owner is not None and column == "sourcedId":
                detail = "this id, or its last part, is another learner's since an earlier import"
                faults.add(_FILE, line, column, "alias-taken", detail, "give one of them another id: evidence could be hers or his")
            else:
                detail = "another learner has the same id, so evidence under it is not hers"
                warnings.add(_FILE, line, column, "shared-id", detail, "give her one of her own, if an LMS calls her by it")
    return result


def _winner(claimants: Mapping[UUID, tuple[int, str]]) -> UUID | None:
    """Return whose alias it is: the only one's, or the only one's who has it as `sourcedId`."""
    if len(claimants) == 1:
        return next(iter(claimants))
    first = [person for person, (_, column) in claimants.items() if column == "sourcedId"]
    return first[0] if len(first) == 1 else None
