"""Who a row of users.csv is: a person known already, or a new one. Pure.

Ids serve two ends, and are kept apart so that one column's `17` is never taken for another's:

- A *match* is the keyed hash of an id as one column of one SIS knows it: `alias_of(key, <SIS>, sourcedId)`,
  `alias_of(key, "<SIS>/identifier", ...)`, `"<SIS>/userMasterIdentifier"` and `"<SIS>/userIds/<type>"`. By any of these a person who was
  entered anew under another `sourcedId` is known again and keeps her id. `username` and `email` are handed on to others and match nobody.
- An *alias* is what another system may call a learner: `person_alias(key, source, id)` of each id above, of each entry of `userIds` as its
  type calls her (`{LMS:abc}`: source `LMS`, id `abc`), and of each IRI that an import's templates make of her row. The evidence service
  makes the same of the actor of a Caliper event, an IRI, and of source and learner of a direct act. An LMS that no template declares names
  nobody: what it tells waits. Whose an alias is, `aliases` says.

The first match, that of the `sourcedId`, makes the person's id, and decides who a row is wherever it is known; `settled` knows the three
exceptions. Only for a row of an unknown `sourcedId` do the other ids count, those that no other row has, of people whom no other row is;
where they say several people, or several rows the same one, the row is somebody new, with a warning. An id belongs to whom the roster gives
it to now, so a SIS may correct, exchange or merge ids at any time; but what two rows of one person have stays with the one whose it is.

Of the other ids `userIds` say least, as an LMS gives them to others. Where `identifier` and `userMasterIdentifier` agree on one person,
they say nothing. Where a row has one of these two, and none of hers is known as that person's, her `userIds` say who she is only if that
person surely has no such id: she has no match but some of the row's and the one that made her id. Which match is of which column is not
kept, so a second id of an LMS counts against it, too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from services.profile.ids import FILE, TELLING, ids_of
from services.profile.oneroster import Faults, Row
from services.profile.settled import Asked, Persons, settled
from shared.keys import alias_of


@dataclass(frozen=True, slots=True)
class Identified:
    """Who a row is, and the hashes of her ids."""

    row: Row
    person: UUID
    matches: tuple[str, ...]
    lost: frozenset[str] = frozenset()
    """Matches of hers until now that she has no more."""
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
    holders = Counter(match for matches in ids for match in matches)
    asked = [Asked.of(row, matches, holders) for row, matches in zip(rows, ids, strict=True)]
    made = partial(new_id, key)
    sure = settled(asked, known, made, warnings)
    likely = [_likely(each, holders, known, sure.values(), made) if at not in sure else _NOBODY for at, each in enumerate(asked)]
    claims = Counter(person for each in likely for person in each.claimed)
    found: list[tuple[Asked, UUID, str]] = []
    taken: dict[UUID, int] = {}
    for at, (each, (people, _)) in enumerate(zip(asked, likely, strict=True)):
        person, again = sure.get(at), ""
        if person is None and len(people) == 1 and claims[next(iter(people))] == 1:
            person = next(iter(people))
            again = next(id.column for match, id in each.matches.items() if holders[match] == 1 and person in known.whose(match))
        elif person is None and people:
            detail = "her ids were those of several people, or other rows have ids of the same one; she is taken as somebody new"
            remedy = "if she was known before, give the row her sourcedId"
            warnings.add(FILE, each.row.line, "sourcedId", "ambiguous-identity", detail, remedy)
        person = person or _anew(each, known, made, key)
        if taken.setdefault(person, each.row.line) != each.row.line:
            detail = f"the same person as line {taken[person]}, by the ids of earlier imports"
            faults.add(FILE, each.row.line, "sourcedId", "duplicate-identity", detail, "keep one row for each person")
        found.append((each, person, again))
    belongs = _belonging(found, holders, known, warnings)
    lost = _lost([person for _, person, _ in found], belongs, holders, known)
    return [
        Identified(each.row, person, tuple(match for match in each.matches if belongs.get(match) == person), frozenset(lost[person]), again)
        for each, person, again in found
    ]


def passed_on(people: Sequence[Identified], known: Persons) -> Mapping[UUID, set[str]]:
    """Return the matches of `sourcedId`s that are others' from now on, by those whose they were: of these it is no id any more, whether the
    roster names them or not."""
    passed: dict[UUID, set[str]] = defaultdict(set)
    for each in people:
        owner = known.by_match.get(each.matches[0], each.person)  # The first is that of her `sourcedId`, which no other row has.
        if owner != each.person:
            passed[owner].add(each.matches[0])
    return passed


def _anew(asked: Asked, known: Persons, made: Callable[[str], UUID], key: bytes) -> UUID:
    """Return the id of somebody new: made of her `sourcedId`, and of her telling ids, too, where that had made somebody else's."""
    person = made(asked.first)
    return person if person not in known.matches else made(alias_of(key, asked.first, " ".join(sorted(asked.told))))


def _belonging(found: Sequence[tuple[Asked, UUID, str]], holders: Mapping[str, int], known: Persons, warnings: Faults) -> dict[str, UUID]:
    """Return whose each match is from now on that is anybody's: the only row's that has it; of two rows of one person the one's whose it
    was; nobody's whom several others have."""
    by_match: dict[str, list[tuple[Asked, UUID]]] = defaultdict(list)
    for asked, person, _ in found:
        for match in asked.matches:
            by_match[match].append((asked, person))
    belongs = {match: having[0][1] for match, having in by_match.items() if len(having) == 1}
    for match, having in by_match.items():
        owner = next((asked for asked, person in having if known.by_match.get(match) == person), None)
        if owner is not None and len(having) > 1 and all(owner is each or owner.is_twin(each) for each, _ in having):
            belongs[match] = known.by_match[match]
    for asked, person, _ in found:
        for match, each in asked.matches.items():
            owner_id = known.by_match.get(match, person)
            if holders[match] > 1 and match in belongs:
                detail = "another row has the same and seems to be the same person, so it tells the one whose it was"
                remedy = "if they are one person, take the row out whose sourcedId is the newer one; else correct it"
                warnings.add(FILE, asked.row.line, each.column, "duplicate-identity", detail, remedy)
            elif holders[match] > 1:
                detail = "other rows have the same, so it tells nobody"
                warnings.add(FILE, asked.row.line, each.column, "duplicate-identity", detail, "correct it, or leave it empty")
            elif owner_id != person:
                detail = "this id was another person's until now, and is hers from now on"
                remedy = "nothing, if that is so; else correct it, or, where she is that person, give the row her sourcedId"
                warnings.add(FILE, asked.row.line, each.column, "id-handed-on", detail, remedy)
    return belongs


def _lost(people: Collection[UUID], belongs: Mapping[str, UUID], holders: Mapping[str, int], known: Persons) -> Mapping[UUID, set[str]]:
    """Return what those whom the roster names had until now and have no more: another one has it, or several rows do, or, where nobody of
    them has it now, several of them had. Those whom it does not name keep what they had: it shows that an id was several people's."""
    had = Counter(match for person in people for match in known.matches.get(person, ()))
    lost: dict[UUID, set[str]] = defaultdict(set)
    for person in people:
        for match in known.matches.get(person, ()):
            if match in belongs:
                keeps = belongs[match] == person
            else:
                keeps = holders[match] == 0 and (had[match] == 1 or list(known.whose(match)) == [person])
            if not keeps:
                lost[person].add(match)
    return lost


class _Likely(NamedTuple):
    """Whom the ids of a row may mean that nothing settles."""

    people: Collection[UUID]
    claimed: Collection[UUID]
    """Those of them whom no other row can be beside it; the others only make it doubtful who she is."""


_NOBODY: Final = _Likely((), ())


def _likely(asked: Asked, holders: Mapping[str, int], known: Persons, sure: Collection[UUID], made: Callable[[str], UUID]) -> _Likely:
    """Return whom a row may mean by the ids that no other row has; nobody whom another row surely is.

    Args:
        made: makes a person's id from her first match.
    """
    matches = asked.matches
    own = {match: each.column for match, each in matches.items() if holders[match] == 1}
    by_column = [set(known.whose(match)).difference(sure) for match in own if match in asked.told]
    told = set().union(*by_column)
    if len(by_column) > 1 and len(told) == 1 and all(by_column):
        return _Likely(told, told)
    named = [match for match, column in own.items() if column == "userIds" and not any(match in known.matches[each] for each in told)]
    others = {person for match in named for person in known.whose(match)}.difference(sure)
    if told:
        return _Likely(told | others, told)
    if any(each.column in TELLING for each in matches.values()):  # Hers are new, or others': who has such ids, too, is not she.
        others = {each for each in others if all(match in matches or made(match) == each for match in known.matches[each])}
    return _Likely(others, others)
