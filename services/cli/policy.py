"""`cairn mastery policy`: by what a district judges its competencies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import httpx
import orjson
import typer

from services.cli.home import HomeOption
from services.cli.imports import JSON, AddressOption, FileArgument, ServiceFailed, refusal, send, where
from services.cli.words import out

SHOW_LIMIT_S: Final = 30.0
OutOption = Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Write it to this file, to be changed and set.")]

group = typer.Typer(no_args_is_help=True, help="By what competencies count as mastered.")


@group.callback()
def _group() -> None: ...


@group.command()
def show(file: OutOption = None, address: AddressOption = None, home: HomeOption = None) -> None:
    """Show the policy of each family of competencies, as JSON that `set` takes. Changes nothing."""
    place = where(address, home)
    try:
        answer = httpx.get(f"{place}/mastery/policy", timeout=SHOW_LIMIT_S)
    except httpx.ConnectError:
        raise ServiceFailed(f"nobody answers at {place}: run `cairn up`, or name another address with --address") from None
    if not answer.is_success:
        raise refusal(answer, Path("policy"))
    text = orjson.dumps({"policies": answer.json()["policies"]}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    if file is None:
        out.print(text, markup=False)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
        out.print(f"written to {file}")


@group.command(name="set")
def set_policy(file: FileArgument, address: AddressOption = None, home: HomeOption = None) -> None:
    """Judge by the policies in this JSON file from now on; all learners are judged again. The same file again changes nothing."""
    send("PUT", "/mastery/policy", file, JSON, where(address, home))
