"""Order among competencies; pure."""

from __future__ import annotations

from collections.abc import Mapping, Set


def cycle_in(before: Mapping[str, Set[str]]) -> list[str]:
    """Return one cycle, each member standing before the next, or an empty list where there is none. Equal input gives the same one.

    Takes away what has nothing before it until nothing is left, which is time linear in the links (Kahn, 1962, CACM 5(11)).

    Args:
        before: each name -> the names that come before it.

    >>> cycle_in({"b": {"a"}, "c": {"b"}, "a": {"c"}}), cycle_in({"b": {"a"}, "c": {"a", "b"}})
    (['a', 'b', 'c'], [])
    """
    waits = {name: len(known) for name, known in before.items()}
    after: dict[str, list[str]] = {}
    for name, known in before.items():
        for first in known:
            after.setdefault(first, []).append(name)
    free = [name for name in after if not waits.get(name)]
    while free:
        for name in after.get(free.pop(), ()):
            waits[name] -= 1
            if not waits[name]:
                free.append(name)
    stuck = {name for name, count in waits.items() if count}
    if not stuck:
        return []
    walk, places = [min(stuck)], {min(stuck): 0}
    while True:  # Ends: whatever is stuck has something stuck before it, so the walk comes back within len(stuck) steps.
        name = min(first for first in before[walk[-1]] if first in stuck)
        if name in places:
            cycle = walk[places[name] :][::-1]
            start = cycle.index(min(cycle))
            return cycle[start:] + cycle[:start]
        places[name] = len(walk)
        walk.append(name)
