"""Frameworks in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from services.mastery.case import Report, read_package
from services.mastery.framework import EMPTY, FRAMEWORK, Framework
from services.mastery.queries import FrameworkView, competencies_in, framework_view
from services.mastery.revision import pages_of, revised
from shared.contracts.mastery import Competency
from shared.contracts.topics import Topic
from shared.errors import Refused
from shared.http import Page, Paging, body_of, read_json
from shared.parameters import page_hash, set_id_of
from shared.parts import Context
from shared.settings_stream import STALE, AddPage, AdoptSet

MAX_TRIES: Final = 8
"""Of merging a package into the frameworks in force, where others are put in force meanwhile."""
DryRun = Annotated[bool, Query(description="Say what would change, and store nothing.")]
Subject = Annotated[str | None, Query(max_length=64, description="Of this subject only.")]
Grade = Annotated[str | None, Query(max_length=64, description="Of this grade level only, such as `05`.")]


class Imported(BaseModel):
    """What a package led to. Sent again it leads to nothing."""

    framework_id: str = Field(description="Of all frameworks in force together.")
    document: str = Field(description="GUID of the CASE document.")
    dry_run: bool
    added: int = Field(description="Competencies that the document before did not have.")
    changed: int
    removed: int = Field(description="Competencies that are no part of it any more; what is known of learners stays.")
    events: int = Field(description="Recorded by this request; 0 in a dry run.")
    report: Report


def routes(context: Context) -> APIRouter:
    """Return the routes of frameworks."""
    router = APIRouter(tags=["framework"])

    @router.post("/case/packages", openapi_extra=body_of({"application/json": {"type": "object"}}))
    async def import_package(request: Request, dry_run: DryRun = False) -> Imported:
        """Take a CASE 1.0 or 1.1 package: beside the frameworks in force, or in place of the same document before; all of it, or nothing.

        May be repeated: the same package again changes nothing. Packages that come at the same time are all in force afterwards. Every
        learner's evidence is then weighed again, in the background, and counts for what stands in the place of a competency that was
        replaced.
        """
        package, events = await read_json(request), 0
        for _ in range(MAX_TRIES):
            parameters = await context.asker.parameters()
            before, base = parameters.get(FRAMEWORK) or EMPTY, parameters.id_of(FRAMEWORK) or ""
            competencies, report, pages = await asyncio.to_thread(_read, package, before)
            hashes = tuple(page_hash(page) for page in pages)
            adopt = AdoptSet(Topic.MASTERY, FRAMEWORK.name, hashes, base=base)
            answers = [] if dry_run else await context.asker.ask([*(AddPage(Topic.MASTERY, page) for page in pages), adopt])
            events += sum(len(answer.events) for answer in answers)
            refusal = next((answer.refusal for answer in answers if answer.refusal is not None), None)
            if refusal is None:
                return Imported(
                    framework_id=set_id_of(FRAMEWORK.name, hashes), document=report.document, dry_run=dry_run, events=events, report=report,
                    **_compared(before, competencies, report),
                )  # fmt: skip
            if refusal.code != STALE:
                raise Refused(refusal.code, refusal.detail)
        raise Refused(STALE, "other frameworks were put in force meanwhile, time and again: send it again, which is safe")

    @router.get("/framework")
    async def show_framework() -> FrameworkView:
        """Show a summary of the frameworks in force."""
        return framework_view(await context.asker.parameters())

    @router.get("/framework/competencies")
    async def list_framework(paging: Paging, subject: Subject = None, grade: Grade = None) -> Page[Competency]:
        """List the competencies of the frameworks in force, in the order of their ids."""
        (after,) = paging.behind("")
        found = competencies_in(await context.asker.parameters(), subject, grade, after, paging.most)
        return paging.page(found, lambda each: [each.id])

    return router


def _read(package: Any, before: Framework) -> tuple[Sequence[Competency], Report, list[list[Any]]]:
    competencies, report = read_package(package, before.competencies.keys())
    names = {known.id for known in competencies}
    everything = revised(before, report.document, competencies, report.replaced)
    return [known for known in everything if known.id in names], report, pages_of(everything)


def _compared(before: Framework, competencies: Sequence[Competency], report: Report) -> dict[str, int]:
    ids = {known.id for known in competencies}
    added = sum(known.id not in before.competencies for known in competencies)
    same = sum(before.competencies.get(known.id) == known for known in competencies)
    gone = [known for known in before.competencies.values() if known.framework in ("", report.document) and known.id not in ids]
    return {"added": added, "changed": len(competencies) - added - same, "removed": sum(not known.replaced_by for known in gone)}
