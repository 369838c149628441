"""The ledger, the people and places that rosters name, what people say, and the keys that names are sealed under."""

from alembic import op

from shared.migrate import create_ledger

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE school (
        school_id uuid PRIMARY KEY, title text NOT NULL, body jsonb NOT NULL, version bigint NOT NULL
    )""",
    """CREATE TABLE school_class (
        class_id uuid PRIMARY KEY, school_id uuid NOT NULL, active boolean NOT NULL, body jsonb NOT NULL, version bigint NOT NULL
    )""",
    "CREATE INDEX school_class_of_school ON school_class (school_id, class_id)",
    """CREATE TABLE learner (
        learner_id uuid PRIMARY KEY, school_id uuid NOT NULL, class_ids jsonb NOT NULL, active boolean NOT NULL, body jsonb NOT NULL,
        version bigint NOT NULL
    )""",
    "CREATE INDEX learner_of_school ON learner (school_id, learner_id)",
    "CREATE INDEX learner_of_class ON learner USING gin (class_ids jsonb_path_ops)",
    """CREATE TABLE staff (
        staff_id uuid PRIMARY KEY, school_id uuid NOT NULL, class_ids jsonb NOT NULL, active boolean NOT NULL, body jsonb NOT NULL,
        version bigint NOT NULL
    )""",
    "CREATE INDEX staff_of_school ON staff (school_id, staff_id)",
    """CREATE TABLE preference (
        learner_id uuid NOT NULL, author_id uuid NOT NULL, body jsonb NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (learner_id, author_id)
    )""",
    """CREATE TABLE roster_import (
        content_hash text PRIMARY KEY, source text NOT NULL, rows bigint NOT NULL, person_iris jsonb NOT NULL,
        imported_at timestamptz NOT NULL, version bigint NOT NULL
    )""",
    "CREATE INDEX roster_import_newest ON roster_import (imported_at DESC, content_hash)",
    # No projection: written by the edge alone, so that destroying a key erases what was sealed under it, wherever it lies.
    # Of people, and of classes, whose titles may name people.
    "CREATE TABLE person_key (person_id uuid PRIMARY KEY, wrapped bytea NOT NULL)",
)


def upgrade() -> None:
    """Create everything."""
    create_ledger(op)
    for statement in TABLES:
        op.execute(statement)
