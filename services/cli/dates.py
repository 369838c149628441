"""`cairn day`: what is otherwise in a school on one date, added to what was told of it before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli.asking import AddressOption, ask, tell, where
from services.cli.home import HomeOption
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
    close_space: Annotated[list[str] | None, typer.Option(help="The id of a space where nobody can be. May be repeated.")] = None,
    without_period: Annotated[list[str] | None, typer.Option(help="The id of a period that is left out. May be repeated.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="There is no school.")] = False,
    reason: Annotated[str | None, typer.Option(help="A word such as half-day or snow; never about a person.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="Forget first what was told of the date.")] = False,
    address: AddressOption = None,
    home: HomeOption = None,
) -> None:
    """Say what is otherwise in a school on one date, beside what was told of it before. The same again changes nothing.

    Periods that have begun stay. Without any option it shows what is told.
    """
    at, path = where(address, home), f"/scheduling/schools/{school}/days/{date.date()}/resources"
    told = ask("GET", path, at)
    changes = [absent, away, close_space, without_period, closed, reason is not None, usual]
    if any(changes):
        before: Mapping[str, Any] = {} if usual else told["day"]
        changed = {
            "absent": _joined(before.get("absent"), map(str, absent or ())),
            "staff": _staff(before.get("staff") or [], away or []),
            "closed_spaces": _joined(before.get("closed_spaces"), close_space or ()),
            "periods": _periods(before.get("periods"), told["usual_periods"], without_period or []),
            "closed": bool(before.get("closed")) or closed,
            "reason": before.get("reason", "") if reason is None else reason,
            "base": told["base"],
        }
        ask("PUT", path, at, body=changed)
        told = ask("GET", path, at)
    tell({"school_day": told["school_day"], **{name: value for name, value in told["day"].items() if value}})


def _joined(before: Iterable[str] | None, more: Iterable[str]) -> list[str]:
    return sorted({*(before or ()), *more})


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
