"""`cairn demo`: the simulated district, a client like any other. What it does is in `demo/`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from demo.school import MAX_LEARNERS, MIN_LEARNERS
from services.cli.home import HomeOption, home_of


def demo(
    learners: Annotated[int, typer.Option(min=MIN_LEARNERS, max=MAX_LEARNERS, help="Learners of the made-up school.")] = 240,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another school.")] = 1,
    acks: Annotated[Path | None, typer.Option(dir_okay=False, help="Write down what the client was told; for `cairn audit check`.")] = None,
    home: HomeOption = None,
) -> None:
    """Show everything with a made-up school, from the first roster to a proof that nothing was changed. About three minutes.

    May be repeated: what an earlier demonstration left is wiped first, any other installation is left alone.
    """
    from demo.main import Options, run  # Here, so that other commands need not wait for all that it imports.

    code = run(Options(home_of(home), learners, seed, acks))
    if code:
        raise typer.Exit(code)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)
