"""Templates of the IRIs by which other systems name a learner: a prefix, and the column of users.csv that stands behind it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import BadInput, Fault
from shared.keys import is_iri

MAX_TEMPLATES: Final = 16
PARAMETER: Final = "person_iri"
COLUMNS: Final = ("sourcedId", "identifier", "userMasterIdentifier", "username")
_TEMPLATE: Final = re.compile(rf"(?P<prefix>[^{{}}]+)\{{(?:(?P<column>{'|'.join(COLUMNS)})|userIds:(?P<type>[^{{}}:,]+))\}}")


@dataclass(frozen=True)
class PersonIri:
    """One template."""

    text: str
    """As it was given."""
    prefix: str
    column: str
    type: str = ""
    """Of the entries of `userIds` that are meant."""


def person_iris(texts: Sequence[str]) -> list[PersonIri]:
    """Return the templates, each once, in the order of their texts.

    Raises:
        BadInput: some are malformed; each is named by its place among the parameters.
    >>> person_iris(["https://lms.example/users/{userIds:LMS}"])[0].prefix
    'https://lms.example/users/'
    """
    faults: list[Fault] = []
    found: dict[str, PersonIri] = {}
    for number, text in enumerate(texts):
        match = _TEMPLATE.fullmatch(text)
        if match is None or not is_iri(match["prefix"] + "1"):
            detail = "not an absolute IRI with one column in braces at its end"
            remedy = f"write it like https://lms.example/users/{{userIds:LMS}}; columns are {', '.join(COLUMNS)} and userIds:TYPE"
            faults.append(Fault(f"query/{PARAMETER}/{number}", "person-iri", detail, remedy))
        else:
            found[text] = PersonIri(text, match["prefix"], match["column"] or "userIds", (match["type"] or "").strip())
    if faults:
        raise BadInput(f"{len(faults)} of {len(texts)} templates of person IRIs cannot be read; nothing was stored", faults)
    return [found[text] for text in sorted(found)]
