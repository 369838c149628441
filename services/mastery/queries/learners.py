"""What is known of one learner, as views. Lists come in the order of ids, one row more than asked for where more follows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, Final
from uuid import UUID

from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from services.mastery.explain import Estimate, Known, estimate
from services.mastery.filter import Normal
from services.mastery.inputs import Inputs
from services.mastery.queries.reading import Row, read
from services.mastery.state import EPOCH, FAR, minute_of
from shared.contracts.envelope import MICRO
from shared.contracts.mastery import Level
from shared.exact import micro

COLUMNS: Final = """
    coalesce(e.competency_id, l.competency_id) AS competency_id, e.mean_e6, e.variance_e6, e.scored, e.items, e.days, e.last_minute,
    l.level, l.override, l.changed_at, l.evidence_ids, l.settings, d.due_minute, p.needed, p.idle, p.idle_days
    FROM (SELECT * FROM competency_estimate WHERE learner_id = %(learner)s AND variance_e6 > 0) e
    FULL JOIN (
        SELECT * FROM level WHERE learner_id = %(learner)s AND level <> 'not-enough-evidence'
    ) l USING (learner_id, competency_id)
    LEFT JOIN due d USING (learner_id, competency_id) LEFT JOIN person_needed p USING (learner_id, competency_id)
"""
_LIST: Final = f"""
    SELECT {COLUMNS} WHERE coalesce(e.competency_id, l.competency_id) > %(after)s
    ORDER BY coalesce(e.competency_id, l.competency_id) LIMIT %(limit)s
"""
LEARNER: Final = "SELECT * FROM learner_estimate WHERE learner_id = %s"
_CHANGES: Final = """
    SELECT version, competency_id, level, before, probability_e6, evidence_ids, changed_at, override FROM level_change
    WHERE learner_id = %s AND version < %s ORDER BY version DESC LIMIT %s
"""


class CompetencyView(BaseModel):
    """What is known of a learner's competency now."""

    competency_id: str
    code: str = Field(default="", description="As the framework in force calls it.")
    level: Level = Field(description="What people are told now: what a person set, else what the estimate gives; what is overdue as due.")
    mean_e6: int = Field(description="Of the logit of an answer to the reference item, in millionths.")
    sd_e6: int = Field(description="Standard deviation of that logit, in millionths.")
    success_e6: int = Field(description="Success rate expected on the reference item, in millionths.")
    probability_e6: int = Field(description="Probability that the success rate is above the policy's bar, in millionths.")
    scored: int = Field(description="Scored events; an item that is remembered counts once.")
    items: int = Field(description="Distinct items, counted up to 3.")
    days: int = Field(description="Distinct days.")
    override: bool = Field(default=False, description="Whether a person set the level.")
    due_at: datetime | None = Field(default=None, description="When what is mastered is due to be shown again, were nothing more to come.")
    stuck: bool = Field(default=False, description="Whether much work brought no progress: a person is needed.")


class ChangeView(BaseModel):
    """A change of what people are told."""

    competency_id: str
    level: Level
    before: Level
    probability_e6: int
    evidence_ids: list[UUID]
    changed_at: datetime
    override: bool = Field(description="Whether a person set the level.")
    version: int = Field(description="Of the learner's stream.")


async def competencies_of(
    pool: AsyncConnectionPool[Any], learner_id: UUID, after: str, limit: int, inputs: Inputs, now: datetime
) -> list[CompetencyView]:
    """Return what is known of a learner's competencies, in the order of their ids."""
    rows = await read(pool, _LIST, {"learner": learner_id, "after": after, "limit": limit})
    learner = await read(pool, LEARNER, [learner_id])
    minute = minute_of(now)
    return [CompetencyView(**plain(row["competency_id"], row, known_in(row, learner, inputs), minute, inputs)[0]) for row in rows]


async def changes_of(pool: AsyncConnectionPool[Any], learner_id: UUID, before: int, limit: int) -> list[ChangeView]:
    """Return how a learner's levels changed, the latest first, from those below the stream's version `before`."""
    return [ChangeView(**row) for row in await read(pool, _CHANGES, [learner_id, before, limit])]


def known_in(row: Row, learner: Sequence[Row], inputs: Inputs) -> Known:
    """Return what the rows hold; before any evidence, what the calibration begins with."""
    numbers = inputs.calibration.numbers
    general, form = Normal(0.0, numbers.general_variance), Normal(0.0, numbers.form_variance)
    if learner and learner[0]["general_variance_e6"]:
        general, form = (Normal(learner[0][f"{part}_mean_e6"] / MICRO, learner[0][f"{part}_variance_e6"] / MICRO) for part in _PARTS)
    level = Level(row.get("level") or Level.UNKNOWN)
    if not row.get("variance_e6"):
        return Known(general, form, Normal(0.0, numbers.competency_variance), 2**32, 0, 0, 0, level)
    competency = Normal(row["mean_e6"] / MICRO, row["variance_e6"] / MICRO)
    return Known(general, form, competency, row["last_minute"], row["scored"], row["items"], row["days"], level)


_PARTS: Final = ("general", "form")


def plain(competency_id: str, row: Row, known: Known, minute: int, inputs: Inputs) -> tuple[dict[str, Any], Estimate]:
    """Return the values of a `CompetencyView`, and the estimate that they rest on."""
    calibration = inputs.calibration
    shown = estimate(known, minute, calibration, inputs.policy_of(competency_id), calibration.reference_of(competency_id))
    due, override = row.get("due_minute") or 0, bool(row.get("override"))
    overdue = known.level is Level.MASTERED and not override and 0 < due <= minute
    found = inputs.framework.competencies.get(competency_id)
    return {
        "competency_id": competency_id, "code": found.code if found else "", "level": Level.REVERIFY if overdue else known.level,
        "mean_e6": micro(shown.logit.mean), "sd_e6": micro(sqrt(shown.logit.variance)), "success_e6": micro(shown.success),
        "probability_e6": shown.probability_e6, "scored": known.scored, "items": known.items, "days": known.days, "override": override,
        "due_at": EPOCH + timedelta(minutes=due) if 0 < due < FAR else None, "stuck": bool(row.get("needed")),
    }, shown  # fmt: skip
