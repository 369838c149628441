"""A path says in which subject its date binds, and how much is due there by then; of those planned before it is not known."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add both to the read table of paths."""
    op.execute("ALTER TABLE path ADD COLUMN due_subject text NOT NULL DEFAULT '', ADD COLUMN due_minutes integer")
