"""What tells the keys that this database is used with from others."""

from alembic import op

from shared.migrate import create_key_check

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table, empty: the next start writes down the keys it has."""
    create_key_check(op)
