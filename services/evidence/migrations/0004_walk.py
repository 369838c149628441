"""No index for walks over streams: nothing of evidence walks them, and each act would pay for it."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Drop the index; a sweep over evidence's streams would need it again."""
    op.execute("DROP INDEX IF EXISTS stream_walk")
