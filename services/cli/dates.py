"""`cairn day`: what is otherwise in a school on one date, added to what was told of it before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape

from services.cli.asking import AddressOption, ask, tell, where
from services.cli.home import HomeOption
from services.cli.words import out
from shared.errors import BadInput

Ids = Annotated[list[UUID] | None, typer.Option("--absent", help="An adult who is not to be had all day. May be repeated.")]
Away = Annotated[
    list[str] | None, typer.Option(metavar="ADULT:PERIOD,PERIOD", help="An adult who is away in these periods. May be repeated.")
]


def day(
    school: Annotated[UUID, typer.Argument(help="The school's id.")],
    date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The date, such as 2026-11-24.")],
    absent: Ids = None,
    away: Away = None,
    present: Annotated[
        list[UUID] | None, typer.Option(help="An adult who is to be had after all: takes back --absent and --away. May be repeated.")
    ] = None,
    close_space: Annotated[list[str] | None, typer.Option(help="The id of a space where nobody can be. May be repeated.")] = None,
    without_period: Annotated[list[str] | None, typer.Option(help="The id of a period that is left out. May be repeated.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="There is no school.")] = False,
    reason: Annotated[str | None, typer.Option(help="A word such as half-day or snow; never about a person.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="Forget first what was told of the date.")] = False,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Say what is otherwise in a school on one date, beside what was told of it before. The same again changes nothing.

    Periods that have begun stay. What has no effect, such as an adult whom the roster does not name, is told. Without any option it shows
    what is told.
    """
    at, path = where(address, home), f"/scheduling/schools/{school}/days/{date.date()}/resources"
    told = ask("GET", path, at)
    changes = [absent, away, present, close_space, without_period, closed, reason is not None, usual]
    if any(changes):
        before: Mapping[str, Any] = {} if usual else told["day"]
        back = set(map(str, present or ()))
        changed = {
            "absent": _joined(set(before.get("absent") or ()) - back, map(str, absent or ())),
            "staff": _staff(_without(before.get("staff") or [], back), away or []),
            "closed_spaces": _joined(before.get("closed_spaces"), close_space or ()),
            "periods": _periods(before.get("periods"), told["usual_periods"], without_period or []),
            "closed": bool(before.get("closed")) or closed,
            "reason": before.get("reason", "") if reason is None else reason,
            "base": told["base"],
        }
        notes = ask("PUT", path, at, body=changed).get("notes", [])
        told = ask("GET", path, at)
        for line in _noted(notes, told["day"]):
            out.print(escape(line))
    tell({"school_day": told["school_day"], **{name: value for name, value in told["day"].items() if value}})


def _joined(before: Iterable[str] | None, more: Iterable[str]) -> list[str]:
    return sorted({*(before or ()), *more})


def _without(before: Iterable[Mapping[str, Any]], back: Set[str]) -> list[Mapping[str, Any]]:
    """Return what was told of adults without the hours in which these are away; nothing of whom nothing else was told."""
    staff = [{**member, "away": []} if member["staff_id"] in back else member for member in before]
    return [member for member in staff if member["staff_id"] not in back or member.get("subjects")]


def _noted(notes: Iterable[Mapping[str, Any]], day: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words what was taken and has no effect, on this date or another."""
    here = {*(day.get("absent") or ()), *(member["staff_id"] for member in day.get("staff") or ())}
    for note in notes:
        for adult in note["unknown_staff"]:
            what = (
                f"say it with the right id, and take this one back with --present {adult}" if adult in here else "that is of another date"
            )
            yield f"No effect: {adult} is said to be away, and is no adult of the school by its roster; {what}."
        for on in note["past_days"]:
            yield f"No effect: {on} is over."
        for subject in note["unknown_subjects"]:
            yield f"No effect: no learner of the school needs the subject {subject}, of a period or an adult; is it written otherwise?"


def _staff(before: Iterable[Mapping[str, Any]], away: Iterable[str]) -> list[Mapping[str, Any]]:
    staff = {member["staff_id"]: dict(member) for member in before}
    for told in away:
        adult, _, periods = told.partition(":")
        if not periods:
            raise BadInput(f"--away {told} names no periods: write the adult's id, a colon and their ids, such as ID:p1,p2")
        member = staff.setdefault(adult, {"staff_id": adult})
        member["away"] = _joined(member.get("away"), periods.split(","))
    return [staff[adult] for adult in sorted(staff)]


def _periods(before: list[Any] | None, usual: list[Any], without: list[str]) -> list[Any] | None:
    if not without:
        return before
    periods = before or usual
    unknown = set(without) - {period["id"] for period in periods}
    if unknown:
        raise BadInput(f"there is no period {', '.join(sorted(unknown))} on the date: it has {', '.join(one['id'] for one in periods)}")
    return [period for period in periods if period["id"] not in without]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("day")(day)
