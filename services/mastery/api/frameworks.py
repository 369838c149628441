"""Frameworks in and out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from services.mastery.case import MAX_BODY_BYTES, Report, read_package
from services.mastery.framework import EMPTY, FRAMEWORK, Framework
from services.mastery.queries import FrameworkView, Queries, competencies_in, framework_view
from services.mastery.reading import Reader
from services.mastery.revision import Revised, Withdrawn, pages_of, revised, withdrawn
from shared.contracts.mastery import Competency
from shared.contracts.topics import Topic
from shared.decider import Refusal
from shared.errors import BadInput, Fault, NotFound, Refused
from shared.http import Page, Paging, body_of, problem_responses, read_json, router_of
from shared.parameters import page_hash, set_id_of
from shared.parts import Context
from shared.settings_stream import STALE, AddPage, AdoptSet

PACKAGES: Final = "/case/packages"
MAX_TRIES: Final = 8
"""Of merging a package into the frameworks in force, where others are put in force meanwhile."""
MAX_NAMED: Final = 100
"""Competencies of other documents that a withdrawal names one by one."""
DryRun = Annotated[bool, Query(description="Say what would change, and store nothing.")]
Base = Annotated[
    str | None,
    Query(
        max_length=64, description="The `base` that the dry run answered: where others were put in force meanwhile, nothing is withdrawn."
    ),
]
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


class Withdrawal(BaseModel):
    """What depends on a document, and what becomes of it without."""

    document: str = Field(description="GUID of the CASE document.")
    dry_run: bool
    base: str = Field(description="Of all frameworks in force together, with the document: withdraw it with this.")
    framework_id: str = Field(description="Of all frameworks in force together, without it.")
    competencies: int = Field(description="That stood in it.")
    learners: int = Field(description="Learners who have a level in something of it, or evidence of it. Both stay.")
    kept: int = Field(description="Competencies that stay known for their sake, or for others', and are no goals any more.")
    passed: dict[str, int] = Field(description="Documents that name competencies of it, too, which stand in those from then on: how many.")
    others_behind: int = Field(description="Competencies of other documents that something of it came before: it holds them back no more.")
    others_replaced: int = Field(
        description="Competencies of other documents whose place something of it took: goals again once theirs is imported again."
    )
    named: list[str] = Field(description="The first hundred of both.")
    events: int = Field(description="Recorded by this request; 0 in a dry run.")


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of frameworks."""
    router = router_of("mastery", "framework")

    @router.post(PACKAGES, openapi_extra=body_of({"application/json": {"type": "object"}}))
    async def import_package(request: Request, dry_run: DryRun = False) -> Imported:
        """Take a CASE 1.0 or 1.1 package: beside the frameworks in force, or in place of the same document before; all of it, or nothing.

        May be repeated: the same package again changes nothing. Packages that come at the same time are all in force afterwards. Every
        learner's evidence is then weighed again, in the background, and counts for what stands in the place of a competency that was
        replaced. What the package says is over or not begun (`statusStartDate`, `statusEndDate`, `adoptionStatus`) is no goal.

        At most 20,000 items, 60,000 associations and 96 MiB; of packages above 16 MiB one at a time, another is told to come back (429).
        """
        package, events, today = await read_json(request, MAX_BODY_BYTES), 0, context.clock.now().date()
        for _ in range(MAX_TRIES):
            parameters = await context.asker.parameters()
            before, base = parameters.get(FRAMEWORK) or EMPTY, parameters.id_of(FRAMEWORK) or ""
            compared, report, adoption = await asyncio.to_thread(_read, package, before, today)
            made, refusal = (0, None) if dry_run else await _adopt(context, adoption, base)
            events += made
            if refusal is None:
                return Imported(
                    framework_id=adoption.set_id, document=report.document, dry_run=dry_run, events=events, report=report,
                    **compared,
                )  # fmt: skip
            if refusal.code != STALE:
                raise Refused(refusal.code, refusal.detail)
        raise Refused(STALE, "other frameworks were put in force meanwhile, time and again: send it again, which is safe")

    @router.delete("/case/documents/{document_id}", responses=problem_responses(409))
    async def withdraw_document(document_id: UUID, dry_run: DryRun = False, base: Base = None) -> Withdrawal:
        """Take a CASE document out of force: nothing of it is a goal any more. Look with `dry_run` first, which answers `base`.

        Learners' levels and evidence stay, and every learner's evidence is weighed again in the background. What other documents in force
        name, too, stands in those from then on. The package may be imported again. Of what is withdrawn already there is nothing (404).
        """
        return await _withdraw(context, queries, str(document_id), dry_run, base)

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


@dataclass(frozen=True, slots=True)
class _Adoption:
    """All frameworks to be in force, as a set."""

    set_id: str
    hashes: tuple[str, ...]
    pages: list[list[Any]]


def _adoption(everything: Sequence[Competency]) -> _Adoption:
    pages = pages_of(everything)
    hashes = tuple(page_hash(page) for page in pages)
    return _Adoption(set_id_of(FRAMEWORK.name, hashes), hashes, pages)


async def _adopt(context: Context, adoption: _Adoption, base: str) -> tuple[int, Refusal | None]:
    """Put a set in force in place of `base`; return how many events that made, and why it was refused, if it was."""
    adopt = AdoptSet(Topic.MASTERY, FRAMEWORK.name, adoption.hashes, base=base)
    answers = await context.asker.ask([*(AddPage(Topic.MASTERY, page) for page in adoption.pages), adopt])
    refusal = next((answer.refusal for answer in answers if answer.refusal is not None), None)
    return sum(len(answer.events) for answer in answers), refusal


def _read(package: Any, before: Framework, today: date) -> tuple[dict[str, int], Report, _Adoption]:
    competencies, report = read_package(package, before.competencies.keys(), today)
    after = revised(before, report.document, competencies, report.replaced)
    compared = _compared(before, {known.id: known for known in after.competencies}, [known.id for known in competencies])
    return compared, _noted(report, after), _adoption(after.competencies)


def _noted(report: Report, after: Revised) -> Report:
    """Return the report with what the frameworks beside it add."""
    reader = Reader()
    for note in after.notes:
        reader.note(note.place, note.code, note.detail)
    noted = Counter(report.noted) + reader.noted
    return replace(report, noted=dict(sorted(noted.items())), notes=(*report.notes, *reader.notes))


async def _withdraw(context: Context, queries: Queries, document: str, dry_run: bool, base: str | None) -> Withdrawal:
    parameters = await context.asker.parameters()
    before, now = parameters.get(FRAMEWORK) or EMPTY, parameters.id_of(FRAMEWORK) or ""
    names = [known.id for known in before.competencies.values() if known.framework == document]
    found, learners = await queries.learners_with(names)
    after, adoption = await asyncio.to_thread(_without, before, document, found)
    if not after.changes:
        detail = f"nothing of the CASE document {document} is in force: it was withdrawn before, or never imported"
        raise NotFound(f"{detail}; GET /mastery/framework shows what is")
    if base is None and not dry_run:
        fault = Fault("base", "missing", "nobody has looked at what depends on it", "ask with dry_run=true, then with the base it answers")
        raise BadInput(str(fault), [fault])
    stale = Refused(STALE, "other frameworks were put in force since somebody looked: look again with dry_run=true")
    if not dry_run and base != now:
        raise stale
    events, refusal = (0, None) if dry_run else await _adopt(context, adoption, now)
    if refusal is not None:
        raise stale if refusal.code == STALE else Refused(refusal.code, refusal.detail)
    return Withdrawal(
        document=document, dry_run=dry_run, base=now, framework_id=adoption.set_id, competencies=len(after.of_document),
        learners=learners, kept=len(after.kept), passed=dict(after.passed), others_behind=len(after.before_others),
        others_replaced=len(after.replaced), named=[*after.before_others, *after.replaced][:MAX_NAMED], events=events,
    )  # fmt: skip


def _without(before: Framework, document: str, named: Sequence[str]) -> tuple[Withdrawn, _Adoption]:
    after = withdrawn(before, document, named)
    return after, _adoption(after.competencies)


def _compared(before: Framework, after: Mapping[str, Competency], sent: Sequence[str]) -> dict[str, int]:
    added = sum(id not in before.competencies for id in sent)
    same = sum(before.competencies.get(id) == after[id] for id in sent)
    return {"added": added, "changed": len(sent) - added - same, "removed": len(before.competencies.keys() - after.keys())}
