"""`cairn replay verify`, `cairn replay show`, `cairn audit check`: what an auditor asks of the record. None of them writes to it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from services.cli.home import GATEWAY, HomeOption, entry_of, home_of
from services.cli.words import err, out
from shared.contracts.topics import Topic
from shared.errors import BadInput

if TYPE_CHECKING:  # What these import takes most of a second; commands that need it import it themselves.
    from services.cli import oracle, verify

DIFFERS: Final = 1
ANSWER_LIMIT_S: Final = 30.0
SETTLE_S: Final = 0.5
"""Pause between two looks whether the services have caught up."""

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

        reports = verify.verify(urls_of(place), installation_of(place), services, str(learner) if learner else None, show)
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
    if different:
        raise typer.Exit(DIFFERS)


@replay.command("show")
def show_command(
    learner: Annotated[UUID, typer.Option(help="Whose story to tell.")],
    at: Annotated[str | None, typer.Option(help="Up to this instant, such as 2026-11-24T09:00:00Z: what was known then.")] = None,
    home: HomeOption = None,
) -> None:
    """Tell a learner's story in order across services - evidence, estimate, level, path, group - each with its cause. Reads only."""
    from services.cli import story

    chapters = asyncio.run(story.tell(urls_of(home_of(home)), learner, _instant(at)))
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
    acks: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A client's own log of what it was told.")] = None,
    wait: Annotated[float, typer.Option(min=0, max=600, help="Seconds to wait for the services to catch up first.")] = 20,
) -> None:
    """Check that accepted = applied + waiting + parked, that nothing is lost, doubled or reordered, and that topics equal ledgers.

    Reads only. Prints each count; exit code 1 at a violation.
    """
    from services.cli import oracle

    place = home_of(home)
    told = oracle.read_acks(acks) if acks else None
    findings = asyncio.run(_check(place, told, wait))
    table = Table("what", "count", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for what, count in findings.counts:
        table.add_row(what, f"{count:,}")
    out.print(table, highlight=False)
    for violation in findings.violations:
        out.print(f"WRONG: {violation}", markup=False, highlight=False)
    out.print(f"{len(findings.violations)} violations", highlight=False)
    if findings.violations:
        raise typer.Exit(DIFFERS)


async def _check(place: Path, told: list[tuple[str, str]] | None, wait_s: float) -> oracle.Findings:
    from services.cli import oracle

    urls, installation = urls_of(place), installation_of(place)
    environment = entry_of(place, Topic.EVIDENCE).environment
    await oracle.settle(urls, wait_s, SETTLE_S)
    findings = oracle.Findings()
    records: dict[str, oracle.Record] = {
        service: await oracle.read_record(urls[service], service, installation, findings) for service in Topic
    }
    for service, record in records.items():
        findings.count(f"{service}: events in the ledger", sum(length for length, _ in record.lengths.values()))
        prefix = environment.get("CAIRN_TOPIC_PREFIX", "cairn")
        in_kafka = await oracle.compare_topic(environment["CAIRN_KAFKA_SERVERS"], prefix, service, record, findings)
        findings.count(f"{service}: records in Kafka", in_kafka)
        findings.count(f"{service}: parked", sum(record.parked.values()))
    oracle.compare_inboxes(records, findings)
    oracle.compare_evidence(records, told, findings)
    await _compare_http(entry_of(place, GATEWAY).address, records[Topic.EVIDENCE], findings)
    return findings


async def _compare_http(address: str, evidence: oracle.Record, findings: oracle.Findings) -> None:
    """Check that what evidence says over HTTP is what its ledger holds."""
    async with httpx.AsyncClient(base_url=address, timeout=ANSWER_LIMIT_S) as client:
        answer = (await client.get("/evidence/counts")).raise_for_status().json()
    waiting = sum(answer["waiting"].values())
    ledger = {
        "accepted": len(evidence.ids.get("evidence.accepted.v1", [])),
        "recorded": len(evidence.ids.get("evidence.recorded.v1", [])),
    }
    if (answer["accepted"], answer["recorded"]) != (ledger["accepted"], ledger["recorded"]):
        findings.violations.append(f"evidence says {answer['accepted']}/{answer['recorded']} accepted/recorded, its ledger {ledger}")
    if answer["accepted"] != answer["recorded"] + waiting:
        findings.violations.append(f"accepted {answer['accepted']} is not recorded {answer['recorded']} + waiting {waiting}")


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
