"""What is known of people, and who a row is whose `sourcedId` is known. Pure.

A `sourcedId` says who its row is. But a SIS gives it to somebody else in time, and numbers people anew. So:

- Of two rows whose `sourcedId`s are one person's, she is the one that has an `identifier` or `userMasterIdentifier` of hers, where only one
  has; else the one whose `sourcedId` made her id, since the other was taken for her by an id typed wrong for a day.
- Who was withdrawn is not she, where the row has such ids and none of them was ever hers, though she had others: her `sourcedId` was given
  again. Nor is one who is there until now, where a row of an unknown `sourcedId` has two such ids, both hers.
- Who was withdrawn and came back with an id typed wrong, so that she was made anew, is herself again when the id is right.
- Who was made of a row while another one had her two such ids is the person whose they are, once the roster names that one no more.

A child who is there and whose ids are corrected stays who she is, with a warning where none of the new ones was hers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from services.profile.ids import FILE, TELLING, Id
from services.profile.oneroster import Faults, Row

SURE: Final = 2
"""Telling ids that say who a row is, whatever its `sourcedId` says."""
_ONE_AGAIN: Final = "nothing, if that is so; void or tell anew what was told of the former in between"


@dataclass(frozen=True)
class Persons:
    """What is known of the people of one sort: whose matches and aliases are which."""

    by_match: Mapping[str, UUID]
    by_alias: Mapping[str, UUID]
    matches: Mapping[UUID, Sequence[str]]
    several: Mapping[str, set[UUID]]
    """Who had a match, where nobody has it now and more than one had."""
    enrolled: Set[UUID]

    @classmethod
    def of(cls, people: Iterable[tuple[UUID, Sequence[str], Sequence[str], bool]]) -> Persons:
        """Return what is known, from (id, matches, aliases, enrolled) of each person, the enrolled behind the others."""
        by_match: dict[str, UUID] = {}
        by_alias: dict[str, UUID] = {}
        all_matches: dict[UUID, Sequence[str]] = {}
        several: dict[str, set[UUID]] = {}
        there: set[UUID] = set()
        for person, matches, aliases, enrolled in people:
            for match in matches:
                if enrolled:
                    several.pop(match, None)
                elif match in by_match:
                    several.setdefault(match, {by_match[match]}).add(person)
                by_match[match] = person
            by_alias.update(dict.fromkeys(aliases, person))
            all_matches[person] = matches
            if enrolled:
                there.add(person)
        return cls(by_match, by_alias, all_matches, several, there)

    def whose(self, match: str) -> Collection[UUID]:
        """Return whose a match is, or was."""
        return self.several.get(match) or ([self.by_match[match]] if match in self.by_match else ())


@dataclass(frozen=True, slots=True)
class Asked:
    """A row, and what its ids are hashed as."""

    row: Row
    matches: Mapping[str, Id] = field(repr=False)
    told: Set[str]
    """Of its telling ids those that no other row has."""

    @classmethod
    def of(cls, row: Row, matches: Mapping[str, Id], holders: Mapping[str, int]) -> Asked:
        """Take a row, and how many rows have each match."""
        return cls(row, matches, frozenset(match for match, each in matches.items() if each.column in TELLING and holders[match] == 1))

    @property
    def first(self) -> str:
        """The match of its `sourcedId`."""
        return next(iter(self.matches))

    def is_twin(self, other: Asked) -> bool:
        """Return whether two rows seem to be one person: all telling ids are the same, or one of them and the name."""
        both = {match for match, each in self.matches.items() if each.column in TELLING and match in other.matches}
        return len(both) >= SURE or (len(both) > 0 and _name(self.row) == _name(other.row))


def _name(row: Row) -> tuple[str, str]:
    return row["givenName"].strip().casefold(), row["familyName"].strip().casefold()


def settled(asked: Sequence[Asked], known: Persons, made: Callable[[str], UUID], warnings: Faults) -> dict[int, UUID]:
    """Return who the rows are whose `sourcedId` says so, by their places.

    Args:
        made: makes a person's id from her first match.
    """
    rows: dict[UUID, list[int]] = defaultdict(list)
    for at, each in enumerate(asked):
        if each.first in known.by_match:
            rows[known.by_match[each.first]].append(at)
    sure: dict[int, UUID] = {}
    new = {at: known.by_match[next(iter(each.told))] for at, each in enumerate(asked) if _says_one(each, known)}
    claimed = {person for at, person in new.items() if asked[at].first not in known.by_match}
    for person, places in rows.items():
        at = places[0]
        if len(places) > 1:
            at = min(places, key=lambda at: (asked[at].told.isdisjoint(known.matches[person]), made(asked[at].first) != person, at))
        each = asked[at]
        if not _is_strange(each, person, known, made):
            sure[at] = person
        elif _is_former(each, made(each.first), known):
            sure[at] = made(each.first)
            detail = f"she was {person} while her row had other ids, and is {made(each.first)} again, whose she has now"
            warnings.add(FILE, each.row.line, "sourcedId", "one-again", detail, _ONE_AGAIN)
        elif person not in known.enrolled or person in claimed:
            detail = f"it was that of {person}, and no identifier or userMasterIdentifier of the row was: she is not taken for that one"
            remedy = (
                "nothing, if the SIS gave it to somebody else; if she is the same, give the row one of her former ids before the roster is "
                "taken; once it is, leave her out of one roster, and name her with such an id in the next"
            )
            warnings.add(FILE, each.row.line, "sourcedId", "sourced-id-reused", detail, remedy)
        else:
            sure[at] = person
            detail = f"by it she is {person}, and no identifier or userMasterIdentifier of the row was hers until now"
            remedy = (
                "nothing, if these were corrected; if the SIS gave it to somebody else, leave the row out of a roster before this one is "
                "taken; once it is, name both in one: who had it before under it, and her under a sourcedId of her own"
            )
            warnings.add(FILE, each.row.line, "sourcedId", "ids-changed", detail, remedy)
    return sure | _rejoined(asked, sure, new, known, made, warnings)


def _says_one(asked: Asked, known: Persons) -> bool:
    """Return whether two telling ids of a row are known, and one person's."""
    owners = {person for match in asked.told for person in known.whose(match)}
    return len(asked.told) >= SURE and len(owners) == 1 and all(known.whose(match) for match in asked.told)


def _has_others(asked: Asked, person: UUID, known: Persons, made: Callable[[str], UUID]) -> bool:
    """Return whether a person had ids that the row has not, beside the one that made her."""
    return any(match not in asked.matches and made(match) != person for match in known.matches[person])


def _is_strange(asked: Asked, person: UUID, known: Persons, made: Callable[[str], UUID]) -> bool:
    """Return whether a row has telling ids and none of them was the person's, who had others."""
    return bool(asked.told) and asked.told.isdisjoint(known.matches[person]) and _has_others(asked, person, known, made)


def _is_former(asked: Asked, person: UUID, known: Persons) -> bool:
    """Return whether somebody withdrawn had all telling ids of a row."""
    return person in known.matches and person not in known.enrolled and asked.told <= set(known.matches[person])


def _rejoined(
    asked: Sequence[Asked], sure: Mapping[int, UUID], new: Mapping[int, UUID], known: Persons, made: Callable[[str], UUID], warnings: Faults
) -> dict[int, UUID]:
    """Return the rows that are other people than their `sourcedId`s say, and whom they are."""
    there = set(sure.values())
    found: dict[int, UUID] = {}
    for at, person in sure.items():
        owner = new.get(at, person)
        strange = asked[at].told.isdisjoint(known.matches[person]) and not _has_others(asked[at], person, known, made)
        if strange and owner in known.enrolled - there:
            there.add(owner)
            found[at] = owner
            detail = f"she was {person} while another row had her ids, and is {owner} again, whose they are: no other row is that one now"
            warnings.add(FILE, asked[at].row.line, "sourcedId", "one-again", detail, _ONE_AGAIN)
    return found
