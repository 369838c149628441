"""Fits and predicts with pyBKT, fold by fold; run by the Python that has it, which is not the project's."""

from __future__ import annotations

import sys

import numpy as np
import pandas
from pyBKT.models import Model

SEED = 1


def main(told: str, answered: str, folds: int) -> None:
    """Write the expected share of each row of `told`, in its order."""
    data = pandas.read_csv(told)
    expected = np.full(len(data), float(data.correct.mean()))
    columns = ["order_id", "user_id", "skill_name", "correct"]
    for fold in range(folds):
        model = Model(seed=SEED, num_fits=1, parallel=False)
        model.fit(data=data.loc[data.fold != fold, columns])
        known = data.skill_name.isin(data.loc[data.fold != fold, "skill_name"].unique())
        found = model.predict(data=data.loc[(data.fold == fold) & known, columns])
        expected[found.order_id.to_numpy()] = found.correct_predictions.to_numpy()
    np.savetxt(answered, expected, fmt="%.8f")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
