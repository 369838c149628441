"""All that mastery says to people, in one place, ready to translate: a key for each sentence, with named gaps; pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

ENGLISH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "level.unknown": "There is not enough evidence to say how well this is known.",
        "level.mastered": "{success} of answers to a standard item are expected to be right. "
        "Mastered: work on enough items and days shows it.",
        "level.reverify": "{success} of answers to a standard item are expected to be right. It was mastered; it is time to show it again.",
        "level.more": "{success} of answers to a standard item are expected to be right. "
        "About {more} more right answers at standard difficulty would make it certain enough.",
        "level.held-back": "{success} of answers to a standard item are expected to be right. Held back by {missing}.",
        "level.by-person": "{success} of answers to a standard item are expected to be right.",
        "level.next": "{success} of answers to a standard item are expected to be right. The next work on it decides.",
        "override": "A {role} set this level until {until}; the estimate goes on beneath it.",
        "stuck": "{idle} pieces of work on {days} days brought no progress: a person is needed, not more items.",
        "due": "It is due to be shown again on {on}.",
        "missing.certainty": "certainty: {probability} that more than {bar} of answers to a standard item would be right, "
        "{certainty} is asked for",
        "missing.scored": "breadth: {has} of {asked} scored pieces of work",
        "missing.items": "breadth: {has} of {asked} different items",
        "missing.days": "breadth: {has} of {asked} different days, which are those of {timezone}",
        "missing.kind": "breadth: no work of the kind {kind}",
        "missing.framework": "framework: none was imported, so what comes before is not known",
        "missing.not-in-framework": "framework: none in force names this competency, so it cannot be mastered",
        "missing.prerequisite": "prerequisite: {name}",
        "part.item": "how easy a standard item is for everybody",
        "part.learner": "how this learner does across all competencies",
        "part.competency": "what work on this competency adds, faded to now",
        "part.form": "how the latest work went beside what was expected; the level leaves it out",
        "part.same-item": "remembering an item seen before; a standard item is new",
        "moved.up": "{kind} of {on}, {score}: without it the estimate would be lower",
        "moved.down": "{kind} of {on}, {score}: without it the estimate would be higher",
    }
)  # fmt: skip


class Said(NamedTuple):
    """A sentence: in English, and as the key and values from which it is said in another language."""

    key: str
    values: Mapping[str, Any]
    text: str


def say(key: str, catalogue: Mapping[str, str] = ENGLISH, **values: Any) -> Said:
    """Return the sentence of this key with its gaps filled.

    >>> say("missing.items", has=1, asked=2).text
    'breadth: 1 of 2 different items'
    """
    return Said(key, values, catalogue[key].format(**values))


def percent(millionths: float) -> str:
    """Return a share for people.

    >>> percent(875_000)
    '88 %'
    """
    return f"{round(millionths / 10_000)} %"
