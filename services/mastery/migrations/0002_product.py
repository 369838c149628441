"""What people set, who is needed, who is in which class, and the framework as rows for the needs views."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE level ADD COLUMN override boolean NOT NULL DEFAULT false",
    "ALTER TABLE level_change ADD COLUMN override boolean NOT NULL DEFAULT false",
    """CREATE TABLE due (
        learner_id uuid NOT NULL, competency_id text NOT NULL, due_minute bigint NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (learner_id, competency_id)
    )""",
    """CREATE TABLE person_needed (
        learner_id uuid NOT NULL, competency_id text NOT NULL, needed boolean NOT NULL, idle integer NOT NULL, idle_days integer NOT NULL,
        evidence_id uuid, told_at timestamptz NOT NULL, version bigint NOT NULL, PRIMARY KEY (learner_id, competency_id)
    )""",
    """CREATE TABLE override (
        learner_id uuid NOT NULL, competency_id text NOT NULL, level text NOT NULL, until timestamptz NOT NULL, author_id uuid NOT NULL,
        role text NOT NULL, reason text NOT NULL, words jsonb, at timestamptz NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (learner_id, competency_id)
    )""",
    "CREATE INDEX override_until ON override (until)",
    """CREATE TABLE override_end (
        learner_id uuid NOT NULL, competency_id text NOT NULL, at timestamptz NOT NULL, author_id uuid, version bigint NOT NULL,
        PRIMARY KEY (learner_id, competency_id)
    )""",
    """CREATE TABLE waiver (
        learner_id uuid NOT NULL, competency_id text NOT NULL, prerequisite_id text NOT NULL, waived boolean NOT NULL,
        author_id uuid NOT NULL, role text NOT NULL, reason text NOT NULL, words jsonb, at timestamptz NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (learner_id, competency_id, prerequisite_id)
    )""",
    """CREATE TABLE membership (
        class_id uuid NOT NULL, learner_id uuid NOT NULL, member boolean NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (class_id, learner_id)
    )""",
    """CREATE TABLE framework_page (
        page text NOT NULL, competency_id text NOT NULL, code text NOT NULL, subject text NOT NULL, family text NOT NULL,
        assessable boolean NOT NULL, prerequisites jsonb NOT NULL, PRIMARY KEY (competency_id, page)
    )""",
    "CREATE TABLE framework_in_force (kind text PRIMARY KEY, pages jsonb NOT NULL, version bigint NOT NULL)",
)


def upgrade() -> None:
    """Add the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
