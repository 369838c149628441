"""Taking a roster: read it whole, compare it with what is known, seal the names, and ask for what is news: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from uuid_utils.compat import uuid7

from services.profile import oneroster
from services.profile.domain import IdentifyLearner, NoteImport, TakeRostered, Told
from services.profile.person_iri import MAX_TEMPLATES, PersonIri, person_iris
from services.profile.queries import (
    NAME,
    TITLE,
    Damage,
    ImportView,
    Key,
    Keyring,
    Queries,
    RosterCommand,
    Steps,
    UnderWay,
    asks,
    is_free,
    open_name,
    open_title,
    record,
)
from services.profile.refusals import cut_short, of_nobody
from services.profile.roster import Change, Known, Named, Plan, change, id_of, plan
from shared.contracts.envelope import Sealed
from shared.contracts.profile import ClassRostered, LearnerRostered, RosterImported, SchoolRostered, StaffRostered
from shared.errors import Overloaded, Refused
from shared.http import NEVER, Page, Paging, body_of, require_content_type, router_of
from shared.http.problems import Place
from shared.ledger.types import Ask, Connection
from shared.parts import Context
from shared.seal import same, seal

MOST: Final = 10_000
"""Commands that one transaction takes: it holds the locks of all partitions, and whoever else writes waits as long. A larger roster, such
as a district's first, is recorded whole and taken in steps."""
STEP: Final = 1_000
"""Commands of a step: a person's aliases and roster entry stay together."""
FINISH_S: Final = 60.0
"""Time after which a request whose roster is recorded waits for no more of its steps; the ticker takes those that are left. It counts from
the request's beginning: where reading and comparing took as long already, it is answered at once. Gateways wait twice as long."""
RETRY_AFTER_S: Final = 5


log = structlog.get_logger(__name__)

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
Many = Annotated[
    bool,
    Query(
        description="Withdraw more than half of the learners or staff, whom the roster no longer names, or at no school; or leave more "
        "than half of those who are in classes in none; or make more than half of the people somebody new, though their sourcedIds are "
        "known."
    ),
]
New = Annotated[bool, Query(description="Take the first roster of another SIS beside those whose rosters were taken.")]
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
    handed_on: int = Field(description="Of these, ids that were another learner's until now; warnings say from whom to whom.")
    erased: int = Field(description="Learners whom it names and who were erased: taken without their names; warnings say who.")
    events: int = Field(description="Recorded by this request, or still to be recorded where it is under way; 0 in a dry run.")
    under_way: bool = Field(
        description="Whether some of it is still to be taken, which the service does by itself: see `/profile/oneroster/imports/under-way`."
    )
    refused: str | None = Field(description="In a dry run: why the roster itself would be refused, and what to do; else null.")
    warnings: list[Place] = Field(
        description="What was taken, but deserves a look: the first 100, the gravest before the others, and some of each code."
    )
    warnings_total: int
    warnings_by_code: dict[str, int] = Field(description="How many there are of each code.")


@dataclass(frozen=True)
class News:
    """One thing that a roster tells, what becomes of it, and the aliases that are newly its own."""

    told: Told
    change: Change
    aliases: tuple[str, ...] = ()
    left: tuple[StaffRostered, ...] = ()
    """Who goes to another school, withdrawn from those before: they hear nothing of the other."""

    def commands(self) -> list[RosterCommand]:
        """Return what to ask; nothing, where nothing changes."""
        learner = self.told.learner_id if isinstance(self.told, LearnerRostered) else None
        first: list[RosterCommand] = [IdentifyLearner(alias, learner) for alias in self.aliases if learner is not None]
        first += [TakeRostered(each) for each in self.left]
        return first if self.change is Change.UNCHANGED else [*first, TakeRostered(self.told)]


def routes(context: Context, queries: Queries, keyring: Keyring) -> APIRouter:
    """Return the routes for rosters."""
    router = router_of("profile", "rosters")
    one_at_a_time, steps = asyncio.Lock(), Steps(context)

    @router.post("/oneroster/imports", openapi_extra=ZIP_BODY, responses=UNDER_WAY)
    async def import_roster(
        request: Request, response: Response, source: Source, iris: Iris, dry_run: DryRun = False, withdraw_many: Many = False,
        new_source: New = False,
    ) -> Imported:  # fmt: skip
        """Take a OneRoster 1.2 ZIP of CSV files in bulk mode: all of it, or nothing with each bad row named.

        May be repeated: the same files again change nothing. More than 10,000 news are first recorded as a whole, then taken in steps; the
        answer comes behind the last one. Where the service ends before, it takes the others when it runs again.
        """
        require_content_type(request, "application/zip")
        templates = person_iris(iris)
        until = asyncio.get_running_loop().time() + FINISH_S
        if one_at_a_time.locked():
            raise _busy()
        async with one_at_a_time:
            if await queries.under_way():  # Told before it is read, which is work.
                raise _busy()
            roster = await asyncio.to_thread(oneroster.read, await request.body())
            taking = _Taking(context, queries, keyring, [roster], source, templates, dry_run, withdraw_many, new_source)
            del roster
            answers = await context.asker.ask_whole(taking.prepare)
            under_way = taking.recorded > 0 and not await _finished(steps, until)
        if under_way:
            response.status_code = 202
        return taking.answer(taking.recorded or sum(len(answer.events) for answer in answers), under_way)

    @router.get("/oneroster/imports/under-way")
    async def list_under_way() -> list[UnderWay]:
        """List the roster that is recorded and not yet taken whole, if there is one: the service goes on with it by itself."""
        return await queries.under_way()

    @router.get("/imports")
    async def list_imports(paging: Paging) -> Page[ImportView]:
        """List the rosters that were taken, the newest first. One that was sent again is not listed again."""
        at, content_hash = paging.behind(NEVER, "")
        found = await queries.imports((at, content_hash), paging.most)
        return paging.page(found, lambda each: [each.imported_at, each.content_hash])

    return router


@dataclass
class _Taking:
    """A roster on its way in."""

    context: Context
    queries: Queries
    keyring: Keyring
    read: list[oneroster.Roster]
    """The one that was read, until it is compared: a district's takes memory."""
    source: str
    templates: Sequence[PersonIri]
    dry_run: bool
    withdraw_many: bool
    new_source: bool
    planned: Plan | None = None
    refusal: str = ""
    """Why it is refused; a dry run is told, and goes on."""
    news: Sequence[News] = ()
    recorded: int = 0
    """Events that follow from the steps that were recorded, where it is too large for one transaction."""

    async def prepare(self, connection: Connection) -> list[Ask]:
        """Compare the roster with what is known, and return what to ask; nothing, in a dry run, or where it was recorded in steps.

        Raises:
            Overloaded: another roster is being taken.
            BadInput, Refused: this one cannot be taken.
        """
        if not await is_free(connection):
            raise _busy()
        known, now = await self.queries.known(), self.context.clock.now()
        unknown = "" if self.new_source else of_nobody(known, self.source)
        if unknown and not self.dry_run:
            raise Refused("new-source", unknown)
        planned = await asyncio.to_thread(
            plan, self.read.pop(), self.source, self.context.day_of(now), self.context.settings.district(), known, self.templates
        )
        many = "" if self.withdraw_many else cut_short(planned, known, self.source)
        if many and not self.dry_run:
            raise Refused("too-many-withdrawn", many)
        self.refusal = " ".join(filter(None, (unknown, many)))
        owners = [each.id for each in planned.named]
        keys = await (self.keyring.of(owners) if self.dry_run else self.keyring.ensure(owners))
        await asyncio.to_thread(_warn_of_keys, planned, known, keys)
        self.planned, self.news = planned, await asyncio.to_thread(lambda: list(_news(planned, known, keys)))
        if self.dry_run:
            return []
        told = [each.commands() for each in self.news]
        imported = self._imported(planned)
        if not await self.queries.is_imported(imported):
            told.append([NoteImport(imported)])  # The last of all: who hears it has heard everything.
        request_id, total = uuid7(), sum(map(len, told))
        if total <= MOST:
            return asks(request_id, [command for commands in told for command in commands])
        await record(connection, _steps(told), imported, request_id, now)
        self.recorded = total
        return []

    def _imported(self, planned: Plan) -> RosterImported:
        return RosterImported(
            content_hash=planned.content_hash, source=self.source, rows=planned.rows, first_session=planned.first_session,
            person_iris=tuple(each.text for each in self.templates),
        )  # fmt: skip

    def answer(self, events: int, under_way: bool) -> Imported:
        """Return what the roster led to."""
        planned, news = self.planned, self.news
        assert planned is not None, "it was prepared"

        def counts(kind: type[Told]) -> Counts:
            return Counts(**Counter(each.change.value for each in news if isinstance(each.told, kind)))

        warnings = [Place(place=each.place, code=each.code, detail=each.detail, remedy=each.remedy) for each in planned.warnings.first]
        return Imported(
            content_hash=planned.content_hash, source=self.source, dry_run=self.dry_run, rows=planned.rows, schools=counts(SchoolRostered),
            classes=counts(ClassRostered), staff=counts(StaffRostered), learners=counts(LearnerRostered),
            aliases=sum(len(each.aliases) for each in news), handed_on=planned.handed_on, erased=planned.erased, events=events,
            under_way=under_way, refused=self.refusal or None, warnings=warnings, warnings_total=planned.warnings.total,
            warnings_by_code=dict(sorted(planned.warnings.counts.items())),
        )  # fmt: skip


async def _finished(steps: Steps, until: float) -> bool:
    """Take all steps that are left, and return whether that was done until then; what was not, the ticker does."""
    try:
        async with asyncio.timeout_at(until):
            while await steps.take():
                pass
    except Exception as error:  # Whatever it is: the roster is recorded, and nobody may be told otherwise.
        log.warning("the ticker goes on with a roster", exc_info=error)
        return False
    return True


def _busy() -> Overloaded:
    return Overloaded("the importer, which takes one roster at a time,", RETRY_AFTER_S)


def _warn_of_keys(planned: Plan, known: Known, keys: Mapping[UUID, Key]) -> None:
    """Warn of each name and title that is left as it was before, since its key is damaged or lost, and of each that is sealed anew, since
    its key is another one: the roster is taken all the same."""
    for named in planned.named:
        key, file = keys.get(named.id), "classes.csv" if isinstance(named.told, ClassRostered) else "users.csv"
        if isinstance(key, Damage):
            detail, remedy = f"of {named.id}, name or title stays as it was: {key.detail}", f"{key.remedy}; then send the roster again"
            planned.warnings.add(file, named.line, "sourcedId", key.code, detail, remedy)
        elif _is_other(key, known.before(named.told)):
            detail = f"of {named.id}, name or title is sealed anew: what was sealed before does not open with its key"
            remedy = "nothing, if its key was lost or deleted; else see docs/erasure.md"
            planned.warnings.add(file, named.line, "sourcedId", Damage.TEXT_DAMAGED.code, detail, remedy)


def _is_other(key: bytes | None, before: Told | None) -> bool:
    """Return whether what was told before does not open with the key, though no erasure is why."""
    match before:
        case ClassRostered(title=title):
            return isinstance(open_title(key, title), Damage)
        case LearnerRostered(name=name) | StaffRostered(name=name):
            return isinstance(open_name(key, name), Damage)
        case _:
            return False


def _news(planned: Plan, known: Known, keys: Mapping[UUID, Key]) -> Iterator[News]:
    """Yield everything that the roster tells, schools before those who belong to them, names and titles sealed."""
    for school in planned.schools:
        yield News(school, change(school, known.schools.get(school.school_id)))
    for named in planned.named:
        before = known.before(named.told)
        told = _sealed(named, before, keys.get(named.id))
        new = (
            set(told.aliases) - set(before.aliases if isinstance(before, LearnerRostered) else ())
            if isinstance(told, LearnerRostered)
            else ()
        )
        yield _changed(told, before, known, tuple(sorted(new)))
    for gone in planned.gone:
        yield _changed(gone, known.before(gone), known)
    named_or_gone = {each.id for each in planned.named} | {id_of(each) for each in planned.gone}
    for id in sorted(known.elsewhere.keys() - named_or_gone):
        yield _changed(known.staff[id], known.staff[id], known)


def _changed(told: Told, before: Told | None, known: Known, aliases: tuple[str, ...] = ()) -> News:
    """Return what becomes of a person or class. Who leaves a school is told again as she stands, which is the last word about her."""
    left, becomes = _left(told, before, known), change(told, before)
    return News(told, Change.CHANGED if left and becomes is Change.UNCHANGED else becomes, aliases, left)


def _left(told: Told, before: Told | None, known: Known) -> tuple[StaffRostered, ...]:
    """Return a member of staff as each school that has her is to know her from now on, if she is at another one. A learner's path sees to
    hers."""
    if not isinstance(told, StaffRostered):
        return ()
    places = [*known.elsewhere.get(told.staff_id, ()), *([before] if isinstance(before, StaffRostered) and before.active else [])]
    return tuple(each.model_copy(update={"active": False}) for each in places if each.school_id != told.school_id)


def _sealed(named: Named, before: Told | None, key: Key | None) -> Told:
    """Return what is told with name or title sealed: as it was before, if it is the same or its key is damaged or lost. Without a key, in
    a dry run or where she is erased, it has none."""
    if key is None:
        return named.told
    place, context = ("title", TITLE) if isinstance(named.told, ClassRostered) else ("name", NAME)
    earlier = getattr(before, place, None)
    sealed = earlier if isinstance(key, Damage) else seal(key, named.name, context)
    if isinstance(earlier, Sealed) and sealed is not None and same(sealed, earlier):
        sealed = earlier
    return named.told.model_copy(update={place: sealed})


def _steps(told: Sequence[Sequence[RosterCommand]]) -> list[list[RosterCommand]]:
    """Return what is told in steps of at most STEP commands, or one thing's where those are more."""
    steps: list[list[RosterCommand]] = [[]]
    for commands in told:
        if steps[-1] and len(steps[-1]) + len(commands) > STEP:
            steps.append([])
        steps[-1].extend(commands)
    return steps


ZIP_BODY: Final = body_of({"application/zip": {"type": "string", "format": "binary"}})
UNDER_WAY: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": Imported, "description": "Recorded as a whole; some of it is still to be taken, which the service does by itself"}
}
