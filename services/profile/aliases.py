"""Under which ids other systems know the learners of a roster, and which of them pass on from one learner to another. Pure.

User names and LMS ids are given to others in time, and a child's work must not come into the record of one who had her user name before. So
an alias stays with its learner while her SIS names her under it, and passes on where the roster names somebody else under it, and her not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from services.profile.ids import FILE, Id, names_of
from services.profile.oneroster import Faults
from services.profile.people import Identified
from services.profile.person_iri import PersonIri
from services.profile.settled import Persons
from shared.keys import is_iri, person_alias


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
                warnings.add(FILE, each.row.line, name.column, "no-iri", detail, "write the id as the other system does in its IRIs")
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
                warnings.add(FILE, line, name.column, "alias-taken", detail, "correct why she is not taken, and send the roster again")
            elif person == winner:
                held[person].add(alias)
                if owner is not None and owner != person:
                    lost[owner].add(alias)
                    passed[_Passed(line, name.column, owner, person)] = None
            elif owner is not None and name.is_first:
                detail = "this id is another learner's alias since an earlier import, so evidence under it is not hers"
                warnings.add(FILE, line, name.column, "alias-taken", detail, "have evidence sent under another of her ids")
            elif owner is not None and not keeps and winner is None:
                detail = "several rows have the id of one who has it no more, so evidence under it is still recorded for her"
                warnings.add(FILE, line, name.column, "shared-id", detail, "correct it soon: leave it with the one whose it is")
            else:
                detail = "another learner has the same id, so evidence under it is not hers"
                warnings.add(FILE, line, name.column, "shared-id", detail, "give her one of her own, if an LMS calls her by it")
    for line, column, owner, person in passed:  # An id is several aliases, and said once.
        detail = f"evidence under this id was recorded for learner {owner} until now, and is for learner {person} from now on"
        warnings.add(FILE, line, column, "alias-handed-on", detail, "nothing, if that is so; else correct it, and void what was told since")
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
