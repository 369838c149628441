"""What people say against the estimate, and by what a district judges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.mastery.api.learners import CompetencyId, CompetencySent, names_of, refuse_strangers
from services.mastery.commands import EndOverride, GiveOverride, WaivePrerequisite, WithdrawWaiver
from services.mastery.inputs import inputs_of
from services.mastery.policy import POLICY, Days, entry_of, parse, read_policies
from services.mastery.queries import Judged, OverrideView, Queries, WaiverView
from shared.contracts.mastery import Author, Level, LevelChanged, OverrideEnded, OverrideGiven, PrerequisiteWaived, Reason, WaiverWithdrawn
from shared.contracts.topics import Topic
from shared.errors import BadInput, Fault, Refused
from shared.http import Sent, body_of, events_of, problem_responses, read_json, router_of
from shared.parts import Context
from shared.sealing import SealedWords
from shared.settings_stream import adopted_id, adoption

MAX_OVERRIDE: Final = timedelta(days=400)
"""A person's word lasts for a school year at most; then it is said again, or the estimate counts."""

NO_TIMEZONE: Final = (
    "no time zone is named, so days are those of UTC, and one afternoon in America may be two days: "
    'send the district\'s beside `policies`, such as {"timezone": "America/Los_Angeles"}'
)


class Judging(BaseModel):
    """Who decides, and why. Until there is access control, the request says who."""

    model_config = ConfigDict(extra="forbid")

    author_id: UUID = Field(description="Pseudonymous id, as profile gives staff.")
    role: Author
    reason: Reason
    words: SealedWords | None = Field(
        default=None,
        description="The reason in own words, as profile sealed them (`mastery.reason`) at /profile/learners/{learner_id}/sealed.",
    )


class Overriding(Judging):
    """A level that a person sets."""

    level: Level
    until: AwareDatetime = Field(description="When the estimate counts again; 400 days ahead at most.")


class Withdrawing(BaseModel):
    """Who withdraws."""

    model_config = ConfigDict(extra="forbid")

    author_id: UUID
    role: Author


class Changed(BaseModel):
    """What a request led to. Sent again it leads to nothing."""

    events: int
    levels: dict[str, Level] = Field(description="Levels that are told otherwise now, by competency.")


class DaysView(BaseModel):
    """Which days the policies' `days` and `stuck_days` count."""

    timezone: str | None = Field(description="IANA name, such as `America/Los_Angeles`; null while nobody named one: then it is UTC.")
    utc_offset_minutes: int = Field(description="A day begins at midnight by clocks that are so far ahead of UTC, in summer as in winter.")
    notes: list[str] = Field(default=[], description="What may be wrong with it.")


class PolicyView(DaysView):
    """By what competencies are judged."""

    policy_id: str | None = Field(description="Null while the calibration's rule is the policy of all.")
    policies: list[dict[str, Any]] = Field(description="One for each family; the one with an empty family is for all others.")


class PolicySet(DaysView):
    """What setting a policy led to."""

    policy_id: str
    events: int = Field(description="0 where this policy was in force.")


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the routes of overrides, waivers and the policy."""
    router = router_of("mastery", "people")
    _add_overrides(router, context, queries)
    _add_waivers(router, context, queries)
    _add_policy(router, context)
    return router


async def _said(context: Context, command: Any) -> Changed:
    events = await events_of(context, [command])
    levels = {event.data.competency_id: event.data.level for event in events if isinstance(event.data, LevelChanged)}
    return Changed(events=len(events), levels=levels)


async def _refuse_replaced(context: Context, *competency_ids: str) -> None:
    """Refuse words about what a revision replaced: the sweep that lets them go on elsewhere may be over."""
    replaced = inputs_of(await context.asker.parameters()).framework.replaced
    for name in competency_ids:
        if name in replaced:
            raise Refused("replaced", f"a revision put {' and '.join(replaced[name])} in the place of {name}: say it of that")


def _refuse_unheard(said: Judging, standing: Sequence[Judged]) -> None:
    """Refuse what changed nothing though it has another author or reason than what stands: these would be lost."""
    for known in standing:
        if (said.author_id, said.role, said.reason, said.words) != (known.author_id, known.role, known.reason, known.words):
            raise Refused("said-otherwise", "this stands already, with another author or reason: withdraw it first, then say it again")


def _add_overrides(router: APIRouter, context: Context, queries: Queries) -> None:
    path = "/learners/{learner_id}/competencies/{competency_id}/override"

    @router.put(path, responses=problem_responses(404))
    async def override(learner_id: UUID, competency_id: CompetencyId, said: Sent[Overriding]) -> Changed:
        """Set the level that is told of a competency, until some day. It wins over the estimate, which goes on beneath it, and is shown as
        what it is. Where the same level stands until the same time, another author or reason is refused."""
        now = context.clock.now()
        if not now < said.until <= now + MAX_OVERRIDE:
            fault = Fault("/until", "out-of-bounds", "not between now and 400 days ahead", "name a day within the school year")
            raise BadInput(str(fault), [fault])
        await refuse_strangers(queries, learner_id)
        await _refuse_replaced(context, competency_id)
        author = {"author_id": said.author_id, "role": said.role, "reason": said.reason, "words": said.words}
        given = OverrideGiven(
            learner_id=learner_id, competency_id=competency_id, at=now, level=said.level, until=said.until.astimezone(UTC),
            **author,  # type: ignore[arg-type]  # By name.
        )  # fmt: skip
        changed = await _said(context, GiveOverride(given))
        if not changed.events:
            _refuse_unheard(said, [each for each in await queries.overrides_of(learner_id) if each.competency_id == competency_id])
        return changed

    @router.post(f"{path}/withdrawal")
    async def withdraw_override(learner_id: UUID, competency_id: CompetencySent, said: Sent[Withdrawing]) -> Changed:
        """Let the estimate count again before the override's time."""
        names, standing = names_of(competency_id), {each.competency_id for each in await queries.overrides_of(learner_id)}
        name = next((each for each in names if each in standing), names[-1])
        ended = OverrideEnded(
            learner_id=learner_id, competency_id=name, at=context.clock.now(), author_id=said.author_id, role=said.role
        )  # fmt: skip
        return await _said(context, EndOverride(ended))

    @router.get("/learners/{learner_id}/overrides")
    async def list_overrides(learner_id: UUID) -> list[OverrideView]:
        """List the levels of a learner that people set and that are in force; at most 64."""
        await refuse_strangers(queries, learner_id)
        return await queries.overrides_of(learner_id)


def _add_waivers(router: APIRouter, context: Context, queries: Queries) -> None:
    path = "/learners/{learner_id}/competencies/{competency_id}/waivers/{prerequisite_id}"

    def word(learner_id: UUID, competency_id: str, prerequisite_id: str, said: Judging) -> dict[str, Any]:
        return {
            "learner_id": learner_id, "competency_id": competency_id, "prerequisite_id": prerequisite_id, "author_id": said.author_id,
            "role": said.role, "reason": said.reason, "words": said.words, "at": context.clock.now(),
        }  # fmt: skip

    @router.put(path, responses=problem_responses(404))
    async def waive(learner_id: UUID, competency_id: CompetencyId, prerequisite_id: CompetencyId, said: Sent[Judging]) -> Changed:
        """Let a prerequisite not hold a competency back, for this learner. Where it is waived, another author or reason is refused."""
        await refuse_strangers(queries, learner_id)
        await _refuse_replaced(context, competency_id, prerequisite_id)
        told = word(learner_id, competency_id, prerequisite_id, said)
        changed = await _said(context, WaivePrerequisite(PrerequisiteWaived(**told)))
        if not changed.events:
            pair = competency_id, prerequisite_id
            standing = await queries.waivers_of(learner_id)
            _refuse_unheard(said, [each for each in standing if (each.competency_id, each.prerequisite_id) == pair])
        return changed

    @router.post(f"{path}/withdrawal")
    async def withdraw_waiver(learner_id: UUID, competency_id: CompetencyId, prerequisite_id: CompetencyId, said: Sent[Judging]) -> Changed:
        """Let a prerequisite count again. What was mastered meanwhile stays."""
        told = word(learner_id, competency_id, prerequisite_id, said)
        return await _said(context, WithdrawWaiver(WaiverWithdrawn(**told)))

    @router.get("/learners/{learner_id}/waivers")
    async def list_waivers(learner_id: UUID) -> list[WaiverView]:
        """List the prerequisites that are waived for a learner; at most 64."""
        await refuse_strangers(queries, learner_id)
        return await queries.waivers_of(learner_id)


def _shown(days: Days) -> dict[str, Any]:
    return {
        "timezone": days.timezone or None, "utc_offset_minutes": days.utc_offset_minutes, "notes": [] if days.timezone else [NO_TIMEZONE]
    }  # fmt: skip


def _add_policy(router: APIRouter, context: Context) -> None:
    @router.get("/policy")
    async def show_policy() -> PolicyView:
        """Show by what competencies are judged; what is shown can be changed and sent back with PUT."""
        parameters = await context.asker.parameters()
        policies = parameters.get(POLICY)
        entries = [dict(entry) for entry in policies.entries] if policies else [entry_of(inputs_of(parameters).policy)]
        return PolicyView(policy_id=parameters.id_of(POLICY), policies=entries, **_shown(inputs_of(parameters).days))

    @router.put("/policy", openapi_extra=body_of({"application/json": {"type": "object"}}))
    async def set_policy(request: Request) -> PolicySet:
        """Set by what competencies are judged from now on: a policy for each family, one with the empty family for all others. What an
        entry leaves out is as shipped. Beside `policies`, `timezone` names by whose midnight a day begins (by the clocks of winter, all
        year); left out, it stays as it is. Every learner is then judged again, in the background; new numbers alone take no mastery back.
        """
        value, parameters = await read_json(request), await context.asker.parameters()
        before = inputs_of(parameters).days
        entries = read_policies(value, context.clock.now(), before)
        stays = value.get("timezone") is None  # Also where none is named: a zone that somebody names meanwhile is not lost.
        commands = adoption(Topic.MASTERY, POLICY, entries, base=(parameters.id_of(POLICY) or "") if stays else None)
        events = await events_of(context, commands)
        return PolicySet(policy_id=adopted_id(commands), events=len(events), **_shown(parse([entries]).days))
