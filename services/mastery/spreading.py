"""What comes before what, where a package says it of headings or of what is not in use: it holds among the competencies; pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from functools import cache
from graphlib import TopologicalSorter
from typing import Final

from services.mastery.order import cycle_in

MAX_PAIRS: Final = 2_500
"""Prerequisites that one link between headings may come to."""
MAX_ALL_PAIRS: Final = 100_000
MAX_ROUNDS: Final = 20
"""Of looking for a cycle; then no link between headings holds anything."""
UNHELD: Final = "heading-prerequisite"
UNHANDED: Final = "retired-prerequisite"

Link = tuple[str, str]
"""What comes before, and what comes behind it."""


def handed_on(
    before: Mapping[str, Mapping[str, str]], unused: Set[str], most: int, note: Callable[[str, str, str], None]
) -> dict[str, dict[str, str]]:
    """Return the links with those that lead through what is not in use: what came before that comes before what it came before.

    Args:
        before: competency -> those before it -> place in the package. Without a cycle.
        unused: items that nobody is to show.
        most: prerequisites that a competency may have in all. A link by which there would be more hands nothing on, and is noted.
        note: takes place, code and detail.

    >>> handed_on({"b": {"gone": "/1"}, "gone": {"a": "/0"}}, {"gone"}, 9, print)["b"]
    {'gone': '/1', 'a': '/1'}
    """
    found = {name: dict(known) for name, known in before.items()}
    through = {name: sorted(unused & known.keys()) for name, known in sorted(before.items())}
    total = 0
    for name in TopologicalSorter(through).static_order():
        for way in through.get(name, ()):
            more = [first for first in found.get(way, ()) if first not in unused and first not in found[name]]
            if len(found[name]) + len(more) > most or total + len(more) > MAX_ALL_PAIRS:
                note(before[name][way], UNHANDED, "too much comes before what is not in use: it does not come before this")
            else:
                total += len(more)
                found[name] |= dict.fromkeys(more, before[name][way])
    return found


def spread(
    before: Mapping[str, Mapping[str, str]],
    parents: Mapping[str, str],
    headings: Set[str],
    shown: Collection[str],
    items: Collection[str],
    most: int,
    note: Callable[[str, str, str], None],
) -> dict[str, set[str]]:
    """Return the prerequisites that links of headings come to: whatever is beneath the first and stands before nothing else there comes
    before whatever is beneath the second and has nothing before it there. Each link that comes to nothing is noted.

    A progression of headings is a rough word, and those of single competencies count more: where both together would form a cycle, the
    links of headings in it hold nothing.

    Args:
        before: competency -> those before it -> place in the package. Without a cycle.
        parents: child -> parent. Without a cycle.
        headings: items that only group others.
        shown: items that can be shown.
        items: all items; what comes before may be none of them.
        most: prerequisites that a competency may have in all.
        note: takes place, code and detail.
    """
    beneath, placed, held = _Beneath(parents, shown, before), dict[Link, str](), dict[Link, list[Link]]()
    total, grown = 0, {name: len(known) for name, known in before.items()}
    for link, place in sorted((((first, name), place) for name, known in before.items() for first, place in known.items())):
        first, name = link
        if headings.isdisjoint(link):
            continue
        last, start = beneath.last(first) if first in items else [first], beneath.start(name)
        count = len(last) * len(start)
        if not count:
            note(place, UNHELD, "nothing beneath one of the headings can be shown: it holds nothing")
        elif beneath.overlap(first, name):
            note(place, UNHELD, "one heading lies beneath the other: it holds nothing")
        elif count > MAX_PAIRS or total + count > MAX_ALL_PAIRS:
            note(place, UNHELD, f"it would come to {count} prerequisites among what is beneath, too many: it holds nothing")
        elif any(grown.get(other, 0) + len(last) > most for other in start):
            note(place, UNHELD, f"more than {most} would come before one of those beneath: it holds nothing")
        else:
            total += count
            grown |= {other: grown.get(other, 0) + len(last) for other in start}
            placed[link], held[link] = place, [(one, other) for one in last for other in start]
    for _ in range(MAX_ROUNDS):
        cycle = cycle_in(_together(before, held))
        if not cycle:
            break
        steps = set(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        for link in [link for link, pairs in held.items() if not steps.isdisjoint(pairs)]:
            note(placed[link], UNHELD, "what is beneath stands the other way round elsewhere, in a cycle: it holds nothing")
            del held[link]
    else:
        for link in held:
            note(placed[link], UNHELD, "what is beneath forms cycles: it holds nothing")
        held.clear()
    return _together({}, held)


def _together(before: Mapping[str, Collection[str]], held: Mapping[Link, list[Link]]) -> dict[str, set[str]]:
    found = {name: set(known) for name, known in before.items()}
    for pairs in held.values():
        for first, name in pairs:
            found.setdefault(name, set()).add(first)
    return found


class _Beneath:
    """What can be shown beneath an item, itself included."""

    def __init__(self, parents: Mapping[str, str], shown: Collection[str], before: Mapping[str, Collection[str]]) -> None:
        self._children: dict[str, list[str]] = {}
        for child in sorted(parents):
            self._children.setdefault(parents[child], []).append(child)
        self._shown, self._before, self._known = shown, before, dict[str, dict[str, None]]()
        self.start, self.last = cache(self._start), cache(self._last)

    def _start(self, name: str) -> list[str]:
        """Return those that have nothing before them there."""
        among = self._of(name)
        return [each for each in among if among.keys().isdisjoint(self._before.get(each, ()))]

    def _last(self, name: str) -> list[str]:
        """Return those that stand before nothing there."""
        among = self._of(name)
        needed = {first for each in among for first in self._before.get(each, ())}
        return [each for each in among if each not in needed]

    def overlap(self, one: str, other: str) -> bool:
        return not self._of(one).keys().isdisjoint(self._of(other))

    def _of(self, name: str) -> dict[str, None]:
        """Return the competencies in order. One that can be shown stands for itself, whatever is beneath it."""
        if name not in self._known:
            found, waiting = dict[str, None](), [name]
            while waiting:  # Ends: the hierarchy has no cycle.
                each = waiting.pop()
                if each in self._shown:
                    found[each] = None
                else:
                    waiting.extend(reversed(self._children.get(each, ())))
            self._known[name] = found
        return self._known[name]
