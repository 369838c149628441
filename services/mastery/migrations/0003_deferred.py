"""Evidence that was deferred because no framework in force named its competencies."""

from alembic import op

revision = "0003"
down_revision = "0002"

DEFERRED = """CREATE TABLE deferred (
    evidence_id uuid PRIMARY KEY, learner_id uuid NOT NULL, item_id uuid, competency_ids jsonb NOT NULL, occurred_at timestamptz,
    deferred_at timestamptz, version bigint NOT NULL
)"""


def upgrade() -> None:
    """Add the table."""
    op.execute(DEFERRED)
