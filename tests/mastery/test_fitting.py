"""Fitting: the compiled filter is the pure one, and what is fitted is what the data were made with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.synthetic import Shape, gaussian
from services.mastery.calibration import DEFAULT
from services.mastery.filter import Normal, Numbers, carried, faded, predict, repeated, update
from services.mastery.fitting.columns import NO_ITEM, Floats, Responses, memory_of
from services.mastery.fitting.easiness import fit_easiness
from services.mastery.fitting.fit import fit
from services.mastery.fitting.kernel import run, vector

LINKS = [[0], [1], [0, 1], [0, 1, 2]]


def responses_of(seed: int, learners: int, each: int, clock: bool = True) -> Responses:
    """Return random responses on four items with one to three competencies, some with partial scores."""
    draw = np.random.default_rng(seed)
    n = learners * each
    item = draw.integers(0, len(LINKS), n)
    links = [LINKS[at] for at in item]
    day = np.sort(draw.uniform(0, 60, (learners, each)), axis=1).ravel() if clock else np.zeros(n)
    return Responses(
        tuple(f"l{at}" for at in range(learners)), tuple("abcd"), tuple("xyz"), np.repeat(np.arange(learners), each), item,
        np.concatenate([np.array(one) for one in links]), np.concatenate(([0], np.cumsum([len(one) for one in links]))),
        draw.choice([0.0, 1.0, 0.5], n, p=[0.4, 0.5, 0.1]), day, draw.integers(0, 2, n), ("item", "quiz"), np.arange(n), clock,
    )  # fmt: skip


def walked(responses: Responses, easiness: Floats, precision: Floats, numbers: Numbers) -> list[tuple[float, float, float]]:
    """Return logit, variance and share expected of each response by the pure filter."""
    found = []
    memory = memory_of(responses)
    owner = -1
    for at in range(len(responses)):
        if responses.learner[at] != owner:
            owner = int(responses.learner[at])
            general, form, known = Normal(0.0, numbers.general_variance), Normal(0.0, numbers.form_variance), {}
        else:
            form = carried(form, numbers)
        names = responses.links[responses.first_link[at] : responses.first_link[at + 1]].tolist()
        now = float(responses.day[at])
        before = [
            faded(known[name][0], now - known[name][1], numbers) if name in known else Normal(0.0, numbers.competency_variance)
            for name in names
        ]  # fmt: skip
        last = int(memory.before[at])
        days = now - responses.day[last]
        added = repeated(float(responses.score[last]), int(memory.count[at]), float(days), numbers) if last >= 0 else 0.0
        expected = predict(float(easiness[at]) + added, general, form, before)
        found.append(tuple(expected))
        general, form, after = update(expected, float(responses.score[at]), float(precision[at]), general, form, before, numbers)
        known |= {name: (belief, now) for name, belief in zip(names, after, strict=True)}
    return found


@pytest.mark.parametrize("clock", [True, False])
def test_the_compiled_filter_is_the_pure_one(clock: bool) -> None:
    responses = responses_of(1, 20, 60, clock)
    easiness = np.random.default_rng(2).normal(0.3, 1.0, len(responses))
    precision = np.array([1.0, 3.0])[responses.kind]
    seen = run(responses, memory_of(responses), easiness, precision, vector(DEFAULT.numbers))
    assert np.allclose(
        np.column_stack((seen.logit, seen.variance, seen.share)), walked(responses, easiness, precision, DEFAULT.numbers), rtol=0, atol=1e-9
    )  # fmt: skip


@given(st.lists(st.floats(0.0, 1.5), min_size=15, max_size=15), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_compiled_filter_is_the_pure_one_whatever_the_numbers(values: list[float], seed: int) -> None:
    numbers = Numbers(*values)
    responses = responses_of(seed, 3, 25)
    easiness, precision = np.zeros(len(responses)), np.ones(len(responses))
    seen = run(responses, memory_of(responses), easiness, precision, vector(numbers))
    pure = np.array(walked(responses, easiness, precision, numbers))
    assert np.allclose(np.column_stack((seen.logit, seen.variance, seen.share)), pure, rtol=1e-7, atol=1e-7)


def test_items_are_remembered_as_a_learners_state_remembers_them() -> None:
    items = [0, 1, 0, *range(2, 50), 1, 0]
    n = len(items)
    responses = Responses(
        ("l",), tuple(map(str, range(50))), ("x",), np.zeros(n, np.int64), np.array(items), np.zeros(n, np.int64), np.arange(n + 1),
        np.ones(n), np.zeros(n), np.zeros(n, np.int64), ("item",), np.arange(n), False,
    )  # fmt: skip
    memory = memory_of(responses)
    assert (memory.before[2], memory.count[2]) == (0, 1)
    assert memory.before[-2] == -1, "the item left alone longest is forgotten where more than 48 are remembered"
    assert memory.before[-1] == -1, "it was itself dropped when the forgotten one came back"
    none = memory_of(Responses(**{**vars(responses), "item": np.full(n, NO_ITEM)}))
    assert (none.before == -1).all()


def test_what_is_fitted_is_near_what_the_learners_were_made_with_and_keeps_its_limits() -> None:
    world = gaussian(Shape(learners=150, competencies=6, items=12, days=12, each=10), 5)
    found = fit(world.responses, seed=1)
    numbers = Numbers(*found.numbers.tolist())
    assert 0.4 < numbers.general_variance < 1.4, "they were made with 0.81"
    assert 0.25 <= numbers.competency_variance < 0.7, "with 0.30"
    assert numbers.competency_noise <= 0.01
    assert 0.0 <= numbers.gain_wrong <= numbers.gain_right
    first = np.array([world.responses.first_link[:-1]])[0]
    truth = np.log(world.truth_before / (1 - world.truth_before))
    believed = found.expected.trace[:, 0] + found.expected.link_mean[first]
    later = np.arange(len(truth)) % 120 > 60
    assert np.corrcoef(truth[later], believed[later])[0, 1] > 0.7
    again = fit(world.responses, seed=1)
    assert (again.numbers == found.numbers).all()
    assert (again.easiness.items == found.easiness.items).all()


def test_an_item_seen_seldom_stays_close_to_its_competency() -> None:
    n = 2_000
    item = np.concatenate((np.zeros(3, np.int64), np.random.default_rng(1).integers(1, 20, n - 3)))
    hard = np.linspace(-1.5, 1.5, 20)
    score = (np.random.default_rng(2).random(n) < 1 / (1 + np.exp(-hard[item]))).astype(float)
    score[:3] = 1.0
    responses = Responses(
        tuple(map(str, range(n // 10))), tuple(map(str, range(20))), ("x",), np.arange(n) // 10, item, np.zeros(n, np.int64),
        np.arange(n + 1), score, np.zeros(n), np.zeros(n, np.int64), ("item",), np.arange(n), False,
    )  # fmt: skip
    found = fit_easiness(responses, memory_of(responses), np.ones(n), vector(DEFAULT.numbers))
    assert 0.0 < found.items[0] < 1.5, "three right answers of three are no proof of an easy item"
    assert np.corrcoef(found.items[1:], hard[1:])[0, 1] > 0.95
