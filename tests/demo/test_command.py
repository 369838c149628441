"""The command line of the demonstration."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from demo.command import add_to


def test_options_have_bounds_and_say_them() -> None:
    app = typer.Typer()
    add_to(app)
    told = CliRunner().invoke(app, ["--learners", "5"])
    assert told.exit_code == 2
    assert "24" in told.output
    assert "2400" in told.output
