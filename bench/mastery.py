"""`make bench-mastery DATA=FILE`: how well estimates predict, how true decisions are, and what they cost, each beside its bar."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from bench import cost, needs, synthetic, truth
from bench.bars import Bars
from bench.baselines import best_lr, knowledge_tracing
from services.cli.responses import read
from services.mastery.calibration import parse
from services.mastery.fitting.columns import Floats, Ints, Responses, memory_of
from services.mastery.fitting.entries import easiness_of, entries_of, precision_of
from services.mastery.fitting.figures import figures
from services.mastery.fitting.fit import fit, folds_of
from services.mastery.fitting.kernel import run, vector

FOLDS: Final = 5
SEED: Final = 7
PARTS: Final = ("data", "truth", "cost", "service")


def asked() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.mastery", description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="responses as `cairn mastery calibrate` reads them")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part alone; may be repeated")
    return parser.parse_args()


def main() -> int:
    """Run the bench and return the exit code: 1 where a bar was missed."""
    options, bars = asked(), Bars()
    parts = options.only or PARTS
    if "data" in parts:
        if options.data is None or not options.data.is_file():
            print("name a file with responses: make bench-mastery DATA=FILE", file=sys.stderr)
            return 2
        measure_data(options.data, bars)
    if "truth" in parts:
        truth.measure(synthetic.gaussian, bars, "same model", false=0.22, sensitivity=0.60, coverage=True)
        truth.measure(synthetic.tracing, bars, "knowledge tracing", false=0.25, sensitivity=0.55, coverage=False)
    if "cost" in parts:
        cost.measure(bars)
    if "service" in parts:
        needs.measure(bars)
    return bars.close()


def measure_data(path: Path, bars: Bars) -> None:
    """Predict every learner from a calibration that never saw them, and so do the baselines, on the same folds."""
    responses = read(path).responses
    print(f"{path.name}: {len(responses):,} responses of {len(responses.learners):,} learners, {FOLDS} folds by learner", flush=True)
    fold = folds_of(responses.learners, FOLDS, SEED)
    regression = figures(responses.score, best_lr(responses, fold, FOLDS))
    bars.figure("Best-LR: AUC", regression.auc)
    bars.figure("Best-LR: RMSE", regression.rmse)
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        tracing = figures(responses.score, knowledge_tracing(responses, fold, FOLDS, Path(folder)))
    bars.figure("BKT (pyBKT): AUC", tracing.auc)
    bars.figure("BKT (pyBKT): RMSE", tracing.rmse)
    found = figures(responses.score, expected(responses, fold))
    bars.figure("Cairn: AUC, beside Best-LR + .003", found.auc, at_least=regression.auc + 0.003)
    bars.figure("Cairn: AUC, beside BKT + .045", found.auc, at_least=tracing.auc + 0.045)
    bars.figure("Cairn: calibration error (ECE)", found.ece, at_most=0.015)
    bars.figure("Cairn: RMSE", found.rmse)
    bars.figure("Cairn: log loss", found.log_loss, "nats")


def expected(responses: Responses, fold: Ints) -> Floats:
    """Return what Cairn expects of each response by the published set: integers, items by their ids, learners never seen."""
    found = np.empty(len(responses))
    for at in range(FOLDS):
        others, mine = responses.subset(fold != at), responses.subset(fold == at)
        calibration = parse([entries_of(fit(others, seed=1), others, {})])
        seen = run(
            mine, memory_of(mine), easiness_of(calibration, mine), precision_of(calibration, mine), vector(calibration.numbers)
        )  # fmt: skip
        found[fold[responses.learner] == at] = seen.share
    return found


if __name__ == "__main__":
    sys.exit(main())
