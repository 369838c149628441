"""The simulated district beside what Cairn calls everybody in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.client import Cairn, Unexpected
from demo.framework import by_guid
from demo.learners import Mind
from demo.school import Learner, School


@dataclass
class District:
    """Everybody, as the district and as Cairn knows them."""

    cairn: Cairn
    school: School
    seed: int
    minds: Mapping[str, Mind]
    """By `sourcedId`."""
    school_id: str = ""
    learner_ids: dict[str, str] = field(default_factory=dict)
    """`sourcedId` -> Cairn's id."""
    learners: dict[str, Learner] = field(default_factory=dict)
    """Cairn's id -> learner."""
    staff: dict[str, str] = field(default_factory=dict)
    """Cairn's id -> name."""
    titles: dict[str, str] = field(default_factory=dict)
    """Activity -> title."""
    handed_in: int = 0
    """Answers that our LMS has sent."""

    def shown(self, learner_id: str) -> str:
        """Return a learner's first name; with as much of her family name as tells her apart where others share it."""
        return self.first_names[learner_id]

    def teacher(self, staff_id: str | None) -> str:
        """Return a teacher's name."""
        return self.staff.get(staff_id or "", "")

    @property
    def first_names(self) -> Mapping[str, str]:
        """First names by Cairn's id."""
        if not self._names:
            self._names.update(told_apart({name: (learner.given, learner.family) for name, learner in self.learners.items()}))
        return self._names

    _names: dict[str, str] = field(default_factory=dict)


def told_apart(people: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return everybody's first name: alone, with the family name's first letter, or with all of it; the shortest that is hers alone.

    >>> told_apart({"1": ("Ana", "Lee"), "2": ("Ana", "Levy"), "3": ("Ana", "Kim"), "4": ("Ben", "Ito")})
    {'1': 'Ana Lee', '2': 'Ana Levy', '3': 'Ana K.', '4': 'Ben'}
    """
    forms = {who: (given, f"{given} {family[0]}.", f"{given} {family}") for who, (given, family) in people.items()}
    counts = Counter(form for each in forms.values() for form in set(each))
    return {who: next((form for form in each if counts[form] == 1), each[-1]) for who, each in forms.items()}


async def recognise(district: District) -> None:
    """Learn which id Cairn gave to whom.

    Raises:
        Unexpected: Cairn knows others than the roster names.
    """
    cairn, school = district.cairn, district.school
    (place,) = await cairn.every("/profile/schools")
    district.school_id = place["school_id"]
    by_name = {(person.given, person.family): person for person in school.learners}
    for found in await cairn.every("/profile/learners"):
        learner = by_name.get((found["given_name"], found["family_name"]))
        if learner is None:
            raise Unexpected("Cairn knows a learner whom the roster does not name")
        district.learner_ids[learner.sourced_id] = found["learner_id"]
        district.learners[found["learner_id"]] = learner
    if len(district.learners) != len(school.learners):
        raise Unexpected(f"the roster names {len(school.learners)} learners, Cairn knows {len(district.learners)}")
    for found in await cairn.every("/profile/staff"):
        district.staff[found["staff_id"]] = f"{found['given_name']} {found['family_name']}"


def topic(competency_id: str) -> str:
    """Return the short name of a competency."""
    skill = by_guid().get(competency_id)
    return skill.name if skill else "a heading"
