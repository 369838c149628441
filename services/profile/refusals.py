"""Rosters that are refused as a whole, since a mistake looks like them, unless somebody says that it is none. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final
from uuid import UUID

from services.profile.roster import Known, Plan, id_of
from shared.contracts.profile import ClassRostered, LearnerRostered, StaffRostered

FEW: Final = 20
"""Learners, or staff, whom a roster may withdraw, or leave without classes, however many there are; more only where they are at most half
of its source's."""
FEW_ANEW: Final = 5
"""People whom a roster may make anew under known `sourcedId`s, however many there are; more only where they are at most a quarter."""


def of_nobody(known: Known, source: str) -> str:
    """Return what is against a source that sends its first roster beside others: the children of one SIS under another name are other
    children. Nothing, where it is none."""
    others = sorted({each.source for kind in (known.learners, known.staff) for each in kind.values() if each.active})
    if source in known.sources or not others:
        return ""
    return (
        f"no roster of {source} was taken until now: all in it would be somebody new, beside those of {', '.join(others)}. Send it under "
        "the name that its SIS has here, or, if it is of another SIS, with ?new_source=true (`cairn roster import --new-source`)."
    )


def cut_short(planned: Plan, known: Known, source: str) -> str:
    """Return what is against a roster by which most learners or staff of a source would go, or be in no class any more, or be others than
    they were: an export that was cut short, or in which ids went astray, looks like that. Nothing, where it is none."""
    told = [*_missing(planned, known.learners, source, "learners"), *_missing(planned, known.staff, source, "staff"), *_others(planned)]
    if not told:
        return ""
    return (
        f"{'; '.join(told)}. Send a whole export, or, if that is so, the same with ?withdraw_many=true "
        "(`cairn roster import --withdraw-many`)"
    )


def _missing(planned: Plan, known: Mapping[UUID, LearnerRostered | StaffRostered], source: str, people: str) -> Iterator[str]:
    """Yield what too many people of a sort would lose. Between two terms nobody need be in a class."""
    active = {id: each for id, each in known.items() if each.active and each.source == source}
    gone = active.keys() & {id_of(each) for each in planned.gone}
    unplaced = len(gone & planned.at_no_school)
    if _are_most(gone, active):
        later = len(gone & planned.not_yet)
        unnamed = len(gone) - unplaced - later
        told = [f"the roster no longer names {unnamed}"] if unnamed else []
        told += [f"it names {later} as of later on only (?dry_run=true warns of each as not-yet)"] if later else []
        told += [f"it names {unplaced} at no school (?dry_run=true warns of each, and says what to do)"] if unplaced else []
        yield f"{len(gone)} of {len(active)} {people} would be withdrawn: {' and '.join(told)}"
    classed = {id for id, each in active.items() if each.class_ids}
    left = {each.id for each in planned.named if not isinstance(each.told, ClassRostered) and not each.told.class_ids} & classed
    if not planned.between_terms and _are_most(left, classed):
        yield f"{len(left)} of {len(classed)} {people} who are in classes would be in none: enrollments.csv names them in none that counts"


def _others(planned: Plan) -> Iterator[str]:
    """Yield what is wrong where many of those whom the roster names would be somebody new under `sourcedId`s that are known."""
    people, reused = len(planned.learners) + len(planned.staff), planned.warnings.counts["sourced-id-reused"]
    if reused > FEW_ANEW and 4 * reused > people:
        yield f"{reused} of {people} people would be somebody new, though their sourcedIds are known: their other ids are not"


def _are_most(some: Collection[UUID], people: Collection[UUID]) -> bool:
    return len(some) > FEW and 2 * len(some) > len(people)
