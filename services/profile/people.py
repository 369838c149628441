"""Who a row of users.csv is: a person known already, or a new one. Pure.

Ids serve two ends, and are kept apart so that one column's `17` is never taken for another's:

- A *match* is the keyed hash of an id as one column of one SIS knows it: `alias_of(key, <SIS>, sourcedId)`,
  `alias_of(key, "<SIS>/identifier", ...)`, `"<SIS>/userMasterIdentifier"` and `"<SIS>/userIds/<type>"`. By any of these a person who was
  entered anew under another `sourcedId` is known again and keeps her id. `username` and `email` are handed on to others and match nobody.
- An *alias* is what another system may call a learner: `person_alias(key, source, id)` of each id above, of each entry of `userIds` as its
  type calls her (`{LMS:abc}`: source `LMS`, id `abc`), and of each IRI that an import's templates make of her row. The evidence service
  makes the same of the actor of a Caliper event, an IRI, and of source and learner of a direct act. An LMS that no template declares names
  nobody: what it tells waits.

The first match, that of the `sourcedId`, makes the person's id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from services.profile.oneroster import Faults, Row, listed
from services.profile.person_iri import PersonIri
from shared.keys import alias_of, is_iri, person_alias

_FILE: Final = "users.csv"
_TELLING: Final = ("userMasterIdentifier", "identifier")


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
    ids += [Id(column, f"{source}/{column}", row[column].strip()) for column in _TELLING if row[column]]
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
    """Return type and id of each entry of `userIds`."""
    pairs = [pair[1:-1].partition(":") for pair in listed(row["userIds"])]
    return [(kind.strip(), value.strip()) for kind, _, value in pairs]


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


@dataclass(frozen=True, slots=True)
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
        ids = ids_of(row, source)
        matches = [alias_of(key, each.source, each.value) for each in ids]
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


def claimed(
    learners: Sequence[Identified], source: str, person_iris: Sequence[PersonIri], key: bytes, known: Persons, faults: Faults,
    warnings: Faults,
) -> dict[UUID, set[str]]:  # fmt: skip
    """Return the aliases of each learner.

    An id that several rows have is the alias of the one whose `sourcedId` it is, or of none; the others are warned. A `sourcedId` that is
    another learner's alias since earlier is a fault; any other id is then passed over with a warning.
    """
    claims: dict[str, list[_Claim]] = defaultdict(list)
    for each in learners:
        for name in names_of(each.row, source, person_iris):
            if name.source or is_iri(name.value):
                claimants = claims[person_alias(key, name.source, name.value)]
                if not claimants or claimants[-1].person != each.person:  # All names of a person come one after another.
                    claimants.append(_Claim(each.person, each.row.line, name))
            else:
                detail = "with what stands here, the template of a person IRI gives no IRI"
                warnings.add(_FILE, each.row.line, name.column, "no-iri", detail, "write the id as the other system does in its IRIs")
    result: dict[UUID, set[str]] = {each.person: set() for each in learners}
    for alias, claimants in claims.items():
        owner = known.by_alias.get(alias)
        winner = owner if owner is not None else _winner(claimants)
        for person, line, name in claimants:
            if person == winner:
                result[person].add(alias)
            elif owner is not None and name.is_first:
                detail = "this id is another learner's since an earlier import"
                faults.add(_FILE, line, name.column, "alias-taken", detail, "give one of them another id: evidence could be hers or his")
            else:
                detail = "another learner has the same id, so evidence under it is not hers"
                warnings.add(_FILE, line, name.column, "shared-id", detail, "give her one of her own, if an LMS calls her by it")
    return result


class _Claim(NamedTuple):
    """Who has an id, in which line."""

    person: UUID
    line: int
    name: Id


def _winner(claimants: Sequence[_Claim]) -> UUID | None:
    """Return whose alias it is: the only one's, or the only one's who has it as `sourcedId`."""
    if len(claimants) == 1:
        return claimants[0].person
    first = [claim.person for claim in claimants if claim.name.is_first]
    return first[0] if len(first) == 1 else None
