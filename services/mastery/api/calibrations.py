"""Calibrations in and out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from services.mastery.calibration import CALIBRATION, DEFAULT_ENTRIES
from services.mastery.publication import MAX_REASON, let_in, read_entries, restored, with_reason
from services.mastery.queries import Queries
from shared.contracts.topics import Topic
from shared.errors import BadInput, Fault, NotFound
from shared.http import Sent, body_of, events_of, problem_responses, read_json, router_of
from shared.parts import Context
from shared.settings_stream import adopted_id, adoption

SHIPPED_ID: Final = adopted_id(adoption(Topic.MASTERY, CALIBRATION, DEFAULT_ENTRIES))
SetId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Hash of the set's content.")]


class CalibrationView(BaseModel):
    """A calibration, whole."""

    set_id: str
    in_force: bool
    entries: list[dict[str, Any]] = Field(description="As `cairn mastery calibrate` writes them; values that end in `_e6` are millionths.")


class Published(BaseModel):
    """What publishing led to. Sent again it leads to nothing."""

    set_id: str
    before_id: str = Field(description="The set that was in force.")
    events: int = Field(description="0 where this set was in force.")


class Restoring(BaseModel):
    """Why an earlier calibration is to be in force again."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(min_length=1, max_length=MAX_REASON, pattern=r"\S", description="Kept in the record, beside how the set was made.")


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of calibrations."""
    router = router_of("mastery", "calibration")

    @router.put("/calibrations", openapi_extra=body_of({"application/json": {"type": "object"}}))
    async def publish(request: Request) -> Published:
        """Put a calibration in force: an object with `entries` and, where it is no better than the one in force, `why`.

        May be repeated. Every learner's evidence is then weighed again with it, in the background; what was mastered stays so until work
        speaks against it.
        """
        told = await read_json(request)
        if not isinstance(told, dict):
            fault = Fault("", "not-an-object", "no object", "send calibration.json as it was written, an object with `entries`")
            raise BadInput(str(fault), [fault])
        why = told.get("why", "")
        if not isinstance(why, str) or len(why) > MAX_REASON:
            fault = Fault("/why", "not-text", f"no text of at most {MAX_REASON} characters", "say the reason, or leave it out")
            raise BadInput(str(fault), [fault])
        entries = await asyncio.to_thread(read_entries, told.get("entries"))
        before = (await context.asker.parameters()).id_of(CALIBRATION) or ""
        commands = adoption(Topic.MASTERY, CALIBRATION, with_reason(entries, why.strip()), base=before)
        if adopted_id(commands) != before:
            let_in(entries, before, why.strip())
        events = await events_of(context, commands)
        return Published(set_id=adopted_id(commands), before_id=before, events=len(events))

    @router.post("/calibrations/{set_id}/restoration", responses=problem_responses(404))
    async def restore(set_id: SetId, sent: Sent[Restoring]) -> Published:
        """Put a calibration in force again that once was, or that ships with the release, whatever it was held against.

        May be repeated. The reason is part of what is put in force, which therefore has an id of its own.
        """
        entries = await _entries(queries, set_id)
        before = (await context.asker.parameters()).id_of(CALIBRATION) or ""
        commands = adoption(Topic.MASTERY, CALIBRATION, restored(entries, set_id, sent.why.strip()), base=before)
        events = await events_of(context, commands)
        return Published(set_id=adopted_id(commands), before_id=before, events=len(events))

    @router.get("/calibrations/in-force", responses=problem_responses(404))
    async def show_calibration_in_force() -> CalibrationView:
        """Show the calibration in force."""
        return await _view(context, queries, (await context.asker.parameters()).id_of(CALIBRATION) or "")

    @router.get("/calibrations/{set_id}")
    async def show_calibration(set_id: SetId) -> CalibrationView:
        """Show a calibration that is or was in force."""
        return await _view(context, queries, set_id)

    return router


async def _view(context: Context, queries: Queries, set_id: str) -> CalibrationView:
    entries = await _entries(queries, set_id)
    return CalibrationView(set_id=set_id, in_force=(await context.asker.parameters()).id_of(CALIBRATION) == set_id, entries=entries)


async def _entries(queries: Queries, set_id: str) -> list[dict[str, Any]]:
    entries = await queries.entries_of(CALIBRATION.name, set_id)
    if entries is None and set_id == SHIPPED_ID:
        return list(map(dict, DEFAULT_ENTRIES))
    if entries is None:
        raise NotFound("no calibration with this id was ever in force")
    return entries
