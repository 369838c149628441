"""From which day on work counts: one row."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table."""
    op.execute(
        """CREATE TABLE calendar (
            id smallint PRIMARY KEY CHECK (id = 1), first_day date NOT NULL, begins_at timestamptz NOT NULL, version bigint NOT NULL
        )"""
    )
