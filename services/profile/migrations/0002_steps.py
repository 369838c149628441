"""Steps of a roster that is too large for one transaction."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    # No projection: what lies here is on its way into the ledger, and gone as soon as it is there.
    op.execute(
        """CREATE TABLE roster_step (
            number integer PRIMARY KEY, request_id uuid NOT NULL, content_hash text NOT NULL, source text NOT NULL,
            recorded_at timestamptz NOT NULL, told jsonb NOT NULL
        )"""
    )
