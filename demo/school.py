"""Who goes to the simulated school and who teaches there: the same people for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from demo.content.names import FAMILY, GIVEN
from demo.framework import SUBJECTS

SCHOOL: Final = "Willowbank School"
DISTRICT: Final = "Aldermoor District"
SOURCE: Final = "aldermoor-sis"
LMS: Final = "https://lms.aldermoor.example"
PERSON_IRI: Final = f"{LMS}/users/{{userIds:LMS}}"
"""How the LMS names people, as the roster's import is told."""
GRADES: Final = ("03", "04", "05")
SECTIONS: Final = ("A", "B")
TEACHERS: Final = 16
MIN_LEARNERS, MAX_LEARNERS = 24, 1_500
"""At least four for each section; at most what one school day takes, so that everybody is placed: its plan is one event."""


@dataclass(frozen=True)
class Person:
    """A learner or teacher as the SIS knows them."""

    sourced_id: str
    given: str
    family: str
    lms_id: str
    """What the LMS calls them."""

    @property
    def iri(self) -> str:
        """By which the LMS names them in Caliper."""
        return f"{LMS}/users/{self.lms_id}"


@dataclass(frozen=True)
class Learner(Person):
    """A learner, in one mathematics and one reading class of her grade and section."""

    grade: str
    section: str


@dataclass(frozen=True)
class SchoolClass:
    """A class of one subject, taught by a team."""

    sourced_id: str
    subject: str
    grade: str
    section: str
    teachers: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.subject.capitalize()} {int(self.grade)}{self.section}"


@dataclass(frozen=True)
class School:
    """Everybody."""

    learners: tuple[Learner, ...]
    teachers: tuple[Person, ...]
    classes: tuple[SchoolClass, ...]
    sourced_id: str = "org-willowbank"
    title: str = SCHOOL

    def section(self, grade: str, section: str) -> list[Learner]:
        """Return the learners of a section."""
        return [learner for learner in self.learners if (learner.grade, learner.section) == (grade, section)]


def school(learners: int, seed: int, number: int = 1) -> School:
    """Return a school with so many learners, spread over its grades and sections; 12 classes and 16 teachers.

    Args:
        learners: from MIN_LEARNERS to MAX_LEARNERS.
        number: of the school in its district; the first one is Willowbank.
    """
    first = number == 1
    mark = "" if first else f"{number}-"
    draw = random.Random(f"school {mark}{seed}")
    names = _names(learners + TEACHERS, draw)
    places = [(grade, section) for grade in GRADES for section in SECTIONS]
    pupils = tuple(
        Learner(f"s-{mark}{n + 1:04}", *names[n], f"u{draw.getrandbits(40):010x}", *places[n * len(places) // learners])
        for n in range(learners)
    )
    teachers = tuple(Person(f"t-{mark}{n + 1:02}", *names[learners + n], f"u{draw.getrandbits(40):010x}") for n in range(TEACHERS))
    named = {} if first else {"sourced_id": f"org-{number}", "title": f"School {number}"}
    return School(pupils, teachers, _classes(teachers, mark), **named)


def schools(learners: int, count: int, seed: int) -> tuple[School, ...]:
    """Return the schools of a district that share its learners evenly."""
    return tuple(school((n + 1) * learners // count - n * learners // count, seed, n + 1) for n in range(count))


def _names(count: int, draw: random.Random) -> list[tuple[str, str]]:
    """Return so many different names; given names come again only when all were used."""
    all_given, all_family = GIVEN.split(), FAMILY.split()
    given: list[str] = []
    while len(given) < count:
        given += draw.sample(all_given, len(all_given))
    names: list[tuple[str, str]] = []
    taken: set[tuple[str, str]] = set()
    for name in given[:count]:
        family = draw.choice(all_family)
        while (name, family) in taken:
            family = draw.choice(all_family)
        taken.add((name, family))
        names.append((name, family))
    return names


def _classes(teachers: Sequence[Person], mark: str) -> tuple[SchoolClass, ...]:
    """Return the classes: each has a teacher of its own, and the rest of a subject's teachers join one class of every grade."""
    half = len(teachers) // len(SUBJECTS)
    classes = []
    for number, subject in enumerate(SUBJECTS):
        team = teachers[number * half : (number + 1) * half]
        places = [(grade, section) for grade in GRADES for section in SECTIONS]
        for place, (grade, section) in enumerate(places):
            helpers = [person for n, person in enumerate(team[len(places) :]) if SECTIONS[n % len(SECTIONS)] == section]
            ids = tuple(person.sourced_id for person in (team[place], *helpers))
            classes.append(SchoolClass(f"c-{mark}{subject[:4]}-{int(grade)}{section.lower()}", subject, grade, section, ids))
    return tuple(classes)
