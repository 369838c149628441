"""Who a row of users.csv is: a person known already, or a new one. Pure.

Ids serve two ends, and are kept apart so that one column's `17` is never taken for another's:

- A *match* is the keyed hash of an id as one column of one SIS knows it: `alias_of(key, <SIS>, sourcedId)`,
  `alias_of(key, "<SIS>/identifier", ...)`, `"<SIS>/userMasterIdentifier"` and `"<SIS>/userIds/<type>"`. By any of these a person who was
  entered anew under another `sourcedId` is known again and keeps her id. `username` and `email` are handed on to others and match nobody.
- An *alias* is what another system may call a learner: `person_alias(key, source, id)` of each id above, of each entry of `userIds` as its
  type calls her (`{LMS:abc}`: source `LMS`, id `abc`), and of each IRI that an import's templates make of her row. The evidence service
  makes the same of the actor of a Caliper event, an IRI, and of source and learner of a direct act. An LMS that no template declares names
  nobody: what it tells waits.

The first match, that of the `sourcedId`, makes the person's id, and decides who a row is wherever it is known. Only for a row of an unknown
`sourcedId` do the other ids count, those that no other row has, of people whom no other row is; where they say several people, or several
rows the same one, the row is somebody new, with a warning. An id belongs to whom the roster gives it to now, so a SIS may correct, exchange
or merge ids at any time. Of two rows whose `sourcedId`s are one person's, whom an id typed wrong for a day had made one, the one whose
`sourcedId` made her id is she, and the other one somebody new.

Of the other ids `userIds` say least, as an LMS gives them to others. Where a row has an `identifier` or `userMasterIdentifier`, and none of
hers is known as that person's, her `userIds` say who she is only if that person surely has no such id: she has no match but some of the
row's and the one that made her id. Which match is of which column is not kept, so a second id of an LMS counts against it, too.

User names and LMS ids are given to others in time, and a child's work must not come into the record of one who had her user name before. So
an alias stays with its learner while her SIS names her under it, and passes on where the roster names somebody else under it, and her not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
    matches: Mapping[UUID, Sequence[str]]
    several: Mapping[str, set[UUID]]
    """Who had a match, where nobody has it now and more than one had."""

    @classmethod
    def of(cls, people: Iterable[tuple[UUID, Sequence[str], Sequence[str], bool]]) -> Persons:
        """Return what is known, from (id, matches, aliases, enrolled) of each person, the enrolled behind the others."""
        by_match: dict[str, UUID] = {}
        by_alias: dict[str, UUID] = {}
        all_matches: dict[UUID, Sequence[str]] = {}
        several: dict[str, set[UUID]] = {}
        for person, matches, aliases, enrolled in people:
            for match in matches:
                if enrolled:
                    several.pop(match, None)
                elif match in by_match:
                    several.setdefault(match, {by_match[match]}).add(person)
                by_match[match] = person
            by_alias.update(dict.fromkeys(aliases, person))
            all_matches[person] = matches
        return cls(by_match, by_alias, all_matches, several)

    def whose(self, match: str) -> Collection[UUID]:
        """Return whose a match is, or was."""
        return self.several.get(match) or ([self.by_match[match]] if match in self.by_match else ())


@dataclass(frozen=True, slots=True)
class Identified:
    """Who a row is, and the hashes of her ids."""

    row: Row
    person: UUID
    matches: tuple[str, ...]
    lost: frozenset[str] = frozenset()
    """Matches of hers until now that other rows have."""
    again: str = ""
    """The column by whose id she was known again, where her `sourcedId` was not known."""


def identify(
    rows: Sequence[Row], source: str, key: bytes, known: Persons, new_id: Callable[[bytes, str], UUID], faults: Faults, warnings: Faults
) -> list[Identified]:
    """Return who each row is; what is doubtful is a warning.

    Args:
        source: the SIS.
        key: the district key.
        new_id: makes a person's id from the key and her first match.
    """
    ids = [{alias_of(key, each.source, each.value): each for each in ids_of(row, source)} for row in rows]
    firsts = [next(iter(matches)) for matches in ids]
    holders = Counter(match for matches in ids for match in matches)
    sure = _sure(firsts, key, known, new_id)
    made = partial(new_id, key)
    likely = [
        _likely(matches, holders, known, sure, made) if first not in known.by_match else _NOBODY
        for first, matches in zip(firsts, ids, strict=True)
    ]
    claims = Counter(person for each in likely for person in each.claimed)
    found: list[tuple[Row, UUID, dict[str, Id], str]] = []
    taken: dict[UUID, int] = {}
    lost: dict[UUID, set[str]] = defaultdict(set)
    for row, first, matches, (people, _) in zip(rows, firsts, ids, likely, strict=True):
        person, again = known.by_match.get(first), ""
        if person is not None and sure[person] != first:  # Taken for one person by ids that were put right since.
            person = made(first)
        elif person is None and len(people) == 1 and claims[next(iter(people))] == 1:
            person = next(iter(people))
            again = next(each.column for match, each in matches.items() if holders[match] == 1 and person in known.whose(match))
        elif person is None and people:
            detail = "her ids were those of several people, or other rows have ids of the same one; she is taken as somebody new"
            warnings.add(_FILE, row.line, "sourcedId", "ambiguous-identity", detail, "if she was known before, give the row her sourcedId")
        person = person or made(first)
        if taken.setdefault(person, row.line) != row.line:
            detail = f"the same person as line {taken[person]}, by the ids of earlier imports"
            faults.add(_FILE, row.line, "sourcedId", "duplicate-identity", detail, "keep one row for each person")
        for match, each in matches.items():
            owner = known.by_match.get(match, person)
            if holders[match] > 1:
                lost[owner].add(match)
                detail = "other rows have the same, so it tells nobody"
                warnings.add(_FILE, row.line, each.column, "duplicate-identity", detail, "correct it, or leave it empty")
            elif owner != person:
                lost[owner].add(match)
                detail = "this id was another person's until now, and is hers from now on"
                remedy = "nothing, if that is so; else correct it, or, where she is that person, give the row her sourcedId"
                warnings.add(_FILE, row.line, each.column, "id-handed-on", detail, remedy)
        found.append((row, person, matches, again))
    return [
        Identified(row, person, tuple(match for match in matches if holders[match] == 1), frozenset(lost[person]), again)
        for row, person, matches, again in found
    ]


class _Likely(NamedTuple):
    """Whom the ids of a row of an unknown `sourcedId` may mean."""

    people: Collection[UUID]
    claimed: Collection[UUID]
    """Those of them whom no other row can be beside it; the others only make it doubtful who she is."""


_NOBODY: Final = _Likely((), ())


def _likely(
    matches: Mapping[str, Id], holders: Mapping[str, int], known: Persons, sure: Collection[UUID], made: Callable[[str], UUID]
) -> _Likely:
    """Return whom a row of an unknown `sourcedId` may mean, by the ids that no other row has; nobody whom another row surely is.

    Args:
        made: makes a person's id from her first match.
    """
    own = {match: each.column for match, each in matches.items() if holders[match] == 1}
    told = {person for match, column in own.items() if column in _TELLING for person in known.whose(match)}.difference(sure)
    named = [match for match, column in own.items() if column == "userIds" and not any(match in known.matches[each] for each in told)]
    others = {person for match in named for person in known.whose(match)}.difference(sure)
    if told:
        return _Likely(told | others, told)
    if any(each.column in _TELLING for each in matches.values()):  # Hers are new, or others': who has such ids, too, is not she.
        others = {each for each in others if all(match in matches or made(match) == each for match in known.matches[each])}
    return _Likely(others, others)


def _sure(firsts: Iterable[str], key: bytes, known: Persons, new_id: Callable[[bytes, str], UUID]) -> dict[UUID, str]:
    """Return who is known by her `sourcedId`, and its match. Of several that are one person's it is the one that made her id."""
    sure: dict[UUID, str] = {}
    for first in firsts:
        person = known.by_match.get(first)
        if person is not None and (person not in sure or new_id(key, first) == person):
            sure[person] = first
    return sure


class Aliases(NamedTuple):
    """What a roster says of aliases, by learner."""

    held: Mapping[UUID, set[str]]
    """Under what it names her."""
    lost: Mapping[UUID, set[str]]
    """What was hers until now, and is another's."""


def claimed(
    learners: Sequence[Identified], source: str, person_iris: Sequence[PersonIri], key: bytes, known: Persons,
    elsewhere: Collection[UUID], left_out: Collection[UUID], warnings: Faults,
) -> Aliases:  # fmt: skip
    """Return under which aliases the roster names each learner, and who loses which of hers.

    An id that several rows have is the alias of the one whose it was, or else of the one whose `sourcedId` it is, or of none; the others
    are warned. What was the alias of a learner who does not have it any more passes on, with a warning that says from whom to whom.

    Args:
        elsewhere: learners of whom this roster is not the whole truth: what is theirs stays theirs.
        left_out: learners whom it names and who are not taken: their ids are nobody else's, but nothing passes on to them.
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
    held: dict[UUID, set[str]] = {each.person: set() for each in learners}
    lost: dict[UUID, set[str]] = defaultdict(set)
    passed: dict[_Passed, None] = {}
    for alias, claimants in claims.items():
        owner = known.by_alias.get(alias)
        keeps = owner is not None and (owner in elsewhere or any(claim.person == owner for claim in claimants))
        winner = owner if keeps else _winner(claimants)
        for person, line, name in claimants:
            if person == winner and person in left_out and owner not in (None, person):
                detail = (
                    "this id was another learner's, and evidence under it is still recorded for that one: she who has it now is not taken"
                )
                warnings.add(_FILE, line, name.column, "alias-taken", detail, "correct why she is not taken, and send the roster again")
            elif person == winner:
                held[person].add(alias)
                if owner is not None and owner != person:
                    lost[owner].add(alias)
                    passed[_Passed(line, name.column, owner, person)] = None
            elif owner is not None and name.is_first:
                detail = "this id is another learner's alias since an earlier import, so evidence under it is not hers"
                warnings.add(_FILE, line, name.column, "alias-taken", detail, "have evidence sent under another of her ids")
            elif owner is not None and not keeps and winner is None:
                detail = "several rows have the id of one who has it no more, so evidence under it is still recorded for her"
                warnings.add(_FILE, line, name.column, "shared-id", detail, "correct it soon: leave it with the one whose it is")
            else:
                detail = "another learner has the same id, so evidence under it is not hers"
                warnings.add(_FILE, line, name.column, "shared-id", detail, "give her one of her own, if an LMS calls her by it")
    for line, column, owner, person in passed:  # An id is several aliases, and said once.
        detail = f"evidence under this id was recorded for learner {owner} until now, and is for learner {person} from now on"
        warnings.add(
            _FILE, line, column, "alias-handed-on", detail, "nothing, if that is so; else correct it, and void what was told since"
        )
    return Aliases(held, lost)


class _Passed(NamedTuple):
    """In which line and column an id stands that passes on, from whom, and to whom."""

    line: int
    column: str
    owner: UUID
    person: UUID


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
