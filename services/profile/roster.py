"""What a whole roster asks for, against what is known: schools, classes, staff and learners that are new, changed or gone. Pure.

A bulk file set is the whole truth of its source: whom it no longer names is withdrawn, never removed. Enrollments and roles that have ended
by the day of the import do not count (`endDate` is the first day after). Those that begin later do within days, or where the school is not
in session, for who has no other (`places`). An enrollment without one of these dates has it from the terms of its class; so terms say which
classes are hers, but not whether she is a learner or staff, nor at which school.

People are learners, or staff, or both; guardians and administrators are read and not taken. Whose org is no school belongs to the nearest
one above it; whom that leaves without a school is not taken, with a warning. Staff are qualified for the subjects of classes that they are
enrolled in as teachers: proctors, and whoever has a role of the district's own, are there without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import chain
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from services.profile.aliases import Aliases, claimed
from services.profile.domain import Told, fingerprint
from services.profile.oneroster import Faults, Roster, Row, listed
from services.profile.people import Identified, identify, passed_on
from services.profile.person_iri import PARAMETER, PersonIri
from services.profile.places import TEACHING, Places, places_of, warn_of_places
from services.profile.settled import Persons
from services.profile.terms import between_terms_on, first_session_of, term_of
from shared.contracts.envelope import canonical, digest
from shared.contracts.profile import ClassRostered, LearnerRostered, SchoolRostered, StaffRostered
from shared.keys import alias_of, class_id_of, learner_id_of, school_id_of, staff_id_of

MAX_TOLD_BYTES: Final = 64 * 1024
"""Of what is told of one person: far above hundreds of classes and ids, far below what an event may hold."""

FORMER_BYTES: Final = 67
"""Of one id in it, as a hash."""

Held: TypeAlias = LearnerRostered | StaffRostered | ClassRostered
"""What has a key of its own, and may be withdrawn."""
P = TypeVar("P", LearnerRostered, StaffRostered)
Passed: TypeAlias = Mapping[UUID, Collection[str]]
"""Matches that are others' now, by those whose they were."""


def id_of(told: Held) -> UUID:
    """Return under which id its key lies."""
    match told:
        case LearnerRostered(learner_id=owner) | StaffRostered(staff_id=owner) | ClassRostered(class_id=owner):
            return owner


@dataclass(frozen=True)
class Known:
    """What earlier imports told, and stands."""

    schools: Mapping[UUID, SchoolRostered] = field(default_factory=dict)
    classes: Mapping[UUID, ClassRostered] = field(default_factory=dict)
    staff: Mapping[UUID, StaffRostered] = field(default_factory=dict)
    learners: Mapping[UUID, LearnerRostered] = field(default_factory=dict)
    elsewhere: Mapping[UUID, Sequence[StaffRostered]] = field(default_factory=dict)
    """What was told last of staff at schools that were never told that they went to another one, as earlier releases had it."""
    erased: Mapping[UUID, date] = field(default_factory=dict)
    """Learners who are erased, and since which day: without a key their names are not taken."""

    templates: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The templates of person IRIs that came with the last roster of each source."""

    @property
    def sources(self) -> Set[str]:
        """All whose rosters were taken."""
        return {*self.templates, *(each.source for kind in (self.learners, self.staff, self.classes) for each in kind.values())}

    def before(self, told: Held) -> Held | None:
        """Return what was told of a class or person before; their ids have nothing in common."""
        id = id_of(told)
        return self.classes.get(id) or self.staff.get(id) or self.learners.get(id)


@dataclass(frozen=True)
class Named:
    """What is told of a person or class, and the name or title, which the edge seals before it goes on."""

    told: Held
    name: str = field(repr=False)
    line: int
    """Where it stands in its file."""
    again: str = field(default="", compare=False)
    """The column by whose id a person was known again, where her `sourcedId` was not known."""

    @property
    def id(self) -> UUID:
        """Under which its key lies."""
        return id_of(self.told)


@dataclass(frozen=True)
class Plan:
    """Everything a roster tells; those whom it no longer names are in `gone`, as they will stand."""

    schools: list[SchoolRostered]
    classes: list[Named]
    staff: list[Named]
    learners: list[Named]
    gone: list[Held]
    at_no_school: frozenset[UUID]
    """Learners and staff whom it names and does not take; who was taken before is among the `gone`."""
    handed_on: int
    """Aliases that were another learner's until now."""
    erased: int
    """Learners whom it names, and whose names are not taken."""
    warnings: Faults
    content_hash: str
    rows: int
    first_session: date | None = None
    """When the earliest academic session begins that is no placeholder."""
    not_yet: frozenset[UUID] = frozenset()
    """Of those who were taken before, whom it names as of later on."""
    between_terms: bool = False
    """Whether its classes have terms, and none of them is under way."""

    @property
    def named(self) -> list[Named]:
        """All whose name or title is sealed."""
        return [*self.classes, *self.staff, *self.learners]


class Change(StrEnum):
    """What becomes of a person or thing."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"


def change(told: Told, before: Told | None) -> Change:
    """Return what becomes of something that is now told so, and stood so before."""
    if before is None:
        return Change.CREATED
    if fingerprint(told) == fingerprint(before):
        return Change.UNCHANGED
    stays = isinstance(told, SchoolRostered) or isinstance(before, SchoolRostered) or told.active or not before.active
    return Change.CHANGED if stays else Change.WITHDRAWN


def plan(roster: Roster, source: str, on: date, key: bytes, known: Known, person_iris: Sequence[PersonIri] = ()) -> Plan:
    """Return what a roster asks for.

    Args:
        source: the SIS, as its operator calls it; ids of other sources are other people's.
        on: the day of the import.
        key: the district key.
        person_iris: how other systems name the learners; with other ones it is another import.

    Raises:
        BadInput: people who cannot be told apart, each row named; nothing may be stored then.
    """
    faults, warnings = Faults(), Faults()
    schools = _schools(roster, source, on)
    classes = _classes(roster, source)
    rows = {row["sourcedId"]: row for row in roster["users.csv"]}
    places = places_of(roster, source, on)
    staff, unplaced, of_staff = _staff([rows[user] for user in places.staff], places, source, key, known, classes, faults, warnings)
    students = [rows[user] for user in places.learners]
    learners, left_out, aliases, of_learners = _learners(students, places, source, person_iris, key, known, classes, faults, warnings)
    faults.check("people of the roster cannot be told apart")
    between_terms = between_terms_on(roster, on, warnings)
    warn_of_places(places, rows, warnings)
    for text in sorted(set(known.templates.get(source, ())).difference(each.text for each in person_iris)):
        detail = (
            f"the last roster of {source} came with {text}, and this one without: an id in it that passes on stays with its former owner"
        )
        remedy = "send it with the same templates, unless no system names learners so any more"
        warnings.add(f"query/{PARAMETER}", None, None, "template-missing", detail, remedy)
    _warn_of_known_again([*staff, *learners], warnings)
    gone: list[Held] = [
        *_gone(known.classes, {each.class_id for each in classes.values()}, source),
        *_gone_staff(known.staff, {each.id for each in staff}, source, of_staff),
        *_gone_learners(known.learners, {each.id for each in learners}, source, aliases, of_learners),
    ]
    content_hash = digest(canonical([source, roster.content_hash, *(each.text for each in person_iris)]))
    titled = [Named(classes[row["sourcedId"]], row["title"], row.line) for row in roster["classes.csv"]]
    handed_on = sum(map(len, aliases.lost.values()))
    first = first_session_of(roster, warnings)
    erased = sum(each.id in known.erased for each in learners)
    return Plan(
        schools, titled, staff, learners, gone, left_out | unplaced, handed_on, erased, warnings, content_hash, roster.rows, first,
        _known_by({alias_of(key, source, user) for user in places.not_yet}, known), between_terms,
    )  # fmt: skip


def _known_by(matches: Set[str], known: Known) -> frozenset[UUID]:
    """Return who has one of these matches."""
    people: chain[LearnerRostered | StaffRostered] = chain(known.learners.values(), known.staff.values())
    return frozenset(id_of(each) for each in people if not matches.isdisjoint(each.matches)) if matches else frozenset()


def class_id(source: str, school: str, name: str) -> UUID:
    """Return the id of a class. The school is part of it, as a class's events are kept with its school's."""
    return class_id_of(source, canonical([school, name]).decode())


def _schools(roster: Roster, source: str, on: date) -> list[SchoolRostered]:
    sessions = {row["sourcedId"]: row for row in roster["academicSessions.csv"]}
    named: dict[str, set[str]] = defaultdict(set)
    for row in roster["classes.csv"]:
        named[row["schoolSourcedId"]].update(listed(row["termSourcedIds"]))
    result = []
    for row in roster["orgs.csv"]:
        if row["type"] == "school":
            starts, ends = term_of([sessions[each] for each in sorted(named[row["sourcedId"]])], on)
            school_id = school_id_of(source, row["sourcedId"])
            result.append(SchoolRostered(school_id=school_id, title=row["name"], term_starts=starts, term_ends=ends))
    return result


def _classes(roster: Roster, source: str) -> dict[str, ClassRostered]:
    """Return the classes by `sourcedId`, without their titles; subjects and grades are the course's where the class has none of its own."""
    courses = {row["sourcedId"]: row for row in roster["courses.csv"]}
    result = {}
    for row in roster["classes.csv"]:
        course = courses[row["courseSourcedId"]]
        result[row["sourcedId"]] = ClassRostered(
            class_id=class_id(source, row["schoolSourcedId"], row["sourcedId"]),
            school_id=school_id_of(source, row["schoolSourcedId"]),
            subjects=tuple(subject.lower() for subject in listed(row["subjects"]) or listed(course["subjects"])),
            grades=tuple(listed(row["grades"]) or listed(course["grades"])),
            source=source,
        )
    return result


def _learners(
    rows: Sequence[Row], places: Places, source: str, person_iris: Sequence[PersonIri], key: bytes, known: Known,
    classes: Mapping[str, ClassRostered], faults: Faults, warnings: Faults,
) -> tuple[list[Named], frozenset[UUID], Aliases, Passed]:  # fmt: skip
    persons = Persons.of((each.learner_id, each.matches, each.aliases, each.active) for each in _enrolled_last(known.learners))
    identified = identify(rows, source, key, persons, learner_id_of, faults, warnings)
    elsewhere = {each.learner_id for each in known.learners.values() if each.active and each.source != source}
    classed = [places.learns.get(each.row["sourcedId"], []) for each in identified]
    at = [places.school_of(each.row, ("student",), places.learns, places.learns_by_own) for each in identified]
    left_out = frozenset(each.person for each, school in zip(identified, at, strict=True) if school is None)
    aliases = claimed(identified, source, person_iris, key, persons, elsewhere, left_out, warnings)
    result: list[Named] = []
    for each, enrollments, school in zip(identified, classed, at, strict=True):
        row, before = each.row, known.learners.get(each.person)
        if school is None:
            _warn_of_no_school("learns", row, warnings)
            continue
        if each.person in known.erased:
            detail = f"learner {each.person} was erased on {known.erased[each.person]}, so she stands here without her name"
            remedy = "nothing, if that is right; one who was erased by mistake is named again behind `cairn erase --undo`"
            warnings.add("users.csv", row.line, "sourcedId", "erased", detail, remedy)
        told = LearnerRostered(
            learner_id=each.person,
            school_id=places.schools[school],
            aliases=tuple(aliases.held[each.person]),
            grade=next(iter(listed(row["grades"])), ""),
            class_ids=tuple(classes[learnt["classSourcedId"]].class_id for learnt in enrollments),
            matches=each.matches,
            source=source,
        )
        former = _former(told, before, each, _kept(before, aliases) if before else ())
        _take(result, told.model_copy(update=former), each, faults)
    return result, left_out, aliases, passed_on([each for each in identified if each.person not in left_out], persons)


def _kept(before: LearnerRostered, aliases: Aliases) -> tuple[str, ...]:
    """Return which of her aliases did not pass on to others."""
    lost = aliases.lost.get(before.learner_id, ())
    return tuple(alias for alias in before.aliases if alias not in lost)


def _staff(
    rows: Sequence[Row], places: Places, source: str, key: bytes, known: Known, classes: Mapping[str, ClassRostered],
    faults: Faults, warnings: Faults,
) -> tuple[list[Named], frozenset[UUID], Passed]:  # fmt: skip
    persons = Persons.of((each.staff_id, each.matches, (), each.active) for each in _enrolled_last(known.staff))
    result: list[Named] = []
    unplaced: set[UUID] = set()
    identified = identify(rows, source, key, persons, staff_id_of, faults, warnings)
    for each in identified:
        row, before = each.row, known.staff.get(each.person)
        enrollments = places.teaches.get(row["sourcedId"], [])
        school = places.school_of(row, TEACHING, places.teaches, places.teaches_by_own)
        if school is None:
            _warn_of_no_school("teaches", row, warnings)
            unplaced.add(each.person)
            continue
        told = StaffRostered(
            staff_id=each.person,
            school_id=places.schools[school],
            subjects=tuple(
                subject
                for enrollment in enrollments
                if enrollment["role"] == "teacher"
                for subject in classes[enrollment["classSourcedId"]].subjects
            ),
            class_ids=tuple(classes[enrollment["classSourcedId"]].class_id for enrollment in enrollments),
            matches=each.matches,
            source=source,
        )
        _take(result, told.model_copy(update=_former(told, before, each)), each, faults)
    return result, frozenset(unplaced), passed_on([each for each in identified if each.person not in unplaced], persons)


def _warn_of_known_again(people: Sequence[Named], warnings: Faults) -> None:
    """Warn of whoever is taken for a person of earlier imports by another id than her `sourcedId`."""
    for each in people:
        if each.again:
            detail = f"her sourcedId is new, and by this id she is {each.id}, whom earlier imports named"
            remedy = (
                "nothing, if that is so; else correct it before the roster is taken (?dry_run=true warns, too); once it is, a roster that "
                "names both, each under her sourcedId, parts them"
            )
            warnings.add("users.csv", each.line, each.again, "known-again", detail, remedy)


def _warn_of_no_school(does: str, row: Row, warnings: Faults) -> None:
    remedy = "give the role an org of type school, or one that lies in a school"
    warnings.add("users.csv", row.line, "sourcedId", "no-school", f"{does} at no school, so she is not taken", remedy)


def _enrolled_last(known: Mapping[UUID, P]) -> list[P]:
    """Return the withdrawn before the others, whose an id is that both had; always in the same order."""
    return sorted(known.values(), key=lambda each: (each.active, id_of(each)))


def _former(
    told: LearnerRostered | StaffRostered, before: LearnerRostered | StaffRostered | None, person: Identified, aliases: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return matches and aliases of a person with those that were hers in earlier rosters and are nobody else's, too; as many as there is
    room for. How old each is, is not kept: some that no row has any more make way, in the order of their hashes."""
    matches = sorted(set(before.matches if before else ()).difference(person.lost, told.matches))
    held = told.aliases if isinstance(told, LearnerRostered) else ()
    names = sorted(set(aliases).difference(held))
    if not matches and not names:
        return {}
    room = max(0, (MAX_TOLD_BYTES - FORMER_BYTES - len(canonical(told.body()))) // FORMER_BYTES)
    update = {"matches": tuple(sorted([*told.matches, *matches[:room]]))}
    return update | ({"aliases": tuple(sorted([*held, *names[: max(0, room - len(matches))]]))} if names else {})


def _take(result: list[Named], told: LearnerRostered | StaffRostered, person: Identified, faults: Faults) -> None:
    row = person.row
    if len(canonical(told.body())) > MAX_TOLD_BYTES:
        faults.add("users.csv", row.line, "sourcedId", "too-large", "too many ids, classes or subjects of one person", "list fewer")
    result.append(Named(told, _name(row), row.line, person.again))


def _name(row: Row) -> str:
    """Return given and family name as one text, the preferred ones where there are any."""
    given, family = (
        row[f"preferred{part}"].strip() or row[other] for part, other in (("GivenName", "givenName"), ("FamilyName", "familyName"))
    )
    return canonical([given, family]).decode()


def _gone(known: Mapping[UUID, ClassRostered], named: set[UUID], source: str) -> list[ClassRostered]:
    """Return the classes of this source that the roster no longer names, withdrawn."""
    return [
        before.model_copy(update={"active": False})
        for each, before in known.items()
        if each not in named and before.source == source and before.active
    ]


def _gone_staff(known: Mapping[UUID, StaffRostered], named: set[UUID], source: str, passed: Passed) -> list[StaffRostered]:
    """Return those of this source whom the roster no longer names, withdrawn; and the withdrawn whose `sourcedId` is another's now."""
    return [
        before.model_copy(update={"active": False, "matches": _left(before, passed)})
        for each, before in known.items()
        if each not in named and ((before.source == source and before.active) or each in passed)
    ]


def _gone_learners(
    known: Mapping[UUID, LearnerRostered], named: set[UUID], source: str, aliases: Aliases, passed: Passed
) -> list[LearnerRostered]:
    """Return those of this source whom the roster no longer names, withdrawn; and those withdrawn already who lose an alias, or whose
    `sourcedId` is another's."""
    return [
        before.model_copy(update={"active": False, "aliases": _kept(before, aliases), "matches": _left(before, passed)})
        for each, before in known.items()
        if each not in named and ((before.source == source and before.active) or each in aliases.lost or each in passed)
    ]


def _left(before: LearnerRostered | StaffRostered, passed: Passed) -> tuple[str, ...]:
    """Return which of somebody's matches are not `sourcedId`s of others."""
    return tuple(match for match in before.matches if match not in passed.get(id_of(before), ()))
