"""`python -m tests.faults.faulty serve mastery`: a release of mastery that is too old and has a bug, for the scenario of poison.

It does not know alignments, refuses the evidence of one learner, and breaks on that of another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.cli import app
from services.mastery import app as mastery
from shared import contracts
from shared.consume import inward
from shared.contracts.evidence import ItemAligned
from shared.decider import Refusal
from tests.faults import seeds

REFUSED, POISONED = seeds.name("learner", 1), seeds.name("learner", 2)


def _spoil() -> None:
    known = contracts.event_class
    inward.event_class = lambda name: None if name == ItemAligned.TYPE else known(name)  # type: ignore[attr-defined]
    (decider, *others) = mastery.PARTS.deciders
    sound = decider.decide

    def decide(command: Any, state: Any, parameters: Any, history: Sequence[Any] = ()) -> Any:
        evidence = getattr(command, "evidence", None)
        if evidence is not None and evidence.learner_id == REFUSED:
            return Refusal("not-today", "this release refuses the evidence of one learner")
        if evidence is not None and evidence.learner_id == POISONED:
            raise RuntimeError("this release breaks on the evidence of one learner")
        return sound(command, state, parameters, history)

    mastery.PARTS = replace(mastery.PARTS, deciders=[replace(decider, decide=decide), *others])


if __name__ == "__main__":
    _spoil()
    app()
