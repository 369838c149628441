"""A learner's state is kept as it is: of one with many competencies PostgreSQL would compress integers at every write, for little."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change how new states are stored; those that are there stay as they are until they are written again."""
    op.execute("ALTER TABLE stream ALTER COLUMN state SET STORAGE EXTERNAL")
