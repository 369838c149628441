"""A roster that asks for more than one transaction should hold: recorded whole, in one transaction, and then taken step by step.

From its COMMIT on it will be taken whole: by the request that brought it, or, where that process ends, by the next one's ticker. A step's
events and its removal are one transaction, and no other roster is looked at before the last step is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, cast
from uuid import UUID

import orjson

from services.profile.domain import IdentifyLearner, NoteImport, TakeRostered, Told
from shared.contracts import EVENTS
from shared.contracts.envelope import Origin
from shared.contracts.profile import LearnerIdentified, RosterImported
from shared.ledger.patience import connected
from shared.ledger.types import Ask, Connection
from shared.parts import Context

ROSTER_LOCK: Final = 7_012_040
"""Advisory lock of the one transaction that takes a roster, or a step of one, among all workers of the service."""

_TRY: Final = "SELECT pg_try_advisory_xact_lock(%s)"
_WAIT: Final = "SELECT pg_advisory_xact_lock(%s)"
_ANY: Final = "SELECT EXISTS (SELECT FROM roster_step)"
_KEEP: Final = """
    INSERT INTO roster_step (number, request_id, content_hash, source, recorded_at, told) VALUES (%s, %s, %s, %s, %s, %s::jsonb)"""
_NEXT: Final = "DELETE FROM roster_step WHERE number = (SELECT min(number) FROM roster_step) RETURNING request_id, told"

RosterCommand = IdentifyLearner | TakeRostered | NoteImport


async def is_free(connection: Connection) -> bool:
    """Return whether a roster may be taken in this transaction; nobody else takes one then until its end."""
    if not await _yes(connection, _TRY, [ROSTER_LOCK]):
        return False
    return not await _yes(connection, _ANY)  # Looked at behind the lock: whoever had it may have left steps.


async def _yes(connection: Connection, question: LiteralString, values: Sequence[Any] = ()) -> bool:
    row = await (await connection.execute(question, values)).fetchone()
    return row is not None and bool(row[0])


async def record(
    connection: Connection, steps: Sequence[Sequence[RosterCommand]], imported: RosterImported, request_id: UUID, at: datetime
) -> None:
    """Record all steps of a roster, one after another: the texts of a district's would take much memory. Names are sealed in them."""
    for number, step in enumerate(steps):
        text = await asyncio.to_thread(_text, step)
        await connection.execute(_KEEP, [number, request_id, imported.content_hash, imported.source, at, text])


def _text(step: Sequence[RosterCommand]) -> str:
    return orjson.dumps([_written(command) for command in step]).decode()


class Steps:
    """Takes the steps that are left."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def take(self) -> bool:
        """Take the next step, if there is one, and return whether there was.

        Raises:
            Overloaded: the service is stopping; the step stays.
        """
        async with connected(self._context.pool) as connection:
            if not await _yes(connection, _ANY):
                return False
        return bool(await self._context.asker.ask_whole(_next))


async def _next(connection: Connection) -> list[Ask]:
    """Return what the next step asks, and remove it; nothing, where somebody else took the last one."""
    await connection.execute(_WAIT, [ROSTER_LOCK])
    row: Any = await (await connection.execute(_NEXT)).fetchone()
    if row is None:
        return []
    request_id, told = row
    return asks(request_id, [_read(*each) for each in told])


def asks(request_id: UUID, commands: Sequence[RosterCommand]) -> list[Ask]:
    """Return what a request asks."""
    origin = Origin(str(request_id), str(request_id))
    return [Ask(command, origin, number) for number, command in enumerate(commands)]


def _written(command: RosterCommand) -> tuple[str, Any]:
    """Return type and body of the event that a command becomes."""
    event = LearnerIdentified(alias=command.alias, learner_id=command.learner_id) if isinstance(command, IdentifyLearner) else command.told
    return event.TYPE, event.body()


def _read(type_name: str, body: Any) -> RosterCommand:
    """Return the command that was written so."""
    match EVENTS[type_name].model_validate(body):
        case LearnerIdentified(alias=alias, learner_id=learner_id):
            return IdentifyLearner(alias, learner_id)
        case RosterImported() as imported:
            return NoteImport(imported)
        case told:
            return TakeRostered(cast("Told", told))
