"""Learners whose true mastery is known: one world made as the filter believes it is, one by knowledge tracing with slips and guesses.

Items and competencies are the same in all worlds of a shape, learners are drawn from a seed. The truth at each moment is the generator's
own success rate on the competency's reference item: its median one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import numpy as np

from services.mastery.fitting.columns import Floats, Ints, Responses
from shared.contracts.evidence import EvidenceRecorded, Kind

NAMES: Final = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
START: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
WORLD: Final = 2026
"""Seed of the items and competencies."""
PARTIAL: Final = 0.15
"""Share of responses that are scored in quarters."""


@dataclass(frozen=True)
class Shape:
    """How much of what there is."""

    learners: int = 400
    competencies: int = 12
    items: int = 30
    """Per competency."""
    days: int = 30
    """School days on which a learner works."""
    each: int = 10
    """Responses per day; a learner works on one competency after the other, in blocks."""
    both: float = 0.1
    """Share of items about two competencies."""


@dataclass(frozen=True)
class World:
    """Responses with the truth beside them. n responses."""

    responses: Responses
    truth: Floats
    """(n) Success rate on the reference item of the response's first competency, just after the response."""
    truth_before: Floats
    """(n) The same, just before it."""

    def evidence(self, learner: int) -> Iterator[tuple[int, EvidenceRecorded]]:
        """Yield a learner's responses, each with its place, as the evidence that a service hears."""
        responses = self.responses
        first, stop = (int(at) for at in np.searchsorted(responses.learner, (learner, learner + 1)))
        who = uuid5(NAMES, responses.learners[learner])
        for at in range(first, stop):
            links = responses.links[responses.first_link[at] : responses.first_link[at + 1]].tolist()
            yield at, EvidenceRecorded(
                evidence_id=uuid5(NAMES, f"{who}/{at}"), learner_id=who, item_id=UUID(responses.items[responses.item[at]]),
                competency_ids=tuple(sorted(responses.competencies[link] for link in links)), score_e6=round(responses.score[at] * 1e6),
                occurred_at=START + timedelta(days=float(responses.day[at])), kind=Kind(responses.kinds[responses.kind[at]]),
            )  # fmt: skip


@dataclass(frozen=True)
class _Items:
    first: Ints
    """(items) The competency that an item stands in the block of."""
    second: Ints
    """(items) Another one, or -1."""
    easiness: Floats


def gaussian(shape: Shape, seed: int) -> World:
    """Return learners as the filter believes they are: normal levels, form of the day, learning, forgetting, and memory of items."""
    draw = np.random.default_rng(seed)
    items = _items(shape, np.random.default_rng(WORLD))
    levels = draw.normal(0.3, 0.9, shape.learners)
    score, truth, before = [], [], []
    plan = _plan(shape, draw)
    for learner in range(shape.learners):
        known = draw.normal(0.0, 0.55, shape.competencies)
        last, form = np.zeros(shape.competencies), 0.0
        level = levels[learner]
        for day, item in plan[learner]:
            links = [link for link in (items.first[item], items.second[item]) if link >= 0]
            form = 0.9 * form + draw.normal(0.0, 0.14)
            for link in links:
                passed = np.log1p(max(day - last[link], 0.0)) if last[link] else 0.0
                known[link] = known[link] * np.exp(-0.04 * passed) + draw.normal(0.0, np.sqrt(0.004 * passed + 1e-12))
                last[link] = day
            before.append(_sigmoid(items_reference(items, links[0]) + level + known[links[0]]))
            right = draw.random() < _sigmoid(items.easiness[item] + level + form + float(np.mean(known[links])))
            score.append(float(right))
            known[links] += (0.06 if right else 0.02) + draw.normal(0.0, 0.06, len(links))
            truth.append(_sigmoid(items_reference(items, links[0]) + level + known[links[0]]))
    return _world(shape, items, plan, score, truth, before, draw)


def tracing(shape: Shape, seed: int) -> World:
    """Return learners of another model: each competency is known or not, is learned in one step, and answers slip or are guessed.

    Source: Corbett and Anderson (1994), User Modeling and User-Adapted Interaction 4(4), with rates that differ among learners,
    competencies and items.
    """
    draw, world = np.random.default_rng(seed), np.random.default_rng(WORLD)
    items = _items(shape, world)
    slips, guesses = world.uniform(0.04, 0.16, len(items.first)), world.uniform(0.1, 0.35, len(items.first))
    learns, begins = world.uniform(0.04, 0.2, shape.competencies), world.uniform(0.1, 0.5, shape.competencies)
    score, truth, before = [], [], []
    plan = _plan(shape, draw)
    for _learner, answers in enumerate(plan):
        speed = draw.uniform(0.5, 1.8)
        known = draw.random(shape.competencies) < np.minimum(begins * speed, 0.95)
        for _day, item in answers:
            links = [link for link in (items.first[item], items.second[item]) if link >= 0]
            slip, guess = (float(np.median(rates[items.first == links[0]])) for rates in (slips, guesses))
            before.append(1.0 - slip if known[links[0]] else guess)
            right = draw.random() < (1.0 - slips[item] if known[links].all() else guesses[item])
            score.append(float(right))
            known[links] |= draw.random(len(links)) < learns[links] * speed
            truth.append(1.0 - slip if known[links[0]] else guess)
    return _world(shape, items, plan, score, truth, before, draw, partial=0.0)


def items_reference(items: _Items, competency: int) -> float:
    """Return the easiness of the median item of a competency."""
    return float(np.median(items.easiness[items.first == competency]))


def _items(shape: Shape, draw: np.random.Generator) -> _Items:
    first = np.repeat(np.arange(shape.competencies), shape.items)
    other = (first + draw.integers(1, max(shape.competencies, 2), len(first))) % shape.competencies
    second = np.where(draw.random(len(first)) < shape.both, other, -1)
    hard = draw.normal(0.4, 0.4, shape.competencies)
    return _Items(first, second, hard[first] + draw.normal(0.0, 0.7, len(first)))


def _plan(shape: Shape, draw: np.random.Generator) -> list[list[tuple[float, int]]]:
    """Return each learner's days and items: a block on one competency, now and then a look back at an earlier one."""
    plans = []
    for _ in range(shape.learners):
        order = draw.permutation(shape.competencies)
        total = shape.days * shape.each
        answers = []
        for at in range(total):
            block = min(at * shape.competencies // total, shape.competencies - 1)
            competency = order[block] if block == 0 or draw.random() < 0.8 else order[draw.integers(0, block)]
            day = float(at // shape.each * 7 // 5) + (at % shape.each) * 0.01
            answers.append((day, int(competency * shape.items + draw.integers(0, shape.items))))
        plans.append(answers)
    return plans


def _world(
    shape: Shape, items: _Items, plan: list[list[tuple[float, int]]], score: list[float], truth: list[float], before: list[float],
    draw: np.random.Generator, partial: float = PARTIAL,
) -> World:  # fmt: skip
    marks = np.array(score)
    quarters = draw.random(len(marks)) < partial
    marks = np.where(quarters, np.where(marks > 0, draw.choice([0.75, 1.0], len(marks)), draw.choice([0.0, 0.25], len(marks))), marks)
    item = np.array([item for answers in plan for _, item in answers])
    links = [[link for link in (items.first[at], items.second[at]) if link >= 0] for at in item]
    responses = Responses(
        tuple(f"learner-{at}" for at in range(shape.learners)), tuple(str(uuid5(NAMES, f"item-{at}")) for at in range(len(items.first))),
        tuple(str(uuid5(NAMES, f"competency-{at}")) for at in range(shape.competencies)),
        np.repeat(np.arange(shape.learners), [len(answers) for answers in plan]), item, np.array([link for one in links for link in one]),
        np.concatenate(([0], np.cumsum([len(one) for one in links]))), marks,
        np.array([day for answers in plan for day, _ in answers]), np.zeros(len(item), np.int64), ("item",), np.arange(len(item)), True,
    )  # fmt: skip
    return World(responses, np.array(truth), np.array(before))


def _sigmoid(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
