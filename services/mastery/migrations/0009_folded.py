"""The framework as rows where it came into the ledger before there were tables for it; and what nobody reads any more goes."""

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
    "DROP TABLE due",  # When something is due is worked out where it is read, by what is believed by then.
    "ALTER TABLE competency_estimate DROP COLUMN evidence_id",  # Nothing has filled it since.
)


def upgrade() -> None:
    """Fill the tables from the ledger, where they lack it."""
    for statement in STATEMENTS:
        op.execute(statement)
