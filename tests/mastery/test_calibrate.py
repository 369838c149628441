"""`cairn mastery calibrate` and `evaluate` on learners that a generator made: what comes out, and that it comes out the same again."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.synthetic import Shape, World, gaussian
from services.cli import app
from services.mastery.calibration import parse
from services.mastery.fitting.dif import functioning
from services.mastery.fitting.figures import auc, ece, figures
from services.mastery.publication import read_entries

SMALL = Shape(learners=60, competencies=4, items=8, days=8, each=8)
run = CliRunner()


def written(folder: Path, world: World, columns: str = "learner,item,competencies,score,time,school") -> Path:
    responses = world.responses
    path = folder / "data.csv"
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, columns.split(","), extrasaction="ignore")
        rows.writeheader()
        for at in range(len(responses)):
            links = responses.links[responses.first_link[at] : responses.first_link[at + 1]].tolist()
            rows.writerow(
                {
                    "learner": responses.learners[responses.learner[at]], "item": responses.items[responses.item[at]],
                    "competencies": ";".join(responses.competencies[link] for link in links), "score": responses.score[at],
                    "time": round(float(responses.day[at]) * 86_400 + 1_767_600_000), 
                    "school": ("south", "north")[responses.learner[at] % 2],
                }
            )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    data = written(folder, gaussian(SMALL, 1))
    done = run.invoke(app, ["mastery", "calibrate", str(data), "--out", str(folder), "--group", "school"])
    assert done.exit_code == 0, done.output
    return folder


def test_a_set_holds_integers_and_says_how_it_was_made(made: Path) -> None:
    entries = json.loads((made / "calibration.json").read_text())
    assert parse([entries]).items
    story = next(entry for entry in entries if entry["entry"] == "made")
    assert (story["responses"], story["learners"], story["seed"], story["first_at"][:4]) == (3840, 60, 1, "2026")
    assert not [value for entry in entries for value in entry.values() if isinstance(value, float)]


def test_the_same_data_and_seed_give_the_same_set(made: Path, tmp_path: Path) -> None:
    done = run.invoke(app, ["mastery", "calibrate", str(made / "data.csv"), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "calibration.json").read_bytes() == (made / "calibration.json").read_bytes()


def test_it_predicts_learners_it_has_never_seen_better_than_what_ships(made: Path, tmp_path: Path) -> None:
    unseen = written(tmp_path, gaussian(SMALL, 2))
    predictions = tmp_path / "predictions.csv"
    done = run.invoke(
        app, ["mastery", "evaluate", str(unseen), "--calibration", str(made / "calibration.json"), "--predictions", str(predictions)]
    )
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(predictions.open()))
    assert len(rows) == 3840
    score, expected = (np.array([float(row[name]) for row in rows]) for name in ("score", "expected"))
    again = figures(score, expected)
    assert f"AUC {again.auc:.4f}, RMSE {again.rmse:.4f}" in done.output, "anybody can work the figures out again"
    assert again.log_loss < 0.62 < float(-np.log(0.5))


@pytest.mark.parametrize("columns", ["learner,competencies,score", "learner,item,competencies,score", "learner,competencies,score,time"])
def test_data_without_a_clock_or_without_items_are_calibrated_too(tmp_path: Path, columns: str) -> None:
    data = written(tmp_path, gaussian(SMALL, 1), columns)
    done = run.invoke(app, ["mastery", "calibrate", str(data), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    calibration = parse([json.loads((tmp_path / "calibration.json").read_text())])
    assert bool(calibration.items) == ("item" in columns)
    assert len(calibration.competencies) == SMALL.competencies


def test_the_page_needs_nothing_but_itself_and_names_both_groups(made: Path) -> None:
    page = (made / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "http" not in page
    assert ">north<" in page
    assert ">south<" in page


def test_force_needs_a_reason(made: Path, tmp_path: Path) -> None:
    done = run.invoke(app, ["mastery", "calibrate", str(made / "data.csv"), "--out", str(tmp_path), "--publish", "--force"])
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("calibration", "said"), [("data.csv", "is no calibration"), ("calibraton.json", "neither a file nor the id of a set")]
)
def test_what_is_no_set_is_said(made: Path, calibration: str, said: str) -> None:
    done = run.invoke(app, ["mastery", "evaluate", str(made / "data.csv"), "--calibration", str(made / calibration)])
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())


def test_scores_all_alike_are_held_against_a_set_without_a_rank_and_files_find_their_folder(made: Path, tmp_path: Path) -> None:
    data, told, page = tmp_path / "alike.csv", tmp_path / "new" / "predictions.csv", tmp_path / "other" / "report.html"
    data.write_text("learner,skill,score\na,x,1\na,x,1\n")
    options = ["--calibration", str(made / "calibration.json"), "--predictions", str(told), "--report", str(page)]
    done = run.invoke(app, ["mastery", "evaluate", str(data), *options])
    assert done.exit_code == 0, done.output
    assert "AUC unknown" in done.output
    assert len(told.read_text().splitlines()) == 3
    assert "nan" not in page.read_text()


@pytest.mark.parametrize("scores", [(0.55, 0.7, 0.9), (0.1, 0.3, 0.45)], ids=["above", "below"])
def test_scores_on_one_side_of_one_half_are_calibrated_without_a_rank(tmp_path: Path, scores: tuple[float, ...]) -> None:
    rows = [f"l{n % 30},q{n // 30},c,{scores[(n * 7 + n // 30) % 3]}" for n in range(360)]
    (tmp_path / "rubric.csv").write_text("\n".join(["learner,item,competencies,score", *rows]) + "\n")
    done = run.invoke(app, ["mastery", "calibrate", str(tmp_path / "rubric.csv"), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "AUC unknown" in done.output
    assert "nan" not in done.output
    entries = read_entries(json.loads((tmp_path / "calibration.json").read_text()))
    (story,) = [entry for entry in entries if entry["entry"] == "made"]
    assert "auc_e6" not in story


def test_figures_are_as_worked_out_by_hand() -> None:
    score, expected = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.6, 0.6, 0.1])
    assert auc(score, expected) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert ece(score, expected) == pytest.approx((0.1 + 0.2 + 0.1) / 4)
    assert np.isnan(auc(np.ones(3), np.ones(3)))


def test_an_item_that_is_harder_for_a_group_is_found() -> None:
    responses = gaussian(Shape(learners=400, competencies=2, items=6, days=6, each=6, both=0.0), 3).responses
    member = np.arange(len(responses.learners)) % 2 == 0
    hurt = (responses.item == 0) & member[responses.learner]
    score = np.where(hurt & (np.random.default_rng(1).random(len(responses)) < 0.6), 0.0, responses.score)
    unfair = type(responses)(**{**vars(responses), "score": score})
    found = functioning(unfair, np.zeros(len(responses)), member, "school: south")
    assert (found[0].item, found[0].grade) == (responses.items[0], "C")
    assert found[0].delta < 0
