"""Where in the ledger a demand was noted: by it a look sees at once whether a school has news."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the position, fill it from the ledger, and make the newest of a school one look-up."""
    op.execute("ALTER TABLE demand ADD COLUMN position bigint NOT NULL DEFAULT -1")
    op.execute(
        "UPDATE demand SET position = event.position FROM event "
        "WHERE event.stream = 'scheduling/demand/' || demand.school_id || '/' || demand.learner_id AND event.version = demand.version"
    )
    op.execute("CREATE INDEX demand_news ON demand (school_id, position)")
    op.execute("CREATE INDEX staff_news ON staff (school_id, version)")
