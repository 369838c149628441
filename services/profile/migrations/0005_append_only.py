"""Which parameter sets there are, which keys this database is used with, and the keys of people are only added to."""

from alembic import op

from shared.migrate import let_only_add

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Take from the service's role what its code does not use: the owner alone destroys a key."""
    let_only_add(op, "parameter_set", "key_check", "person_key")
