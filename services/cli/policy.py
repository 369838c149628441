"""`cairn mastery policy`: by what a district judges its competencies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from services.cli.asking import JSON, AddressOption, ask, send, tell, where
from services.cli.days import tell_other_days
from services.cli.home import HomeOption, home_of
from services.cli.imports import FileArgument
from services.cli.words import out

PATH: Final = "/mastery/policy"
OutOption = Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write it to this file, to be changed and set.")]
ZoneArgument = Annotated[str, typer.Argument(help="The district's, as IANA names it: America/Los_Angeles.")]

group = typer.Typer(no_args_is_help=True, help="By what competencies count as mastered.")


@group.callback()
def _group() -> None: ...


@group.command()
def show(file: OutOption = None, address: AddressOption = None, home: HomeOption = None) -> None:
    """Show the policy of each family of competencies and the time zone of days, as JSON that `set` takes. Changes nothing."""
    answer = ask("GET", PATH, where(address, home))
    told = {name: answer[name] for name in ("policies", "timezone")}
    text = orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    if file is None:
        out.print(text, markup=False)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
        out.print(f"written to {file}")


@group.command(name="set")
def set_policy(file: FileArgument, address: AddressOption = None, home: HomeOption = None) -> None:
    """Judge by the policies in this JSON file from now on; all learners are judged again. The same file again changes nothing."""
    send("PUT", PATH, file, JSON, where(address, home))


@group.command(name="timezone")
def set_timezone(name: ZoneArgument, address: AddressOption = None, home: HomeOption = None) -> None:
    """Let days begin at midnight of this time zone, and all else be judged as before. Sweeps all learners; again, it changes nothing."""
    place = where(address, home)
    tell(ask("PUT", PATH, place, body={"policies": ask("GET", PATH, place)["policies"], "timezone": name}))
    if not address:
        tell_other_days(place, home_of(home))
