"""What `cairn mastery calibrate` and `evaluate` do: fit or take a set, hold it against responses, write and tell what came out."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, StrictUndefined

from services.cli.responses import Data
from services.mastery.calibration import CALIBRATION, DEFAULT, DEFAULT_ENTRIES, Calibration, parse
from services.mastery.equity import SMALLEST_GROUP
from services.mastery.fitting.columns import Floats, Responses, memory_of
from services.mastery.fitting.entries import easiness_of, entries_of, precision_of
from services.mastery.fitting.figures import Bin, Figures, figures, reliability
from services.mastery.fitting.fit import FOLDS, Progress, fit
from services.mastery.fitting.kernel import NAMES, Pass, run, vector
from services.mastery.fitting.report import Report, lines, report
from shared.contracts.envelope import instant_text
from shared.contracts.parameters import set_id_of
from shared.errors import BadInput, Fault
from shared.exact import micro
from shared.parameters import page_hash, paged

LEAST_LEARNERS: Final = 20
LEAST_RESPONSES: Final = 200
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SHIPPED: Final = "the calibration that ships with the release"


@dataclass(frozen=True)
class Held:
    """A calibration held against responses."""

    name: str
    figures: Figures
    bins: list[Bin]


@dataclass(frozen=True)
class Calibrated:
    """What a run made."""

    entries: list[dict[str, Any]]
    set_id: str
    report: Report
    before: Held

    @property
    def better(self) -> bool:
        """Return whether it does better than the one before on learners whose answers it was not made of."""
        return self.report.whole.figures.log_loss < self.before.figures.log_loss


def check(data: Data, name: str) -> None:
    """Raise BadInput where nothing can be fitted to the data."""
    responses = data.responses
    if len(responses.learners) < LEAST_LEARNERS:
        raise BadInput(
            f"{name} holds {len(responses.learners)} learners; {LEAST_LEARNERS} are needed, for some must judge what others made"
        )
    if len(responses) < LEAST_RESPONSES:
        raise BadInput(f"{name} holds {len(responses)} responses; {LEAST_RESPONSES} are needed")
    if responses.score.min() == responses.score.max():
        detail = f"every score is {responses.score[0]:g}"
        raise BadInput(
            f"{name} cannot be calibrated: all came out alike", [Fault(f"{name}:score", "constant", detail, "take responses that differ")]
        )


def calibrate(data: Data, seed: int, before: tuple[str, str, Calibration], progress: Progress) -> Calibrated:
    """Return the set that fits the data, and how it does on learners out of fold beside the one before.

    Args:
        before: name in words, id (or nothing) and content of the set that it is held against.
    """
    responses = data.responses
    fitted = fit(responses, seed, progress)
    name, set_id, known = before
    held = hold(name, known, responses)
    made = described(responses, seed, figures(responses.score, fitted.expected.share), set_id, held.figures)
    entries = entries_of(fitted, responses, made)
    calibration = parse([entries])
    reference = _reference(calibration, responses)
    told = report(responses, fitted.expected, fitted.out_of_fold, reference, calibration.policy, data.groups)
    return Calibrated(entries, id_of(entries), told, held)


def described(responses: Responses, seed: int, found: Figures, before: str, of_before: Figures) -> dict[str, Any]:
    """Return what a set says of its making, in integers and texts."""
    made: dict[str, Any] = {"responses": len(responses), "learners": len(responses.learners), "seed": seed, "folds": FOLDS}
    told = {name: getattr(found, name) for name in ("auc", "rmse", "log_loss", "ece", "bias")}
    made |= {f"{name}_e6": micro(value) for name, value in told.items() if not math.isnan(value)}
    made |= {"before_id": before, "before_log_loss_e6": micro(of_before.log_loss)}
    if responses.has_clock:
        made |= {"first_at": _instant(responses.day.min()), "last_at": _instant(responses.day.max())}
    return made


def hold(name: str, calibration: Calibration, responses: Responses) -> Held:
    """Return how a calibration does on these responses."""
    share = walk(calibration, responses).share
    return Held(name, figures(responses.score, share), reliability(responses.score, share))


def walk(calibration: Calibration, responses: Responses) -> Pass:
    """Return what a calibration expects of each response."""
    easiness, precision = easiness_of(calibration, responses), precision_of(calibration, responses)
    return run(responses, memory_of(responses), easiness, precision, vector(calibration.numbers))


def evaluate(data: Data, calibration: Calibration) -> tuple[Report, Pass]:
    """Return how a calibration does on learners whom it has never seen, and what it expected of each response."""
    responses = data.responses
    seen = walk(calibration, responses)
    reference = _reference(calibration, responses)
    return report(responses, seen, easiness_of(calibration, responses), reference, calibration.policy, data.groups), seen


def _reference(calibration: Calibration, responses: Responses) -> Floats:
    return np.array([calibration.reference_of(name) for name in responses.competencies])


def id_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the id that a set with these entries has in the record."""
    return set_id_of(CALIBRATION.name, [page_hash(page) for page in paged(entries)])


def read_set(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a set that `calibrate` wrote.

    Raises:
        BadInput: it is no such file.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        parse([entries])
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise BadInput(f"{path.name} is no calibration ({error}): take the calibration.json that `cairn mastery calibrate` wrote") from None
    found: list[dict[str, Any]] = entries
    return found


def write_set(folder: Path, made: Calibrated) -> None:
    """Write the set, its report and its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    inner = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in made.entries)
    (folder / "calibration.json").write_text(f"[\n{inner}\n]\n", encoding="utf-8")
    how = f"Each learner was predicted with items' easiness from the answers of others, in {FOLDS} parts."
    write_report(folder / "report.html", "Calibration report", how, made.set_id, made.report, parse([made.entries]), made.before)
    rows = [{"part": column, **_plain(asdict(part))} for column, part in lines(made.report)]
    told = json.dumps({"set_id": made.set_id, "parts": rows}, indent=1, allow_nan=False)
    (folder / "figures.json").write_text(told + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: what is not known is null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_report(path: Path, title: str, how: str, set_id: str, told: Report, calibration: Calibration, before: Held | None) -> None:
    """Write the page. It needs nothing but itself."""
    shipped = vector(DEFAULT.numbers)
    whole = told.whole.figures
    hidden = ", ".join(f"{count} of {column}" for column, count in told.hidden.items() if count)
    made: dict[str, Any] = next((entry for entry in json.loads(calibration.head) if entry["entry"] == "made"), {})
    window = f", from {made['first_at'][:10]} to {made['last_at'][:10]}" if before and "first_at" in made else ""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        files("services.cli").joinpath("calibration.html").read_text()
    )
    cards = [
        ("AUC", whole.auc),
        ("RMSE", whole.rmse),
        ("log loss", whole.log_loss),
        ("ECE", whole.ece),
        ("bias", whole.bias),
    ]
    numbers = list(zip(NAMES, vector(calibration.numbers), shipped, strict=True))
    text = page.render(
        title=title, how=how, set_id=set_id, report=told, before=before, cards=cards, numbers=numbers, lines=list(lines(told)),
        hidden=hidden, smallest=SMALLEST_GROUP, window=window,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_predictions(path: Path, responses: Responses, seen: Pass) -> None:
    """Write what was expected of every response, in the order in which they were answered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["row", "learner", "item", "competencies", "score", "expected"])
        bounds = responses.first_link.tolist()
        for at in range(len(responses)):
            item, links = int(responses.item[at]), responses.links[bounds[at] : bounds[at + 1]].tolist()
            rows.writerow(
                [
                    int(responses.row[at]), responses.learners[responses.learner[at]], responses.items[item] if item >= 0 else "",
                    ";".join(responses.competencies[link] for link in links), f"{responses.score[at]:g}", f"{seen.share[at]:.6f}",
                ]
            )  # fmt: skip


def shipped() -> tuple[str, str, Calibration]:
    """Return the set that ships with the release, as what others are held against."""
    return SHIPPED, id_of(DEFAULT_ENTRIES), DEFAULT


def _instant(day: float) -> str:
    return instant_text(EPOCH + timedelta(days=float(day)))
