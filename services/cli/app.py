"""All commands, and the one place where an error of ours becomes a message and exit code 1."""

from __future__ import annotations

from typing import Any, Final

import httpx
import typer
from typer.core import TyperGroup

from services.cli import dates, demonstration, erasing, imports, installation, mastery, parking, proof, record, serving
from services.cli.words import say_what_can_be_said, server_trouble, tell_error
from shared.errors import BadInput, CairnError

FAILED: Final = 1
INTERRUPTED: Final = 130


class Commands(TyperGroup):
    """Runs a command; whatever Cairn raises on purpose is told in words, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Return what the command returns.

        Raises:
            typer.Exit: it failed; why was written to standard error.
        """
        say_what_can_be_said()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BadInput as error:
            tell_error(str(error), error.faults)
        except CairnError as error:
            tell_error(str(error))
        except httpx.TransportError as error:
            tell_error(f"the service does not answer ({type(error).__name__}): `cairn status` says what runs")
        except Exception as error:
            trouble = server_trouble(error)
            if trouble is None:
                raise
            tell_error(trouble)
        raise typer.Exit(FAILED)


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def cairn() -> None:
    """Personalized learning at the scale of a school district: five services, every decision replayable to the byte."""


for module in (demonstration, installation, serving, imports, dates, erasing, mastery, record, parking, proof):
    module.add_to(app)
