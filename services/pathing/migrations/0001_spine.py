"""The ledger, and what is shown of each learner's path."""

from alembic import op

from shared.migrate import create_ledger

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE learner (
        learner_id uuid PRIMARY KEY, school_id uuid NOT NULL, grade text NOT NULL, active boolean NOT NULL, version bigint NOT NULL
    )""",
    "CREATE INDEX learner_of_school ON learner (school_id, learner_id)",
    """CREATE TABLE goals (
        learner_id uuid PRIMARY KEY, author_id uuid NOT NULL, role text NOT NULL, set_at timestamptz NOT NULL, goals jsonb NOT NULL,
        version bigint NOT NULL
    )""",
    """CREATE TABLE path (
        learner_id uuid PRIMARY KEY, steps jsonb NOT NULL, pace text NOT NULL, minutes_needed integer NOT NULL, due date,
        planned_at timestamptz NOT NULL, settings bigint NOT NULL, version bigint NOT NULL
    )""",
)


def upgrade() -> None:
    """Create everything."""
    create_ledger(op)
    for statement in TABLES:
        op.execute(statement)
