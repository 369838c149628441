"""Taking a roster: read it whole, compare it with what is known, seal the names, and ask for what is news, in batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from uuid_utils.compat import uuid7

from services.profile import oneroster
from services.profile.domain import IdentifyLearner, NoteImport, TakeRostered, Told
from services.profile.person_iri import MAX_TEMPLATES, PersonIri, person_iris
from services.profile.queries import NAME, TITLE, ImportView, Keyring, Queries
from services.profile.roster import Change, Known, Named, Plan, change, plan
from shared.contracts.envelope import Sealed
from shared.contracts.profile import ClassRostered, LearnerRostered, RosterImported, SchoolRostered, StaffRostered
from shared.decider import Command
from shared.errors import BadInput, Fault, Overloaded, Refused
from shared.http import Page, Paging, require_content_type
from shared.http.problems import Place
from shared.parts import Context
from shared.seal import same, seal

BATCH: Final = 400
"""Commands asked at once: a person's aliases and roster entry stay together, so that no crash parts them."""
RETRY_AFTER_S: Final = 5
FEW: Final = 20
"""Learners that a roster may withdraw, however many there are; more only where they are at most half of its source's."""

Source = Annotated[str, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$", description="The SIS, always under the same name.")]
Iris = Annotated[
    list[str],
    Query(
        default_factory=list, alias="person_iri", max_length=MAX_TEMPLATES,
        description="How another system names the learners: an IRI that ends in a column of users.csv in braces, such as "
        "`https://lms.example/users/{userIds:LMS}` or `urn:sis:person:{sourcedId}`. May be repeated. Evidence of a system that none "
        "declares waits.",
    ),
]  # fmt: skip
Many = Annotated[bool, Query(description="Withdraw more than half of the learners, if the roster no longer names them.")]
DryRun = Annotated[bool, Query(description="Say what would change, and store nothing.")]


class Counts(BaseModel):
    """What became, or would become, of the things of one kind."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    withdrawn: int = Field(default=0, description="No longer named by the roster; nothing of them is removed.")


class Imported(BaseModel):
    """What a roster led to. Sent again it leads to nothing."""

    content_hash: str
    source: str
    dry_run: bool
    rows: int
    schools: Counts
    classes: Counts
    staff: Counts
    learners: Counts
    aliases: int = Field(description="Ids by which learners are newly known.")
    events: int = Field(description="Recorded by this request; 0 in a dry run.")
    warnings: list[Place] = Field(description="What was taken, but deserves a look: the first 100.")
    warnings_total: int


@dataclass(frozen=True)
class News:
    """One thing that a roster tells, what becomes of it, and the aliases that are newly its own."""

    told: Told
    change: Change
    aliases: tuple[str, ...] = ()

    def commands(self) -> list[Command]:
        """Return what to ask; nothing, where nothing changes."""
        learner = self.told.learner_id if isinstance(self.told, LearnerRostered) else None
        identify: list[Command] = [IdentifyLearner(alias, learner) for alias in self.aliases if learner is not None]
        return identify if self.change is Change.UNCHANGED else [*identify, TakeRostered(self.told)]


def routes(context: Context, queries: Queries, keyring: Keyring) -> APIRouter:
    """Return the routes for rosters."""
    router = APIRouter(tags=["rosters"])
    one_at_a_time = asyncio.Lock()

    @router.post("/oneroster/imports", openapi_extra=ZIP_BODY)
    async def import_roster(request: Request, source: Source, iris: Iris, dry_run: DryRun = False, withdraw_many: Many = False) -> Imported:
        """Take a OneRoster 1.2 ZIP of CSV files in bulk mode: all of it, or nothing with each bad row named.

        May be repeated: the same files again change nothing, and an import that was interrupted is completed by sending it again.
        """
        require_content_type(request, "application/zip")
        templates = person_iris(iris)
        if one_at_a_time.locked():  # Reading one is work, and two at once could claim the same ids.
            raise Overloaded("the importer, which takes one roster at a time,", RETRY_AFTER_S)
        async with one_at_a_time:
            roster = await asyncio.to_thread(oneroster.read, await request.body())
            known = await queries.known()
            day = context.clock.now().date()
            planned = await asyncio.to_thread(plan, roster, source, day, context.settings.district(), known, templates)
            if not (dry_run or withdraw_many):
                _check_withdrawals(planned, known, source)
            owners = [each.id for each in planned.named]
            keys = await (keyring.of(owners) if dry_run else keyring.ensure(owners))
            news = await asyncio.to_thread(lambda: list(_news(planned, known, keys)))
            events = 0 if dry_run else await _ask(context, news, planned, source, templates)
        return _answer(planned, news, source, dry_run, events)

    @router.get("/imports")
    async def list_imports(paging: Paging) -> Page[ImportView]:
        """List the rosters that were taken, the newest first. One that was sent again is not listed again."""
        key = paging.key(str, str)
        try:
            before = None if key is None else (datetime.fromisoformat(key[0]), str(key[1]))
        except ValueError:
            fault = Fault("query/after", "cursor-invalid", "the cursor is not of this list", "start again without it")
            raise BadInput(str(fault), [fault]) from None
        found = await queries.imports(before, paging.limit + 1)
        return paging.page(found, lambda each: each, lambda each: [each.imported_at.isoformat(), each.content_hash])

    return router


def _check_withdrawals(planned: Plan, known: Known, source: str) -> None:
    """Raise Refused where most learners of a source would go: an export that was cut short looks like that."""
    gone = sum(isinstance(each, LearnerRostered) for each in planned.gone)
    active = sum(each.active and each.source == source for each in known.learners.values())
    if gone > FEW and 2 * gone > active:
        detail = f"the roster no longer names {gone} of {active} learners: send a whole export, or the same with withdraw_many=true"
        raise Refused("too-many-withdrawn", detail)


def _news(planned: Plan, known: Known, keys: Mapping[UUID, bytes]) -> Iterator[News]:
    """Yield everything that the roster tells, schools before those who belong to them, names and titles sealed."""
    for school in planned.schools:
        yield News(school, change(school, known.schools.get(school.school_id)))
    for named in planned.named:
        before = known.before(named)
        told = _sealed(named, before, keys.get(named.id))
        new = (
            set(told.aliases) - set(before.aliases if isinstance(before, LearnerRostered) else ())
            if isinstance(told, LearnerRostered)
            else ()
        )
        yield News(told, change(told, before), tuple(sorted(new)))
    for gone in planned.gone:
        yield News(gone, Change.WITHDRAWN)


def _sealed(named: Named, before: Told | None, key: bytes | None) -> Told:
    """Return what is told with name or title sealed: as it was before, if it is the same. Without a key, in a dry run, it has none."""
    if key is None:
        return named.told
    place, context = ("title", TITLE) if isinstance(named.told, ClassRostered) else ("name", NAME)
    sealed = seal(key, named.name, context)
    earlier = getattr(before, place, None)
    if isinstance(earlier, Sealed) and same(sealed, earlier):
        sealed = earlier
    return named.told.model_copy(update={place: sealed})


async def _ask(context: Context, news: Sequence[News], planned: Plan, source: str, templates: Sequence[PersonIri]) -> int:
    """Ask for all news and note the import last; return how many events followed.

    Raises:
        Refused: a decider refused, since another import ran at the same time; sending the roster again settles it.
    """
    request_id, events = uuid7(), 0
    iris = tuple(each.text for each in templates)
    imported = RosterImported(
        content_hash=planned.content_hash, source=source, rows=planned.rows, person_iris=iris, first_session=planned.first_session
    )  # fmt: skip
    noted: Command = NoteImport(imported)
    for commands in (*_batches(news), [noted]):
        answers = await context.asker.ask(commands, request_id)
        events += sum(len(answer.events) for answer in answers)
        refusal = next((answer.refusal for answer in answers if answer.refusal is not None), None)
        if refusal is not None:
            raise Refused(refusal.code, f"{refusal.detail}; another import ran beside this one: send the roster again to see which row")
    return events


def _batches(news: Sequence[News]) -> Iterator[list[Command]]:
    batch: list[Command] = []
    for each in news:
        commands = each.commands()
        if batch and len(batch) + len(commands) > BATCH:
            yield batch
            batch = []
        batch.extend(commands)
    if batch:
        yield batch


def _answer(planned: Plan, news: Sequence[News], source: str, dry_run: bool, events: int) -> Imported:
    def counts(kind: type[Told]) -> Counts:
        return Counts(**Counter(each.change.value for each in news if isinstance(each.told, kind)))

    warnings = [Place(place=each.place, code=each.code, detail=each.detail, remedy=each.remedy) for each in planned.warnings.first]
    return Imported(
        content_hash=planned.content_hash, source=source, dry_run=dry_run, rows=planned.rows, schools=counts(SchoolRostered),
        classes=counts(ClassRostered), staff=counts(StaffRostered), learners=counts(LearnerRostered),
        aliases=sum(len(each.aliases) for each in news), events=events, warnings=warnings, warnings_total=planned.warnings.total,
    )  # fmt: skip


ZIP_BODY: Final = {"requestBody": {"required": True, "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}
