"""Groups compared, as a district names them when it asks."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.mastery.equity import AFTER, SMALLEST_GROUP, Facts, by_group, members_of, rate, tellable
from services.mastery.queries import Gatherer, Queries
from shared.contracts.mastery import Level
from shared.errors import BadInput, Fault
from shared.http import body_of, read_model, router_of
from shared.parts import Context

MAX_LEARNERS: Final = 20_000
MAX_COLUMNS: Final = 20
WITHIN_S: Final = 60.0
"""Time for one answer: what it takes longer goes on with the same question. Gateways wait longer."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Member(BaseModel):
    """A learner, and the groups they belong to."""

    model_config = ConfigDict(extra="forbid")

    learner_id: UUID
    groups: dict[Name, Name] = Field(description="Column -> group.", max_length=MAX_COLUMNS)


class Asked(BaseModel):
    """Whom to compare. Nothing of it is kept."""

    model_config = ConfigDict(extra="forbid")

    learners: list[Member] = Field(min_length=1, max_length=MAX_LEARNERS)


class GroupView(BaseModel):
    """How it comes out for a group. Shares are in millionths; null where there is nothing to share."""

    group: str
    learners: int = Field(description="Of whom the record says anything.")
    competencies: int = Field(description="Learners and competencies of which something is told.")
    levels: dict[Level, int] = Field(description="Share of these at each level.")
    responses: int
    bias_e6: int | None = Field(description="Expected score minus the score seen, on average.")
    judged: int = Field(description="Declarations of mastery with answers enough after them.")
    false_e6: int | None = Field(description="Share of these that later answers speak against; null where they are of few learners.")
    at_bar: int = Field(description="Learners and competencies whose answers from the fourth on reached the bar.")
    delayed_e6: int | None = Field(description="Share of these that were never declared mastered; null where they are of few learners.")


class ColumnView(BaseModel):
    """The groups of one column."""

    column: str
    groups: list[GroupView]
    left_out: int = Field(description="Groups of too few learners, and those that would give them away.")


class EquityView(BaseModel):
    """Groups compared."""

    smallest_group: int = SMALLEST_GROUP
    answers_after: int = AFTER
    unknown: int = Field(description="Learners of whom the record says nothing; told in steps of 10.")
    columns: list[ColumnView]


def routes(context: Context, queries: Queries) -> APIRouter:
    """Return the route of the comparison."""
    router = router_of("mastery", "equity")
    gatherer = Gatherer(queries)

    @router.post("/equity", openapi_extra=body_of({"application/json": Asked}))
    async def compare_groups(request: Request) -> EquityView:
        """Compare groups of learners: levels, bias, and decisions that were wrong or late. What is sent is used for the answer, and not
        kept; groups of fewer than 10 learners are left out, and those that would give away so few when subtracted from others. Where
        it takes longer than a request may, this answers 503 with the problem `under-way`, and the same sent again goes on from there. One
        question is answered at a time: others meanwhile are told 429."""
        asked = await read_model(request, Asked)
        members = {member.learner_id: member.groups for member in asked.learners}
        if len(members) < len(asked.learners):
            fault = Fault("/learners", "twice", "a learner is named twice", "name each once, with all groups")
            raise BadInput(str(fault), [fault])
        ends_at = monotonic() + WITHIN_S

        async def goes_on() -> bool:
            return monotonic() < ends_at and not await request.is_disconnected()

        facts = await gatherer.facts_of(sorted(members), await context.asker.parameters(), goes_on)
        compared = by_group((facts[learner], groups) for learner, groups in members.items() if learner in facts)
        told = await asyncio.to_thread(tellable, members_of((learner, members[learner]) for learner in sorted(facts)))
        unknown = (len(members) - len(facts)) // SMALLEST_GROUP * SMALLEST_GROUP
        return EquityView(unknown=unknown, columns=[_column(name, compared[name], *told[name]) for name in sorted(compared)])

    return router


def _column(name: str, groups: dict[str, Facts], shown: list[str], left_out: int) -> ColumnView:
    return ColumnView(column=name, groups=[_group(group, groups[group]) for group in shown], left_out=left_out)


def _group(name: str, facts: Facts) -> GroupView:
    pairs, bias = sum(facts.levels.values()), facts.expected - facts.scored
    return GroupView(
        group=name, learners=facts.learners, competencies=pairs, responses=facts.responses, judged=facts.judged, at_bar=facts.at_bar,
        levels={level: rate(facts.levels[level], pairs) or 0 for level in Level}, bias_e6=rate(bias, facts.responses),
        false_e6=rate(facts.false, facts.judged) if facts.judged_of >= SMALLEST_GROUP else None,
        delayed_e6=rate(facts.delayed, facts.at_bar) if facts.at_bar_of >= SMALLEST_GROUP else None,
    )  # fmt: skip
