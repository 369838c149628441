"""Declarations and intervals beside the truth, by the decider itself: learners never seen in calibration, in two worlds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.bars import Bars
from bench.synthetic import Shape, World
from services.mastery.calibration import CALIBRATION, Calibration, parse
from services.mastery.domain import CountEvidence, mastery
from services.mastery.fitting.columns import Ints, memory_of
from services.mastery.fitting.entries import easiness_of, entries_of, precision_of
from services.mastery.fitting.fit import fit
from services.mastery.fitting.kernel import run, vector
from services.mastery.framework import FRAMEWORK
from shared.contracts.envelope import digest
from shared.contracts.mastery import Competency, Level, LevelChanged
from shared.decider import Refusal
from shared.parameters import Parameters

BAR: Final = 0.8
INTERVAL_Z: Final = 1.6448536269514722
"""Half the width of a 90 % interval, in standard deviations."""
DRAWS: Final = (11, 21)
"""Further seeds of the learners who calibrate; those who judge have the next one. Coverage depends on who calibrates."""
FEW, MANY = 3, 15
"""Responses on a competency between which its doubt is held to shrink."""


@dataclass(frozen=True)
class Declared:
    """How declarations met the truth."""

    declarations: int
    false: float
    sensitivity: float
    """Share of the learners and competencies that truly reached the bar, which were declared."""
    delay: float
    """Median of the responses on a competency from truly reaching the bar to the declaration, 0 for one before; of those declared."""


def measure(make: Callable[[Shape, int], World], bars: Bars, name: str, false: float, sensitivity: float, coverage: bool) -> None:
    """Calibrate on some learners of a world, and hold the decisions about others beside their truth."""
    calibration = calibrated(make(Shape(), 1))
    world = make(Shape(learners=300), 2)
    if coverage:
        within, first, last = interval(world, calibration)
        drawn = [within]
        for seed in DRAWS:
            drawn.append(interval(make(Shape(learners=300), seed + 1), calibrated(make(Shape(), seed)))[0])
        for number, each in enumerate(drawn, 1):
            bars.figure(f"{name}: coverage of the 90 % interval, draw {number}", each)
        bars.figure(f"{name}: coverage, mean of {len(drawn)} draws, from below", float(np.mean(drawn)), at_least=0.87)
        bars.figure(f"{name}: coverage, mean of {len(drawn)} draws, from above", float(np.mean(drawn)), at_most=0.93)
        bars.figure(f"{name}: sd of the logit after {FEW} responses", first, "logits")
        bars.figure(f"{name}: sd after {MANY}, as a share of that", last / first, at_most=1.0)
    found = declared(world, calibration)
    bars.figure(f"{name}: declarations", found.declarations)
    bars.figure(f"{name}: false mastery", found.false, at_most=false)
    bars.figure(f"{name}: sensitivity", found.sensitivity, at_least=sensitivity)
    bars.figure(f"{name}: median delay", found.delay, "responses")


def calibrated(world: World) -> Calibration:
    """Return what `cairn mastery calibrate` makes of a world's responses."""
    return parse([entries_of(fit(world.responses, seed=1), world.responses, {})])


def interval(world: World, calibration: Calibration) -> tuple[float, float, float]:
    """Return how often the truth lies within the 90 % interval, and the mean deviation after FEW and after MANY responses."""
    responses = world.responses
    seen = run(
        responses, memory_of(responses), easiness_of(calibration, responses), precision_of(calibration, responses),
        vector(calibration.numbers),
    )  # fmt: skip
    link = responses.first_link[:-1]
    reference = np.array([calibration.reference_of(name) for name in responses.competencies])[responses.links[link]]
    mean, deviation = reference + seen.trace[:, 0] + seen.link_mean[link], np.sqrt(seen.trace[:, 1] + seen.link_variance[link])
    truth = np.log(world.truth_before / (1.0 - world.truth_before))
    count = visits(world)
    within = np.abs(truth - mean) <= INTERVAL_Z * deviation
    return float(within[count > 0].mean()), float(deviation[count == FEW].mean()), float(deviation[count == MANY].mean())


def visits(world: World) -> Ints:
    """Return how many responses about its first competency each response's learner gave before it."""
    responses = world.responses
    found = np.zeros(len(responses), np.int64)
    seen: Counter[tuple[int, int]] = Counter()
    for at, learner in enumerate(responses.learner.tolist()):
        links = responses.links[responses.first_link[at] : responses.first_link[at + 1]].tolist()
        found[at] = seen[learner, links[0]]
        seen.update((learner, link) for link in links)
    return found


def declared(world: World, calibration: Calibration) -> Declared:
    """Return how the decider's declarations meet the truth."""
    responses = world.responses
    framework = FRAMEWORK.parse([[Competency(id=name, statement=name).model_dump() for name in responses.competencies]])
    ids = {CALIBRATION.name: digest(calibration.head), FRAMEWORK.name: "f"}  # What is put together is kept by these.
    parameters = Parameters(1, {CALIBRATION.name: calibration, FRAMEWORK.name: framework}, ids)
    reached: dict[tuple[int, str], int] = {}
    told: dict[tuple[int, str], int] = {}
    false = 0
    for learner in range(len(responses.learners)):
        state, count = mastery.initial, Counter[str]()
        for at, evidence in world.evidence(learner):
            name = responses.competencies[responses.links[responses.first_link[at]]]
            count[name] += 1
            if world.truth[at] > BAR:
                reached.setdefault((learner, name), count[name])
            events = mastery.decide(CountEvidence(evidence), state, parameters)
            assert not isinstance(events, Refusal)
            for event in events:
                state = mastery.evolve(state, event)
                new = isinstance(event, LevelChanged) and event.level is Level.MASTERED and event.before is not Level.REVERIFY
                if new and event.competency_id == name and (learner, name) not in told:
                    told[learner, name] = count[name]
                    false += world.truth[at] <= BAR
    delays = [max(told[pair] - reached[pair], 0) for pair in told if pair in reached]
    return Declared(
        len(told), false / len(told) if told else 1.0, len(delays) / len(reached) if reached else 0.0,
        float(np.median(delays)) if delays else float("nan"),
    )  # fmt: skip
