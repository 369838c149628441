"""Late evidence of one learner is weighed from where all lies as it did the last time; what comes out is as if all were weighed anew."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from services.mastery import refold as room
from services.mastery.inputs import Inputs, inputs_of
from services.mastery.refold import EVERY, refold
from services.mastery.state import CODES, Override, State
from services.mastery.weigh import apply, weigh
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import Level
from tests.mastery.samples import competency, evidence, parameters

MANY = 5 * EVERY
INPUTS = inputs_of(parameters((1, 2), (2, 3)))
OTHERS = inputs_of(parameters((1, 2), (2, 3), version=3, gain_right_e6=90_000))
MASTERED = (Override(competency(1), CODES[Level.MASTERED], 2**60),)
WAIVED = ((competency(3), competency(2)),)


def some(count: int, draw: random.Random) -> list[EvidenceRecorded]:
    return [
        evidence(number, draw.randint(1, 4), score_e6=draw.randrange(1_000_001), day=number / 3, item=draw.randrange(60))
        for number in range(count)
    ]


def anew(seen: Sequence[EvidenceRecorded], before: State, inputs: Inputs) -> State:
    """Weigh everything, with nothing that was kept."""
    state = State(overrides=before.overrides, waivers=before.waivers)
    for each in sorted(seen, key=lambda each: (each.occurred_at, each.evidence_id.int)):
        apply(each, weigh(each, state, inputs), state)
    return state


def test_what_comes_out_is_what_weighing_all_of_it_anew_gives() -> None:
    draw = random.Random(3)
    seen = some(MANY, draw)
    before, inputs = State(), INPUTS
    for number in range(MANY, MANY + 60):
        match draw.randrange(6):
            case 0 | 1:  # One more, anywhere.
                seen.append(evidence(number, draw.randint(1, 4), day=draw.uniform(0, MANY / 3), item=draw.randrange(60)))
            case 2:  # A correction.
                place = draw.randrange(len(seen))
                seen[place] = seen[place].model_copy(update={"score_e6": draw.randrange(1_000_001)})
            case 3:  # One is void.
                seen.pop(draw.randrange(len(seen)))
            case 4:
                inputs = draw.choice((INPUTS, OTHERS))
            case _:
                before = State(overrides=draw.choice(((), MASTERED)), waivers=draw.choice(((), WAIVED)))
        asked = draw.sample(seen, len(seen))
        if draw.random() < 0.5:  # As read from the ledger another time.
            asked = [each.model_copy() for each in asked]
        assert refold(asked, before, inputs) == anew(seen, before, inputs)


@pytest.mark.parametrize("place", [0, EVERY - 1, EVERY, 2 * EVERY - 1, 2 * EVERY, MANY - 1])
def test_what_lies_at_the_end_of_what_is_kept_counts_as_it_is_now(place: int) -> None:
    seen = some(MANY, random.Random(7))
    refold(seen, State(), INPUTS)
    corrected = seen.copy()
    corrected[place] = seen[place].model_copy(update={"score_e6": 1_000_000 - seen[place].score_e6})
    void = [*seen[:place], *seen[place + 1 :]]
    late = [*seen, evidence(MANY, 2, score_e6=0, day=place / 3 - 0.1)]
    for after in (corrected, void, late, seen):
        assert refold(after, State(), INPUTS) == anew(after, State(), INPUTS)


def test_only_what_lies_behind_late_evidence_is_weighed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Any] = []

    def counting(seen: EvidenceRecorded, *rest: Any) -> Any:
        counted.append(seen)
        return weigh(seen, *rest)

    monkeypatch.setattr(room, "weigh", counting)
    monkeypatch.setattr(room, "_FOLDED", {})
    seen = some(MANY, random.Random(4))
    refold(seen, State(), INPUTS)
    assert len(counted) == MANY
    for late in range(3):
        counted.clear()
        seen.append(evidence(MANY + late, 2, day=MANY / 3 - 3 + late / 10))
        refold([each.model_copy() for each in seen], State(), INPUTS)
        assert 9 <= len(counted) <= 9 + late + 1 + EVERY


def test_what_is_kept_is_bounded_and_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_FOLDED", {})
    monkeypatch.setattr(room, "MAX_FOLDED", 3 * MANY)
    learners = [UUID(int=number) for number in range(1, 6)]
    for learner in learners:
        refold([each.model_copy(update={"learner_id": learner}) for each in some(MANY, random.Random(5))], State(), INPUTS)
    assert list(room._FOLDED) == learners[2:]
    refold(some(EVERY, random.Random(6)), State(), INPUTS)
    assert list(room._FOLDED) == learners[2:], "what is weighed in no time is not kept"
