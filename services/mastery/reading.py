"""Reading JSON that others wrote: what is wrong is collected, each place named, and so is what is taken otherwise than it stands; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from shared.errors import BadInput, Fault
from shared.keys import guid_of

MAX_FAULTS: Final = 100
MAX_NOTES: Final = 200
"""Notes told one by one; their counts are always complete."""
MAX_OF_CODE: Final = 30
"""Of one code, so that many of one hide no others."""
MAX_WORD: Final = 64


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was taken otherwise than it stands there."""

    place: str
    code: str
    """`duplicate`, `dangling`, `foreign`, `several-parents`, `not-an-item`, `unknown-grade`, `clipped`, `no-date`, `retired`, `not-begun`,
    `heading-prerequisite`, `retired-prerequisite`, `of-another-document` or `replaced-elsewhere`."""
    detail: str


@dataclass(slots=True)
class Reader:
    """Collects what is wrong and what is worth telling."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)

    def fault(self, place: str, code: str, detail: str, remedy: str) -> None:
        found = Fault(place, code, detail, remedy)
        if len(self.faults) < MAX_FAULTS and found not in self.faults:  # What a parent says wrong is read once for each child.
            self.faults.append(found)

    def note(self, place: str, code: str, detail: str) -> None:
        self.noted[code] += 1
        if self.noted[code] <= MAX_OF_CODE and len(self.notes) < MAX_NOTES:
            self.notes.append(Note(place, code, detail))

    def stop(self) -> None:
        """Raise what was found, if anything."""
        if self.faults:
            raise BadInput(f"the package cannot be taken: {self.faults[0]}", self.faults)

    def guid(self, holder: Mapping[str, Any], place: str) -> str:
        """Return the identifier of an object in lower case, empty where it has none (and a fault says so)."""
        value = holder.get("identifier")
        found = guid_of(value)
        if not found:
            code = "missing" if value is None else "not-a-guid"
            self.fault(f"{place}/identifier", code, "there is no GUID", "give the item's CASE identifier, such as 6b9f0c2e-...")
        return found

    def text(self, holder: Mapping[str, Any], name: str, place: str, longest: int) -> str:
        """Return an optional text, cut to `longest` characters; a fault where it is something else."""
        value = holder.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.fault(f"{place}/{name}", "not-text", "this is no text", "send a string")
            return ""
        value = value.strip()
        if len(value) > longest:
            self.note(f"{place}/{name}", "clipped", f"{len(value)} characters, cut to {longest}")
        return value[:longest]

    def texts(self, holder: Mapping[str, Any], name: str, place: str) -> list[str]:
        """Return an optional list of texts; a single text is split at its commas."""
        value = holder.get(name)
        if value is None:
            return []
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            self.fault(f"{place}/{name}", "not-a-list", "this is no list of texts", "send an array of strings")
            return []
        return [part.strip()[:MAX_WORD] for part in value if part.strip()]

    def day(self, holder: Mapping[str, Any], name: str, place: str) -> date | None:
        """Return an optional date; of an instant its day. What is none is noted, and says nothing."""
        value = self.text(holder, name, place, MAX_WORD)
        try:
            return date.fromisoformat(value[:10]) if value else None
        except ValueError:
            self.note(f"{place}/{name}", "no-date", f"{value} is no date: it says nothing")
            return None
