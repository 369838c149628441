"""Reads the tables of mastery, and what its ledger holds of learners. Lists come in the order of ids, changes with the latest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from services.mastery.inputs import Inputs
from services.mastery.queries.views import ChangeView, DeferredView, Need, OverrideView, WaiverView
from services.mastery.rule import Policy
from services.mastery.state import FAR, minute_of
from shared.contracts.mastery import Level
from shared.exact import normal_quantile
from shared.ledger.tables import Tables
from shared.ledger.types import Row

_PAGES: Final = """
    SELECT p.data FROM parameter_set s, unnest(s.pages) WITH ORDINALITY AS named (hash, place) JOIN parameter_page p USING (hash)
    WHERE s.kind = %s AND s.id = %s ORDER BY named.place
"""
_NEEDED: Final = "(p.needed AND coalesce(l.level, '') NOT IN ('mastered', 're-verify-due'))"
"""Whether a person is needed: not for what a person says is mastered, whatever work has shown before."""
_COLUMNS: Final = f"""
    coalesce(e.competency_id, l.competency_id) AS competency_id, e.mean_e6, e.variance_e6, e.scored, e.items, e.days, e.last_minute,
    l.level, l.override, l.changed_at, l.evidence_ids, l.settings, d.due_minute, {_NEEDED} AS needed, p.idle, p.idle_days
    FROM (SELECT * FROM competency_estimate WHERE learner_id = %(learner)s AND variance_e6 > 0) e
    FULL JOIN (
        SELECT * FROM level WHERE learner_id = %(learner)s AND level <> 'not-enough-evidence'
    ) l USING (learner_id, competency_id)
    LEFT JOIN due d USING (learner_id, competency_id) LEFT JOIN person_needed p USING (learner_id, competency_id)
"""  # noqa: S608 - our own words
_COMPETENCIES: Final = f"""
    SELECT {_COLUMNS} WHERE coalesce(e.competency_id, l.competency_id) > %(after)s
    ORDER BY coalesce(e.competency_id, l.competency_id) LIMIT %(most)s
"""
_COMPETENCY: Final = f"SELECT {_COLUMNS} WHERE coalesce(e.competency_id, l.competency_id) = %(competency)s"
_LEARNER: Final = "SELECT * FROM learner_estimate WHERE learner_id = %s"
_LEVELS: Final = "SELECT competency_id, level FROM level WHERE learner_id = %s AND competency_id = ANY(%s)"
_CHANGES: Final = """
    SELECT version, competency_id, level, before, probability_e6, evidence_ids, changed_at, override FROM level_change
    WHERE learner_id = %s AND version < %s ORDER BY version DESC LIMIT %s
"""
_EVIDENCE: Final = """
    SELECT bytes FROM event WHERE stream = %s
        AND type IN ('mastery.estimated.v1', 'mastery.re-estimated.v1', 'mastery.evidence-deferred.v1') ORDER BY version
"""
_TOLD: Final = """
    SELECT stream, bytes FROM event WHERE stream = ANY(%s)
    AND type IN ('mastery.estimated.v1', 'mastery.level-changed.v1', 'mastery.re-estimated.v1') ORDER BY stream, version
"""
_HEARD: Final = "SELECT id FROM stream WHERE id = ANY(%s) LIMIT 1"
_HEARD_CLASS: Final = "SELECT class_id FROM membership WHERE class_id = %s LIMIT 1"
_VERSIONS: Final = "SELECT id, version FROM stream WHERE id = ANY(%s)"
_COUNTS: Final = """
    SELECT learner_id, coalesce(level, 'not-enough-evidence') AS level, count(*) AS many
    FROM (SELECT * FROM competency_estimate WHERE learner_id = ANY(%(learners)s) AND variance_e6 > 0) e
    FULL JOIN (SELECT * FROM level WHERE learner_id = ANY(%(learners)s) AND level <> 'not-enough-evidence') l
        USING (learner_id, competency_id)
    GROUP BY 1, 2
"""
"""Of what there is evidence or a level, as for needs: not of what a revision replaced, nor where all evidence is void."""
_OVERRIDES: Final = """
    SELECT competency_id, level, until, author_id, role, reason, words, at FROM override
    WHERE learner_id = %s AND NOT ended ORDER BY competency_id
"""
_WAIVERS: Final = """
    SELECT competency_id, prerequisite_id, author_id, role, reason, words, at FROM waiver
    WHERE learner_id = %s AND waived ORDER BY competency_id, prerequisite_id
"""
_WITH: Final = """
    WITH named AS MATERIALIZED (SELECT unnest(%s::text[]) AS competency_id), found AS MATERIALIZED (
        SELECT learner_id, competency_id FROM competency_estimate JOIN named USING (competency_id) WHERE variance_e6 > 0
        UNION SELECT learner_id, competency_id FROM level JOIN named USING (competency_id) WHERE level <> 'not-enough-evidence'
        UNION SELECT learner_id, competency_id FROM override JOIN named USING (competency_id) WHERE NOT ended
    )
    SELECT (SELECT coalesce(array_agg(DISTINCT competency_id), '{}') FROM found) AS competencies,
        (SELECT count(DISTINCT learner_id) FROM found) AS learners
"""
_NEXT_NAMED: Final = """(SELECT md5(competency_ids::text)::uuid AS hash, competency_ids FROM deferred WHERE competency_ids <> '[]' {behind}
        ORDER BY md5(competency_ids::text)::uuid LIMIT 1)"""
UNNAMED: Final = f"""
    WITH RECURSIVE named(hash, competency_ids) AS (
        {_NEXT_NAMED.format(behind="")}
        UNION ALL SELECT n.hash, n.competency_ids FROM named,
            LATERAL {_NEXT_NAMED.format(behind="AND md5(deferred.competency_ids::text)::uuid > named.hash")} n
    ), unnamed AS MATERIALIZED (
        SELECT hash FROM named WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements_text(named.competency_ids) each(id) JOIN framework_page f ON f.competency_id = each.id
            WHERE f.page IN (SELECT jsonb_array_elements_text(pages) FROM framework_in_force WHERE kind = 'framework')))
"""  # noqa: S608 - our own words
"""What deferred evidence names, each once, however much names it; and which of that no framework in force does."""
_DEFERRED: Final = f"""{UNNAMED}
    SELECT d.* FROM unnamed u CROSS JOIN LATERAL (
        SELECT evidence_id, learner_id, item_id, competency_ids, occurred_at, deferred_at FROM deferred
        WHERE md5(competency_ids::text)::uuid = u.hash AND competency_ids <> '[]' AND evidence_id > %(after)s
        ORDER BY evidence_id LIMIT %(most)s) d
    ORDER BY d.evidence_id LIMIT %(most)s
"""  # noqa: S608 - our own words
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
            l.changed_at, coalesce(l.override, false) AS override, coalesce({needed}, false) AS stuck,
            CASE WHEN l.level = 'mastered' AND NOT l.override AND d.due_minute BETWEEN 1 AND %(minute)s THEN 're-verify-due'
                ELSE coalesce(l.level, 'not-enough-evidence') END AS level,
            (coalesce((%(references)s::jsonb ->> s.competency_id)::float, %(easiness)s) + (g.general_mean_e6 + e.mean_e6) / 1e6 - o.bar)
                / nullif(sqrt((g.general_variance_e6 + e.variance_e6) / 1e6), 0) >= o.enough AS enough,
            CASE WHEN l.level IN ('developing', 'nearly') THEN ARRAY(
                SELECT DISTINCT b.id FROM jsonb_array_elements_text(f.prerequisites) AS named(id), jsonb_array_elements_text(
                    coalesce(%(replaced)s::jsonb -> named.id, jsonb_build_array(named.id))) AS b(id)
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
        (SELECT count(DISTINCT learner_id) FROM needs) AS learners, (SELECT count(*) FROM who) AS members,
        (SELECT coalesce(jsonb_agg(to_jsonb(i)), '[]') FROM (
            SELECT learner_id, competency_id, code, need, level, override, stuck, gaps, scored, days, changed_at FROM needs
            WHERE (%(need)s::text IS NULL OR need = %(need)s) AND (NOT %(only_stuck)s OR stuck)
                AND (learner_id, competency_id) > (%(after_learner)s::uuid, %(after_competency)s)
            ORDER BY learner_id, competency_id LIMIT %(most)s) i) AS items
"""


@dataclass(frozen=True)
class Asked:
    """Which needs somebody wants to see."""

    need: Need | None = None
    stuck: bool = False
    subject: str | None = None
    competency_id: str | None = None


class Queries(Tables):
    """Answers from the read tables of mastery, and from its ledger."""

    async def entries_of(self, kind: str, set_id: str) -> list[dict[str, Any]] | None:
        """Return the entries of a set that is or was in force, as they were brought in; None where none of this kind has the id."""
        pages = await self.rows(_PAGES, [kind, set_id])
        return [entry for page in pages for entry in orjson.loads(bytes(page["data"]))] if pages else None

    async def learner(self, learner_id: UUID) -> Row | None:
        """Return what is believed of a learner beside all competencies; None before any evidence."""
        return await self.row(_LEARNER, [learner_id])

    async def has_heard_of(self, learner_id: UUID) -> bool:
        """Return whether anybody told of a learner: a roster, or work that was scored."""
        return await self.row(_HEARD, [[f"mastery/learner/{learner_id}", f"mastery/membership/{learner_id}"]]) is not None

    async def has_heard_of_class(self, class_id: UUID) -> bool:
        """Return whether a roster ever told of somebody in a class."""
        return await self.row(_HEARD_CLASS, [class_id]) is not None

    async def competencies_of(self, learner_id: UUID, after: str, most: int) -> Sequence[Row]:
        """Return what is believed and told of a learner's competencies, from behind this id."""
        return await self.rows(_COMPETENCIES, {"learner": learner_id, "after": after, "most": most})

    async def competency_of(self, learner_id: UUID, competency_id: str) -> Row | None:
        """Return what is believed and told of one; None where nothing is."""
        return await self.row(_COMPETENCY, {"learner": learner_id, "competency": competency_id})

    async def levels_of(self, learner_id: UUID, competency_ids: Sequence[str]) -> dict[str, Level]:
        """Return the levels that are told of these competencies."""
        rows = await self.rows(_LEVELS, [learner_id, list(competency_ids)])
        return {row["competency_id"]: Level(row["level"]) for row in rows}

    async def changes_of(self, learner_id: UUID, before: int, most: int) -> list[ChangeView]:
        """Return how a learner's levels changed, from below this version of her stream."""
        return await self.all(ChangeView, _CHANGES, [learner_id, before, most])

    async def evidence_of(self, learner_id: UUID) -> list[bytes]:
        """Return what the ledger holds of a learner's evidence, one event each, in order."""
        return [bytes(row["bytes"]) for row in await self.rows(_EVIDENCE, [f"mastery/learner/{learner_id}"])]

    async def versions_of(self, learners: Sequence[UUID]) -> dict[UUID, int]:
        """Return how many events there are of those learners of whom there are any."""
        found = await self.rows(_VERSIONS, [[f"mastery/learner/{learner}" for learner in learners]])
        return {UUID(row["id"].rsplit("/", 1)[-1]): row["version"] for row in found}

    async def told_of(self, learners: Sequence[UUID]) -> tuple[Sequence[Row], Sequence[Row]]:
        """Return what the ledger holds of these learners, stream by stream in order; and how many competencies stand at which level."""
        told = await self.rows(_TOLD, [[f"mastery/learner/{learner}" for learner in learners]])
        return told, await self.rows(_COUNTS, {"learners": list(learners)})

    async def overrides_of(self, learner_id: UUID) -> list[OverrideView]:
        """Return the levels that people set and that are in force."""
        return await self.all(OverrideView, _OVERRIDES, [learner_id])

    async def waivers_of(self, learner_id: UUID) -> list[WaiverView]:
        """Return the prerequisites that people waived."""
        return await self.all(WaiverView, _WAIVERS, [learner_id])

    async def learners_with(self, competency_ids: Sequence[str]) -> tuple[list[str], int]:
        """Return which of these competencies any learner has a level in or evidence of, and how many learners have."""
        (row,) = await self.rows(_WITH, [list(competency_ids)])
        return row["competencies"], row["learners"]

    async def deferred(self, after: UUID, most: int) -> list[DeferredView]:
        """Return the evidence that waits for a framework, from behind this id."""
        return await self.all(DeferredView, _DEFERRED, {"after": after, "most": most})

    async def needs_of(
        self, subject: UUID, of_class: bool, asked: Asked, after: tuple[UUID, str], most: int, inputs: Inputs, now: datetime
    ) -> Row:  # fmt: skip
        """Return counts and items of a learner's or a class's needs, the items from behind this learner and competency."""
        replaced = {name: list(ends) for name, ends in inputs.framework.replaced.items()}
        policies = [_numbers(family, policy) for family, policy in ({"": inputs.policy} | dict(inputs.families)).items()]
        values = {
            "subject": subject, "policies": orjson.dumps(policies).decode(), "minute": min(minute_of(now), FAR - 1),
            "easiness": inputs.calibration.reference_easiness, "references": orjson.dumps(dict(inputs.calibration.competencies)).decode(),
            "replaced": orjson.dumps(replaced).decode(), "need": asked.need, "only_stuck": asked.stuck,
            "of_subject": asked.subject.lower() if asked.subject else None, "competency": asked.competency_id,
            "after_learner": after[0], "after_competency": after[1], "most": most,
        }  # fmt: skip
        (row,) = await self.rows(_NEEDS.format(who=_OF_CLASS if of_class else _OF_LEARNER, needed=_NEEDED), values)
        return row


def _numbers(family: str, policy: Policy) -> dict[str, Any]:
    """Return bar and certainty for more of a family, for what is shown: nothing is decided by it."""
    return {"family": family, "bar": policy.bar_logit, "enough": normal_quantile(policy.enrich_from)}
