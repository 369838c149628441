"""`cairn replay verify`, `cairn replay show`, `cairn audit check`: what an auditor asks of the record. None of them writes to it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from services.cli.home import HomeOption, entry_of, home_of, setting
from services.cli.words import err, out
from shared.contracts.topics import Topic
from shared.errors import BadInput
from shared.settings import Settings

if TYPE_CHECKING:  # What these import takes most of a second; commands that need it import it themselves.
    from services.cli import verify
    from services.cli.audit import Findings

DIFFERS: Final = 1

replay = typer.Typer(no_args_is_help=True, help="Decide again what was decided, and compare.")
audit = typer.Typer(no_args_is_help=True, help="Compare what clients were told, ledgers, topics and read tables.")


def urls_of(home: Path) -> dict[str, str]:
    """Return the address of each service's record, as its app role."""
    return {service: entry_of(home, service).environment["CAIRN_DATABASE_URL"] for service in Topic}


def installation_of(home: Path) -> str:
    """Return the name of the installation, which stands in every event."""
    return entry_of(home, Topic.EVIDENCE).environment.get("CAIRN_INSTALLATION", "local")


@replay.command("verify")
def verify_command(
    home: HomeOption = None,
    learner: Annotated[UUID | None, typer.Option(help="Only this learner's streams; chains are not walked.")] = None,
    service: Annotated[Topic | None, typer.Option(help="Only this service's record.")] = None,
) -> None:
    """Decide every decision of the record again and compare the bytes.

    Reads only. Exit code 1 at a difference, and where nothing is stored.
    """
    from services.cli import verify

    place = home_of(home)
    services = [service] if service else list(Topic)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=err, transient=True) as bar:

        def show(report: verify.Report) -> None:
            if report.service not in tasks:
                tasks[report.service] = bar.add_task(report.service, rate="")
            bar.update(tasks[report.service], completed=report.events, total=report.total, rate=f"{report.rate:,.0f}/s")

        name = str(learner) if learner else None
        reports = verify.replayed(urls_of(place), installation_of(place), services, name, show)
    table = Table("service", "events", "decisions", "per CPU second", "chains", "differences", box=None, pad_edge=False)
    for report in reports:
        table.add_row(
            report.service, f"{report.events:,}", f"{report.decisions:,}", f"{report.rate:,.0f}", str(report.chains or "-"),
            str(len(report.differences)),
        )  # fmt: skip
    out.print(table)
    different = [difference for report in reports for difference in report.differences]
    for difference in different[: verify.SHOWN_DIFFERENCES]:
        out.print(f"\n{difference}", markup=False, highlight=False)
    out.print(verify.verdict(reports), highlight=False)
    verify.refuse_nothing(reports, name)
    if different:
        raise typer.Exit(DIFFERS)


@replay.command("show")
def show_command(
    learner: Annotated[UUID, typer.Option(help="Whose story to tell.")],
    at: Annotated[str | None, typer.Option(help="Up to this instant, such as 2026-11-24T09:00:00Z: what was known then.")] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Read every ledger from end to end for whatever names the learner; takes long.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Tell a learner's story in order across services - evidence, estimate, level, path, group - each with its cause. Reads only."""
    from services.cli import story

    chapters = asyncio.run(story.tell(urls_of(home_of(home)), learner, _instant(at), everything))
    if not chapters:
        raise BadInput(f"no record names learner {learner}" + (f" before {at}" if at else "") + ": ids are listed by GET /profile/learners")
    table = Table("when (UTC)", "service", "what happened", "because of", box=None, pad_edge=False)
    day = None
    for chapter in chapters:
        if chapter.at.date() != day:
            day = chapter.at.date()
            table.add_row(f"[bold]{day}[/bold]")
        table.add_row(f"{chapter.at:%H:%M:%S.%f}"[:-3], chapter.service, chapter.words, chapter.because)
    out.print(table, highlight=False)


@audit.command("check")
def check_command(
    home: HomeOption = None,
    acks: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A client's own log of what it was told; several times for several."),
    ] = None,
    within: Annotated[
        float,
        typer.Option(
            "--within", "--wait", min=0, max=3_600, help="Seconds in which all services must come to the same state; 0: as they are."
        ),
    ] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Check this invariant only, such as I3; several times for several.")] = None,
    most_parked: Annotated[
        int | None, typer.Option(min=0, help="Records that each service may have set aside; any number by default.")
    ] = None,
    skew: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds by which the clocks of two processes may differ.")] = 5,
    emptied: Annotated[
        list[Topic] | None, typer.Option(help="The topic of this service was emptied on purpose: what it lacks is counted.")
    ] = None,
    json: Annotated[Path | None, typer.Option(dir_okay=False, help="Write down everything that was found, for programs.")] = None,
) -> None:
    """Check the invariants I1 to I10 against what clients were told, ledgers, topics, inboxes, read tables and health.

    Reads only, may run while the services run, and says for each invariant what it looked at. Exit code 1 at a violation.
    """
    from services.cli.audit import Findings, Options, check, installation_at

    place = home_of(home)
    options = Options(within, most_parked, skew, _stalled_after(place), tuple(emptied or ()))
    findings = Findings()
    try:
        asyncio.run(check(installation_at(place), acks or (), only or (), options, findings))
    except Exception:  # What was found by then is told, whatever it is.
        if findings.checked:
            _tell(findings, whole=False)
        raise
    if json is not None:
        json.write_bytes(orjson.dumps(findings.as_json(), option=orjson.OPT_INDENT_2))
    _tell(findings)
    if findings.violations:
        raise typer.Exit(DIFFERS)


def _stalled_after(home: Path) -> float:
    """Return the time after which the services of an installation say that they stand still."""
    told = setting(entry_of(home, Topic.EVIDENCE).environment, "stalled_after_s")
    return float(told or Settings.model_fields["stalled_after_s"].default)


def _tell(findings: Findings, whole: bool = True) -> None:
    from services.cli.audit.findings import INVARIANTS, remedy_of

    table = Table("invariant", "what was looked at", "count", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for invariant in INVARIANTS:
        counts = [(what, count) for id, what, count in findings.checked if id == invariant.id]
        if counts or invariant.id in findings.violated:
            table.add_row(f"[bold]{invariant.id}[/bold]", f"[bold]{invariant.says}[/bold]", "")
        for what, count in counts:
            table.add_row("", what, f"{count:,}")
    out.print(table, highlight=False)
    if "convergence" in findings.seconds:
        out.print(f"All services at rest after {findings.seconds['convergence']:.1f} s." if findings.at_rest else "Not at rest.")
    for id, why in findings.left_out:
        out.print(f"left out of {id}: {why}", markup=False, highlight=False)
    for violation in findings.violations:
        out.print(f"WRONG {violation}", markup=False, highlight=False)
        out.print(f"  to do: {remedy_of(violation.invariant)}", markup=False, highlight=False)
    out.print(f"{len(findings.violations)} violations" + ("" if whole else " so far: the check did not come to its end"), highlight=False)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--at {text} is no instant: write it as 2026-11-24T09:00:00Z") from None
    if at.tzinfo is None:
        raise BadInput(f"--at {text} names no time zone: write it as {text}Z for UTC")
    return at


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(replay, name="replay")
    app.add_typer(audit, name="audit")
