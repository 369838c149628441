"""Foreign records are told apart by their bytes as well as by their place."""

from alembic import op

from shared.migrate import tell_foreign_apart

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Keep the hash of what is parked, and make it part of what is parked once."""
    tell_foreign_apart(op)
