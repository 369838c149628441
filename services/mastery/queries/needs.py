"""What learners need: mastered, working on it, a gap before it, ready for more, or not enough evidence. One statement each."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from services.mastery.inputs import Inputs
from services.mastery.queries.reading import Row, read
from services.mastery.rule import Policy
from services.mastery.state import FAR, minute_of
from shared.contracts.mastery import Level
from shared.exact import normal_quantile


class Need(StrEnum):
    """What follows for a learner from the level of a competency."""

    MASTERED = "mastered"
    WORKING_ON = "working-on"
    GAP = "gap-in-prerequisite"
    ENRICHMENT = "ready-for-enrichment"
    UNKNOWN = "not-enough-evidence"


class NeedView(BaseModel):
    """What a learner needs in one competency."""

    learner_id: UUID
    competency_id: str
    code: str = Field(default="", description="As the framework in force calls it.")
    need: Need
    level: Level = Field(description="What people are told now; what is overdue is told as due.")
    override: bool = Field(description="Whether a person set the level.")
    stuck: bool = Field(description="Whether much work brought no progress: a person is needed.")
    gaps: list[str] = Field(description="Prerequisites that are not mastered and not waived.")
    scored: int
    days: int
    changed_at: datetime | None = Field(description="When the level was told; null before any was.")


class NeedsView(BaseModel):
    """The needs of a learner or a class: counts of all of them, and a page of those asked for."""

    counts: dict[Need, int] = Field(description="By need, whatever the filters `need` and `stuck` say.")
    stuck: int = Field(description="Competencies for which a person is needed.")
    learners: int = Field(description="Learners of whom anything is known.")
    items: list[NeedView]
    next: str | None = Field(default=None, description="Send it as `after` for what follows; nothing follows where it is null.")


_OF_LEARNER: Final = "SELECT %(subject)s::uuid AS learner_id"
_OF_CLASS: Final = "SELECT learner_id FROM membership WHERE class_id = %(subject)s AND member"
_NEEDS: Final = """
    WITH who AS MATERIALIZED ({who}), page AS MATERIALIZED (
        SELECT jsonb_array_elements_text(pages) AS page FROM framework_in_force WHERE kind = 'framework'
    ), policy AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(policies)s) AS new(family text, bar float, enough float)
    ), seen AS MATERIALIZED (
        SELECT learner_id, competency_id FROM who JOIN competency_estimate USING (learner_id) WHERE variance_e6 > 0
        UNION SELECT learner_id, competency_id FROM who JOIN level USING (learner_id) WHERE level <> 'not-enough-evidence'
    ), standing AS MATERIALIZED (
        SELECT s.learner_id, s.competency_id, coalesce(f.code, '') AS code, coalesce(e.scored, 0) AS scored, coalesce(e.days, 0) AS days,
            l.changed_at, coalesce(l.override, false) AS override, coalesce(p.needed, false) AS stuck,
            CASE WHEN l.level = 'mastered' AND NOT l.override AND d.due_minute BETWEEN 1 AND %(minute)s THEN 're-verify-due'
                ELSE coalesce(l.level, 'not-enough-evidence') END AS level,
            (coalesce((%(references)s::jsonb ->> s.competency_id)::float, %(easiness)s) + (g.general_mean_e6 + e.mean_e6) / 1e6 - o.bar)
                / nullif(sqrt((g.general_variance_e6 + e.variance_e6) / 1e6), 0) >= o.enough AS enough,
            CASE WHEN l.level IN ('developing', 'nearly') THEN ARRAY(
                SELECT b.id FROM jsonb_array_elements_text(f.prerequisites) AS b(id)
                WHERE EXISTS (SELECT FROM framework_page k JOIN page USING (page) WHERE k.competency_id = b.id AND k.assessable)
                AND NOT EXISTS (
                    SELECT FROM level h WHERE h.learner_id = s.learner_id AND h.competency_id = b.id
                    AND h.level IN ('mastered', 're-verify-due'))
                AND NOT EXISTS (
                    SELECT FROM waiver w WHERE w.learner_id = s.learner_id AND w.competency_id = s.competency_id
                    AND w.prerequisite_id = b.id AND w.waived)
                ORDER BY b.id) ELSE '{{}}' END AS gaps
        FROM seen s
        LEFT JOIN competency_estimate e USING (learner_id, competency_id) LEFT JOIN level l USING (learner_id, competency_id)
        LEFT JOIN due d USING (learner_id, competency_id) LEFT JOIN person_needed p USING (learner_id, competency_id)
        LEFT JOIN learner_estimate g USING (learner_id)
        LEFT JOIN LATERAL (
            SELECT code, subject, family, prerequisites FROM framework_page JOIN page USING (page)
            WHERE framework_page.competency_id = s.competency_id LIMIT 1) f ON true
        CROSS JOIN LATERAL (
            SELECT bar, enough FROM policy WHERE family IN (coalesce(f.family, ''), '') ORDER BY family DESC LIMIT 1) o
        WHERE (%(of_subject)s::text IS NULL OR f.subject = %(of_subject)s)
            AND (%(competency)s::text IS NULL OR s.competency_id = %(competency)s)
    ), needs AS MATERIALIZED (
        SELECT *, CASE
            WHEN level = 'not-enough-evidence' THEN 'not-enough-evidence'
            WHEN level = 'mastered' AND enough AND NOT override THEN 'ready-for-enrichment'
            WHEN level IN ('mastered', 're-verify-due') THEN 'mastered'
            WHEN gaps <> '{{}}' THEN 'gap-in-prerequisite' ELSE 'working-on' END AS need
        FROM standing
    )
    SELECT
        (SELECT coalesce(jsonb_object_agg(need, count), '{{}}') FROM (SELECT need, count(*) FROM needs GROUP BY need) c) AS counts,
        (SELECT count(*) FROM needs WHERE stuck) AS stuck,
        (SELECT count(DISTINCT learner_id) FROM needs) AS learners,
        (SELECT coalesce(jsonb_agg(to_jsonb(i)), '[]') FROM (
            SELECT learner_id, competency_id, code, need, level, override, stuck, gaps, scored, days, changed_at FROM needs
            WHERE (%(need)s::text IS NULL OR need = %(need)s) AND (NOT %(only_stuck)s OR stuck)
                AND (learner_id, competency_id) > (%(after_learner)s::uuid, %(after_competency)s)
            ORDER BY learner_id, competency_id LIMIT %(limit)s) i) AS items
"""
_FIRST: Final = (UUID(int=0), "")


class Asked(BaseModel):
    """Which needs somebody wants to see."""

    need: Need | None = None
    stuck: bool = False
    subject: str | None = None
    competency_id: str | None = None


async def needs_of(
    pool: AsyncConnectionPool[Any], subject: UUID, of_class: bool, asked: Asked, after: tuple[UUID, str] | None, limit: int,
    inputs: Inputs, now: datetime,
) -> Row:  # fmt: skip
    """Return counts and items of a learner's or a class's needs, one item more than `limit` where more follows."""
    last = after or _FIRST
    values = {
        "subject": subject, "policies": orjson.dumps(_policies(inputs)).decode(), "minute": min(minute_of(now), FAR - 1),
        "easiness": inputs.calibration.reference_easiness, "references": orjson.dumps(dict(inputs.calibration.competencies)).decode(),
        "need": asked.need, "only_stuck": asked.stuck,
        "of_subject": asked.subject.lower() if asked.subject else None, "competency": asked.competency_id,
        "after_learner": last[0], "after_competency": last[1], "limit": limit + 1,
    }  # fmt: skip
    (row,) = await read(pool, _NEEDS.format(who=_OF_CLASS if of_class else _OF_LEARNER), values)
    return row


def _policies(inputs: Inputs) -> list[dict[str, Any]]:
    """Return bar and certainty for more of each family, for what is shown: nothing is decided by it."""
    return [_numbers(family, policy) for family, policy in ({"": inputs.policy} | dict(inputs.families)).items()]


def _numbers(family: str, policy: Policy) -> dict[str, Any]:
    return {"family": family, "bar": policy.bar_logit, "enough": normal_quantile(policy.enrich_from)}
