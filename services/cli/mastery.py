"""`cairn mastery`: fit calibrations to recorded responses, hold them against others, and publish them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli import policy
from services.cli.home import HomeOption
from services.cli.words import err, out
from shared.errors import BadInput

if TYPE_CHECKING:
    from services.mastery.fitting.report import Part, Report

DataArgument = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, readable=True,
        help="CSV (may be .gz) or Parquet with the columns learner, competencies, score and, where known, item, time, kind.",
    ),
]  # fmt: skip
GroupOption = Annotated[list[str] | None, typer.Option("--group", metavar="COLUMN", help="Compare learners by it. May be repeated.")]
AddressOption = Annotated[str | None, typer.Option("--address", help="Where Cairn answers; else the local installation's address.")]
MAX_SEED: Final = 2**31
SET_ID: Final = re.compile("[0-9a-f]{64}")

group = typer.Typer(no_args_is_help=True, help="Calibrate estimates, and see how they do.")


calibrations = typer.Typer(no_args_is_help=True, help="Which calibration is in force.")
group.add_typer(policy.group, name="policy")
group.add_typer(calibrations, name="calibration")


@group.callback()
def _group() -> None: ...


@group.command()
def calibrate(
    data: DataArgument,
    folder: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for calibration.json, report.html and figures.json.")],
    publish: Annotated[bool, typer.Option("--publish", help="Put it in force in the running mastery service.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Publish it though it is no better than the one in force; needs --why.")] = False,
    why: Annotated[str, typer.Option(help="Reason that is kept in the record with a forced publication.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Chooses which learners judge which; the same seed, the same set.")] = 1,
    groups: GroupOption = None,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Fit a calibration to recorded responses. Writes files only, unless --publish is given; the same data and seed give the same set."""
    from services.cli import asking, calibrating, publishing

    if force and not why.strip():
        raise BadInput("--force needs --why TEXT: the reason is kept in the record")
    read = _read(data, groups)
    calibrating.check(read, data.name)
    where = asking.where(address, home) if publish else None
    before = publishing.in_force(where) if where else calibrating.shipped()
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        made = calibrating.calibrate(read, seed, before, lambda text, share: bar.update(task, description=text, completed=share))
    calibrating.write_set(folder, made)
    _tell(made.report)
    held = made.before.figures
    out.print(f"{made.before.name}, on the same responses: log loss {held.log_loss:.4f}, AUC {_rate(held.auc, 4)}, ECE {held.ece:.4f}")
    out.print(f"set {made.set_id}: {folder / 'calibration.json'}, {folder / 'report.html'}")
    if where is None:
        return
    if not made.better and not force:
        raise BadInput(f"not published: it predicts no better than {made.before.name}; --force --why TEXT publishes it all the same")
    publishing.publish(where, made.entries, why.strip() if force else "")


@group.command()
def evaluate(
    data: DataArgument,
    calibration: Annotated[str, typer.Option(help="A calibration.json, or the id of a set that the running service knows.")],
    predictions: Annotated[Path | None, typer.Option(dir_okay=False, help="Write every prediction to this CSV file.")] = None,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write a report page to this file.")] = None,
    groups: GroupOption = None,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Say how a calibration does on learners whom it has never seen. Changes nothing."""
    from services.cli import asking, calibrating, publishing
    from services.mastery.calibration import parse

    path = Path(calibration)
    if not path.exists() and not SET_ID.fullmatch(calibration):
        raise BadInput(f"{calibration} is neither a file nor the id of a set, 64 digits from 0 to f: mend it")
    entries = calibrating.read_set(path) if path.exists() else publishing.set_of(asking.where(address, home), calibration)
    known, read = parse([entries]), _read(data, groups)
    told, seen = calibrating.evaluate(read, known)
    _tell(told)
    if predictions is not None:
        calibrating.write_predictions(predictions, read.responses, seen)
        out.print(f"{len(read.responses):,} predictions: {predictions}")
    if report is not None:
        how = "None of these learners' answers helped to make the calibration, as far as whoever ran this knows."
        calibrating.write_report(report, "Evaluation report", how, calibrating.id_of(entries), told, known, None)


@calibrations.callback()
def _calibrations() -> None: ...


@calibrations.command()
def restore(
    set_id: Annotated[str, typer.Argument(metavar="SET", help="Id of a set that once was in force, or `shipped` for that of the release.")],
    why: Annotated[str, typer.Option(help="Reason that is kept in the record.")],
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Put an earlier calibration in force again; all learners are weighed again with it. The same again changes nothing."""
    from services.cli import asking, publishing

    if not SET_ID.fullmatch(set_id) and set_id != publishing.SHIPPED:
        raise BadInput(f"{set_id} is no id of a set, 64 digits from 0 to f: mend it, or say `{publishing.SHIPPED}`")
    if not why.strip():
        raise BadInput("--why needs a TEXT: the reason is kept in the record")
    publishing.restore(asking.where(address, home), set_id, why.strip())


@group.command()
def equity(
    groups: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV with learner_id, and a column for each way of grouping.")
    ],
    report: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write the whole answer to this JSON file.")] = None,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Compare groups of learners: levels, bias, wrong and late decisions. The groups are used for the answer only, and kept nowhere."""
    from services.cli import comparing

    comparing.compare(groups, report, address, home)


def _read(data: Path, groups: list[str] | None) -> Any:
    try:
        from services.cli.responses import read
        from services.mastery.fitting import kernel  # noqa: F401 - to say at once what is not installed
    except ModuleNotFoundError as error:
        raise BadInput(f"{error.name} is not installed: `pip install 'cairn[calibration]'` brings what calibrating needs") from None
    found = read(data, groups or [])
    if found.joined:
        out.print(f"{found.joined:,} rows were further competencies of the response before them")
    return found


def _tell(told: Report) -> None:
    from services.mastery.fitting.report import lines

    for column, part in lines(told):
        out.print(f"{column + ' ' + part.name if column != part.name else column}: {_line(part)}")


def _line(part: Part) -> str:
    found = part.figures
    text = (
        f"{found.count:,} responses of {part.learners:,} learners, AUC {_rate(found.auc, 4)}, RMSE {found.rmse:.4f}, "
        f"log loss {found.log_loss:.4f}, ECE {found.ece:.4f}, bias {found.bias:+.4f}"
    )
    if part.decisions is not None and part.decisions.declared:
        decided = part.decisions
        text += f"; mastered {decided.declared:,} of {decided.pairs:,}, false {_rate(decided.false)}, delayed {_rate(decided.delayed)}"
    return text


def _rate(share: float, digits: int = 3) -> str:
    return "unknown" if math.isnan(share) else f"{share:.{digits}f}"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(group, name="mastery")
