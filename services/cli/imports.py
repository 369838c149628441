"""`cairn roster|framework|alignments|activities|resources import`, `cairn framework withdraw`: over HTTP, like any client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape

from services.cli.asking import JSON, AddressOption, ask, send, tell, where
from services.cli.days import tell_other_days
from services.cli.home import HomeOption, home_of
from services.cli.words import out

CSV, ZIP = "text/csv", "application/zip"

FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and store nothing.")]


def roster(
    file: FileArgument,
    source: Annotated[str, typer.Option(help="The student information system, always under the same name.")] = "sis",
    person_iri: Annotated[
        list[str] | None,
        typer.Option(metavar="TEMPLATE", help="IRIs of an LMS for learners: https://lms.example/users/{userIds:LMS}. May be repeated."),
    ] = None,
    withdraw_many: Annotated[
        bool,
        typer.Option(
            "--withdraw-many",
            help="Also take a file that withdraws most learners or staff, or leaves most of those who are in classes in none.",
        ),
    ] = False,
    new_source: Annotated[
        bool, typer.Option("--new-source", help="Also take the first file of another system beside those whose files were taken.")
    ] = False,
    dry_run: DryRun = False,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Take a OneRoster 1.2 ZIP (bulk mode): all of it, or nothing with each bad row named. The same file again changes nothing."""
    said = {"withdraw_many": withdraw_many, "new_source": new_source}
    query = {"source": source, "person_iri": person_iri or []} | {name: "true" for name, is_so in said.items() if is_so} | _dry(dry_run)
    send("POST", "/profile/oneroster/imports", file, ZIP, where(address, home), query)


def framework(file: FileArgument, dry_run: DryRun = False, address: AddressOption = None, home: HomeOption = None) -> None:
    """Take a CASE package (JSON) as the competency framework from now on. The same file again changes nothing."""
    told = ask("POST", "/mastery/case/packages", where(address, home), _dry(dry_run), file, JSON)
    report = told.pop("report", {})
    tell(told)
    tell({name: value for name, value in report.items() if name not in told} | {"replaced": len(report.get("replaced", ()))})


def withdraw(
    document: Annotated[UUID, typer.Argument(help="GUID of the CASE document; GET /mastery/framework lists those in force.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Take a CASE document out of force, after what depends on it was named. Learners' levels stay. It may be imported again."""
    path, at = f"/mastery/case/documents/{document}", where(address, home)
    looked = ask("DELETE", path, at, _dry(True))
    for line in _depending(looked):
        out.print(escape(line))
    if dry_run:
        return
    if not yes:
        typer.confirm("Withdraw it?", abort=True)
    done = ask("DELETE", path, at, {"base": looked["base"]})
    out.print(f"withdrawn: {done['document']}, {done['events']} events; the frameworks in force are {done['framework_id']} now")


def alignments(file: FileArgument, address: AddressOption = None, home: HomeOption = None) -> None:
    """Say which competencies items give evidence about (JSON, or CSV with the header item,competency). May be repeated."""
    send("PUT", "/evidence/alignments", file, CSV if file.suffix.lower() == ".csv" else JSON, where(address, home))


def activities(file: FileArgument, address: AddressOption = None, home: HomeOption = None) -> None:
    """Take the catalogue of activities (JSON) in place of the one before. The same file again changes nothing."""
    send("PUT", "/pathing/activities", file, JSON, where(address, home))


def resources(
    file: FileArgument,
    remove: Annotated[bool, typer.Option("--remove", help="Also take away what schools have that the file does not name.")] = False,
    dry_run: DryRun = False,
    base: Annotated[str, typer.Option(help="What the dry run told as `base`: the file's `days` replace what was told of dates.")] = "",
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Take spaces, periods and staff of all schools (JSON) in place of those before. The same file again changes nothing."""
    place = where(address, home)
    query = {"remove": "true" if remove else "", "base": base}
    send("PUT", "/scheduling/resources", file, JSON, place, _dry(dry_run) | {name: value for name, value in query.items() if value})
    if schools := _time_zones(file):
        tell_other_days(place, None if address else home_of(home), schools)


def _time_zones(file: Path) -> list[str]:
    """Return those of the schools in this file; none where it does not say."""
    try:
        return sorted({school.get("timezone", "UTC") for school in json.loads(file.read_bytes())["schools"]})
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


def _depending(looked: Mapping[str, Any]) -> list[str]:
    """Return in words what a withdrawal would do."""
    passed = [f"{count:,} stand in document {name} from then on, which names them, too" for name, count in looked["passed"].items()]
    return [
        f"{looked['competencies']:,} competencies, of which none is a goal any more but those that another document has",
        f"{looked['learners']:,} learners have a level or evidence in it: both stay, and {looked['kept']:,} competencies stay known",
        *passed,
        f"{looked['others_behind']:,} competencies of other documents are held back by nothing of it any more",
        f"{looked['others_replaced']:,} competencies of other documents were replaced by it: import theirs again, and they are goals again",
        *(f"such as {name}" for name in looked["named"]),
    ]


def _dry(dry_run: bool) -> dict[str, str | Sequence[str]]:
    return {"dry_run": "true"} if dry_run else {}


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for name, command, what in (
        ("roster", roster, "Who learns, who teaches, and in which classes."),
        ("framework", framework, "What there is to learn, and what comes before what."),
        ("alignments", alignments, "Which competencies an item gives evidence about."),
        ("activities", activities, "What learners can do to learn a competency."),
        ("resources", resources, "Spaces, periods and staff of a school day."),
    ):
        group = typer.Typer(no_args_is_help=True, help=what)
        group.callback()(_group)
        group.command("import")(command)
        if command is framework:
            group.command("withdraw")(withdraw)
        app.add_typer(group, name=name)


def _group() -> None: ...
