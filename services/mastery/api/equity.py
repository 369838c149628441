"""Groups compared, as a district names them when it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
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
FEW: Final = "Null where they are of few learners, or would give those away when subtracted from others."
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
    judged: int | None = Field(description=f"Declarations of mastery with answers enough after them. {FEW}")
    false_e6: int | None = Field(description="Share of these that later answers speak against; null where these are.")
    at_bar: int | None = Field(description=f"Learners and competencies whose answers from the fourth on reached the bar. {FEW}")
    delayed_e6: int | None = Field(description="Share of these that were never declared mastered; null where these are.")


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
        unknown = (len(members) - len(facts)) // SMALLEST_GROUP * SMALLEST_GROUP
        return EquityView(unknown=unknown, columns=await asyncio.to_thread(compared, facts, members))

    return router


def compared(facts: Mapping[UUID, Facts], groups: Mapping[UUID, Mapping[str, str]]) -> list[ColumnView]:
    """Return the columns with what may be told of their groups.

    Args:
        facts: of learners of whom the record says anything.
        groups: column -> group, of these learners at least.
    """
    sums = by_group((facts[learner], named) for learner, named in groups.items() if learner in facts)

    def told_of(who: Iterable[UUID]) -> dict[str, tuple[list[str], int]]:
        return tellable(members_of((learner, groups[learner]) for learner in sorted(who)))

    def shown_of(who: Iterable[UUID]) -> set[tuple[str, str]]:
        return {(column, name) for column, (shown, _) in told_of(who).items() for name in shown}

    # Who has no declaration that was judged adds nothing to their sums: in these, groups differ by fewer learners than in all else.
    judged = shown_of(learner for learner, known in facts.items() if known.judged)
    at_bar = shown_of(learner for learner, known in facts.items() if known.at_bar)
    return [
        ColumnView(
            column=column, left_out=left_out,
            groups=[_group(name, sums[column][name], (column, name) in judged, (column, name) in at_bar) for name in shown],
        )
        for column, (shown, left_out) in sorted(told_of(facts).items())
    ]  # fmt: skip


def _group(name: str, facts: Facts, with_judged: bool, with_at_bar: bool) -> GroupView:
    pairs, bias = sum(facts.levels.values()), facts.expected - facts.scored
    return GroupView(
        group=name, learners=facts.learners, competencies=pairs, responses=facts.responses,
        levels={level: rate(facts.levels[level], pairs) or 0 for level in Level}, bias_e6=rate(bias, facts.responses),
        judged=facts.judged if with_judged else None, false_e6=rate(facts.false, facts.judged) if with_judged else None,
        at_bar=facts.at_bar if with_at_bar else None, delayed_e6=rate(facts.delayed, facts.at_bar) if with_at_bar else None,
    )  # fmt: skip
