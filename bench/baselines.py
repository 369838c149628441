"""What the filter is measured against: logistic regression on counts, and Bayesian knowledge tracing; both predict learners unseen.

Source of the regression: Best-LR of Gervet, Koedinger, Schneider and Mitchell (2020), Journal of Educational Data Mining 12(3).
"""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from services.mastery.fitting.columns import NO_ITEM, Floats, Ints, Responses
from services.mastery.fitting.easiness import sigmoids

PENALTY: Final = 1.0
"""Of squared weights, as scikit-learn's C = 1: the paper's setting."""
NEWTON_STEPS: Final = 12
CG_STEPS: Final = 200
ENOUGH: Final = 1e-4
"""Newton's steps end where none of the weights moves more."""
PYTHON: Final = Path(__file__).parents[1] / ".venv-bkt" / "bin" / "python"
"""That has pyBKT, which needs an older scikit-learn: `make` puts it there."""
TRACER: Final = Path(__file__).with_name("tracing.py")
BKT_LIMIT_S: Final = 3_600


def best_lr(responses: Responses, fold: Ints, folds: int) -> Floats:
    """Return what the regression expects of each response, fitted to the learners of the other folds."""
    features = _features(responses)
    expected = np.empty(len(responses))
    for at in range(folds):
        mine = fold[responses.learner] == at
        weights = _fit(features[~mine], responses.score[~mine])
        expected[mine] = sigmoids(features[mine] @ weights)
    return expected


def _features(responses: Responses) -> Any:
    """Return a sparse matrix: items and competencies as they are, and counts of right answers and of all, per competency and in all, of
    items too, each as log(1 + count)."""
    n, lengths = len(responses), np.diff(responses.first_link)
    owner = np.repeat(np.arange(n), lengths)
    known = np.flatnonzero(responses.item != NO_ITEM)
    items = sparse.csr_matrix((np.ones(len(known)), (known, responses.item[known])), (n, max(len(responses.items), 1)))
    competencies = sparse.csr_matrix((np.ones(len(owner)), (owner, responses.links)), (n, len(responses.competencies)))
    counts = sparse.csr_matrix(np.log1p(_counts(responses)))
    return sparse.hstack([items, competencies, counts, sparse.csr_matrix(np.ones((n, 1)))]).tocsr()


def _counts(responses: Responses) -> Floats:
    """Return right answers and all answers before each response: on its item, on its competencies (their sum), and in all."""
    table = np.zeros((len(responses), 6))
    owner = -1
    for at, learner in enumerate(responses.learner.tolist()):
        if learner != owner:
            owner, by_item, by_competency, whole = learner, dict[int, list[float]](), dict[int, list[float]](), [0.0, 0.0]
        item = by_item.setdefault(int(responses.item[at]), [0.0, 0.0]) if responses.item[at] != NO_ITEM else [0.0, 0.0]
        links = responses.links[responses.first_link[at] : responses.first_link[at + 1]].tolist()
        known = [by_competency.setdefault(link, [0.0, 0.0]) for link in links]
        table[at] = (*item, sum(one[0] for one in known), sum(one[1] for one in known), *whole)
        for tally in (item, whole, *known):
            tally[0] += responses.score[at]
            tally[1] += 1.0
    return table


def _fit(features: Any, score: Floats) -> Floats:
    """Return the weights of a logistic regression with a quadratic penalty on all but the last: Newton's steps, each solved by conjugate
    gradients."""
    penalty = np.full(features.shape[1], PENALTY)
    penalty[-1] = 0.0
    weights, turned = np.zeros(features.shape[1]), features.T.tocsr()
    squares = turned.multiply(turned).tocsr()
    for _ in range(NEWTON_STEPS):
        share = sigmoids(features @ weights)
        slack = share * (1.0 - share)
        gradient = turned @ (share - score) + penalty * weights
        diagonal = squares @ slack + penalty
        shape = (len(weights), len(weights))
        hessian = LinearOperator(shape, matvec=lambda v, slack=slack: turned @ (slack * (features @ v)) + penalty * v)
        scaled = LinearOperator(shape, matvec=lambda v, diagonal=diagonal: v / diagonal)
        step, _ = cg(hessian, gradient, rtol=1e-4, maxiter=CG_STEPS, M=scaled)
        weights = weights - step
        if float(np.abs(step).max()) < ENOUGH:
            break
    return weights


def knowledge_tracing(responses: Responses, fold: Ints, folds: int, folder: Path) -> Floats:
    """Return what pyBKT expects of each response: a response about several competencies by the mean of what it expects of each.

    Args:
        folder: for the files that are handed to and fro.

    Raises:
        SystemExit: pyBKT's environment is not there.
    """
    if not PYTHON.exists():
        raise SystemExit("pyBKT is not installed: `make bench-mastery DATA=FILE` installs it into an environment of its own")
    told, answered = folder / "responses.csv", folder / "expected.csv"
    owner = np.repeat(np.arange(len(responses)), np.diff(responses.first_link))
    with told.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["order_id", "user_id", "skill_name", "correct", "fold"])
        for order, (at, link) in enumerate(zip(owner.tolist(), responses.links.tolist(), strict=True)):
            learner = int(responses.learner[at])
            rows.writerow([order, learner, f"k{link}", int(responses.score[at] >= 0.5), int(fold[learner])])
    # -P: what is called `http` beside that script is not meant by `import http`.
    subprocess.run([PYTHON, "-P", "-W", "ignore", TRACER, told, answered, str(folds)], check=True, timeout=BKT_LIMIT_S)
    expected = np.loadtxt(answered)
    return np.bincount(owner, expected, len(responses)) / np.diff(responses.first_link)
