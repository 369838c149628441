"""Entities of a Caliper envelope, each with its place, whether an event describes them or names them by their IRI. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeGuard

from services.evidence.told import Malformed, duration_ms, instant, number
from shared.keys import is_iri

VERSION: Final = "http://purl.imsglobal.org/ctx/caliper/v1p2"
"""What `dataVersion` and `@context` say for Caliper 1.2."""
VERSIONS: Final = ("http://purl.imsglobal.org/ctx/caliper/v1p1", VERSION)
"""What is taken, as a sensor is told that asks."""
_READ: Final = re.compile(r"https?://purl\.imsglobal\.org/ctx/caliper/v1p[12](/[A-Za-z]+Profile-extension)?/?")
"""What is read: 1.2, and 1.1, which systems send; all that is read of scored work stands in both alike. What 1.1 added later, such as tool
launches, has contexts of its own (`.../v1p1/ToolLaunchProfile-extension`)."""
_OF_CALIPER: Final = re.compile(r"https?://purl\.imsglobal\.org/caliper/", re.IGNORECASE)
"""How the names begin that Caliper itself gives. Its 4.4: an entity that stays anonymous has the name of its type as its id."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading an envelope needs to know beside it."""

    alias: Callable[[str, str], str]
    """From a source and what it calls a person to the alias."""
    latest: datetime
    """The latest instant at which something can have happened."""
    described: Mapping[str, Entity]
    """Entities that stand in the envelope by themselves, by id; events may name them by it."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An event or entity and its place as a JSON pointer. Without a value it is one that nobody told of; a null counts as not told."""

    value: Mapping[str, Any]
    place: str
    reader: Reader

    def __bool__(self) -> bool:
        return bool(self.value)

    def get(self, name: str) -> Any:
        return self.value.get(name)

    @property
    def id(self) -> str:
        """Its id, once `part` has looked at it; empty where it has none."""
        return str(self.value.get("id") or "")

    @property
    def type(self) -> str:
        """Its type; empty where it was only named by its id."""
        return str(self.value.get("type") or "")

    @property
    def is_named(self) -> bool:
        """Whether its id is its own, everywhere. A blank node (`_:a`) means nothing beyond its envelope, and an anonymous entity has the id
        of all that are anonymous: neither tells one person, item or attempt from another."""
        return is_iri(self.id) and not is_anonymous(self.id)

    def text(self, name: str) -> str:
        """Return a text that is not empty, or raise `Malformed`."""
        value = self.get(name)
        if value is None:
            raise Malformed(f"{self.place}/{name}", "missing", f"{name} is missing", "add it")
        if not isinstance(value, str) or not value:
            raise Malformed(f"{self.place}/{name}", "not-a-text", f"{name} is not a text", "send a text")
        return value

    def part(self, name: str) -> Entity:
        """Return the entity under a name, described or named by its id; an empty one where there is none.

        Raises:
            Malformed: it is neither an object nor an IRI, or its type is no text.
        """
        value, place = self.get(name), f"{self.place}/{name}"
        if value is None:
            return Entity({}, place, self.reader)
        if isinstance(value, str):
            return self.reader.described.get(value) or Entity({"id": iri(value, place)}, place, self.reader)
        if not isinstance(value, dict):
            raise Malformed(place, "not-an-entity", "neither an object nor an IRI", "send an entity or its IRI")
        if "id" in value:
            iri(value["id"], f"{place}/id")
        found = Entity(value, place, self.reader)
        if found.get("type") is not None:
            found.text("type")
        return found

    def needed(self, name: str) -> Entity:
        """Return the entity under a name, with its id; where it is described it has a type too. Raises `Malformed`."""
        if self.get(name) is None:
            raise Malformed(f"{self.place}/{name}", "missing", f"an event has {name}", "send an entity or its IRI")
        found = self.part(name)
        iri(found.get("id"), f"{found.place}/id")
        if isinstance(self.get(name), dict):
            found.text("type")
        return found

    def has(self, name: str) -> None:
        """Raise `Malformed` where an event does not say what `needed` would return. What its id is like is not judged: of the pages that
        people look at, systems send addresses that are no IRIs."""
        value, place = self.get(name), f"{self.place}/{name}"
        if value is None:
            raise Malformed(place, "missing", f"an event has {name}", "send an entity or its IRI")
        if not isinstance(value, str | dict):
            raise Malformed(place, "not-an-entity", "neither an object nor an IRI", "send an entity or its IRI")

    def at(self, name: str) -> datetime | None:
        """Return the instant under a name, or None where there is none. Raises `Malformed`."""
        return None if self.get(name) is None else instant(self.get(name), f"{self.place}/{name}", self.reader.latest)

    def lasted_ms(self) -> int | None:
        """Return its `duration`, or the time from its start to its end, in milliseconds, or None. Raises `Malformed`."""
        if self.get("duration") is not None:
            return duration_ms(self.get("duration"), f"{self.place}/duration")
        started, ended = self.at("startedAtTime"), self.at("endedAtTime")
        return (ended - started) // timedelta(milliseconds=1) if started and ended and started <= ended else None

    def number(self, name: str) -> int | float:
        """Return the number under a name. Raises `Malformed`."""
        return number(self.get(name), f"{self.place}/{name}")

    def in_context(self) -> None:
        """Raise `Malformed` unless it names the context of a version that is read."""
        place, value = f"{self.place}/@context", self.get("@context")
        if value is None:
            raise Malformed(place, "missing", "every event and entity of an envelope names its context", f"send {VERSION}")
        if not any(is_read(each) for each in (value if isinstance(value, list) else [value])):
            raise Malformed(place, "unsupported-version", "the context is not that of Caliper 1.2 or 1.1", f"send {VERSION}")


def is_id(value: Any) -> TypeGuard[str]:
    """Return whether this has the form of an entity's id: an IRI, or a blank node (`_:a`)."""
    return isinstance(value, str) and (is_iri(value) or (value.startswith("_:") and is_iri(f"blank{value[1:]}")))


def iri(value: Any, place: str) -> str:
    """Return the id of an entity, or raise `Malformed`."""
    if not is_id(value):
        raise Malformed(place, "not-an-iri", "the id of an entity is an IRI", "send an absolute IRI of at most 2048 bytes")
    return value


def is_foreign(kind: str) -> bool:
    """Return whether a type is somebody's own: an absolute IRI, and none by which Caliper names its types.

    >>> is_foreign("https://lms.example/SnapshotEvent"), is_foreign("caliper:GradeEvent"), is_foreign("GradingEvent")
    (True, False, False)
    """
    return is_iri(kind) and not kind.startswith("caliper:") and _OF_CALIPER.match(kind) is None


def is_anonymous(name: str) -> bool:
    """Return whether an id is the name of a type of Caliper, as entities have it that stay anonymous.

    >>> is_anonymous("http://purl.imsglobal.org/caliper/Attempt"), is_anonymous("https://lms.example/attempts/1")
    (True, False)
    """
    return _OF_CALIPER.match(name) is not None


def is_read(version: Any) -> bool:
    """Return whether this names a version of Caliper that is read, with `http` or `https`, and with or without a slash behind it."""
    return isinstance(version, str) and _READ.fullmatch(version) is not None


def is_event(value: Any) -> bool:
    """Return whether this is an event rather than an entity: the names of all their types end so."""
    return isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"].endswith("Event")
