"""Which parameter sets there are, and which keys this database is used with, is only added to."""

from alembic import op

from shared.migrate import let_only_add

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Take from the service's role what its code does not use: to change or remove a row."""
    let_only_add(op, "parameter_set", "key_check")
