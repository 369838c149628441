"""What came into the ledger before there was a table for it: the framework as rows, and when competencies are due."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "SELECT id FROM partition ORDER BY id FOR UPDATE",  # Nobody writes meanwhile: what is missing is what is older.
    """INSERT INTO framework_page (page, competency_id, code, subject, family, assessable, prerequisites)
        SELECT p.hash, c->>'id', coalesce(c->>'code', ''), coalesce(c->>'subject', ''), coalesce(c->>'family', ''),
            coalesce((c->>'assessable')::boolean, true), coalesce(c->'prerequisites', '[]')
        FROM (SELECT hash, convert_from(data, 'UTF8')::jsonb AS content FROM parameter_page) p
        CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(p.content) WHEN 'array' THEN p.content ELSE '[]' END) c
        WHERE jsonb_typeof(c) = 'object' AND c ? 'statement'
        ON CONFLICT DO NOTHING""",
    """INSERT INTO framework_in_force (kind, pages, version)
        SELECT 'framework', convert_from(bytes, 'UTF8')::jsonb->'data'->'pages', version FROM event
        WHERE stream = 'mastery/settings' AND type = 'mastery.framework-adopted.v1' ORDER BY version DESC LIMIT 1
        ON CONFLICT DO NOTHING""",
    # Estimates say when something is due only since there is the table.
    """INSERT INTO due (learner_id, competency_id, due_minute, version)
        SELECT DISTINCT ON (e.key, told.competency_id) e.key::uuid, told.competency_id, told.due_minute, e.version
        FROM (
            SELECT key, version, type, convert_from(bytes, 'UTF8')::jsonb->'data' AS data FROM event
            WHERE type IN ('mastery.level-changed.v1', 'mastery.level-held.v1', 'mastery.re-estimated.v1')
        ) e CROSS JOIN LATERAL (
            SELECT e.data->>'competency_id' AS competency_id, coalesce((e.data->>'due_minute')::bigint, 0) AS due_minute
                WHERE e.type <> 'mastery.re-estimated.v1' AND NOT coalesce((e.data->>'override')::boolean, false)
            UNION ALL SELECT trace->>'competency_id', coalesce((trace->>'due_minute')::bigint, 0)
                FROM jsonb_array_elements(coalesce(e.data->'competencies', '[]')) trace WHERE e.type = 'mastery.re-estimated.v1'
            UNION ALL SELECT gone, 0
                FROM jsonb_array_elements_text(coalesce(e.data->'gone', '[]')) gone WHERE e.type = 'mastery.re-estimated.v1'
        ) told
        ORDER BY e.key, told.competency_id, e.version DESC
        ON CONFLICT (learner_id, competency_id) DO UPDATE SET due_minute = excluded.due_minute, version = excluded.version
        WHERE due.version < excluded.version""",
    "ALTER TABLE competency_estimate DROP COLUMN evidence_id",  # Nothing has filled it since.
)


def upgrade() -> None:
    """Fill the tables from the ledger, where they lack it."""
    for statement in STATEMENTS:
        op.execute(statement)
