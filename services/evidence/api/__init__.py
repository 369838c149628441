"""HTTP of evidence: Caliper and direct acts in, alignments in and out, what has become of acts out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from services.evidence import alignment, caliper, direct, told
from services.evidence.api import amendments, calendar
from services.evidence.domain import MAX_TELLINGS, AcceptEvidence, AlignItem
from services.evidence.entities import VERSIONS
from services.evidence.queries import ActView, AlignmentView, Counts, DisputeView, EvidenceView, Queries, WaitingView
from services.evidence.queries.conflicts import conflicts, shown
from shared.contracts.evidence import EvidenceConflicted, EvidenceRecorded, EvidenceRegraded
from shared.errors import NotFound, Refused
from shared.http import FIRST_ID, LAST_ID, NEVER, Page, Paging, body_of, events_of, read_json, require_content_type, router_of
from shared.keys import person_alias
from shared.ledger import Answer
from shared.parts import Context

ItemIri = Annotated[str | None, Query(max_length=told.MAX_ID, description="IRI of an item, to see that one only.")]
CONFLICT: Final = (
    "act {act_id} was told before, with other content or of another person, and the first telling counts. This one is kept beside it as a "
    f"conflict, as are the first {MAX_TELLINGS - 1} of an act: GET /evidence/conflicts says what to do. Do not send it again"
)
STRANGER: Final = "no roster told evidence of this learner: mend the id; who is new is known once you import the roster"
Result = Literal["recorded", "waiting", "duplicate", "regraded", "conflict", "not-evidence"]


class Told(BaseModel):
    """What became of one event or item."""

    index: int = Field(description="Its place in the request, from 0.")
    id: str = Field(description="What the sender calls it.")
    result: Result = Field(
        description="`regraded`: a further grade of an act that was told before, or its answer behind the grade: it is kept, the latest "
        "grade counts. `conflict`: it contradicts what was told before, which stands: see /evidence/conflicts."
    )
    act_id: UUID | None = Field(default=None, description="Under which /evidence/acts tells what becomes of it.")
    reason: str | None = Field(default=None, description="Why it is no evidence.")


class Outcome(BaseModel):
    """What became of a request, all of which is kept by now."""

    results: list[Told] = Field(description="One for each event or item, in order.")
    counts: dict[Result, int]


class CaliperView(BaseModel):
    """What a sensor is told before it sends, in the words of Caliper 1.2, section 6.2, which allows no others."""

    caliper_maximum_payload_size: int = Field(description="Kilobytes of 1,024 bytes that the body of one POST may have.")
    caliper_supported_versions: list[str] = Field(description="Contexts of the versions that are taken, the latest last.")


class Aligned(BaseModel):
    """What became of an import of alignments, all of which is in force by now."""

    items: int
    changed: int = Field(description="Items that were not aligned so before.")


def routes(context: Context) -> list[APIRouter]:
    """Return the routers of evidence."""
    router = router_of("evidence", "evidence")
    queries = Queries(context.pool)
    _add_tellings(router, context)
    _add_alignments(router, context, queries)
    _add_views(router, queries)
    return [router, amendments.routes(context, queries), calendar.routes(context, queries)]


def _add_tellings(router: APIRouter, context: Context) -> None:
    alias = partial(person_alias, context.settings.district())

    async def keep(heard: Sequence[told.Heard]) -> Outcome:
        acts = [each.told for each in heard if each.told is not None]
        answers = iter(await context.asker.ask([AcceptEvidence(act) for act in acts]) if acts else [])
        results = [_result(index, each, next(answers) if each.told else None) for index, each in enumerate(heard)]
        if len(results) == 1 and results[0].result == "conflict":
            raise Refused("conflict", CONFLICT.format(act_id=results[0].act_id))
        counts = {name: sum(each.result == name for each in results) for name in dict.fromkeys(each.result for each in results)}
        return Outcome(results=results, counts=counts)

    body = {"type": "object", "required": ["sensor", "sendTime", "dataVersion", "data"], "description": "Envelope of Caliper 1.2 or 1.1"}

    @router.post("/caliper", openapi_extra=body_of({"application/json": body}))
    async def tell_by_caliper(request: Request) -> Outcome:
        """Take an envelope of Caliper 1.2 or 1.1, of at most 500 events. All of it is kept when this answers 200; one malformed event, and
        none is."""
        value = await read_json(request, told.MAX_BODY_BYTES)
        return await keep(caliper.read_envelope(value, alias, context.clock.now() + told.MAX_AHEAD))

    @router.get("/caliper")
    async def show_caliper() -> CaliperView:
        """Show what envelopes are taken. A sensor may ask before it sends: by Caliper 1.2, section 6.2, the service is not available where
        this is not answered 200."""
        size = told.MAX_BODY_BYTES // 1024
        return CaliperView(caliper_maximum_payload_size=size, caliper_supported_versions=list(VERSIONS))

    @router.post("", openapi_extra=body_of({"application/json": direct.Request}))
    async def tell_directly(request: Request) -> Outcome:
        """Take at most 500 acts of assessment in our own words. All are kept when this answers 200; one malformed item, and none is."""
        value = await read_json(request, told.MAX_BODY_BYTES)
        return await keep(direct.read_request(value, alias, context.clock.now() + told.MAX_AHEAD))


def _result(index: int, heard: told.Heard, answer: Answer | None) -> Told:
    if heard.told is None or answer is None:
        return Told(index=index, id=heard.id, result="not-evidence", reason=heard.reason)
    events = [event.data for event in answer.events]
    result: Result = "waiting"
    if answer.refusal or any(isinstance(event, EvidenceConflicted) for event in events):
        result = "conflict"
    elif not events:
        result = "duplicate"
    elif any(isinstance(event, EvidenceRegraded) for event in events):
        result = "regraded"
    elif any(isinstance(event, EvidenceRecorded) for event in events):
        result = "recorded"
    return Told(index=index, id=heard.id, result=result, act_id=heard.told.act_id)


def _add_alignments(router: APIRouter, context: Context, queries: Queries) -> None:
    @router.put("/alignments", openapi_extra=body_of({"application/json": alignment.Alignments, "text/csv": {"type": "string"}}))
    async def align(request: Request) -> Aligned:
        """Say which competencies items give evidence about: JSON, or CSV with the header `item,competency`. All of it or, where a place
        is wrong, none. It counts for acts that come later and for those that wait; what is recorded stays."""
        if require_content_type(request, "application/json", "text/csv") == "text/csv":
            items = await asyncio.to_thread(alignment.from_csv, await request.body())
        else:
            items = await asyncio.to_thread(alignment.from_json, await read_json(request, alignment.MAX_BODY_BYTES))
        events = await events_of(context, [AlignItem(each) for each in items])
        return Aligned(items=len(items), changed=len(events))

    @router.get("/alignments")
    async def list_alignments(paging: Paging, item: ItemIri = None) -> Page[AlignmentView]:
        """List aligned items by their IRI, or show one."""
        (after,) = paging.behind("")
        return paging.page(await queries.alignments(item, after, paging.most), lambda each: [each.iri])


def _add_views(router: APIRouter, queries: Queries) -> None:
    @router.get("/learners/{learner_id}")
    async def list_evidence(learner_id: UUID, paging: Paging) -> Page[EvidenceView]:
        """List a learner's evidence, what happened last first."""
        at, act_id = paging.behind(NEVER, LAST_ID)
        found = await queries.evidence_of(learner_id, (at, act_id), paging.most)
        if not found and not await queries.has_heard_of(learner_id):
            raise NotFound(STRANGER)
        return paging.page(found, lambda each: [each.occurred_at, each.act_id])

    @router.get("/acts/{act_id}")
    async def show_act(act_id: UUID) -> ActView:
        """Show what has become of an act: recorded, or waiting and why; and who told it differently."""
        return await queries.act(act_id)

    @router.get("/waiting")
    async def list_waiting(paging: Paging) -> Page[WaitingView]:
        """List what waits, and for what, in the order in which it came in each partition."""
        partition, position = paging.behind(-1, -1)
        rows = await queries.waiting((partition, position), paging.most)
        return paging.page(rows, lambda row: [row["partition"], row["position"]], lambda row: WaitingView(**row))

    @router.get("/conflicts")
    async def list_conflicts(paging: Paging) -> Page[DisputeView]:
        """List acts that were told a second time with other content, by act: both scores, who told the second, when, and what to do. The
        first telling counts; an act that was corrected or voided since is listed no more."""
        rows = await conflicts(queries, paging.behind(FIRST_ID, -1), paging.most)
        return paging.page(rows, lambda row: [row["act_id"], row["version"]], shown)

    @router.get("/counts")
    async def count() -> Counts:
        """Count acts by state: accepted is always recorded and waiting together."""
        return await queries.counts()
