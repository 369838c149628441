"""Asking commands, for every route."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.contracts.envelope import Recorded
from shared.decider import Command
from shared.errors import Refused
from shared.parts import Context


async def events_of(context: Context, commands: Sequence[Command]) -> list[Recorded[Any]]:
    """Ask, and return the events that followed.

    Raises:
        Refused: the first command that was refused says why.
    """
    answers = await context.asker.ask(commands)
    for answer in answers:
        if answer.refusal is not None:
            raise Refused(answer.refusal.code, answer.refusal.detail)
    return [event for answer in answers for event in answer.events]
